"""Backfills as a user has them: typed, waited for, steered, and survived."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from tests.acceptance.site import WORKFLOWS, Site, wait_until

FOLDER = "backfilling"


@pytest.fixture(scope="module", autouse=True)
def ready(site: Site) -> None:
    site.did("pools", "set", "narrow", "1")
    site.has("scored", "slow", "chained", "long", "by_hand")


def create(site: Site, workflow: str, first: str, last: str, *options: str) -> Any:
    return site.piper("backfill", "create", workflow, "--from", first, "--to", last, *options, "-o", "json")


def show(site: Site, number: int) -> dict[str, Any]:
    found: dict[str, Any] = site.did("backfill", "show", str(number), "-o", "json").json
    return found


def runs_of(site: Site, number: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = site.did("runs", "list", "--backfill", str(number), "--limit", "0", "-o", "json").json
    return sorted(found, key=lambda run: run["logical_date"])


def results(site: Site, number: int) -> list[dict[str, Any]]:
    return [site.get(f"/runs/{run['id']}/tasks/score/xcoms/return_value") for run in runs_of(site, number)]


def test_a_range_is_shown_filled_and_run_again_with_a_newer_model(site: Site) -> None:
    span = ("scored", "2025-03-28", "2025-03-31")
    planned = create(site, *span, "--dry-run")
    assert [(row["logical_date"], row["action"]) for row in planned.json] == [
        (f"2025-03-{day}T02:30:00Z", "create") for day in (28, 29, 30)
    ]
    assert site.runs("scored") == []

    done = create(site, *span, "--wait")
    assert (done.code, done.err) == (0, "")
    assert (done.json["state"], done.json["progress"]["success"]) == ("completed", 3)
    assert [(row["day"], row["model"]) for row in results(site, done.json["id"])] == [
        (f"2025-03-{day}", "v1") for day in (28, 29, 30)
    ]
    assert {row["run_type"] for row in runs_of(site, done.json["id"])} == {"backfill"}

    again = create(site, *span, "--wait")
    assert (again.code, again.json["progress"]["existed"]) == (0, 3)
    newer = create(site, *span, "--wait", "--reprocess", "completed", "-p", "model=v2", "--backwards")
    assert (newer.code, newer.json["progress"]["rerun"]) == (0, 3)
    found = results(site, newer.json["id"])
    assert {row["model"] for row in found} == {"v2"}
    assert {attempt["try_number"] for run in runs_of(site, newer.json["id"]) for attempt in attempts(site, run)} == {
        1,
        2,
    }


def attempts(site: Site, run: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = site.get(f"/runs/{run['id']}/tasks/score/attempts")
    return found


def test_what_failed_is_told_by_the_exit_code_and_run_again(site: Site) -> None:
    span = ("scored", "2025-05-01", "2025-05-04")
    broken = create(site, *span, "--wait", "-p", "broken=2025-05-02")
    assert (broken.code, broken.json["state"], broken.json["progress"]["failed"]) == (1, "completed", 1)
    mended = create(site, *span, "--wait", "--reprocess", "failed", "-p", 'broken="none"')
    assert mended.code == 0, mended
    progress = mended.json["progress"]
    assert (progress["rerun"], progress["existed"], progress["success"]) == (1, 2, 1)


def test_a_backfill_is_paused_resumed_and_cancelled(site: Site) -> None:
    number = create(site, "slow", "2024-01-01", "2024-12-30", "--max-active-runs", "2", "-p", "seconds=0.3").json["id"]
    wait_until(lambda: show(site, number)["progress"]["success"] > 0)
    assert site.did("backfill", "pause", str(number)).err == f"paused backfill {number} of slow\n"
    wait_until(lambda: show(site, number)["progress"]["running"] == 0)
    stopped = show(site, number)
    assert (stopped["paused"], stopped["progress"]["created"]) == (True, 365)
    late = site.piper("backfill", "wait", str(number), "--timeout", "1s")
    assert late.code == 7
    assert "it goes on" in late.err
    assert show(site, number)["progress"] == stopped["progress"]
    site.did("backfill", "resume", str(number))
    wait_until(lambda: show(site, number)["progress"]["success"] > stopped["progress"]["success"])
    site.did("backfill", "cancel", str(number))
    ended = site.piper("backfill", "wait", str(number), "--timeout", "20s", "-o", "json")
    assert (ended.code, ended.json["state"]) == (1, "cancelled")
    reasons = Counter(run["reason"] for run in runs_of(site, number))
    assert reasons["backfill_cancelled"] > 200
    assert reasons["success"] == ended.json["progress"]["success"], "what ran went on to its end"
    assert site.piper("backfill", "cancel", str(number)).code == 4


def test_a_fresh_run_goes_before_all_that_a_backfill_still_has_to_do(site: Site) -> None:
    number = create(site, "slow", "2025-02-01", "2025-08-20", "--max-active-runs", "10", "-p", "seconds=0.2").json["id"]
    wait_until(lambda: show(site, number)["progress"]["running"] == 10)
    fresh = site.trigger("slow", "-p", "seconds=0.1")
    done = site.ended(fresh)
    began = done.tasks["work"]["started_at"]
    asked = datetime.fromisoformat(fresh["created_at"])
    site.did("backfill", "cancel", str(number))
    others = [site.get(f"/runs/{run['id']}/tasks/work") for run in runs_of(site, number) if run["started_at"]]
    between = [task for task in others if task["started_at"] and asked < datetime.fromisoformat(task["started_at"])]
    overtook = [task for task in between if task["started_at"] < began]
    assert done.state == "success"
    assert len(overtook) <= 1, "one may have been granted at that very moment"


def test_what_depends_on_its_past_runs_in_the_order_of_its_dates(site: Site) -> None:
    refused = create(site, "chained", "2025-01-01", "2025-01-05", "--backwards", "--reprocess", "failed")
    assert (refused.code, refused.out) == (4, "")
    assert "fill the range forwards" in refused.err
    done = create(site, "chained", "2025-01-01", "2025-01-05", "--reprocess", "failed", "--wait")
    assert done.code == 0
    ends = [site.get(f"/runs/{run['id']}/tasks/link/xcoms/return_value") for run in runs_of(site, done.json["id"])]
    assert ends == sorted(ends)
    assert len(ends) == 5


@pytest.mark.parametrize(
    ("workflow", "first", "last", "options", "code", "said"),
    [
        ("scored", "2025-02-01", "2025-01-01", (), 2, "ends before it begins"),
        ("scored", "2039-01-01", "2039-02-01", (), 2, "begins in the future"),
        ("scored", "1900-01-01", "2025-01-01", (), 2, "core.backfill_limit"),
        ("scored", "2025-01-01", "2025-02-01", ("-p", "modle=v2"), 2, "did you mean 'model'?"),
        ("scored", "2025-01-01", "2025-02-01", ("--version", "9"), 3, "has no version 9"),
        ("by_hand", "2025-01-01", "2025-02-01", (), 4, "has no schedule by time"),
        ("scord", "2025-01-01", "2025-02-01", (), 3, "did you mean 'scored'?"),
        ("scored", "yesterday", "2025-02-01", (), 2, "yesterday"),
    ],
)
def test_what_cannot_be_filled_is_said_in_a_line(
    site: Site, workflow: str, first: str, last: str, options: tuple[str, ...], code: int, said: str
) -> None:
    refused = create(site, workflow, first, last, *options)
    assert (refused.code, refused.out) == (code, "")
    assert said in refused.err


def test_a_server_that_is_killed_while_it_makes_runs_makes_each_once(own_site: Site) -> None:
    (own_site.dags / "ranges.py").write_text((WORKFLOWS / FOLDER / "ranges.py").read_text())
    own_site.start()
    own_site.has("long")
    own_site.did("workflows", "pause", "long")
    number = create(own_site, "long", "2024-01-01", "2025-02-20").json["id"]
    wait_until(lambda: show(own_site, number)["progress"]["created"] > 500)
    own_site.kill()
    own_site.start()
    wait_until(lambda: show(own_site, number)["state"] == "running")
    progress = show(own_site, number)["progress"]
    assert progress["total"] == progress["created"] == progress["queued"] == 9985
    dates = [run["logical_date"] for run in own_site.items("/runs", backfill=number)]
    assert len(set(dates)) == len(dates) == 9985
