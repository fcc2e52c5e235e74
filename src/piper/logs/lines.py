"""The form of a log: one line per record, `<UTC time> <kind> <text>`.

    2026-11-20T10:20:30.123456Z out loaded 300 rows
    2026-11-20T10:20:30.124011Z WARNING [airflow.task] 3 rows had no key
    2026-11-20T10:20:31.000200Z piper 12,345,678 bytes left out here

`kind` is `out` for what was written to standard output or error, a level of `logging` for a record
(whose logger stands in brackets), and `piper` for what Piper itself has to say. Each line of a record
of several lines bears its kind and logger.

Inside the pipe from task to supervisor a line that begins with RECORD says its kind itself; every
other line is `out`. The bytes are UTF-8 as far as the task wrote UTF-8: readers replace what is not.
NUL is stored as the symbol U+2400, everything else as it came, so whoever shows a line must treat it
as text and not as HTML or terminal commands.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

RECORD = "\x1e"
"""ASCII's record separator, first character of a line that says its own kind."""

OUTPUT = "out"
PIPER = "piper"

_RECORD = RECORD.encode()
_NUL_SHOWN = "\N{SYMBOL FOR NULL}".encode()
_OUTPUT = f" {OUTPUT} ".encode()


class LogLine(Struct, frozen=True):
    """One line, taken apart."""

    time: str
    """UTC, ISO 8601 with microseconds and `Z`; empty if the line has no such form."""
    kind: str
    logger: str
    text: str


def encode_record(level: str, logger: str, text: str) -> bytes:
    """A logging record as it goes into the pipe of its task, newline included."""
    prefix = f"{RECORD}{level} [{logger}] "
    return (prefix + text.replace("\n", f"\n{prefix}") + "\n").encode("utf-8", "backslashreplace")


def parse_line(line: bytes) -> LogLine:
    """A stored line, without its newline, as its parts. Never fails: what it cannot read is text."""
    shown = line.decode("utf-8", "replace")
    parts = shown.split(" ", 2)
    if len(parts) < 3 or not parts[0].endswith("Z"):
        return LogLine("", OUTPUT, "", shown)
    time, kind, text = parts
    if kind not in (OUTPUT, PIPER) and text.startswith("["):
        logger, closed, rest = text[1:].partition("] ")
        if closed:
            return LogLine(time, kind, logger, rest)
    return LogLine(time, kind, "", text)


def parse_lines(data: bytes) -> list[LogLine]:
    """The lines of a chunk. Only a newline ends a line: a carriage return is one of its characters."""
    return [parse_line(line) for line in data.removesuffix(b"\n").split(b"\n")] if data else []


def stamp_of(moment: datetime) -> bytes:
    """The time as it stands in a line; `moment` is aware and in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()


def piper_line(moment: datetime, text: str) -> bytes:
    """A line of Piper's own, newline included."""
    return stamp_of(moment) + f" {PIPER} {text}\n".encode()


class LineStamper:
    """Gives each line of a stream its time and kind. Works on chunks as they come, whatever their borders.

    Only whole-chunk replacements are done, no loop over lines: a task that prints a gigabyte is
    stamped at about the speed at which memory is copied.
    """

    def __init__(self) -> None:
        self.at_start = True
        """Whether the next byte begins a line."""

    def stamp(self, data: bytes, moment: datetime) -> bytes:
        """`data` (not empty) as it is to be stored."""
        stamp = stamp_of(moment)
        if b"\0" in data:
            data = data.replace(b"\0", _NUL_SHOWN)
        ends_line = data.endswith(b"\n")
        if ends_line:
            data = data[:-1]
        if self.at_start:
            data = b"\n" + data
        data = data.replace(b"\n", b"\n" + stamp + _OUTPUT)
        if _RECORD in data:
            # First the records at the start of a line, then those that follow output without a newline.
            data = data.replace(_OUTPUT + _RECORD, b" ").replace(_RECORD, b"\n" + stamp + b" ")
        if self.at_start:
            data = data[1:]
        self.at_start = ends_line
        return data + b"\n" if ends_line else data
