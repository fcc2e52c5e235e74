"""`piper validate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from piper.cli.failures import Code, Failure
from piper.cli.output import Format, counted, note, output_option, write_data
from piper.cli.starting import started_settings


@click.command("validate")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@output_option
@click.pass_context
def command(context: click.Context, paths: tuple[Path, ...], output: Format) -> None:
    """Check workflow files, or folders of them: load each as a server would, in a process of its own.

    Exit code 1 if one of them does not load. Warnings, as of names that are called otherwise now, are shown too.
    No installation is asked: of variables and connections a file finds those in the environment (AIRFLOW_VAR_...).

    \b
    Examples:
      piper validate dags/
      piper validate dags/sales.py -o json
    """
    settings = started_settings()
    from piper import wiring  # lazy: it imports every part of the system

    findings = wiring.validate(settings, paths)
    if not findings:
        raise Failure(f"there are no workflow files in {', '.join(map(str, paths))}", Code.USAGE)
    broken = [finding for finding in findings if finding.error]
    if output is not Format.TABLE:
        write_data([_data(finding) for finding in findings], output)
    else:
        for finding in broken:
            place = f"{finding.error_file or finding.file}:{finding.error_line or 1}"
            click.echo(f"{place}: {finding.error}")
        warnings = [warning for finding in findings for warning in finding.warnings]
        for warning in warnings:
            click.echo(warning)
        workflows = sum(len(finding.workflows) for finding in findings)
        note(
            f"{counted(len(findings), 'file')}, {counted(workflows, 'workflow')}, {counted(len(broken), 'broken file')}"
            + (f", {counted(len(warnings), 'warning')}" if warnings else "")
        )
    if broken:
        context.exit(int(Code.FAILED))


def _data(finding: Any) -> dict[str, Any]:
    return {
        "file": finding.file,
        "workflows": list(finding.workflows),
        "error": finding.error or None,
        "error_file": finding.error_file or None,
        "error_line": finding.error_line,
        "warnings": list(finding.warnings),
    }
