"""Write the reference of the authoring language from its docstrings: `python -m docs.reference`.

The code is read, not imported (griffe). A page is made of topics, a topic of names; below a name stands how it is
called, what its docstring says, and what else of it is for authors. Names of `piper.sdk` that no topic has are
missed by a test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from textwrap import dedent
from typing import Any, NamedTuple

import griffe

from docs.sections import DOCS, table, write_section
from piper.sdk import _HOMES

SECTION = "reference"

Topic = Mapping[str, str]
"""Name → where it is defined, `module:name`."""


def public(*names: str) -> dict[str, str]:
    """These names of `piper.sdk`."""
    return {name: _HOMES[name] for name in names}


def inside(module: str, *names: str) -> dict[str, str]:
    """These names of a module."""
    return {name: f"{module}:{name}" for name in names}


class Page(NamedTuple):
    """A document of docs/reference."""

    document: str
    topics: Mapping[str, Topic]

    def section(self) -> str:
        """All that is generated of it."""
        parts = []
        for topic, names in self.topics.items():
            parts += [f"## {topic}", *(entry(name, home) for name, home in names.items())]
        return "\n\n".join(parts)


SDK = Page(
    "reference/sdk.md",
    {
        "Workflows": public("DAG", "dag")
        | {"Arguments of a DAG": "piper.sdk.dag_arguments:DagArguments"}
        | public("TaskGroup", "task_group", "Label", "EdgeModifier", "chain", "chain_linear", "cross_downstream"),
        "Tasks": {"task": "piper.sdk.decorators:TaskDecoratorCollection"}
        | {"Arguments of every operator": "piper.sdk.arguments:OperatorArguments"}
        | public("setup", "teardown", "result", "TriggerRule", "literal", "get_parsing_context"),
        "Classes of operators": public(
            "BaseOperator",
            "BaseAsyncOperator",
            "BaseSensorOperator",
            "PokeReturnValue",
            "BaseBranchOperator",
            "BranchMixIn",
            "SkipMixin",
            "BaseHook",
            "BaseNotifier",
            "BaseOperatorLink",
        )
        | inside("piper.sdk.trigger", "BaseTrigger", "TriggerEvent"),
        "Schedules": public(
            "CronTriggerTimetable",
            "MultipleCronTriggerTimetable",
            "DeltaTriggerTimetable",
            "CronDataIntervalTimetable",
            "DeltaDataIntervalTimetable",
            "EventsTimetable",
            "AssetOrTimeSchedule",
            "Timetable",
        )
        | inside("piper.sdk.timetables", "DagRunInfo", "DataInterval", "TimeRestriction"),
        "Values": public("XComArg", "BaseXCom", "Param", "ParamsDict", "Variable", "Connection")
        | {"conf": "piper.sdk.configuration:Configuration"},
        "In a running task": public(
            "get_current_context",
            "Context",
            "TaskInstance",
            "TaskInstanceState",
            "DagRunState",
            "log_parameter",
            "log_metric",
            "log_metrics",
            "log_input",
            "log_output",
        )
        | inside("piper.sdk.execution.dag_run", "DagRun"),
        "Retries and priorities": public(
            "ExceptionRetryPolicy",
            "RetryRule",
            "RetryAction",
            "RetryDecision",
            "RetryPolicy",
            "WeightRule",
            "PriorityWeightStrategy",
        ),
        "Assets": public("Asset", "asset", "AssetAlias", "AssetAll", "AssetAny", "Metadata", "AssetAccessControl"),
        "Callbacks and deadlines": public(
            "AsyncCallback",
            "SyncCallback",
            "DeadlineAlert",
            "DeadlineReference",
            "BaseDeadlineReference",
            "deadline_reference",
        ),
        "Macros": inside(
            "piper.sdk.execution.macros", "ds_add", "ds_format", "ds_format_locale", "datetime_diff_for_humans"
        ),
        "Exceptions": inside(
            "piper.sdk.exceptions",
            "AirflowException",
            "AirflowFailException",
            "AirflowSkipException",
            "AirflowSensorTimeout",
            "AirflowTaskTimeout",
            "AirflowNotFoundException",
            "AirflowRuntimeError",
            "ParamValidationError",
            "XComNotFound",
            "TaskDeferred",
        ),
    },
)

_SENSORS = "piper.operators.sensors"
OPERATORS = Page(
    "reference/operators.md",
    {
        "Work": inside("piper.operators.python", "PythonOperator")
        | inside("piper.operators.bash", "BashOperator")
        | inside("piper.operators.sql", "SqlOperator")
        | inside("piper.operators.empty", "EmptyOperator")
        | inside("piper.operators.smooth", "SmoothOperator")
        | inside("piper.operators.trigger_dagrun", "TriggerDagRunOperator"),
        "Decisions": inside("piper.operators.python", "BranchPythonOperator", "ShortCircuitOperator")
        | inside("piper.operators.latest_only", "LatestOnlyOperator")
        | inside("piper.operators.datetime", "BranchDateTimeOperator")
        | inside("piper.operators.weekday", "BranchDayOfWeekOperator", "WeekDay"),
        "Sensors": inside(f"{_SENSORS}.python", "PythonSensor")
        | inside(f"{_SENSORS}.bash", "BashSensor")
        | inside(f"{_SENSORS}.filesystem", "FileSensor")
        | inside(f"{_SENSORS}.external_task", "ExternalTaskSensor", "ExternalTaskMarker")
        | inside(f"{_SENSORS}.date_time", "DateTimeSensor", "DateTimeSensorAsync")
        | inside(f"{_SENSORS}.time", "TimeSensor", "TimeSensorAsync")
        | inside(f"{_SENSORS}.time_delta", "TimeDeltaSensor", "TimeDeltaSensorAsync", "WaitSensor")
        | inside(f"{_SENSORS}.weekday", "DayOfWeekSensor"),
        "Hooks": inside("piper.operators.hooks.filesystem", "FSHook")
        | inside("piper.operators.hooks.subprocess", "SubprocessHook", "SubprocessResult"),
        "Triggers": inside("piper.operators.triggers.temporal", "DateTimeTrigger", "TimeDeltaTrigger")
        | inside("piper.operators.triggers.file", "FileTrigger")
        | inside("piper.operators.triggers.external_task", "WorkflowTrigger", "DagStateTrigger"),
    },
)

TESTING = Page(
    "reference/testing.md",
    {
        "Running": inside("piper.testing.plays", "run_dag", "run_task"),
        "Results": inside("piper.testing.results", "RunResult", "TaskResult"),
        "Schedules": inside("piper.testing.schedules", "evaluate_schedule")
        | inside("piper.model.schedule", "RunDates"),
    },
)

PAGES = (SDK, OPERATORS, TESTING)

ALL = ("",)
MEMBERS: Mapping[str, tuple[str, ...]] = {
    "BaseAsyncOperator": ("aexecute",),
    "BaseBranchOperator": ("choose_branch",),
    "BaseHook": ("get_conn", "get_connection", "get_hook", "log"),
    "BaseNotifier": ("notify", "async_notify"),
    "BaseOperator": (
        *("execute", "on_kill", "defer", "pre_execute", "post_execute", "partial", "output", "log"),
        *("as_setup", "as_teardown", "set_upstream", "set_downstream"),
    ),
    "BaseOperatorLink": ("name", "get_link"),
    "BaseSensorOperator": ("poke",),
    "BaseTrigger": ("run", "serialize", "cleanup", "log"),
    "Connection": ("get", "get_uri", "extra_dejson", "get_hook"),
    "DAG": ("test", "tasks", "task_ids", "get_task", "has_task", "roots", "leaves"),
    "DagRun": ALL,
    "DagRunInfo": ALL,
    "DataInterval": ALL,
    "DeadlineReference": ALL,
    "ParamsDict": ("get_param", "validate", "dump"),
    "PriorityWeightStrategy": ("get_weight",),
    "RetryDecision": ("fail", "retry", "default"),
    "RetryPolicy": ("evaluate",),
    "RunDates": ALL,
    "RunResult": ALL,
    "SkipMixin": ("skip", "skip_all_except"),
    "BranchMixIn": ("do_branch",),
    "SubprocessResult": ALL,
    "TaskGroup": ("set_upstream", "set_downstream", "roots", "leaves"),
    "TaskInstance": ALL,
    "TaskResult": ALL,
    "TimeRestriction": ALL,
    "Timetable": ("next_dagrun_info", "infer_manual_data_interval", "validate", "summary"),
    "Variable": ("get", "set", "delete"),
    "XComArg": ("map", "zip", "concat", "as_setup", "as_teardown"),
    "task": ("run_if", "skip_if"),
}
"""Of what has methods and attributes for authors: those."""


# --- from the code ----------------------------------------------------------------------------------


@cache
def package() -> griffe.Object:
    """The package, read."""
    found = griffe.load("piper", search_paths=[DOCS.parent / "src"], allow_inspection=False)
    assert isinstance(found, griffe.Object)
    return found


def find(home: str) -> Any:
    """What is defined at `module:name`; where a name is only handed on, what it stands for."""
    module, _, name = home.partition(":")
    found = package()[f"{module.removeprefix('piper').removeprefix('.')}.{name}".removeprefix(".")]
    return found.final_target if found.is_alias else found


# --- as text ----------------------------------------------------------------------------------------


def entry(name: str, home: str) -> str:
    """What the reference says of a name."""
    found = find(home)
    if found.is_class and any("TypedDict" in str(base) for base in found.bases):
        return f"### {name}\n\n{_of_typed_dict(found)}"
    call = () if name in ("task", "conf") else _call(name, found)
    return "\n\n".join([f"### {name}", *_place(name, home), *call, *_docstring(found), *_members(name, found)])


def _place(name: str, home: str) -> Iterator[str]:
    """Where it is imported from, if not from the page's own package."""
    module = home.partition(":")[0]
    if name not in _HOMES and not module.startswith(("piper.sdk.decorators", "piper.testing")):
        yield f"From `{module}`."


