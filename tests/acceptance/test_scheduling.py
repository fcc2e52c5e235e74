"""When runs begin, and how many tasks run at a time, as a user sees it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.acceptance.site import Run, Site, wait_until

FOLDER = "scheduling"
DAY = timedelta(days=1)


@pytest.fixture(scope="module", autouse=True)
def pools(site: Site) -> None:
    site.did("pools", "set", "single", "1")
    site.did("pools", "set", "triple", "3")


def ended(site: Site, workflow: str, count: int) -> list[dict[str, Any]]:
    """The runs of a workflow once so many have ended."""

    def all_ended() -> list[dict[str, Any]]:
        runs = [run for run in site.runs(workflow) if run["ended_at"]]
        return runs if len(runs) >= count else []

    site.has(workflow)
    return wait_until(all_ended, what=f"the end of {count} runs of {workflow}")


def dates(runs: list[dict[str, Any]]) -> list[str]:
    return [run["logical_date"][:10] for run in runs]


def the_days(site: Site, first: int, count: int) -> list[str]:
    """Days from the start date of the schedules, which the file computes when it is loaded."""
    start = datetime.fromisoformat(site.get("/workflows/caught_up/spec")["schedule"]["start"])
    return [(start + number * DAY).date().isoformat() for number in range(first, first + count)]


def test_catchup_makes_a_run_for_each_date_since_the_start(site: Site) -> None:
    runs = ended(site, "caught_up", 5)
    assert dates(runs)[:5] == the_days(site, 0, 5)
    assert {run["state"] for run in runs} == {"success"}
    assert runs[0]["data_interval_start"] == runs[0]["data_interval_end"] == runs[0]["logical_date"]


def test_without_catchup_only_the_latest_date_gets_a_run(site: Site) -> None:
    assert dates(ended(site, "latest_only", 1))[:1] == the_days(site, 4, 1)


def test_a_run_about_an_interval_begins_when_that_is_over(site: Site) -> None:
    runs = ended(site, "intervals", 4)
    assert dates(runs)[:4] == the_days(site, 0, 4)
    for run in runs:
        first, last = (datetime.fromisoformat(run[f"data_interval_{end}"]) for end in ("start", "end"))
        assert last - first == DAY
        bounds = site.get(f"/runs/{run['id']}/tasks/bounds/xcoms/return_value")
        assert [datetime.fromisoformat(bound) for bound in bounds] == [first, last]


def test_nothing_is_run_after_the_end_date(site: Site) -> None:
    assert dates(ended(site, "ended", 2)) == the_days(site, 0, 2)
    assert site.get("/workflows/ended")["next_run"] is None


def test_once_is_once(site: Site) -> None:
    assert len(ended(site, "once", 1)) == 1


@pytest.mark.parametrize(
    ("workflow", "zone", "local"),
    [("zoned", "Australia/Lord_Howe", "07:30"), ("zoned_by_timetable", "America/New_York", "22:15")],
)
def test_a_schedule_follows_the_clock_of_its_time_zone(site: Site, workflow: str, zone: str, local: str) -> None:
    [run] = ended(site, workflow, 1)
    moments = [run["logical_date"], site.get(f"/workflows/{workflow}")["next_run"]["logical_date"]]
    for moment in moments:
        assert datetime.fromisoformat(moment).astimezone(ZoneInfo(zone)).strftime("%H:%M") == local
    last, following = map(datetime.fromisoformat, moments)
    assert last < datetime.now(UTC) < following < last + 1.1 * DAY


def test_a_run_may_have_to_wait_for_the_one_before(site: Site) -> None:
    runs = ended(site, "one_at_a_time", 5)
    times = [site.get(f"/runs/{run['id']}/tasks/interval/xcoms/return_value") for run in runs]
    assert all(before[1] <= after[0] for before, after in pairwise(times))


def test_a_task_that_depends_on_its_past_waits_until_that_is_mended(site: Site) -> None:
    def stuck() -> list[dict[str, Any]]:
        runs = site.runs("depends_on_past")
        return runs if [run["state"] for run in runs][:5] == ["success", "success", "failed", *["running"] * 2] else []

    runs = wait_until(stuck)
    site.did("tasks", "clear", str(runs[2]["id"]), "day")
    runs = wait_until(lambda: [run for run in site.runs("depends_on_past") if run["state"] == "success"][4:])
    assert len(runs) == 1


def test_workflows_wait_for_one_another_on_the_same_logical_date(site: Site) -> None:
    """Each consumer's run waits for the producer's of its own date, `next_day`'s for the day before."""
    made = {run["logical_date"]: run for run in ended(site, "producer", 5)}
    for run in ended(site, "consumer", 5):
        producer = Run(site, made[run["logical_date"]])
        consumer = Run(site, run)
        assert producer.tasks["make"]["ended_at"] <= consumer.tasks["use"]["started_at"]
        assert consumer.tasks["wait"]["try_number"] == 1
    for run in ended(site, "next_day", 4):
        before = datetime.fromisoformat(run["logical_date"]) - DAY
        [producer_run] = [row for date, row in made.items() if datetime.fromisoformat(date) == before]
        assert producer_run["ended_at"] <= Run(site, run).tasks["use"]["started_at"]


