"""Write the table of other systems into docs/benchmarks.md: `python -m docs.peers_table`."""

from __future__ import annotations

from bench.peers import PEERS

from docs.sections import table, write_section

DOCUMENT, SECTION = "benchmarks.md", "peers"


def section() -> str:
    """The table: one row for each system and configuration."""
    header = [
        "system",
        "configuration",
        "40 × fib(10)",
        "10 × fib(33)",
        "500 wide",
        "tasks/s",
        "chain of 50",
        "peak PSS, MB",
    ]
    return table(header, [list(peer) for peer in PEERS])


if __name__ == "__main__":
    write_section(DOCUMENT, SECTION, section())