def _call(name: str, found: Any) -> Iterator[str]:
    """How it is called; of an enumeration or a value nothing."""
    is_made = found.is_class and (
        "__init__" in found.all_members or ({"dataclass", "msgspec.Struct"} & found.labels and found.parameters)
    )
    if found.is_function or (is_made and not _is_enumeration(found)):
        yield f"```python\n{_signature(name, found.parameters)}\n```"


def _signature(name: str, parameters: Any) -> str:
    shown: list[str] = []
    keyword_only = False
    for parameter in parameters:
        if parameter.name in ("self", "cls"):
            continue
        kind = parameter.kind
        if kind is griffe.ParameterKind.var_positional:
            shown.append(f"*{parameter.name}")
            keyword_only = True
        elif kind is griffe.ParameterKind.var_keyword:
            shown.append(f"**{parameter.name}")
        else:
            if kind is griffe.ParameterKind.keyword_only and not keyword_only:
                shown.append("*")
                keyword_only = True
            default = str(parameter.default).replace("'", '"')  # as the formatter of this repository has it
            shown.append(parameter.name if parameter.default is None else f"{parameter.name}={default}")
    line = f"{name}({', '.join(shown)})"
    return line if len(line) <= 100 else f"{name}(\n    " + ",\n    ".join(shown) + ",\n)"


