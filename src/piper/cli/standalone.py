"""`piper standalone`."""

from __future__ import annotations

from pathlib import Path

import click

from piper.cli.starting import started_settings
from piper.settings import ExecutorBackend


@click.command("standalone")
@click.option("--port", metavar="PORT", type=click.IntRange(0, 65535), help="Of the web server; 0 takes a free one.")
@click.option("--host", metavar="ADDRESS", help="That the web server listens on.")
@click.option(
    "--dags",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of workflow files; else PIPER_HOME/dags.",
)
@click.option("--executor", type=click.Choice([str(each) for each in ExecutorBackend]), help="Which engine runs tasks.")
def command(port: int | None, host: str | None, dags: Path | None, executor: str | None) -> None:
    """Serve everything on this machine: web, scheduler, executor, serializer and workers.

    State lies in PIPER_HOME (default ~/.piper). Stops at Ctrl-C.

    \b
    Examples:
      piper standalone --dags ./dags
      PIPER_HOME=/var/lib/piper piper standalone --port 9000
    """
    settings = started_settings(
        {
            "web.port": port,
            "web.host": host,
            "serializer.dags": str(dags.absolute()) if dags else None,
            "executor.backend": executor,
        }
    )
    from piper import wiring  # lazy: it imports every part of the system

    wiring.run_standalone(settings)
