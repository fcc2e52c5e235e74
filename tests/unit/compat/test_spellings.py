"""Arguments and context keys of Airflow 1 and 2: understood in the lenient mode, refused in the strict one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from piper.compat.contexts import FormerKeyWarning
from piper.compat.spellings import FormerArgumentWarning
from piper.model.errors import AuthorError
from piper.model.spec import encode_spec
from piper.operators.empty import EmptyOperator
from piper.operators.python import PythonOperator
from piper.operators.trigger_dagrun import TriggerDagRunOperator
from piper.sdk import DAG
from piper.sdk.specs import spec_of
from piper.testing import run_dag, run_task
from tests.unit.compat.conftest import Load

MONDAY = datetime(2026, 5, 4, 12, tzinfo=UTC)

DAG_ARGUMENTS: list[tuple[dict[str, Any], str, str, Any]] = [
    ({"schedule_interval": "@daily"}, "'schedule_interval' is called 'schedule' now", "schedule", "@daily"),
    ({"timetable": None}, "'timetable' is called 'schedule' now", "schedule", None),
    ({"concurrency": 3}, "'concurrency' is called 'max_active_tasks' now", "max_active_tasks", 3),
    ({"fail_stop": True}, "'fail_stop' is called 'fail_fast' now", "fail_fast", True),
    ({"default_view": "graph"}, "'default_view' has no effect any more", "dag_id", "d"),
    ({"orientation": "LR"}, "'orientation' has no effect any more", "dag_id", "d"),
    ({"full_filepath": "/x.py"}, "'full_filepath' has no effect any more", "dag_id", "d"),
]


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize(("given", "said", "attribute", "value"), DAG_ARGUMENTS)
def test_a_former_argument_of_a_dag_is_understood(given: dict[str, Any], said: str, attribute: str, value: Any) -> None:
    with pytest.warns(FormerArgumentWarning, match=said):
        dag = DAG("d", **given)
    assert getattr(dag, attribute) == value


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize(("given", "said", "attribute", "value"), DAG_ARGUMENTS)
def test_a_former_argument_of_a_dag_is_a_type_error_in_the_strict_mode(
    given: dict[str, Any], said: str, attribute: str, value: Any
) -> None:
    with pytest.raises(TypeError, match=next(iter(given))):
        DAG("d", **given)


OPERATOR_ARGUMENTS: list[tuple[dict[str, Any], str, str, Any]] = [
    ({"provide_context": True}, "'provide_context' has no effect any more", "task_id", "x"),
    ({"task_concurrency": 2}, "'task_concurrency' is called 'max_active_tis_per_dag' now", "max_active_tis_per_dag", 2),
    ({"xcom_push": False}, "'xcom_push' is called 'do_xcom_push' now", "do_xcom_push", False),
]


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize(("given", "said", "attribute", "value"), OPERATOR_ARGUMENTS)
def test_a_former_argument_of_an_operator_is_understood(
    given: dict[str, Any], said: str, attribute: str, value: Any
) -> None:
    with pytest.warns(FormerArgumentWarning, match=said):
        operator = PythonOperator(task_id="x", python_callable=print, dag=DAG("d"), **given)
    assert getattr(operator, attribute) == value


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize(("given", "said", "attribute", "value"), OPERATOR_ARGUMENTS)
def test_a_former_argument_of_an_operator_is_a_type_error_in_the_strict_mode(
    given: dict[str, Any], said: str, attribute: str, value: Any
) -> None:
    with pytest.raises(TypeError, match="Invalid arguments were passed to PythonOperator"):
        PythonOperator(task_id="x", python_callable=print, dag=DAG("d"), **given)


@pytest.mark.usefixtures("lenient")
def test_arguments_of_a_dag_by_position_are_named() -> None:
    with pytest.warns(FormerArgumentWarning, match="given by name now: description=…, schedule=…"):
        dag = DAG("d", "what for", "@daily", catchup=False)
    assert (dag.description, dag.schedule, dag.catchup) == ("what for", "@daily", False)
    with pytest.raises(TypeError, match="multiple values for argument 'description'"), pytest.warns():
        DAG("d", "what for", description="why")
    with pytest.raises(TypeError, match="name all arguments but the first"):
        DAG("d", "what for", None, None, None, "/file.py")


@pytest.mark.usefixtures("strict")
def test_arguments_of_a_dag_by_position_are_a_type_error_in_the_strict_mode() -> None:
    with pytest.raises(TypeError, match="name all arguments but the first, as in description='what for'"):
        DAG("d", "what for")


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize(
    ("former", "now"), [("dummy", "always"), ("none_failed_or_skipped", "none_failed_min_one_success")]
)
def test_a_former_trigger_rule_is_understood(former: str, now: str) -> None:
    from airflow.task.trigger_rule import TriggerRule

    with pytest.warns(FormerArgumentWarning, match=f"trigger_rule='{former}' is called '{now}' now"):
        operator = EmptyOperator(task_id="x", trigger_rule=former, dag=DAG("d"))
    assert operator.trigger_rule == now
    with pytest.warns(FormerArgumentWarning, match=f"TriggerRule.{former.upper()} is called TriggerRule.{now.upper()}"):
        assert getattr(TriggerRule, former.upper()) == now
    assert former not in list(TriggerRule)


@pytest.mark.usefixtures("strict")
def test_a_former_trigger_rule_is_refused_in_the_strict_mode() -> None:
    from airflow.task.trigger_rule import TriggerRule

    with pytest.raises(ValueError, match="there is no trigger rule 'dummy'"):
        EmptyOperator(task_id="x", trigger_rule="dummy", dag=DAG("d"))
    assert not hasattr(TriggerRule, "DUMMY")


@pytest.mark.usefixtures("lenient")
def test_the_operator_that_triggers_knows_its_arguments_of_airflow_1_and_2() -> None:
    with pytest.warns(FormerArgumentWarning, match="'execution_date' is called 'logical_date' now"):
        operator = TriggerDagRunOperator(task_id="x", trigger_dag_id="b", execution_date="{{ ds }}", dag=DAG("d"))
    assert operator.logical_date == "{{ ds }}"
    with pytest.raises(TypeError, match="'python_callable' is gone since Airflow 2: give conf"):
        TriggerDagRunOperator(task_id="y", trigger_dag_id="b", python_callable=print, dag=DAG("d"))


@pytest.mark.usefixtures("lenient")
def test_a_schedule_by_datasets_or_time_is_one_by_assets_or_time(load: Load) -> None:
    text = """
        from airflow import DAG
        from airflow.datasets import Dataset
        from airflow.timetables.datasets import DatasetOrTimeSchedule
        from airflow.timetables.trigger import CronTriggerTimetable

        with DAG("d", schedule=DatasetOrTimeSchedule(
            timetable=CronTriggerTimetable("0 1 * * 3", timezone="UTC"), datasets=[Dataset("s3://a/b")]
        )):
            pass
    """
    dag = load(text).dags["d"]
    spec = spec_of(dag, file="flows.py")
    assert b"s3://a/b" in encode_spec(spec)
    assert "Asset or" in spec.schedule.summary


@pytest.mark.usefixtures("lenient")
def test_an_argument_in_both_spellings_is_refused_unless_it_is_the_same() -> None:
    with pytest.warns(FormerArgumentWarning):
        assert DAG("d", concurrency=5, max_active_tasks=5).max_active_tasks == 5  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="has both 'schedule_interval' and 'schedule'"):
        DAG("d", schedule_interval="@daily", schedule="@hourly")  # type: ignore[call-arg]


@pytest.mark.usefixtures("lenient")
def test_an_argument_that_never_was_one_is_refused_with_the_nearest() -> None:
    with pytest.raises(TypeError, match="did you mean 'schedule'"):
        DAG("d", scheduel="@daily")  # type: ignore[call-arg]


@pytest.mark.parametrize("mode", ["lenient", "strict"])
def test_slas_are_accepted_with_a_warning_in_either_mode(mode: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(mode)
    with pytest.warns(UserWarning, match="SLAs are gone"):
        EmptyOperator(task_id="x", dag=DAG("d"), sla=datetime.resolution)
    with pytest.warns(UserWarning, match="SLAs are gone"):
        DAG("d", sla_miss_callback=print)


@pytest.mark.parametrize("mode", ["lenient", "strict"])
def test_positional_arguments_of_operators_are_refused_in_either_mode(
    mode: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(mode)
    with pytest.raises(TypeError, match="keyword arguments"):
        EmptyOperator("x")  # type: ignore[misc]


@pytest.mark.usefixtures("lenient")
def test_the_warning_points_at_the_authors_line(load: Load) -> None:
    loaded = load(
        """
        from airflow import DAG
        from airflow.providers.standard.operators.python import PythonOperator

        with DAG("d", schedule_interval=None) as dag:
            PythonOperator(task_id="x", python_callable=print, provide_context=True)
        """
    )
    assert [line.split(": ")[:2] for line in loaded.warnings] == [
        ["flows.py:5", "FormerArgumentWarning"],
        ["flows.py:6", "FormerArgumentWarning"],
    ]


def test_a_whole_file_of_airflow_1_loads_and_runs_in_the_lenient_mode_alone(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
        from datetime import timedelta
        from airflow import DAG
        from airflow.operators.bash_operator import BashOperator
        from airflow.operators.dummy_operator import DummyOperator
        from airflow.operators.python_operator import PythonOperator
        from airflow.utils.dates import days_ago

        def say(**kwargs):
            return kwargs["execution_date"].year

        default_args = {"owner": "airflow", "depends_on_past": False, "start_date": days_ago(2), "retries": 1}
        dag = DAG("old", default_args=default_args, schedule_interval=timedelta(days=1), concurrency=2)
        start = DummyOperator(task_id="start", dag=dag)
        python = PythonOperator(task_id="say", python_callable=say, provide_context=True, dag=dag)
        bash = BashOperator(task_id="bash", bash_command="echo {{ yesterday_ds }} {{ next_ds }}", dag=dag)
        start >> python >> bash
    """
    with pytest.warns(FormerKeyWarning):
        result = run_dag(load(text).dags["old"], logical_date=MONDAY, clock=MONDAY, xcoms={"bash": ""})
    assert result.state == "success"
    assert result["say"].result == 2026
    monkeypatch.setenv("PIPER_CORE__AIRFLOW_MODE", "strict")
    with pytest.raises(AuthorError, match=r"Piper has no airflow.operators.bash_operator"):
        load(text)


