"""What a running task may ask of the world, and what it may change: of its own team, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from piper.model import wire
from piper.model.events import Clear, InstanceRef, RunQueued
from piper.model.run import Identity
from piper.model.schedule import AssetKey, AssetTimetable, CronTimetable, Schedule
from piper.model.spec import GroupSpec, TaskSpec
from piper.model.states import RunState, RunType, TaskState
from piper.secrets import Keys, Unreadable
from piper.store.audit import verify
from piper.store.connections import (
    ConnectionSecret,
    ConnectionSettings,
    delete_connection,
    list_connections,
    read_connection,
    write_connection,
)
from piper.store.database import Database
from piper.store.schema import audit as audit_table
from piper.store.schema import connection as connection_table
from piper.store.schema import run, variable
from piper.store.sealed import check_keys, rewrap_all
from piper.store.variables import SHARED, list_variables, write_variable
from tests.world import KEYS, NOW, World


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    world = World(database, tmp_path)
    world.add_workflow(TaskSpec(task_id="t", operator="P"))
    world.add_workflow(
        TaskSpec(task_id="load", operator="P", group="etl"),
        TaskSpec(task_id="clean", operator="P", group="etl.inner"),
        TaskSpec(task_id="end", operator="P"),
        workflow_id="other",
        groups=(GroupSpec("etl"), GroupSpec("etl.inner", parent="etl")),
    )
    world.add_workflow(TaskSpec(task_id="t", operator="P"), workflow_id="theirs", team="blue")
    return world


@pytest.fixture
def asker(world: World) -> Identity:
    identity = world.add_instance(world.add_run(logical_date=NOW))
    world.start(identity)
    return identity


def put_variable(world: World, key: str, value: str, team: str = "red") -> None:
    with world.database.write() as connection:
        write_variable(connection, KEYS, team, key, value, None, NOW)


def get_variable(world: World, asker: Identity, key: str) -> str:
    value: str = world.ask(asker, wire.GetVariable(key), str)
    return value


# --- variables and connections ------------------------------------------------------------------


def test_a_task_reads_and_changes_the_variables_of_its_team(world: World, asker: Identity) -> None:
    assert world.problem(asker, wire.GetVariable("k")).kind == "not_found"
    world.ask(asker, wire.SetVariable("k", "one", "first"), None)
    world.ask(asker, wire.SetVariable("k", "zwei ü"), None)
    assert get_variable(world, asker, "k") == "zwei ü"
    with world.database.read() as connection:
        (shown,) = list_variables(connection, ["red"])
    assert (shown.key, shown.team, shown.description) == ("k", "red", "first")
    world.ask(asker, wire.DeleteVariable("k"), None)
    assert world.problem(asker, wire.GetVariable("k")).kind == "not_found"
    assert world.problem(asker, wire.DeleteVariable("k")).kind == "not_found"


def test_a_variable_of_another_team_does_not_exist(world: World, asker: Identity) -> None:
    put_variable(world, "k", "theirs", team="blue")
    assert world.problem(asker, wire.GetVariable("k")).kind == "not_found"
    assert world.problem(asker, wire.DeleteVariable("k")).kind == "not_found"
    world.ask(asker, wire.SetVariable("k", "mine"), None)
    assert get_variable(world, asker, "k") == "mine"


def test_a_shared_variable_is_read_by_all_and_a_teams_own_comes_first(world: World, asker: Identity) -> None:
    put_variable(world, "k", "everybody's", team=SHARED)
    assert get_variable(world, asker, "k") == "everybody's"
    put_variable(world, "k", "ours")
    assert get_variable(world, asker, "k") == "ours"
    world.ask(asker, wire.DeleteVariable("k"), None)
    assert world.problem(asker, wire.DeleteVariable("k")).kind == "not_found"
    assert get_variable(world, asker, "k") == "everybody's"


def test_no_value_is_readable_in_the_database(world: World, asker: Identity) -> None:
    put_variable(world, "k", "canary-value")
    settings = ConnectionSettings(team="red", conn_id="c", conn_type="http", login="ada")
    with world.database.write() as connection:
        write_connection(connection, KEYS, settings, ConnectionSecret("canary-password", '{"x":"canary-extra"}'), NOW)
    with world.database.read() as connection:
        values = [*connection.execute(variable.select()).one(), *connection.execute(connection_table.select()).one()]
    assert b"canary" not in b"".join(value for value in values if isinstance(value, bytes))
    assert "canary" not in "".join(str(value) for value in values if not isinstance(value, bytes))


def test_a_ciphertext_moved_to_another_row_does_not_open(world: World, asker: Identity) -> None:
    put_variable(world, "mine", "harmless")
    put_variable(world, "theirs", "canary", team="blue")
    with world.database.write() as connection:
        stolen = connection.execute(variable.select().where(variable.c.key == "theirs")).one().value
        connection.execute(variable.update().where(variable.c.key == "mine").values(value=stolen))
    problem = world.problem(asker, wire.GetVariable("mine"))
    assert problem.kind == "invalid"
    assert "canary" not in problem.message


def test_a_connection_comes_with_its_secrets_as_airflow_names_them(world: World, asker: Identity) -> None:
    settings = ConnectionSettings(
        team="red", conn_id="c", conn_type="postgres", host="db", login="ada", schema="s", port=5432, description="d"
    )
    with world.database.write() as connection:
        write_connection(connection, KEYS, settings, ConnectionSecret("pw", '{"sslmode":"require"}'), NOW)
    assert world.ask(asker, wire.GetConnection("c"), dict) == {
        "conn_id": "c",
        "conn_type": "postgres",
        "description": "d",
        "host": "db",
        "login": "ada",
        "password": "pw",
        "schema": "s",
        "port": 5432,
        "extra": '{"sslmode":"require"}',
    }
    assert world.problem(asker, wire.GetConnection("none")).kind == "not_found"


def test_a_connection_changed_without_a_secret_keeps_it(world: World) -> None:
    settings = ConnectionSettings(team="red", conn_id="c", conn_type="http")
    with world.database.write() as connection:
        write_connection(connection, KEYS, settings, ConnectionSecret("pw"), NOW)
        write_connection(
            connection, KEYS, ConnectionSettings(team="red", conn_id="c", conn_type="http", host="h"), None, NOW
        )
        found, secret = read_connection(connection, KEYS, "red", "c")
        assert (found.host, found.has_secret, secret.password) == ("h", True, "pw")
        write_connection(connection, KEYS, settings, ConnectionSecret(), NOW)
        assert [shown.has_secret for shown in list_connections(connection, ["red"])] == [False]
        delete_connection(connection, "red", "c")
        assert list_connections(connection, ["red"]) == []


def test_keys_are_rotated_under_what_is_stored(world: World) -> None:
    put_variable(world, "k", "v")
    new, both = Keys([b"n" * 32]), Keys([b"n" * 32, b"k" * 32])
    settings = ConnectionSettings(team="red", conn_id="c", conn_type="x")
    with world.database.write() as connection:
        write_connection(connection, KEYS, settings, ConnectionSecret("pw"), NOW)
        assert rewrap_all(connection, both) == 2
        check_keys(connection, new)
        _, secret = read_connection(connection, new, "red", "c")
        assert secret.password == "pw"


def test_keys_that_do_not_fit_are_noticed_at_the_start(world: World) -> None:
    with world.database.read() as connection:
        check_keys(connection, Keys([b"x" * 32]))
    put_variable(world, "k", "v")
    with world.database.read() as connection:
        check_keys(connection, KEYS)
        with pytest.raises(Unreadable):
            check_keys(connection, Keys([b"x" * 32]))


# --- runs ---------------------------------------------------------------------------------------


def runs_of(world: World, workflow_id: str) -> list[object]:
    with world.database.read() as connection:
        return list(connection.execute(run.select().where(run.c.workflow_id == workflow_id).order_by(run.c.id)))


def test_a_task_triggers_a_run_of_another_workflow(world: World, asker: Identity) -> None:
    request = wire.TriggerRun("other", "mine", logical_date=NOW, conf={"x": 1}, note="n")
    assert world.ask(asker, request, str) == "mine"
    (made,) = runs_of(world, "other")
    assert (made.state, made.run_type) == (RunState.QUEUED, RunType.OPERATOR_TRIGGERED)  # type: ignore[attr-defined]
    assert (made.logical_date, made.conf, made.note) == (NOW, {"x": 1}, "n")  # type: ignore[attr-defined]
    assert made.triggered_by == "flow/r1/t"  # type: ignore[attr-defined]
    assert world.events() == [RunQueued(made.id)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("values", [{"run_id": "mine"}, {"run_id": "another", "logical_date": NOW}])
def test_a_run_that_exists_is_a_conflict(world: World, asker: Identity, values: dict[str, object]) -> None:
    world.ask(asker, wire.TriggerRun("other", "mine", logical_date=NOW), str)
    assert world.problem(asker, wire.TriggerRun("other", **values)).kind == "conflict"  # type: ignore[arg-type]
    assert len(runs_of(world, "other")) == len(world.events()) == 1


def test_runs_without_a_date_get_names_of_their_own(world: World, asker: Identity) -> None:
    names = {world.ask(asker, wire.TriggerRun("other", run_after=NOW), str) for _ in range(3)}
    assert len(names) == 3


def test_a_triggered_run_is_about_the_interval_of_its_timetable(world: World, asker: Identity) -> None:
    daily = Schedule(CronTimetable(("0 0 * * *",), data_interval=True))
    world.add_workflow(TaskSpec(task_id="t", operator="P"), workflow_id="daily", schedule=daily)
    world.ask(asker, wire.TriggerRun("daily", "x", logical_date=NOW), str)
    (made,) = runs_of(world, "daily")
    midnight = NOW.replace(hour=0)
    assert (made.interval_start, made.interval_end) == (midnight - timedelta(days=1), midnight)  # type: ignore[attr-defined]


def test_an_asset_workflow_can_be_triggered_too(world: World, asker: Identity) -> None:
    assets = Schedule(AssetTimetable(AssetKey("a")))
    world.add_workflow(TaskSpec(task_id="t", operator="P"), workflow_id="fed", schedule=assets)
    assert world.ask(asker, wire.TriggerRun("fed", "x", logical_date=NOW), str) == "x"


def test_an_existing_run_is_cleared_when_that_is_asked_for(world: World, asker: Identity) -> None:
    request = wire.TriggerRun("other", "mine", reset=True)
    assert world.ask(asker, request, str) == "mine"
    assert world.ask(asker, request, str) == "mine"
    (made,) = runs_of(world, "other")
    tasks = tuple(InstanceRef(task_id) for task_id in ("load", "clean", "end"))
    assert world.events() == [RunQueued(made.id), Clear(made.id, tasks)]  # type: ignore[attr-defined]


def test_what_may_not_be_triggered_is_not(world: World, asker: Identity) -> None:
    world.add_workflow(TaskSpec(task_id="t", operator="P"), workflow_id="paused", paused=True)
    world.add_workflow(TaskSpec(task_id="t", operator="P"), workflow_id="gone", stale=True)
    world.add_workflow(
        TaskSpec(task_id="t", operator="P"), workflow_id="scheduled", allowed_run_types=(RunType.SCHEDULED,)
    )
    kinds = {
        workflow_id: world.problem(asker, wire.TriggerRun(workflow_id, fail_when_paused=True)).kind
        for workflow_id in ("paused", "gone", "scheduled", "theirs", "nowhere")
    }
    assert kinds == {
        "paused": "refused",
        "gone": "not_found",
        "scheduled": "conflict",
        "theirs": "not_found",
        "nowhere": "not_found",
    }
    assert world.problem(asker, wire.TriggerRun("other", "../../etc")).kind == "invalid"
    assert world.ask(asker, wire.TriggerRun("paused"), str)


def test_a_run_is_found_by_id_or_date(world: World, asker: Identity) -> None:
    world.add_run("other", "a", logical_date=NOW, state=RunState.SUCCESS)
    world.add_run("theirs", "a", logical_date=NOW)
    found = world.ask(asker, wire.GetRun("other", "a"), wire.RunContext)
    assert (found.run_id, found.state) == ("a", RunState.SUCCESS)
    assert world.ask(asker, wire.GetRun("other", logical_date=NOW), wire.RunContext).run_id == "a"
    for missing in (
        wire.GetRun("other", "b"),
        wire.GetRun("other", logical_date=NOW + timedelta(1)),
        wire.GetRun("theirs", "a"),
    ):
        assert world.ask(asker, missing, wire.RunContext | None) is None
    assert world.problem(asker, wire.GetRun("other")).kind == "invalid"


def test_runs_are_counted_by_date_id_and_state(world: World, asker: Identity) -> None:
    for day in range(4):
        state = RunState.SUCCESS if day % 2 else RunState.FAILED
        for workflow_id in ("other", "theirs"):
            world.add_run(workflow_id, f"d{day}", logical_date=NOW + timedelta(days=day), state=state)
    dates = (NOW, NOW + timedelta(days=1))
    for question, expected in (
        (wire.CountRuns("other"), 4),
        (wire.CountRuns("other", logical_dates=dates), 2),
        (wire.CountRuns("other", logical_dates=dates, states=(RunState.SUCCESS,)), 1),
        (wire.CountRuns("other", run_ids=("d0", "d2", "d9")), 2),
        (wire.CountRuns("theirs"), 0),
    ):
        assert world.ask(asker, question, int) == expected, question


def test_instances_are_counted_by_task_and_group(world: World, asker: Identity) -> None:
    number = world.add_run("other", "a", logical_date=NOW)
    world.add_instance(number, "load", state=TaskState.SUCCESS)
    for index in range(3):
        world.add_instance(number, "clean", map_index=index, state=TaskState.FAILED)
    world.add_instance(number, "end", state=TaskState.SUCCESS)
    world.add_instance(world.add_run("theirs"), team="blue")
    for question, expected in (
        (wire.CountInstances("other", logical_dates=(NOW,)), 5),
        (wire.CountInstances("other", task_ids=("load", "end"), logical_dates=(NOW,)), 2),
        (wire.CountInstances("other", group_id="etl", run_ids=("a",)), 4),
        (wire.CountInstances("other", group_id="etl", run_ids=("a",), states=(TaskState.FAILED,)), 3),
        (wire.CountInstances("other", group_id="etl.inner", run_ids=("a",)), 3),
        (wire.CountInstances("other", run_ids=("b",)), 0),
        (wire.CountInstances("theirs"), 0),
    ):
        assert world.ask(asker, question, int) == expected, question
    assert world.problem(asker, wire.CountInstances("other", group_id="nope")).kind == "not_found"
    assert world.problem(asker, wire.CountInstances("theirs", group_id="etl")).kind == "not_found"


def test_a_workflow_is_found_with_its_tasks_and_groups(world: World, asker: Identity) -> None:
    found = world.ask(asker, wire.FindWorkflow("other"), wire.WorkflowFound)
    assert found == wire.WorkflowFound("other", False, ("load", "clean", "end"), ("etl", "etl.inner"))
    for missing in ("theirs", "nowhere"):
        assert world.ask(asker, wire.FindWorkflow(missing), wire.WorkflowFound | None) is None


def test_the_previous_run_is_by_logical_date(world: World, asker: Identity) -> None:
    previous = wire.RunContext | None
    assert world.ask(asker, wire.GetPreviousRun(), previous) is None
    world.add_run("flow", "older", logical_date=NOW - timedelta(days=2), state=RunState.SUCCESS)
    world.add_run("flow", "old", logical_date=NOW - timedelta(days=1), state=RunState.FAILED)
    world.add_run("flow", "later", logical_date=NOW + timedelta(days=1), state=RunState.SUCCESS)
    assert world.ask(asker, wire.GetPreviousRun(), wire.RunContext).run_id == "old"
    assert world.ask(asker, wire.GetPreviousRun(RunState.SUCCESS), wire.RunContext).run_id == "older"


def test_states_of_the_own_run_are_by_task_and_map_index(world: World, asker: Identity) -> None:
    number = asker.instance >> 24
    for index in range(2):
        world.add_instance(number, "mapped", map_index=index, state=TaskState.SUCCESS)
    states = world.ask(asker, wire.GetInstanceStates(("t", "mapped", "none")), dict[str, dict[int, TaskState]])
    assert states == {"t": {-1: TaskState.RUNNING}, "mapped": {0: TaskState.SUCCESS, 1: TaskState.SUCCESS}}


def test_what_only_a_supervisor_answers_is_not_a_question(world: World, asker: Identity) -> None:
    assert world.problem(asker, wire.Mask(("x",))).kind == "invalid"


def test_one_question_that_fails_leaves_the_others_their_answers(world: World, asker: Identity) -> None:
    put_variable(world, "k", "v")
    stranger = Identity(1 << 40, 1, 0)
    replies = world.handle(
        world.call(asker, wire.GetVariable("none")),
        world.call(stranger, wire.GetVariable("k")),
        world.call(asker, wire.GetVariable("k")),
        world.call(asker, wire.DeleteVariable("none")),
        world.call(asker, wire.SetVariable("new", "1")),
    )
    assert [reply.problem and reply.problem.kind for reply in replies] == [
        "not_found",
        "stale",
        None,
        "not_found",
        None,
    ]
    assert replies[2].result == "v"


def test_what_a_task_changes_is_audited_under_its_name_without_values(world: World, asker: Identity) -> None:
    world.ask(asker, wire.SetVariable("k", "s3cret"), None)
    world.ask(asker, wire.DeleteVariable("k"), None)
    made = world.ask(asker, wire.TriggerRun("other", "r2", conf={"day": 1}), str)
    world.ask(asker, wire.TriggerRun("other", made, reset=True), str)
    with world.database.read() as connection:
        rows = connection.execute(audit_table.select().order_by(audit_table.c.seq)).all()
        assert [chain.broken_at for chain in verify(connection, None)] == [None]
    assert [(row.team, row.action, row.object_id) for row in rows] == [
        ("red", "variable.set", "k"),
        ("red", "variable.delete", "k"),
        ("red", "run.trigger", "other/r2"),
        ("red", "run.clear", "other/r2"),
    ]
    assert {row.principal for row in rows} == {"task flow/r1/t"}
    assert "s3cret" not in str(rows)
    assert rows[2].detail == {"params": ["day"]}


def test_what_a_task_may_not_change_is_not_audited(world: World, asker: Identity) -> None:
    world.problem(asker, wire.TriggerRun("theirs", "r2"))
    with world.database.read() as connection:
        assert connection.execute(audit_table.select()).all() == []
