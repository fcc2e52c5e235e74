"""Every row of the table of task transitions, and what no row may do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from piper.core.task import (
    TABLE,
    TRANSITIONS,
    Admitted,
    Circumstances,
    Cleared,
    Granted,
    Marked,
    NoSuchTransition,
    Passed,
    RuleDecided,
    Stale,
    Started,
    TimedOut,
    Vanished,
    sources,
    transition,
)
from piper.model.events import Deferred, Failed, Lost, Rescheduled, TriggerFired
from piper.model.run import TaskInstance
from piper.model.spec import RetrySpec
from piper.model.states import FINISHED, TaskState
from tests.unit.core.play import NOON, task

SPEC = task("t", retry=RetrySpec(retries=2))
AT = Circumstances(SPEC, NOON, "seed")
WAITING_FIRST = AT._replace(spec=task("t", start_from_trigger={"trigger": "t.T", "method": "go", "timeout": 5.0}))


def instance(state: TaskState, **fields) -> TaskInstance:
    values = {"id": 1, "task_id": "t", "state": state, "try_number": 2, "leg": 1, "max_tries": 2, "due": NOON}
    return TaskInstance(**(values | fields))


def ways(event: type, ti: TaskInstance) -> list[tuple[TaskInstance, object]]:
    """Every way in which an event of this type can come to an instance."""
    i = ti.identity
    last = instance(ti.state, max_tries=1, losses=9)
    match event:
        case _ if event is RuleDecided or event is Marked:
            return [(ti, event(state)) for state in ends_of(event)]
        case _ if event in (Admitted, Passed, Granted, Started, TimedOut, Stale, Cleared, Vanished):
            return [(ti, event())]
        case _ if event is Failed:
            return [(ti, Failed(i)), (ti, Failed(i, retry=False)), (last, Failed(i))]
        case _ if event is Lost:
            return [(ti, Lost(i)), (last, Lost(i))]
        case _ if event is TriggerFired:
            ends = (TaskState.SUCCESS, TaskState.SKIPPED, TaskState.FAILED)
            ended = [(ti, TriggerFired(i, end_state=end)) for end in ends]
            return [(ti, TriggerFired(i)), *ended, (last, TriggerFired(i, end_state=TaskState.FAILED))]
        case _ if event is Rescheduled:
            return [(ti, Rescheduled(i, NOON))]
        case _ if event is Deferred:
            return [(ti, Deferred(i, "t.T")), (ti, Deferred(i, "t.T", timeout=timedelta(seconds=1)))]
        case _:
            return [(ti, event(i))]


def ends_of(event: type) -> list[TaskState]:
    return sorted(next(row.targets for row in TABLE if row.event is event))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.event.__name__}-{'-'.join(sorted(row.sources))[:40]}")
def test_a_row_leads_to_its_targets_and_to_each_of_them(row):
    reached = set()
    for source in row.sources:
        cases = [(ti, event, at) for ti, event in ways(row.event, instance(source)) for at in (AT, WAITING_FIRST)]
        for ti, event, at in cases:
            after, found = transition(ti, event, at)
            assert found is row
            if after is ti:
                assert not row.targets
            else:
                assert after.state in row.targets
                reached.add(after.state)
    assert reached == row.targets


def test_every_state_is_reached_by_some_row_but_those_that_are_only_airflows_or_come_later():
    reached = frozenset().union(*(row.targets for row in TABLE))
    assert reached == frozenset(TaskState) - {TaskState.AWAITING_INPUT, TaskState.RESTARTING}


def test_try_numbers_never_fall_and_identities_only_move_on():
    for state, event in TRANSITIONS:
        for ti, happening in ways(event, instance(state)):
            after, _ = transition(ti, happening, AT)
            before, now = (ti.try_number, ti.leg), (after.try_number, after.leg)
            assert after.try_number >= ti.try_number
            if after.state is TaskState.SCHEDULED and ti.state is not TaskState.SCHEDULED:
                assert now > before, (state, event)


def test_a_terminal_state_is_left_only_by_a_clear_the_version_that_it_brings_or_a_mark():
    for (state, event), row in TRANSITIONS.items():
        if state in FINISHED and event not in (Cleared, Marked, Vanished):
            for ti, happening in ways(event, instance(state)):
                assert transition(ti, happening, AT)[0] is ti, (state, event, row)


def test_what_the_table_does_not_have_is_refused_and_says_so():
    with pytest.raises(NoSuchTransition, match="task 't' is running: Admitted cannot happen to it"):
        transition(instance(TaskState.RUNNING), Admitted(), AT)


def test_the_guards_of_the_executor_and_the_worker_are_in_the_table():
    assert sources(Granted) == {TaskState.SCHEDULED}
    assert sources(Started) == {TaskState.QUEUED}
    writers = {row.writer for row in TABLE}
    assert writers == {"owner", "executor", "worker"}


def test_a_cleared_instance_may_be_tried_as_often_as_a_new_one():
    after, _ = transition(instance(TaskState.FAILED, try_number=3, max_tries=2), Cleared(), AT)
    assert (after.try_number, after.max_tries) == (3, 5)