# --- context keys ---------------------------------------------------------------------------------------

KEYS = {
    "execution_date": "2026-05-04T12:00:00+00:00",
    "next_ds": "2026-05-04",
    "next_ds_nodash": "20260504",
    "next_execution_date": "2026-05-04T12:00:00+00:00",
    "prev_ds": "2026-05-03",
    "prev_ds_nodash": "20260503",
    "prev_execution_date": "2026-05-03T12:00:00+00:00",
    "tomorrow_ds": "2026-05-05",
    "tomorrow_ds_nodash": "20260505",
    "yesterday_ds": "2026-05-03",
    "yesterday_ds_nodash": "20260503",
}


def rendering(template: str) -> Any:
    operator = PythonOperator(task_id="x", python_callable=lambda text: text, op_args=[template], dag=DAG("d"))
    return run_task(operator, logical_date=MONDAY)


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize(("key", "value"), KEYS.items())
def test_a_former_key_can_be_asked_for_in_templates(key: str, value: str) -> None:
    with pytest.warns(FormerKeyWarning, match=f"the context has no '{key}' since Airflow 3: use "):
        result = rendering(f"{{{{ {key} }}}}")
    assert result.state == "success"
    assert result.result.replace(" ", "T") == value


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("key", KEYS)
def test_a_former_key_is_undefined_in_the_strict_mode(key: str) -> None:
    result = rendering(f"{{{{ {key} }}}}")
    assert result.state == "failed"
    assert f"'{key}' is undefined" in result.error


