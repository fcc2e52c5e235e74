"""What a task pushes travels with its report; what it pulls is fetched when it is looked at."""

from __future__ import annotations

from typing import Any

import pytest

from piper.model import wire
from piper.model.events import Succeeded
from piper.model.run import NOT_SIZED
from piper.operators.empty import EmptyOperator
from piper.operators.python import PythonOperator
from piper.sdk.decorators import task, task_group
from piper.sdk.exceptions import XComNotFound
from piper.sdk.execution import xcoms
from piper.sdk.execution.current import Execution
from piper.sdk.execution.xcoms import LazyXComSequence
from piper.sdk.xcom_arg import XComArg
from tests.unit.sdk.execution.stage import MemoryChannel, a_dag, error_of, facts, kinds, perform, pushed, result_of


def calling(function: Any, **arguments: Any) -> PythonOperator:
    with a_dag():
        operator: PythonOperator = PythonOperator(task_id="task", python_callable=function, **arguments)
    return operator


# --- pushing ------------------------------------------------------------------------------------


def test_a_returned_value_is_part_of_the_report_with_its_length() -> None:
    report = perform(calling(lambda: [1, 2, 3]))
    assert report.xcoms == (wire.XComPush("return_value", b"[1,2,3]", 3),)
    assert isinstance(report.event, Succeeded)
    assert report.event.result_length == 3


@pytest.mark.parametrize(
    ("value", "length"), [({"a": 1}, 1), ((1, 2), 2), ("text", NOT_SIZED), (5, NOT_SIZED), ([], 0), (None, None)]
)
def test_the_scheduler_is_told_how_long_a_result_is(value: Any, length: int | None) -> None:
    report = perform(calling(lambda: value))
    assert isinstance(report.event, Succeeded)
    assert report.event.result_length == length


def test_nothing_is_pushed_of_none_nor_without_do_xcom_push() -> None:
    assert perform(calling(lambda: None)).xcoms == ()
    assert perform(calling(lambda: 5, do_xcom_push=False)).xcoms == ()


def test_with_multiple_outputs_each_entry_is_pushed_and_the_whole() -> None:
    report = perform(calling(lambda: {"a": 1, "b": [2]}, multiple_outputs=True))
    assert pushed(report) == {"a": 1, "b": [2], "return_value": {"a": 1, "b": [2]}}


@pytest.mark.parametrize(("value", "message"), [([1], "expected dictionary"), ({1: 2}, "keys must be strings")])
def test_multiple_outputs_of_something_else_fail_the_task(value: Any, message: str) -> None:
    assert message in error_of(perform(calling(lambda: value, multiple_outputs=True)))


def test_a_value_that_has_no_json_form_fails_the_task() -> None:
    assert "TypeError: cannot store an object of type builtins.object" in error_of(perform(calling(object)))


def test_a_value_can_be_pushed_and_pulled_in_the_same_task_without_asking() -> None:
    channel = MemoryChannel()

    def work(ti: Any) -> Any:
        ti.xcom_push("mine", (1, 2))
        return ti.xcom_pull(key="mine")

    report = perform(calling(work), channel=channel)
    assert pushed(report) == {"mine": (1, 2), "return_value": (1, 2)}
    assert channel.asked == []


def test_values_pushed_by_a_task_that_fails_are_reported_too() -> None:
    def work(ti: Any) -> None:
        ti.xcom_push("seen", 1)
        raise ValueError("no")

    assert pushed(perform(calling(work))) == {"seen": 1}


def test_a_large_value_is_stored_at_once_in_place_of_waiting() -> None:
    channel = MemoryChannel()
    report = perform(calling(lambda: "x" * (wire.INLINE_XCOM + 1)), channel=channel)
    assert report.xcoms == ()
    assert kinds(channel.asked) == ["PushXCom"]


def test_many_values_do_not_wait_together() -> None:
    def work(ti: Any) -> None:
        for number in range(40):
            ti.xcom_push(f"k{number}", "x" * 60_000)

    channel = MemoryChannel()
    report = perform(calling(work), channel=channel)
    assert sum(len(xcom.value) for xcom in report.xcoms) < xcoms.LARGEST_WAIT
    assert len(report.xcoms) + len(channel.requests(wire.PushXCom)) == 40


def test_a_value_beyond_the_limit_fails_the_task_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_XCOM", 1 << 20)
    assert "may have 1: write the data to a file" in error_of(perform(calling(lambda: "x" * (3 << 20))))


def test_a_key_that_is_no_string_is_refused() -> None:
    assert "key of an XCom is a string, not 5" in error_of(perform(calling(lambda ti: ti.xcom_push(5, 1))))


# --- results that others are mapped over --------------------------------------------------------


def mapped_over(value: Any) -> wire.Report:
    with a_dag() as dag:

        @task
        def source() -> Any:
            return value

        @task
        def consume(x: Any) -> None: ...

        consume.expand(x=source())
    return perform(dag.get_task("source"))


