"""The form of a log line, and that every byte of a task finds its way into one."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from piper.logs.lines import LineStamper, LogLine, encode_record, parse_line, piper_line

NOON = datetime(2026, 11, 20, 12, 0, 0, 5, tzinfo=UTC)
STAMP = b"2026-11-20T12:00:00.000005Z"


def stamped(*chunks: bytes) -> bytes:
    stamper = LineStamper()
    return b"".join(stamper.stamp(chunk, NOON) for chunk in chunks)


def test_each_line_of_output_gets_its_time() -> None:
    assert stamped(b"one\n\ntwo\n") == b"%s out one\n%s out \n%s out two\n" % (STAMP, STAMP, STAMP)


def test_a_line_that_comes_in_pieces_gets_one_time() -> None:
    assert stamped(b"on", b"e", b"\n", b"two\n") == STAMP + b" out one\n" + STAMP + b" out two\n"


def test_a_record_says_its_level_and_logger() -> None:
    line = stamped(encode_record("WARNING", "airflow.task", "mind\nthe gap")).splitlines()
    assert [parse_line(each) for each in line] == [
        LogLine(STAMP.decode(), "WARNING", "airflow.task", "mind"),
        LogLine(STAMP.decode(), "WARNING", "airflow.task", "the gap"),
    ]


def test_a_record_after_unfinished_output_begins_a_line() -> None:
    lines = stamped(b"progress", encode_record("INFO", "x", "done")).splitlines()
    assert [parse_line(each).text for each in lines] == ["progress", "done"]


def test_what_is_not_text_is_kept_and_shown_as_text() -> None:
    line = parse_line(stamped(b"\xff\0\x1b[31mred\n").rstrip(b"\n"))
    assert line.text == "\ufffd\u2400\x1b[31mred"


def test_a_line_of_another_form_is_text() -> None:
    assert parse_line(b"no stamp") == LogLine("", "out", "", "no stamp")


def test_pipers_own_lines_are_told_from_output() -> None:
    assert parse_line(piper_line(NOON, "ended")[:-1]) == LogLine(STAMP.decode(), "piper", "", "ended")
    assert parse_line(stamped(b"piper ended\n")[:-1]).kind == "out"


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_stamping_adds_to_a_stream_and_takes_nothing_away(chunks: list[bytes]) -> None:
    chunks = [chunk.replace(b"\x1e", b"").replace(b"\0", b"") for chunk in chunks]
    shown = stamped(*(chunk for chunk in chunks if chunk))
    assert shown.replace(STAMP + b" out ", b"") == b"".join(chunks)
    assert all(line.startswith(STAMP) for line in shown.split(b"\n") if line)