@pytest.mark.usefixtures("lenient")
def test_a_function_that_takes_all_keys_finds_the_former_ones_and_is_warned_when_it_looks() -> None:
    def look(**context: Any) -> list[str]:
        return [context["execution_date"].isoformat(), context["ti"].get_template_context().get("ds_nodash")]

    with pytest.warns(FormerKeyWarning, match="execution_date") as caught:
        result = run_task(PythonOperator(task_id="x", python_callable=look, dag=DAG("d")), logical_date=MONDAY)
    assert result.result == ["2026-05-04T12:00:00+00:00", "20260504"]
    assert len(caught) == 1


@pytest.mark.usefixtures("lenient")
def test_a_former_key_can_be_what_a_task_returns() -> None:
    def look(**context: Any) -> Any:
        return {"day": context["tomorrow_ds"], "date": context["execution_date"]}

    with pytest.warns(FormerKeyWarning):
        result = run_task(PythonOperator(task_id="x", python_callable=look, dag=DAG("d")), logical_date=MONDAY)
    assert result.result == {"day": "2026-05-05", "date": MONDAY}


def test_the_warning_of_a_key_points_at_the_line_that_asks_or_for_a_template_at_its_task(load: Load) -> None:
    loaded = load(
        """
        from airflow.sdk import DAG
        from airflow.providers.standard.operators.python import PythonOperator

        def look(text, **context):
            return context["tomorrow_ds"].upper()

        with DAG("d") as dag:
            PythonOperator(task_id="x", python_callable=look, op_args=["{{ yesterday_ds }}"])
        """
    )
    with pytest.warns(FormerKeyWarning) as caught:
        run_task(loaded.dags["d"].get_task("x"), logical_date=MONDAY)
    places = {str(one.message).split("'")[1]: (Path(one.filename).name, one.lineno) for one in caught}
    assert places == {"tomorrow_ds": ("flows.py", 6), "yesterday_ds": ("flows.py", 9)}


