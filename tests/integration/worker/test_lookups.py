"""Files that read variables at their top level: no zygote can ask for them, so each task loads its file by itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from piper.model.events import Failed, Succeeded
from piper.model.spec import Isolation
from piper.model.wire import GetConnection, GetVariable, Mask, Problem, Request
from tests.integration.worker.harness import Worker, wait_until, worker

FLOW = """
from piper.sdk import DAG, task
with DAG("flow"):
    @task
    def tells():
        return LIMIT
    tells()
"""

READS = f"""
from piper.sdk import Variable
LIMIT = Variable.get("limit", "default")
{FLOW}
"""


class Kept:
    """What the server of a test answers with."""

    def __init__(self, **variables: str) -> None:
        self.variables = variables

    def __call__(self, request: Request) -> Any:
        if isinstance(request, GetConnection):
            return {"conn_type": "http", "password": "hunter22"}
        if isinstance(request, GetVariable):
            return self.variables.get(request.key, Problem("not_found", "there is none"))
        return None


def result(one: Worker, isolation: Isolation = Isolation.FORK) -> bytes:
    report = one.run("tells", isolation)
    assert isinstance(report.event, Succeeded), report.event
    return report.xcoms[0].value


@pytest.mark.parametrize("isolation", list(Isolation))
def test_each_task_reads_what_its_file_wants_to_know_in_its_own_name_when_it_begins(
    tmp_path: Path, isolation: Isolation
) -> None:
    with worker(tmp_path, READS) as one:
        one.answer = kept = Kept(limit="one")
        assert result(one, isolation) == b'"one"'
        kept.variables["limit"] = "two"
        assert result(one, isolation) == b'"two"'
        kept.variables.clear()
        assert result(one, isolation) == b'"default"'
        assert [request for request in one.asked if not isinstance(request, Mask)] == [GetVariable("limit")] * 3


@pytest.mark.parametrize(
    "clause", ["except Exception", "except BaseException", "except KeyError", "finally", "except RuntimeError"]
)
def test_it_does_not_matter_what_a_file_makes_of_the_exception_that_it_has_expected(
    tmp_path: Path, clause: str
) -> None:
    text = f"""
from piper.sdk import Variable
import time
LIMIT = "none"
try:
    LIMIT = Variable.get("limit")
{clause}:
    if LIMIT == "none":
        time.sleep(600)  # and tries again, as files do
{FLOW}
"""
    with worker(tmp_path, text) as one:
        one.answer = Kept(limit="five")
        assert result(one) == b'"five"'


def test_a_file_that_asks_in_a_thread_is_loaded_by_each_task_too(tmp_path: Path) -> None:
    text = f"""
from piper.sdk import Variable
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(1) as pool:
    LIMIT = pool.submit(Variable.get, "limit").result()
{FLOW}
"""
    with worker(tmp_path, text) as one:
        one.answer = Kept(limit="five")
        assert result(one) == b'"five"'


def test_a_variable_that_is_gone_when_the_task_begins_fails_the_task_with_the_line_that_reads_it(
    tmp_path: Path,
) -> None:
    with worker(tmp_path, f"from piper.sdk import Variable\nLIMIT = Variable.get('limit')\n{FLOW}") as one:
        one.answer = Kept()
        event = one.run("tells").event
        assert isinstance(event, Failed)
        assert "Variable limit not found: create it with `piper variables set limit`" in event.error
        assert "(dags.py, line 2)" in event.error


def test_a_secret_that_a_file_reads_is_masked_in_the_log_from_its_first_line(tmp_path: Path) -> None:
    text = f"""
from piper.sdk import BaseHook, Variable
LIMIT = 1
print("read", Variable.get("api_token"), BaseHook.get_connection("shop").password)
Variable.get("later")
{FLOW}
"""
    with worker(tmp_path, text) as one:
        kept = Kept(api_token="t0ps3cret")

        def answer(request: Request) -> Any:
            if request == GetVariable("later"):  # before the task itself begins, which announces its secrets
                wait_until(lambda: any(line.startswith("read") for line in one.log_of(identity)))
                return "now"
            return kept(request)

        one.answer = answer
        identity = one.dispatch("tells")
        assert isinstance(one.report_of(identity).event, Succeeded)
        assert "read *** ***" in one.log_of(identity)


def test_a_file_that_only_finds_its_variables_in_the_environment_is_loaded_once(tmp_path: Path) -> None:
    with worker(tmp_path, READS, environment={**os.environ, "AIRFLOW_VAR_LIMIT": "seven"}) as one:
        one.answer = Kept(limit="one")
        assert {result(one) for _ in range(3)} == {b'"seven"'}
        assert one.asked == []
        assert len(one.zygotes) == 1
