"""The authoring language by itself: without the import layer, which another suite's `piper.testing` has installed."""

from __future__ import annotations

import pytest

from piper import compat


@pytest.fixture(autouse=True)
def no_import_layer() -> None:
    compat.uninstall()
