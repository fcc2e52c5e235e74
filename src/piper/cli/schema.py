"""`piper schema`."""

from __future__ import annotations

import click
import msgspec

from piper.cli.main import Noun
from piper.cli.output import Format, data_option, write_data
from piper.model.spec import FORMAT, WorkflowSpec


@click.group("schema", cls=Noun)
def command() -> None:
    """JSON Schemas, for editors and other programs."""


@command.command("workflow")
@data_option
def workflow_schema(output: Format) -> None:
    """Print the JSON Schema of a workflow's definition.

    \b
    Example:
      piper schema workflow > workflow.schema.json
    """
    schema = msgspec.json.schema(WorkflowSpec)
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Piper workflow, format {FORMAT}",
        **schema,
    }
    write_data(document, output)
