"""What is reported of an execution that is over, and what of it may be shown."""

from datetime import UTC, datetime

import msgspec
import pytest
from msgspec import structs

from piper.logs import Masker
from piper.model.events import Failed, Lost, Skipped, Succeeded
from piper.model.run import Identity
from piper.model.spec import Isolation
from piper.model.wire import CodeRef, Dispatch, Report, XComPush
from piper.worker.executions import ENVIRONMENT, Execution, completed, masked, report_of_end, why_it_ended

ME = Identity(7, 2, 0)


def execution(said: Report | None = None, failure: str = "", loss: str = "") -> Execution:
    one = Execution(Dispatch(ME, "token", CodeRef(), Isolation.FORK))
    one.report, one.failure, one.loss = said, failure, loss
    return one


def test_a_report_stands_whatever_happened_to_its_process_after_it() -> None:
    said = Report(Succeeded(ME), xcoms=(XComPush("k", b"1"),))
    report = report_of_end(execution(said), None, 9)
    assert report.event == Succeeded(ME)
    assert report.xcoms == said.xcoms
    assert (report.exit_code, report.signal) == (None, 9)


def test_an_end_without_report_is_never_a_success() -> None:
    report = report_of_end(execution(), 0, None)
    assert report.event == Failed(ME, "ended without result (exit code 0)")
    assert report.error == "ended without result (exit code 0)"


def test_a_reason_that_is_known_is_told_instead_of_the_signal() -> None:
    assert report_of_end(execution(failure="too much memory"), None, 9).event == Failed(ME, "too much memory")
    assert report_of_end(execution(loss="no worker"), None, 9).event == Lost(ME, "no worker")


def test_a_task_that_is_stopped_with_its_worker_is_lost_even_if_it_calls_that_its_failure() -> None:
    failed = Report(Failed(ME, "SIGTERM"))
    assert report_of_end(execution(failed, loss="stopped"), 0, None).event == Lost(ME, "stopped")
    assert report_of_end(execution(Report(Succeeded(ME)), loss="stopped"), 0, None).event == Succeeded(ME)
    assert report_of_end(execution(Report(Skipped(ME)), loss="stopped"), 0, None).event == Skipped(ME)


@pytest.mark.parametrize(
    ("code", "number", "error"),
    [
        (0, None, "ended without result (exit code 0)"),
        (3, None, "ended without result (exit code 3)"),
        (None, 9, "killed by signal 9 (SIGKILL)"),
        (None, 11, "killed by signal 11 (SIGSEGV)"),
        (None, 40, "killed by signal 40 (signal 40)"),
    ],
)
def test_the_error_names_exit_code_or_signal(code: int | None, number: int | None, error: str) -> None:
    assert why_it_ended(code, number) == error


def test_the_worker_adds_only_what_the_child_did_not_say() -> None:
    begin, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    said = Report(Succeeded(ME), pid=5, started_at=begin, ended_at=end)
    assert completed(said, datetime.now(UTC), 6) == structs.replace(said, environment=ENVIRONMENT)
    added = completed(Report(Failed(ME)), begin, 6)
    assert (added.pid, added.started_at) == (6, begin)
    assert added.ended_at is not None


def test_secrets_are_masked_in_all_that_people_read_and_in_nothing_that_tasks_read() -> None:
    masker = Masker()
    masker.add(["hunter22"])
    report = Report(
        Failed(ME, "bad hunter22"),
        error="bad hunter22",
        rendered={"sql": ["select 'hunter22'"]},
        parameters={"hunter22": 1},
        label="hunter22",
        xcoms=(XComPush("k", b'"hunter22"'),),
    )
    shown = masked(report, masker)
    assert shown.xcoms == report.xcoms
    assert "hunter22" not in repr(msgspec.structs.replace(shown, xcoms=()))


def test_without_secrets_a_report_is_left_as_it_is() -> None:
    report = Report(Failed(ME, "x"))
    assert masked(report, Masker()) is report
