"""Assets as a user has them: what tasks change, and what runs because of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.acceptance.site import WORKFLOWS, Run, Site, wait_until

FOLDER = "assets"
BY_ASSETS = "asset_triggered"


def caused(site: Site, workflow: str) -> list[dict[str, Any]]:
    """The runs of a workflow by assets, oldest first."""
    return sorted(site.items(f"/workflows/{workflow}/runs", run_type=BY_ASSETS), key=lambda run: run["id"])


def next_run(site: Site, workflow: str, before: list[dict[str, Any]]) -> Run:
    """Wait for the one run by assets that a workflow has had since."""
    known = {run["id"] for run in before}
    (run,) = wait_until(
        lambda: [run for run in caused(site, workflow) if run["id"] not in known], what=f"a run of {workflow}"
    )
    return site.ended(run)


@pytest.fixture(scope="module", autouse=True)
def loaded(site: Site) -> None:
    """Everything is published before the first change."""
    site.has("makes_orders", "makes_prices", "makes_many", "makes_badly", "waits_for_orders", "waits_for_both")
    site.has("waits_for_parts", "offers")


def test_a_change_runs_what_waits_for_it_with_what_was_said(site: Site) -> None:
    before = caused(site, "waits_for_orders")
    source = site.run("makes_orders", "-p", "rows=40")
    run = next_run(site, "waits_for_orders", before)
    assert (run.state, run.row["logical_date"]) == ("success", None)
    assert run.xcom("look") == {"rows": [40], "from": [source.row["run_id"]], "latest": 40}
    (event,) = site.items(f"/runs/{run.id}/asset-events")
    assert (event["workflow_id"], event["task_id"], event["extra"]) == ("makes_orders", "make", {"rows": 40})


def test_a_condition_of_two_runs_once_for_both(site: Site) -> None:
    site.did("assets", "forget", "waits_for_both")
    before = caused(site, "waits_for_both")
    for _ in range(3):
        site.run("makes_orders")
    waiting = site.did("assets", "waiting", "waits_for_both", "-o", "json").json
    assert [each["name"] for each in waiting] == ["orders"] * 3
    site.run("makes_prices")
    run = next_run(site, "waits_for_both", before)
    events = site.items(f"/runs/{run.id}/asset-events")
    assert Counter(event["name"] for event in events) == {"orders": 3, "prices": 1}
    assert site.did("assets", "waiting", "waits_for_both", "-o", "json").json == []


def test_each_instance_of_a_mapped_task_attaches_an_asset_of_its_own(site: Site) -> None:
    site.run("makes_many")
    wait_until(
        lambda: sum(len(site.items(f"/runs/{run['id']}/asset-events")) for run in caused(site, "waits_for_parts")) == 3,
        what="three events taken",
    )
    numbers = [site.ended(run).xcom("count") for run in caused(site, "waits_for_parts")]
    assert sorted(number for some in numbers for number in some) == [1, 2, 3]
    assert site.did("assets", "show", "s3://shop/part-2", "-o", "json").json["active"]


def test_the_function_of_an_asset_gets_what_it_reads(site: Site) -> None:
    before = caused(site, "offers")
    site.run("makes_prices")
    run = next_run(site, "offers", before)
    assert run.xcom("offers") == ["offers", "s3://shop/prices", BY_ASSETS]
    made = [
        event for event in site.items("/asset-events", workflow_id="offers") if event["run_id"] == run.row["run_id"]
    ]
    assert [event["name"] for event in made] == ["offers"]


def test_tasks_that_fail_skip_or_say_what_cannot_be_kept_change_nothing(site: Site) -> None:
    run = site.run("makes_badly")
    assert run.states == {
        "fails": "failed",
        "skips": "skipped",
        "says_too_much": "failed",
        "says_no_json": "failed",
        "adds_no_asset": "failed",
    }
    assert "65,536 are the most" in run.error("says_too_much")
    assert "is not JSON" in run.error("says_no_json")
    assert "must be an asset or a reference to one, not 's3://shop/part'" in run.error("adds_no_asset")
    assert site.items("/asset-events", workflow_id="makes_badly") == []


def test_what_a_person_marks_successful_has_changed_nothing(site: Site) -> None:
    run = site.run("makes_badly")
    site.did("tasks", "mark", str(run.id), "fails", "--state", "success")
    assert site.states(run.id)["fails"] == "success"
    assert site.items("/asset-events", workflow_id="makes_badly") == []


def test_an_event_by_hand_runs_what_waits_and_has_no_source(site: Site) -> None:
    before = caused(site, "waits_for_orders")
    site.did("assets", "emit", "orders", "--extra", '{"rows": 3}')
    assert next_run(site, "waits_for_orders", before).xcom("look") == {"rows": [3], "from": [None], "latest": 3}


def test_what_changes_during_a_pause_is_in_the_next_run(site: Site) -> None:
    site.did("workflows", "pause", "waits_for_orders")
    before = caused(site, "waits_for_orders")
    site.did("assets", "emit", "orders", "--extra", '{"rows": 1}')
    site.did("workflows", "unpause", "waits_for_orders")
    site.did("assets", "emit", "orders", "--extra", '{"rows": 2}')
    assert next_run(site, "waits_for_orders", before).xcom("look")["rows"] == [1, 2]


@pytest.mark.timeout(300)
def test_a_server_that_is_killed_again_and_again_loses_no_event_and_takes_none_twice(own_site: Site) -> None:
    own_site.publish("goods.py", (WORKFLOWS / FOLDER / "goods.py").read_text())
    own_site.start()
    own_site.has("waits_for_orders", "makes_orders")
    made: list[dict[str, Any]] = []
    for _ in range(3):
        made += [own_site.api.post("/workflows/makes_orders/runs", json={}).json() for _ in range(4)]
        wait_until(lambda: own_site.items("/asset-events"), seconds=60, what="the first event")
        own_site.kill()
        own_site.start()

    def rest() -> bool:
        runs = own_site.items("/workflows/makes_orders/runs") + caused(own_site, "waits_for_orders")
        return {run["state"] for run in runs} == {"success"} and len(taken()) >= len(made)

    def taken() -> list[int]:
        runs = caused(own_site, "waits_for_orders")
        return [event["id"] for run in runs for event in own_site.items(f"/runs/{run['id']}/asset-events")]

    wait_until(rest, seconds=120, what="rest")
    events = own_site.items("/asset-events", workflow_id="makes_orders")
    assert Counter(event["run_id"] for event in events) == Counter(run["run_id"] for run in made)
    assert sorted(taken()) == sorted(event["id"] for event in events)
