"""Assets, and DAGs scheduled by them."""

from __future__ import annotations

from typing import Any

import pytest

from piper.model import schedule as data
from piper.model.spec import AssetRef
from piper.sdk.asset_decorator import asset
from piper.sdk.assets import Asset, AssetAccessControl, AssetAlias, AssetAll, AssetAny, Metadata, Model
from piper.sdk.built_in_timetables import AssetOrTimeSchedule, CronTriggerTimetable
from piper.sdk.dags import DAG
from piper.sdk.decorators import task
from tests.unit.sdk.operators import shell, spec, task_of

A = Asset("a", "s3://bucket/a")
B = Asset("b")
C = Asset(uri="file:///c")


def test_name_and_uri_stand_in_for_each_other() -> None:
    assert (B.name, B.uri) == ("b", "b")
    assert (C.name, C.uri) == ("file:///c", "file:///c")
    with pytest.raises(TypeError, match="requires either 'name' or 'uri'"):
        Asset()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("S3://Bucket/key/", "s3://Bucket/key"),
        ("s3://bucket", "s3://bucket/"),
        ("file:///tmp/x?b=2&a=1#part", "file:///tmp/x?a=1&b=2"),
        ("x-own://a/b/#c", "x-own://a/b/#c"),
        ("just words", "just words"),
    ],
)
def test_a_uri_has_one_spelling(given: str, kept: str) -> None:
    assert Asset(uri=given).uri == kept


def test_a_password_in_a_uri_is_dropped_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="should not contain a password"):
        assert Asset("x", "postgres://ann:secret@host/db").uri == "postgres://host/db"


@pytest.mark.parametrize(
    ("name", "uri", "words"),
    [
        ("", None, "empty"),
        (" ", None, "empty or just whitespace"),
        ("self", None, "prohibited name"),
        ("x" * 1501, None, "1500"),
        ("x", "airflow://y", "reserved"),
        ("x", "", "empty"),
    ],
)
def test_a_wrong_name_or_uri_is_refused(name: str, uri: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Asset(name, uri)


def test_assets_are_equal_by_what_they_are() -> None:
    assert Asset("a", "s3://bucket/a") == A
    assert Asset("a", "s3://bucket/a", extra={"x": 1}) != A
    assert len({A, Asset("a", "s3://bucket/a")}) == 1
    assert Model("m").group == "model"
    assert Metadata(A).extra == {}


def condition(schedule: Any) -> Any:
    timetable = spec(DAG("d", schedule=schedule)).schedule.timetable
    assert isinstance(timetable, data.AssetTimetable)
    return timetable.condition


def test_conditions_are_stored_as_data() -> None:
    a, b, c = data.AssetKey("a", "s3://bucket/a"), data.AssetKey("b", "b"), data.AssetKey("file:///c", "file:///c")
    assert condition(A) == a
    assert condition([A, B]) == data.AssetAll((a, b))
    assert condition(A & B & C) == data.AssetAll((a, b, c))
    assert condition(A | (B & C)) == data.AssetAny((a, data.AssetAll((b, c))))
    assert condition(A | B | C) == data.AssetAny((a, b, c))
    assert condition(Asset.ref(name="a")) == data.AssetKey(name="a")
    assert condition(Asset.ref(uri="x://y")) == data.AssetKey(uri="x://y")
    assert condition([AssetAlias("later")]) == data.AssetAll((data.AssetAliasKey("later"),))


def test_assets_and_time_together() -> None:
    stored = spec(DAG("d", schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("@daily"), assets=[A])))
    timetable = stored.schedule.timetable
    assert isinstance(timetable, data.AssetOrTimeTimetable)
    assert timetable.timetable == data.CronTimetable(("@daily",))
    assert stored.schedule.summary == "Asset or @daily"
    with pytest.raises(ValueError, match="expected an asset"):
        AssetOrTimeSchedule(timetable=CronTriggerTimetable("@daily"), assets=5)


def test_a_list_with_something_else_is_no_schedule() -> None:
    with pytest.raises(ValueError, match="All elements in 'schedule'"):
        DAG("d", schedule=[A, "b"])
    with pytest.raises(TypeError, match="expect asset expressions"):
        AssetAny(A, "b")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="either 'name' or 'uri'"):
        Asset.ref(name="a", uri="b")  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        A & "b"  # type: ignore[operator]


def test_inlets_and_outlets_are_stored() -> None:
    with DAG("d") as dag:
        one = shell("a", outlets=[A, AssetAlias("later")], inlets=B)
        one.add_outlets([Asset("x", extra={"rows": 1})])
        shell("b", inlets=AssetAll(A, B))
    stored = task_of(dag, "a")
    assert stored.outlets == (
        AssetRef("a", "s3://bucket/a"),
        data.AssetAliasKey("later"),
        AssetRef("x", "x", extra={"rows": 1}),
    )
    assert stored.inlets == (AssetRef("b", "b"),)
    assert len(task_of(dag, "b").inlets) == 2


def test_watchers_are_refused_until_there_are_some() -> None:
    with pytest.raises(NotImplementedError, match="no asset watchers yet"):
        Asset("a", watchers=[object()])


def test_access_control_names_teams() -> None:
    assert AssetAccessControl(producer_teams=["x"]).consumer_teams is None
    with pytest.raises(ValueError, match="non-empty string"):
        AssetAccessControl(consumer_teams=[" "])


# --- @asset -------------------------------------------------------------------------------------


@asset(schedule="@daily", uri="s3://bucket/orders", tags=["sales"])
def orders() -> None:
    """All orders."""


@asset(schedule=orders, name="the_report", dag_id="report_dag")
def report(self, context, orders, outlet_events, limit=10):  # type: ignore[no-untyped-def]
    """Sums up."""


@asset.multi(schedule=None, outlets=[A, B])
def both() -> None: ...


@asset(schedule=None)
@task(retries=3)
def decorated() -> None: ...


def test_a_function_becomes_an_asset_with_a_dag_that_makes_it() -> None:
    assert (orders.name, orders.uri) == ("orders", "s3://bucket/orders")
    stored = spec(orders.dag)
    assert (stored.workflow_id, stored.tags) == ("orders", ("sales",))
    assert stored.task("orders").outlets == (AssetRef("orders", "s3://bucket/orders"),)
    assert not stored.schedule.catchup


def test_parameters_named_like_assets_become_inlets() -> None:
    stored = spec(report.dag)
    assert stored.workflow_id == "report_dag"
    assert stored.schedule.timetable == data.AssetTimetable(data.AssetKey("orders", "s3://bucket/orders"))
    assert stored.task("report").inlets == (AssetRef("orders", ""),)
    assert stored.task("report").outlets == (AssetRef("the_report", "the_report"),)


def test_a_function_may_make_several_assets() -> None:
    assert spec(both.dag).task("both").outlets == (AssetRef("a", "s3://bucket/a"), AssetRef("b", "b"))
    assert condition(both) == data.AssetAll((data.AssetKey("a", "s3://bucket/a"), data.AssetKey("b", "b")))


def test_a_task_may_make_an_asset() -> None:
    stored = spec(decorated.dag).task("decorated")
    assert stored.retry.retries == 3
    assert stored.outlets == (AssetRef("decorated", "decorated"),)


def test_functions_that_cannot_make_assets_are_refused() -> None:
    def nested() -> None: ...

    with pytest.raises(ValueError, match="does not support nested functions"):
        asset(schedule=None)(nested)
    with pytest.raises(ValueError, match="no outlets"):
        asset.multi(schedule=None, outlets=[])
