"""A task made again from its spec, without the file: for specs whose arguments say everything (`code=False`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from piper.model.errors import InvalidSpec
from piper.model.schedule import AssetAliasKey
from piper.model.spec import AssetRef, TaskSpec
from piper.sdk.abstract_operator import AbstractOperator
from piper.sdk.arguments import OPERATOR_ARGUMENTS
from piper.sdk.batteries import INSTALLED
from piper.sdk.dags import DAG
from piper.sdk.data import from_data
from piper.sdk.importing import import_path
from piper.sdk.mapping import DictOfLists, ExpandInput, ListOfDicts, MappedOperator
from piper.sdk.operator import BaseOperator
from piper.sdk.params import Param
from piper.sdk.task_specs import EXPAND, EXPAND_KWARGS
from piper.sdk.xcom_arg import PlainXComArg


class Stub(AbstractOperator):
    """Another task, of which only what a reference to its results needs is known."""

    def __init__(self, task_id: str, dag: DAG, *, mapped: bool) -> None:
        self.task_id = task_id
        self.is_mapped = mapped
        self._dag = dag
        self.upstream_task_ids = set()
        self.downstream_task_ids = set()

    @property
    def task_type(self) -> str:
        """Unknown."""
        return "Stub"

    @property
    def operator_name(self) -> str:
        """Unknown."""
        return "Stub"


def hydrate(task: TaskSpec, workflow_id: str = "workflow") -> AbstractOperator:
    """The operator of a task whose spec says everything, in a DAG that holds it alone.

    Arguments:
        task: with `code=False`.
        workflow_id: the id of that DAG.

    Raises:
        InvalidSpec: the task needs its file, its operator does not exist, or does not take its arguments.
    """
    if task.code:
        raise InvalidSpec(f"task {task.task_id!r} cannot run from its spec alone: its file must be loaded")
    operator = _operator(task)
    dag = DAG(workflow_id, auto_register=False)
    given = dict(task.arguments)
    expand, expand_kwargs = given.pop(EXPAND, None), given.pop(EXPAND_KWARGS, None)

    def refer(task_id: str, key: str, mapped: bool) -> PlainXComArg:
        return PlainXComArg(Stub(task_id, dag, mapped=mapped), key)

    arguments: dict[str, Any] = {name: from_data(value, refer) for name, value in given.items()}
    arguments.update(_common_arguments(task))
    try:
        if expand is None and expand_kwargs is None:
            made: AbstractOperator = operator.make({"task_id": task.task_id, **arguments})
        else:
            over: ExpandInput = (
                DictOfLists({name: from_data(value, refer) for name, value in expand.items()})
                if expand is not None
                else ListOfDicts(from_data(expand_kwargs, refer))
            )
            made = MappedOperator(operator, {"task_id": task.task_id, **arguments}, over, strict=expand is None)
    except (TypeError, ValueError) as error:
        raise InvalidSpec(f"task {task.task_id!r}: {error}") from None
    dag.add_task(made)
    made.upstream_task_ids.update(task.upstream)
    if task.setup:
        made.is_setup = True
    if task.teardown:
        made.is_teardown = True
    return made


def _operator(task: TaskSpec) -> type[BaseOperator]:
    if not task.operator.startswith(INSTALLED):
        raise InvalidSpec(f"task {task.task_id!r}: operator {task.operator!r} is not one of {INSTALLED}*")
    try:
        operator = import_path(task.operator)
    except ImportError as error:
        raise InvalidSpec(f"task {task.task_id!r}: there is no operator {task.operator!r}: {error}") from None
    if not (isinstance(operator, type) and issubclass(operator, BaseOperator)):
        raise InvalidSpec(f"task {task.task_id!r}: {task.operator!r} is not an operator")
    return operator


def _common_arguments(task: TaskSpec) -> dict[str, Any]:
    """The common arguments that a running task looks at."""
    found: dict[str, Any] = {
        "trigger_rule": task.trigger_rule,
        "multiple_outputs": task.multiple_outputs,
        "execution_timeout": task.execution_timeout,
        "owner": task.owner,
        "retries": task.retry.retries,
        "map_index_template": task.map_index_template or None,
        "params": _params(task.params),
        "inlets": _assets(task.inlets),
        "outlets": _assets(task.outlets),
    }
    assert found.keys() <= OPERATOR_ARGUMENTS
    return {name: value for name, value in found.items() if value is not None}


def _assets(named: Sequence[AssetRef | AssetAliasKey]) -> list[Any] | None:
    if not named:
        return None
    from piper.sdk.assets import from_reference  # few tasks have assets

    return [from_reference(each) for each in named]


def _params(params: Mapping[str, Any]) -> dict[str, Param] | None:
    if not params:
        return None
    return {
        name: Param(param.get("value"), param.get("description"), schema=param.get("schema") or {})
        for name, param in params.items()
    }
