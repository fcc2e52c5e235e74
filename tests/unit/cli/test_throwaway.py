"""What a person is told of a throw-away run."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from piper.cli.throwaway import in_words


def test_a_retry_says_when_it_comes() -> None:
    due = (datetime.now(UTC) + timedelta(minutes=5, seconds=2)).isoformat()
    assert re.fullmatch(r"up for retry in 5m0[12]s", in_words("up_for_retry", due))
    assert in_words("up_for_retry", None) == "up for retry"
    assert in_words("upstream_failed", None) == "upstream failed"
