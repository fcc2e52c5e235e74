"""What becomes of a task: reported as it ended, entered once, gone when it is over."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from piper.model.events import Failed, Lost, Skipped, Succeeded
from piper.model.run import Identity
from piper.model.spec import Isolation
from piper.model.wire import GetVariable, Problem, Report, Start
from tests.integration.worker.harness import Worker, kill, lives, pid_in, wait_until, worker

HEAD = """
import ctypes, logging, os, signal, subprocess, sys, threading, time
from pathlib import Path
from piper.sdk import DAG, task, Variable
HERE = Path({folder!r})
def note(name, text=None):
    part = HERE / f"{{name}}.{{os.getpid()}}"
    part.write_text(f"{{os.getpid() if text is None else text}}\\n")
    part.rename(HERE / name)
"""

ENDS = """
with DAG("flow"):
    @task
    def succeeds():
        return 7
    @task
    def fails():
        raise ValueError("no such thing")
    @task
    def exits_with_0():
        os._exit(0)
    @task
    def exits_with_3():
        os._exit(3)
    @task
    def segfaults():
        ctypes.string_at(0)
    @task
    def aborts():
        os.abort()
    @task
    def leaves():
        sys.exit(0)
    @task
    def execs():
        os.execv("/bin/true", ["true"])
    @task
    def waits():
        note("pid")
        time.sleep(600)
    for each in (succeeds, fails, exits_with_0, exits_with_3, segfaults, aborts, leaves, execs, waits):
        each()
"""


def source(tmp_path: Path, text: str) -> str:
    return HEAD.format(folder=str(tmp_path)) + text


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One worker for tests that leave nothing behind."""
    folder = tmp_path_factory.mktemp("shared")
    with worker(folder, source(folder, ENDS)) as one:
        yield one


def test_a_task_that_succeeds_is_reported_with_its_result_and_its_process(shared: Worker) -> None:
    report = shared.run("succeeds")
    assert isinstance(report.event, Succeeded)
    assert report.exit_code == 0
    assert report.signal is None
    assert report.pid is not None
    assert [push.value for push in report.xcoms] == [b"7"]
    assert report.started_at is not None
    assert report.ended_at is not None
    assert report.started_at <= report.ended_at


def test_what_user_code_raises_is_its_error(shared: Worker) -> None:
    identity = shared.dispatch("fails")
    event = shared.report_of(identity).event
    assert isinstance(event, Failed)
    assert "no such thing" in event.error
    assert any("ValueError" in line for line in shared.log_of(identity))


@pytest.mark.parametrize(
    ("task", "error"),
    [
        ("exits_with_0", "ended without result (exit code 0)"),
        ("exits_with_3", "ended without result (exit code 3)"),
        ("segfaults", "killed by signal 11 (SIGSEGV)"),
        ("aborts", "killed by signal 6 (SIGABRT)"),
        ("execs", "ended without result (exit code 0)"),
    ],
)
def test_a_process_that_ends_without_a_report_has_failed(shared: Worker, task: str, error: str) -> None:
    identity = shared.dispatch(task)
    report = shared.report_of(identity)
    assert report.event == Failed(identity, error, outside=True)
    assert report.error == error
    assert shared.log_of(identity)[-1] == error


def test_sys_exit_is_a_failure(shared: Worker) -> None:
    assert isinstance(shared.run("leaves").event, Failed)


def test_a_killed_task_is_detected_within_a_second(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, ENDS)) as one:
        identity = one.dispatch("waits")
        one.until(lambda: (tmp_path / "pid").exists())
        os.kill(pid_in(tmp_path / "pid"), signal.SIGKILL)
        report = one.report_of(identity, seconds=1)
        assert report.event == Failed(identity, "killed by signal 9 (SIGKILL)", outside=True)
        assert report.signal == signal.SIGKILL


def test_user_code_is_not_entered_without_a_granted_start(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, ENDS)) as one:
        one.grant = lambda identity: Problem("stale", "no") if identity.instance == 1 else None
        refused = one.dispatch("waits")
        one.run("succeeds")
        one.serve_for(0.2)
        assert refused not in one.reports
        assert not (tmp_path / "pid").exists()
        one.run("succeeds")
        assert refused not in one.beats[-1].held or len(one.beats) == 1


