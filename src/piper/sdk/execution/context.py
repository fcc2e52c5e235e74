"""What user code is handed, and templates see: Airflow's context, computed key by key as it is looked at.

`Context` is a dict, since user code copies it, updates it, and unpacks it into keyword arguments. Keys that have
not been looked at are not in the dict's own storage; one table says how each is made, and which exist at all: a
run without a logical date has no `ds`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from piper.sdk.execution.current import Execution
from piper.sdk.execution.lazy import Lazy
from piper.sdk.execution.macros import Macros

if TYPE_CHECKING:
    from pendulum import DateTime

    from piper.model.wire import RunContext
    from piper.sdk.execution.accessors import ConnectionAccessor, VariableAccessor
    from piper.sdk.execution.asset_events import InletEvents, OutletEvents, TriggeringEvents

Maker = Callable[[Execution], Any]


class Context(dict[str, Any]):
    """The context of one execution.

    Arguments:
        execution: whose.
    """

    def __init__(self, execution: Execution) -> None:
        super().__init__()
        self._execution = execution
        self._makers = _makers_for(execution)

    def __missing__(self, key: str) -> Any:
        maker = self._makers.get(key) or _FORMER.get(key)
        if maker is None:
            raise KeyError(key)
        value = maker(self._execution)
        if key in self._makers:  # the spellings of Airflow 2 stay out of what is listed
            self[key] = value
        return value

    def get(self, key: str, default: Any = None) -> Any:
        if key not in self:
            return default
        return self[key]

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or key in self._makers or key in _FORMER

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def keys(self) -> Any:
        return (dict.fromkeys(self._makers) | dict.fromkeys(super().keys())).keys()

    def values(self) -> Any:
        return [self[key] for key in self.keys()]

    def items(self) -> Any:
        return [(key, self[key]) for key in self.keys()]

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self._makers = {name: maker for name, maker in self._makers.items() if name != key}
        super().pop(key, None)

    def pop(self, key: str, *default: Any) -> Any:
        if default and key not in self:
            return default[0]
        value = self[key]
        del self[key]
        return value

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def copy(self) -> Context:
        """A context of its own for the same execution: what is set in it stays in it."""
        other = Context.__new__(Context)
        dict.update(other, dict.items(self))
        other._execution, other._makers = self._execution, self._makers
        return other

    __copy__ = copy

    def former(self) -> dict[str, Any]:
        """The keys that can be asked for and are not listed, with stand-ins: for functions that take them all."""

        def stand_in(maker: Maker) -> Lazy:
            return Lazy(lambda: maker(self._execution))

        return {key: stand_in(maker) for key, maker in _FORMER.items() if key not in self._makers}

    def renew(self) -> None:
        """Forget what was said about the task: it is another operator from now on (unmapped)."""
        for key in _OF_THE_TASK:
            super().pop(key, None)
        self._makers = _makers_for(self._execution)

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:  # type: ignore[override]
        return {**self, **other}

    def __ror__(self, other: Mapping[str, Any]) -> dict[str, Any]:  # type: ignore[override]
        return {**other, **self}

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Mapping) and dict(self) == dict(other))

    def __repr__(self) -> str:
        return f"<context of {self._execution.ti!r}>"

    def __reduce__(self) -> Any:
        raise TypeError("the context cannot be pickled: pass on the values that are needed, not all of it")


# --- dates --------------------------------------------------------------------------------------


def as_datetime(moment: datetime | None) -> DateTime | None:
    """A moment as the pendulum DateTime that templates and tasks compute with."""
    if moment is None:
        return None
    from pendulum import instance  # lazy: 20 ms, and most tasks never look at a date

    return instance(moment)


def _logical_date(execution: Execution) -> datetime:
    date = execution.facts.run.logical_date
    assert date is not None, "keys that need a logical date exist only with one"
    return date


def _interval_start(execution: Execution) -> datetime | None:
    interval = execution.facts.run.interval
    return interval.start if interval else None


def _interval_end(execution: Execution) -> datetime | None:
    interval = execution.facts.run.interval
    return interval.end if interval else None


def _ds(execution: Execution) -> str:
    return _logical_date(execution).strftime("%Y-%m-%d")


def _ts(execution: Execution) -> str:
    return _logical_date(execution).isoformat()


def _previous(read: Callable[[Any], datetime | None]) -> Maker:
    """Something about the last successful run before: a stand-in, as few who are handed it look at it."""

    def make(execution: Execution) -> Lazy:
        def look() -> Any:
            run = _previous_success(execution)
            return None if run is None else as_datetime(read(run))

        return Lazy(look)

    return make


def _previous_success(execution: Execution) -> RunContext | None:
    """The last successful run before this one by logical date, asked for once."""
    from piper.sdk.execution.dag_run import previous_run  # few tasks look back

    if "previous success" not in execution.answers:
        execution.answers["previous success"] = previous_run(execution.channel, "success")
    found: RunContext | None = execution.answers["previous success"]
    return found


# --- assets -------------------------------------------------------------------------------------

# The module of asset events is imported where it is needed: few tasks have assets.


def _outlet_events(execution: Execution) -> OutletEvents:
    from piper.sdk.execution.asset_events import outlet_events_of

    return outlet_events_of(execution)


def _inlet_events(execution: Execution) -> InletEvents:
    from piper.sdk.execution.asset_events import InletEvents

    return InletEvents(execution.task.inlets, execution.channel)


def _triggering_asset_events(execution: Execution) -> TriggeringEvents:
    from piper.sdk.execution.asset_events import TriggeringEvents

    return TriggeringEvents(execution.channel, execution.facts.run.run_type)


# --- the other keys -----------------------------------------------------------------------------


def _params(execution: Execution) -> dict[str, Any]:
    """The values of all params, checked: the run's `conf` over the task's over the DAG's."""
    params = execution.task.params
    params.update(execution.facts.run.conf)
    values: dict[str, Any] = params.validate()
    return values


