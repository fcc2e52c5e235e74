"""Python functions are called with what they ask for."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from piper.operators.python import PythonOperator
from piper.sdk.decorators import task
from piper.sdk.exceptions import AirflowException
from tests.unit.sdk.execution.stage import NOON, a_dag, error_of, perform, result_of


def calling(function: Any, **arguments: Any) -> Any:
    with a_dag():
        operator = PythonOperator(task_id="task", python_callable=function, **arguments)
    return perform(operator)


def test_parameters_named_like_context_keys_are_filled() -> None:
    assert result_of(calling(lambda ti, ds, run_id: [ti.task_id, ds, run_id])) == [
        "task",
        "2024-05-06",
        "scheduled__2024-05-06",
    ]


def test_kwargs_receive_the_whole_context_and_the_own_arguments() -> None:
    def work(**kwargs: Any) -> Any:
        return [kwargs["logical_date"] == NOON, kwargs["mine"], "ti" in kwargs, kwargs["templates_dict"]]

    assert result_of(calling(work, op_kwargs={"mine": 1})) == [True, 1, True, None]


def test_arguments_are_rendered() -> None:
    def work(a: str, b: Any, templates_dict: Any) -> Any:
        return [a, b, templates_dict]

    report = calling(
        work, op_args=["{{ ds }}"], op_kwargs={"b": ["{{ ds_nodash }}"]}, templates_dict={"t": "{{ ts_nodash }}"}
    )
    assert result_of(report) == ["2024-05-06", ["20240506"], {"t": "20240506T123015"}]
    assert report.rendered == {
        "op_args": ["2024-05-06"],
        "op_kwargs": {"b": ["20240506"]},
        "templates_dict": {"t": "20240506T123015"},
    }


def test_own_arguments_win_over_the_context() -> None:
    assert result_of(calling(lambda ds: ds, op_kwargs={"ds": "mine"})) == "mine"


def test_arguments_that_the_function_does_not_take_are_dropped() -> None:
    assert result_of(calling(lambda a: a, op_kwargs={"a": 1, "b": 2})) == 1


def test_a_missing_argument_fails_the_task() -> None:
    assert "missing 1 required positional argument: 'x'" in error_of(calling(lambda x: x))


def test_a_positional_argument_with_the_name_of_a_context_key_is_refused() -> None:
    assert "The key 'ds' in args is a part of kwargs and therefore reserved" in error_of(
        calling(lambda ds: ds, op_args=["x"])
    )


def test_functions_of_every_kind_can_be_called() -> None:
    async def coroutine(ti: Any) -> str:
        return ti.task_id

    class Thing:
        def method(self, ti: Any) -> str:
            return ti.task_id

        __call__ = method
        __hash__ = None  # type: ignore[assignment]

    def generator(ti: Any) -> Any:
        yield from ()
        return ti.task_id

    for function in (coroutine, Thing().method, Thing(), generator, functools.partial(Thing().method)):
        assert result_of(calling(function)) == "task"


def test_something_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(AirflowException, match="`python_callable` must be callable, not 5"):
        PythonOperator(task_id="task", python_callable=5)


def test_the_log_shows_what_was_returned_unless_it_is_not_to(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    calling(lambda: "x" * 5000)
    assert "Done. Returned value was: xxx" in caplog.text
    assert "… (5000 characters)" in caplog.text
    caplog.clear()
    calling(lambda: "secret", show_return_value_in_logs=False)
    assert "secret" not in caplog.text
    caplog.clear()
    calling(lambda: None)
    assert caplog.text == ""


def test_a_result_that_cannot_be_shown_fails_nobody(caplog: pytest.LogCaptureFixture) -> None:
    class Shy:
        def __str__(self) -> str:
            raise ValueError("no")

    shy = Shy()
    with caplog.at_level("INFO"):
        assert PythonOperator(task_id="t", python_callable=lambda: shy).execute({}) is shy
    assert "Shy, which cannot be shown (ValueError)" in caplog.text


def test_a_decorated_function_is_called_with_its_arguments_and_the_context() -> None:
    with a_dag() as dag:

        @task
        def work(a: int, ti: Any, b: Any = None, *, ds: Any = None) -> Any:
            return [a, b, ti.task_id, ds]

        work(1, b={"k": "{{ ds }}"})
    assert result_of(perform(dag.get_task("work"))) == [1, {"k": "2024-05-06"}, "work", "2024-05-06"]


def test_a_decorated_function_that_returns_a_dict_by_annotation_has_several_outputs() -> None:
    with a_dag() as dag:

        @task
        def work() -> dict[str, int]:
            return {"a": 1}

        work()
    assert [xcom.key for xcom in perform(dag.get_task("work")).xcoms] == ["a", "return_value"]


def test_a_decorated_function_stays_itself_between_executions() -> None:
    with a_dag() as dag:

        @task
        def work(x: Any) -> Any:
            return x

        work("{{ run_id }}")
    operator = dag.get_task("work")
    assert result_of(perform(operator)) == result_of(perform(operator)) == "scheduled__2024-05-06"
