"""Triggers in real processes: what they say arrives once, and what is wrong with them fails their task alone."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from piper.model.errors import StoreUnavailable
from piper.model.events import TriggerFired
from piper.model.states import RunState, TaskState
from piper.model.wire import MAX_WAIT, Reply
from piper.sdk.execution import serde
from piper.sdk.loader import module_name
from piper.store.variables import write_variable
from piper.task_api import problems
from tests.integration.triggerer.station import Station
from tests.world import KEYS, NOW


def test_a_trigger_fires_once_with_what_it_says_first(station: Station, run: int) -> None:
    identity = station.defer(run, "waits.After", {"seconds": 0.01, "payload": {"n": [1, None]}})
    assert station.fire_of(identity) == TriggerFired(identity, {"n": [1, None]})
    station.resolve(identity, state=TaskState.SUCCESS)
    station.eventually(lambda: not station.service._triggers)
    assert len(station.fires()) == 1


def test_without_triggers_there_is_no_process(station: Station) -> None:
    station.service.signal.set()
    station.eventually(lambda: not station.service.signal.take())
    assert station.children() == []


def test_a_class_may_be_defined_in_the_file_of_the_workflow(station: Station, run: int) -> None:
    (station.snapshot / "f.py").write_bytes((station.snapshot / "waits.py").read_bytes())
    identity = station.defer(run, f"{module_name('f.py')}.After", {"payload": 1})
    assert station.fire_of(identity).payload == 1


def test_lines_of_triggers_stand_in_the_logs_of_their_tasks(station: Station, run: int) -> None:
    first, second = (station.defer(run, "waits.Talks") for _ in range(2))
    for identity in (first, second):
        station.fire_of(identity)
        task_id = station.world.row(identity.instance).task_id
        assert station.log(identity) == ["printed", f"logged by {task_id}", "printed in a thread"]


def test_a_trigger_asks_as_a_task_does_and_its_secrets_are_masked(station: Station, run: int) -> None:
    with station.world.database.write() as connection:
        write_variable(connection, KEYS, "red", "colour", "green", None, NOW)
        write_variable(connection, KEYS, "red", "my_password", "hunter2!", None, NOW)
    identity = station.defer(run, "waits.Asks")
    assert station.fire_of(identity).payload == ["green", "green"]
    assert station.log(identity) == ["the secret is ***"]


def test_a_trigger_sees_no_variables_of_piper_and_no_server_code(
    station: Station, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = station.defer(run, "waits.Sees")
    seen = station.fire_of(identity).payload
    assert seen["environment"] == []
    assert seen["modules"] == []
    assert seen["folder"] == str(station.snapshot / "waits.py")


def test_a_trigger_may_end_its_task_and_leave_values_behind(station: Station, run: int) -> None:
    good = station.defer(run, "waits.Ends", {"how": "success"})
    skipped = station.defer(run, "waits.Ends", {"how": "skip"})
    assert station.fire_of(good).end_state is TaskState.SUCCESS
    assert station.fire_of(skipped).end_state is TaskState.SKIPPED
    task_id = station.world.row(good.instance).task_id
    assert station.world.xcoms()[task_id, "answer", -1] == b"42"
    (attempt,) = station.world.attempts(good.instance)
    assert (attempt.state, attempt.ended_at is not None) == (TaskState.SUCCESS, True)


# --- what installed triggers do ------------------------------------------------------------------


def test_installed_triggers_share_a_process_that_loads_no_file(station: Station, run: int, tmp_path: Path) -> None:
    soon = serde.to_json({"moment": datetime.now(UTC) + timedelta(seconds=0.2)})
    moment = station.defer(run, "piper.operators.triggers.temporal.DateTimeTrigger", soon, snapshot="none such")
    path = tmp_path / "wanted.csv"
    looking = {"filepath": str(path), "poke_interval": 0.02}
    file = station.defer(run, "piper.operators.triggers.file.FileTrigger", looking)
    assert station.fire_of(moment).error == ""
    path.touch()
    assert station.fire_of(file).payload is True
    assert len(station.children()) == 1


def test_many_triggers_that_wait_for_one_run_ask_as_one(station: Station, run: int) -> None:
    wanted = {"external_dag_id": "flow", "run_ids": ["r1"], "poke_interval": 0.2, "allowed_states": ["success"]}
    waiting = [station.defer(run, "piper.operators.triggers.external_task.WorkflowTrigger", wanted) for _ in range(200)]
    station.eventually(lambda: len(station.asked) > 5)
    station.world.change_run(run, state=RunState.SUCCESS)
    for identity in waiting:
        assert station.fire_of(identity).payload == {"status": "success"}
    questions = [call for call in station.asked if type(call.request).__name__ == "CountRuns"]
    assert len(questions) < 100, "two hundred triggers that look five times a second"


def test_a_trigger_that_asks_for_what_is_not_there_fails(station: Station, run: int) -> None:
    wanted = {"external_dag_id": "flow", "external_task_group_id": "none", "run_ids": ["r1"], "poke_interval": 0.1}
    identity = station.defer(run, "piper.operators.triggers.external_task.WorkflowTrigger", wanted)
    assert "has no task group 'none'" in station.fire_of(identity).error


# --- what is wrong with triggers -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "arguments", "error"),
    [
        ("waits.Raises", None, "ValueError: no such queue"),
        ("waits.SaysNothing", None, "RuntimeError: SaysNothing ended without an event"),
        ("waits.IsNoGenerator", None, "must be an async generator"),
        ("waits.YieldsText", None, "yields str, which is no TriggerEvent"),
        ("waits.SaysTheUnsayable", None, "TypeError"),
        ("waits.Exits", None, "a trigger may not end its process: SystemExit(3)"),
        ("waits.CancelsItself", None, "CancelledError"),
        ("waits.NoTrigger", None, "is no trigger"),
        ("waits.Missing", None, "module waits has no Missing"),
        ("nowhere.Trigger", None, "No module named 'nowhere'"),
        ("nothing", None, "is no dotted path"),
        (
            "piper.operators.triggers.file.FileTrigger",
            {"no_such": 1},
            "missing 1 required positional argument: 'filepath'",
        ),
        ("piper.operators.bash.BashOperator", None, "is no trigger"),
        ("waits.After", [1], "must be a mapping"),
    ],
)
def test_what_is_wrong_with_a_trigger_fails_its_task_and_no_other(
    station: Station, run: int, path: str, arguments: object, error: str
) -> None:
    well = station.defer(run, "waits.After", {"payload": "well"})
    identity = station.defer(run, path, arguments)
    fired = station.fire_of(identity)
    assert error in fired.error
    assert station.fire_of(well).payload == "well"


def test_an_event_of_a_gigabyte_is_refused_where_it_is_made(station: Station, run: int) -> None:
    identity = station.defer(run, "waits.SaysTooMuch")
    assert f"more than {MAX_WAIT:,} bytes" in station.fire_of(identity).error


def test_a_traceback_stands_in_the_log_of_the_task(station: Station, run: int) -> None:
    identity = station.defer(run, "waits.Raises")
    station.fire_of(identity)
    assert any("no such queue" in line for line in station.log(identity))
    assert any('waits.py"' in line for line in station.log(identity))


# --- the end of a wait ---------------------------------------------------------------------------


def notes(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def test_a_trigger_whose_task_was_marked_stops_what_it_started(station: Station, run: int, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    identity = station.defer(run, "waits.Never", {"notes": str(path)})
    station.eventually(lambda: notes(path))
    station.resolve(identity, state=TaskState.FAILED)
    station.eventually(lambda: notes(path) == ["run", "on_kill", "cleanup"])
    assert station.fires() == []


def test_a_trigger_that_has_waited_too_long_only_cleans_up(station: Station, run: int, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    identity = station.defer(run, "waits.Never", {"notes": str(path)})
    station.eventually(lambda: notes(path))
    station.resolve(identity, state=TaskState.SCHEDULED, leg=identity.leg + 1)
    station.eventually(lambda: notes(path) == ["run", "cleanup"])


def test_a_triggerer_that_leads_no_more_lets_its_triggers_clean_up(station: Station, run: int, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    station.defer(run, "waits.Never", {"notes": str(path)})
    station.eventually(lambda: notes(path))
    station.term.leads = False
    station.service.signal.set()
    station.eventually(lambda: notes(path) == ["run", "cleanup"])
    station.eventually(lambda: not station.service._dismissed)
    station.term.leads = True
    station.service.signal.set()
    station.eventually(lambda: notes(path) == ["run", "cleanup", "run"])


# --- the end of a process ------------------------------------------------------------------------


class TestBlocking:
    @pytest.fixture
    def patience(self) -> float:
        return 1.0

    def test_a_trigger_that_blocks_is_named_and_the_others_go_on_elsewhere(
        self, station: Station, run: int, tmp_path: Path
    ) -> None:
        path = tmp_path / "there"
        other = station.defer(run, "waits.OnceThere", {"path": str(path)})
        (first,) = station.eventually(station.children)
        blocking = station.defer(run, "waits.Blocks")
        fired = station.fire_of(blocking)
        assert "its trigger waits.Blocks kept all triggers of its process waiting for more than 1 s" in fired.error
        assert any("waits.py" in line and "run" in line for line in station.log(blocking)), "it says where"
        path.touch()
        assert station.fire_of(other).payload != first

    def test_the_next_trigger_of_that_class_blocks_only_its_like(
        self, station: Station, run: int, tmp_path: Path
    ) -> None:
        path = tmp_path / "there"
        station.fire_of(station.defer(run, "waits.Blocks"))
        other = station.defer(run, "waits.OnceThere", {"path": str(path)})
        again = station.defer(run, "waits.Blocks")
        station.eventually(lambda: len(station.children()) == 2)
        before = set(station.children())
        station.fire_of(again)
        path.touch()
        assert station.fire_of(other).payload in before

    def test_a_process_that_is_stopped_is_replaced_and_nobody_is_blamed(
        self, station: Station, run: int, tmp_path: Path
    ) -> None:
        path = tmp_path / "there"
        identity = station.defer(run, "waits.OnceThere", {"path": str(path)})
        (pid,) = station.eventually(station.children)
        station.eventually(lambda: station.service._children and _has_begun(station))
        os.kill(pid, signal.SIGSTOP)
        station.eventually(lambda: station.children() not in ([], [pid]))
        path.touch()
        assert station.fire_of(identity).error == ""


def _has_begun(station: Station) -> bool:
    return all(child.process.read_mark().beats > 1 for child in station.service._children.values())


def test_triggers_of_a_killed_process_begin_anew(station: Station, run: int, tmp_path: Path) -> None:
    path = tmp_path / "there"
    identity = station.defer(run, "waits.OnceThere", {"path": str(path)})
    (pid,) = station.eventually(station.children)
    station.eventually(lambda: _has_begun(station))
    os.kill(pid, signal.SIGKILL)
    station.eventually(lambda: station.children() not in ([], [pid]))
    path.touch()
    assert station.fire_of(identity).payload != pid


def test_a_trigger_that_ends_its_process_fails_in_the_end_and_others_do_not(
    station: Station, run: int, tmp_path: Path
) -> None:
    path = tmp_path / "there"
    other = station.defer(run, "waits.OnceThere", {"path": str(path)})
    dying = station.defer(run, "waits.Dies")
    error = station.fire_of(dying).error
    assert error == "the process of its trigger waits.Dies exited with code 7, 3 times while this trigger ran"
    path.touch()
    assert station.fire_of(other).error == ""


def test_what_fired_while_the_database_could_not_be_used_is_reported_later(
    station: Station, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refused = station.world.api.handle, []

    def handle(calls):
        if len(refused) < 2:
            refused.append(calls)
            return [Reply(call.id, problem=problems.problem_of(StoreUnavailable("not now"))) for call in calls]
        return real(calls)

    monkeypatch.setattr(station.world.api, "handle", handle)
    identity = station.defer(run, "waits.After", {"payload": 1})
    assert station.fire_of(identity).payload == 1
    assert len(refused) == 2
