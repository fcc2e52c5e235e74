"""DAGs: arguments, the decorator, what belongs to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from piper.model.errors import InvalidName
from piper.model.spec import ComputeMode, FreshnessSpec
from piper.model.states import RunType
from piper.sdk import scope
from piper.sdk.assets import Asset
from piper.sdk.callbacks import SyncCallback
from piper.sdk.dag_decorator import dag
from piper.sdk.dags import DAG
from piper.sdk.deadlines import DeadlineAlert, DeadlineReference, deadline_reference
from piper.sdk.exceptions import AirflowDagCycleException
from piper.sdk.params import DagParam, Param
from tests.unit.sdk.operators import shell, spec, task_of

START = datetime(2026, 1, 1, tzinfo=UTC)


def on_late() -> None:
    """A callback of the tests."""


def test_what_is_not_given_is_not_stored() -> None:
    stored = spec(DAG("d"))
    assert (stored.workflow_id, stored.max_active_runs, stored.schedule.catchup) == ("d", 16, False)
    assert stored.tasks == ()
    assert stored.owner == "airflow"


def test_what_is_given_is_stored() -> None:
    with DAG(
        "d",
        description="Daily sales.",
        start_date=START,
        end_date=START + timedelta(days=9),
        max_active_tasks=3,
        max_active_runs=2,
        max_consecutive_failed_dag_runs=4,
        dagrun_timeout=timedelta(hours=2),
        catchup=True,
        on_success_callback=print,
        on_failure_callback=[print],
        doc_md="# Sales",
        access_control={"Op": {"can_read"}, "User": {"DAG Runs": {"can_create"}}},
        is_paused_upon_creation=True,
        tags=["b", "a"],
        owner_links={"ann": "https://example.org/ann", "bob": "mailto:bob@example.org"},
        fail_fast=True,
        allowed_run_types="manual",
        dag_display_name="Sales!",
        freshness={"sales": timedelta(hours=2)},
        compute_mode="chosen",
        compute_centres=["eu"],
        deadline=DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, timedelta(hours=1), SyncCallback(on_late)),
    ) as made:
        shell("a", owner="ann")
        shell("b", owner="bob")
    stored = spec(made)
    assert stored.description == "Daily sales."
    assert (stored.schedule.start, stored.schedule.end) == (START, START + timedelta(days=9))
    assert (stored.max_active_tasks, stored.max_active_runs, stored.max_consecutive_failed_runs) == (3, 2, 4)
    assert stored.run_timeout == timedelta(hours=2)
    assert stored.schedule.catchup
    assert stored.callbacks == ("success", "failure")
    assert stored.doc == "# Sales"
    assert stored.access_control == {"Op": {"DAGs": ["can_read"]}, "User": {"DAG Runs": ["can_create"]}}
    assert stored.paused_upon_creation is True
    assert stored.tags == ("a", "b")
    assert stored.owner == "ann, bob"
    assert stored.owner_links["ann"] == "https://example.org/ann"
    assert stored.fail_fast
    assert stored.allowed_run_types == (RunType.MANUAL,)
    assert stored.display_name == "Sales!"
    assert stored.freshness == (FreshnessSpec("sales", timedelta(hours=2)),)
    assert stored.compute_mode is ComputeMode.CHOSEN
    assert stored.compute_centres == ("eu",)
    (deadline,) = stored.deadlines
    assert deadline["reference"] == "queued_at"
    assert deadline["interval"] == 3600
    assert deadline["callback"]["path"].endswith(".on_late")


def test_an_unknown_argument_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(TypeError, match=r"DAG\('d'\): 'schedule_interval' \(did you mean 'schedule'\?\)"):
        DAG("d", schedule_interval="@daily")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"description": 5}, TypeError, "description must be str"),
        ({"dagrun_timeout": 60}, TypeError, "dagrun_timeout must be timedelta"),
        ({"max_active_runs": "many"}, TypeError, "max_active_runs must be int"),
        ({"tags": "etl"}, TypeError, r"write tags=\['etl'\]"),
        ({"tags": ["x" * 101]}, ValueError, "cannot be longer than 100"),
        ({"owner_links": {"ann": "example"}}, ValueError, "'example' of owner 'ann' is no URL"),
        ({"owner_links": {"ann": "mailto:"}}, ValueError, "no URL"),
        ({"schedule": 5}, ValueError, "5 is not a valid schedule"),
        ({"schedule": "@daily", "catchup": True}, ValueError, "start_date is required when catchup=True"),
        ({"schedule": "@continuous", "max_active_runs": 2}, ValueError, "requires max_active_runs <= 1"),
        ({"schedule": "@daily", "allowed_run_types": ["manual"]}, ValueError, "must include 'scheduled'"),
        ({"allowed_run_types": ["scheduled"]}, ValueError, "must include 'manual'"),
        ({"schedule": [Asset("x")], "allowed_run_types": ["manual"]}, ValueError, "must include 'asset_triggered'"),
        ({"allowed_run_types": ["weekly"]}, ValueError, "weekly"),
        ({"compute_mode": "triple"}, ValueError, "triple"),
        (
            {"schedule": "@daily", "params": {"x": Param(type="integer")}},
            ValueError,
            "not allowed to define a Schedule",
        ),
    ],
)
def test_a_wrong_value_is_refused(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        DAG("d", **arguments)


@pytest.mark.parametrize("dag_id", ["", "a b", "x" * 251])
def test_an_id_has_letters_digits_and_few_signs(dag_id: str) -> None:
    with pytest.raises(InvalidName):
        DAG(dag_id)


def test_continuous_runs_are_one_at_a_time() -> None:
    assert spec(DAG("d", schedule="@continuous", start_date=START)).max_active_runs == 1


def test_the_zone_of_the_schedule_is_that_of_the_start_date() -> None:
    zurich = DAG("d", schedule="0 6 * * *", start_date=datetime(2026, 6, 1, tzinfo=ZoneInfo("Europe/Zurich")))
    stored = spec(zurich)
    assert stored.timezone == "Europe/Zurich"
    assert stored.schedule.timetable.timezone == "Europe/Zurich"  # type: ignore[union-attr]
    assert stored.schedule.start == datetime(2026, 5, 31, 22, tzinfo=UTC)


def test_the_start_date_may_be_among_the_defaults_and_may_be_text() -> None:
    with DAG("d", default_args={"start_date": "2026-01-01", "end_date": "2026-02-01"}) as made:
        shell("a")
    stored = spec(made)
    assert stored.schedule.start == START
    assert stored.schedule.end == datetime(2026, 2, 1, tzinfo=UTC)
    assert stored.task("a").start is None


def test_without_dates_of_its_own_a_dag_runs_within_those_of_its_tasks() -> None:
    with DAG("d", schedule="@daily") as made:
        shell("a", start_date=START, end_date=START + timedelta(days=5))
        shell("b", start_date=START + timedelta(days=1), end_date=START + timedelta(days=9))
    stored = spec(made)
    assert (stored.schedule.start, stored.schedule.end) == (START, START + timedelta(days=9))
    assert stored.task("b").start == START + timedelta(days=1)


def test_params_of_the_defaults_are_the_dags() -> None:
    made = DAG("d", params={"x": 1, "y": 1}, default_args={"params": {"y": 2}})
    assert made.params.dump() == {"x": 1, "y": 2}
    assert "params" not in made.default_args


def test_a_cycle_is_named() -> None:
    with DAG("d") as made:
        a, b, c = shell("a"), shell("b"), shell("c")
        a >> b >> c >> a
    with pytest.raises(AirflowDagCycleException, match=r"'d'.*a → b → c → a|'d'.*→"):
        made.check_cycle()


def test_tasks_are_sorted_each_after_those_it_waits_for() -> None:
    with DAG("d") as made:
        a, b, c = shell("a"), shell("b"), shell("c")
        c >> b >> a
    assert [task.task_id for task in made.topological_sort()] == ["c", "b", "a"]
    assert [task.task_id for task in spec(made).tasks] == ["c", "b", "a"]
    assert [task.task_id for task in made.roots] == ["c"]
    assert [task.task_id for task in made.leaves] == ["a"]


def test_a_dag_registers_itself_when_it_was_entered() -> None:
    with scope.loading("file.py") as loading:
        with DAG("entered"):
            pass
        with DAG("quiet", auto_register=False):
            pass
        DAG("never_entered")
    assert [made.dag_id for made in loading.registered.values()] == ["entered"]


def test_a_nested_dag_hides_the_outer_one() -> None:
    with DAG("outer") as outer:
        with DAG("inner") as inner:
            shell("a")
        shell("b")
    assert (outer.task_ids, inner.task_ids) == (["b"], ["a"])


# --- @dag ---------------------------------------------------------------------------------------


def test_a_decorated_function_makes_a_dag_of_its_name() -> None:
    @dag
    def report() -> None:
        """What happened."""
        shell("a")

    made = report()
    assert (made.dag_id, made.doc_md, made.task_ids) == ("report", "What happened.", ["a"])


def test_a_decorator_takes_the_dags_arguments() -> None:
    @dag("other", schedule="@daily", start_date=START, doc_md="Given.")
    def report() -> None:
        """Not this."""

    @dag(dag_id="third", tags=["x"])
    def again() -> None: ...

    assert (report().dag_id, report().doc_md) == ("other", "Given.")
    assert again().tags == {"x"}


def test_parameters_become_params_and_stand_ins() -> None:
    seen: list[Any] = []

    @dag(params={"y": 7})
    def flow(x: int, y: int = 1, z: Any = Param("a", enum=["a", "b"])) -> None:  # noqa: B008 - as authors do
        seen.extend([x, y, z])
        shell("a", command=x)

    made = flow(5)
    assert made.params.dump() == {"y": 1, "x": 5, "z": "a"}
    assert all(isinstance(value, DagParam) for value in seen)
    assert task_of(made, "a").arguments["command"] == {"__dag_param__": "x"}
    assert spec(made).params["z"].schema == {"enum": ["a", "b"]}
    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        flow()


class Context(dict[str, Any]):
    """A context with what params look at."""

    def __init__(self, conf: dict[str, Any] | None, **keys: Any) -> None:
        super().__init__(dag_run=type("Run", (), {"conf": conf}), **keys)


def test_a_stand_in_is_the_runs_value_else_the_default_else_the_param() -> None:
    made = DAG("d", params={"y": 3})
    param = made.param("x", 1)
    assert param.resolve(Context({"x": 2})) == 2
    assert param.resolve(Context(None)) == 1
    assert made.param("y").resolve(Context({}, params={"y": 3})) == 3
    with pytest.raises(RuntimeError, match="No value could be resolved for parameter z"):
        made.param("z").resolve(Context({}))


def test_a_returned_result_is_the_result_of_the_run() -> None:
    @dag
    def flow() -> Any:
        return shell("a").output

    assert spec(flow()).result_task == "a"


def test_custom_deadline_references_are_refused_with_what_there_is() -> None:
    with pytest.raises(NotImplementedError, match=r"nearest are DeadlineReference.DAGRUN_LOGICAL_DATE"):
        deadline_reference(object)
