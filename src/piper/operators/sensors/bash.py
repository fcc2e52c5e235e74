"""Waiting until a bash command succeeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Unpack

from piper.operators.hooks.subprocess import SubprocessHook
from piper.sdk.arguments import OperatorArguments
from piper.sdk.exceptions import AirflowFailException
from piper.sdk.sensor import BaseSensorOperator


class BashSensor(BaseSensorOperator):
    """Waits until a bash command ends with exit code 0.

    Arguments:
        bash_command: the command. (templated)
        env: the environment of the command, in place of this process's. (templated)
        output_encoding: encoding of what the command writes.
        retry_exit_code: the exit code that means "not yet"; any other than this and 0 fails the sensor. None: all
            others mean "not yet".
    """

    template_fields: Sequence[str] = ("bash_command", "env")

    def __init__(
        self,
        *,
        task_id: str,
        bash_command: str,
        env: Mapping[str, str] | None = None,
        output_encoding: str = "utf-8",
        retry_exit_code: int | None = None,
        **arguments: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(task_id=task_id, **arguments)
        self.bash_command = bash_command
        self.env = env
        self.output_encoding = output_encoding
        self.retry_exit_code = retry_exit_code

    @cached_property
    def subprocess_hook(self) -> SubprocessHook:
        """What runs the command."""
        return SubprocessHook()

    def poke(self, context: Any) -> bool:
        """Run the command once."""
        code, _ = self.subprocess_hook.run_command(["bash", "-c", self.bash_command], self.env, self.output_encoding)
        if code == 0:
            return True
        if self.retry_exit_code is not None and code != self.retry_exit_code:
            raise AirflowFailException(f"Command exited with return code {code}")
        self.log.info("Not yet, will retry later")
        return False

    def on_kill(self) -> None:
        """End the command and all that it started."""
        self.subprocess_hook.end()
