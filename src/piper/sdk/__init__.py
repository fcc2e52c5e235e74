"""The authoring language: everything that one writes workflows with.

A file of workflows is ordinary Python. What it makes (`DAG`s of operators, joined by arrows) lives only
in two kinds of process: the serializer's child, which turns it into data (`specs.spec_of`), and the
worker's, which runs one task of it (`execution`). Names and behaviour are those of Airflow 3.3.2's
`airflow.sdk`; what Piper adds are keyword arguments beside Airflow's (`isolation`, `memory_limit`,
`outputs`, `metrics`; `freshness`, `compute_mode`, `compute_centres`).

How it is put together:

    node, edges          what arrows can join; labels, chain
    operator, arguments  tasks; the arguments that all operators take
    group, dag           what tasks belong to
    xcom_arg, mapping    results that do not exist yet; one task, many instances
    decorators           @task and its kin
    timetables, assets, params, callbacks, retry_policy, weights, deadlines
                         when it runs, on what data, with which values, and what else is called
    specs, task_specs    all of that as data, checked; schemas describes operators, hydrate goes back
    loader               from a file to its DAGs
    execution            what happens inside a running task

Invariants. What is wrong in a file is said where it is written, by file and line, with the nearest right
name. A default is never stored, so a spec holds what the author wrote and no more. Importing this
package costs next to nothing: every name is looked up when it is first used, since each file's zygote is
forked for every task and its memory is what a fork costs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # What a type checker and an editor see; at run time the table below.
    from piper.model.states import RunState as DagRunState
    from piper.model.states import TaskState as TaskInstanceState
    from piper.model.states import TriggerRule, WeightRule
    from piper.sdk import timezone
    from piper.sdk.assets import (
        Asset,
        AssetAccessControl,
        AssetAlias,
        AssetAll,
        AssetAny,
        Metadata,
        asset,
    )
    from piper.sdk.callbacks import AsyncCallback, SyncCallback
    from piper.sdk.configuration import conf
    from piper.sdk.dag import DAG, dag
    from piper.sdk.deadlines import BaseDeadlineReference, DeadlineAlert, DeadlineReference, deadline_reference
    from piper.sdk.decorators import result, setup, task, task_group, teardown
    from piper.sdk.edges import EdgeModifier, Label, chain, chain_linear, cross_downstream
    from piper.sdk.group import TaskGroup
    from piper.sdk.hook import BaseHook
    from piper.sdk.links import BaseOperatorLink
    from piper.sdk.loader import get_parsing_context
    from piper.sdk.notifier import BaseNotifier
    from piper.sdk.operator import BaseAsyncOperator, BaseOperator
    from piper.sdk.params import Param, ParamsDict
    from piper.sdk.retry_policy import (
        ExceptionRetryPolicy,
        RetryAction,
        RetryDecision,
        RetryPolicy,
        RetryRule,
    )
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
    from piper.sdk.weights import PriorityWeightStrategy
    from piper.sdk.xcom_arg import XComArg

_HOMES: dict[str, str] = {}


def _live_in(module: str, *names: str) -> None:
    _HOMES.update(dict.fromkeys(names, module))


_live_in("piper.model.states", "TriggerRule", "WeightRule")
_live_in("piper", "__version__")
_live_in("piper.sdk.assets", "Asset", "AssetAccessControl", "AssetAlias", "AssetAll", "AssetAny", "Metadata", "asset")
_live_in("piper.sdk.branch", "BaseBranchOperator", "BranchMixIn", "SkipMixin")
_live_in("piper.sdk.callbacks", "AsyncCallback", "SyncCallback")
_live_in("piper.sdk.configuration", "conf")
_live_in("piper.sdk.dag", "DAG", "dag")
_live_in(
    "piper.sdk.deadlines", "BaseDeadlineReference", "DeadlineAlert", "DeadlineReference", "deadline_reference"
)
_live_in("piper.sdk.decorators", "result", "setup", "task", "task_group", "teardown")
_live_in("piper.sdk.edges", "EdgeModifier", "Label", "chain", "chain_linear", "cross_downstream")
_live_in("piper.sdk.group", "TaskGroup")
_live_in("piper.sdk.hook", "BaseHook")
_live_in("piper.sdk.links", "BaseOperatorLink")
_live_in("piper.sdk.loader", "get_parsing_context")
_live_in("piper.sdk.notifier", "BaseNotifier")
_live_in("piper.sdk.operator", "BaseAsyncOperator", "BaseOperator")
_live_in("piper.sdk.params", "Param", "ParamsDict")
_live_in(
    "piper.sdk.retry_policy", "ExceptionRetryPolicy", "RetryAction", "RetryDecision", "RetryPolicy", "RetryRule"
)
_live_in("piper.sdk.sensor", "BaseSensorOperator", "PokeReturnValue")
_live_in("piper.sdk.template", "literal")
_live_in(
    "piper.sdk.timetables",
    "AssetOrTimeSchedule",
    "CronDataIntervalTimetable",
    "CronTriggerTimetable",
    "DeltaDataIntervalTimetable",
    "DeltaTriggerTimetable",
    "EventsTimetable",
    "MultipleCronTriggerTimetable",
    "Timetable",
)
_live_in("piper.sdk.weights", "PriorityWeightStrategy")
_live_in("piper.sdk.xcom_arg", "XComArg")
_live_in("piper.sdk.execution.context", "Context")
_live_in("piper.sdk.execution.current", "get_current_context")
