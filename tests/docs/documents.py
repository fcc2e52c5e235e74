"""The repository's documents as data: their marked blocks, links and headings.

A block of code is marked by a comment on the line above it, which readers do not see:

    <!-- workflow: orders.py -->          a file whose workflow succeeds
    <!-- workflow: bad.py, failed -->     a file whose run ends so
    <!-- validate: zoned.py -->           a file that loads
    <!-- warned: dated.py -->             a file that loads, with warnings
    <!-- broken: cycle.py -->             a file that does not
    <!-- error: cycle.py -->              what is said about it, line for line
    <!-- test: test_orders.py -->         unit tests, beside the workflow files of their document
    <!-- script: try_it.py -->            a program, likewise
    <!-- shell -->                        commands that succeed, one after the other
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.architecture.source import ROOT, committed_files

_BLOCK = re.compile(r"^<!-- (?P<mark>[^>]+) -->\n```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A marked block of code."""

    document: Path
    line: int
    kind: str
    """The word before the colon: workflow, broken, shell …"""
    name: str
    """What stands behind it: a file, perhaps with its outcome."""
    text: str

    @property
    def file(self) -> str:
        """The file that the block is the content of."""
        return self.name.partition(",")[0]

    @property
    def place(self) -> str:
        """Where it stands, as the id of a test."""
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def documents() -> list[Path]:
    """Every Markdown file of the repository."""
    return sorted(path for path in committed_files() if path.suffix == ".md")


def blocks(*kinds: str) -> list[Block]:
    """The marked blocks of these kinds in all documents."""
    return [block for path in documents() for block in _blocks_of(path) if block.kind in kinds]


def _blocks_of(path: Path) -> Iterator[Block]:
    text = path.read_text()
    for match in _BLOCK.finditer(text):
        kind, _, name = match["mark"].partition(":")
        line = text.count("\n", 0, match.start("text")) + 1
        yield Block(path, line, kind.strip(), name.strip(), match["text"])


def links_of(path: Path) -> list[str]:
    """The targets of a document's links, those in code left out."""
    return _LINK.findall(_CODE.sub("", _FENCE.sub("", path.read_text())))


def anchors_of(path: Path) -> set[str]:
    """The names that GitHub gives a document's headings."""
    headings = _HEADING.findall(_FENCE.sub("", path.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