def test_a_list_a_dict_and_a_tuple_can_be_mapped_over() -> None:
    for value in ([1], {"a": 1}, (1,)):
        assert isinstance(mapped_over(value).event, Succeeded)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "did not push XCom for task mapping"),
        (5, "unmappable return type 'int'"),
        ("abc", "unmappable return type 'str'"),
    ],
)
def test_what_cannot_be_mapped_over_fails_the_task_that_returns_it(value: Any, message: str) -> None:
    assert message in error_of(mapped_over(value))


def test_too_many_elements_fail_the_task_that_returns_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xcoms, "MAX_MAP_LENGTH", 2)
    assert "unmappable return value length: 3 > 2" in error_of(mapped_over([1, 2, 3]))


def test_a_result_that_nobody_maps_over_may_be_anything() -> None:
    with a_dag() as dag:

        @task
        def source() -> int:
            return 5

        source()
    assert result_of(perform(dag.get_task("source"))) == 5


# --- pulling ------------------------------------------------------------------------------------


def pulling(channel: MemoryChannel, pull: Any, **changes: Any) -> Any:
    """What `pull(ti)` gives in a task of a DAG that has a single task `one` and a mapped task `many`."""
    with a_dag() as dag:
        EmptyOperator(task_id="one")
        EmptyOperator.partial(task_id="many").expand(doc=["a", "b"])
        PythonOperator(task_id="task", python_callable=lambda ti: pull(ti))
    return result_of(perform(dag.get_task("task"), channel=channel, **changes))


STORED = {
    ("one", "return_value", -1): 1,
    ("one", "other", -1): "o",
    ("two", "return_value", -1): 2,
    ("many", "return_value", 0): "m0",
    ("many", "return_value", 2): "m2",
}


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ({"task_ids": "one"}, 1),
        ({"task_ids": "one", "key": "other"}, "o"),
        ({"task_ids": "two"}, 2),
        ({"task_ids": "none"}, None),
        ({"task_ids": "none", "default": 7}, 7),
        ({}, None),
        ({"task_ids": ["one", "none", "two"]}, [1, None, 2]),
        ({"task_ids": ["one", "many"]}, [1, "m0", "m2"]),
        ({"task_ids": "many"}, ["m0", "m2"]),
        ({"task_ids": "many", "map_indexes": 2}, "m2"),
        ({"task_ids": "many", "map_indexes": [0, 1, 2], "default": "-"}, ["m0", "-", "m2"]),
        ({"task_ids": "one", "map_indexes": None}, 1),
        ({"task_ids": ["one", "two"], "map_indexes": None}, [1, 2]),
    ],
    ids=repr,
)
def test_pulling_gives_what_airflow_gives(arguments: dict[str, Any], value: Any) -> None:
    assert pulling(MemoryChannel(STORED), lambda ti: ti.xcom_pull(**arguments)) == value


def test_a_value_of_another_run_is_asked_for_by_its_names() -> None:
    channel = MemoryChannel(STORED)
    value = pulling(channel, lambda ti: ti.xcom_pull(task_ids="one", dag_id="other", run_id="r", map_indexes=None))
    assert value == 1
    assert channel.requests(wire.GetXCom) == [
        wire.GetXCom("one", "return_value", workflow_id="other", run_id="r"),
    ]


def test_naming_the_own_workflow_and_run_is_as_good_as_naming_none() -> None:
    channel = MemoryChannel(STORED)
    pulling(channel, lambda ti: ti.xcom_pull(task_ids="one", dag_id="flow", run_id=ti.run_id))
    assert channel.requests(wire.GetXCom) == [wire.GetXCom("one", "return_value")]


def test_earlier_runs_are_looked_at_when_that_is_asked_for() -> None:
    channel = MemoryChannel(STORED)
    pulling(channel, lambda ti: ti.xcom_pull(task_ids="one", include_prior_dates=True))
    assert channel.requests(wire.GetXCom) == [wire.GetXCom("one", "return_value", include_prior_dates=True)]


def test_small_values_that_came_with_the_task_are_not_asked_for() -> None:
    channel = MemoryChannel()
    value = pulling(channel, lambda ti: ti.xcom_pull("one"), xcoms={"one/return_value": b"[1]"})
    assert value == [1]
    assert channel.asked == []


# --- the sequence of a mapped task's results ----------------------------------------------------


def many(count: int) -> tuple[LazyXComSequence, MemoryChannel]:
    channel = MemoryChannel({("many", "return_value", index): index * 10 for index in range(count)})
    return LazyXComSequence(Execution(EmptyOperator(task_id="t"), facts(), channel), "many"), channel


def test_the_sequence_asks_nothing_before_it_is_looked_at() -> None:
    sequence, channel = many(5)
    assert "length not known yet" in repr(sequence)
    assert channel.asked == []


def test_the_sequence_is_a_list_by_map_index() -> None:
    sequence, _ = many(5)
    assert list(sequence) == [0, 10, 20, 30, 40]
    assert (len(sequence), sequence[1], sequence[-1], sequence[1:3]) == (5, 10, 40, [10, 20])
    assert sequence == [0, 10, 20, 30, 40]
    assert sequence != [0]
    assert 20 in sequence
    assert "5 results" in repr(sequence)


