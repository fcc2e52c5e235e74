"""Documentation given as the name of a Markdown file."""

from __future__ import annotations


def document(doc: str | None) -> str | None:
    """The text, or the content of the file whose name the text is (`doc_md="README.md"`)."""
    if doc is not None and doc.endswith(".md") and "\n" not in doc:
        try:
            with open(doc, encoding="utf-8") as file:
                return file.read()
        except OSError:
            return doc
    return doc
