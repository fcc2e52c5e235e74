"""Logs and the events of a run, as pages and live, over a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import sqlalchemy

from piper.logs import LogWriter, Masker
from piper.model.errors import StoreUnavailable
from piper.model.ids import instance_id, log_path
from piper.model.run import Run
from piper.model.states import RunState, TaskState
from piper.store.database import Database
from piper.web.following import PAUSE_PER_TASK, RunFollower
from piper.web.parts import WebParts
from piper.web.server import WebServer
from tests.clock import FakeClock
from tests.integration.web.conftest import Caller
from tests.integration.web.rows import Rows

STREAM = {"Accept": "text/event-stream"}


def events(reply: httpx.Response) -> Iterator[tuple[str, Any, str]]:
    """(event, data, id) of a stream."""
    event: dict[str, str] = {}
    for line in reply.iter_lines():
        field, _, value = line.partition(": ")
        if line == "" and event:
            yield event.get("event", ""), json.loads(event["data"]), event.get("id", "")
            event = {}
        elif field in ("event", "data", "id"):
            event[field] = value


@pytest.fixture
def run(rows: Rows) -> Run:
    """A run with one running task."""
    rows.workflow("sales")
    run = rows.run("sales", state=RunState.RUNNING)
    rows.instance(run, "say", TaskState.RUNNING)
    return run


@pytest.fixture
def log(parts: WebParts, run: Run) -> Iterator[LogWriter]:
    """Writes the log of the task's first try."""
    writer = parts.logs.begin(log_path(instance_id(run.id, 0), 1), Masker())
    yield writer
    writer.close()


def texts(data: Any) -> list[str]:
    return [line["text"] for line in data["lines"]]


def test_a_log_is_read_in_pages(root: httpx.Client, run: Run, log: LogWriter) -> None:
    for number in range(100):
        log.write(f"line {number}\n".encode())
    path = f"/api/v1/runs/{run.id}/tasks/say/logs"
    seen: list[str] = []
    offset = 0
    while True:
        page = root.get(path, params={"offset": offset, "limit": 1024}).json()
        seen += texts(page)
        if page["next"] == offset:
            break
        offset = page["next"]
    assert seen == [f"line {number}" for number in range(100)]
    assert page["ended"] is False
    assert page["try_number"] == 1


def test_a_log_has_ended_when_its_try_is_over_and_all_is_read(
    root: httpx.Client, rows: Rows, run: Run, log: LogWriter
) -> None:
    log.write(b"hello\n")
    rows.change_instance(instance_id(run.id, 0), state=TaskState.SUCCESS)
    page = root.get(f"/api/v1/runs/{run.id}/tasks/say/logs").json()
    assert (texts(page), page["ended"]) == (["hello"], True)
    assert page["lines"][0]["kind"] == "out"


def test_a_log_is_followed_line_by_line_until_the_try_is_over(
    root: httpx.Client, rows: Rows, run: Run, log: LogWriter
) -> None:
    log.write(b"one\n")
    with root.stream("GET", f"/api/v1/runs/{run.id}/tasks/say/logs", headers=STREAM) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        stream = events(reply)
        name, data, _ = next(stream)
        assert (name, texts(data)) == ("lines", ["one"])
        log.write(b"two\nthree\n")
        name, data, offset = next(stream)
        assert (name, texts(data)) == ("lines", ["two", "three"])
        rows.change_instance(instance_id(run.id, 0), state=TaskState.SUCCESS)
        assert next(stream) == ("end", {"next": int(offset)}, offset)
        assert list(stream) == []


def test_a_broken_stream_goes_on_where_it_was(root: httpx.Client, rows: Rows, run: Run, log: LogWriter) -> None:
    log.write(b"one\n")
    path = f"/api/v1/runs/{run.id}/tasks/say/logs"
    with root.stream("GET", path, headers=STREAM) as reply:
        _, _, offset = next(events(reply))
    log.write(b"two\n")
    rows.change_instance(instance_id(run.id, 0), state=TaskState.FAILED)
    with root.stream("GET", path, headers=STREAM | {"Last-Event-ID": offset}) as reply:
        assert [texts(data) for name, data, _ in events(reply) if name == "lines"] == [["two"]]


