"""Which queued runs start: lanes, their limits, their order."""

from __future__ import annotations

from datetime import timedelta

import pytest

from piper.core.starts import OWN_LANE, Lane, lane_of, limit_of
from piper.model.backfill import BackfillState
from tests.backfills import a_backfill
from tests.unit.core.play import NOON, a_run

HOUR = timedelta(hours=1)


def filled(lane: Lane, *hours: int) -> Lane:
    """Runs of these logical dates, numbered by them, due at once."""
    for hour in hours:
        lane.enqueue(a_run(id=hour, logical_date=NOON + hour * HOUR, run_after=NOON))
    return lane


def test_runs_of_a_backfill_have_a_lane_of_their_own() -> None:
    assert lane_of(a_run(backfill=3)) == 3
    assert lane_of(a_run()) == OWN_LANE


def test_the_earliest_date_starts_first_and_backwards_the_latest() -> None:
    assert [run.id for run in filled(Lane(), 3, 1, 2).to_start(2, NOON)] == [1, 2]
    assert [run.id for run in filled(Lane(backwards=True), 3, 1, 2).to_start(2, NOON)] == [3, 2]


def test_what_runs_fills_the_lanes_room() -> None:
    lane = filled(Lane(), 1, 2, 3)
    [first] = lane.to_start(1, NOON)
    lane.started(first)
    assert lane.to_start(1, NOON) == []
    lane.ended(first.id)
    assert [run.id for run in lane.to_start(1, NOON)] == [2]


def test_a_run_whose_moment_has_not_come_is_passed_over_and_awaited() -> None:
    lane = Lane()
    lane.enqueue(a_run(id=1, run_after=NOON + 2 * HOUR))
    lane.enqueue(a_run(id=2, run_after=NOON + HOUR))
    lane.enqueue(a_run(id=3, run_after=NOON))
    assert [run.id for run in lane.to_start(9, NOON)] == [3]
    assert lane.next_moment(NOON) == NOON + HOUR
    assert lane.next_moment(NOON + HOUR) == NOON + 2 * HOUR
    lane.ended(1)
    assert lane.next_moment(NOON + HOUR) is None


def test_a_lane_tells_whether_anything_waits_or_runs() -> None:
    lane = filled(Lane(), 1)
    assert (lane.waits, lane.empty) == (True, False)
    lane.started(a_run(id=1))
    assert (lane.waits, lane.empty) == (False, False)
    lane.ended(1)
    assert (lane.waits, lane.empty) == (False, True)


@pytest.mark.parametrize(
    ("state", "paused", "limit"),
    [
        (BackfillState.CREATING, False, 4),
        (BackfillState.RUNNING, False, 4),
        (BackfillState.CREATING, True, 0),
        (BackfillState.RUNNING, True, 0),
        (BackfillState.CANCELLING, False, 0),
        (BackfillState.CANCELLED, False, 4),
        (BackfillState.COMPLETED, True, 4),
    ],
)
def test_a_backfill_that_is_paused_or_cancelled_starts_nothing(state: BackfillState, paused: bool, limit: int) -> None:
    assert limit_of(a_backfill(state=state, paused=paused, max_active_runs=4)) == limit
