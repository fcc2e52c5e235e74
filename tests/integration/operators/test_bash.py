"""Bash tasks run real processes: their output, exit codes, environment, and their end."""

from __future__ import annotations

import logging
import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from piper.model.events import Failed, Rescheduled, Skipped, Succeeded
from piper.operators.bash import BashOperator
from piper.operators.hooks import subprocess as hook
from piper.operators.sensors.bash import BashSensor
from piper.sdk.decorators import task
from tests.unit.sdk.execution.stage import MemoryChannel, a_dag, error_of, perform, pushed, result_of


def running(command: str, **arguments: Any) -> Any:
    with a_dag():
        operator = BashOperator(task_id="task", bash_command=command, **arguments)
    return perform(operator)


# --- results ------------------------------------------------------------------------------------


def test_the_last_line_is_the_result() -> None:
    assert result_of(running("echo one; echo two; echo ' three '; echo")) == ""
    assert result_of(running("echo one; echo 'two  '")) == "two"
    assert result_of(running("printf 'no newline'")) == "no newline"
    assert result_of(running("echo out; echo err >&2")) == "err"
    assert result_of(running("true")) == ""


def test_the_result_may_be_made_of_the_last_line() -> None:
    import json

    assert result_of(running("""echo '{"a": 1}'""", output_processor=json.loads)) == {"a": 1}


@pytest.mark.parametrize(
    ("code", "options", "ends"),
    [
        (0, {}, Succeeded),
        (1, {}, Failed),
        (99, {}, Skipped),
        (99, {"skip_on_exit_code": None}, Failed),
        (5, {"skip_on_exit_code": 5}, Skipped),
        (6, {"skip_on_exit_code": [5, 6]}, Skipped),
        (99, {"skip_on_exit_code": [5]}, Failed),
    ],
)
def test_the_exit_code_decides(code: int, options: Any, ends: type) -> None:
    report = running(f"exit {code}", **options)
    assert isinstance(report.event, ends)
    if ends is Failed:
        assert error_of(report).endswith(f"non-zero exit code {code}.")


def test_a_command_that_does_not_exist_fails() -> None:
    assert "exit code 127" in error_of(running("no-such-program-anywhere"))


# --- output -------------------------------------------------------------------------------------


def test_the_output_is_logged_line_by_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    running("echo one; echo two >&2; printf three")
    lines = [record.getMessage() for record in caplog.records]
    start = lines.index("Output:")
    assert lines[start + 1 : start + 4] == ["one", "two", "three"]


