"""When a schedule by assets is fulfilled, what a success emits, and what a workflow names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from piper.core.assets import (
    ChangedAsset,
    asset_run,
    changed_by,
    changes_to_keep,
    condition_in_force,
    described_in,
    emitted,
    is_about,
    is_fulfilled,
    uses_of,
)
from piper.core.task import Passed
from piper.model.assets import AssetKind, AssetRole, AssetUse
from piper.model.events import AssetChanged, AssetEventOut, ForgetAssets, Succeeded
from piper.model.run import Identity
from piper.model.schedule import (
    AssetAliasKey,
    AssetAll,
    AssetAny,
    AssetCondition,
    AssetKey,
    AssetOrTimeTimetable,
    AssetTimetable,
    CronTimetable,
    NeverTimetable,
    Schedule,
)
from piper.model.spec import AssetRef, SourceLocation, TaskSpec, WorkflowSpec
from piper.model.workflow import ScheduledWorkflow

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
A, B = AssetKey("a", "s3://a"), AssetKey("b", "s3://b")
A_CHANGED = ChangedAsset(1, "a", "s3://a", 10, NOON)
B_CHANGED = ChangedAsset(2, "b", "s3://b", 11, NOON + timedelta(minutes=1))


def a_workflow(*, stale: bool = False) -> ScheduledWorkflow:
    return ScheduledWorkflow(
        workflow_id="w",
        shard=0,
        team="t",
        bundle="b",
        file="f",
        spec_hash="h",
        snapshot="s",
        paused=False,
        stale=stale,
        max_active_runs=1,
        last_dates=None,
        next_dates=None,
        next_run_after=None,
        planned_spec="h",
        consecutive_failures=0,
    )


# --- conditions -----------------------------------------------------------------------------------


def test_an_asset_is_meant_by_its_name_its_uri_or_both() -> None:
    for key in (A, AssetKey(name="a"), AssetKey(uri="s3://a")):
        assert is_fulfilled(key, [A_CHANGED], {})
    for key in (B, AssetKey("a", "s3://other"), AssetKey("other", "s3://a"), AssetKey()):
        assert not is_fulfilled(key, [A_CHANGED], {})


def test_an_alias_is_whatever_has_been_attached_to_it() -> None:
    assert is_fulfilled(AssetAliasKey("x"), [A_CHANGED], {"x": {1, 7}})
    assert not is_fulfilled(AssetAliasKey("x"), [A_CHANGED], {"x": {2}, "y": {1}})
    assert not is_fulfilled(AssetAliasKey("x"), [A_CHANGED], {})


def test_all_wants_every_part_and_any_wants_one() -> None:
    assert not is_fulfilled(AssetAll((A, B)), [A_CHANGED], {})
    assert is_fulfilled(AssetAll((A, B)), [A_CHANGED, B_CHANGED], {})
    assert is_fulfilled(AssetAny((A, B)), [B_CHANGED], {})
    assert not is_fulfilled(AssetAny(()), [A_CHANGED], {})


_keys = st.sampled_from([A, B, AssetKey(name="a"), AssetKey(uri="s3://b"), AssetAliasKey("x")])
_conditions = st.recursive(
    _keys,
    lambda parts: (
        st.builds(AssetAll, st.lists(parts, min_size=1, max_size=3).map(tuple))
        | st.builds(AssetAny, st.lists(parts, min_size=1, max_size=3).map(tuple))
    ),
    max_leaves=8,
)
_queues = st.sampled_from([[], [A_CHANGED], [B_CHANGED], [A_CHANGED, B_CHANGED]])


@given(_conditions, _queues)
def test_more_changes_never_make_a_fulfilled_condition_unfulfilled(
    condition: AssetCondition, queue: list[ChangedAsset]
) -> None:
    aliases = {"x": {1}}
    if is_fulfilled(condition, queue, aliases):
        assert is_fulfilled(condition, [*queue, A_CHANGED, B_CHANGED], aliases)


@given(_conditions)
def test_a_condition_is_fulfilled_once_everything_that_it_is_about_has_changed(condition: AssetCondition) -> None:
    aliases = {"x": {1}}
    every = [one for one in (A_CHANGED, B_CHANGED) if is_about(condition, one.asset, one.name, one.uri, aliases)]
    assert is_fulfilled(condition, every, aliases)


def test_a_run_is_due_at_the_moment_of_the_latest_change() -> None:
    due = asset_run(AssetAll((A, B)), [B_CHANGED, A_CHANGED], {})
    assert due is not None
    assert (due.run_after, due.last_event) == (B_CHANGED.at, 11)
    assert asset_run(AssetAll((A, B)), [A_CHANGED], {}) is None
    assert asset_run(AssetAll((A, B)), [], {}) is None
    assert asset_run(None, [A_CHANGED], {}) is None


def test_a_workflow_that_is_gone_is_scheduled_by_nothing() -> None:
    assert condition_in_force(a_workflow(), AssetTimetable(A)) == A
    assert condition_in_force(a_workflow(stale=True), AssetTimetable(A)) is None
    assert condition_in_force(a_workflow(), AssetOrTimeTimetable(CronTimetable(("0 0 * * *",)), A)) == A
    assert condition_in_force(a_workflow(), NeverTimetable()) is None


def test_what_was_heard_before_an_order_to_forget_is_not_kept() -> None:
    heard = [AssetChanged("w", event, asset, NOON) for event, asset in ((1, 1), (2, 2), (3, 1))]
    assert changes_to_keep([*heard[:2], ForgetAssets("w"), heard[2]]) == [heard[2]]
    assert changes_to_keep([*heard, ForgetAssets("w", 1)]) == [heard[1]]
    assert changes_to_keep(heard) == heard


# --- what a success emits -------------------------------------------------------------------------

ORDERS = AssetRef("orders", "s3://orders")


def test_a_worker_says_what_has_changed_and_where_no_user_code_ran_it_is_the_outlets() -> None:
    spec = TaskSpec("t", "P", outlets=(ORDERS, AssetAliasKey("x")))
    said = (AssetEventOut(ORDERS, {"rows": 1}),)
    assert changed_by(spec, Succeeded(Identity(1, 1, 0), assets=said)) == said
    assert changed_by(spec, Succeeded(Identity(1, 1, 0))) == ()
    assert changed_by(spec, Passed()) == (AssetEventOut(ORDERS),)


def test_an_asset_that_is_named_twice_has_one_event_and_one_by_two_aliases_has_both() -> None:
    twice = emitted([AssetEventOut(ORDERS, {"n": 1}), AssetEventOut(ORDERS, {"n": 1})])
    assert [(one.extra, one.aliases) for one in twice] == [({"n": 1}, ())]
    through = emitted([AssetEventOut(ORDERS, {"n": 1}, alias=alias) for alias in ("x", "y", "x")])
    assert [(one.extra, one.aliases) for one in through] == [({"n": 1}, ("x", "y"))]


def test_what_is_attached_with_another_extra_is_another_event() -> None:
    found = emitted([AssetEventOut(ORDERS, {"n": n}, alias="x") for n in (1, 2)])
    assert [one.extra for one in found] == [{"n": 1}, {"n": 2}]


# --- who names what -------------------------------------------------------------------------------


def test_a_workflow_uses_what_its_schedule_and_its_tasks_name() -> None:
    spec = WorkflowSpec(
        "w",
        SourceLocation("f.py"),
        schedule=Schedule(timetable=AssetTimetable(AssetAny((A, AssetAliasKey("x"))))),
        tasks=(TaskSpec("t", "P", inlets=(AssetRef("b", ""),), outlets=(ORDERS,)),),
    )
    assert uses_of(spec) == {
        AssetUse(AssetRole.SCHEDULE, "", AssetKind.ASSET, "a", "s3://a"),
        AssetUse(AssetRole.SCHEDULE, "", AssetKind.ALIAS, "x"),
        AssetUse(AssetRole.INLET, "t", AssetKind.ASSET, "b"),
        AssetUse(AssetRole.OUTLET, "t", AssetKind.ASSET, "orders", "s3://orders"),
    }
    assert described_in(spec) == {("a", "s3://a"): None, ("orders", "s3://orders"): ORDERS}


def test_what_a_producer_says_of_an_asset_goes_before_what_its_readers_say() -> None:
    made = AssetRef("orders", "s3://orders", extra={"by": "producer"})
    tasks = (TaskSpec("make", "P", outlets=(made,)), TaskSpec("read", "P", inlets=(ORDERS,)))
    spec = WorkflowSpec("w", SourceLocation("f.py"), tasks=tasks)
    assert described_in(spec) == {("orders", "s3://orders"): made}