def test_a_paused_workflow_makes_no_runs_until_it_is_unpaused(site: Site) -> None:
    site.has("ticking")
    assert site.get("/workflows/ticking")["paused"]
    assert site.runs("ticking") == []
    site.did("workflows", "unpause", "ticking")
    wait_until(lambda: len(site.runs("ticking")) >= 3)
    site.did("workflows", "pause", "ticking")
    paused = len(site.runs("ticking"))
    site.did("workflows", "trigger", "caught_up", "--wait", "--timeout", "20s")  # some time goes by
    assert len(site.runs("ticking")) == paused
    site.did("workflows", "unpause", "ticking")
    wait_until(lambda: len(site.runs("ticking")) > paused)
    site.did("workflows", "pause", "ticking")
    runs = site.runs("ticking")
    moments = [datetime.fromisoformat(run["logical_date"]) for run in runs]
    assert len(set(moments)) == len(moments)
    late = [
        (datetime.fromisoformat(run["created_at"]) - datetime.fromisoformat(run["run_after"])).total_seconds()
        for run in runs
    ]
    assert min(late) >= 0, "no run is made before its time (I3)"
    assert late[2] < 1, "nor more than a second after it"


# --- limits -------------------------------------------------------------------------------------


def times(run: Run) -> list[tuple[float, float]]:
    """When each task worked."""
    assert run.state == "success"
    found = []
    for name in run.tasks:
        task, _, index = name.partition("[")
        found.append(tuple(run.xcom(task, map_index=int(index[:-1]) if index else -1)))
    return sorted(found)


def most_at_a_time(intervals: list[tuple[float, float]]) -> int:
    return max(sum(1 for began, ended in intervals if began <= moment < ended) for moment, _ in intervals)


def test_a_pool_of_one_slot_is_taken_in_order_of_priority(site: Site) -> None:
    run = site.run("pooled")
    assert most_at_a_time(times(run)) == 1
    # The first is granted as soon as it is there, before the others are known to wait.
    order = run.order()
    assert order == ["weight_5", "weight_4", "weight_3", "weight_2", "weight_1"]


def test_a_task_may_take_several_slots(site: Site) -> None:
    assert most_at_a_time(times(site.run("heavy"))) == 1


def test_a_workflow_may_limit_how_many_of_its_tasks_run(site: Site) -> None:
    assert most_at_a_time(times(site.run("few_at_a_time"))) == 2
    assert most_at_a_time(times(site.run("limited_task"))) == 1


def test_a_task_that_can_never_start_waits_and_can_be_cancelled(site: Site) -> None:
    for workflow in ("no_such_pool", "too_big"):
        run = site.trigger(workflow)
        wait_until(lambda run=run: site.states(run["id"]) == {"stuck": "scheduled"})
        site.did("runs", "cancel", str(run["id"]))
        assert site.ended(run).state == "failed"


def test_a_task_that_takes_too_long_is_ended(site: Site) -> None:
    run = site.run("task_timeout")
    assert set(run.states.values()) == {"failed"}
    assert [attempt["try_number"] for attempt in run.attempts("python")] == [1, 2]
    for task in run.tasks:
        assert "execution_timeout of 0:00:00.5" in run.error(task)
        for attempt in run.attempts(task):
            begun, over = (datetime.fromisoformat(attempt[f"{end}_at"]) for end in ("started", "ended"))
            assert (over - begun).total_seconds() < 2.5
    assert "cleaned up" in run.log("cleans_up")


def test_a_run_that_takes_too_long_is_ended(site: Site) -> None:
    run = site.run("run_timeout")
    assert (run.state, run.row["reason"]) == ("failed", "timed_out")
    assert run.states == {"first": "success", "long": "skipped", "also": "skipped"}
