"""Arguments of Airflow 1 and 2, and their values, in today's spelling (airflow-semantics §2.4).

They are asked about only where a call has something that nobody knows, so that they cost nothing where all is well
(`piper.sdk.spelling`).
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

from piper.compat.finder import DeprecatedImportWarning
from piper.model.states import TriggerRule
from piper.sdk.spelling import Spellings

_PIPER = __name__.partition(".")[0]


class FormerArgumentWarning(DeprecatedImportWarning):
    """An argument has another name now, or none; the message says which."""


DAG_ARGUMENTS: dict[str, str] = {
    "schedule_interval": "schedule",
    "timetable": "schedule",
    "concurrency": "max_active_tasks",
    "fail_stop": "fail_fast",
}
OPERATOR_ARGUMENTS: dict[str, str] = {
    "task_concurrency": "max_active_tis_per_dag",
    "max_active_tis_per_dag_run": "max_active_tis_per_dagrun",
    "xcom_push": "do_xcom_push",
}
CLASS_ARGUMENTS: dict[str, dict[str, str]] = {
    "TriggerDagRunOperator": {"execution_date": "logical_date"},
}
"""Those of one class."""
BY_POSITION = ("description", "schedule", "start_date", "end_date")
"""What DAG took after its id, in Airflow 1 and in 2 until 2.2."""
TRIGGER_RULES = {
    "dummy": TriggerRule.ALWAYS,
    "none_failed_or_skipped": TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
}
REFUSED: dict[str, dict[str, str]] = {
    "TriggerDagRunOperator": {"python_callable": "give conf, which may be a template, or pull it from an XCom"},
}
"""Arguments that no argument stands for now, and what to do."""
NO_MORE: dict[str, dict[str, str]] = {
    "DAG": {
        "default_view": "people choose their view",
        "orientation": "people choose their view",
        "full_filepath": "the file is known",
        "last_loaded": "it was never yours to say",
        "access_control_dag_runs": "see access_control",
    },
    "operator": {
        "provide_context": "a function is given what it has parameters for",
        "dag_run": "it comes with the context",
        "adhoc": "it never had an effect",
        "subdag": "see TaskGroup",
        "priority": "see priority_weight",
    },
}
"""Arguments that have no effect any more, and why."""


class FormerSpellings(Spellings):
    """Those of Airflow 1 and 2, each with a warning that has the present one."""

    def arguments(self, called: str, given: dict[str, Any], unknown: frozenset[str]) -> dict[str, Any]:
        """The arguments of a call in today's spelling; what is not a former spelling stays, and will be refused.

        Raises:
            TypeError: an argument is given in both spellings with two values, or nothing stands for it now.
        """
        kind = "DAG" if called.startswith("DAG(") else "operator"
        of_class = called.partition(" ")[0].partition(".")[0]
        renamed = DAG_ARGUMENTS if kind == "DAG" else OPERATOR_ARGUMENTS | CLASS_ARGUMENTS.get(of_class, {})
        translated = dict(given)
        for name in sorted(unknown):
            if name in renamed:
                _rename(called, translated, name, renamed[name])
            elif name in NO_MORE[kind]:
                del translated[name]
                _warn(f"{called}: {name!r} has no effect any more: {NO_MORE[kind][name]}")
            elif name in REFUSED.get(of_class, {}):
                raise TypeError(f"{called}: {name!r} is gone since Airflow 2: {REFUSED[of_class][name]}")
        return translated

    def value(self, argument: str, given: Any) -> Any:
        """A trigger rule by its present name."""
        if argument == "trigger_rule" and given in TRIGGER_RULES:
            _warn(f"trigger_rule={str(given)!r} is called {TRIGGER_RULES[given].value!r} now")
            return TRIGGER_RULES[given]
        return given

    def attribute(self, owner: object, kind: str, name: str) -> Any:
        """A former attribute, or what it answers with now.

        Raises:
            AttributeError: it never was one.
        """
        from piper.compat.attributes import value_of  # few files ask for any

        found = value_of(owner, kind, name)
        if found is None:
            return super().attribute(owner, kind, name)
        now, value = found
        if now:
            _warn(f"{kind}.{name} is gone: use {now}")
        return value

    def by_position(self, called: str, given: tuple[Any, ...]) -> dict[str, Any]:
        """The arguments of a DAG by name.

        Raises:
            TypeError: there are more than were ever meant to be given so.
        """
        if len(given) > len(BY_POSITION):
            return super().by_position(called, given)
        arguments = dict(zip(BY_POSITION, given, strict=False))
        _warn(
            f"{called}: arguments besides the id are given by name now: {', '.join(f'{name}=…' for name in arguments)}"
        )
        return arguments


class _FormerRule:
    """`TriggerRule.DUMMY`: a member by a name that it no longer has."""

    def __init__(self, name: str, now: TriggerRule) -> None:
        self._name = name
        self._now = now

    def __get__(self, instance: object, owner: type) -> TriggerRule:
        _warn(f"TriggerRule.{self._name} is called TriggerRule.{self._now.name} now")
        return self._now


def accept_former_rules(accepted: bool) -> None:
    """Let trigger rules be asked for by their former names, or no longer."""
    for value, now in TRIGGER_RULES.items():
        name = value.upper()
        if accepted:
            setattr(TriggerRule, name, _FormerRule(name, now))
        elif name in vars(TriggerRule):
            delattr(TriggerRule, name)


def _rename(called: str, arguments: dict[str, Any], name: str, now: str) -> None:
    value = arguments.pop(name)
    if arguments.get(now) not in (None, value):
        raise TypeError(f"{called} has both {name!r} and {now!r}: {name!r} is the former name of {now!r}")
    arguments[now] = value
    _warn(f"{called}: {name!r} is called {now!r} now")


def _warn(message: str) -> None:
    """Point at the author's line: the innermost that is not Piper's."""
    depth = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PIPER:
        frame, depth = frame.f_back, depth + 1
    warnings.warn(message, FormerArgumentWarning, stacklevel=depth)