def test_a_dispatch_that_comes_twice_is_started_once(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, ENDS)) as one:
        identity = one.dispatch("waits")
        one.dispatch("waits", identity=identity)
        one.until(lambda: (tmp_path / "pid").exists())
        one.dispatch("waits", identity=identity)
        one.run("succeeds")
        assert one.granted.count(identity) == 1


def test_a_start_that_the_server_cannot_answer_now_is_asked_again_with_the_same_nonce(tmp_path: Path) -> None:
    starts: list[Start] = []
    with worker(tmp_path, source(tmp_path, ENDS)) as one:
        reply = one._reply

        def note_starts(call):  # type: ignore[no-untyped-def]
            if isinstance(call.request, Start):
                starts.append(call.request)
            return reply(call)

        one._reply = note_starts  # type: ignore[method-assign]
        one.grant = lambda identity: Problem("unavailable", "wait") if len(starts) < 3 else None
        one.run("succeeds")
    assert len(starts) == 3
    assert len({start.nonce for start in starts}) == 1


def test_a_report_is_repeated_until_it_is_taken(tmp_path: Path) -> None:
    refused = 0

    def acknowledge(report):  # type: ignore[no-untyped-def]
        nonlocal refused
        refused += 1
        return Problem("unavailable", "wait") if refused < 3 else None

    with worker(tmp_path, source(tmp_path, ENDS)) as one:
        one.acknowledge = acknowledge
        identity = one.dispatch("succeeds")
        one.report_of(identity)
        one.unwanted = ()
        one.until(lambda: one.beats and identity not in one.beats[-1].held)
    assert refused == 3


def test_a_result_that_the_server_does_not_take_fails_the_task(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, ENDS)) as one:
        one.acknowledge = lambda report: Problem("too_large", "4 MiB at most") if report.xcoms else None
        report = one.run("succeeds")
    assert isinstance(report.event, Failed)
    assert "4 MiB at most" in report.event.error
    assert report.xcoms == ()


# --- ending what is not wanted ------------------------------------------------------------------

STUBBORN = """
def linger(name):
    note(name)
    while True:
        try:
            time.sleep(600)
        except BaseException:
            pass
with DAG("flow"):
    @task
    def obeys():
        note("pid")
        try:
            time.sleep(600)
        finally:
            note("cleaned")
    @task
    def ignores():
        linger("pid")
    @task
    def blocks_in_c():
        signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
        note("pid")
        ctypes.CDLL(None).sleep(600)
    @task
    def asks():
        note("pid")
        while True:
            Variable.get("x", default=None)
            time.sleep(0.01)
    @task
    def leaves_a_child():
        note("child", subprocess.Popen(["sleep", "600"]).pid)
    @task
    def leaves_a_daemon():
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.setsid()
                note("daemon")
                os.closerange(0, 1000)
                time.sleep(600)
            os._exit(0)
        os.wait()
        while not (HERE / "daemon").exists():
            time.sleep(0.01)
    @task
    def daemon_and_death():
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                note("daemon")
                time.sleep(600)
            os._exit(0)
        while not (HERE / "daemon").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    for each in (obeys, ignores, blocks_in_c, asks, leaves_a_child, leaves_a_daemon, daemon_and_death):
        each()
"""


def started(one: Worker, tmp_path: Path, task: str) -> tuple[Identity, int]:
    identity = one.dispatch(task)
    one.until(lambda: (tmp_path / "pid").exists())
    return identity, pid_in(tmp_path / "pid")


def test_a_cancelled_task_may_clean_up_and_is_reported_when_it_is_gone(tmp_path: Path) -> None:
    """The instance's next try waits for that."""
    with worker(tmp_path, source(tmp_path, STUBBORN), grace=10) as one:
        identity, pid = started(one, tmp_path, "obeys")
        reports: list[Report] = []

        def refuse(report: Report) -> Problem:
            reports.append(report)
            return Problem("stale", "it was cancelled")

        one.acknowledge = refuse
        one.cancel(identity)
        one.until(lambda: reports)
        assert isinstance(reports[0].event, Failed)
        assert (tmp_path / "cleaned").exists()
        assert not lives(pid)
        one.serve_for(0.2)
        assert len(reports) == 1, "that it is stale is an answer"


