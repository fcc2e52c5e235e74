"""What a task writes is in its log: whole, in order, soon, without its secrets, and without slowing it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from piper.logs import LogStore, parse_lines
from piper.model.events import Succeeded
from piper.model.run import Identity
from piper.model.spec import Isolation
from piper.model.wire import GetConnection, Mask
from tests.integration.worker.harness import Worker, worker

SOURCE = """
import logging, os, subprocess, sys, time
from piper.sdk import DAG, task, Connection, Variable
with DAG("flow"):
    @task
    def mixes():
        log = logging.getLogger("mine")
        for number in range(50):
            print("printed", number)
            log.info("logged %d", number)
            sys.stderr.write(f"error {number}\\n")
            os.write(1, b"raw %d\\n" % number)
        subprocess.run(["echo", "from a program"])
        log.warning("two\\nlines")
        print("no newline", end="")
        log.info("after it")
        print("unflushed", end="")
    @task
    def prints_and_dies():
        print("last words")
        os.kill(os.getpid(), 9)
    @task
    def waits():
        print("first line")
        time.sleep(600)
    @task
    def floods(megabytes=64):
        line = "x" * 79 + "\\n"
        block = line * 800
        begin = time.monotonic()
        for _ in range(megabytes * (1 << 20) // len(block)):
            sys.stdout.write(block)
        return time.monotonic() - begin
    @task
    def one_line():
        for _ in range(1024):
            os.write(1, b"y" * (1 << 16))
    @task
    def garbage():
        os.write(1, b"nul \\0 invalid \\xff\\xfe ansi \\x1b[31mred\\x1b[0m\\r\\n")
    @task
    def tells_secrets():
        secret = Connection.get("db").password
        os.write(1, secret[:5].encode())
        time.sleep(0.1)
        os.write(1, secret[5:].encode() + b"\\n")
        subprocess.run(["echo", secret])
        logging.getLogger("mine").error("it is %s", secret)
        raise ValueError(f"not with {secret}")
    for each in (mixes, prints_and_dies, waits, floods, one_line, garbage, tells_secrets):
        each()
"""


def lines_of(one: Worker, identity: Identity) -> list[tuple[str, str]]:
    data = LogStore(one.settings.logs).read(f"flow/{identity.instance}-1.log", limit=1 << 20).data
    return [(line.kind, line.text) for line in parse_lines(data)]


@pytest.mark.parametrize("isolation", [Isolation.FORK, Isolation.WARM])
def test_output_of_every_kind_is_kept_in_its_order(tmp_path: Path, isolation: Isolation) -> None:
    with worker(tmp_path, SOURCE) as one:
        identity = one.dispatch("mixes", isolation)
        assert isinstance(one.report_of(identity).event, Succeeded)
        lines = lines_of(one, identity)
    expected: list[tuple[str, str]] = []
    for number in range(50):
        expected.append(("out", f"printed {number}"))
        expected.append(("INFO", f"logged {number}"))
        expected.append(("out", f"error {number}"))
        expected.append(("out", f"raw {number}"))
    expected += [("out", "from a program"), ("WARNING", "two"), ("WARNING", "lines"), ("out", "no newline")]
    expected += [("INFO", "after it")]
    assert lines[: len(expected)] == expected
    assert any("unflushed" in text for _, text in lines)


def test_what_was_flushed_before_a_kill_is_in_the_log_when_the_end_is_reported(tmp_path: Path) -> None:
    with worker(tmp_path, SOURCE) as one:
        identity = one.dispatch("prints_and_dies")
        one.report_of(identity)
        assert one.log_of(identity) == ["last words", "killed by signal 9 (SIGKILL)"]


def test_the_legs_of_one_attempt_share_its_log(tmp_path: Path) -> None:
    with worker(tmp_path, SOURCE) as one:
        for leg in range(3):
            identity = one.dispatch("garbage", identity=Identity(1, 1, leg))
            assert isinstance(one.report_of(identity).event, Succeeded)
        assert len([line for line in one.log_of(identity) if line.startswith("nul")]) == 3


def test_a_line_can_be_read_within_a_second_of_being_written(tmp_path: Path) -> None:
    with worker(tmp_path, SOURCE) as one:
        identity = one.dispatch("waits")
        one.until(lambda: identity in one.granted)
        one.until(lambda: "first line" in one.log_of(identity), 1)


def test_a_flood_is_capped_and_neither_slows_the_task_much_nor_holds_up_others(tmp_path: Path) -> None:
    with worker(tmp_path, SOURCE, log_cap=4 << 20) as one:
        flood = one.dispatch("floods")
        one.until(lambda: flood in one.granted)
        begin = time.monotonic()
        assert isinstance(one.run("garbage").event, Succeeded)
        assert time.monotonic() - begin < 5
        report = one.report_of(flood)
        assert isinstance(report.event, Succeeded)
        # To a file it takes 0.1 s; the bound is loose, since other tests share the machine.
        assert float(report.xcoms[0].value) < 5
        folder = tmp_path / "logs" / "flow"
        assert sum(each.stat().st_size for each in folder.rglob("*") if each.is_file()) < 5 << 20


def test_a_line_of_64_mib_and_bytes_that_are_no_text_are_safe(tmp_path: Path) -> None:
    with worker(tmp_path, SOURCE, log_cap=2 << 20) as one:
        for task in ("one_line", "garbage"):
            identity = one.dispatch(task)
            assert isinstance(one.report_of(identity).event, Succeeded)
        assert lines_of(one, identity)[0] == ("out", "nul \u2400 invalid \ufffd\ufffd ansi \x1b[31mred\x1b[0m\r")


def test_secrets_that_a_task_fetches_are_nowhere(tmp_path: Path) -> None:
    secret = "s3cr3t-w0rd"
    with worker(tmp_path, SOURCE) as one:
        answers = {GetConnection: {"conn_id": "db", "conn_type": "postgres", "host": "h", "password": secret}}
        one.answer = lambda request: answers.get(type(request))
        identity = one.dispatch("tells_secrets")
        report = one.report_of(identity)
        assert "not with ***" in report.error
        assert not any(isinstance(request, Mask) for request in one.asked)
        assert len([line for line in one.log_of(identity) if "***" in line]) >= 4
    for file in (tmp_path / "logs").rglob("*"):
        assert file.is_dir() or secret.encode() not in file.read_bytes()
    assert secret not in repr(report)


def test_a_full_disk_does_not_fail_the_task(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "flow").write_text("a file where the folder must be: no log can be written")
    with worker(tmp_path, SOURCE) as one:
        assert isinstance(one.run("mixes").event, Succeeded)
