"""Secrets that a test registers are not those of the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from piper.sdk.execution import masking
from piper.sdk.execution.masking import begin_masking


@pytest.fixture(autouse=True)
def no_secrets() -> Iterator[None]:
    yield
    masking._of_the_file.clear()
    begin_masking()
