"""`piper web`, `piper scheduler` and the like: one service in the foreground."""

from __future__ import annotations

from collections.abc import Callable

import click

from piper.cli.main import SECTIONS, SERVICES
from piper.cli.starting import started_settings


def _serve(name: str) -> Callable[[], None]:
    def serve() -> None:
        settings = started_settings()
        from piper import wiring  # lazy: it imports every part of the system

        wiring.run_service(name, settings)

    return serve


_NOT_YET = "Not in this version: until `piper {name}` can run alone, `piper standalone` serves all of it."
_BESIDE = (
    "It shares the PostgreSQL and the PIPER_HOME of a `piper standalone`. One of them waits for triggers, the others "
    "stand by and take over.\n\n"
    "\b\nExample:\n"
    "  PIPER_DATABASE__URL=postgresql://piper@db/piper piper triggerer"
)

COMMANDS = {
    name: click.Command(
        name,
        callback=_serve(name),
        help=f"{text}\n\n{_BESIDE if name == 'triggerer' else _NOT_YET.format(name=name)}",
    )
    for name, text in SECTIONS[SERVICES].items()
}
"""By name. All but the triggerer come with installations on several machines."""
