"""`piper assets`: what each verb shows and does."""

from __future__ import annotations

import pytest

from piper.model.assets import AssetKind, AssetRole
from piper.model.events import ForgetAssets
from piper.store import schema
from tests.integration.cli.conftest import Piper
from tests.integration.web.owner import Owner
from tests.integration.web.rows import THEN, Rows


@pytest.fixture
def orders(rows: Rows) -> int:
    """An asset with two events: one that the task of a workflow has caused, one by hand."""
    rows.workflow("report")
    number = rows.asset("orders", "s3://orders", extra={"by": "ann"})
    for workflow_id, role, task_id, kind, name in (
        ("load", AssetRole.OUTLET, "copy", AssetKind.ASSET, "orders"),
        ("report", AssetRole.SCHEDULE, "", AssetKind.ASSET, "orders"),
        ("audit", AssetRole.INLET, "read", AssetKind.ALIAS, "latest"),
    ):
        rows.add(
            schema.asset_reference,
            workflow_id=workflow_id,
            role=role,
            task_id=task_id,
            kind=kind,
            name=name,
            uri="",
            team="red",
        )
    rows.add(schema.asset_alias, team="red", alias="latest", asset=number)
    source = {"workflow_id": "load", "run_id": "r1", "task_id": "copy", "map_index": 2}
    rows.add(schema.asset_event, team="red", asset=number, at=THEN, extra={"rows": 17}, **source)
    rows.add(schema.asset_event, team="red", asset=number, at=THEN, extra={})
    return number


def test_assets_are_listed(piper: Piper, rows: Rows, orders: int) -> None:
    rows.asset("weather", "https://weather", active=False)
    shown = piper("assets", "list")
    header, first, second = shown.out.splitlines()
    assert header.split()[:2] == ["ASSET", "ACTIVE"]
    assert first.split()[:3] == ["orders", "yes", "2026-11-01T00:00:00Z"]
    assert second.split()[:2] == ["weather", "no"]
    assert [row["name"] for row in piper("assets", "list", "--inactive", "-o", "json").json] == ["weather"]


def test_an_asset_is_shown_by_name_uri_or_number_with_who_uses_it(piper: Piper, orders: int) -> None:
    shown = piper("assets", "show", "orders").out
    assert "load.copy" in shown
    assert "audit.read (by alias latest)" in shown
    for name in ("s3://orders", str(orders)):
        assert piper("assets", "show", name, "-o", "json").json["name"] == "orders"
    missing = piper("assets", "show", "order")
    assert (missing.code, missing.out) == (3, "")
    assert "there is no asset 'order'" in missing.err


def test_an_asset_that_may_be_several_is_asked_for_by_number(piper: Piper, rows: Rows, orders: int) -> None:
    theirs = rows.asset("orders", "s3://theirs", team="blue")
    shown = piper("assets", "show", "orders")
    assert shown.code == 2
    assert "may be several assets" in shown.err
    assert piper("assets", "show", str(theirs), "-o", "json").json["team"] == "blue"


def test_events_are_listed_with_their_cause(piper: Piper, orders: int) -> None:
    header, by_hand, by_task = piper("assets", "events", "orders").out.splitlines()
    assert header.split()[:3] == ["EVENT", "AT", "ASSET"]
    assert "by hand" in by_hand
    assert "load.copy[2]" in by_task
    assert '{"rows":17}' in by_task
    assert [row["id"] for row in piper("assets", "events", "--workflow", "load", "-o", "json").json] == [1]
    assert len(piper("assets", "events", "-o", "json").json) == 2
    assert piper("assets", "events", "orders", "--workflow", "load").code == 2


def test_the_events_of_a_run_are_those_that_caused_it(piper: Piper, rows: Rows, orders: int) -> None:
    run = rows.run("report")
    rows.add(schema.asset_delivery, workflow_id="report", event=2, asset=orders, run=run.id)
    (event,) = piper("assets", "events", "--run", f"report/{run.run_id}", "-o", "json").json
    assert (event["id"], event["runs"]) == (2, [{"workflow_id": "report", "run_id": run.run_id}])


def test_an_event_is_made_by_hand(piper: Piper, orders: int) -> None:
    made = piper("assets", "emit", "orders", "--extra", '{"rows": 3}', "-o", "json")
    assert made.code == 0
    assert (made.json["extra"], made.json["workflow_id"]) == ({"rows": 3}, None)
    assert "made event 3 of orders" in made.err


@pytest.mark.parametrize("extra", ["{", "[1]", "5", "@/nowhere.json"])
def test_an_extra_that_is_no_object_is_refused_before_anything_is_asked(piper: Piper, orders: int, extra: str) -> None:
    refused = piper("assets", "emit", "orders", "--extra", extra)
    assert (refused.code, refused.out) == (2, "")
    assert "--extra" in refused.err


def test_an_extra_that_is_too_long_is_refused_with_its_length(piper: Piper, orders: int) -> None:
    refused = piper("assets", "emit", "orders", "--extra", f'{{"k": "{"x" * 70_000}"}}')
    assert refused.code == 2
    assert "65,536 are the most" in refused.err


def test_what_waits_is_listed_and_forgotten(piper: Piper, rows: Rows, owner: Owner, orders: int) -> None:
    rows.add(schema.asset_delivery, workflow_id="report", event=1, asset=orders)
    rows.add(schema.asset_queue, workflow_id="report", asset=orders, event=1, at=THEN)
    (waiting,) = piper("assets", "waiting", "report", "-o", "json").json
    assert (waiting["event"], waiting["queued"]) == (1, True)
    assert piper("assets", "forget", "report").code == 0
    assert piper("assets", "forget", "report", "orders", "-o", "json").json == {
        "workflow_id": "report",
        "asset": "orders",
    }
    assert [stored.event for stored in owner.applied] == [ForgetAssets("report"), ForgetAssets("report", orders)]
    assert piper("assets", "waiting", "nothing").code == 3


@pytest.mark.parametrize("verb", ["list", "show", "events", "emit", "waiting", "forget"])
def test_every_verb_has_an_example(piper: Piper, verb: str) -> None:
    shown = piper("assets", verb, "--help")
    assert shown.code == 0
    assert f"piper assets {verb}" in shown.out.partition("Example")[2]
