"""What commands show: tables that fit the terminal for people, JSON and YAML for programs.

The data is what the server sent; a table is a view of it. Programs get all of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

import click
import msgspec

from piper.cli.client import Listing
from piper.cli.failures import harmless

if TYPE_CHECKING:
    from rich.console import Console

Data = dict[str, Any]

_GAP = 2
"""Blanks between two columns of a table."""
_NARROWEST = 12
"""What an elastic column keeps."""

STATE_STYLES = {
    "success": "green",
    "failed": "red",
    "upstream_failed": "dark_orange",
    "running": "bright_cyan",
    "queued": "bright_black",
    "scheduled": "bright_black",
    "skipped": "magenta",
    "up_for_retry": "yellow",
    "up_for_reschedule": "yellow",
    "deferred": "yellow",
    "removed": "bright_black",
}


class Format(StrEnum):
    """How a command's result is written."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


output_option = click.option(
    "-o",
    "--output",
    "output",
    type=click.Choice([str(each) for each in Format]),
    default=str(Format.TABLE),
    show_default=True,
    help="With json or yaml, standard output carries that alone.",
    callback=lambda _context, _option, value: Format(value),
)


data_option = click.option(
    "-o",
    "--output",
    "output",
    type=click.Choice([str(Format.JSON), str(Format.YAML)]),
    default=str(Format.JSON),
    show_default=True,
    help="How it is written.",
    callback=lambda _context, _option, value: Format(value),
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    title: str
    value: Callable[[Data], Any]
    right: bool = False
    state: bool = False
    """Coloured by the state that it shows."""
    elastic: bool = False
    """Shortened where the terminal is too narrow; the others are whole, since one copies from them."""
    optional: bool = False
    """Left out where it is empty, or the terminal too narrow: then the last one first."""


def column(title: str, key: str | None = None, **options: bool) -> Column:
    """A column that shows one field as it is; the title is also the field's name if none is given."""
    name = key or title
    return Column(title, lambda row: row.get(name), **options)


def show_list(found: Listing, columns: Sequence[Column], output: Format, empty: str = "nothing found") -> None:
    """Write a list to standard output. What else there is to say of it goes to standard error."""
    if output is not Format.TABLE:
        write_data(found.rows, output)
    elif found.rows:
        _print_table(found.rows, columns)
    else:
        note(empty)
    if found.more:
        note(f"these are the first {len(found.rows)}: --limit 0 shows all")


def show_object(data: Data, output: Format, fields: Iterable[tuple[str, Any]]) -> None:
    """Write one object to standard output; in a table its `fields` (name, value), of which empty ones are left out."""
    if output is not Format.TABLE:
        write_data(data, output)
        return
    shown = [(name, shown_value(value)) for name, value in fields]
    shown = [(name, value) for name, value in shown if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        lines = value.splitlines() or [""]
        label = click.style(name.ljust(width), dim=True)
        click.echo(f"{label}  {_coloured(lines[0]) if name == 'state' else lines[0]}")
        for line in lines[1:]:
            click.echo(f"{' ' * width}  {line}")


def write_receipt(data: Any, output: Format) -> None:
    """Write for programs what a command has changed; people have read it on standard error."""
    if output is not Format.TABLE:
        write_data(data, output)


def write_data(data: Any, output: Format) -> None:
    """Write data for programs to standard output."""
    if output is Format.YAML:
        import yaml  # lazy: most commands write no YAML

        click.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120), nl=False)
    else:
        click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())


def note(text: str) -> None:
    """Say something to the person, on standard error."""
    click.echo(harmless(text), err=True)


