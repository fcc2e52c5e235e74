"""XComs through the Task API: where they are put, how they are read, what is refused."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from piper.model import wire
from piper.model.events import Succeeded
from piper.model.run import Identity
from piper.model.spec import ResultLength, TaskSpec
from piper.model.states import TaskState
from piper.store.database import Database
from piper.store.schema import xcom
from piper.store.xcoms import artifacts_in_use, span_of_values
from piper.task_api import questions
from tests.world import NOW, World

SOURCE = TaskSpec(task_id="source", operator="P")
READER = TaskSpec(task_id="reader", operator="P", reads=(("source", "return_value"), ("source", "other")))
MAPPED = TaskSpec(task_id="mapped", operator="P", mapped=ResultLength("source"), reads=(("source", "return_value"),))
LIMIT = 4 << 20


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    world = World(database, tmp_path, max_value=LIMIT)
    world.add_workflow(SOURCE, READER, MAPPED)
    return world


def running(world: World, number: int, task_id: str = "reader", **values: Any) -> Identity:
    identity = world.add_instance(number, task_id, **values)
    world.start(identity)
    return identity


def get(world: World, asker: Identity, task_id: str = "source", key: str = "return_value", **values: Any) -> Any:
    return world.ask(asker, wire.GetXCom(task_id, key, **values), wire.XComFound)


SHORT: list[object] = [None, 0, "text", [1, 2, 3], {"a": {"b": []}}, "ü" * 50]
LONG = [{"row": number, "text": "x" * 100} for number in range(2000)]


@pytest.mark.parametrize("value", [*SHORT, LONG])
def test_a_value_comes_back_as_it_was_pushed(world: World, value: object) -> None:
    number = world.add_run()
    world.push(number, "source", value)
    found = get(world, running(world, number))
    assert msgspec.json.decode(found.value) == value
    assert found.length == (len(value) if isinstance(value, list | dict) else None)


def test_a_value_is_kept_as_text_to_the_last_space(world: World) -> None:
    number = world.add_run()
    world.push(number, "source", b' {"a" : 1.50, "a": 2}\n')
    assert get(world, running(world, number)).value == b' {"a" : 1.50, "a": 2}\n'


def test_a_long_value_lies_in_the_artifact_store(world: World) -> None:
    number = world.add_run()
    world.push(number, "source", LONG)
    with world.database.read() as connection:
        row = connection.execute(xcom.select()).one()
        assert row.value is None
        assert artifacts_in_use(connection, [row.artifact, "0" * 64]) == {row.artifact}
    assert msgspec.json.decode(world.artifacts.read(row.artifact)) == LONG


def test_what_was_never_pushed_is_nothing(world: World) -> None:
    number = world.add_run()
    world.push(number, "source", 1)
    asker = running(world, number)
    assert get(world, asker, key="other").value is None
    assert get(world, asker, "nobody").value is None
    assert get(world, asker, map_index=0).value is None


@pytest.mark.parametrize("value", [[10, "x", None], LONG], ids=["inline", "artifact"])
def test_an_element_of_a_list_is_had_alone(world: World, value: list[object]) -> None:
    number = world.add_run()
    world.push(number, "source", value)
    asker = running(world, number)
    for element in (0, 1, len(value) - 1):
        found = get(world, asker, element=element)
        assert (msgspec.json.decode(found.value), found.length, found.key) == (value[element], len(value), None)
    for element in (-1, len(value)):
        found = get(world, asker, element=element)
        assert (found.value, found.length) == (None, len(value))


@pytest.mark.parametrize("size", [3, 5000], ids=["inline", "artifact"])
def test_an_entry_of_a_dict_has_its_key(world: World, size: int) -> None:
    value = {f'k"{number}': {"n": number} for number in range(size)}
    number = world.add_run()
    world.push(number, "source", value)
    found = get(world, running(world, number), element=size - 1)
    assert (found.key, msgspec.json.decode(found.value), found.length) == (
        f'k"{size - 1}',
        {"n": size - 1},
        size,
    )


@pytest.mark.parametrize("size", [3, 20_000], ids=["inline", "artifact"])
def test_a_tuple_has_elements(world: World, size: int) -> None:
    envelope = {"__classname__": "builtins.tuple", "__version__": 1, "__data__": list(range(size))}
    number = world.add_run()
    world.push(number, "source", msgspec.json.encode(envelope))
    assert get(world, running(world, number), element=size - 1).value == str(size - 1).encode()


@pytest.mark.parametrize("value", [7, "x" * 100_000], ids=["inline", "artifact"])
def test_a_single_value_has_no_elements(world: World, value: object) -> None:
    number = world.add_run()
    world.push(number, "source", value)
    assert get(world, running(world, number), element=0).value is None


def test_a_value_over_the_limit_is_refused_and_nothing_of_the_report_is_stored(world: World) -> None:
    identity = running(world, world.add_run(), "source")
    large = wire.XComPush("return_value", b'"' + b"x" * LIMIT + b'"')
    reply = world.report(Succeeded(identity), wire.XComPush("small", b"1"), large)
    assert reply.problem is not None
    assert reply.problem.kind == "too_large"
    assert "'return_value' has 4,194,306 bytes, 4,194,304 are allowed" in reply.problem.message
    assert (world.events(), world.xcoms()) == ([], {})
    assert world.report(Succeeded(identity), wire.XComPush("small", b"1")).problem is None


@pytest.mark.parametrize("text", [b"", b"NaN", b"[1", b'"\xff"', b"[" * 50_000, b"(dp0\n."])
def test_what_is_not_json_is_refused(world: World, text: bytes) -> None:
    identity = running(world, world.add_run(), "source")
    assert world.problem(identity, wire.PushXCom(wire.XComPush("k", text))).kind == "invalid"
    assert world.xcoms() == {}


def test_a_full_artifact_store_is_no_fault_of_the_task(world: World, tmp_path: Path) -> None:
    identity = running(world, world.add_run(), "source")
    (tmp_path / "artifacts").write_bytes(b"no folder can be made here")
    assert (
        world.problem(identity, wire.PushXCom(wire.XComPush("k", b'"' + b"x" * 100_000 + b'"'))).kind == "unavailable"
    )


def test_a_running_task_pushes_for_itself_and_the_last_value_stands(world: World) -> None:
    number = world.add_run()
    identity = running(world, number, map_index=4)
    for value in (b"1", b"2"):
        assert world.say(identity, wire.PushXCom(wire.XComPush("k", value))).problem is None
    assert world.xcoms() == {("reader", "k", 4): b"2"}


def test_nobody_pushes_before_the_start_or_after_the_report(world: World) -> None:
    identity = world.add_instance(world.add_run(), "source")
    push = wire.PushXCom(wire.XComPush("k", b"1"))
    assert world.problem(identity, push).kind == "stale"
    world.start(identity)
    world.report(Succeeded(identity))
    assert world.problem(identity, push).kind == "stale"
    assert world.problem(identity, wire.GetXCom("source", "k")).kind == "stale"


# --- what is handed over with the start ---------------------------------------------------------


def test_small_values_that_a_task_reads_come_with_its_start(world: World) -> None:
    number = world.add_run()
    world.push(number, "source", {"n": 1})
    context = world.start(world.add_instance(number, "reader"))
    assert context.xcoms == {"source/return_value": b'{"n":1}'}


def test_longer_values_are_left_to_be_asked_for(world: World) -> None:
    number = world.add_run()
    world.push(number, "source", "x" * 9000)
    world.push(world.add_run(run_id="r2"), "source", "of another run")
    assert world.start(world.add_instance(number, "reader")).xcoms == {}


@pytest.mark.parametrize("value", [["a", "b", "c"], LONG], ids=["inline", "artifact"])
def test_a_mapped_instance_gets_its_own_element_with_its_start(world: World, value: list[object]) -> None:
    number = world.add_run()
    world.push(number, "source", value)
    instances = [world.add_instance(number, "mapped", map_index=index) for index in range(3)]
    replies = world.handle(*(world.call(one, wire.Start("n", "w")) for one in instances))
    contexts = [msgspec.convert(reply.result, wire.TaskContext) for reply in replies]
    elements = [context.element for context in contexts]
    assert [element and msgspec.json.decode(element.value or b"") for element in elements] == value[:3]
    assert {element and element.length for element in elements} == {len(value)}
    assert all(context.xcoms == {} for context in contexts)


@pytest.mark.parametrize("size", [2_000, 10_000], ids=["short enough to hand over whole", "long"])
def test_each_instance_is_sent_its_element_and_never_the_list(world: World, size: int) -> None:
    number = world.add_run()
    world.push(number, "source", [7] * size)
    instances = [world.add_instance(number, "mapped", map_index=index) for index in range(0, size, size // 50)]
    replies = world.api.handle([world.call(one, wire.Start("n", "w")) for one in instances])
    sent = [len(msgspec.msgpack.encode(reply)) for reply in replies]
    assert len(sent) == 50
    assert max(sent) < 1_000


def test_an_element_too_long_to_hand_over_is_asked_for(world: World) -> None:
    number = world.add_run()
    world.push(number, "source", ["x" * 70_000])
    identity = world.add_instance(number, "mapped", map_index=0)
    assert world.start(identity).element is None
    assert len(get(world, identity, element=0).value) == 70_002


def test_an_artifact_that_is_gone_fails_the_question_not_the_start(world: World) -> None:
    number = world.add_run()
    world.push(number, "source", LONG)
    with world.database.read() as connection:
        artifact = connection.execute(xcom.select()).one().artifact
    assert world.artifacts.collect(int(artifact[:2], 16), math.inf, lambda _: set()) == 1
    identity = world.add_instance(number, "mapped", map_index=0)
    assert world.start(identity).element is None
    assert world.problem(identity, wire.GetXCom("source", "return_value")).kind == "not_found"
    assert world.problem(identity, wire.GetXCom("source", "return_value", element=0)).kind == "not_found"


# --- mapped tasks, other runs -------------------------------------------------------------------


def pages(world: World, asker: Identity, **values: Any) -> wire.XComsFound:
    found: wire.XComsFound = world.ask(asker, wire.GetXComs("source", "return_value", **values), wire.XComsFound)
    return found


def test_the_values_of_a_mapped_task_come_in_pages_in_order_of_map_index(world: World) -> None:
    number = world.add_run()
    for index in (7, 0, 3, 12):
        world.push(number, "source", index * 10, map_index=index)
    asker = running(world, number)
    assert pages(world, asker) == wire.XComsFound(4, ((0, b"0"), (3, b"30"), (7, b"70"), (12, b"120")))
    assert pages(world, asker, start=1, stop=3) == wire.XComsFound(4, ((3, b"30"), (7, b"70")))
    assert pages(world, asker, start=3, stop=99) == wire.XComsFound(4, ((12, b"120"),))
    assert pages(world, asker, start=9) == wire.XComsFound(4, ())


def test_an_unmapped_task_has_one_value(world: World) -> None:
    number = world.add_run()
    asker = running(world, number)
    assert pages(world, asker) == wire.XComsFound(0, ())
    world.push(number, "source", "alone")
    assert pages(world, asker) == wire.XComsFound(1, ((-1, b'"alone"'),))


def test_a_page_of_long_values_is_cut_but_never_empty(world: World) -> None:
    number = world.add_run()
    for index in range(3):
        world.push(number, "source", "x" * (3 << 20), map_index=index)
    asker = running(world, number)
    first = pages(world, asker)
    assert (first.total, [index for index, _ in first.values]) == (3, [0])
    assert [index for index, _ in pages(world, asker, start=1).values] == [1]


def test_no_more_is_read_of_many_values_than_is_sent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "PAGE_BYTES", 1 << 20)
    number = world.add_run()
    value = "x" * (60 << 10)
    for index in range(40):
        world.push(number, "source", value, map_index=index)
    with world.database.read() as connection:
        read = span_of_values(connection, number, "source", "return_value", 0, 1000, room=1 << 20)
        assert len(read) == 17, "60 KiB each, and two quotes"
        assert len(span_of_values(connection, number, "source", "return_value", 38, 1000, room=1)) == 1
    asker = running(world, number)
    seen: list[int] = []
    while len(seen) < 40:
        seen += [index for index, _ in pages(world, asker, start=len(seen)).values]
    assert seen == list(range(40))


def test_xcoms_of_another_run_are_read_by_its_id(world: World) -> None:
    world.push(world.add_run(run_id="before"), "source", "before")
    asker = running(world, world.add_run(run_id="now"))
    assert get(world, asker).value is None
    assert get(world, asker, run_id="before").value == b'"before"'
    assert get(world, asker, run_id="never").value is None


def test_prior_dates_are_searched_backwards_from_the_own_date(world: World) -> None:
    for day, value in enumerate(("oldest", "latest", None, "too late")):
        number = world.add_run(run_id=f"d{day}", logical_date=NOW + timedelta(days=day))
        if value is not None:
            world.push(number, "source", value)
    with world.database.read() as connection:
        asker_run = connection.exec_driver_sql("SELECT id FROM run WHERE run_id = 'd2'").scalar_one()
    asker = running(world, asker_run)
    assert get(world, asker).value is None
    assert get(world, asker, include_prior_dates=True).value == b'"latest"'


def test_xcoms_of_another_team_do_not_exist(world: World) -> None:
    world.add_workflow(TaskSpec(task_id="source", operator="P"), workflow_id="theirs", team="blue")
    world.push(world.add_run("theirs", logical_date=NOW), "source", "secret")
    asker = running(world, world.add_run(logical_date=NOW))
    for question in (
        wire.GetXCom("source", "return_value", workflow_id="theirs", run_id="r1"),
        wire.GetXCom("source", "return_value", workflow_id="theirs"),
        wire.GetXCom("source", "return_value", workflow_id="theirs", include_prior_dates=True),
    ):
        assert world.ask(asker, question, wire.XComFound).value is None
    assert world.ask(asker, wire.GetXComs("source", "return_value", workflow_id="theirs"), wire.XComsFound).total == 0


def test_a_retry_of_a_mapped_instance_leaves_the_others_values_alone(world: World) -> None:
    number = world.add_run()
    for index in range(5):
        world.push(number, "source", index, map_index=index)
    again = world.add_instance(number, "source", map_index=9, try_number=2)
    with world.database.write() as connection:
        connection.execute(
            xcom.insert().values(
                run=number, task_id="source", key="return_value", map_index=9, value=b"9", created_at=NOW
            )
        )
    world.start(again)
    assert set(world.xcoms()) == {("source", "return_value", index) for index in range(5)}
    assert world.state(again.instance) is TaskState.RUNNING
