"""Log lines as they are printed."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TextIO

import click
import msgspec

from piper.cli.failures import harmless
from piper.cli.output import Format, task_name

_COLOURS = {"ERROR": "red", "CRITICAL": "red", "WARNING": "yellow", "piper": "cyan"}
_WIDEST = 32
"""A longer name of a task pushes its own lines to the right, not everybody's."""


class LogPrinter:
    """Writes log lines: for people with their task in front, for programs as one object per line.

    What a task wrote never reaches the terminal as a command: control characters are shown as what they are.
    """

    def __init__(
        self, output: Format, *, with_task: bool, with_time: bool = False, stream: TextIO | None = None
    ) -> None:
        self._output = output
        self._with_task = with_task
        self._with_time = with_time
        self._stream = stream or sys.stdout
        self._width = 0

    def make_room(self, tasks: Iterable[str]) -> None:
        """Make the column of tasks wide enough for these."""
        self._width = max(self._width, *(min(len(task), _WIDEST) for task in tasks), 0)

    def print_lines(self, task_id: str, map_index: int, lines: Iterable[dict[str, str]]) -> None:
        """Write lines of one task instance."""
        for line in lines:
            if self._output is Format.TABLE:
                self.print_text(task_name(task_id, map_index), self._text(line))
            else:
                data: dict[str, Any] = {"task_id": task_id, "map_index": map_index, **line}
                item = "- " if self._output is Format.YAML else ""
                click.echo(item + msgspec.json.encode(data).decode(), file=self._stream)

    def print_text(self, task: str, text: str) -> None:
        """Write one line, already fit for a terminal."""
        if self._with_task:
            self.make_room([task])
            text = f"{click.style(task.ljust(self._width), dim=True)} │ {text}"
        click.echo(text, file=self._stream)

    def _text(self, line: dict[str, str]) -> str:
        kind = line["kind"]
        text = harmless(line["text"])
        time = click.style(f"{line['time'][:23]}Z ", dim=True) if self._with_time else ""
        if kind == "out":
            return time + text
        shown = f"{kind}: {text}" if kind != "piper" else f"({text})"
        return time + (click.style(shown, fg=_COLOURS[kind]) if kind in _COLOURS else shown)