def test_a_line_is_logged_before_the_command_has_ended(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level(logging.INFO)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    class Opening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "first":
                fifo.write_text("go on\n")  # the command waits for this

    logger, handler = logging.getLogger("piper.task"), Opening()
    logger.addHandler(handler)
    try:
        assert result_of(running(f"echo first; cat {fifo}")) == "go on"
    finally:
        logger.removeHandler(handler)


def test_bytes_that_do_not_fit_the_encoding_are_shown_as_escapes() -> None:
    assert result_of(running(r"printf 'a\xffb'")) == r"a\xffb"
    assert result_of(running(r"printf 'a\xffb'", output_encoding="latin-1")) == "aÿb"


def test_a_line_without_end_is_logged_in_pieces_and_kept_whole(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    report = running("head -c 200000 /dev/zero | tr '\\0' x", do_xcom_push=False)
    assert isinstance(report.event, Succeeded)
    assert max(len(record.getMessage()) for record in caplog.records) <= hook.LONGEST_PIECE
    assert (
        sum(record.getMessage().count("x") for record in caplog.records if set(record.getMessage()) == {"x"}) == 200_000
    )


# --- environment --------------------------------------------------------------------------------


def test_the_command_sees_this_environment_and_the_variables_of_the_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_HERE", "yes")
    assert result_of(running("echo $FROM_HERE $AIRFLOW_CTX_TASK_ID $AIRFLOW_CTX_DAG_RUN_ID")) == (
        "yes task scheduled__2024-05-06"
    )


def test_a_given_environment_replaces_this_one_and_is_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_HERE", "yes")
    command = 'echo "[$FROM_HERE] [$DAY] $AIRFLOW_CTX_TASK_ID"'
    assert result_of(running(command, env={"DAY": "{{ ds }}"})) == "[] [2024-05-06] task"
    assert result_of(running(command, env={"DAY": "{{ ds }}"}, append_env=True)) == "[yes] [2024-05-06] task"
    assert result_of(running(command, env={})) == "[] [] task"


def test_what_people_give_is_no_code_in_the_environment(tmp_path: Path) -> None:
    evil = f"$(touch {tmp_path}/gone); `touch {tmp_path}/gone`"
    assert result_of(running('echo "$message"', env={"message": evil})) == evil
    assert not (tmp_path / "gone").exists()


def test_the_command_runs_in_a_folder_of_its_own_that_is_gone_afterwards() -> None:
    folder = result_of(running("touch left-behind; pwd"))
    assert "pipertmp" in folder
    assert not os.path.exists(folder)


def test_the_command_may_run_in_a_given_folder(tmp_path: Path) -> None:
    assert result_of(running("pwd", cwd=str(tmp_path))) == str(tmp_path)
    assert "Can not find the cwd" in error_of(running("pwd", cwd=f"{tmp_path}/gone"))
    (tmp_path / "file").touch()
    assert "must be a directory" in error_of(running("pwd", cwd=f"{tmp_path}/file"))


def test_the_command_has_no_input_to_wait_for() -> None:
    assert result_of(running("cat; echo done")) == "done"


# --- scripts ------------------------------------------------------------------------------------


def test_a_script_file_is_rendered_and_run(tmp_path: Path) -> None:
    (tmp_path / "hello.sh").write_text("echo hello {{ ds }} ${0##*.}\n")
    with a_dag(template_searchpath=[str(tmp_path)]):
        operator = BashOperator(task_id="task", bash_command="hello.sh")
    assert result_of(perform(operator)) == "hello 2024-05-06 sh"


def test_a_script_with_a_space_behind_its_name_is_a_command(tmp_path: Path) -> None:
    script = tmp_path / "hello.sh"
    script.write_text("#!/bin/bash\necho '{{ ds }}'\n")
    script.chmod(0o700)
    assert result_of(running(f"{script} ")) == "{{ ds }}"


def test_a_script_file_that_is_missing_fails_the_task() -> None:
    assert "TemplateNotFound" in error_of(running("gone.sh"))


def test_a_command_longer_than_an_argument_can_be_runs() -> None:
    assert result_of(running("true " + "x" * 200_000 + "\necho long")) == "long"


def test_a_function_may_make_the_command() -> None:
    with a_dag() as dag:

        @task.bash(env={"X": "{{ ds }}"}, append_env=True)
        def command(word: str, ti: Any) -> str:
            return f'echo "{word} $X {{{{ run_id }}}} {ti.task_id}"'

        command("hi")
    report = perform(dag.get_task("command"))
    assert result_of(report) == "hi 2024-05-06 scheduled__2024-05-06 command"
    assert report.rendered["bash_command"] == 'echo "hi $X scheduled__2024-05-06 command"'


@pytest.mark.parametrize("command", ["", "  ", None, 5])
def test_a_function_that_makes_no_command_fails_the_task(command: Any) -> None:
    with a_dag() as dag:

        @task.bash
        def nothing() -> Any:
            return command

        nothing()
    assert "must be a non-empty string" in error_of(perform(dag.get_task("nothing")))


def test_a_functions_command_may_have_several_outputs() -> None:
    import json

    with a_dag() as dag:

        @task.bash(multiple_outputs=True, output_processor=json.loads)
        def command() -> str:
            return """echo '{"a": 1, "b": 2}'"""

        command()
    assert pushed(perform(dag.get_task("command"))) == {"a": 1, "b": 2, "return_value": {"a": 1, "b": 2}}


# --- ending it ----------------------------------------------------------------------------------


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] != b"Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(*pids: int) -> bool:
    deadline = time.monotonic() + 5
    while any(map(is_alive, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    command = f"sleep 60 & echo $! > {tmp_path}/inner; echo $$ > {tmp_path}/outer; wait"
    report = running(command, execution_timeout=timedelta(seconds=0.5))
    assert "AirflowTaskTimeout" in error_of(report)
    assert gone(*(int((tmp_path / name).read_text()) for name in ("inner", "outer")))


def test_a_command_can_clean_up_when_it_is_told_to_end(tmp_path: Path) -> None:
    command = f"trap 'echo cleaned > {tmp_path}/done; exit 3' TERM; echo ready; while :; do sleep 0.05; done"
    report = running(command, execution_timeout=timedelta(seconds=0.5))
    assert "AirflowTaskTimeout" in error_of(report)
    deadline = time.monotonic() + 5
    while not (tmp_path / "done").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (tmp_path / "done").read_text() == "cleaned\n"


def test_a_task_that_is_told_to_end_ends_its_command(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from piper.sdk.execution import runner

    caplog.set_level(logging.INFO)

    class Telling(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "ready":
                os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda number, frame: runner.terminate())
    logger, handler = logging.getLogger("piper.task"), Telling()
    logger.addHandler(handler)
    try:
        report = running(f"echo $$ > {tmp_path}/pid; echo ready; sleep 60")
    finally:
        logger.removeHandler(handler)
        signal.signal(signal.SIGTERM, before)
    assert "AirflowTaskTerminated" in error_of(report)
    assert gone(int((tmp_path / "pid").read_text()))


# --- sensor -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "options", "ends"),
    [
        (0, {}, Succeeded),
        (1, {}, Rescheduled),
        (2, {"retry_exit_code": 2}, Rescheduled),
        (1, {"retry_exit_code": 2}, Failed),
    ],
    ids=str,
)
def test_a_sensor_waits_until_its_command_succeeds(code: int, options: Any, ends: type) -> None:
    with a_dag():
        sensor = BashSensor(task_id="s", bash_command=f"exit {code}", mode="reschedule", **options)
    assert isinstance(perform(sensor).event, ends)


def test_a_sensors_command_and_environment_are_rendered() -> None:
    with a_dag():
        sensor = BashSensor(task_id="s", bash_command="test $X = {{ ds }}", env={"X": "{{ ds }}"}, mode="reschedule")
    assert isinstance(perform(sensor, channel=MemoryChannel()).event, Succeeded)


def test_a_command_that_does_not_want_to_end_is_killed(tmp_path: Path) -> None:
    command = f"trap '' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 0.1; done"
    began = time.monotonic()
    report = running(command, execution_timeout=timedelta(seconds=0.3))
    assert "AirflowTaskTimeout" in error_of(report)
    assert time.monotonic() - began < 0.3 + hook.GRACE + 1
    assert gone(int((tmp_path / "pid").read_text()))
