"""What each command shows and does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from piper.logs import Masker
from piper.model.events import Clear, InstanceRef, Mark, MarkRun
from piper.model.ids import log_path
from piper.model.run import Run
from piper.model.schedule import DataInterval, RunDates
from piper.model.spec import ParamSpec, TaskSpec
from piper.model.states import RunState, TaskState
from piper.operators.bash import BashOperator
from piper.sdk import DAG
from piper.sdk.specs import operator_schemas
from piper.store import schema
from piper.store.connections import read_connection
from piper.store.database import Database
from piper.store.variables import read_variable
from piper.web.parts import WebParts
from tests.integration.cli.conftest import Piper
from tests.integration.web.owner import Owner
from tests.integration.web.rows import THEN, Rows, lift_guards

TASKS = (
    TaskSpec(
        "extract",
        "piper.operators.bash.BashOperator",
        arguments={"bash_command": "echo {{ ds }}"},
        template_fields=("bash_command",),
    ),
    TaskSpec("load", "piper.operators.python.PythonOperator", upstream=("extract",), pool="db"),
)


@pytest.fixture
def run(rows: Rows) -> Run:
    """A run of `sales` that failed at `load`."""
    dates = RunDates(THEN, DataInterval(THEN, THEN), THEN)
    rows.workflow(
        "sales", tasks=TASKS, tags=["daily"], schedule_summary="0 1 * * *", next_dates=dates, next_run_after=THEN
    )
    run = rows.run("sales", state=RunState.FAILED, reason="task_failure", started_at=THEN, ended_at=THEN)
    rows.instance(run, "extract", TaskState.SUCCESS, 0, started_at=THEN, ended_at=THEN)
    load = rows.instance(run, "load", TaskState.FAILED, 1, pool="db", try_number=2)
    rows.attempt(load, 1, TaskState.UP_FOR_RETRY, error="ValueError: no", exit_code=1)
    rows.attempt(load, 2, TaskState.FAILED, error="ValueError: still no", metrics={"rows": 3, "lost": 1})
    return run


def test_workflows_are_listed(piper: Piper, rows: Rows, run: Run) -> None:
    rows.workflow("other", paused=True)
    shown = piper("workflows", "list")
    assert shown.code == 0
    header, other, sales = shown.out.splitlines()
    assert header.split() == ["WORKFLOW", "IS", "SCHEDULE", "NEXT", "RUN", "LAST", "RUN", "ENDED", "TAGS"]
    assert other.split() == ["other", "paused"]
    assert sales.split()[:2] == ["sales", "active"]
    assert "2026-11-01T00:00:00Z" in sales
    assert "failed" in sales
    listed = piper("workflows", "list", "--active", "-o", "json").json
    assert [row["workflow_id"] for row in listed] == ["sales"]


def test_an_empty_list_says_so_beside_the_output(piper: Piper) -> None:
    shown = piper("workflows", "list")
    assert (shown.code, shown.out, shown.err) == (0, "", "no workflows found\n")
    assert piper("workflows", "list", "-o", "json").json == []


def test_a_longer_list_says_that_there_is_more(piper: Piper, rows: Rows) -> None:
    for number in range(5):
        rows.workflow(f"w{number}")
    shown = piper("workflows", "list", "--limit", "2", "-o", "json")
    assert len(shown.json) == 2
    assert "--limit 0 shows all" in shown.err
    assert len(piper("workflows", "list", "--limit", "0", "-o", "json").json) == 5


def test_a_workflow_is_shown_with_its_tasks(piper: Piper, run: Run) -> None:
    shown = piper("workflows", "show", "sales").out
    assert "schedule  0 1 * * *" in shown
    assert "PythonOperator  extract" in shown
    assert piper("workflows", "show", "sales", "-o", "yaml").yaml["tags"] == ["daily"]


def test_workflows_are_paused_and_unpaused(piper: Piper, rows: Rows, owner: Owner) -> None:
    rows.workflow("a")
    rows.workflow("b")
    assert piper("workflows", "pause", "a", "b").err == "paused a\npaused b\n"
    assert {row["paused"] for row in piper("workflows", "list", "-o", "json").json} == {True}
    piper("workflows", "unpause", "a")
    assert piper("workflows", "show", "a", "-o", "json").json["paused"] is False


def test_a_run_is_triggered_with_params(piper: Piper, rows: Rows) -> None:
    params = {"region": ParamSpec({"type": "string"}, required=True), "limit": ParamSpec({"type": "integer"}, 1)}
    rows.workflow("sales", params=params)
    shown = piper("workflows", "trigger", "sales", "-p", "region=north", "-p", "limit=5", "--logical-date",
                  "2026-11-20", "-o", "json")  # fmt: skip
    assert shown.code == 0
    assert shown.json["conf"] == {"region": "north", "limit": 5}
    assert shown.json["logical_date"] == "2026-11-20T00:00:00Z"
    wrong = piper("workflows", "trigger", "sales", "--conf", '{"region": 1}')
    assert (wrong.code, wrong.out) == (2, "")
    assert "'region'" in wrong.err


def test_the_run_of_a_paused_workflow_says_that_it_waits(piper: Piper, rows: Rows) -> None:
    rows.workflow("sales", paused=True)
    shown = piper("workflows", "trigger", "sales")
    assert shown.code == 0
    assert "sales is paused: the run waits" in shown.err


def test_waiting_tells_the_runs_end_by_its_exit_code(piper: Piper, rows: Rows, run: Run) -> None:
    assert piper("runs", "wait", "sales").code == 1
    good = rows.run("sales", 1, state=RunState.SUCCESS)
    assert piper("runs", "wait", str(good.id)).code == 0
    running = rows.run("sales", 2)
    late = piper("runs", "wait", f"sales/{running.run_id}", "--timeout", "100ms")
    assert (late.code, late.out) == (7, "")
    assert "it goes on" in late.err


def test_a_definition_is_exported_as_json_and_yaml(piper: Piper, run: Run, parts: WebParts) -> None:
    as_json = piper("workflows", "export", "sales").json
    assert [task["task_id"] for task in as_json["tasks"]] == ["extract", "load"]
    assert piper("workflows", "export", "sales", "-o", "yaml").yaml == as_json
    (parts.snapshots / ("0" * 32)).mkdir(parents=True)
    (parts.snapshots / ("0" * 32) / "sales.py").write_text("dag = 1\n")
    assert piper("workflows", "source", "sales").out == "dag = 1\n"
    assert [row["version"] for row in piper("workflows", "versions", "sales", "-o", "json").json] == [1]


def test_deleting_a_workflow_asks_first(piper: Piper, rows: Rows) -> None:
    rows.workflow("sales", paused=True)
    refused = piper("workflows", "delete", "sales")
    assert (refused.code, "--yes" in refused.err) == (2, True)
    assert piper("workflows", "delete", "sales", "--yes").code == 0
    assert piper("workflows", "show", "sales").code == 3


@pytest.mark.parametrize("name", ["sales", "sales/{run_id}", "{id}"])
def test_a_run_is_named_by_number_by_id_or_by_its_workflow(piper: Piper, run: Run, name: str) -> None:
    shown = piper("runs", "show", name.format(run_id=run.run_id, id=run.id))
    assert shown.code == 0
    assert f"sales/{run.run_id}" in shown.out
    assert "1 failed, 1 success" in shown.out


def test_runs_are_listed(piper: Piper, rows: Rows, run: Run) -> None:
    rows.workflow("other")
    rows.run("other", 3)
    assert [row["workflow_id"] for row in piper("runs", "list", "-o", "json").json] == ["other", "sales"]
    assert "failed" in piper("runs", "list", "sales").out
    assert piper("runs", "list", "--from", "2026-11-02", "--to", "2026-11-30", "-o", "json").json[0]["id"] > run.id


def test_a_run_is_cancelled_and_marked(piper: Piper, rows: Rows, run: Run, owner: Owner) -> None:
    assert piper("runs", "cancel", "sales").code == 4, "it has ended already"
    running = rows.run("sales", 1, state=RunState.RUNNING)
    assert piper("runs", "cancel", "sales").code == 0
    assert piper("runs", "mark", str(run.id), "success").err.startswith("marked ")
    assert [sent.event for sent in owner.applied] == [
        MarkRun(running.id, RunState.FAILED, "cancelled"),
        MarkRun(run.id, RunState.SUCCESS),
    ]


def test_what_failed_is_cleared(piper: Piper, run: Run, owner: Owner) -> None:
    dry = piper("runs", "clear", "sales", "--only-failed", "--dry-run")
    assert dry.err == f"would clear 1 task of sales/{run.run_id}\n"
    assert dry.out.splitlines()[1].split() == ["load", "failed"]
    assert owner.applied == []
    cleared = piper("runs", "clear", "sales", "--only-failed", "-o", "json")
    assert [row["task_id"] for row in cleared.json["affected"]] == ["load"]
    piper("tasks", "clear", "sales", "extract", "--downstream", "--version", "pinned")
    assert owner.applied[-1].event == Clear(run.id, (InstanceRef("extract"), InstanceRef("load")))


def test_tasks_are_marked(piper: Piper, run: Run, owner: Owner) -> None:
    assert piper("tasks", "mark", "sales", "load", "--state", "success").code == 0
    assert owner.applied[-1].event == Mark(run.id, (InstanceRef("load"),), TaskState.SUCCESS)


def test_tasks_are_listed_and_shown_with_their_tries(piper: Piper, run: Run) -> None:
    listed = piper("tasks", "list", "sales", "--state", "failed", "-o", "json").json
    assert [(row["task_id"], row["try_number"]) for row in listed] == [("load", 2)]
    shown = piper("tasks", "show", "sales", "load").out
    assert "tries     2 of 1" in shown
    assert "ValueError: still no" in shown


def test_template_fields_are_shown_as_written_until_they_were_rendered(piper: Piper, rows: Rows, run: Run) -> None:
    raw = piper("tasks", "render", "sales", "extract")
    assert raw.out == "bash_command\n  echo {{ ds }}\n"
    assert "not tried yet" in raw.err
    rows.attempt(run.id << 24, rendered={"bash_command": "echo 2026-11-01"})
    assert piper("tasks", "render", "sales", "extract").out == "bash_command\n  echo 2026-11-01\n"
    data = piper("tasks", "render", "sales", "extract", "-o", "json").json
    assert data["definition"] == {"bash_command": "echo {{ ds }}"}


def test_logs_are_written_for_one_task_or_for_all(piper: Piper, parts: WebParts, run: Run) -> None:
    for ordinal, text in ((0, b"one\n\x1b[31mred\x1b[0m\n"), (1, b"last words\n")):
        writer = parts.logs.begin(log_path((run.id << 24) + ordinal, ordinal + 1), Masker())
        writer.write(text)
        writer.close()
    one = piper("tasks", "logs", "sales", "extract")
    assert one.out == "one\n\\x1b[31mred\\x1b[0m\n", "a log cannot drive the terminal"
    every = piper("tasks", "logs", "sales")
    assert every.out.splitlines() == [
        "extract │ one",
        "extract │ \\x1b[31mred\\x1b[0m",
        "load    │ last words",
    ]
    timed = piper("tasks", "logs", "sales", "load", "--times").out
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z last words\n", timed)
    followed = piper("tasks", "logs", "sales", "-f")
    assert sorted(followed.out.splitlines()) == sorted(every.out.splitlines())
    assert piper("tasks", "logs", "sales", "load", "-f").out == "last words\n"
    lines = piper("tasks", "logs", "sales", "load", "-o", "yaml").yaml
    assert [(line["task_id"], line["text"]) for line in lines] == [("load", "last words")]


def test_the_logs_of_a_mapped_task_are_written_for_all_its_instances(
    piper: Piper, parts: WebParts, rows: Rows, run: Run
) -> None:
    for ordinal in (2, 3):
        rows.instance(run, "copy", TaskState.SUCCESS, ordinal, map_index=ordinal - 2)
        writer = parts.logs.begin(log_path((run.id << 24) + ordinal, 1), Masker())
        writer.write(f"instance {ordinal - 2}\n".encode())
        writer.close()
    written = piper("tasks", "logs", f"{run.id}", "copy", "-o", "json").out.splitlines()
    assert [json.loads(line)["text"] for line in written] == ["instance 0", "instance 1"]


def test_a_task_that_no_pool_can_take_says_so(piper: Piper, rows: Rows, run: Run) -> None:
    rows.instance(run, "extract", TaskState.SCHEDULED, 4, map_index=7, pool="lake", pool_slots=2)
    shown = ("tasks", "show", "sales", "extract", "--map-index", "7")
    assert "there is no pool 'lake': `piper pools set lake SLOTS` makes it" in piper(*shown).out
    piper("pools", "set", "lake", "1")
    assert "pool 'lake' has 1 slot, it wants 2: enlarge the pool" in piper(*shown).out
    piper("pools", "set", "lake", "2")
    assert "waits for" not in piper(*shown).out


def test_executions_are_listed_shown_and_compared(piper: Piper, run: Run) -> None:
    listed = piper("executions", "list", "--workflow", "sales", "-o", "json").json
    assert [row["id"] for row in listed] == [f"{run.id}-1-2", f"{run.id}-1-1"]
    assert '{"rows":3,"lost":1}' in piper("executions", "show", f"{run.id}-1-2").out
    compared = piper("executions", "compare", *(row["id"] for row in listed)).out
    names = [line.split()[0] for line in compared.splitlines()[1:]]
    assert names == ["state", "error", "exit", "metrics.rows", "metrics.lost"]
    assert piper("executions", "compare", listed[0]["id"]).code == 2


def test_the_value_of_a_variable_is_read_from_standard_input(piper: Piper, parts: WebParts, database: Database) -> None:
    assert piper("variables", "set", "key", stdin="secret value\n").err == "set key of team default\n"
    with database.read() as connection:
        assert read_variable(connection, parts.keys, "default", "key") == "secret value"
    assert piper("variables", "list").out.splitlines()[1].split()[:2] == ["key", "default"]
    assert "secret value" not in piper("variables", "show", "key", "-o", "json").out
    assert piper("variables", "delete", "key").code == 0
    assert piper("variables", "delete", "key").code == 3


def test_variables_and_connections_are_imported(
    piper: Piper, parts: WebParts, database: Database, tmp_path: Path
) -> None:
    variables, connections = tmp_path / "v.json", tmp_path / "c.json"
    variables.write_text('{"a": "1", "b": {"c": 2}}')
    connections.write_text('{"db": {"conn_type": "postgres", "host": "h", "password": "p"}}')
    assert piper("variables", "import", str(variables)).err == "set 2 variables\n"
    assert piper("connections", "import", str(connections)).code == 0
    with database.read() as connection:
        assert read_variable(connection, parts.keys, "default", "b") == '{"c":2}'
        assert read_connection(connection, parts.keys, "default", "db")[1].password == "p"


def test_connections_that_airflow_has_exported_are_imported(
    piper: Piper, parts: WebParts, database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "connections.json"
    shop = {"conn_type": "http", "description": None, "login": "me", "password": None, "host": "h", "port": None}
    entries = {"shop": {**shop, "schema": "", "extra": '{"a": 1}'}, "plain": {**shop, "schema": None, "extra": ""}}
    file.write_text(json.dumps(entries))
    assert piper("connections", "import", str(file)).code == 0
    with database.read() as connection:
        assert read_connection(connection, parts.keys, "default", "shop")[1].extra == '{"a":1}'
        assert read_connection(connection, parts.keys, "default", "plain")[0].login == "me"
    file.write_text('{"shop": {"conn_type": "http", "extra": "a=1"}}')
    done = piper("connections", "import", str(file))
    assert (done.code, "the extra of 'shop' is a text, and no JSON" in done.err) == (2, True)


def test_a_connection_is_set_with_its_password_from_standard_input(
    piper: Piper, parts: WebParts, database: Database
) -> None:
    done = piper("connections", "set", "db", "--type", "postgres", "--host", "h", "--password", stdin="pw\n")
    assert done.code == 0
    with database.read() as connection:
        assert read_connection(connection, parts.keys, "default", "db")[1].password == "pw"
    piper("connections", "set", "db", "--type", "postgres", "--host", "other")
    shown = piper("connections", "show", "db", "-o", "json").json
    assert (shown["host"], shown["has_secret"]) == ("other", True)
    assert piper("connections", "list").out.splitlines()[1].split()[:3] == ["db", "postgres", "other"]
    assert piper("connections", "delete", "db").code == 0


def test_pools_are_set_listed_and_deleted(piper: Piper) -> None:
    assert piper("pools", "set", "db", "1", "--description", "one writer").err == "set db: 1 slots\n"
    assert piper("pools", "set", "any", "--", "-1").err == "set any: no limit\n"
    assert "one writer" in piper("pools", "list").out
    assert piper("pools", "delete", "db").code == 0
    assert piper("pools", "delete", "default_pool").code == 4


def test_broken_files_are_told_by_bundle_and_exit_code(piper: Piper, rows: Rows) -> None:
    assert piper("bundles", "errors").code == 0
    rows.add(schema.bundle, name="dags", team="red", kind="folder", location="/x")
    rows.add(
        schema.source_file,
        bundle="dags",
        path="a.py",
        team="red",
        hash="h",
        imports=[],
        error="SyntaxError: invalid syntax\n\nTraceback …",
        error_line=7,
        failed_at=THEN,
    )
    errors = piper("bundles", "errors")
    assert errors.code == 1
    assert errors.out.splitlines()[1].startswith("a.py:7")
    assert "SyntaxError: invalid syntax" in errors.out
    assert "Traceback" not in errors.out
    assert piper("bundles", "list", "-o", "json").json[0]["broken"] == 1
    assert piper("bundles", "refresh", "dags").code == 0


def test_the_audit_is_searched_and_verified(piper: Piper, database: Database) -> None:
    piper("pools", "set", "db", "1")
    found = piper("audit", "search", "--action", "pool.", "-o", "json").json
    assert [(row["action"], row["object_id"]) for row in found] == [("pool.set", "db")]
    assert "intact" in piper("audit", "verify").out
    with database.write() as connection:
        lift_guards(connection)
        connection.execute(schema.audit.update().values(principal="someone else"))
    broken = piper("audit", "verify")
    assert broken.code == 1
    assert "broken at row 1" in broken.out


def hello_bash() -> DAG:
    with DAG("hello_bash", auto_register=False) as dag:
        BashOperator(task_id="say", bash_command="echo hello")
    return dag


def test_the_cluster_and_the_catalogue_are_shown(piper: Piper, rows: Rows) -> None:
    [about] = operator_schemas([hello_bash()]).values()
    rows.add(schema.operator, path="x.Y", bundle="dags", schema=about)
    assert piper("operators", "list").out.splitlines()[1].split() == ["x.Y", "dags"]
    shown = piper("operators", "show", "x.Y").out.splitlines()
    assert "Runs a bash command" in shown[2]
    assert ["bash_command", "yes", "string", "the", "command,"] in [line.split()[:5] for line in shown]
    assert ["env", "no", "object", "or", "null"] in [line.split()[:5] for line in shown]
    unknown = piper("operators", "show", "Y")
    assert unknown.code == 3
    assert "did you mean 'x.Y'?" in unknown.err
    assert "256 shards have no owner" in piper("cluster", "show").err
    assert piper("cluster", "show", "-o", "json").json["members"] == []
