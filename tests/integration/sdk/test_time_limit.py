"""A task that runs longer than its `execution_timeout` is interrupted, whatever it waits for."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from piper.model.events import Failed
from piper.sdk.operator import BaseOperator
from tests.unit.sdk.execution.stage import a_dag, perform

LIMIT = timedelta(milliseconds=20)
TOO_LONG = 30
"""Seconds. A limit that does not work makes the test slow before it fails."""


class Endless(BaseOperator):
    """Waits, and notes that it was killed."""

    killed = False

    def __init__(self, *, wait: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wait = wait

    def execute(self, context: Any) -> Any:
        return self.wait()

    def on_kill(self) -> None:
        type(self).killed = True


def sleep() -> None:
    time.sleep(TOO_LONG)


def catch_exceptions() -> None:
    try:
        time.sleep(TOO_LONG)
    except Exception:
        pytest.fail("the timeout was caught")


async def sleep_in_a_coroutine() -> None:
    await asyncio.sleep(TOO_LONG)


@pytest.mark.parametrize("wait", [sleep, catch_exceptions, sleep_in_a_coroutine])
def test_a_task_that_takes_too_long_is_interrupted_and_killed(wait: Any) -> None:
    class Task(Endless):
        """One class for each test."""

    with a_dag():
        task = Task(task_id="task", wait=wait, execution_timeout=LIMIT)
    event = perform(task).event
    assert isinstance(event, Failed)
    assert event.error == "AirflowTaskTimeout: the task ran longer than its execution_timeout of 0:00:00.020000"
    assert Task.killed
