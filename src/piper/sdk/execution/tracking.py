"""What a task records about its own execution: metrics, parameters, inputs and outputs (requirements A120).

    from piper.sdk import log_metric

    log_metric("accuracy", 0.93)

Each is part of the report, so that an execution that never ended has none. Values are JSON. A name that is logged
again takes the new value; a metric with a step keeps the values of all steps.
"""

from __future__ import annotations

from typing import Any

from piper.model.spec import Json
from piper.sdk.execution.current import Execution, current_execution
from piper.sdk.execution.serde import to_json


def log_metric(name: str, value: float, step: int | None = None) -> None:
    """Record a number about this execution.

    Arguments:
        name: what is measured, "accuracy".
        value: a finite number; NumPy's will do.
        step: of a curve, the x: the metric becomes a list of `[step, value]`.

    Raises:
        RuntimeError: no task runs here.
        TypeError: the value is not a finite number.
    """
    number = _number(name, value)
    metrics = _execution().metrics
    if step is None:
        metrics[name] = number
        return
    curve = metrics.get(name)
    if not isinstance(curve, list):
        curve = metrics[name] = []
    curve.append([step, number])


def log_metrics(metrics: dict[str, float], step: int | None = None) -> None:
    """Record several numbers about this execution."""
    for name, value in metrics.items():
        log_metric(name, value, step)


def log_parameter(name: str, value: Any) -> None:
    """Record a choice that this execution made: a learning rate, a table name."""
    _execution().parameters[name] = to_json(value)


def log_input(name: str, value: Any) -> None:
    """Record what this execution read: a table and its version, a file and its hash."""
    _execution().inputs[name] = to_json(value)


def log_output(name: str, value: Any) -> None:
    """Record what this execution wrote."""
    _execution().outputs[name] = to_json(value)


def _number(name: str, value: Any) -> Json:
    item = getattr(value, "item", None)
    number = item() if callable(item) else value  # a NumPy scalar, a tensor of one element
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise TypeError(f"the metric {name!r} must be a number, not {type(value).__name__}")
    return to_json(number)


def _execution() -> Execution:
    execution = current_execution()
    if execution is None:
        raise RuntimeError("metrics, parameters, inputs and outputs are recorded while a task runs, not outside of one")
    return execution
