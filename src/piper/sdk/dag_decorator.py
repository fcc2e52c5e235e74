"""`@dag`: functions that make DAGs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, Unpack, overload

from piper.model.spec import RETURN_KEY
from piper.sdk.dag_arguments import DagArguments
from piper.sdk.dags import DAG
from piper.sdk.place import place_of
from piper.sdk.signatures import signature_of
from piper.sdk.xcom_arg import PlainXComArg


@overload
def dag(dag_id: str = "", **arguments: Unpack[DagArguments]) -> Callable[[Callable[..., Any]], Callable[..., DAG]]: ...


@overload
def dag(dag_id: Callable[..., Any]) -> Callable[..., DAG]: ...


def dag(dag_id: Any = "", **arguments: Any) -> Any:
    """Make DAGs by calling a function: what it makes inside belongs to the DAG.

    Example::

        @dag(schedule="@daily", start_date=datetime(2026, 1, 1))
        def report(city: str = "Geneva"):
            save(fetch(city))

        report()

    The function's parameters become params of the DAG; inside, each is a stand-in for the value that
    a run has. Its name is the DAG's id unless one is given, its docstring the documentation. What it
    returns, a task's result, is the result of the run.
    """
    if callable(dag_id):
        return _dag_factory(dag_id, dag_id.__name__, {})
    name = arguments.pop("dag_id", "") or dag_id

    def decorate(function: Callable[..., Any]) -> Callable[..., DAG]:
        return _dag_factory(function, name.strip() or function.__name__, arguments)

    return decorate


def _dag_factory(function: Callable[..., Any], dag_id: str, arguments: dict[str, Any]) -> Callable[..., DAG]:
    @wraps(function)
    def factory(*args: Any, **kwargs: Any) -> DAG:
        bound = signature_of(function).bind(*args, **kwargs)
        bound.apply_defaults()
        made = DAG(dag_id, **arguments)
        made._place = place_of(sys._getframe(1))
        with made:
            if function.__doc__ and not made.doc_md:
                made.doc_md = function.__doc__
            result = function(**{name: made.param(name, value) for name, value in bound.arguments.items()})
            if isinstance(result, PlainXComArg) and result.key == RETURN_KEY:
                made.add_result(result)
        return made

    return factory
