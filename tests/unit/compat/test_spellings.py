"""Arguments and context keys of Airflow 1 and 2: understood in the lenient mode, refused in the strict one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from piper.compat.contexts import FormerKeyWarning
from piper.compat.spellings import FormerArgumentWarning
from piper.model.errors import AuthorError
from piper.operators.empty import EmptyOperator
from piper.operators.python import PythonOperator
from piper.sdk import DAG
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
def test_an_argument_in_both_spellings_is_refused() -> None:
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
