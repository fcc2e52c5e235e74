"""Tasks that run a bash command or script."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Container, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Unpack

from piper.operators.hooks.subprocess import SubprocessHook, SubprocessResult, working_directory
from piper.sdk.arguments import OperatorArguments
from piper.sdk.decorators import DecoratedOperator
from piper.sdk.exceptions import AirflowException, AirflowSkipException
from piper.sdk.execution.arguments import keyword_arguments
from piper.sdk.execution.environment import context_to_airflow_vars
from piper.sdk.operator import BaseOperator

LONGEST_ARGUMENT = 100_000
"""Characters of a command that bash is given as an argument; Linux takes no more than 128 KiB. Longer ones go
through a file."""

SET_DURING_EXECUTION = ""
"""Stands for an argument that has its value only when the task runs."""


def as_it_is(output: str) -> Any:
    """The last line itself, as the task's result."""
    return output


class BashOperator(BaseOperator):
    """Runs a bash command or script; the last line that it writes is the task's result.

    Exit code 0 is success, `skip_on_exit_code` skips the task, any other fails it. Only the shell's own exit code
    counts: begin with `set -e;` if an inner command's failure is to count.

    Values that people give (`dag_run.conf`, params) belong into `env`, and not into the command, where they would
    be read as code.

    Example::

        BashOperator(task_id="load", bash_command='load.py --day "$day"', env={"day": "{{ ds }}"}, append_env=True)

    Arguments:
        bash_command: the command, or the path of a template file that ends in `.sh` or `.bash`; with a space at
            its end such a path is a command. (templated)
        env: the environment of the command, in place of this process's. (templated)
        append_env: add `env` to this process's environment.
        output_encoding: encoding of what the command writes.
        skip_on_exit_code: exit code, or several, that skip the task; None for none.
        cwd: folder to run in; None makes a temporary one. (templated)
        output_processor: makes the task's result of the last line.
    """

    template_fields: Sequence[str] = ("bash_command", "env", "cwd")
    template_fields_renderers: ClassVar[Mapping[str, str]] = {"bash_command": "bash", "env": "json"}
    template_ext: Sequence[str] = (".sh", ".bash")
    ui_color = "#f0ede4"

    def __init__(
        self,
        *,
        task_id: str,
        bash_command: str,
        env: dict[str, str] | None = None,
        append_env: bool = False,
        output_encoding: str = "utf-8",
        skip_on_exit_code: int | Container[int] | None = 99,
        cwd: str | None = None,
        output_processor: Callable[[str], Any] = as_it_is,
        **arguments: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(task_id=task_id, **arguments)
        self.bash_command = bash_command
        self.env = env
        self.append_env = append_env
        self.output_encoding = output_encoding
        self.skip_on_exit_code: Container[int] = _codes(skip_on_exit_code)
        self.cwd = cwd
        self.output_processor = output_processor
        self._is_script_file = isinstance(bash_command, str) and bash_command.endswith(tuple(self.template_ext))

    @cached_property
    def subprocess_hook(self) -> SubprocessHook:
        """What runs the command."""
        return SubprocessHook()

    def get_env(self, context: Any) -> dict[str, str]:
        """The environment of the command: what `env` says, and the variables of this execution."""
        if self.env is None:
            env = dict(os.environ)
        else:
            wrong = next(((name, value) for name, value in self.env.items() if not isinstance(value, str)), None)
            if wrong is not None:
                raise TypeError(f"env[{wrong[0]!r}] must be text, not {wrong[1]!r}: write str({wrong[1]!r})")
            env = {**os.environ, **self.env} if self.append_env else dict(self.env)
        return env | context_to_airflow_vars(context, in_env_var_format=True)

    def execute(self, context: Any) -> Any:
        """Run the command."""
        if self.cwd is not None:
            _check_folder(self.cwd)
        result = self._run_command(self.get_env(context))
        if result.exit_code in self.skip_on_exit_code:
            raise AirflowSkipException(f"Bash command returned exit code {result.exit_code}. Skipping.")
        if result.exit_code != 0:
            raise AirflowException(
                f"Bash command failed. The command returned a non-zero exit code {result.exit_code}."
            )
        return self.output_processor(result.output)

    def on_kill(self) -> None:
        """End the command and all that it started."""
        self.subprocess_hook.end()

    def _run_command(self, env: dict[str, str]) -> SubprocessResult:
        bash = shutil.which("bash") or "bash"
        run = self.subprocess_hook.run_command
        if not self._is_script_file and len(self.bash_command) < LONGEST_ARGUMENT:
            return run([bash, "-c", self.bash_command], env, self.output_encoding, self.cwd)
        with (
            working_directory(self.cwd) as folder,
            tempfile.NamedTemporaryFile("w", dir=folder, suffix=".sh") as script,
        ):
            script.write(self.bash_command)
            script.flush()
            return run([bash, os.path.basename(script.name)], env, self.output_encoding, folder)


class BashDecoratedOperator(DecoratedOperator, BashOperator):
    """What `@task.bash` makes of a function: the command is what the function returns, and is rendered in turn.

    Arguments:
        python_callable: the function.
        op_args: its positional arguments. (templated)
        op_kwargs: its keyword arguments. (templated)
    """

    template_fields: Sequence[str] = ("op_args", "op_kwargs", *BashOperator.template_fields)
    template_fields_renderers: ClassVar[Mapping[str, str]] = {
        "op_args": "py",
        "op_kwargs": "py",
        **BashOperator.template_fields_renderers,
    }
    custom_operator_name = "@task.bash"
    overwrite_rtif_after_execution = True

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Sequence[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            kwargs_to_upstream={"bash_command": SET_DURING_EXECUTION},
            **kwargs,
        )

    def execute(self, context: Any) -> Any:
        """Call the function, and run the command that it returns."""
        context.update(self.op_kwargs)
        command = self.python_callable(*self.op_args, **keyword_arguments(self.python_callable, self.op_args, context))
        if not isinstance(command, str) or not command.strip():
            raise TypeError("The returned value from the TaskFlow callable must be a non-empty string.")
        self.bash_command = command
        self._is_script_file = command.endswith(tuple(self.template_ext))
        self.render_template_fields(context)
        return super().execute(context)


def _codes(codes: int | Container[int] | None) -> Container[int]:
    if codes is None:
        return ()
    return (codes,) if isinstance(codes, int) else codes


def _check_folder(path: str) -> None:
    if not os.path.exists(path):
        raise AirflowException(f"Can not find the cwd: {path}")
    if not os.path.isdir(path):
        raise AirflowException(f"The cwd {path} must be a directory")
