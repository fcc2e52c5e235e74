"""What user code raises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from piper.model.states import TriggerRule
from piper.sdk import exceptions
from piper.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowInactiveAssetInInletOrOutletException,
    AirflowRescheduleException,
    AirflowRuntimeError,
    AirflowTaskTerminated,
    AirflowTaskTimeout,
    DagRunTriggerException,
    DownstreamTasksSkipped,
    ErrorType,
    FailFastDagInvalidTriggerRule,
    NodeNotFound,
    ParamValidationError,
    TaskAlreadyInTaskGroup,
    TaskAwaitingInput,
    TaskDeferred,
    UnmappableXComLengthPushed,
    UnmappableXComTypePushed,
    XComForMappingNotPushed,
    XComNotFound,
)


@pytest.mark.parametrize("signal", [TaskDeferred, TaskAwaitingInput, AirflowTaskTimeout, AirflowTaskTerminated])
def test_signals_pass_through_except_exception(signal: type[BaseException]) -> None:
    assert not issubclass(signal, Exception)


def test_errors_are_what_handlers_expect() -> None:
    assert issubclass(AirflowFailException, AirflowException)
    assert issubclass(ParamValidationError, ValueError)
    assert issubclass(NodeNotFound, KeyError)
    assert issubclass(XComForMappingNotPushed, TypeError)
    assert all(
        issubclass(getattr(exceptions, name), AirflowException)
        for name in ("AirflowSkipException", "AirflowSensorTimeout", "DuplicateTaskIdFound", "TaskDeferralTimeout")
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (XComForMappingNotPushed(), "did not push XCom for task mapping"),
        (UnmappableXComTypePushed("x"), "unmappable return type 'str'"),
        (UnmappableXComTypePushed([], 1), "unmappable return type 'list[int]'"),
        (UnmappableXComLengthPushed(2000, 1024), "unmappable return value length: 2000 > 1024"),
        (XComNotFound("d", "t", "k"), 'XComArg result from t at d with key="k" is not found!'),
        (NodeNotFound("no such"), "no such"),
        (TaskAlreadyInTaskGroup("t", None, "g"), "cannot add 't' to 'g' (already in the DAG's root group)"),
        (
            AirflowInactiveAssetInInletOrOutletException(["a"]),
            "Task has the following inactive assets in its inlets or outlets: a",
        ),
        (
            AirflowRuntimeError(SimpleNamespace(error=ErrorType.VARIABLE_NOT_FOUND, detail={"key": "x"})),
            "VARIABLE_NOT_FOUND: {'key': 'x'}",
        ),
        (FailFastDagInvalidTriggerRule(), "A 'fail_fast' dag can only have all_success trigger rule"),
    ],
)
def test_messages_say_what_is_the_matter(error: Exception, words: str) -> None:
    assert str(error).partition(": others")[0].partition(": return")[0] == words, (
        "as Airflow says it; advice may follow"
    )


def test_signals_carry_what_was_asked_for() -> None:
    deferred = TaskDeferred(trigger="t", method_name="done", kwargs={"x": 1}, timeout=5)
    assert (deferred.method_name, deferred.kwargs, deferred.timeout) == ("done", {"x": 1}, timedelta(seconds=5))
    assert repr(deferred) == "<TaskDeferred trigger=t method=done>"
    assert TaskAwaitingInput(method_name="done").kwargs is None
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert AirflowRescheduleException(moment).reschedule_date == moment
    assert DagRunTriggerException(trigger_dag_id="d").trigger_dag_id == "d"  # type: ignore[attr-defined]
    assert DownstreamTasksSkipped(tasks=("a", ("b", 1))).tasks == ["a", ("b", 1)]


def test_a_rule_is_checked_against_fail_fast() -> None:
    FailFastDagInvalidTriggerRule.check(fail_fast=False, trigger_rule=TriggerRule.ALWAYS)
    FailFastDagInvalidTriggerRule.check(fail_fast=True, trigger_rule=TriggerRule.ALL_SUCCESS)
    with pytest.raises(FailFastDagInvalidTriggerRule, match="not always"):
        FailFastDagInvalidTriggerRule.check(fail_fast=True, trigger_rule=TriggerRule.ALWAYS)
