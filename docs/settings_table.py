"""Write the table of settings into docs/operations.md: `python -m docs.settings_table`."""

from __future__ import annotations

from docs.sections import table, write_section
from piper.settings import describe_settings

DOCUMENT, SECTION = "operations.md", "settings"


def section() -> str:
    """The table: every setting, in the order of `piper config show`."""
    rows = [[f"`{one.name}`", one.type, one.default or "", one.description] for one in describe_settings()]
    return table(["setting", "is a", "default", ""], rows)


if __name__ == "__main__":
    write_section(DOCUMENT, SECTION, section())
