"""Tasks that call a Python function."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Unpack

from piper.model.run import Decision
from piper.sdk.arguments import OperatorArguments
from piper.sdk.branch import BaseBranchOperator, Branches, SkipMixin, decide
from piper.sdk.decorators import DecoratedOperator
from piper.sdk.exceptions import AirflowException
from piper.sdk.execution.arguments import keyword_arguments
from piper.sdk.execution.calling import call
from piper.sdk.execution.current import current_execution
from piper.sdk.operator import BaseOperator
from piper.sdk.signatures import signature_of

LONGEST_LOGGED_RESULT = 4096
"""Characters of a returned value that the log shows."""


class PythonOperator(BaseOperator):
    """Calls a Python function; what it returns is stored for later tasks.

    Parameters of the function that are named like context keys (`ti`, `ds`, `params` …) are filled from the
    context, and `**kwargs` receives all of it. The function may be a coroutine, or a generator that yields
    `Metadata` for asset events.

    Example::

        PythonOperator(task_id="load", python_callable=load, op_kwargs={"day": "{{ ds }}"})

    Arguments:
        python_callable: the function.
        op_args: positional arguments for it. (templated)
        op_kwargs: keyword arguments for it. (templated)
        templates_dict: more values that are rendered; the function receives them as `templates_dict`. (templated)
        templates_exts: endings of names of files that are read and rendered, such as `[".sql"]`.
        show_return_value_in_logs: whether the log shows what the function returned.
    """

    template_fields: Sequence[str] = ("templates_dict", "op_args", "op_kwargs")
    template_fields_renderers: ClassVar[Mapping[str, str]] = {
        "templates_dict": "json",
        "op_args": "py",
        "op_kwargs": "py",
    }
    ui_color = "#ffefeb"
    shallow_copy_attrs: Sequence[str] = ("python_callable", "op_kwargs")

    def __init__(
        self,
        *,
        task_id: str,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        templates_dict: dict[str, Any] | None = None,
        templates_exts: Sequence[str] | None = None,
        show_return_value_in_logs: bool = True,
        **arguments: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(task_id=task_id, **arguments)
        if not callable(python_callable):
            raise AirflowException(f"`python_callable` must be callable, not {python_callable!r}")
        self.python_callable = python_callable
        self.op_args: Any = op_args or ()
        self.op_kwargs: Any = op_kwargs or {}
        self.templates_dict = templates_dict
        if templates_exts:
            self.template_ext = templates_exts
        self.show_return_value_in_logs = show_return_value_in_logs

    def execute(self, context: Any) -> Any:
        """Call the function and return its result."""
        context.update(self.op_kwargs, templates_dict=self.templates_dict)
        self.op_kwargs = self.determine_kwargs(context)
        result = self.execute_callable()
        if result is None:  # nothing to show: most tasks return nothing
            return None
        if self.show_return_value_in_logs:
            self.log.info("Done. Returned value was: %s", _shown(result))
        else:
            self.log.info("Done. Returned value not shown")
        return result

    def determine_kwargs(self, context: Mapping[str, Any]) -> Mapping[str, Any]:
        """The keyword arguments that the function takes out of the context."""
        return keyword_arguments(self.python_callable, self.op_args, context)

    def execute_callable(self) -> Any:
        """Call the function. For subclasses that call it elsewhere."""
        return call(self.python_callable, current_execution(), *self.op_args, **self.op_kwargs)


class BranchPythonOperator(BaseBranchOperator, PythonOperator):
    """Calls a function that names the tasks, or groups, to follow; the others right below are skipped.

    The function returns a task id, a group id, a list of them, or None to skip all.

    Arguments:
        python_callable: the function.
    """

    def choose_branch(self, context: Any) -> Branches:
        """What the function returns."""
        chosen: Branches = PythonOperator.execute(self, context)
        return chosen


class ShortCircuitOperator(PythonOperator, SkipMixin):
    """Calls a function; if its result is falsy, the tasks below are skipped.

    Arguments:
        python_callable: the function.
        ignore_downstream_trigger_rules: skip everything below, whatever the trigger rules say, teardowns
            excepted. If False only what is directly below is skipped, and rules decide the rest.
    """

    branches: ClassVar[bool] = True
    inherits_from_skipmixin = True

    def __init__(
        self, *, task_id: str, ignore_downstream_trigger_rules: bool = True, **arguments: Unpack[OperatorArguments]
    ) -> None:
        super().__init__(task_id=task_id, **arguments)  # type: ignore[call-arg]  # python_callable is among them
        self.ignore_downstream_trigger_rules = ignore_downstream_trigger_rules

    def execute(self, context: Any) -> Any:
        """Call the function, and skip what is below if its result is falsy."""
        condition = super().execute(context)
        self.log.info("Condition result is %s", condition)
        if condition:
            self.log.info("Proceeding with downstream tasks...")
        elif self.downstream_task_ids:
            self._short_circuit(context["ti"])
        else:
            self.log.info("No downstream tasks; nothing to do.")
        return condition

    def _short_circuit(self, ti: Any) -> None:
        self.log.info("Skipping downstream tasks")
        task = ti.task
        if not self.ignore_downstream_trigger_rules:
            self.skip(ti, [below for below in task.get_direct_relatives() if not below.is_teardown])
            return
        below = sorted(each.task_id for each in task.get_flat_relatives() if not each.is_teardown)
        if below:
            decide(ti, Decision(skip_descendants=True), {"skipped": below}, below)


class AssetOperator(PythonOperator):
    """The task of an `@asset`: calls its function.

    Parameters of the function that are named like assets receive these: `self` the one that is made, others those
    that it reads. `context` receives the context, `outlet_events` its own.

    Arguments:
        python_callable: the function.
        definition_name: name of the asset, or of the function that makes several.
    """

    def __init__(
        self,
        *,
        task_id: str,
        python_callable: Callable[..., Any],
        definition_name: str,
        **arguments: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(task_id=task_id, python_callable=python_callable, **arguments)
        self.definition_name = definition_name

    def determine_kwargs(self, context: Mapping[str, Any]) -> Mapping[str, Any]:
        """The function's arguments, by the names of its parameters."""
        made = {"self": self.outlets[0] if len(self.outlets) == 1 else tuple(self.outlets)}
        read = {inlet.name: self._resolved(inlet, context) for inlet in self.inlets if hasattr(inlet, "name")}
        special = {"context": context, "outlet_events": context["outlet_events"]}
        known = read | made | special
        parameters = signature_of(self.python_callable).parameters
        return {name: known[name] for name in parameters if name in known}

    def _resolved(self, inlet: Any, context: Mapping[str, Any]) -> Any:
        from piper.sdk.execution.asset_events import resolve  # few tasks have assets

        found = resolve(context["ti"].execution, inlet)
        if found is None:
            raise AirflowException(
                f"there is no active asset named {inlet.name!r}, which is a parameter of the function of "
                f"@asset {self.definition_name!r}: define it, or name the parameter like one that is defined"
            )
        return found