@pytest.mark.parametrize("task", ["ignores", "blocks_in_c"])
def test_a_task_that_ignores_its_cancellation_is_killed_after_the_grace(tmp_path: Path, task: str) -> None:
    with worker(tmp_path, source(tmp_path, STUBBORN), grace=0.3) as one:
        identity, pid = started(one, tmp_path, task)
        one.cancel(identity)
        begin = time.monotonic()
        one.until(lambda: not lives(pid), 2)
        assert time.monotonic() - begin > 0.25
        report = one.report_of(identity)
        assert (report.event, report.signal) == (
            Failed(identity, "ended: no longer wanted", outside=True),
            signal.SIGKILL,
        )


def test_a_task_that_is_cancelled_while_its_start_is_asked_does_not_begin_and_is_reported(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, ENDS)) as one:
        identity = Identity(1, 1, 0)

        def cancel_and_grant(asked: Identity) -> None:
            one.cancel(asked)

        one.grant = cancel_and_grant
        one.dispatch("waits", identity=identity)
        assert one.report_of(identity).event == Failed(identity, "ended: no longer wanted")
        assert not (tmp_path / "pid").exists()


def test_a_task_of_which_the_server_says_that_it_is_stale_is_killed_at_once(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, STUBBORN), grace=60) as one:
        one.answer = lambda request: "x"
        identity, pid = started(one, tmp_path, "asks")
        one.until(lambda: one.asked)
        one.answer = lambda request: Problem("stale", "it is over")
        one.until(lambda: not lives(pid), 1)
        assert one.report_of(identity).event == Failed(identity, "ended: no longer wanted", outside=True)
        assert isinstance(one.asked[0], GetVariable)


def test_what_a_heartbeat_is_answered_with_is_killed_at_once(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, STUBBORN), grace=60, contact=0.8) as one:
        identity, pid = started(one, tmp_path, "ignores")
        one.until(lambda: identity in one.beats[-1].held)
        one.unwanted = (identity,)
        one.until(lambda: not lives(pid), 2)
        assert one.report_of(identity).event == Failed(identity, "ended: no longer wanted", outside=True)


@pytest.mark.parametrize("task", ["ignores", "blocks_in_c"])
def test_execution_timeout_ends_what_ignores_it_at_most_two_seconds_late(tmp_path: Path, task: str) -> None:
    with worker(tmp_path, source(tmp_path, STUBBORN)) as one:
        one.timeouts[task] = timedelta(seconds=0.5)
        identity, pid = started(one, tmp_path, task)
        begin = time.monotonic()
        event = one.report_of(identity, 2.5).event
        assert time.monotonic() - begin < 2.5
        assert not lives(pid)
        assert isinstance(event, Failed)
        assert "execution_timeout of 0:00:00.500000" in event.error


def test_a_child_that_a_task_leaves_running_is_killed(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, STUBBORN)) as one:
        assert isinstance(one.run("leaves_a_child").event, Succeeded)
        one.until(lambda: not lives(pid_in(tmp_path / "child")), 2)


@pytest.mark.parametrize("task", ["leaves_a_daemon", "daemon_and_death"])
def test_a_daemon_that_left_its_session_does_not_survive_its_task(tmp_path: Path, task: str) -> None:
    with worker(tmp_path, source(tmp_path, STUBBORN)) as one:
        one.run(task)
        one.until(lambda: not lives(pid_in(tmp_path / "daemon")), 2)


# --- limits ------------------------------------------------------------------------------------

GREEDY = """
with DAG("flow"):
    @task
    def eats():
        hoard = []
        while True:
            hoard.append(bytearray(os.urandom(1 << 10) * 4096))
    @task
    def eats_in_a_child():
        subprocess.run([sys.executable, "-c", "x=[]\\nwhile 1: x.append(bytearray(b'x'*(4<<20)))"])
    @task
    def shares():
        hoard = bytearray(os.urandom(1 << 10) * (100 << 10))
        for _ in range(4):
            if os.fork() == 0:
                time.sleep(1.0)
                os._exit(0)
        for _ in range(4):
            os.wait()
        return sum(hoard[::4096]) > 0
    @task
    def modest():
        time.sleep(0.5)
    @task
    def tells():
        import resource, tempfile, random
        (Path(tempfile.gettempdir()) / "left").mkdir()
        (Path(tempfile.gettempdir()) / "left" / "file").write_text("x")
        mask = os.umask(0)
        print("umask", oct(mask))
        print("core", resource.getrlimit(resource.RLIMIT_CORE))
        print("tmp", tempfile.gettempdir())
        print("piper", sorted(name for name in os.environ if name.startswith("PIPER_")))
        print("caller", os.environ.get("CALLERS"))
        print("session", os.getsid(0) == os.getpid())
        print("descriptors", len(os.listdir("/proc/self/fd")) - 1)
        print("random", random.random())
        print("sigint", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    for each in (eats, eats_in_a_child, shares, modest, tells):
        each()
"""


