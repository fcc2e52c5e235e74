"""`piper web`, `piper scheduler` and the like: one service in the foreground."""

from __future__ import annotations

from collections.abc import Callable

import click

from piper.cli.main import SECTIONS
from piper.cli.starting import started_settings


def _serve(name: str) -> Callable[[], None]:
    def serve() -> None:
        settings = started_settings()
        from piper import wiring  # lazy: it imports every part of the system

        wiring.run_service(name, settings)

    return serve


COMMANDS = {
    name: click.Command(
        name,
        callback=_serve(name),
        help=f"{text}\n\nIn the foreground, until it is told to stop.\n\n\b\nExample:\n  piper {name}",
    )
    for name, text in SECTIONS["Services"].items()
}
"""By name; that each can run alone is for installations on several machines."""
