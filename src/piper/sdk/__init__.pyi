"""The public names, for type checkers and editors; at run time they are looked up one by one."""

from piper import __version__
from piper.model.states import RunState as DagRunState
from piper.model.states import TaskState as TaskInstanceState
from piper.model.states import TriggerRule, WeightRule
from piper.sdk.assets import Asset, AssetAccessControl, AssetAlias, AssetAll, AssetAny, Metadata, asset
from piper.sdk.branch import BaseBranchOperator, BranchMixIn, SkipMixin
from piper.sdk.callbacks import AsyncCallback, SyncCallback
from piper.sdk.configuration import conf
from piper.sdk.connection import Connection
from piper.sdk.dags import DAG, dag
from piper.sdk.deadlines import BaseDeadlineReference, DeadlineAlert, DeadlineReference, deadline_reference
from piper.sdk.decorators import result, setup, task, task_group, teardown
from piper.sdk.edges import EdgeModifier, Label, chain, chain_linear, cross_downstream
from piper.sdk.execution import macros
from piper.sdk.execution.context import Context
from piper.sdk.execution.current import get_current_context
from piper.sdk.execution.instance import RuntimeTaskInstance as TaskInstance
from piper.sdk.group import TaskGroup
from piper.sdk.hook import BaseHook
from piper.sdk.links import BaseOperatorLink
from piper.sdk.loader import get_parsing_context
from piper.sdk.notifier import BaseNotifier
from piper.sdk.operator import BaseAsyncOperator, BaseOperator
from piper.sdk.params import Param, ParamsDict
from piper.sdk.retry_policy import ExceptionRetryPolicy, RetryAction, RetryDecision, RetryPolicy, RetryRule
from piper.sdk.sensor import BaseSensorOperator, PokeReturnValue
from piper.sdk.template import literal
from piper.sdk.timetables import (
    AssetOrTimeSchedule,
    CronDataIntervalTimetable,
    CronTriggerTimetable,
    DeltaDataIntervalTimetable,
    DeltaTriggerTimetable,
    EventsTimetable,
    MultipleCronTriggerTimetable,
    Timetable,
)
from piper.sdk.variable import Variable
from piper.sdk.weights import PriorityWeightStrategy
from piper.sdk.xcom import BaseXCom
from piper.sdk.xcom_arg import XComArg

__all__ = [
    "DAG",
    "Asset",
    "AssetAccessControl",
    "AssetAlias",
    "AssetAll",
    "AssetAny",
    "AssetOrTimeSchedule",
    "AsyncCallback",
    "BaseAsyncOperator",
    "BaseBranchOperator",
    "BaseDeadlineReference",
    "BaseHook",
    "BaseNotifier",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "BaseXCom",
    "BranchMixIn",
    "Connection",
    "Context",
    "CronDataIntervalTimetable",
    "CronTriggerTimetable",
    "DagRunState",
    "DeadlineAlert",
    "DeadlineReference",
    "DeltaDataIntervalTimetable",
    "DeltaTriggerTimetable",
    "EdgeModifier",
    "EventsTimetable",
    "ExceptionRetryPolicy",
    "Label",
    "Metadata",
    "MultipleCronTriggerTimetable",
    "Param",
    "ParamsDict",
    "PokeReturnValue",
    "PriorityWeightStrategy",
    "RetryAction",
    "RetryDecision",
    "RetryPolicy",
    "RetryRule",
    "SkipMixin",
    "SyncCallback",
    "TaskGroup",
    "TaskInstance",
    "TaskInstanceState",
    "Timetable",
    "TriggerRule",
    "Variable",
    "WeightRule",
    "XComArg",
    "__version__",
    "asset",
    "chain",
    "chain_linear",
    "conf",
    "cross_downstream",
    "dag",
    "deadline_reference",
    "get_current_context",
    "get_parsing_context",
    "literal",
    "macros",
    "result",
    "setup",
    "task",
    "task_group",
    "teardown",
]
