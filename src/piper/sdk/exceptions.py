"""What user code raises, and what raises into it: Airflow's classes, so that `except` clauses written
for Airflow still match.

    Exception
    ├── AirflowException
    │   ├── AirflowFailException               fail this task now, no retry
    │   │   └── AirflowInactiveAssetInInletOrOutletException
    │   ├── AirflowSkipException               skip this task
    │   ├── AirflowRescheduleException         a sensor gives its slot back until a moment
    │   ├── AirflowSensorTimeout               a sensor waited too long: no retry
    │   ├── AirflowNotFoundException, AirflowOptionalProviderFeatureException, AirflowConfigException
    │   ├── AirflowDagCycleException, AirflowTimetableInvalid, AirflowDagDuplicatedIdException
    │   ├── DuplicateTaskIdFound, TaskAlreadyInTaskGroup, TaskNotFound ─ NodeNotFound (also KeyError)
    │   ├── ParamValidationError (also ValueError), XComNotFound, FailFastDagInvalidTriggerRule
    │   ├── TaskDeferralError, TaskDeferralTimeout, TaskAlreadyRunningError
    │   └── DagRunTriggerException, DownstreamTasksSkipped
    ├── AirflowRuntimeError                    a question to the Task API was answered with an error
    ├── AirflowSecretsBackendAccessDenied      (a PermissionError)
    └── XComForMappingNotPushed, UnmappableXComTypePushed      (TypeErrors)
    BaseException                              these pass through a user's `except Exception`
    ├── TaskDeferred                           wait for a trigger
    ├── TaskAwaitingInput                      wait for a person
    ├── AirflowTaskTimeout                     `execution_timeout` is over
    └── AirflowTaskTerminated                  the process was told to end

These are the authors' and the tasks' errors; what Piper itself raises is in `piper.model.errors`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from piper.model.states import TriggerRule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


class AirflowException(Exception):
    """Base of the errors that workflow authors raise and catch."""

    status_code = HTTPStatus.INTERNAL_SERVER_ERROR


class AirflowOptionalProviderFeatureException(AirflowException):
    """A feature needs a package that is not installed."""


class AirflowNotFoundException(AirflowException):
    """A connection, a variable or another named resource does not exist."""

    status_code = HTTPStatus.NOT_FOUND


class AirflowConfigException(AirflowException):
    """A configuration value is missing or cannot be read."""


class AirflowSecretsBackendAccessDenied(PermissionError):
    """A secrets backend refused; no other backend may be asked instead."""


class AirflowDagCycleException(AirflowException):
    """Tasks of a DAG wait for one another in a circle."""


class AirflowDagDuplicatedIdException(AirflowException):
    """Two DAGs have the same id."""


class AirflowTimetableInvalid(AirflowException):
    """A DAG's timetable cannot be followed."""


class ErrorType(Enum):
    """Why a question to the Task API was answered with an error."""

    CONNECTION_NOT_FOUND = "CONNECTION_NOT_FOUND"
    VARIABLE_NOT_FOUND = "VARIABLE_NOT_FOUND"
    XCOM_NOT_FOUND = "XCOM_NOT_FOUND"
    ASSET_NOT_FOUND = "ASSET_NOT_FOUND"
    TASK_STORE_NOT_FOUND = "TASK_STORE_NOT_FOUND"
    ASSET_STORE_NOT_FOUND = "ASSET_STORE_NOT_FOUND"
    DAGRUN_ALREADY_EXISTS = "DAGRUN_ALREADY_EXISTS"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    GENERIC_ERROR = "GENERIC_ERROR"
    API_SERVER_ERROR = "API_SERVER_ERROR"


class AirflowRuntimeError(Exception):
    """A question to the Task API was answered with an error.

    Arguments:
        error: an object with `error` (an `ErrorType`) and `detail`.
    """

    def __init__(self, error: Any) -> None:
        self.error = error
        super().__init__(f"{error.error.value}: {error.detail}")


class XComForMappingNotPushed(TypeError):
    """A task that others map over returned nothing."""

    def __str__(self) -> str:
        return "did not push XCom for task mapping: others are mapped over this task, return a list or a dict"


class UnmappableXComTypePushed(TypeError):
    """A task that others map over returned neither a list nor a dict."""

    def __init__(self, value: Any, *values: Any) -> None:
        super().__init__(value, *values)

    def __str__(self) -> str:
        outer, *inner = (type(value).__qualname__ for value in self.args)
        found = outer + "".join(f"[{name}]" for name in inner)
        return f"unmappable return type {found!r}: others are mapped over this task, return a list or a dict"


class UnmappableXComLengthPushed(ValueError):
    """A task that others map over returned more elements than a map may have."""

    def __init__(self, length: int, maximum: int) -> None:
        super().__init__(length, maximum)

    def __str__(self) -> str:
        length, maximum = self.args
        return f"unmappable return value length: {length} > {maximum}: return fewer elements that hold more each"


class AirflowFailException(AirflowException):
    """Fail the task now: no retry."""


