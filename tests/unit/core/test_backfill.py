"""What a backfill is about, what it refuses, and what it does with each date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piper.core.backfill import Wish, all_dates, dates_to_fill, fate_of, following, refuse
from piper.model.backfill import Fate, Reprocess
from piper.model.errors import Conflict, Invalid
from piper.model.schedule import (
    AssetKey,
    AssetOrTimeTimetable,
    AssetTimetable,
    ContinuousTimetable,
    CronTimetable,
    CustomTimetable,
    DataInterval,
    DeltaTimetable,
    EventsTimetable,
    NeverTimetable,
    OnceTimetable,
    RunDates,
    Schedule,
)
from piper.model.spec import ParamSpec, SourceLocation, TaskSpec, WorkflowSpec
from piper.model.states import RunState, RunType

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DAILY = Schedule(timetable=CronTimetable(("0 0 * * *",)))


def workflow(timetable: Any = DAILY.timetable, *tasks: TaskSpec, **fields: Any) -> WorkflowSpec:
    schedule = Schedule(timetable=timetable)
    return WorkflowSpec("sales", SourceLocation("sales.py"), schedule=schedule, tasks=tasks, **fields)


def wish(first: datetime = JANUARY, last: datetime = JANUARY + 9 * DAY, **fields: Any) -> Wish:
    values: dict[str, Any] = {"reprocess": Reprocess.NONE, "backwards": False, "conf": {}} | fields
    return Wish(from_date=first, to_date=last, **values)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "timetable",
    [NeverTimetable(), OnceTimetable(), ContinuousTimetable(), AssetTimetable(AssetKey("a"))],
    ids=lambda timetable: type(timetable).__name__,
)
def test_a_workflow_without_dates_takes_no_backfill(timetable: Any) -> None:
    with pytest.raises(Conflict, match=r"'sales' .*: start a run of it by hand"):
        refuse(workflow(timetable), wish(), NOW)


def test_a_workflow_that_assets_and_time_start_has_the_dates_of_time() -> None:
    timetable = AssetOrTimeTimetable(CronTimetable(("0 0 * * *",)), AssetKey("a"))
    refuse(workflow(timetable), wish(), NOW)
    assert len(all_dates(Schedule(timetable=timetable), wish(), NOW, 100)) == 10


def test_the_author_may_allow_no_backfills() -> None:
    with pytest.raises(Conflict, match="allows scheduled, manual runs"):
        refuse(workflow(allowed_run_types=(RunType.SCHEDULED, RunType.MANUAL)), wish(), NOW)
    refuse(workflow(allowed_run_types=(RunType.BACKFILL,)), wish(), NOW)


def test_a_range_must_begin_before_it_ends() -> None:
    with pytest.raises(Invalid, match="from 2026-01-02T00:00:00Z to 2026-01-01T00:00:00Z"):
        refuse(workflow(), wish(JANUARY + DAY, JANUARY), NOW)


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))])
def test_a_range_at_the_ends_of_the_calendar_is_refused(zone: tzinfo) -> None:
    for first, last in ((datetime(1, 1, 1, tzinfo=zone), JANUARY), (JANUARY, datetime(9999, 12, 31, 23, tzinfo=zone))):
        with pytest.raises(Invalid, match="between 1900 and 9000"):
            refuse(workflow(), wish(first, last), NOW)


def test_a_range_may_end_in_the_future_and_not_begin_there() -> None:
    refuse(workflow(), wish(JANUARY, NOW + DAY), NOW)
    with pytest.raises(Invalid, match="begins in the future"):
        refuse(workflow(), wish(NOW + DAY, NOW + 2 * DAY), NOW)


@pytest.mark.parametrize("field", ["depends_on_past", "wait_for_downstream"])
def test_what_depends_on_its_past_is_filled_forwards_and_without_gaps(field: str) -> None:
    task = TaskSpec("load", "x", **{field: True})  # type: ignore[arg-type]
    spec = workflow(DAILY.timetable, task)
    with pytest.raises(Conflict, match=r"'load' .* fill the range forwards"):
        refuse(spec, wish(backwards=True, reprocess=Reprocess.FAILED), NOW)
    with pytest.raises(Conflict, match="no date may be passed over"):
        refuse(spec, wish(), NOW)
    refuse(spec, wish(reprocess=Reprocess.FAILED), NOW)


def test_an_unknown_param_is_refused_with_the_nearest() -> None:
    spec = workflow(params={"model": ParamSpec(default="v1")})
    with pytest.raises(Invalid, match="no param 'modle'; did you mean 'model'"):
        refuse(spec, wish(conf={"modle": "v2"}), NOW)
    refuse(spec, wish(conf={"model": "v2"}), NOW)
    refuse(workflow(), wish(conf={"anything": 1}), NOW)


def test_a_range_without_dates_is_refused() -> None:
    with pytest.raises(Invalid, match="no date from 2026-01-01T01:00:00Z to 2026-01-01T23:00:00Z"):
        all_dates(DAILY, wish(JANUARY + DAY / 24, JANUARY + 23 * DAY / 24), NOW, 100)


def test_too_many_dates_are_refused_with_the_setting_that_allows_more() -> None:
    assert len(all_dates(DAILY, wish(), NOW, 10)) == 10
    with pytest.raises(Invalid, match=r"more than 9 dates .* core\.backfill_limit"):
        all_dates(DAILY, wish(), NOW, 9)


# --- which dates --------------------------------------------------------------------------------


def test_both_ends_of_the_range_belong_to_it() -> None:
    found = all_dates(DAILY, wish(), NOW, 100)
    assert [dates.logical_date for dates in found] == [JANUARY + n * DAY for n in range(10)]


def test_a_range_may_lie_before_the_start_date_and_after_the_end_date() -> None:
    schedule = Schedule(timetable=DAILY.timetable, start=JANUARY + 3 * DAY, end=JANUARY + 5 * DAY)
    assert len(all_dates(schedule, wish(), NOW, 100)) == 10


def test_dates_that_are_not_due_are_left_out() -> None:
    found = all_dates(DAILY, wish(NOW - DAY, NOW + 30 * DAY), NOW, 100)
    assert [dates.logical_date for dates in found] == [datetime(2026, 6, 1, tzinfo=UTC)]
    daily_spans = Schedule(timetable=CronTimetable(("0 0 * * *",), data_interval=True))
    found = all_dates(daily_spans, wish(NOW - 2 * DAY, NOW), NOW, 100)
    assert [dates.logical_date.day for dates in found] == [31], "the span of today is not over"


def test_backwards_the_latest_date_is_first() -> None:
    forwards = all_dates(DAILY, wish(), NOW, 100)
    assert all_dates(DAILY, wish(backwards=True), NOW, 100) == forwards[::-1]


@pytest.mark.parametrize("month", [3, 10])
def test_where_clocks_change_every_local_day_has_one_date(month: int) -> None:
    zone = ZoneInfo("Europe/Zurich")
    schedule = Schedule(timetable=CronTimetable(("30 2 * * *",), "Europe/Zurich", data_interval=True))
    first, last = datetime(2025, month, 20, tzinfo=zone), datetime(2025, month, 31, 23, tzinfo=zone)
    found = all_dates(schedule, wish(first, last), NOW, 100)
    assert [dates.logical_date.astimezone(zone).day for dates in found] == list(range(20, 32))
    assert all(one.interval.end == other.interval.start for one, other in pairwise(found))
    assert all(dates.interval.end > dates.interval.start for dates in found)


def test_an_hourly_schedule_has_a_date_for_each_real_hour_of_a_day_that_is_longer() -> None:
    zone = ZoneInfo("Europe/Zurich")
    schedule = Schedule(timetable=CronTimetable(("0 * * * *",), "Europe/Zurich"))
    for day, hours in ((datetime(2025, 3, 30, tzinfo=zone), 23), (datetime(2025, 10, 26, tzinfo=zone), 25)):
        found = all_dates(schedule, wish(day, day.replace(hour=23)), NOW, 100)
        assert len(found) == hours


def spanning_two_days(begin: datetime) -> RunDates:
    return RunDates(begin, DataInterval(begin, begin + DAY), begin + 2 * DAY)


# --- in chunks ----------------------------------------------------------------------------------

SCHEDULES = st.sampled_from(
    [
        DAILY,
        Schedule(timetable=CronTimetable(("30 1,2 * * *",), "Europe/Zurich")),
        Schedule(timetable=CronTimetable(("0 */6 * * *",), "America/New_York", data_interval=True)),
        Schedule(timetable=CronTimetable(("0 3 * * *", "0 5 * * mon"), interval=DAY)),
        Schedule(timetable=DeltaTimetable(timedelta(hours=7)), start=JANUARY),
        Schedule(timetable=DeltaTimetable(months=1, data_interval=True), start=JANUARY),
        Schedule(timetable=EventsTimetable(tuple(JANUARY + n * n * DAY for n in range(9)))),
        Schedule(
            timetable=CustomTimetable(
                "my.Timetable",
                tuple(
                    RunDates(t, DataInterval(t, t + DAY), t + 2 * DAY) for t in (JANUARY + n * DAY for n in range(50))
                ),
            )
        ),
    ]
)


@given(
    schedule=SCHEDULES,
    begin=st.integers(-40, 140),
    length=st.integers(0, 60),
    sizes=st.lists(st.integers(1, 25), min_size=1),
    backwards=st.booleans(),
)
def test_chunks_of_any_size_deal_with_each_date_once(
    schedule: Schedule, begin: int, length: int, sizes: list[int], backwards: bool
) -> None:
    first = JANUARY + begin * DAY
    dates = list(dates_to_fill(schedule, first, first + length * DAY, NOW))
    cursor: datetime | None = None
    dealt_with: list[RunDates] = []
    for turn in range(2 * len(dates) + 2):
        chunk = following(dates, cursor, backwards=backwards, limit=sizes[turn % len(sizes)])
        if not chunk:
            break
        dealt_with += chunk
        cursor = chunk[-1].logical_date
    assert dealt_with == (dates[::-1] if backwards else dates)
    assert len({each.logical_date for each in dates}) == len(dates)


# --- what is done about a date ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("existing", "reprocess", "fate"),
    [
        *((None, reprocess, Fate.CREATE) for reprocess in Reprocess),
        *((RunState.QUEUED, reprocess, Fate.IN_FLIGHT) for reprocess in Reprocess),
        *((RunState.RUNNING, reprocess, Fate.IN_FLIGHT) for reprocess in Reprocess),
        (RunState.SUCCESS, Reprocess.NONE, Fate.EXISTS),
        (RunState.FAILED, Reprocess.NONE, Fate.EXISTS),
        (RunState.SUCCESS, Reprocess.FAILED, Fate.EXISTS),
        (RunState.FAILED, Reprocess.FAILED, Fate.RERUN),
        (RunState.SUCCESS, Reprocess.COMPLETED, Fate.RERUN),
        (RunState.FAILED, Reprocess.COMPLETED, Fate.RERUN),
    ],
)
def test_a_date_that_has_a_run_is_left_alone_or_run_again(
    existing: RunState | None, reprocess: Reprocess, fate: Fate
) -> None:
    assert fate_of(existing, reprocess) is fate
