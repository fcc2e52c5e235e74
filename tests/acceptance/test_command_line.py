"""What every command has in common: standard output for programs, exit codes, errors without traces."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest
import yaml

from piper.cli.main import piper as root_command
from tests.acceptance.site import PIPER, Run, Site, clean_environment, run_piper

FOLDER = "steering"

SERVES = {"standalone", "web", "scheduler", "executor", "serializer", "triggerer", "worker"}
"""Commands that do not end, and so give no result."""
TEXTS = {"workflows source", "completion"}
"""Commands that write a text as it is."""

COMMANDS = (
    "workflows list", "workflows show steps", "workflows pause steps", "workflows unpause steps",
    "workflows trigger endless", "workflows versions steps", "workflows export steps",
    "runs list", "runs list steps --limit 1", "runs show steps", "runs wait steps", "runs clear steps --dry-run",
    "runs cancel endless", "runs mark steps success",
    "tasks list steps", "tasks show steps first", "tasks clear steps first --dry-run", "tasks render steps fourth",
    "tasks mark steps fourth --state success --dry-run",
    "executions list", "executions show {execution}", "executions compare {execution} {execution}",
    "variables set key value", "variables list", "variables show key", "variables import {file}",
    "variables delete key",
    "connections set site --type http", "connections list", "connections show site", "connections import {file2}",
    "connections delete site",
    "pools set some 3", "pools list", "pools delete some",
    "bundles list", "bundles errors", "bundles refresh dags",
    "operators list", "operators show piper.operators.bash.BashOperator",
    "audit search", "audit verify", "cluster show", "config show", "schema workflow", "db check", "db migrate",
    "assets list", "assets show orders", "assets emit orders", "assets events", "assets waiting hears",
    "assets forget hears", "runs callbacks steps",
    "backfill create cleared --from 2010-01-01 --to 2024-12-31", "backfill list", "backfill show 1",
    "backfill pause 1", "backfill resume 1", "backfill cancel 1",
    "backfill create cleared --from 2025-01-01 --to 2025-01-02", "backfill wait 2",
    "validate {dags}", "workflows pause strict", "workflows delete strict --yes",
)  # fmt: skip


def leaves(command: click.Command, name: str = "") -> Iterator[str]:
    """The full names of all commands."""
    if not isinstance(command, click.Group):
        yield name
        return
    context = click.Context(command)
    for each in command.list_commands(context):
        below = command.get_command(context, each)
        assert below is not None
        yield from leaves(below, f"{name} {each}".strip())


@pytest.fixture(scope="module")
def files(site: Site, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    (folder / "variables.json").write_text('{"a": "b", "c": {"d": 1}}')
    (folder / "connections.json").write_text('{"x": {"conn_type": "http", "host": "h"}}')
    return {"file": folder / "variables.json", "file2": folder / "connections.json", "dags": site.dags}


@pytest.fixture(scope="module")
def steps(site: Site) -> Run:
    return site.run("steps")


def test_every_command_is_tried_here() -> None:
    tried = {name for name in leaves(root_command) if any(f"{line} ".startswith(f"{name} ") for line in COMMANDS)}
    elsewhere = {"run", "tasks logs", "tasks execute", "db rewrap"}
    assert set(leaves(root_command)) - tried == SERVES | TEXTS | elsewhere


@pytest.mark.parametrize("line", COMMANDS)
def test_standard_output_is_json_and_nothing_else(site: Site, files: dict[str, Path], steps: Run, line: str) -> None:
    execution = site.get("/executions", workflow_id="steps")["items"][0]["id"]
    done = site.piper(*line.format(**files, execution=execution).split(), "-o", "json")
    assert done.code in (0, 1), done
    assert done.code == 0 or line == "runs wait steps", done
    msgspec.json.decode(done.out)
    assert "\x1b" not in done.out


@pytest.mark.parametrize("line", ["workflows list", "runs show steps", "pools set some 3", "workflows export steps"])
def test_standard_output_is_yaml_and_nothing_else(site: Site, steps: Run, line: str) -> None:
    assert yaml.safe_load(site.did(*line.split(), "-o", "yaml").out)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("workflows shwo steps", 2, "show"),
        ("workflows show", 2, "WORKFLOW"),
        ("workflows show stepz", 3, "steps"),
        ("runs show steps/never", 3, "never"),
        ("runs show 99999", 3, "99999"),
        ("tasks logs steps sceond", 3, "second"),
        ("tasks mark steps first --state done", 2, "success"),
        ("workflows trigger steps --logical-date yesterday", 2, "yesterday"),
        ("workflows trigger steps --conf [1]", 2, "object"),
        ("workflows trigger steps -p x", 2, "name=value"),
        ("workflows trigger endless --wait --timeout 200ms", 7, "0.2 s"),
        ("workflows delete steps --yes", 4, "pause"),
        ("pools delete default_pool", 4, "default_pool"),
        ("pools set x many", 2, "many"),
        ("executions show 1", 3, "three numbers"),
        ("variables show nothing", 3, "nothing"),
        ("--server http://127.0.0.1:9 workflows list", 6, "PIPER_TOKEN"),
        ("workflows list -o jsno", 2, "json"),
    ],
)
def test_errors_have_their_exit_codes_and_say_what_to_do(
    site: Site, steps: Run, line: str, code: int, said: str
) -> None:
    done = site.piper(*line.split())
    assert (done.code, done.out) == (code, ""), done
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_wrong_token_is_refused(site: Site) -> None:
    done = run_piper("workflows", "list", environment=site.environment | {"PIPER_TOKEN": "wrong"})
    assert (done.code, done.out) == (6, "")


def test_a_run_is_found_by_number_by_name_and_by_workflow(site: Site, steps: Run) -> None:
    for name in (str(steps.id), f"steps/{steps.row['run_id']}"):
        assert site.did("runs", "show", name, "-o", "json").json["id"] == steps.id
    latest = site.run("steps")
    assert site.did("runs", "show", "steps", "-o", "json").json["id"] == latest.id


def test_a_logical_date_is_used_once(site: Site) -> None:
    first = site.trigger("steps", "--logical-date", "2026-05-01")
    assert first["run_id"] == "manual__2026-05-01T00:00:00+00:00"
    again = site.piper("workflows", "trigger", "steps", "--logical-date", "2026-05-01")
    assert again.code == 4
    assert "2026-05-01" in again.err
    other = site.piper("workflows", "trigger", "steps", "--logical-date", "2026-05-01", "--run-id", "other")
    assert other.code == 4, "not under another name either"
    site.ended(first)


def test_without_an_instance_commands_say_how_to_start_one(tmp_path: Path) -> None:
    done = run_piper("workflows", "list", environment=clean_environment(PIPER_HOME=str(tmp_path)))
    assert (done.code, done.out) == (5, "")
    assert "piper standalone" in done.err


def test_a_setting_that_nobody_knows_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    environment = clean_environment(PIPER_HOME=str(tmp_path), PIPER_WEB__PROT="1")
    done = run_piper("standalone", environment=environment)
    assert (done.code, "web.port" in done.err.lower() or "PIPER_WEB__PORT" in done.err) == (2, True), done.err
    (tmp_path / "piper.toml").write_text("[executor]\nparallelism = 0\n")
    done = run_piper("config", "show", environment=clean_environment(PIPER_HOME=str(tmp_path)))
    assert done.code == 2
    assert "executor.parallelism" in done.err
    assert "piper.toml" in done.err


def test_a_second_instance_on_the_same_home_is_refused(site: Site) -> None:
    done = run_piper("standalone", "--port", "0", environment=site.environment)
    assert done.code != 0
    assert str(site.pid) in done.err
    assert "Traceback" not in done.err
    site.did("workflows", "list")


def test_a_port_that_is_taken_is_told(site: Site, tmp_path: Path) -> None:
    port = str(site.api.base_url.port)
    done = run_piper("standalone", "--port", port, environment=clean_environment(PIPER_HOME=str(tmp_path / "home")))
    assert done.code == 2
    assert port in done.err
    assert "Traceback" not in done.err


def test_a_program_that_stops_reading_is_no_error(site: Site, steps: Run) -> None:
    line = f"set -o pipefail; {PIPER} operators list --limit 0 -o json | head -c 20"
    done = subprocess.run(["bash", "-c", line], env=site.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
