"""How commands fail: the message, the exit code, and what stays out of standard output."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import click
import pytest
from sqlalchemy import Connection

from piper.cli.main import COMMANDS
from piper.cli.main import piper as tree
from piper.model.errors import StoreUnavailable
from piper.secrets import Keys
from piper.store.database import Database
from piper.store.variables import read_variable, write_variable
from piper.web.server import WebServer
from tests.integration.cli.conftest import Piper
from tests.integration.web.rows import Rows


def test_an_unknown_id_is_answered_with_the_nearest(piper: Piper, rows: Rows) -> None:
    rows.workflow("sales_daily")
    shown = piper("workflows", "show", "sale_daily")
    assert (shown.code, shown.out) == (3, "")
    assert shown.err == "Error: there is no workflow 'sale_daily'\n       did you mean 'sales_daily'?\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["workfows"], "did you mean 'workflows'?"),
        (["workflows", "shwo", "x"], "did you mean 'show'?"),
        (["workflows", "show"], "Missing argument 'WORKFLOW'"),
        (["workflows", "list", "--serach", "x"], "--search"),
        (["workflows", "trigger", "x", "-p", "novalue"], "name=value"),
        (["workflows", "trigger", "x", "--conf", "[1]"], "must be a JSON object"),
        (["workflows", "trigger", "x", "--conf", "{"], "is not JSON"),
        (["workflows", "trigger", "x", "--conf", "@/none"], "cannot be read"),
        (["workflows", "trigger", "x", "--logical-date", "soon"], "is not a moment"),
        (["runs", "wait", "x", "--timeout", "long"], "is not a duration"),
        (["runs", "list", "--state", "done"], "'done' is not one of"),
        (["pools", "set", "p", "many"], "is not a valid integer"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2_and_says_what_is_wrong(
    piper: Piper, arguments: list[str], said: str
) -> None:
    shown = piper(*arguments)
    assert (shown.code, shown.out) == (2, "")
    assert said in shown.err


def test_a_workflow_without_runs_says_how_to_start_one(piper: Piper, rows: Rows) -> None:
    rows.workflow("sales")
    shown = piper("tasks", "list", "sales")
    assert shown.code == 3
    assert "piper workflows trigger sales" in shown.err


def test_a_taken_run_id_is_exit_code_4(piper: Piper, rows: Rows) -> None:
    rows.workflow("sales")
    assert piper("workflows", "trigger", "sales", "--run-id", "r1").code == 0
    assert piper("workflows", "trigger", "sales", "--run-id", "r1").code == 4


def test_without_an_instance_it_is_exit_code_5(piper: Piper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIPER_HOME", str(tmp_path))
    shown = piper("workflows", "list")
    assert (shown.code, shown.out) == (5, "")
    assert "piper standalone" in shown.err


def test_an_instance_that_does_not_answer_is_exit_code_5(piper: Piper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPER_TOKEN", "of-there")
    shown = piper("--server", "http://127.0.0.1:9", "workflows", "list")
    assert shown.code == 5
    assert "no answer from http://127.0.0.1:9" in shown.err


@pytest.mark.parametrize("address", ["nonsense", "ftp://h", "http://[", "http://h:99999", "http://u:p@h"])
def test_an_address_that_is_none_is_exit_code_2(piper: Piper, address: str) -> None:
    result = piper("--server", address, "runs", "list")
    assert (result.code, result.err.count("Traceback")) == (2, 0)
    assert "write http://HOST:PORT" in result.err


@pytest.fixture
def stranger() -> Iterator[tuple[str, list[str]]]:
    """A server that is not ours, and the tokens that it has got."""
    got: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            got.append(self.headers["Authorization"])
            self.send_error(404)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()
        thread.join()


def test_the_token_of_our_instance_is_sent_to_no_other(piper: Piper, stranger: tuple[str, list[str]]) -> None:
    address, got = stranger
    shown = piper("--server", address, "runs", "list")
    assert (shown.code, got) == (6, [])
    assert f"no token for {address}" in shown.err
    assert "set PIPER_TOKEN" in shown.err


def test_another_instance_gets_the_token_that_is_given_for_it(
    piper: Piper, stranger: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, got = stranger
    monkeypatch.setenv("PIPER_TOKEN", "of-there")
    assert piper("--server", address, "runs", "list").code == 3
    assert got == ["Bearer of-there"]


def test_our_own_instance_may_be_named_by_its_address(piper: Piper, server: WebServer) -> None:
    assert piper("--server", server.address, "runs", "list").code == 0
    assert piper("--server", server.address + "/", "runs", "list").code == 0


def test_a_token_that_no_header_can_carry_is_exit_code_6(piper: Piper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPER_TOKEN", "gehe\u00efm")
    result = piper("runs", "list")
    assert result.code == 6
    assert "PIPER_TOKEN holds no token" in result.err
    assert "gehe" not in result.err


def test_a_wrong_token_is_exit_code_6(piper: Piper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPER_TOKEN", "wrong")
    shown = piper("workflows", "list")
    assert shown.code == 6
    assert "PIPER_HOME/token" in shown.err


def test_a_call_that_finds_the_database_away_is_repeated(
    piper: Piper, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = []
    real = database.write

    @contextmanager
    def flaky() -> Iterator[Connection]:
        writes.append(1)
        if len(writes) == 1:
            raise StoreUnavailable("locked")
        with real() as connection:
            yield connection

    monkeypatch.setattr(database, "write", flaky)
    assert piper("pools", "set", "p", "1").code == 0
    assert len(writes) == 2


def test_a_misspelt_setting_is_exit_code_2(piper: Piper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPER_WEB__PROT", "1")
    shown = piper("config", "show")
    assert shown.code == 2
    assert "unknown setting 'web.prot' (from PIPER_WEB__PROT); did you mean 'web.port'?" in shown.err


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


def test_every_command_has_help_with_an_example() -> None:
    found = dict(commands(tree, "piper"))
    assert set(COMMANDS) <= {path.removeprefix("piper ") for path in found}
    for path, command in found.items():
        assert command.help, path
        if not isinstance(command, click.Group):
            assert f"{path}" in command.help, f"{path} shows no example of itself"
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.name in ("limit", "output", "team"):
                assert parameter.help, path


def test_help_loads_no_command_and_no_library_that_takes_time() -> None:
    program = (
        "import sys; from piper.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'httpx', 'rich', 'yaml', 'sqlalchemy', 'fastapi', 'msgspec', 'piper.cli.client'} & set(sys.modules)\n"
        "print('loaded', sorted(heavy), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Usage: piper" in done.stdout
    assert done.stderr == "loaded []\n"


def test_a_reader_that_goes_away_is_no_failure(piper: Piper, rows: Rows) -> None:
    for number in range(50):
        rows.workflow(f"workflow-with-a-long-name-{number}")
    program = f"{sys.executable} -m piper.cli.main workflows list -o json | head -c 10"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {program}"], capture_output=True, text=True, env=os.environ)
    assert (done.returncode, done.stderr) == (0, "")


def test_tables_fit_the_terminal_and_have_no_colour_where_there_is_none(
    piper: Piper, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.workflow("a-workflow", description="d" * 200, tags=["t" * 300])
    wide = piper("workflows", "list").out
    assert "t" * 300 in wide, "a program that reads a table gets all of it"
    assert "\x1b" not in wide


def test_no_color_is_heeded_on_a_terminal_too(piper: Piper, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    rows.workflow("a")
    monkeypatch.setattr("click._compat.isatty", lambda stream: True)
    assert "\x1b" in piper("workflows", "show", "a").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in piper("workflows", "show", "a").out


def test_completion_scripts_are_printed_for_each_shell(piper: Piper) -> None:
    for shell in ("bash", "zsh", "fish"):
        shown = piper("completion", shell)
        assert shown.code == 0
        assert "_PIPER_COMPLETE" in shown.out


def test_the_shell_completes_workflow_ids(piper: Piper, rows: Rows) -> None:
    rows.workflow("sales_daily")
    rows.workflow("stock")
    environment = os.environ | {
        "_PIPER_COMPLETE": "bash_complete",
        "COMP_WORDS": "piper runs show sa",
        "COMP_CWORD": "3",
    }
    program = "import sys; from piper.cli.main import piper; piper.main(prog_name='piper')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["plain,sales_daily"]


def test_config_shows_every_setting_with_its_origin(piper: Piper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPER_WEB__PORT", "9000")
    monkeypatch.setenv("PIPER_DATABASE__URL", "postgresql://u:hunter2@h/d")
    found = {row["name"]: row for row in piper("config", "show", "-o", "json").json}
    assert (found["web.port"]["value"], found["web.port"]["origin"]) == ("9000", "PIPER_WEB__PORT")
    assert found["web.host"]["origin"] == "default"
    assert found["database.url"]["value"] == "postgresql://u:********@h/d"
    assert "hunter2" not in piper("config", "show").out
    assert piper("config", "show", "wbe").code == 2


def test_the_schema_of_a_workflow_is_json_schema(piper: Piper) -> None:
    schema = piper("schema", "workflow").json
    assert schema["$ref"] == "#/$defs/WorkflowSpec"
    assert piper("schema", "workflow", "-o", "yaml").yaml == schema


def test_the_database_is_migrated_and_checked(piper: Piper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIPER_HOME", str(tmp_path / "new"))
    for _ in range(2):
        absent = piper("db", "check")
        assert (absent.code, "piper db migrate" in absent.err) == (1, True)
        (tmp_path / "new").mkdir(exist_ok=True)
    assert piper("db", "migrate").code == 0
    assert piper("db", "check").code == 0


def test_the_master_key_is_replaced(piper: Piper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIPER_HOME", str(tmp_path))
    assert piper("db", "migrate").code == 0
    missing = piper("db", "rewrap")
    assert (missing.code, "there is no" in missing.err, (tmp_path / "secret.key").exists()) == (1, True, False)
    old = Keys.load(tmp_path / "secret.key")
    database = Database(f"sqlite:///{tmp_path / 'piper.db'}")
    with database.write() as connection:
        write_variable(connection, old, "red", "k", "s3cret", None, datetime.now(UTC))
    line = (tmp_path / "secret.key").read_text()
    new = base64.b64encode(os.urandom(32)).decode() + "\n"
    (tmp_path / "secret.key").write_text(new + line)
    assert piper("db", "rewrap", "-o", "json").json == {"rewrapped": 1}
    (tmp_path / "secret.key").write_text(new)
    with database.read() as connection:
        assert read_variable(connection, Keys.load(tmp_path / "secret.key"), "red", "k") == "s3cret"
    (tmp_path / "secret.key").write_text(line)
    refused = piper("db", "rewrap")
    assert (refused.code, "put that key back" in refused.err) == (1, True)
    database.close()
