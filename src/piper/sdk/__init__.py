"""The authoring language: everything that one writes workflows with.

A file of workflows is ordinary Python. What it makes (`DAG`s of operators, joined by arrows) lives only
in two kinds of process: the serializer's child, which turns it into data (`specs.spec_of`), and the
worker's, which runs one task of it (`execution`). Names and behaviour are those of Airflow 3.3.2's
`airflow.sdk`; what Piper adds are keyword arguments beside Airflow's (`isolation`, `memory_limit`,
`outputs`, `metrics`; `freshness`, `compute_mode`, `compute_centres`) and the functions `log_…`.

How it is put together:

    scope, place, spelling, signatures, importing
                             the line being executed and its `with` blocks; names, parameters, dotted paths
    node, edges, placeholders
                             what arrows can join; labels, chain; what stands for a value that is not there
    xcom_arg, abstract_operator, arguments, operator, mapping
                             results that do not exist yet; tasks; one task, many instances
    sensor, branch, trigger, notifier, hook, connection, variable
                             what operators are made with
    group, setup_teardown, dags
                             what tasks belong to
    decorators, *_decorator  functions that become tasks, groups, DAGs, assets
    batteries                the operators that these find: by path, as they build upon this package
    timetables, schedules, assets, params, callbacks, retry_policy, weights, deadlines
                             when it runs, on what data, with which values, and what else is called
    specs, task_specs        all of that as data, checked; schemas describes operators, hydrate goes back
    loader                   from a file to its DAGs
    execution                what happens inside a running task

No module imports one that imports it, directly or not: of two that know each other one is given a noun below
both, or is handed the other as an argument.

Invariants. What is wrong in a file is said where it is written, by file and line, with the nearest right
name. What is not given is not stored, so a spec holds what the author wrote and no more. Importing this
package costs next to nothing: every name is looked up when it is first used, since each file's zygote is
forked for every task and its memory is what a fork costs.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "__version__": "piper:__version__",
    "Asset": "piper.sdk.assets:Asset",
    "asset": "piper.sdk.asset_decorator:asset",
    "AssetAccessControl": "piper.sdk.assets:AssetAccessControl",
    "AssetAlias": "piper.sdk.assets:AssetAlias",
    "AssetAll": "piper.sdk.assets:AssetAll",
    "AssetAny": "piper.sdk.assets:AssetAny",
    "AssetOrTimeSchedule": "piper.sdk.built_in_timetables:AssetOrTimeSchedule",
    "AsyncCallback": "piper.sdk.callbacks:AsyncCallback",
    "BaseAsyncOperator": "piper.sdk.operator:BaseAsyncOperator",
    "BaseBranchOperator": "piper.sdk.branch:BaseBranchOperator",
    "BaseDeadlineReference": "piper.sdk.deadlines:BaseDeadlineReference",
    "BaseHook": "piper.sdk.hook:BaseHook",
    "BaseNotifier": "piper.sdk.notifier:BaseNotifier",
    "BaseOperator": "piper.sdk.operator:BaseOperator",
    "BaseOperatorLink": "piper.sdk.links:BaseOperatorLink",
    "BaseSensorOperator": "piper.sdk.sensor:BaseSensorOperator",
    "BaseXCom": "piper.sdk.xcom:BaseXCom",
    "BranchMixIn": "piper.sdk.branch:BranchMixIn",
    "chain": "piper.sdk.edges:chain",
    "chain_linear": "piper.sdk.edges:chain_linear",
    "conf": "piper.sdk.configuration:conf",
    "Connection": "piper.sdk.connection:Connection",
    "Context": "piper.sdk.execution.context:Context",
    "CronDataIntervalTimetable": "piper.sdk.built_in_timetables:CronDataIntervalTimetable",
    "CronTriggerTimetable": "piper.sdk.built_in_timetables:CronTriggerTimetable",
    "cross_downstream": "piper.sdk.edges:cross_downstream",
    "DAG": "piper.sdk.dags:DAG",
    "dag": "piper.sdk.dag_decorator:dag",
    "DagRunState": "piper.model.states:RunState",
    "deadline_reference": "piper.sdk.deadlines:deadline_reference",
    "DeadlineAlert": "piper.sdk.deadlines:DeadlineAlert",
    "DeadlineReference": "piper.sdk.deadlines:DeadlineReference",
    "DeltaDataIntervalTimetable": "piper.sdk.built_in_timetables:DeltaDataIntervalTimetable",
    "DeltaTriggerTimetable": "piper.sdk.built_in_timetables:DeltaTriggerTimetable",
    "EdgeModifier": "piper.sdk.edges:EdgeModifier",
    "EventsTimetable": "piper.sdk.built_in_timetables:EventsTimetable",
    "ExceptionRetryPolicy": "piper.sdk.retry_policy:ExceptionRetryPolicy",
    "get_current_context": "piper.sdk.execution.current:get_current_context",
    "get_parsing_context": "piper.sdk.loader:get_parsing_context",
    "Label": "piper.sdk.edges:Label",
    "literal": "piper.sdk.template:literal",
    "log_input": "piper.sdk.execution.tracking:log_input",
    "log_metric": "piper.sdk.execution.tracking:log_metric",
    "log_metrics": "piper.sdk.execution.tracking:log_metrics",
    "log_output": "piper.sdk.execution.tracking:log_output",
    "log_parameter": "piper.sdk.execution.tracking:log_parameter",
    "macros": "piper.sdk.execution:macros",
    "Metadata": "piper.sdk.assets:Metadata",
    "MultipleCronTriggerTimetable": "piper.sdk.built_in_timetables:MultipleCronTriggerTimetable",
    "Param": "piper.sdk.params:Param",
    "ParamsDict": "piper.sdk.params:ParamsDict",
    "PokeReturnValue": "piper.sdk.sensor:PokeReturnValue",
    "PriorityWeightStrategy": "piper.sdk.weights:PriorityWeightStrategy",
    "result": "piper.sdk.decorators:result",
    "RetryAction": "piper.sdk.retry_policy:RetryAction",
    "RetryDecision": "piper.sdk.retry_policy:RetryDecision",
    "RetryPolicy": "piper.sdk.retry_policy:RetryPolicy",
    "RetryRule": "piper.sdk.retry_policy:RetryRule",
    "setup": "piper.sdk.decorators:setup",
    "SkipMixin": "piper.sdk.branch:SkipMixin",
    "SyncCallback": "piper.sdk.callbacks:SyncCallback",
    "task": "piper.sdk.decorators:task",
    "task_group": "piper.sdk.group_decorator:task_group",
    "TaskGroup": "piper.sdk.group:TaskGroup",
    "TaskInstance": "piper.sdk.execution.instance:RuntimeTaskInstance",
    "TaskInstanceState": "piper.model.states:TaskState",
    "teardown": "piper.sdk.decorators:teardown",
    "Timetable": "piper.sdk.timetables:Timetable",
    "TriggerRule": "piper.model.states:TriggerRule",
    "Variable": "piper.sdk.variable:Variable",
    "WeightRule": "piper.model.states:WeightRule",
    "XComArg": "piper.sdk.xcom_arg:XComArg",
}
"""Public name → module and the name there."""

_NOT_YET = {
    "AllowedKeyMapper": ("partitions", "AssetOrTimeSchedule"),
    "AssetWatcher": ("asset watchers", "Asset"),
    "ChainMapper": ("partitions", "AssetOrTimeSchedule"),
    "CronPartitionTimetable": ("partitions", "CronTriggerTimetable"),
    "DayWindow": ("partitions", "CronDataIntervalTimetable"),
    "FanOutMapper": ("partitions", "AssetOrTimeSchedule"),
    "FixedKeyMapper": ("partitions", "AssetOrTimeSchedule"),
    "HourWindow": ("partitions", "CronDataIntervalTimetable"),
    "IdentityMapper": ("partitions", "AssetOrTimeSchedule"),
    "lineage": ("lineage", "Metadata"),
    "MinimumCount": ("partitions", "AssetAny"),
    "MonthWindow": ("partitions", "CronDataIntervalTimetable"),
    "NEVER_EXPIRE": ("state stores", "Variable"),
    "ObjectStoragePath": ("object storage paths", "BaseHook"),
    "PartitionedAssetTimetable": ("partitions", "AssetOrTimeSchedule"),
    "PartitionedAtRuntime": ("partitions", "AssetOrTimeSchedule"),
    "PartitionMapper": ("partitions", "AssetOrTimeSchedule"),
    "ProductMapper": ("partitions", "AssetOrTimeSchedule"),
    "QuarterWindow": ("partitions", "CronDataIntervalTimetable"),
    "ResumableJobMixin": ("state stores", "BaseSensorOperator"),
    "RollupMapper": ("partitions", "AssetOrTimeSchedule"),
    "SegmentWindow": ("partitions", "CronDataIntervalTimetable"),
    "StartOfDayMapper": ("partitions", "CronDataIntervalTimetable"),
    "StartOfHourMapper": ("partitions", "CronDataIntervalTimetable"),
    "StartOfMonthMapper": ("partitions", "CronDataIntervalTimetable"),
    "StartOfQuarterMapper": ("partitions", "CronDataIntervalTimetable"),
    "StartOfWeekMapper": ("partitions", "CronDataIntervalTimetable"),
    "StartOfYearMapper": ("partitions", "CronDataIntervalTimetable"),
    "WaitForAll": ("partitions", "AssetAll"),
    "WeekWindow": ("partitions", "CronDataIntervalTimetable"),
    "Window": ("partitions", "CronDataIntervalTimetable"),
    "YearWindow": ("partitions", "CronDataIntervalTimetable"),
}
"""Airflow's name → what Piper does not have yet, and the nearest that it has."""

__all__ = sorted(_HOMES)  # type: ignore[assignment]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        if name in _NOT_YET:
            what, nearest = _NOT_YET[name]
            # An ImportError passes through `from piper.sdk import …`, where an AttributeError's text would be lost.
            raise ImportError(
                f"piper.sdk has no {name} yet: {what} come later; the nearest is {nearest}", name=__name__
            )
        raise AttributeError(f"module 'piper.sdk' has no attribute {name!r}")
    module, _, attribute = home.partition(":")
    found = import_module(f"{module}.macros") if name == "macros" else getattr(import_module(module), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
