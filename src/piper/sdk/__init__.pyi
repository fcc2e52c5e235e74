"""The public names, for type checkers and editors; at run time they are looked up one by one."""

from piper import __version__
from piper.model.states import RunState as DagRunState
from piper.model.states import TaskState as TaskInstanceState
from piper.model.states import TriggerRule, WeightRule
from piper.sdk.asset_decorator import asset
from piper.sdk.assets import Asset, AssetAccessControl, AssetAlias, AssetAll, AssetAny, Metadata
from piper.sdk.branch import BaseBranchOperator, BranchMixIn, SkipMixin
from piper.sdk.built_in_timetables import (
    AssetOrTimeSchedule,
    CronDataIntervalTimetable,
    CronTriggerTimetable,
    DeltaDataIntervalTimetable,
    DeltaTriggerTimetable,
    EventsTimetable,
    MultipleCronTriggerTimetable,
)
from piper.sdk.callbacks import AsyncCallback, SyncCallback
from piper.sdk.configuration import conf
from piper.sdk.connection import Connection
from piper.sdk.dag_decorator import dag
from piper.sdk.dags import DAG
from piper.sdk.deadlines import BaseDeadlineReference, DeadlineAlert, DeadlineReference, deadline_reference
from piper.sdk.decorators import result, setup, task, teardown
from piper.sdk.edges import EdgeModifier, Label, chain, chain_linear, cross_downstream
from piper.sdk.execution import macros
from piper.sdk.execution.context import Context
from piper.sdk.execution.current import get_current_context
from piper.sdk.execution.instance import RuntimeTaskInstance as TaskInstance
from piper.sdk.execution.tracking import log_input, log_metric, log_metrics, log_output, log_parameter
from piper.sdk.group import TaskGroup
from piper.sdk.group_decorator import task_group
from piper.sdk.hook import BaseHook
from piper.sdk.links import BaseOperatorLink
from piper.sdk.loader import get_parsing_context
from piper.sdk.notifier import BaseNotifier
from piper.sdk.operator import BaseAsyncOperator, BaseOperator
from piper.sdk.params import Param, ParamsDict
from piper.sdk.retry_policy import ExceptionRetryPolicy, RetryAction, RetryDecision, RetryPolicy, RetryRule
from piper.sdk.sensor import BaseSensorOperator, PokeReturnValue
from piper.sdk.template import literal
from piper.sdk.timetables import Timetable
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
    "log_input",
    "log_metric",
    "log_metrics",
    "log_output",
    "log_parameter",
    "macros",
    "result",
    "setup",
    "task",
    "task_group",
    "teardown",
]
