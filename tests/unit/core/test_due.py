"""Which runs are born (correctness I2, I3, I5), by values and by random histories."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piper.core.due import Cursor, Due, due_runs, plan
from piper.model.schedule import (
    AssetKey,
    AssetOrTimeTimetable,
    ContinuousTimetable,
    CronTimetable,
    CustomTimetable,
    DataInterval,
    DeltaTimetable,
    EventsTimetable,
    OnceTimetable,
    RunDates,
    Schedule,
    Timetable,
)

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
DAILY = CronTimetable(("0 0 * * *",))
DAILY_SPANS = CronTimetable(("0 0 * * *",), data_interval=True)
HOURLY = CronTimetable(("0 * * * *",))


def january(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2024, 1, day, hour, minute, tzinfo=UTC)


def exactly(moment: datetime) -> RunDates:
    return RunDates(moment, DataInterval(moment, moment), moment)


def span(start: datetime, end: datetime) -> RunDates:
    return RunDates(start, DataInterval(start, end), end)


def all_due(schedule: Schedule, cursor: Cursor, now: datetime, room: int) -> tuple[list[RunDates], Cursor]:
    """Call until nothing is due any more, as a scheduler would that creates `room` runs per transaction."""
    runs: list[RunDates] = []
    while (due := due_runs(schedule, cursor, now, room)).runs:
        assert len(due.runs) <= room
        runs.extend(due.runs)
        cursor = due.cursor
    return runs, cursor


# --- catchup ------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [1, 3, 4, 9, 10, 1000])
def test_with_catchup_every_date_is_due_in_order_however_little_room_there_is(room: int) -> None:
    schedule = Schedule(DAILY, start=NEW_YEAR, catchup=True)
    cursor = plan(schedule, Cursor(), NEW_YEAR)
    runs, cursor = all_due(schedule, cursor, january(9, 12), room)
    assert runs == [exactly(january(day)) for day in range(1, 10)]
    assert cursor == Cursor(exactly(january(9)), exactly(january(10)))


def test_what_does_not_fit_is_due_the_next_time() -> None:
    schedule = Schedule(DAILY, start=NEW_YEAR, catchup=True)
    due = due_runs(schedule, plan(schedule, Cursor(), NEW_YEAR), january(9), 2)
    assert due.runs == (exactly(january(1)), exactly(january(2)))
    assert due.cursor == Cursor(exactly(january(2)), exactly(january(3)))


def test_an_outage_of_any_length_loses_no_date() -> None:
    schedule = Schedule(CronTimetable(("*/10 * * * *",)), start=NEW_YEAR, catchup=True)
    runs, _ = all_due(schedule, plan(schedule, Cursor(), NEW_YEAR), NEW_YEAR + 10 * DAY, 500)
    assert len(runs) == 10 * 144 + 1


def test_without_catchup_only_the_latest_missed_date_is_due() -> None:
    schedule = Schedule(HOURLY, start=NEW_YEAR)
    cursor = Cursor(exactly(january(1)), exactly(january(1, 1)))
    due = due_runs(schedule, cursor, january(11, 5, 30), 100)
    assert due == Due((exactly(january(11, 5)),), Cursor(exactly(january(11, 5)), exactly(january(11, 6))))
    assert due_runs(schedule, due.cursor, january(11, 5, 59), 100).runs == ()


def test_a_missed_date_within_the_end_date_is_run_after_it() -> None:
    schedule = Schedule(DAILY_SPANS, start=NEW_YEAR, end=january(5, 12))
    cursor = Cursor(span(january(2), january(3)), span(january(3), january(4)))
    due = due_runs(schedule, cursor, january(20), 100)
    assert due == Due((span(january(5), january(6)),), Cursor(span(january(5), january(6))))
    everything = Schedule(DAILY_SPANS, start=NEW_YEAR, end=january(5, 12), catchup=True)
    caught_up = due_runs(everything, cursor, january(20), 9)
    assert [dates.logical_date.day for dates in caught_up.runs] == [3, 4, 5]
    assert caught_up.cursor.next is None


def test_nothing_is_due_before_its_time_or_without_room() -> None:
    schedule = Schedule(DAILY, start=NEW_YEAR, catchup=True)
    cursor = Cursor(exactly(january(1)), exactly(january(2)))
    moment_before = january(2) - timedelta(microseconds=1)
    assert due_runs(schedule, cursor, moment_before, 100) == Due((), cursor)
    assert due_runs(schedule, cursor, january(2), 0) == Due((), cursor)
    assert due_runs(schedule, cursor, january(2), 1).runs == (exactly(january(2)),)


def test_a_clock_that_jumps_back_makes_nothing_due_again() -> None:
    schedule = Schedule(DAILY, start=NEW_YEAR)
    due = due_runs(schedule, plan(schedule, Cursor(), january(9)), january(9), 100)
    assert due_runs(schedule, due.cursor, january(2), 100) == Due((), due.cursor)
    assert plan(schedule, due.cursor, january(2)) == due.cursor


def test_the_cursor_passes_a_date_whether_or_not_a_run_could_be_made_for_it() -> None:
    """A person's run holds the 2nd: the database refuses another, and the schedule goes on with the 3rd."""
    schedule = Schedule(DAILY, start=NEW_YEAR, catchup=True)
    held = {january(2)}
    cursor = plan(schedule, Cursor(), NEW_YEAR)
    made: list[datetime] = []
    for day in range(1, 5):
        due = due_runs(schedule, cursor, january(day), 100)
        made += [dates.logical_date for dates in due.runs if dates.logical_date not in held]
        cursor = due.cursor
    assert made == [january(1), january(3), january(4)]