# --- @task, @task.branch, @task.short_circuit ---------------------------------------------------


class PythonDecoratedOperator(DecoratedOperator, PythonOperator):
    """What `@task` makes of a function. An asset among its arguments is an inlet, one that it returns an outlet.

    Arguments:
        python_callable: the function.
        op_args: its positional arguments. (templated)
        op_kwargs: its keyword arguments. (templated)
    """

    template_fields: Sequence[str] = ("templates_dict", "op_args", "op_kwargs")
    custom_operator_name = "@task"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Sequence[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        function = {"python_callable": python_callable, "op_args": op_args, "op_kwargs": op_kwargs}
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            kwargs_to_upstream=function,
            **kwargs,
        )

    def execute(self, context: Any) -> Any:
        """Call the function and return its result."""
        self.add_inlets(_assets_among([*self.op_args, *self.op_kwargs.values()]))
        result = super().execute(context)
        self.add_outlets(_assets_among(result if isinstance(result, list) else [result]))
        return result


class BranchDecoratedOperator(PythonDecoratedOperator, BranchPythonOperator):
    """What `@task.branch` makes of a function.

    Arguments:
        python_callable: the function; it returns ids of tasks or groups to follow.
    """

    custom_operator_name = "@task.branch"


class ShortCircuitDecoratedOperator(PythonDecoratedOperator, ShortCircuitOperator):
    """What `@task.short_circuit` makes of a function.

    Arguments:
        python_callable: the function; a falsy result skips what is below.
    """

    custom_operator_name = "@task.short_circuit"


def _assets_among(values: Collection[Any]) -> list[Any]:
    assets = sys.modules.get("piper.sdk.assets")  # a file that has not imported it has none
    return [value for value in values if isinstance(value, assets.Asset)] if assets is not None else []


def _shown(value: Any) -> str:
    try:
        text = str(value)
    except Exception as error:  # user code, or nested too deeply: what is only shown fails nobody
        return f"a {type(value).__qualname__}, which cannot be shown ({type(error).__name__})"
    return text if len(text) <= LONGEST_LOGGED_RESULT else f"{text[:LONGEST_LOGGED_RESULT]}… ({len(text)} characters)"
