"""Sensors ask, wait, give back their slot, and give up, as Airflow's do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from piper.model.events import Deferred, Failed, Rescheduled, Skipped, Succeeded
from piper.operators.sensors.python import PythonSensor
from piper.sdk.decorators import task
from piper.sdk.exceptions import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)
from piper.sdk.sensor import BaseSensorOperator, PokeReturnValue, poke_mode_only
from tests.unit.sdk.execution.stage import NOON, a_dag, error_of, facts, perform, pushed, result_of


class Answering(BaseSensorOperator):
    """Gives the answers that it was told to give; an exception among them is raised."""

    def __init__(self, *, answers: list[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.answers = answers

    def poke(self, context: Any) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Sleeps are noted, and move the clock in place of taking time."""
    sleeps: list[float] = []
    monkeypatch.setattr(time, "sleep", sleeps.append)
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0 + sum(sleeps))
    return sleeps


def a_sensor(*answers: Any, **arguments: Any) -> Answering:
    with a_dag():
        sensor: Answering = Answering(task_id="task", answers=list(answers), **arguments)
    return sensor


# --- poking -------------------------------------------------------------------------------------


def test_a_sensor_asks_until_the_answer_is_true(slept: list[float]) -> None:
    report = perform(a_sensor(False, None, True))
    assert isinstance(report.event, Succeeded)
    assert slept == [60, 60]
    assert pushed(report) == {}


def test_a_true_answer_may_carry_a_result() -> None:
    assert result_of(perform(a_sensor(PokeReturnValue(is_done=True, xcom_value={"rows": 5})))) == {"rows": 5}


def test_an_answer_that_is_not_done_is_waited_for(slept: list[float]) -> None:
    perform(a_sensor(PokeReturnValue(is_done=False, xcom_value=1), True, poke_interval=timedelta(seconds=5)))
    assert slept == [5]


def test_a_timeout_of_nothing_still_asks_once(slept: list[float]) -> None:
    assert isinstance(perform(a_sensor(True, timeout=0)).event, Succeeded)
    report = perform(a_sensor(False, False, timeout=0, poke_interval=1))
    assert report.event == Failed(report.event.identity, error_of(report), retry=False)
    assert "Sensor has timed out" in error_of(report)


def test_a_timeout_fails_without_a_retry(slept: list[float]) -> None:
    report = perform(a_sensor(*[False] * 99, timeout=100, poke_interval=30), max_tries=3)
    assert isinstance(report.event, Failed)
    assert not report.event.retry
    assert slept == [30, 30, 30, 30]


# --- rescheduling -------------------------------------------------------------------------------


def test_in_mode_reschedule_the_slot_is_given_back_until_the_next_question() -> None:
    before = datetime.now(UTC)
    event = perform(a_sensor(False, mode="reschedule", poke_interval=30)).event
    assert isinstance(event, Rescheduled)
    assert timedelta(seconds=29) < event.due - before < timedelta(seconds=31)


def test_in_mode_reschedule_the_timeout_counts_from_the_first_start_of_the_try() -> None:
    started = datetime.now(UTC) - timedelta(seconds=100)
    late = perform(a_sensor(False, mode="reschedule", timeout=99), facts(started_at=started, reschedules=3))
    assert "Sensor has timed out" in error_of(late)
    early = perform(a_sensor(False, mode="reschedule", timeout=101), facts(started_at=started, reschedules=3))
    assert isinstance(early.event, Rescheduled)
    first = perform(a_sensor(False, mode="reschedule", timeout=99), facts(started_at=started, reschedules=0))
    assert isinstance(first.event, Rescheduled)


# --- failing ------------------------------------------------------------------------------------

TIMEOUT, FAIL, SKIP, OTHER = (
    AirflowSensorTimeout("t"),
    AirflowFailException("f"),
    AirflowSkipException("s"),
    ValueError("v"),
)


@pytest.mark.parametrize(
    ("error", "option", "ends"),
    [
        (TIMEOUT, None, "failed for good"),
        (FAIL, None, "failed for good"),
        (OTHER, None, "failed"),
        (SKIP, None, "skipped"),
        (TIMEOUT, "soft_fail", "skipped"),
        (FAIL, "soft_fail", "skipped"),
        (AirflowTaskTimeout("x"), "soft_fail", "skipped"),
        (OTHER, "soft_fail", "failed"),
        (FAIL, "never_fail", "skipped"),
        (OTHER, "never_fail", "skipped"),
        (OTHER, "silent_fail", "succeeded"),
        (FAIL, "silent_fail", "failed for good"),
    ],
    ids=str,
)
def test_what_a_question_raises_is_treated_as_the_options_say(
    error: BaseException, option: str | None, ends: str, slept: list[float]
) -> None:
    event = perform(a_sensor(error, True, **({option: True} if option else {}))).event
    match event:
        case Succeeded():
            assert ends == "succeeded"
        case Skipped():
            assert ends == "skipped"
        case Failed():
            assert ends == ("failed" if event.retry else "failed for good")


def test_a_timeout_with_soft_fail_skips(slept: list[float]) -> None:
    assert isinstance(perform(a_sensor(False, False, timeout=0, soft_fail=True, poke_interval=1)).event, Skipped)


