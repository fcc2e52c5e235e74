"""How tables are laid out and values written."""

from __future__ import annotations

import pytest
from rich.console import Console

from piper.cli.client import Listing
from piper.cli.failures import Failure
from piper.cli.output import (
    Format,
    column,
    fit_columns,
    note,
    show_list,
    show_object,
    shown_duration,
    shown_time,
    shown_value,
    task_name,
)

COLUMNS = (
    column("id"),
    column("name", elastic=True),
    column("note", elastic=True, optional=True),
    column("more", optional=True),
)


def test_what_fits_is_left_as_it_is() -> None:
    assert fit_columns(COLUMNS, [4, 20, 30, 10], 70) == {0: 4, 1: 20, 2: 30, 3: 10}


def test_elastic_columns_are_shortened_the_widest_first() -> None:
    assert fit_columns(COLUMNS, [4, 20, 30, 10], 60) == {0: 4, 1: 20, 2: 20, 3: 10}


def test_optional_columns_are_left_out_the_last_first() -> None:
    assert fit_columns(COLUMNS, [4, 20, 30, 10], 40) == {0: 4, 1: 16, 2: 16}
    assert fit_columns(COLUMNS, [4, 20, 30, 10], 20) == {0: 4, 1: 14}


def test_what_one_copies_is_never_shortened() -> None:
    assert fit_columns(COLUMNS, [40, 20, 30, 10], 20) == {0: 40, 1: 12}


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        (None, None, ""),
        ("2026-11-01T00:00:00Z", "2026-11-01T00:00:00.250000Z", "0.2s"),
        ("2026-11-01T00:00:00Z", "2026-11-01T00:00:59.900000Z", "59.9s"),
        ("2026-11-01T00:00:00Z", "2026-11-01T00:03:12Z", "3m12s"),
        ("2026-11-01T00:00:00Z", "2026-11-01T02:05:00Z", "2h05m"),
        ("2026-11-01T00:00:00Z", "2026-11-04T03:00:00Z", "3d03h"),
        ("2026-11-01T00:00:00Z", "2026-10-31T00:00:00Z", "0.0s"),
    ],
)
def test_durations_are_short(start: str | None, end: str | None, shown: str) -> None:
    assert shown_duration(start, end) == shown


def test_times_are_shown_in_utc_to_the_second() -> None:
    assert shown_time("2026-11-20T10:00:00.123456+01:00") == "2026-11-20T09:00:00Z"
    for text in ("scheduled__2026-11-20T10:00:00+00:00", "2026-11-20", "", "2026-11-20Tnonsense"):
        assert shown_time(text) == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, ""), (True, "yes"), (False, "no"), (0, "0"), (["a", "b"], "a, b"), ({"a": 1}, '{"a":1}'), ([1], "[1]")],
)
def test_values_are_shown_as_people_read_them(value: object, shown: str) -> None:
    assert shown_value(value) == shown


def test_a_mapped_instance_is_named_with_its_index() -> None:
    assert (task_name("copy", -1), task_name("copy", 3)) == ("copy", "copy[3]")


def test_what_others_wrote_reaches_no_terminal_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown_value("a\x1b]0;gone\x07\tb\nc\x9b2J") == "a\\x1b]0;gone\\x07\tb\nc\\x9b2J"
    assert shown_value(["\x1b[2J"]) == "\\x1b[2J"
    note("set \x1b[2J")
    Failure("\x1b[2J", hints=["\x1b[2J"]).show()
    show_list(Listing([{"id": "\x1b[2J"}]), [column("id")], Format.TABLE)
    show_object({}, Format.TABLE, [("note", "\x1b[2J")])
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err


def test_a_table_wider_than_the_terminal_loses_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("piper.cli.output.console", lambda stream: Console(file=stream, width=40))
    show_list(
        Listing([{"id": "i" * 38, "name": "n" * 30, "state": "failed"}]), (*COLUMNS, column("state")), Format.TABLE
    )
    assert capsys.readouterr().out.splitlines()[1].split() == ["i" * 38, "n" * 11 + "…", "failed"]
