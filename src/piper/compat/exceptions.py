"""Exceptions of `airflow.exceptions` beside those of the authoring language.

Most come from a server in Airflow and are raised by nobody here; code that catches them imports them.
"""

from __future__ import annotations

from piper.sdk.exceptions import (
    AirflowConfigException,
    AirflowException,
    AirflowNotFoundException,
    RemovedInAirflow4Warning,
)

__all__ = [
    "AirflowBadRequest",
    "AirflowClearRunningTaskException",
    "AirflowClusterPolicyError",
    "AirflowClusterPolicySkipDag",
    "AirflowClusterPolicyViolation",
    "AirflowConfigException",
    "AirflowDagDuplicatedIdException",
    "AirflowFileParseException",
    "AirflowInternalRuntimeError",
    "AirflowProviderDeprecationWarning",
    "AirflowUnsupportedFileTypeException",
    "ConnectionNotUnique",
    "DagCodeNotFound",
    "DagNotFound",
    "DagNotPartitionedError",
    "DagRunAlreadyExists",
    "DagRunNotFound",
    "DagRunTypeNotAllowed",
    "DeserializationError",
    "DeserializingResultError",
    "FileSyntaxError",
    "InvalidPartitionKeyError",
    "InvalidStatsNameException",
    "NotMapped",
    "PoolNotFound",
    "RemovedInAirflow3Warning",
    "RemovedInAirflow4Warning",
    "SerializationError",
    "TaskInstanceNotFound",
    "UnknownExecutorException",
    "VariableNotUnique",
]


class AirflowBadRequest(AirflowException):
    """The caller asked for something that cannot be."""


class InvalidStatsNameException(AirflowException):
    """A metric has a name that cannot be one."""


class AirflowInternalRuntimeError(BaseException):
    """Something that must not be caught went wrong."""


class AirflowDagDuplicatedIdException(AirflowException):
    """Two files define a DAG of the same id."""


class AirflowClusterPolicyViolation(AirflowException):
    """A policy refuses a DAG or a task."""


class AirflowClusterPolicySkipDag(AirflowException):
    """A policy leaves a DAG out."""


class AirflowClusterPolicyError(AirflowException):
    """A policy itself fails."""


class DagNotFound(AirflowNotFoundException):
    """There is no such DAG."""


class DagCodeNotFound(AirflowNotFoundException):
    """There is no code of such a DAG."""


class DagRunNotFound(AirflowNotFoundException):
    """There is no such run."""


class DagNotPartitionedError(ValueError):
    """A DAG has no partitions."""


class InvalidPartitionKeyError(ValueError):
    """A key names no partition."""


class DagRunAlreadyExists(AirflowBadRequest):
    """There is such a run already."""


class DagRunTypeNotAllowed(AirflowException):
    """A DAG takes no runs of this type."""


class SerializationError(AirflowException):
    """Something cannot be stored."""


class DeserializationError(Exception):
    """Something stored cannot be read."""


class DeserializingResultError(ValueError):
    """A result cannot be read."""


class TaskInstanceNotFound(AirflowNotFoundException):
    """There is no such task instance."""


class NotMapped(Exception):
    """A task is not mapped."""


class PoolNotFound(AirflowNotFoundException):
    """There is no such pool."""


class FileSyntaxError(Exception):
    """A line of a file cannot be read."""


class AirflowFileParseException(AirflowException):
    """A file of connections or variables cannot be read."""


class AirflowUnsupportedFileTypeException(AirflowException):
    """A file is of a type that cannot be read."""


class ConnectionNotUnique(AirflowException):
    """Several connections have one id."""


class VariableNotUnique(AirflowException):
    """Several variables have one name."""


class UnknownExecutorException(ValueError):
    """There is no such executor."""


class AirflowClearRunningTaskException(AirflowException):
    """A task that runs was to be cleared."""


class AirflowProviderDeprecationWarning(DeprecationWarning):
    """A provider's feature will go."""


class RemovedInAirflow3Warning(DeprecationWarning):
    """A feature went with Airflow 3; code of Airflow 2 filters these."""