@pytest.mark.parametrize("task", ["eats", "eats_in_a_child"])
def test_a_task_beyond_its_memory_is_killed_and_says_so_and_others_go_on(tmp_path: Path, task: str) -> None:
    with worker(tmp_path, source(tmp_path, GREEDY)) as one:
        one.memory_limits[task] = 200 << 20
        other = one.dispatch("modest")
        identity = one.dispatch(task)
        assert one.report_of(identity).event == Failed(identity, "memory limit 200 MiB exceeded", outside=True)
        assert isinstance(one.report_of(other).event, Succeeded)


def test_memory_that_processes_share_counts_once(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, GREEDY)) as one:
        one.memory_limits["shares"] = 250 << 20
        assert isinstance(one.run("shares").event, Succeeded)


def test_a_task_has_a_session_a_folder_and_no_secrets_of_its_workers(tmp_path: Path) -> None:
    environment = {**os.environ, "PIPER_SECRET": "x", "CALLERS": "own"}
    with worker(tmp_path, source(tmp_path, GREEDY), environment=environment) as one:
        first, second = one.dispatch("tells"), one.dispatch("tells")
        one.report_of(first)
        one.report_of(second)
        logs = [dict(line.split(" ", 1) for line in one.log_of(each)[:9]) for each in (first, second)]
        for log in logs:
            assert log["umask"] == "0o77"
            assert log["core"] == "(0, 0)"
            assert log["caller"] == "own"
            assert log["session"] == "True"
            assert int(log["descriptors"]) <= 6
            assert log["sigint"] == "True"
            assert "PIPER_SECRET" not in log["piper"]
            assert "token" not in Path(f"/proc/{one.zygotes[0]}/cmdline").read_text()
        assert logs[0]["random"] != logs[1]["random"]
        one.until(lambda: not any((Path(log["tmp"]) / "left").exists() for log in logs), 2)


# --- warm ---------------------------------------------------------------------------------------

WARM = """
hoard = []
with DAG("flow"):
    @task
    def pid():
        print(os.getpid())
    @task
    def spoils():
        os.environ["SPOILED"] = "x"
        os.environ.pop("PATH")
        os.chdir("/")
        sys.path.append("/nowhere")
        os.umask(0)
        sys.stdout = None
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        logging.basicConfig(force=True, level=logging.CRITICAL)
        note("left", subprocess.Popen(["sleep", "600"]).pid)
        Path(os.environ["TMPDIR"], "file").write_text("x")
        signal.setitimer(signal.ITIMER_REAL, 0.2)
    @task
    def looks():
        mask = os.umask(0o077)
        print(os.environ.get("SPOILED"), "PATH" in os.environ, os.getcwd() == "/", "/nowhere" in sys.path)
        print(oct(mask), os.listdir(os.environ["TMPDIR"]), os.getpid())
        print(callable(signal.getsignal(signal.SIGTERM)), logging.getLogger().level)
        time.sleep(0.3)
    @task
    def crashes():
        os.kill(os.getpid(), 9)
    @task
    def lingers():
        note("pid")
        time.sleep(600)
    @task
    def leaks():
        hoard.append(bytearray(b"x" * (6 << 20)))
    for each in (pid, spoils, looks, crashes, lingers, leaks):
        each()
"""


def test_warm_tasks_share_a_process_and_have_logs_of_their_own(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, WARM), slots=1) as one:
        identities = [one.dispatch("pid", Isolation.WARM) for _ in range(20)]
        pids = {one.report_of(identity).pid for identity in identities}
        assert len(pids) == 1
        for identity in identities:
            assert one.log_of(identity)[0] == str(next(iter(pids)))
            assert len([line for line in one.log_of(identity) if line.isdecimal()]) == 1


def test_a_warm_task_finds_its_process_in_order_whatever_the_last_did(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, WARM), slots=1) as one:
        spoiled = one.run("spoils", Isolation.WARM)
        identity = one.dispatch("looks", Isolation.WARM)
        report = one.report_of(identity)
        assert isinstance(report.event, Succeeded)
        assert report.pid == spoiled.pid
        assert one.log_of(identity)[:3] == ["None True False False", f"0o77 [] {spoiled.pid}", "True 20"]
        assert not lives(pid_in(tmp_path / "left"))