def test_a_position_that_is_not_there_is_an_index_error() -> None:
    sequence, _ = many(2)
    for position in (2, -3):
        with pytest.raises(IndexError, match="there are 2 results"):
            _ = sequence[position]


def test_results_come_in_pages() -> None:
    sequence, channel = many(450)
    assert list(sequence) == [index * 10 for index in range(450)]
    assert [request.start for request in channel.requests(wire.GetXComs)] == [0, 200, 400]


def test_pages_may_be_shorter_than_asked_for_when_results_are_long() -> None:
    sequence, channel = many(5)
    whole = channel._xcoms

    def two_at_a_time(asked: wire.GetXComs) -> wire.XComsFound:
        found = whole(asked)
        return wire.XComsFound(found.total, found.values[:2])

    channel.answers[wire.GetXComs] = two_at_a_time
    assert list(sequence) == [0, 10, 20, 30, 40]
    assert [request.start for request in channel.requests(wire.GetXComs)] == [0, 2, 4]


def test_one_result_far_away_is_had_without_those_before_it() -> None:
    sequence, channel = many(1000)
    assert sequence[900] == 9000
    assert [request.start for request in channel.requests(wire.GetXComs)] == [900]


def test_the_sequence_can_be_returned_and_is_stored_as_a_list() -> None:
    channel = MemoryChannel({("many", "return_value", 0): 1, ("many", "return_value", 1): 2})
    with a_dag() as dag:
        EmptyOperator.partial(task_id="many").expand(doc=["a", "b"])

        @task
        def collect(values: Any) -> Any:
            assert isinstance(values, LazyXComSequence)
            return values

        collect(XComArg(dag.get_task("many")))
    assert result_of(perform(dag.get_task("collect"), channel=channel)) == [1, 2]


# --- references in arguments --------------------------------------------------------------------


def consumer_of(reference: Any, channel: MemoryChannel, **changes: Any) -> wire.Report:
    """Run a task whose argument is what `reference(dag)` gives."""
    with a_dag() as dag:
        EmptyOperator(task_id="one")
        EmptyOperator(task_id="outputs", multiple_outputs=True)

        @task
        def consume(x: Any) -> Any:
            return x

        consume(reference(dag))
    return perform(dag.get_task("consume"), channel=channel, **changes)


def test_a_reference_becomes_the_value() -> None:
    report = consumer_of(lambda dag: {"a": [XComArg(dag.get_task("one"))]}, MemoryChannel(STORED))
    assert result_of(report) == {"a": [1]}


def test_a_result_that_is_not_there_is_none() -> None:
    with_none = consumer_of(lambda dag: [XComArg(dag.get_task("one"))], MemoryChannel())
    assert result_of(with_none) == [None]


def test_another_key_that_is_not_there_fails_the_task() -> None:
    report = consumer_of(lambda dag: XComArg(dag.get_task("one"), "gone"), MemoryChannel())
    assert error_of(report).startswith(XComNotFound.__name__)
    assert 'key="gone"' in error_of(report)


def test_another_key_of_a_task_with_multiple_outputs_that_is_not_there_is_none() -> None:
    report = consumer_of(lambda dag: [XComArg(dag.get_task("outputs"), "gone")], MemoryChannel())
    assert result_of(report) == [None]


def test_a_pulled_value_is_data_and_is_not_rendered() -> None:
    channel = MemoryChannel({("one", "return_value", -1): "{{ ds }}"})
    assert result_of(consumer_of(lambda dag: XComArg(dag.get_task("one")), channel)) == "{{ ds }}"


def test_a_reference_in_text_pulls_the_value() -> None:
    channel = MemoryChannel(STORED)
    report = consumer_of(lambda dag: f"got {XComArg(dag.get_task('one'))}", channel)
    assert result_of(report) == "got 1"


def group_of_two(channel: MemoryChannel, task_id: str, map_index: int = -1) -> Any:
    """Run a task of a DAG with a mapped group of `first` and `second`, and a task `after` the group."""
    with a_dag() as dag:

        @task
        def first(x: Any) -> Any:
            return x

        @task
        def second(x: Any) -> Any:
            return [x]

        @task_group
        def both(x: Any) -> Any:
            return second(first(x))

        @task
        def after(values: Any) -> Any:
            return values

        after(both.expand(x=["a", "b", "c"]))
    return result_of(perform(dag.get_task(task_id), channel=channel, map_index=map_index))


def test_within_a_mapped_group_a_task_sees_the_result_of_its_own_instance() -> None:
    channel = MemoryChannel({("both.first", "return_value", index): index for index in range(3)})
    assert group_of_two(channel, "both.second", 2) == [2]


def test_within_a_mapped_group_the_argument_is_the_instances_own_element() -> None:
    assert group_of_two(MemoryChannel(), "both.first", 1) == "b"


@pytest.mark.parametrize(("results", "seen"), [([], None), ([7], 7), ([7, 8], [7, 8])])
def test_after_a_mapped_group_a_task_sees_nothing_the_only_result_or_a_list(results: list[int], seen: Any) -> None:
    channel = MemoryChannel({("both.second", "return_value", index): value for index, value in enumerate(results)})
    assert group_of_two(channel, "after") == seen
