"""`piper completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from piper.cli.main import piper


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print what makes a shell complete piper's commands, options and workflow ids.

    \b
    Examples:
      piper completion bash >> ~/.bashrc
      piper completion zsh >> ~/.zshrc
      piper completion fish > ~/.config/fish/completions/piper.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(piper, {}, "piper", "_PIPER_COMPLETE").source())