def test_a_crash_ends_only_the_warm_task_that_crashed(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, WARM), slots=1) as one:
        first = one.run("pid", Isolation.WARM)
        crash = one.dispatch("crashes", Isolation.WARM)
        assert one.report_of(crash).event == Failed(crash, "killed by signal 9 (SIGKILL)", outside=True)
        last = one.run("pid", Isolation.WARM)
        assert isinstance(last.event, Succeeded)
        assert last.pid != first.pid


def test_a_process_whose_warm_task_was_cancelled_is_not_used_again(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, WARM), slots=1) as one:
        identity = one.dispatch("lingers", Isolation.WARM)
        one.until(lambda: (tmp_path / "pid").exists())
        pid = pid_in(tmp_path / "pid")
        one.cancel(identity)
        report = one.run("pid", Isolation.WARM)
        assert report.pid != pid
        one.until(lambda: not lives(pid), 2)


def test_a_warm_process_that_grows_is_replaced(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, WARM), slots=1) as one:
        identities = [one.dispatch("leaks", Isolation.WARM) for _ in range(60)]
        pids = [one.report_of(identity).pid for identity in identities]
        assert len(set(pids[:51])) == 1
        assert pids[51] != pids[50]


def test_warm_tasks_of_a_file_that_must_not_be_forked_do_not_share_a_process(tmp_path: Path) -> None:
    threaded = WARM + "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    with worker(tmp_path, source(tmp_path, threaded), slots=1) as one:
        assert len({one.run("pid", Isolation.WARM).pid for _ in range(3)}) == 3


def test_skips_and_failures_are_events_of_the_task_not_of_the_worker(tmp_path: Path) -> None:
    text = """
from piper.sdk.exceptions import AirflowSkipException
with DAG("flow"):
    @task
    def skips():
        raise AirflowSkipException("nothing to do")
    skips()
"""
    with worker(tmp_path, source(tmp_path, text)) as one:
        assert isinstance(one.run("skips").event, Skipped)


# --- the worker itself --------------------------------------------------------------------------


def test_when_the_server_hangs_up_everything_ends(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, STUBBORN)) as one:
        _, pid = started(one, tmp_path, "ignores")
        zygotes = one.zygotes
        one.hang_up()
        assert one.process.wait(5) == 0
        wait_until(lambda: not any(lives(each) for each in [pid, *zygotes]), 2)


def test_a_worker_that_is_told_to_stop_reports_what_it_ran_as_lost(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, STUBBORN), grace=0.3) as one:
        first, pid = started(one, tmp_path, "obeys")
        (tmp_path / "pid").unlink()
        second, other = started(one, tmp_path, "ignores")
        one.process.terminate()
        for identity in (first, second):
            assert one.report_of(identity, 5).event == Lost(identity, "its worker was stopped")
        assert one.process.wait(5) == 0
        assert (tmp_path / "cleaned").exists()
        assert not lives(pid)
        assert not lives(other)


def test_children_die_with_a_killed_worker_and_the_next_ends_and_announces_what_is_left(tmp_path: Path) -> None:
    text = """
with DAG("flow"):
    @task
    def leaves_and_waits():
        if os.fork() == 0:
            os.setsid()
            note("daemon")
            time.sleep(600)
        note("pid")
        time.sleep(600)
    leaves_and_waits()
"""
    with worker(tmp_path, source(tmp_path, text)) as one:
        identity, pid = started(one, tmp_path, "leaves_and_waits")
        daemon = pid_in(tmp_path / "daemon")
        one.process.kill()
        one.process.wait()
        wait_until(lambda: not lives(pid), 2)
    with worker(tmp_path) as two:
        two._tasks.update(one._tasks)
        report = two.report_of(identity, 5)
        assert report.event == Lost(identity, "its worker was killed and has been started again")
        assert not lives(daemon)
    with worker(tmp_path) as three:
        three.until(lambda: three.beats)
        assert identity not in three.beats[-1].held


def test_without_contact_to_the_server_a_worker_ends_what_it_runs(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, STUBBORN), contact=1.0) as one:
        identity, pid = started(one, tmp_path, "ignores")
        one.serve_for(1.5)
        assert lives(pid)
        one.silent = True
        begin = time.monotonic()
        assert one.report_of(identity, 3).event == Lost(identity, "its worker could not reach the server")
        assert 0.5 < time.monotonic() - begin < 2
        assert not lives(pid)