class AirflowInactiveAssetInInletOrOutletException(AirflowFailException):
    """A task begins while one of its inlets or outlets is inactive."""

    def __init__(self, inactive_asset_keys: Collection[Any]) -> None:
        self.inactive_asset_keys = inactive_asset_keys
        super().__init__(inactive_asset_keys)

    def __str__(self) -> str:
        names = ", ".join(str(key) for key in self.inactive_asset_keys)
        return f"Task has the following inactive assets in its inlets or outlets: {names}"


class AirflowRescheduleException(AirflowException):
    """Give the slot back and come again.

    Arguments:
        reschedule_date: when, an aware datetime.
    """

    def __init__(self, reschedule_date: datetime) -> None:
        super().__init__(reschedule_date)
        self.reschedule_date = reschedule_date


class AirflowSensorTimeout(AirflowException):
    """A sensor waited longer than its `timeout`: the task fails (or skips, with `soft_fail`), no retry."""


class AirflowSkipException(AirflowException):
    """Skip this task."""


class AirflowTaskTerminated(BaseException):
    """The task's process was told to end."""


class AirflowTaskTimeout(BaseException):
    """The task ran longer than its `execution_timeout`."""


class TaskDeferred(BaseException):
    """The task waits for a trigger, without holding a worker.

    Arguments:
        trigger: an instance of a `BaseTrigger`.
        method_name: the operator's method to enter when the trigger has fired.
        kwargs: further arguments for that method.
        timeout: how long to wait at most; seconds, if a number.
    """

    def __init__(
        self,
        *,
        trigger: Any,
        method_name: str,
        kwargs: dict[str, Any] | None = None,
        timeout: timedelta | float | None = None,
    ) -> None:
        super().__init__()
        self.trigger = trigger
        self.method_name = method_name
        self.kwargs = kwargs
        self.timeout = timedelta(seconds=timeout) if isinstance(timeout, int | float) else timeout

    def __repr__(self) -> str:
        return f"<TaskDeferred trigger={self.trigger} method={self.method_name}>"


class TaskAwaitingInput(BaseException):
    """The task waits for a person, without a worker and without a trigger."""

    def __init__(
        self,
        *,
        method_name: str,
        kwargs: dict[str, Any] | None = None,
        timeout: timedelta | float | None = None,
    ) -> None:
        super().__init__()
        self.method_name = method_name
        self.kwargs = kwargs
        self.timeout = timeout

    def __repr__(self) -> str:
        return f"<TaskAwaitingInput method={self.method_name}>"


class TaskDeferralError(AirflowException):
    """The trigger that a task waited for failed."""


class TaskDeferralTimeout(AirflowException):
    """The trigger that a task waited for did not fire in time."""


class DagRunTriggerException(AirflowException):
    """Signal of `TriggerDagRunOperator`: make a run of another DAG. Its arguments are attributes."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.__dict__.update(arguments)


class DownstreamTasksSkipped(AirflowException):
    """Skip these tasks.

    Arguments:
        tasks: task ids, or (task id, map index).
    """

    def __init__(self, *, tasks: Iterable[str | tuple[str, int]]) -> None:
        super().__init__()
        self.tasks = list(tasks)


class XComNotFound(AirflowException):
    """A task refers to a value that no task has pushed."""

    def __init__(self, dag_id: str, task_id: str, key: str) -> None:
        super().__init__(dag_id, task_id, key)
        self.dag_id = dag_id
        self.task_id = task_id
        self.key = key

    def __str__(self) -> str:
        return f'XComArg result from {self.task_id} at {self.dag_id} with key="{self.key}" is not found!'


class ParamValidationError(AirflowException, ValueError):
    """A param's value does not satisfy its schema, is missing, or is not JSON."""


class DuplicateTaskIdFound(AirflowException):
    """Two tasks, or a task and a group, of one DAG have the same id."""


class TaskAlreadyInTaskGroup(AirflowException):
    """A task is added to a second group."""

    def __init__(self, task_id: str, existing_group_id: str | None, new_group_id: str) -> None:
        super().__init__(task_id, existing_group_id, new_group_id)
        self.task_id = task_id
        self.existing_group_id = existing_group_id
        self.new_group_id = new_group_id

    def __str__(self) -> str:
        existing = f"group {self.existing_group_id!r}" if self.existing_group_id else "the DAG's root group"
        return f"cannot add {self.task_id!r} to {self.new_group_id!r} (already in {existing})"


class TaskNotFound(AirflowException):
    """The DAG has no such task."""


class NodeNotFound(TaskNotFound, KeyError):
    """The DAG or group has no such task or group (`dag["name"]`)."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class TaskAlreadyRunningError(AirflowException):
    """The task runs already, on another worker."""


class FailFastDagInvalidTriggerRule(AirflowException):
    """A task of a `fail_fast` DAG has a trigger rule that contradicts it."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else "A 'fail_fast' dag can only have all_success trigger rule"

    @classmethod
    def check(cls, *, fail_fast: bool, trigger_rule: TriggerRule) -> None:
        """Raise if a task with that rule may not be in the DAG."""
        if fail_fast and trigger_rule not in (TriggerRule.ALL_SUCCESS, TriggerRule.ALL_DONE_SETUP_SUCCESS):
            raise cls(f"A 'fail_fast' dag can only have all_success trigger rule, not {trigger_rule.value}")


class RemovedInAirflow4Warning(DeprecationWarning):
    """A feature is deprecated and will go with Airflow 4."""
