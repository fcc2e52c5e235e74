"""`piper standalone`, whoever starts it, wherever its home lies, and whatever becomes of both."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.site import PIPER, Site, clean_environment, command_of, descendants_of, run_piper, wait_until

TEXT = """
import os, time
from piper.sdk import DAG, task

with DAG("one", schedule=None):

    @task
    def only():
        with open(os.environ["LEDGER"], "a") as ledger:
            ledger.write("began ")
            ledger.flush()
            while os.path.exists(os.environ["LEDGER"] + ".hold"):
                time.sleep(0.01)
            ledger.write("ended ")

    only()
"""

STARTERS = {
    "it ignores the ends of children": "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "it blocks all signals": "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    "it has closed the standard descriptors": "os.closerange(0, 3)",
    "it lets everybody write": "os.umask(0)",
    "it has a folder of temporary files that is gone": "os.environ['TMPDIR'] = '/nowhere'",
}


def started_by(program: str) -> list[str]:
    """A command that does something and then becomes the server."""
    return [sys.executable, "-c", f"import os, signal, sys; {program}; os.execv(sys.argv[1], sys.argv[1:])"]


def site_of(folder: Path, program: str = "pass") -> Site:
    """One that has a workflow and runs."""
    site = Site(folder, started_by=started_by(program), LEDGER=str(folder / "ledger"))
    site.publish("one.py", TEXT)
    site.start()
    wait_until(lambda: site.items("/workflows"))
    return site


@pytest.mark.parametrize("program", STARTERS.values(), ids=STARTERS)
def test_it_runs_workflows_and_stops_whoever_started_it(program: str, tmp_path: Path) -> None:
    site = site_of(tmp_path, program)
    site.did("workflows", "trigger", "one", "--wait")
    assert (site.home / "address").stat().st_mode & 0o077 == 0, "the command line sends its token to what this says"
    assert site.stop() == 0


def test_its_home_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "a 'b' %20 ?x=1#y \u00fc;"
    folder.mkdir()
    site = site_of(folder)
    site.did("workflows", "trigger", "one", "--wait")
    assert site.stop() == 0
    with sqlite3.connect(site.home / "piper.db") as connection:
        assert connection.execute("SELECT count(*) FROM run").fetchone() == (1,)


def test_a_home_that_cannot_be_made_is_said_in_one_line() -> None:
    done = run_piper("standalone", "--port", "0", environment=clean_environment(PIPER_HOME="/proc/nowhere"))
    assert done.code == 2
    assert done.err.startswith("Error: /proc/nowhere cannot be made")
    assert len(done.err.splitlines()) == 1


def test_it_stops_in_order_when_its_terminal_is_closed(tmp_path: Path) -> None:
    site = site_of(tmp_path)
    os.kill(site.pid, signal.SIGHUP)
    assert site.stop() == 0
    assert not (site.home / "address").exists()


def test_with_nohup_it_outlives_its_terminal(tmp_path: Path) -> None:
    site = site_of(tmp_path, "signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    os.kill(site.pid, signal.SIGHUP)
    site.did("workflows", "trigger", "one", "--wait")
    assert site.stop() == 0


def test_it_goes_on_when_nobody_reads_what_it_says(tmp_path: Path) -> None:
    site = Site(tmp_path, LEDGER=str(tmp_path / "ledger"))
    site.publish("one.py", TEXT)
    reader, writer = os.pipe()
    os.close(reader)
    site.process = subprocess.Popen(
        [PIPER, "standalone", "--dags", str(site.dags), "--port", "0"],
        env=site.environment | {"LEDGER": str(tmp_path / "ledger")}, stdout=writer, stderr=writer,
    )  # fmt: skip
    os.close(writer)
    site.log.touch()
    site.wait_ready()
    wait_until(lambda: site.items("/workflows"))
    site.did("workflows", "trigger", "one", "--wait")
    (worker,) = (pid for pid in descendants_of(site.pid) if "piper.worker\0" in command_of(pid))
    site.publish("two.py", TEXT.replace('"one"', '"two"').replace("import os", "import os, threading") + WITH_A_THREAD)
    wait_until(lambda: len(site.items("/workflows")) == 2)
    site.did("workflows", "trigger", "two", "--wait")
    assert worker in descendants_of(site.pid), "it has said that forks are not safe, and lives"
    assert site.stop() == 0


WITH_A_THREAD = """
threading.Thread(target=time.sleep, args=[3600], daemon=True).start()
"""


def stop_between_transactions(site: Site) -> None:
    """Have a server stand still; in a transaction it would hold the lock of SQLite, which nobody can take from it."""
    while True:
        os.kill(site.pid, signal.SIGSTOP)
        with closing(sqlite3.connect(site.home / "piper.db", timeout=0, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                os.kill(site.pid, signal.SIGCONT)
            else:
                connection.execute("ROLLBACK")
                return


def test_who_takes_over_from_a_stopped_server_runs_tasks_and_keeps_them_when_that_one_goes_on(tmp_path: Path) -> None:
    ledger, hold = tmp_path / "ledger", tmp_path / "ledger.hold"
    old = site_of(tmp_path)
    stop_between_transactions(old)
    new = Site(tmp_path, LEDGER=str(ledger))
    hold.touch()
    new.launch("--take-over")
    new.wait_ready()
    new.did("workflows", "trigger", "one")
    wait_until(ledger.exists)
    os.kill(old.pid, signal.SIGCONT)
    wait_until(lambda: "has taken over" in old.log.read_text())
    wait_until(lambda: "the local worker ended" in old.log.read_text())
    hold.unlink()
    new.did("runs", "wait", "one")
    assert ledger.read_text() == "began ended ", "it was entered once"
    assert old.stop() == 0
    assert new.stop() == 0