def test_what_is_logged_of_a_silent_failure_begins_at_the_users_code(
    slept: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    perform(a_sensor(OTHER, True, silent_fail=True))
    assert "Sensor poke failed" in caplog.text
    assert "ValueError: v" in caplog.text


# --- backing off --------------------------------------------------------------------------------


def test_with_exponential_backoff_waits_grow_with_a_jitter(slept: list[float]) -> None:
    perform(a_sensor(*[False] * 6, True, exponential_backoff=True, poke_interval=10))
    assert all(wait == int(wait) for wait in slept)
    for poke, wait in enumerate(slept, 1):
        least = max(int(10 * 2.0 ** (poke - 2)), 1)
        assert least <= wait < 2 * least


def test_the_jitter_is_the_same_each_time(slept: list[float]) -> None:
    perform(a_sensor(*[False] * 5, True, exponential_backoff=True))
    first = list(slept)
    slept.clear()
    perform(a_sensor(*[False] * 5, True, exponential_backoff=True))
    assert slept == first


def test_the_longest_wait_is_kept(slept: list[float]) -> None:
    perform(a_sensor(*[False] * 8, True, exponential_backoff=True, poke_interval=10, max_wait=timedelta(seconds=25)))
    assert max(slept) == 25


def test_the_last_wait_ends_with_the_timeout(slept: list[float]) -> None:
    perform(a_sensor(*[False] * 99, exponential_backoff=True, poke_interval=10, timeout=50))
    assert sum(slept) <= 51


def test_a_rescheduled_sensor_backs_off_by_the_time_since_its_first_question() -> None:
    def wait_after(seconds: float) -> float:
        now = datetime.now(UTC)
        sensor = a_sensor(False, mode="reschedule", exponential_backoff=True, poke_interval=10)
        granted = facts(started_at=now - timedelta(seconds=seconds), reschedules=1)
        event = perform(sensor, granted).event
        assert isinstance(event, Rescheduled)
        return (event.due - now).total_seconds()

    assert wait_after(1) < wait_after(200) < wait_after(5000)


# --- coming back from a deferral ----------------------------------------------------------------


class Deferring(BaseSensorOperator):
    def execute(self, context: Any) -> Any:
        from piper.operators.triggers.temporal import DateTimeTrigger

        self.defer(trigger=DateTimeTrigger(NOON), method_name="go_on")

    def go_on(self, context: Any, event: Any) -> Any:
        raise FAIL


@pytest.mark.parametrize(
    ("said", "options", "kind"),
    [
        ({"error": "late", "timeout": True}, {}, "AirflowSensorTimeout: late"),
        ({"error": "late", "timeout": True}, {"soft_fail": True}, "skipped"),
        ({"error": "boom"}, {}, "TaskDeferralError: boom"),
        ({"error": "boom"}, {"never_fail": True}, "skipped"),
        ({"event": None}, {"soft_fail": True}, "skipped"),
    ],
    ids=str,
)
def test_trouble_with_a_trigger_is_treated_as_the_options_say(said: Any, options: Any, kind: str) -> None:
    with a_dag():
        sensor = Deferring(task_id="task", **options)
    assert isinstance(perform(sensor).event, Deferred)
    report = perform(sensor, facts(resume={"method": "go_on", "arguments": {}, **said}))
    if kind == "skipped":
        assert isinstance(report.event, Skipped)
    else:
        assert error_of(report) == kind


# --- arguments ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"poke_interval": -1}, "Operator arg `poke_interval` must be timedelta object or a non-negative number"),
        ({"timeout": "5"}, "Operator arg `timeout`"),
        ({"max_wait": -5}, "Operator arg `max_wait`"),
        ({"mode": "sleep"}, "The mode must be one of"),
        ({"soft_fail": True, "never_fail": True}, "mutually exclusive"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        a_sensor(**arguments)


def test_a_server_knows_how_a_sensor_waits() -> None:
    spec = a_sensor(mode="reschedule", poke_interval=5, timeout=timedelta(hours=1), soft_fail=True).sensor_spec()
    assert (spec.mode, spec.poke_interval, spec.timeout, spec.soft_fail) == (
        "reschedule",
        timedelta(seconds=5),
        timedelta(hours=1),
        True,
    )


def test_a_sensor_that_keeps_something_in_its_process_can_refuse_to_give_back_its_slot() -> None:
    @poke_mode_only
    class Holding(Answering):
        pass

    with a_dag():
        assert Holding(task_id="a", answers=[True]).mode == "poke"
        with pytest.raises(ValueError, match="Only 'poke' is acceptable"):
            Holding(task_id="b", answers=[True], mode="reschedule")
    with pytest.raises(ValueError, match="should only be applied to subclasses of BaseSensorOperator"):
        poke_mode_only(int)  # type: ignore[type-var]


# --- functions as sensors -----------------------------------------------------------------------


def test_a_function_is_asked_with_context_keys_and_its_own_arguments() -> None:
    seen: list[Any] = []

    def ready(day: str, ti: Any, **context: Any) -> bool:
        seen.append((day, ti.task_id, context["templates_dict"]))
        return True

    with a_dag():
        sensor = PythonSensor(
            task_id="task", python_callable=ready, op_kwargs={"day": "{{ ds }}"}, templates_dict={"x": "{{ ds }}"}
        )
    perform(sensor)
    assert seen == [("2024-05-06", "task", {"x": "2024-05-06"})]


def test_a_decorated_function_is_a_sensor_and_its_result_the_value() -> None:
    with a_dag() as dag:

        @task.sensor(poke_interval=1, mode="reschedule")
        def ready(n: int) -> PokeReturnValue:
            return PokeReturnValue(is_done=n > 0, xcom_value=n)

        ready(5)
        ready(0)
    assert result_of(perform(dag.get_task("ready"))) == 5
    assert isinstance(perform(dag.get_task("ready__1")).event, Rescheduled)