def _connections(execution: Execution) -> ConnectionAccessor:
    from piper.sdk.execution.accessors import ConnectionAccessor  # few templates ask for connections

    return ConnectionAccessor()


def _variables(execution: Execution) -> dict[str, VariableAccessor]:
    from piper.sdk.execution.accessors import VariableAccessor  # or for variables

    return {"json": VariableAccessor(deserialize_json=True), "value": VariableAccessor(deserialize_json=False)}


def _instance_key(execution: Execution) -> str:
    run, task_id = execution.facts.run, execution.facts.task.task_id
    last = _ds(execution).replace("-", "") if run.logical_date else run.run_id
    return f"{run.workflow_id}__{task_id}__{last}"


class Missing:
    """Stands for a feature of Airflow that Piper does not have yet; whoever uses it is told so."""

    def __init__(self, feature: str) -> None:
        self._feature = feature

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotImplementedError(f"Piper has no {self._feature} yet: keep what must survive in a variable or a table")

    def __getitem__(self, key: Any) -> Any:
        return self.__getattr__(str(key))

    def __repr__(self) -> str:
        return f"<no {self._feature}>"


_ALWAYS: dict[str, Maker] = {
    "conn": _connections,
    "dag": lambda execution: execution.task.get_dag(),
    "dag_run": lambda execution: execution.ti.dag_run,
    "inlet_events": _inlet_events,
    "inlets": lambda execution: execution.task.inlets,
    "macros": lambda execution: Macros(),
    "map_index_template": lambda execution: execution.task.map_index_template,
    "outlet_events": _outlet_events,
    "outlets": lambda execution: execution.task.outlets,
    "params": _params,
    "partition_date": lambda execution: None,
    "partition_key": lambda execution: None,
    "prev_end_date_success": _previous(lambda run: run.ended_at),
    "prev_start_date_success": _previous(lambda run: run.started_at),
    "run_id": lambda execution: execution.facts.run.run_id,
    "task": lambda execution: execution.task,
    "task_instance": lambda execution: execution.ti,
    "task_instance_key_str": _instance_key,
    "task_reschedule_count": lambda execution: execution.facts.reschedules,
    "task_state_store": lambda execution: Missing("task state store (AIP-103)"),
    "ti": lambda execution: execution.ti,
    "triggering_asset_events": _triggering_asset_events,
    "var": _variables,
}

_DATED: dict[str, Maker] = _ALWAYS | {
    "data_interval_end": lambda execution: as_datetime(_interval_end(execution)),
    "data_interval_start": lambda execution: as_datetime(_interval_start(execution)),
    "ds": _ds,
    "ds_nodash": lambda execution: _ds(execution).replace("-", ""),
    "logical_date": lambda execution: as_datetime(_logical_date(execution)),
    "prev_data_interval_end_success": _previous(lambda run: run.interval.end if run.interval else None),
    "prev_data_interval_start_success": _previous(lambda run: run.interval.start if run.interval else None),
    "ts": _ts,
    "ts_nodash": lambda execution: _logical_date(execution).strftime("%Y%m%dT%H%M%S"),
    "ts_nodash_with_tz": lambda execution: _ts(execution).replace("-", "").replace(":", ""),
}

_WITH_ASSETS: dict[str, Maker] = {
    "asset_state_store": lambda execution: Missing("asset state store (AIP-103)"),
}

KNOWN_CONTEXT_KEYS = (
    frozenset(_DATED)
    | frozenset(_WITH_ASSETS)
    | {"exception", "expanded_ti_count", "reason", "templates_dict", "test_mode", "try_number"}
)
"""Names that a parameter of a task's function may have to be filled from the context.

Some are in the context only at times: `exception` in callbacks, `reason` in those of a DAG, `templates_dict` in a
PythonOperator. Airflow 3.3.2 reserves the last three without ever setting them.
"""

_OF_THE_TASK = ("inlet_events", "inlets", "map_index_template", "outlets", "params", "task")

_FORMER: dict[str, Maker] = {}
"""Keys of earlier Airflow versions that can be asked for but are not listed (`accept_former_keys`)."""


def accept_former_keys(makers: Mapping[str, Maker]) -> None:
    """Let these keys be asked for besides: the lenient import layer adds those of Airflow 1 and 2."""
    _FORMER.update(makers)


def _makers_for(execution: Execution) -> dict[str, Maker]:
    makers = _ALWAYS if execution.facts.run.logical_date is None else _DATED
    task = execution.task
    return makers | _WITH_ASSETS if task.inlets or task.outlets else makers