def test_a_worker_that_was_stopped_kills_its_tasks_within_a_second_of_going_on(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, STUBBORN), contact=1.0) as one:
        identity, pid = started(one, tmp_path, "ignores")
        one.process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        late = one.dispatch("obeys")
        one.process.send_signal(signal.SIGCONT)
        begin = time.monotonic()
        one.until(lambda: not lives(pid), 2)
        assert time.monotonic() - begin < 1
        assert isinstance(one.report_of(identity, 2).event, Lost)
        assert late not in one.reports


def test_a_grant_that_is_read_too_late_is_not_used(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, STUBBORN), contact=1.0) as one:
        one.run("leaves_a_child")

        def stop_and_grant(identity: Identity) -> None:
            one.process.send_signal(signal.SIGSTOP)

        one.grant = stop_and_grant  # type: ignore[assignment]
        identity = one.dispatch("obeys")
        one.until(lambda: identity in one.granted)
        time.sleep(1.5)
        one.process.send_signal(signal.SIGCONT)
        assert isinstance(one.report_of(identity, 3).event, Lost)
        assert not (tmp_path / "pid").exists()


def test_when_a_zygote_is_killed_its_tasks_are_lost_and_the_next_has_another(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, STUBBORN)) as one:
        identity, pid = started(one, tmp_path, "ignores")
        kill(one.zygotes[0])
        event = one.report_of(identity, 2).event
        assert event == Lost(identity, "the parent of its process was killed by signal 9 (SIGKILL)")
        assert not lives(pid)
        assert isinstance(one.run("leaves_a_child").event, Succeeded)


def test_a_zygote_inherits_nothing_of_other_tasks(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, ENDS)) as one:
        one.dispatch("waits")
        one.until(lambda: (tmp_path / "pid").exists())
        (tmp_path / "snapshots" / "s" / "other.py").write_text(source(tmp_path, ENDS))
        one.dispatch("waits", file="other.py")
        one.until(lambda: len(one.zygotes) == 2 and len(one.granted) == 2)
        # While one forks it has those of the new child, too.
        one.until(lambda: max(len(os.listdir(f"/proc/{pid}/fd")) for pid in one.zygotes) <= 8)


def test_a_zygote_that_was_stopped_is_found_when_its_child_must_be_killed(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, STUBBORN), grace=0.2) as one:
        identity, pid = started(one, tmp_path, "ignores")
        zygote = one.zygotes[0]
        kill(zygote, signal.SIGSTOP)
        one.cancel(identity)
        one.until(lambda: not lives(pid), 5)
        one.until(lambda: not lives(zygote), 5)


def test_what_is_beyond_the_slots_waits_unstarted(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, ENDS), slots=2) as one:
        waiting = [one.dispatch("waits") for _ in range(5)]
        one.until(lambda: len(one.granted) == 2)
        one.serve_for(0.2)
        assert one.granted == waiting[:2]
        one.cancel(waiting[0])
        one.until(lambda: len(one.granted) == 3)
        one.cancel(waiting[3])
        one.cancel(waiting[1])
        one.until(lambda: len(one.granted) == 4)
        assert one.granted[3] == waiting[4]


def test_of_too_many_zygotes_the_idle_ones_go_first(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, ENDS), zygotes=1) as one:
        one.write("other.py", source(tmp_path, ENDS))
        one.run("succeeds")
        (first,) = one.zygotes
        one.dispatch("waits", file="other.py")
        one.until(lambda: (tmp_path / "pid").exists())
        one.until(lambda: not lives(first), 5)
        one.until(lambda: len(one.zygotes) == 1, 5)  # its forks may be seen for a moment longer


def test_an_idle_zygote_is_dropped_and_a_busy_one_is_not(tmp_path: Path) -> None:
    with worker(tmp_path, source(tmp_path, ENDS), idle_zygote=0.5) as one:
        identity = one.dispatch("waits")
        one.until(lambda: (tmp_path / "pid").exists())
        one.serve_for(1.5)
        assert len(one.zygotes) == 1
        one.cancel(identity)
        one.until(lambda: not one.zygotes, 5)
        assert isinstance(one.run("succeeds").event, Succeeded)
