"""How an execution goes, and how whatever user code does ends in one report."""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime, timedelta
from enum import Enum
from types import SimpleNamespace
from typing import Any

import pytest

from piper.model import wire
from piper.model.events import Deferred, Failed, Rescheduled, Skipped, Succeeded
from piper.model.run import Decision, Identity
from piper.model.spec import TaskSpec
from piper.operators.python import PythonOperator
from piper.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTerminated,
    AirflowTaskTimeout,
    DownstreamTasksSkipped,
    TaskAwaitingInput,
    TaskDeferralError,
    TaskDeferralTimeout,
    TaskDeferred,
)
from piper.sdk.execution import runner
from piper.sdk.execution.current import current_execution
from piper.sdk.execution.masking import mask_secret
from piper.sdk.execution.needs import needs_of
from piper.sdk.operator import BaseOperator
from tests.unit.sdk.execution.stage import (
    MemoryChannel,
    a_dag,
    a_run,
    error_of,
    facts,
    perform,
    pushed,
    result_of,
)

ME = Identity(7, 1, 0)
JUNE = datetime(2026, 6, 1, tzinfo=UTC)


class Work(BaseOperator):
    """Does what it is told, and notes what happens to it."""

    template_fields = ("note",)

    def __init__(self, *, work: Any = None, note: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.work = work
        self.note = note
        self.story: list[str] = []

    def execute(self, context: Any) -> Any:
        self.story.append("execute")
        return self.work(context) if self.work else None

    def on_kill(self) -> None:
        self.story.append("on_kill")


def a_task(work: Any = None, **arguments: Any) -> Work:
    with a_dag():
        task: Work = Work(task_id="task", work=work, **arguments)
    return task


def raising(error: BaseException) -> Any:
    def work(context: Any) -> None:
        raise error

    return work


# --- how it ends --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (AirflowSkipException("not today"), Skipped(ME, "not today")),
        (AirflowFailException("hopeless"), Failed(ME, "AirflowFailException: hopeless", retry=False)),
        (AirflowSensorTimeout("too late"), Failed(ME, "AirflowSensorTimeout: too late", retry=False)),
        (AirflowException("broken"), Failed(ME, "AirflowException: broken")),
        (ValueError("two\n  lines"), Failed(ME, "ValueError: two lines")),
        (ValueError(), Failed(ME, "ValueError")),
        (SystemExit(0), Failed(ME, "SystemExit: the task called sys.exit(0)")),
        (AirflowTaskTerminated("bye"), Failed(ME, "AirflowTaskTerminated: bye", outside=True)),
        (GeneratorExit(), Failed(ME, "GeneratorExit")),
        (DownstreamTasksSkipped(tasks=["a", ("b", 3)]), Succeeded(ME, decision=Decision(skipped=("a", "b")))),
        (AirflowRescheduleException(JUNE), Rescheduled(ME, JUNE)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_raised_becomes_an_event(error: BaseException, event: Any) -> None:
    assert perform(a_task(raising(error))).event == event


def test_a_task_that_returns_succeeds() -> None:
    report = perform(a_task(lambda context: {"a": 1}))
    assert report.event == Succeeded(ME, 1)
    assert pushed(report) == {"return_value": {"a": 1}}
    assert report.error == ""
    assert report.pid == os.getpid()
    assert report.started_at is not None
    assert report.ended_at is not None
    assert report.started_at <= report.ended_at


def test_a_failure_is_logged_with_a_traceback_that_begins_at_the_users_code(caplog: pytest.LogCaptureFixture) -> None:
    def inner() -> None:
        raise ValueError("no such table")

    perform(a_task(lambda context: inner()))
    logged = caplog.text
    assert "ValueError: no such table" in logged
    assert "in inner" in logged
    assert "execution/runner.py" not in logged.split("Task failed", 1)[1]


def test_a_failure_on_purpose_is_logged_without_any_frames_of_piper(caplog: pytest.LogCaptureFixture) -> None:
    perform(a_task(note="{{ nothing }}"))
    assert "UndefinedError: 'nothing' is undefined" in caplog.text
    assert 'templating.py", line' not in caplog.text


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda context: object(), "TypeError: cannot store an object of type builtins.object"),
        (lambda context: float("nan"), "TypeError: nan has no JSON form"),
        (lambda context: context["ti"].xcom_push(7, "the key is no text"), "TypeError: the key of an XCom is a string"),
    ],
    ids=["object", "nan", "key"],
)
def test_what_piper_itself_refuses_is_logged_without_any_frames_of_piper(
    broken: Any, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    perform(a_task(broken))
    logged = caplog.text.split("Task failed", 1)[1]
    assert message in logged
    assert f"{os.sep}piper{os.sep}" not in logged


def test_a_template_that_is_not_there_is_logged_without_the_frames_of_jinja(caplog: pytest.LogCaptureFixture) -> None:
    class FromFile(Work):
        template_ext = (".txt",)

    with a_dag():
        task = FromFile(task_id="task", note="absent.txt")
    perform(task)
    logged = caplog.text.split("Task failed", 1)[1]
    assert "TemplateNotFound: 'absent.txt' not found" in logged
    assert "jinja2/" not in logged


def test_secrets_are_masked_in_the_error_and_in_the_rendered_fields() -> None:
    def work(context: Any) -> None:
        mask_secret("hunter22")
        raise ValueError("login hunter22 refused")

    assert error_of(perform(a_task(work))) == "ValueError: login *** refused"

    def pre(context: Any) -> None:
        mask_secret("hunter22")

    class Late(Work):
        overwrite_rtif_after_execution = True

    with a_dag():
        task = Late(task_id="task", note={"text": "{{ 'hunter22' }}", "password": "x", "n": 1}, pre_execute=pre)
    assert perform(task).rendered == {"note": {"text": "***", "password": "***", "n": 1}}


def test_a_very_long_error_is_cut() -> None:
    assert len(error_of(perform(a_task(raising(ValueError("x" * 5000)))))) == 1000


def test_an_interrupt_ends_the_process_after_the_operator_has_stopped_what_it_started() -> None:
    stories = []

    class Watched(Work):
        def prepare_for_execution(self) -> Any:
            copy = super().prepare_for_execution()
            stories.append(copy.story)
            return copy

    with a_dag():
        task = Watched(task_id="task", work=raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        perform(task)
    assert stories == [["execute", "on_kill"]]
    assert current_execution() is None


def test_waiting_for_a_person_is_refused_with_a_clear_error() -> None:
    error = error_of(perform(a_task(raising(TaskAwaitingInput(method_name="m")))))
    assert "cannot wait for a person's input yet" in error


def test_the_original_operator_is_not_changed_by_its_execution() -> None:
    task = a_task(note="{{ ds }}")
    perform(task)
    assert task.note == "{{ ds }}"


# --- retries ------------------------------------------------------------------------------------


class Action(Enum):
    RETRY = "retry"
    FAIL = "fail"
    DEFAULT = "default"


def a_policy(action: Action, delay: timedelta | None = None) -> Any:
    def evaluate(*, exception: Any, try_number: int, max_tries: int, context: Any) -> Any:
        assert isinstance(exception, ValueError)
        assert context["ti"].try_number == try_number
        return SimpleNamespace(action=action, retry_delay=delay, reason="because")

    return SimpleNamespace(evaluate=evaluate)


@pytest.mark.parametrize(
    ("policy", "event"),
    [
        (a_policy(Action.DEFAULT, timedelta(9)), Failed(ME, "ValueError: x")),
        (a_policy(Action.FAIL), Failed(ME, "ValueError: x", retry=False)),
        (a_policy(Action.RETRY, timedelta(seconds=5)), Failed(ME, "ValueError: x", delay=timedelta(seconds=5))),
        (SimpleNamespace(evaluate=lambda **_: 1 / 0), Failed(ME, "ValueError: x")),
    ],
    ids=["default", "fail", "retry", "broken"],
)
def test_a_retry_policy_has_a_say(policy: Any, event: Failed) -> None:
    assert perform(a_task(raising(ValueError("x")), retry_policy=policy)).event == event


def test_a_retry_policy_cannot_have_a_hopeless_task_tried_again() -> None:
    policy = SimpleNamespace(evaluate=lambda **_: SimpleNamespace(action=Action.RETRY, retry_delay=None, reason=None))
    report = perform(a_task(raising(AirflowFailException("x")), retry_policy=policy))
    assert isinstance(report.event, Failed)
    assert not report.event.retry


# --- callbacks ----------------------------------------------------------------------------------


def with_callbacks(work: Any = None, **arguments: Any) -> tuple[Work, list[str]]:
    """A task, and the list in which its callbacks note that they were called."""
    called: list[str] = []
    names = ("execute", "success", "failure", "retry", "skipped")

    def noting(name: str) -> Any:
        return lambda context: called.append(f"{name} {type(context.get('exception')).__name__}")

    callbacks = {f"on_{name}_callback": noting(name) for name in names}
    return a_task(work, **{**callbacks, **arguments}), called


@pytest.mark.parametrize(
    ("work", "tries", "called"),
    [
        (None, {}, ["execute NoneType", "success NoneType"]),
        (raising(ValueError()), {}, ["execute NoneType", "failure ValueError"]),
        (raising(ValueError()), {"max_tries": 1, "try_number": 1}, ["execute NoneType", "retry ValueError"]),
        (raising(ValueError()), {"max_tries": 1, "try_number": 2}, ["execute NoneType", "failure ValueError"]),
        (raising(AirflowFailException()), {"max_tries": 3}, ["execute NoneType", "failure AirflowFailException"]),
        (raising(AirflowSkipException()), {}, ["execute NoneType", "skipped NoneType"]),
        (raising(AirflowRescheduleException(datetime.now(UTC))), {}, ["execute NoneType"]),
    ],
    ids=["success", "failure", "retry", "last-try", "hopeless", "skip", "reschedule"],
)
def test_the_callbacks_of_an_outcome_are_called(work: Any, tries: dict[str, int], called: list[str]) -> None:
    task, noted = with_callbacks(work)
    perform(task, **tries)
    assert noted == called


def test_a_callback_that_fails_changes_nothing_and_the_others_are_called(caplog: pytest.LogCaptureFixture) -> None:
    called: list[str] = []
    task = a_task(on_success_callback=[raising(ValueError("oops")), lambda context: called.append("second")])
    assert isinstance(perform(task).event, Succeeded)
    assert called == ["second"]
    assert "on_success_callback failed, which changes nothing about the task" in caplog.text
    assert "oops" in caplog.text


def test_callbacks_see_how_and_when_the_task_ended() -> None:
    seen: list[str] = []

    def note(context: Any) -> None:
        ti = context["ti"]
        assert ti.end_date >= ti.start_date
        seen.append(ti.state)

    perform(a_task(lambda context: context["ti"].state, on_success_callback=note))
    perform(a_task(raising(AirflowSkipException("no")), on_skipped_callback=note))
    perform(a_task(raising(ValueError("oops")), on_failure_callback=note))
    assert seen == ["success", "skipped", "failed"]


def test_callbacks_and_work_may_be_coroutines() -> None:
    called: list[str] = []

    async def note(context: Any) -> None:
        called.append(context["ti"].task_id)

    async def work(context: Any) -> int:
        return 5

    assert result_of(perform(a_task(work, on_success_callback=note))) == 5
    assert called == ["task"]


# --- hooks --------------------------------------------------------------------------------------


def test_hooks_are_called_around_the_work_in_airflows_order() -> None:
    story: list[str] = []

    class Hooked(Work):
        def pre_execute(self, context: Any) -> None:
            story.append("own pre")

        def post_execute(self, context: Any, result: Any = None) -> None:
            story.append(f"own post {result}")

    with a_dag():
        task = Hooked(
            task_id="task",
            work=lambda context: story.append("work") or 5,
            pre_execute=lambda context: story.append("pre"),
            post_execute=lambda context, result: story.append(f"post {result}"),
            on_execute_callback=lambda context: story.append("on_execute"),
        )
    perform(task)
    assert story == ["pre", "own pre", "on_execute", "work", "post 5", "own post 5"]


def test_a_skip_before_the_work_skips_the_task() -> None:
    report = perform(a_task(pre_execute=raising(AirflowSkipException("no"))))
    assert report.event == Skipped(ME, "no")


# --- params and templates -----------------------------------------------------------------------


def test_a_param_that_fails_its_schema_fails_the_task_before_it_begins() -> None:
    from piper.sdk.params import Param

    with a_dag(params={"n": Param(5, type="integer", minimum=1)}):
        task: Work = Work(task_id="task", work=lambda context: pytest.fail("it began"))
    error = error_of(perform(task, run=a_run(conf={"n": 0})))
    assert "ParamValidationError: Invalid input for param n" in error


def test_a_template_that_raises_fails_the_task_and_names_the_field(caplog: pytest.LogCaptureFixture) -> None:
    assert "ZeroDivisionError" in error_of(perform(a_task(note="{{ 1 / 0 }}")))
    assert "cannot render note of task 'task': '{{ 1 / 0 }}'" in caplog.text


def test_rendered_fields_are_reported_without_those_that_hold_nothing() -> None:
    assert perform(a_task(note={"a": ["{{ ds }}", None]})).rendered == {"note": {"a": ["2024-05-06", None]}}
    assert perform(a_task(note="")).rendered == {"note": ""}
    assert perform(a_task()).rendered is None


# --- time limits --------------------------------------------------------------------------------


def test_a_limit_of_nothing_is_over_at_once() -> None:
    assert "AirflowTaskTimeout" in error_of(perform(a_task(execution_timeout=timedelta(0))))


def test_a_task_that_is_done_in_time_hears_nothing_of_its_limit() -> None:
    import signal

    assert isinstance(perform(a_task(execution_timeout=timedelta(seconds=30))).event, Succeeded)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_timeout_that_user_code_raises_itself_is_a_failure_like_any_other() -> None:
    assert "AirflowTaskTimeout: mine" in error_of(perform(a_task(raising(AirflowTaskTimeout("mine")))))


# --- being told to end --------------------------------------------------------------------------


def test_a_task_that_is_told_to_end_stops_what_it_started_and_cleans_up() -> None:
    story: list[str] = []

    def work(context: Any) -> None:
        story.append("work")
        try:
            runner.terminate()  # as the handler of SIGTERM does
        finally:
            story.extend(context["task"].story)

    assert "AirflowTaskTerminated: the task was told to end" in error_of(perform(a_task(work)))
    assert story == ["work", "execute", "on_kill"]


def test_being_told_twice_does_not_disturb_the_first_time() -> None:
    story: list[str] = []

    class Slow(Work):
        def on_kill(self) -> None:
            story.append("on_kill")
            runner.terminate()
            story.append("done")

    with a_dag():
        task = Slow(task_id="task", work=lambda context: runner.terminate())
    assert "AirflowTaskTerminated" in error_of(perform(task))
    assert story == ["on_kill", "done"]


def test_without_a_task_there_is_nothing_to_end() -> None:
    runner.terminate()


def test_an_on_kill_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Stubborn(Work):
        def on_kill(self) -> None:
            raise ValueError("cannot")

    with a_dag():
        task = Stubborn(task_id="task", execution_timeout=timedelta(0))
    assert "AirflowTaskTimeout" in error_of(perform(task))
    assert "on_kill failed" in caplog.text


# --- deferral -----------------------------------------------------------------------------------


class ATrigger:
    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "my.Trigger", {"at": datetime(2026, 1, 1, tzinfo=UTC), "n": 5}


class Deferring(Work):
    """Defers, and notes how it is resumed."""

    def execute(self, context: Any) -> Any:
        self.defer(trigger=self.work or ATrigger(), method_name="go_on", kwargs={"step": (1,)}, timeout=60)

    def go_on(self, context: Any, step: Any, event: Any) -> Any:
        return [context["ti"].task_id, step, event]


def a_deferring_task(**arguments: Any) -> Deferring:
    with a_dag():
        task: Deferring = Deferring(task_id="task", **arguments)
    return task


def test_a_deferral_carries_the_trigger_and_how_to_go_on() -> None:
    report = perform(a_deferring_task())
    event = report.event
    assert isinstance(event, Deferred)
    assert (event.trigger, event.method, event.timeout) == ("my.Trigger", "go_on", timedelta(seconds=60))
    assert event.arguments["n"] == 5
    assert event.arguments["at"]["__classname__"] == "datetime.datetime"
    assert event.method_arguments == {"step": {"__classname__": "builtins.tuple", "__version__": 1, "__data__": [1]}}


def test_no_callback_is_called_while_a_task_waits() -> None:
    called: list[str] = []
    perform(a_deferring_task(on_success_callback=called.append, on_failure_callback=called.append))
    assert called == []


def resumed(**said: Any) -> wire.Report:
    deferral = perform(a_deferring_task()).event
    assert isinstance(deferral, Deferred)
    resume = {"method": deferral.method, "arguments": deferral.method_arguments, **said}
    return perform(a_deferring_task(), facts(resume=resume))


def test_a_resumed_task_goes_on_with_its_arguments_and_the_event() -> None:
    assert result_of(resumed(event={"status": "done"})) == ["task", (1,), {"status": "done"}]


def test_a_trigger_that_failed_or_timed_out_is_an_error_in_the_task() -> None:
    assert error_of(resumed(error="boom")) == f"{TaskDeferralError.__name__}: boom"
    assert error_of(resumed(error="late", timeout=True)) == f"{TaskDeferralTimeout.__name__}: late"


def test_a_trigger_whose_arguments_cannot_be_stored_fails_the_task() -> None:
    class Bad(ATrigger):
        def serialize(self) -> tuple[str, dict[str, Any]]:
            return "my.Trigger", {"file": object()}

    assert "cannot store an object of type builtins.object" in error_of(perform(a_deferring_task(work=Bad())))


def test_a_deferral_passes_through_except_exception() -> None:
    def work(context: Any) -> None:
        try:
            raise TaskDeferred(trigger=ATrigger(), method_name="m")
        except Exception:
            pytest.fail("the deferral was caught")

    assert isinstance(perform(a_task(work)).event, Deferred)


# --- surroundings -------------------------------------------------------------------------------


def test_programs_of_the_task_are_told_which_execution_they_are_part_of() -> None:
    names = ("AIRFLOW_CTX_", "PIPER_")
    seen: dict[str, str] = {}

    def work(context: Any) -> None:
        seen.update({name: value for name, value in os.environ.items() if name.startswith(names)})

    perform(a_task(work, owner="ada", email=["a@example.org", "b@example.org"]), try_number=2)
    assert seen == {
        "AIRFLOW_CTX_DAG_EMAIL": "a@example.org,b@example.org",
        "AIRFLOW_CTX_DAG_OWNER": "ada",
        "AIRFLOW_CTX_DAG_ID": "flow",
        "AIRFLOW_CTX_TASK_ID": "task",
        "AIRFLOW_CTX_LOGICAL_DATE": "2024-05-06T12:30:15+00:00",
        "AIRFLOW_CTX_TRY_NUMBER": "2",
        "AIRFLOW_CTX_DAG_RUN_ID": "scheduled__2024-05-06",
        "PIPER_FENCE_TOKEN": "2.0",
    }
    assert not [name for name in os.environ if name.startswith("AIRFLOW_CTX_")]


def test_an_operator_made_from_its_spec_alone_runs_without_its_file() -> None:
    from piper.sdk.hydrate import hydrate

    spec = TaskSpec("task", "piper.operators.smooth.SmoothOperator", code=False)
    assert isinstance(perform(hydrate(spec), facts(spec=spec)).event, Succeeded)


def test_links_to_other_systems_are_left_where_the_ui_looks_for_them() -> None:
    class Link:
        name = "Somewhere"
        xcom_key = "_link_Link"

        def get_link(self, *, operator: Any, ti_key: Any) -> str:
            return f"/{operator.task_id}/{ti_key.try_number}"

    class Broken(Link):
        xcom_key = "_link_Broken"

        def get_link(self, *, operator: Any, ti_key: Any) -> str:
            raise ValueError("no link")

    task = a_task()
    task.operator_extra_links = (Broken(), Link())
    assert pushed(perform(task)) == {"_link_Link": "/task/1"}


def test_what_other_processes_need_is_imported_ahead_of_them() -> None:
    with a_dag() as dag:
        Work(task_id="plain", note="x")
        PythonOperator(task_id="rendered", python_callable=print, op_args=["{{ ds }}"])
    runner.preload(dag)
    assert "jinja2" in sys.modules


@pytest.mark.parametrize(
    ("make", "needs"),
    [
        (lambda: Work(task_id="t", note="plain"), (False, False)),
        (lambda: Work(task_id="t", note=["{{ ds }}"]), (True, False)),
        (lambda: Work(task_id="t", note="{{ data_interval_start }}"), (True, True)),
        (lambda: Work.partial(task_id="t", note="{{ ds }}").expand(work=[1, 2]), (True, False)),
        (lambda: PythonOperator(task_id="t", python_callable=lambda ds: None), (False, False)),
        (lambda: PythonOperator(task_id="t", python_callable=lambda logical_date: None), (False, True)),
        (lambda: PythonOperator(task_id="t", python_callable=lambda **context: None), (False, True)),
        (lambda: PythonOperator(task_id="t", python_callable=print), (False, False)),
    ],
)
def test_what_an_execution_will_import_is_guessed_from_the_definition(make: Any, needs: tuple[bool, bool]) -> None:
    with a_dag():
        assert needs_of(make()) == needs


def test_a_rehearsal_leaves_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    before = dict(os.environ)
    runner.rehearse()
    runner.rehearse()
    assert dict(os.environ) == before
    assert current_execution() is None
    assert caplog.text == ""


def test_mail_about_a_failure_without_a_provider_is_an_error_in_the_log_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    report = perform(a_task(raising(ValueError("x")), email="ada@example.org"))
    assert isinstance(report.event, Failed)
    assert "no mail was sent to ada@example.org: apache-airflow-providers-smtp is not installed" in caplog.text


def test_a_report_is_small() -> None:
    import msgspec

    with a_dag():
        task = PythonOperator(task_id="task", python_callable=lambda: None)
    assert len(msgspec.msgpack.encode(perform(task))) < 120


def test_a_trivial_task_asks_nothing() -> None:
    channel = MemoryChannel()
    perform(a_task(), channel=channel)
    assert channel.asked == []