# --- the other timetables -----------------------------------------------------------------------


def test_once_is_due_once() -> None:
    schedule = Schedule(OnceTimetable())
    cursor = plan(schedule, Cursor(), january(3, 5))
    due = due_runs(schedule, cursor, january(4), 100)
    assert due == Due((exactly(january(3, 5)),), Cursor(exactly(january(3, 5))))
    assert due_runs(schedule, plan(schedule, due.cursor, january(5)), january(5), 100).runs == ()


def test_continuous_is_due_when_the_last_run_has_ended_and_not_before() -> None:
    schedule = Schedule(ContinuousTimetable(), start=NEW_YEAR)
    due = due_runs(schedule, plan(schedule, Cursor(), january(3)), january(3), 100)
    assert due == Due((span(january(1), january(3)),), Cursor(span(january(1), january(3))))
    waiting = due_runs(schedule, due.cursor, january(4), 100, unfinished=1)
    assert waiting == Due((), due.cursor)
    assert plan(schedule, due.cursor, january(4), unfinished=1) == due.cursor
    again = due_runs(schedule, waiting.cursor, january(5), 100, unfinished=0)
    assert again == Due((span(january(3), january(5)),), Cursor(span(january(3), january(5))))


def test_events_and_tables_are_followed_to_their_end() -> None:
    events = Schedule(EventsTimetable((january(2), january(4))), catchup=True)
    runs, cursor = all_due(events, plan(events, Cursor(), NEW_YEAR), january(9), 1)
    assert (runs, cursor.next) == ([exactly(january(2)), exactly(january(4))], None)
    row = span(january(2), january(3))
    table = Schedule(CustomTimetable("x.Y", ticks=(row,)))
    assert due_runs(table, plan(table, Cursor(), NEW_YEAR), january(9), 9) == Due((row,), Cursor(row))


def test_a_table_that_is_published_again_with_more_rows_goes_on_where_it_was() -> None:
    old = Cursor(span(january(2), january(3)))
    longer = Schedule(CustomTimetable("x.Y", ticks=(span(january(2), january(3)), span(january(5), january(6)))))
    assert plan(longer, old, january(4)).next == span(january(5), january(6))


def test_the_time_part_of_a_schedule_with_assets_is_due_like_any_other() -> None:
    schedule = Schedule(AssetOrTimeTimetable(DAILY, AssetKey("a")), start=NEW_YEAR)
    assert due_runs(schedule, plan(schedule, Cursor(), january(3)), january(3), 9).runs == (exactly(january(3)),)


# --- edits --------------------------------------------------------------------------------------


def test_a_new_start_date_in_the_past_does_not_call_for_dates_before_the_last() -> None:
    cursor = Cursor(exactly(january(5)), exactly(january(6)))
    schedule = Schedule(DAILY, start=NEW_YEAR - 30 * DAY, catchup=True)
    assert plan(schedule, cursor, january(8)) == cursor


def test_turning_catchup_on_calls_for_what_comes_after_the_last_run() -> None:
    cursor = Cursor(exactly(january(5)), exactly(january(6)))
    runs, _ = all_due(Schedule(DAILY, start=NEW_YEAR, catchup=True), cursor, january(8), 9)
    assert runs == [exactly(january(day)) for day in (6, 7, 8)]


def test_a_date_that_was_missed_is_not_forgotten_when_the_file_is_published_again() -> None:
    schedule = Schedule(DAILY)
    cursor = plan(schedule, Cursor(), january(3, 12))
    assert cursor.next == exactly(january(4))
    replanned = plan(schedule, cursor, january(5, 12))
    assert due_runs(schedule, replanned, january(5, 12), 9).runs == (exactly(january(5)),)
    ended = Schedule(DAILY, start=NEW_YEAR, end=january(4))
    last_chance = Cursor(exactly(january(3)), exactly(january(4)))
    assert plan(ended, last_chance, january(9)) == last_chance


def test_a_planned_date_that_the_new_schedule_does_not_have_is_given_up() -> None:
    cursor = Cursor(exactly(january(5)), exactly(january(6)))
    weekly = Schedule(CronTimetable(("0 0 * * MON",)), start=NEW_YEAR, catchup=True)
    assert plan(weekly, cursor, january(7)).next == exactly(january(8))
    assert plan(Schedule(OnceTimetable()), cursor, january(7)).next is None


