"""What a task records about its execution is part of its report."""

from __future__ import annotations

import math
from typing import Any

import numpy
import pytest

from piper.operators.python import PythonOperator
from piper.sdk.execution.masking import mask_secret
from piper.sdk.execution.tracking import log_input, log_metric, log_metrics, log_output, log_parameter
from tests.unit.sdk.execution.stage import a_dag, error_of, perform


def recording(work: Any) -> Any:
    with a_dag():
        operator = PythonOperator(task_id="task", python_callable=work)
    return perform(operator)


def test_metrics_parameters_inputs_and_outputs_are_reported() -> None:
    def work() -> None:
        log_metric("accuracy", 0.5)
        log_metric("accuracy", numpy.float32(0.75))
        log_metrics({"rows": 10, "loss": 1})
        log_parameter("rate", {"initial": 0.1})
        log_input("table", "orders@v3")
        log_output("file", ["a.parquet"])

    report = recording(work)
    assert report.metrics == {"accuracy": 0.75, "rows": 10, "loss": 1}
    assert report.parameters == {"rate": {"initial": 0.1}}
    assert report.inputs == {"table": "orders@v3"}
    assert report.outputs == {"file": ["a.parquet"]}


def test_a_metric_with_steps_is_a_curve() -> None:
    def work() -> None:
        for step in range(3):
            log_metric("loss", 1 / (step + 1), step=step)

    assert recording(work).metrics == {"loss": [[0, 1.0], [1, 0.5], [2, 1 / 3]]}


def test_a_task_that_records_nothing_reports_nothing() -> None:
    report = recording(lambda: None)
    assert (report.metrics, report.parameters, report.inputs, report.outputs) == (None, None, None, None)


def test_what_was_recorded_before_a_failure_is_reported() -> None:
    def work() -> None:
        log_metric("rows", 3)
        raise ValueError("no")

    assert recording(work).metrics == {"rows": 3}


@pytest.mark.parametrize("value", ["0.5", None, True, [1], math.nan])
def test_a_metric_that_is_no_finite_number_fails_the_task(value: Any) -> None:
    assert error_of(recording(lambda: log_metric("m", value))).startswith("TypeError")


def test_secrets_are_not_recorded() -> None:
    def work() -> None:
        mask_secret("hunter22")
        log_parameter("url", "db://ada:hunter22@host")

    assert recording(work).parameters == {"url": "db://ada:***@host"}


def test_nothing_can_be_recorded_outside_of_a_task() -> None:
    with pytest.raises(RuntimeError, match="recorded while a task runs"):
        log_metric("m", 1)
