"""Exceptions of the standard provider."""

from __future__ import annotations

from piper.sdk.exceptions import AirflowException


class AirflowExternalTaskSensorException(AirflowException):
    """Base of what goes wrong with sensors of other DAGs."""


class ExternalDagNotFoundError(AirflowExternalTaskSensorException):
    """There is no such DAG."""


class ExternalDagDeletedError(AirflowExternalTaskSensorException):
    """The file of a DAG is gone."""


class ExternalTaskNotFoundError(AirflowExternalTaskSensorException):
    """A DAG has no such task."""


class ExternalTaskGroupNotFoundError(AirflowExternalTaskSensorException):
    """A DAG has no such group."""


class ExternalTaskFailedError(AirflowExternalTaskSensorException):
    """The task waited for has failed."""


class ExternalTaskGroupFailedError(AirflowExternalTaskSensorException):
    """The group waited for has failed."""


class ExternalDagFailedError(AirflowExternalTaskSensorException):
    """The DAG waited for has failed."""


class DuplicateStateError(AirflowExternalTaskSensorException):
    """A state is both one to wait for and one to fail on."""