def test_an_earlier_try_has_its_own_log(root: httpx.Client, rows: Rows, run: Run, log: LogWriter) -> None:
    log.write(b"first\n")
    rows.change_instance(instance_id(run.id, 0), try_number=2)
    path = f"/api/v1/runs/{run.id}/tasks/say/logs"
    assert texts(root.get(path).json()) == []
    earlier = root.get(path, params={"try_number": 1}).json()
    assert (texts(earlier), earlier["ended"]) == (["first"], True)
    assert root.get(path, params={"try_number": 3}).status_code == 404


def test_a_task_that_was_never_tried_has_no_log(root: httpx.Client, rows: Rows, run: Run) -> None:
    rows.change_instance(instance_id(run.id, 0), try_number=0, state=TaskState.SCHEDULED)
    reply = root.get(f"/api/v1/runs/{run.id}/tasks/say/logs")
    assert (reply.status_code, "has not been tried yet" in reply.json()["detail"]) == (404, True)


def test_a_run_is_followed_with_its_tasks_and_all_their_lines(
    root: httpx.Client, rows: Rows, run: Run, log: LogWriter
) -> None:
    log.write(b"one\n")
    number = instance_id(run.id, 0)
    with root.stream("GET", f"/api/v1/runs/{run.id}/events", params={"logs": True}, headers=STREAM) as reply:
        stream = events(reply)
        name, data, _ = next(stream)
        assert (name, data["task_id"], data["try_number"], texts(data)) == ("log", "say", 1, ["one"])
        name, data, _ = next(stream)
        assert name == "tasks"
        assert [(task["task_id"], task["state"]) for task in data["tasks"]] == [("say", "running")]
        name, data, _ = next(stream)
        assert (name, data["state"]) == ("run", "running")
        log.write(b"two\n")
        rows.change_instance(number, state=TaskState.SUCCESS)
        rows.change_run(run, state=RunState.SUCCESS)
        rest = list(stream)
    assert [name for name, _, _ in rest] == ["log", "tasks", "run", "end"], "lines come before how their task ended"
    assert [data["tasks"][0]["state"] for name, data, _ in rest if name == "tasks"] == ["success"]
    assert [texts(data) for name, data, _ in rest if name == "log"] == [["two"]]
    assert [data["state"] for name, data, _ in rest if name == "run"] == ["success"]


def test_the_logs_of_tries_that_passed_between_two_looks_are_told(
    root: httpx.Client, rows: Rows, run: Run, parts: WebParts
) -> None:
    number = instance_id(run.id, 0)
    for of_try in (1, 2, 3):
        writer = parts.logs.begin(log_path(number, of_try), Masker())
        writer.write(f"try {of_try}\n".encode())
        writer.close()
    rows.change_instance(number, state=TaskState.FAILED, try_number=3)
    rows.change_run(run, state=RunState.FAILED)
    with root.stream("GET", f"/api/v1/runs/{run.id}/events", params={"logs": True}, headers=STREAM) as reply:
        told = [texts(data) for name, data, _ in events(reply) if name == "log"]
    assert told == [["try 1"], ["try 2"], ["try 3"]]


def test_a_run_is_followed_without_lines_unless_they_are_asked_for(
    root: httpx.Client, rows: Rows, run: Run, log: LogWriter
) -> None:
    log.write(b"one\n")
    rows.change_run(run, state=RunState.SUCCESS)
    with root.stream("GET", f"/api/v1/runs/{run.id}/events", headers=STREAM) as reply:
        assert {name for name, _, _ in events(reply)} == {"tasks", "run", "end"}


