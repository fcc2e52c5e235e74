"""Waiting until a function says so."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Unpack

from piper.sdk.arguments import OperatorArguments
from piper.sdk.decorators import get_unique_task_id, task_decorator_factory
from piper.sdk.execution.arguments import keyword_arguments
from piper.sdk.execution.calling import settle
from piper.sdk.sensor import BaseSensorOperator, PokeReturnValue


class PythonSensor(BaseSensorOperator):
    """Waits until a function returns something true, or a `PokeReturnValue` that is done.

    Arguments:
        python_callable: the function; its parameters are filled as those of a PythonOperator.
        op_args: positional arguments for it. (templated)
        op_kwargs: keyword arguments for it. (templated)
        templates_dict: more values that are rendered; the function receives them as `templates_dict`. (templated)
    """

    template_fields: Sequence[str] = ("templates_dict", "op_args", "op_kwargs")

    def __init__(
        self,
        *,
        task_id: str,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        templates_dict: dict[str, Any] | None = None,
        **arguments: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(task_id=task_id, **arguments)
        self.python_callable = python_callable
        self.op_args = op_args or ()
        self.op_kwargs = op_kwargs or {}
        self.templates_dict = templates_dict

    def poke(self, context: Any) -> bool | PokeReturnValue:
        """Ask the function."""
        context.update(self.op_kwargs, templates_dict=self.templates_dict)
        named = keyword_arguments(self.python_callable, self.op_args, context)
        answer = settle(self.python_callable(*self.op_args, **named))
        return answer if isinstance(answer, PokeReturnValue) else bool(answer)


class DecoratedSensorOperator(PythonSensor):
    """What `@task.sensor` makes of a function.

    Arguments:
        python_callable: the function.
        op_args: its positional arguments. (templated)
        op_kwargs: its keyword arguments. (templated)
    """

    template_fields: Sequence[str] = ("op_args", "op_kwargs")
    template_fields_renderers: ClassVar[Mapping[str, str]] = {"op_args": "py", "op_kwargs": "py"}
    custom_operator_name = "@task.sensor"

    def __init__(self, *, task_id: str, **kwargs: Any) -> None:
        dag, group, _ = self._making
        super().__init__(task_id=get_unique_task_id(task_id, dag, group) if dag else task_id, **kwargs)


def sensor_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> Any:
    """`@task.sensor`: a function that is asked until it returns something true.

    Arguments:
        python_callable: the function, where the decorator has no arguments.
        kwargs: arguments of the sensor, such as `mode` and `poke_interval`.
    """
    return task_decorator_factory(
        python_callable, multiple_outputs=False, decorated_operator_class=DecoratedSensorOperator, **kwargs
    )
