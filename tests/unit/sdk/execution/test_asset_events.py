"""A task that succeeds emits an event for each of its outlets; events before it are fetched when looked at."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from piper.model import wire
from piper.model.events import AssetEventOut, Failed, Succeeded
from piper.model.spec import AssetRef
from piper.model.states import RunType
from piper.operators.python import PythonOperator
from piper.sdk.asset_decorator import asset
from piper.sdk.assets import Asset, AssetAlias, Metadata
from piper.sdk.decorators import task
from piper.sdk.exceptions import AirflowSkipException
from tests.unit.sdk.execution.stage import MemoryChannel, a_dag, a_run, error_of, perform, result_of

ORDERS = Asset("orders", "s3://bucket/orders")
REPORT = Asset("report")
ALIAS = AssetAlias("latest")
ORDERS_DATA = AssetRef("orders", "s3://bucket/orders")


def emitting(work: Any, outlets: list[Any], channel: MemoryChannel | None = None, **arguments: Any) -> wire.Report:
    with a_dag():
        operator = PythonOperator(task_id="task", python_callable=work, outlets=outlets, **arguments)
    return perform(operator, channel=channel)


def emitted(report: wire.Report) -> tuple[AssetEventOut, ...]:
    assert isinstance(report.event, Succeeded), report.event
    return report.event.assets


# --- outlets ------------------------------------------------------------------------------------


def test_each_outlet_has_an_event_also_without_anything_to_say() -> None:
    assert emitted(emitting(lambda: None, [ORDERS, REPORT])) == (
        AssetEventOut(ORDERS_DATA),
        AssetEventOut(AssetRef("report", "report")),
    )


def test_a_task_without_outlets_emits_nothing() -> None:
    assert emitted(emitting(lambda: None, [])) == ()


def test_an_extra_travels_with_the_event() -> None:
    def work(outlet_events: Any) -> None:
        outlet_events[ORDERS].extra = {"rows": 17, "at": datetime(2026, 1, 1, tzinfo=UTC)}

    (event,) = emitted(emitting(work, [ORDERS]))
    assert event.extra["rows"] == 17
    assert event.extra["at"]["__classname__"] == "datetime.datetime"


def test_an_outlet_may_be_named_in_other_ways() -> None:
    def work(outlet_events: Any) -> None:
        outlet_events[Asset.ref(name="orders")].extra["a"] = 1
        outlet_events[Asset.ref(uri="s3://bucket/orders")].extra["b"] = 2
        outlet_events.for_asset(name="orders", uri="s3://bucket/orders").extra["c"] = 3

    assert emitted(emitting(work, [ORDERS])) == (AssetEventOut(ORDERS_DATA, {"a": 1, "b": 2, "c": 3}),)


def test_what_is_said_of_other_assets_is_dropped_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    def work(outlet_events: Any) -> None:
        outlet_events[REPORT].extra = {"x": 1}

    assert emitted(emitting(work, [ORDERS])) == (AssetEventOut(ORDERS_DATA),)
    assert "is not among the task's outlets" in caplog.text


def test_an_extra_that_is_not_json_fails_the_task() -> None:
    def work(outlet_events: Any) -> None:
        outlet_events[ORDERS].extra = {"x": object()}

    assert "cannot store an object of type builtins.object" in error_of(emitting(work, [ORDERS]))


def test_a_task_that_does_not_succeed_emits_nothing() -> None:
    def work() -> None:
        raise AirflowSkipException

    assert not hasattr(emitting(work, [ORDERS]).event, "assets")


def test_an_alias_emits_an_event_for_each_asset_that_the_task_attaches_to_it() -> None:
    def work(outlet_events: Any) -> None:
        outlet_events[ALIAS].add(ORDERS, extra={"k": 1})
        outlet_events.for_asset_alias(name="latest").add(REPORT)
        outlet_events[ORDERS].add(REPORT)  # no alias: nothing

    assert emitted(emitting(work, [ALIAS])) == (
        AssetEventOut(ORDERS_DATA, {"k": 1}, alias="latest"),
        AssetEventOut(AssetRef("report", "report"), alias="latest"),
    )


def test_an_alias_to_which_nothing_is_attached_emits_nothing() -> None:
    assert emitted(emitting(lambda: None, [ALIAS])) == ()


def test_partitions_are_refused_with_a_clear_error() -> None:
    error = error_of(emitting(lambda outlet_events: outlet_events[ORDERS].add_partitions("k"), [ORDERS]))
    assert "Piper has no asset partitions yet" in error


def test_a_generator_may_yield_metadata(caplog: pytest.LogCaptureFixture) -> None:
    def work() -> Any:
        yield Metadata(ORDERS, {"rows": 1})
        yield Metadata(REPORT, {"pages": 2}, alias=ALIAS)
        yield 5
        return "result"

    report = emitting(work, [ORDERS, ALIAS])
    assert result_of(report) == "result"
    assert emitted(report) == (
        AssetEventOut(ORDERS_DATA, {"rows": 1}),
        AssetEventOut(AssetRef("report", "report"), {"pages": 2}, alias="latest"),
    )
    assert "the task yielded a value of type int, which is ignored" in caplog.text
    assert "is not among the task's outlets" not in caplog.text  # it is, by its alias


def test_hooks_may_yield_metadata_too() -> None:
    def post(context: Any, result: Any) -> Any:
        yield Metadata(ORDERS, {"result": result})

    assert emitted(emitting(lambda: 5, [ORDERS], post_execute=post)) == (AssetEventOut(ORDERS_DATA, {"result": 5}),)


def test_an_asset_among_the_arguments_of_a_task_function_is_an_inlet_and_one_that_it_returns_an_outlet() -> None:
    seen: list[Any] = []
    with a_dag() as dag:

        @task(do_xcom_push=False)
        def work(source: Any, ti: Any) -> Any:
            seen.extend(ti.task.inlets)
            return [REPORT]

        work(ORDERS)
    assert emitted(perform(dag.get_task("work"))) == (AssetEventOut(AssetRef("report", "report")),)
    assert seen == [ORDERS]


def test_the_function_of_an_asset_receives_the_assets_that_it_names() -> None:
    seen: dict[str, Any] = {}

    report = asset(schedule=None, name="summary")(_summary)
    _summary.seen = seen  # type: ignore[attr-defined]
    result = perform(report.dag.get_task("_summary"), assets=(ORDERS_DATA,))
    assert isinstance(result.event, Succeeded)
    assert seen["self"].name == "summary"
    assert seen["orders"].name == "orders"
    assert "ti" in seen["context"]
    assert emitted(result)[0].extra == {"n": 1}


def test_the_function_of_an_asset_cannot_have_a_parameter_that_no_asset_has_as_its_name() -> None:
    report = asset(schedule=None, name="summary")(_summary)
    assert "there is no active asset named 'orders'" in error_of(perform(report.dag.get_task("_summary")))


def test_a_task_with_an_inactive_asset_is_not_entered_and_not_tried_again() -> None:
    entered: list[int] = []
    with a_dag():
        operator = PythonOperator(task_id="task", python_callable=lambda: entered.append(1), outlets=[ORDERS])
    report = perform(operator, inactive_assets=(ORDERS_DATA,))
    assert isinstance(report.event, Failed)
    assert not report.event.retry
    assert "inactive assets in its inlets or outlets: Asset(name='orders', uri='s3://bucket/orders')" in (
        report.event.error
    )
    assert entered == []


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        ({"k": object()}, "is not JSON"),
        (5, "must be a dict, not 5"),
        ({"k": "x" * (64 << 10)}, "65,544 bytes of JSON: 65,536 are the most"),
    ],
)
def test_an_extra_that_cannot_be_kept_fails_the_task_and_says_of_which_asset(extra: Any, why: str) -> None:
    def work(outlet_events: Any) -> None:
        outlet_events[ORDERS].extra = extra

    error = error_of(emitting(work, [ORDERS]))
    assert why in error
    assert "'orders'" in error


def test_a_task_cannot_cause_more_than_a_thousand_events() -> None:
    def work(outlet_events: Any) -> None:
        for number in range(1001):
            outlet_events[ALIAS].add(REPORT, {"n": number})

    assert "1,001 asset events: 1,000 are the most" in error_of(emitting(work, [ALIAS]))


def test_only_assets_can_be_added_to_an_alias() -> None:
    error = error_of(emitting(lambda outlet_events: outlet_events[ALIAS].add("report"), [ALIAS]))
    assert "must be an asset or a reference to one, not 'report'" in error


def test_an_outlet_by_name_that_no_asset_has_is_said_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    emitting(lambda: None, [Asset.ref(name="nobody")])
    assert "there is no active asset AssetNameRef(name='nobody')" in caplog.text


def _summary(self: Any, context: Any, orders: Any, outlet_events: Any) -> None:
    _summary.seen.update(self=self, context=context, orders=orders)  # type: ignore[attr-defined]
    outlet_events[self].extra["n"] = 1


# --- earlier events -----------------------------------------------------------------------------


def an_event(number: int, **changes: Any) -> wire.AssetEventFound:
    fields: dict[str, Any] = {
        "id": number,
        "asset": ORDERS_DATA,
        "timestamp": datetime(2026, 1, number, tzinfo=UTC),
        "extra": {"n": number},
        "workflow_id": "ingest",
        "run_id": "r",
        "task_id": "load",
        "map_index": -1,
    }
    return wire.AssetEventFound(**fields | changes)


def reading(work: Any, channel: MemoryChannel, inlets: list[Any], **changes: Any) -> wire.Report:
    with a_dag():
        operator = PythonOperator(task_id="task", python_callable=work, inlets=inlets)
    return perform(operator, channel=channel, **changes)


def with_events(*events: wire.AssetEventFound, **more: Any) -> MemoryChannel:
    """A channel that has these events, in order, and answers as the Task API does."""

    def answer(asked: wire.GetAssetEvents) -> list[wire.AssetEventFound]:
        found = list(events) if asked.ascending else list(reversed(events))
        if asked.beyond is not None:
            found = found[[event.id for event in found].index(asked.beyond) + 1 :]
        return found[: min(asked.limit or wire.EVENTS_PER_ANSWER, wire.EVENTS_PER_ANSWER)]

    return MemoryChannel(answers={wire.GetAssetEvents: answer}, **more)


def test_events_of_an_inlet_are_a_list_from_oldest_to_newest() -> None:
    channel = with_events(an_event(1), an_event(2))

    def work(inlet_events: Any) -> Any:
        events = inlet_events[ORDERS]
        count, newest = len(events), events[-1]
        return [count, newest.extra, newest.source_task_id, newest.asset.name, newest.uri, len(events[:1])]

    expected = [2, {"n": 2}, "load", "orders", "s3://bucket/orders", 1]
    assert result_of(reading(work, channel, [ORDERS])) == expected
    assert channel.asked == [wire.GetAssetEvents("orders", "s3://bucket/orders")]


def test_one_event_is_fetched_alone() -> None:
    channel = with_events(an_event(1), an_event(2), an_event(3))
    question = wire.GetAssetEvents("orders", "s3://bucket/orders")

    def work(inlet_events: Any) -> Any:
        return [inlet_events[ORDERS][index].id for index in (-1, 0, -2)]

    assert result_of(reading(work, channel, [ORDERS])) == [3, 1, 2]
    assert channel.asked == [
        replace(question, ascending=False, limit=1),
        replace(question, limit=1),
        replace(question, ascending=False, limit=2),
    ]
    error = error_of(reading(lambda inlet_events: inlet_events[ORDERS][3], channel, [ORDERS]))
    assert "there are 3 events, none at 3" in error


def test_as_many_answers_are_fetched_as_the_events_take() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    channel = with_events(*(an_event(1, timestamp=moment, id=number) for number in range(1, 2501)))

    def work(inlet_events: Any) -> Any:
        everything = [event.id for event in inlet_events[ORDERS]]
        some = [event.id for event in inlet_events[ORDERS].limit(1500).ascending(False)]
        return [everything == list(range(1, 2501)), some == list(range(2500, 1000, -1))]

    assert result_of(reading(work, channel, [ORDERS])) == [True, True]
    assert [asked.beyond for asked in channel.requests(wire.GetAssetEvents)] == [None, 1000, 2000, None, 1501]


def test_an_inlet_can_be_named_by_position_reference_or_alias() -> None:
    channel = with_events()

    def work(inlet_events: Any) -> None:
        for key in (0, Asset.ref(name="orders"), ALIAS):
            list(inlet_events[key])

    reading(work, channel, [ORDERS, ALIAS])
    assert channel.asked == [
        wire.GetAssetEvents("orders", "s3://bucket/orders"),
        wire.GetAssetEvents("orders", "s3://bucket/orders"),
        wire.GetAssetEvents(alias="latest"),
    ]


def test_filters_narrow_the_question() -> None:
    channel = with_events()

    def work(inlet_events: Any) -> None:
        events = inlet_events[ORDERS].after("2026-01-01T00:00:00+00:00").limit(5).ascending(False).extra("k", "v")
        list(events.before(datetime(2026, 2, 1, tzinfo=UTC)))

    reading(work, channel, [ORDERS])
    (asked,) = channel.requests(wire.GetAssetEvents)
    assert (asked.after, asked.before) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    assert (asked.limit, asked.ascending, asked.extra) == (5, False, {"k": "v"})


def test_an_asset_that_is_no_inlet_is_a_key_error() -> None:
    error = error_of(reading(lambda inlet_events: inlet_events[REPORT], with_events(), [ORDERS]))
    assert "is not among the task's inlets" in error


def test_nothing_is_asked_of_inlets_that_nobody_looks_at() -> None:
    channel = with_events()
    reading(lambda **context: None, channel, [ORDERS])
    assert channel.asked == []


def test_an_event_knows_the_run_and_the_task_that_emitted_it() -> None:
    run = a_run(workflow_id="ingest", run_id="r")
    channel = with_events(an_event(1), xcoms={("load", "return_value", -1): [1, 2]})
    channel.answers[wire.GetRun] = lambda asked: run

    def work(inlet_events: Any) -> Any:
        event = inlet_events[ORDERS][0]
        return [event.source_dag_run.run_id, event.source_task_instance.xcom_pull()]

    assert result_of(reading(work, channel, [ORDERS])) == ["r", [1, 2]]
    assert channel.requests(wire.GetXCom) == [
        wire.GetXCom("load", "return_value", workflow_id="ingest", run_id="r"),
    ]


def test_the_events_that_caused_a_run_are_there_by_asset_and_by_alias() -> None:
    channel = with_events(an_event(1, aliases=("latest",)), an_event(2))

    def work(triggering_asset_events: Any) -> Any:
        return [
            [event.id for event in triggering_asset_events[ORDERS]],
            [event.id for event in triggering_asset_events[ALIAS]],
            sorted(type(key).__name__ for key in triggering_asset_events),
        ]

    run = a_run(run_type=RunType.ASSET_TRIGGERED, logical_date=None, interval=None)
    assert result_of(reading(work, channel, [], run=run)) == [[1, 2], [1], ["Asset", "AssetAlias"]]
    assert channel.asked == [wire.GetAssetEvents(triggering=True)]


def test_a_run_that_no_asset_caused_has_no_such_events_and_asks_nobody() -> None:
    channel = with_events(an_event(1))
    assert result_of(reading(lambda triggering_asset_events: len(triggering_asset_events), channel, [])) == 0
    assert channel.asked == []