@pytest.mark.usefixtures("lenient")
def test_former_keys_are_not_listed_in_the_context_and_take_no_name_from_an_authors_parameter() -> None:
    def look(next_ds: str, **context: Any) -> list[Any]:
        return [next_ds, "execution_date" in list(context["ti"].get_template_context())]

    operator = PythonOperator(task_id="x", python_callable=look, op_args=["mine"], dag=DAG("d"))
    assert run_task(operator).result == ["mine", False]


# --- attributes -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("lenient")
def test_former_attributes_are_derived_from_todays() -> None:
    dag = DAG("d", schedule="0 6 * * *", start_date=MONDAY, max_active_tasks=3)
    with pytest.warns(FormerArgumentWarning, match="DAG.schedule_interval is gone: use schedule"):
        assert dag.schedule_interval == "0 6 * * *"
    with pytest.warns(FormerArgumentWarning, match="max_active_tasks"):
        assert dag.concurrency == 3
    with pytest.warns(FormerArgumentWarning, match="data_interval_end"):
        assert dag.following_schedule(MONDAY) == datetime(2026, 5, 5, 6, tzinfo=UTC)
    with pytest.warns(FormerArgumentWarning, match="data_interval_start"):
        assert dag.previous_schedule(MONDAY) == datetime(2026, 5, 4, 6, tzinfo=UTC)
    with pytest.raises(RuntimeError, match=r"DAG.get_last_dagrun needs Airflow's metadata database"):
        dag.get_last_dagrun()
    with pytest.raises(AttributeError, match=r"DAG has no attribute 'task_idz' \(did you mean 'task_ids'\?\)"):
        _ = dag.task_idz


@pytest.mark.usefixtures("lenient")
@pytest.mark.filterwarnings("ignore::piper.compat.finder.DeprecatedImportWarning")
def test_a_run_and_a_task_instance_have_their_former_attributes() -> None:
    def look(**context: Any) -> list[Any]:
        run, ti = context["dag_run"], context["ti"]
        return [
            run.id == run.run_id,
            run.execution_date == ti.execution_date,
            run.external_trigger,
            ti.get_dagrun() is run,
        ]

    with DAG("d") as dag:
        look_task = PythonOperator(task_id="look", python_callable=look)
        look_task >> PythonOperator(task_id="ask", python_callable=lambda dag_run: dag_run.get_task_instances())
    result = run_dag(dag, logical_date=MONDAY, clock=MONDAY)
    assert result["look"].result == [True, True, True, True]
    assert "DagRun.get_task_instances needs Airflow's metadata database" in result["ask"].error


@pytest.mark.usefixtures("strict")
def test_former_attributes_are_none_in_the_strict_mode() -> None:
    with pytest.raises(AttributeError, match="DAG has no attribute 'schedule_interval'"):
        _ = DAG("d").schedule_interval