def _docstring(found: Any) -> Iterator[str]:
    if found.docstring is None:
        return
    for part in found.docstring.parse("google", warnings=False):
        match part.kind:
            case griffe.DocstringSectionKind.text:
                yield _prose(part.value)
            case griffe.DocstringSectionKind.parameters | griffe.DocstringSectionKind.other_parameters:
                yield "\n".join(_argument(one) for one in part.value)
            case griffe.DocstringSectionKind.raises:
                yield "\n".join(f"- raises `{one.annotation}`: {_line(one.description)}" for one in part.value)
            case griffe.DocstringSectionKind.returns:
                yield "\n".join(f"Returns {_lower(_line(one.description))}" for one in part.value)
            case griffe.DocstringSectionKind.examples:
                yield "\n\n".join(_prose(text) for _, text in part.value)
            case _:
                raise NotImplementedError(f"{found.path}: docstrings have no {part.kind} here")


def _argument(one: Any) -> str:
    names = ", ".join(f"`{name.strip()}`" for name in one.name.split(","))
    typed = one.annotation is not None and not str(one.annotation).startswith("Unpack")
    kind = f" ({_code(str(one.annotation))})" if typed else ""
    return f"- {names}{kind}: {_line(one.description)}"


def _prose(text: str) -> str:
    """Text with its indented blocks as code."""
    parts = []
    for block in re.split(r"\n\n(?=\S)", text.strip()):
        before, found, code = block.partition("::\n\n")
        if found:
            words = before.removesuffix("Example")
            parts += [f"{words}:"] if words else []
            parts.append(f"```python\n{dedent(code).rstrip()}\n```")
        else:
            parts.append(block)
    return "\n\n".join(parts)


def _members(name: str, found: Any) -> Iterator[str]:
    """Its values, or those of its methods and attributes that authors use."""
    if not found.is_class:
        return
    if _is_enumeration(found):
        values = [one for one in found.attributes.values() if not one.name.startswith("_")]
        yield "One of " + ", ".join(_code(str(one.value).strip("'\"")) for one in values) + "."
        return
    wanted = MEMBERS.get(name, ())
    members = {**found.inherited_members, **found.members}
    names = wanted if wanted != ALL else tuple(key for key in members if not key.startswith("_"))
    lines = []
    for key in names:
        member = members[key].final_target if members[key].is_alias else members[key]
        if member.docstring is not None:
            call = _signature(key, member.parameters) if member.is_function else key
            lines.append(f"- `{' '.join(call.split())}`: {_first(member)}")
    if lines:
        yield "It has\n\n" + "\n".join(lines)


def _of_typed_dict(found: Any) -> str:
    rows = []
    for part in found.docstring.parse("sphinx", warnings=False):
        if part.kind is griffe.DocstringSectionKind.parameters:
            for one in part.value:
                kind = str(found.members[one.name].annotation)
                rows.append([f"`{one.name}`", _code(kind), _line(one.description)])
    return table(["argument", "is", ""], rows)


def _is_enumeration(found: Any) -> bool:
    return any("Enum" in str(base) for base in found.bases)


def _first(found: Any) -> str:
    """The first paragraph of its docstring, in one line."""
    return _line(found.docstring.value.partition("\n\n")[0]) if found.docstring is not None else ""


def _line(text: str) -> str:
    """In one line, with links to the two long lists of arguments."""
    line = " ".join(text.split())
    line = line.replace("`DagArguments`", "[arguments of a DAG](sdk.md#arguments-of-a-dag)")
    return line.replace("`OperatorArguments`", "[arguments of every operator](sdk.md#arguments-of-every-operator)")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _code(text: str) -> str:
    return f"`{text}`"


if __name__ == "__main__":
    for page in PAGES:
        write_section(page.document, SECTION, page.section())
