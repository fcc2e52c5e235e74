"""What services log is one line per record, whoever chose the words."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from piper.telemetry import configure_logging


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging("INFO", stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


def test_a_name_cannot_forge_a_record_or_drive_a_terminal(log: io.StringIO) -> None:
    logging.getLogger("piper.x").warning("workflow %r: %s", "a", "x\nERROR piper: forged\x1b[2J\r\u2028end")
    [line] = log.getvalue().splitlines()
    assert "x\\x0aERROR piper: forged\\x1b[2J\\x0d\\x2028end" in line
    assert " WARNING piper.x: " in line


def test_a_traceback_follows_its_record(log: io.StringIO) -> None:
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("piper.x").exception("failed")
    assert log.getvalue().splitlines()[-1] == "ValueError: no"


def test_an_error_cannot_forge_a_record_or_drive_a_terminal(log: io.StringIO) -> None:
    try:
        raise ValueError("no\n2026-11-20T10:00:00+0000 INFO    piper: forged\x1b[2J")
    except ValueError:
        logging.getLogger("piper.x").exception("failed")
    lines = log.getvalue().splitlines()
    assert [line for line in lines if line.startswith("2")] == lines[:1]
    assert lines[-1] == "  2026-11-20T10:00:00+0000 INFO    piper: forged\\x1b[2J"


def test_what_is_below_the_level_is_not_written(log: io.StringIO) -> None:
    logging.getLogger("piper.x").debug("quiet")
    assert log.getvalue() == ""
