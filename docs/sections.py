"""Parts of documents that are made from the code, between two comments that readers do not see."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).parent


def with_section(text: str, name: str, content: str) -> str:
    """`text` with the section of that name replaced.

    Raises:
        ValueError: the text has no such section.
    """
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"there is no section {name!r}: it stands between {begin.strip()} and {end}")
    return f"{before}{begin}\n{content.strip()}\n\n{end}{after}"


def write_section(document: str, name: str, content: str) -> None:
    """Replace the section of that name in a document of this folder."""
    path = DOCS / document
    path.write_text(with_section(path.read_text(), name, content))


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