def test_the_tasks_of_a_large_run_are_read_the_less_often_the_more_they_are(
    parts: WebParts, rows: Rows, run: Run, database: Database
) -> None:
    for ordinal in range(1, 200):
        rows.instance(run, "many", TaskState.RUNNING, ordinal, map_index=ordinal)
    clock = FakeClock()
    statements: list[str] = []
    sqlalchemy.event.listen(database.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    follower = RunFollower(replace(parts, clock=clock), run.id, with_logs=False)

    def told(kind: str) -> list[dict[str, Any]]:
        return [data for name, data in follower.look() or () if name == kind]

    assert len(told("tasks")[0]["tasks"]) == 200
    rows.change_instance(instance_id(run.id, 7), state=TaskState.SUCCESS)
    statements.clear()
    for _ in range(10):
        assert follower.look() is None
    assert not any("task_instance" in statement for statement in statements)
    clock.advance(200 * PAUSE_PER_TASK)
    assert [task["state"] for task in told("tasks")[0]["tasks"]] == ["success"]
    rows.change_instance(instance_id(run.id, 8), state=TaskState.FAILED)
    rows.change_run(run, state=RunState.FAILED)
    assert [name for name, _ in follower.look() or ()] == ["tasks", "run", "end"], "at once when the run has ended"


def test_the_lines_of_a_task_that_has_come_since_the_last_reading_are_told_under_its_name(
    parts: WebParts, rows: Rows, run: Run
) -> None:
    follower = RunFollower(replace(parts, clock=FakeClock()), run.id, with_logs=True)
    follower.look()
    rows.instance(run, "new", TaskState.RUNNING, 1)
    writer = parts.logs.begin(log_path(instance_id(run.id, 1), 1), Masker())
    writer.write(b"here\n")
    writer.close()
    (name, data), *_ = follower.look() or ()
    assert (name, data["task_id"], texts(data)) == ("log", "new", ["here"])
    (name, data), *_ = follower.look() or ()
    assert (name, [task["task_id"] for task in data["tasks"]]) == ("tasks", ["new"])


def test_a_stream_that_its_client_left_is_forgotten(root: httpx.Client, run: Run, server: WebServer) -> None:
    streams = server.app.state.streams
    with root.stream("GET", f"/api/v1/runs/{run.id}/events", headers=STREAM) as reply:
        stream = events(reply)
        next(stream)
        assert streams.active == 1
    wait_until(lambda: streams.active == 0)


def test_one_stream_more_than_there_may_be_is_refused(
    caller: Caller, run: Run, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.app.state.streams, "limit", 1)
    path = f"/api/v1/runs/{run.id}/events"
    with caller("root").stream("GET", path, headers=STREAM) as reply:
        stream = events(reply)
        next(stream)
        refused = caller("root").get(path, headers=STREAM)
        assert refused.status_code == 503
        assert "Retry-After" in refused.headers
    wait_until(lambda: server.app.state.streams.active == 0)


def test_a_stream_outlives_a_database_that_is_away_for_a_while(
    root: httpx.Client, run: Run, rows: Rows, parts: WebParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    def fail() -> None:
        asked.set()
        raise StoreUnavailable("away")

    with root.stream("GET", f"/api/v1/runs/{run.id}/events", headers=STREAM) as reply:
        stream = events(reply)
        next(stream)
        with monkeypatch.context() as away:
            away.setattr(parts.database, "read", fail)
            assert asked.wait(5)
        rows.instance(run, "more", TaskState.SUCCESS, 1)
        told = next(data for name, data, _ in stream if name == "tasks" and data["tasks"][0]["task_id"] == "more")
        assert told["tasks"][0]["state"] == "success"


def test_a_stream_with_nothing_to_tell_gives_a_sign_of_life(
    root: httpx.Client, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("piper.web.streams._KEEPALIVE_SECONDS", 0.1)
    with root.stream("GET", f"/api/v1/runs/{run.id}/events", headers=STREAM) as reply:
        assert next(line for line in reply.iter_lines() if line.startswith(":")) == ": still here"


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait, for a moment at most, for what another thread does."""
    waiting = threading.Event()
    for _ in range(500):
        if holds():
            return
        waiting.wait(0.01)
    pytest.fail("it did not come about within 5 s")