timetables: st.SearchStrategy[Timetable] = st.one_of(
    st.builds(
        lambda text, zone, spans: CronTimetable((text,), timezone=zone, data_interval=spans),
        st.sampled_from(["0 * * * *", "0 0 * * *", "30 2 * * *", "*/20 * * * *", "0 */5 * * SUN", "0 0 L * *"]),
        st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe"]),
        st.booleans(),
    ),
    st.builds(
        lambda hours, spans: DeltaTimetable(hours * HOUR, data_interval=spans), st.integers(1, 50), st.booleans()
    ),
    st.sampled_from(
        [
            OnceTimetable(),
            ContinuousTimetable(),
            EventsTimetable(tuple(january(day, 3) for day in range(1, 28, 3))),
            CustomTimetable("x.Y", ticks=tuple(span(january(day, 6), january(day, 18)) for day in range(1, 28, 2))),
        ]
    ),
)
schedules = st.builds(
    Schedule,
    timetable=timetables,
    start=st.none() | st.datetimes(datetime(2023, 12, 20), datetime(2024, 1, 20), timezones=st.just(UTC)),
    end=st.none() | st.datetimes(datetime(2024, 1, 10), datetime(2024, 3, 1), timezones=st.just(UTC)),
    catchup=st.booleans(),
)


@dataclass
class History:
    """A workflow's life, as far as dates go: what `due_runs` was asked, and what must hold of its answers."""

    schedule: Schedule
    now: datetime
    cursor: Cursor = field(default_factory=Cursor)
    called: list[RunDates] = field(default_factory=list)
    unfinished: int = 0

    def edit(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.cursor = self.checked(plan(schedule, self.cursor, self.now, self.unfinished))

    def look(self, room: int) -> None:
        due = due_runs(self.schedule, self.cursor, self.now, room, self.unfinished)
        assert len(due.runs) <= room
        for dates in due.runs:
            assert dates.run_after <= self.now  # I3: never early
            if self.called:
                assert dates.logical_date > self.called[-1].logical_date  # I1, I5: no date twice
                assert dates.run_after >= self.called[-1].run_after
            self.called.append(dates)
        self.unfinished = len(due.runs) or self.unfinished
        self.cursor = self.checked(due.cursor)

    def checked(self, cursor: Cursor) -> Cursor:
        assert cursor.last == (self.called[-1] if self.called else None)
        if cursor.last and cursor.next:
            assert cursor.next.logical_date > cursor.last.logical_date
        return cursor


waits = st.timedeltas(timedelta(seconds=1), timedelta(days=4))
steps = st.one_of(
    st.tuples(st.just("edit"), schedules),
    st.tuples(st.just("wait"), waits),
    st.tuples(st.just("look"), st.integers(0, 30)),
    st.tuples(st.just("end"), st.none()),
)


@settings(max_examples=300, deadline=None)
@given(schedules, st.lists(steps, max_size=25))
def test_no_sequence_of_edits_waits_and_looks_calls_for_a_date_twice(
    schedule: Schedule, life: list[tuple[str, object]]
) -> None:
    history = History(schedule, january(2, 5, 17))
    history.edit(schedule)
    for step in life:
        match step:
            case "edit", Schedule() as edited:
                history.edit(edited)
            case "wait", timedelta() as time:
                history.now += time
            case "look", int() as room:
                history.look(room)
            case _:
                history.unfinished = 0


@settings(deadline=None)
@given(schedules, st.lists(st.tuples(waits, st.integers(1, 9)), max_size=8))
def test_when_and_how_often_one_looks_makes_no_difference_with_catchup(
    schedule: Schedule, looks: list[tuple[timedelta, int]]
) -> None:
    if isinstance(schedule.timetable, ContinuousTimetable):
        return  # its dates are when one looks
    schedule = Schedule(schedule.timetable, start=schedule.start, end=schedule.end, catchup=True)
    now = january(2, 5, 17)
    cursor = first = plan(schedule, Cursor(), now)
    called: list[RunDates] = []
    for wait, room in looks:
        now += wait
        due = due_runs(schedule, cursor, now, room)
        called.extend(due.runs)
        cursor = plan(schedule, due.cursor, now)  # the file is published again, unchanged
    called.extend(all_due(schedule, cursor, now, 50)[0])
    assert called == all_due(schedule, first, now, 100_000)[0]


@settings(deadline=None)
@given(schedules, st.lists(waits, max_size=8))
def test_without_catchup_each_look_calls_for_the_last_of_what_catchup_would(
    schedule: Schedule, pauses: list[timedelta]
) -> None:
    if isinstance(schedule.timetable, ContinuousTimetable):
        return
    latest_only = Schedule(schedule.timetable, start=schedule.start, end=schedule.end)
    everything = Schedule(schedule.timetable, start=schedule.start, end=schedule.end, catchup=True)
    now = january(2, 5, 17)
    cursor = plan(latest_only, Cursor(), now)
    for pause in pauses:
        now += pause
        due = due_runs(latest_only, cursor, now, 10)
        assert list(due.runs) == all_due(everything, cursor, now, 1000)[0][-1:]
        cursor = due.cursor
