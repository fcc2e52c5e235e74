"""The pages about the command line and the API name everything that there is."""

from __future__ import annotations

import re
from pathlib import Path

import click

from piper.cli.failures import Code
from piper.cli.main import COMMANDS, piper
from piper.web.routing import AuthorisedRoute
from piper.web.server import WebServer

DOCS = Path(__file__).parents[3] / "docs"


def test_every_command_is_on_the_page_of_the_command_line() -> None:
    page = (DOCS / "cli.md").read_text()
    context = click.Context(piper)
    for name in COMMANDS:
        assert f"piper {name}" in page, name
        command = piper.get_command(context, name)
        for verb in command.commands if isinstance(command, click.Group) else ():
            assert re.search(rf"`piper {name}.*`{verb}`|piper {name} {verb}", page), f"{name} {verb}"


def test_every_exit_code_is_on_the_page_of_the_command_line() -> None:
    page = (DOCS / "cli.md").read_text()
    for code in Code:
        assert f"| {int(code)} |" in page


def test_every_route_is_on_the_page_of_the_api(server: WebServer) -> None:
    page = (DOCS / "http.md").read_text()
    for route in server.app.router.routes:
        assert isinstance(route, AuthorisedRoute)
        if route.include_in_schema:
            [method] = route.methods or ()
            path = route.path.replace(":path}", "}").removeprefix("/api/v1")
            assert f"`{method} {path}`" in page, f"{method} {path}"