def counted(number: int, noun: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{number:d} {noun}{'' if number == 1 else 's'}"


def shown_value(value: Any) -> str:
    """A value as a table shows it."""
    if value is None:
        return ""
    if value is True or value is False:
        return "yes" if value else "no"
    if isinstance(value, str):
        return shown_time(value) or harmless(value)
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
        return harmless(", ".join(value))
    if isinstance(value, (dict, list, tuple)):
        return msgspec.json.encode(value).decode()
    return str(value)


def shown_time(value: str | None) -> str:
    """An ISO moment as a table shows it: in UTC, to the second. Empty for what is not one."""
    if not value or len(value) < 20 or value[10:11] != "T":
        return ""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return ""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment.tzinfo else ""


def shown_duration(start: str | None, end: str | None) -> str:
    """The time between two ISO moments, until now if there is no end: `0.4s`, `3m12s`, `2h05m`."""
    if not start:
        return ""
    until = datetime.fromisoformat(end) if end else datetime.now(UTC)
    seconds = (until - datetime.fromisoformat(start)).total_seconds()
    if seconds < 60:
        return f"{max(seconds, 0):.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours < 48 else f"{hours // 24}d{hours % 24:02}h"


def duration_column(title: str = "duration") -> Column:
    """How long something has taken, from `started_at` to `ended_at`."""
    return Column(title, lambda row: shown_duration(row.get("started_at"), row.get("ended_at")), right=True)


def in_task_order(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Task instances as a person reads them: in the order of the tasks, the instances of a mapped one together."""
    listed = list(rows)
    places: dict[str, int] = {}
    for row in listed:
        places.setdefault(row["task_id"], len(places))
    return sorted(listed, key=lambda row: (places[row["task_id"]], row["map_index"]))


def task_name(task_id: str, map_index: int) -> str:
    """A task instance in one word: `copy`, `copy[3]`."""
    return task_id if map_index < 0 else f"{task_id}[{map_index}]"


def _coloured(text: str) -> str:
    style = STATE_STYLES.get(text, "")
    colours = {"dark_orange": "yellow", "bright_black": "bright_black"}
    return click.style(text, fg=colours.get(style, style)) if style else text


def _print_table(rows: Sequence[Data], columns: Sequence[Column]) -> None:
    # Lazy: programs that ask for JSON never need it.
    from rich.table import Table
    from rich.text import Text

    screen = console(sys.stdout)
    columns = [each for each in columns if not each.optional or any(shown_value(each.value(row)) for row in rows)]
    cells = [[Text(shown_value(each.value(row)).replace("\n", " ")) for each in columns] for row in rows]
    natural = [max(len(each.title), *(line[number].cell_len for line in cells)) for number, each in enumerate(columns)]
    widths = fit_columns(columns, natural, screen.width)
    # What cannot be shortened further is wider than the terminal, which breaks the line: nothing is lost by that.
    screen.width = max(screen.width, sum(widths.values()) + _GAP * (len(widths) - 1))
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for number, width in widths.items():
        each = columns[number]
        justify: Literal["left", "right"] = "right" if each.right else "left"
        table.add_column(each.title.upper(), justify=justify, no_wrap=True, overflow="ellipsis", width=width)
    for line in cells:
        for number in widths:
            if columns[number].state:
                line[number].stylize(STATE_STYLES.get(line[number].plain, ""))
        table.add_row(*(line[number] for number in widths))
    with screen.capture() as captured:
        screen.print(table)
    for text in captured.get().splitlines():
        click.echo(text.rstrip())


def fit_columns(columns: Sequence[Column], natural: Sequence[int], width: int) -> dict[int, int]:
    """Which columns fit into `width`, and how wide each is: number of the column → width.

    First optional columns are left out, then elastic ones shortened, the widest first.
    """
    widths = dict(enumerate(natural))

    def too_wide(fixed: dict[int, int]) -> int:
        return sum(fixed.values()) + _GAP * (len(fixed) - 1) - width

    def at_least() -> dict[int, int]:
        return {n: min(w, _NARROWEST) if columns[n].elastic else w for n, w in widths.items()}

    for number in reversed(range(len(columns))):
        if columns[number].optional and too_wide(at_least()) > 0:
            del widths[number]
    while too_wide(widths) > 0:
        elastic = [n for n, w in widths.items() if columns[n].elastic and w > _NARROWEST]
        if not elastic:
            break
        widths[max(elastic, key=lambda n: widths[n])] -= 1
    return widths


def console(stream: Any) -> Console:
    """A console as wide as the terminal; where there is none, as wide as its text, and without colour."""
    from rich.console import Console  # lazy, as above

    return Console(file=stream, width=None if stream.isatty() else 10_000, highlight=False, soft_wrap=False)
