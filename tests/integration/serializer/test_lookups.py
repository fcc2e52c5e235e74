"""Files that read variables and connections at their top level, while they are loaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from piper.model.errors import NotFound, StoreUnavailable
from piper.model.wire import GetConnection, GetVariable, Lookup
from piper.serializer.bundles import Bundle
from piper.serializer.changes import LOOKUP_INTERVAL
from piper.serializer.loads import LoadRequest
from piper.serializer.protocol import MOST_QUESTIONS
from piper.serializer.supervisor import Loader
from piper.store.connections import ConnectionSecret, ConnectionSettings, write_connection
from piper.store.variables import delete_variable, write_variable
from tests.integration.serializer.conftest import DO, bad, good, load_all
from tests.integration.serializer.test_service import Office

READS = f"""{DO}
from piper.sdk import BaseHook, Connection, Variable
def make(*args, **kwargs):
    with DAG(*args, **kwargs): ...
"""
"""Seven lines."""


class Kept:
    """What an installation has; `asked` is what was asked for."""

    def __init__(self, **variables: str) -> None:
        self.variables = variables
        self.asked: list[Lookup] = []

    def __call__(self, lookup: Lookup) -> Any:
        self.asked.append(lookup)
        if isinstance(lookup, GetConnection):
            return {"conn_type": "http", "host": "example.org", "password": "hunter22"}
        if lookup.key not in self.variables:
            raise NotFound(f"variable {lookup.key!r} does not exist")
        return self.variables[lookup.key]


def load(loader: Loader, root: Path, kept: Kept, text: str) -> Any:
    (root / "a.py").write_text(READS + text)
    return load_all(loader, [LoadRequest(root=root, file="a.py", look_up=kept)])["a"]


# --- one load -----------------------------------------------------------------------------------------


def test_the_top_level_of_a_file_reads_variables_and_connections(loader: Loader, root: Path) -> None:
    kept = Kept(names='["one", "two"]', schedule="@daily")
    text = """
with DAG("w", schedule=Variable.get("schedule"), description=BaseHook.get_connection("shop").host):
    for name in Variable.get("names", deserialize_json=True):
        Do(task_id=name)
    Do(task_id=Variable.get("absent", default="three"))
"""
    loaded = good(load(loader, root, kept, text))
    spec = loaded.specs[0].spec
    assert [task.task_id for task in spec.tasks] == ["one", "two", "three"]
    assert (spec.schedule.summary, spec.description) == ("@daily", "example.org")
    assert loaded.questions == 4


def test_in_one_load_a_variable_has_one_value(loader: Loader, root: Path) -> None:
    kept = Kept(x="1")
    good(load(loader, root, kept, "assert [Variable.get('x') for _ in range(5000)] == ['1'] * 5000\n"))
    assert kept.asked == [GetVariable("x")]


def test_a_variable_of_any_length_comes_whole(loader: Loader, root: Path) -> None:
    kept = Kept(long="ä" * 3_000_000)
    good(load(loader, root, kept, "assert Variable.get('long') == 'ä' * 3_000_000\n"))


def test_a_value_that_no_frame_can_hold_is_an_error_of_the_file(loader: Loader, root: Path) -> None:
    failed = bad(load(loader, root, Kept(long="x" * (33 << 20)), "Variable.get('long')\n"))
    assert "the answer has" in failed.message


def test_threads_of_a_file_may_ask_at_once_while_specs_are_sent(loader: Loader, root: Path) -> None:
    text = """
from threading import Thread
found = {}
def ask(name):
    for number in range(20):
        found[f"{name}{number}"] = Variable.get(f"{name}{number}")
threads = [Thread(target=ask, args=(name,)) for name in "abcd"]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert all(name == value for name, value in found.items())
make(f"found_{len(found)}")
"""
    kept = Kept(**{f"{name}{number}": f"{name}{number}" for name in "abcd" for number in range(20)})
    assert good(load(loader, root, kept, text)).ids == ["found_80"]


def test_an_answer_that_nobody_waits_for_any_more_is_not_taken_for_the_next_one(loader: Loader, root: Path) -> None:
    text = """
import signal
def interrupt(number, frame): raise TimeoutError
signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    Variable.get("slow")
except TimeoutError:
    make(Variable.get("quick"))
"""

    class Slow(Kept):
        def __call__(self, lookup: Lookup) -> Any:
            if lookup == GetVariable("slow"):
                os.waitid(os.P_PID, os.posix_spawn("/bin/sleep", ["sleep", "0.5"], {}), os.WEXITED)
            return super().__call__(lookup)

    assert good(load(loader, root, Slow(slow="slow", quick="quick"), text)).ids == ["quick"]


def test_a_variable_that_is_missing_is_an_error_at_its_line_that_says_what_to_do(loader: Loader, root: Path) -> None:
    failed = bad(load(loader, root, Kept(), "\nLIMIT = Variable.get('limit')\n"))
    assert (failed.error_file, failed.line) == ("a.py", 9)
    assert "Variable limit not found: create it with `piper variables set limit`" in failed.message
    assert failed.questions == 1


@pytest.mark.parametrize(
    "line",
    [
        "Variable.set('x', 1)",
        "Variable.delete('x')",
        "from piper.sdk.execution.instance import RuntimeTaskInstance as T; T.get_dr_count('w')",
    ],
)
def test_the_top_level_of_a_file_cannot_do_anything_but_read(loader: Loader, root: Path, line: str) -> None:
    kept = Kept()
    failed = bad(load(loader, root, kept, f"{line}\n"))
    assert "there is nobody to ask here: outside of a task" in failed.message
    assert (failed.line, kept.asked) == (8, [])


def test_a_file_that_speaks_to_the_serializer_itself_gets_no_further(loader: Loader, root: Path) -> None:
    text = """
import gc
from piper.model.wire import SetVariable
from piper.serializer.child.line import Line
line, = [one for one in gc.get_objects() if isinstance(one, Line)]
line.look_up(SetVariable("x", "1"))
"""
    kept = Kept()
    failed = bad(load(loader, root, kept, text))
    assert "it wrote something else than workflows" in failed.message
    assert kept.asked == []


def test_what_a_fork_of_the_loading_process_asks_is_not_mixed_with_its_own(loader: Loader, root: Path) -> None:
    text = """
from multiprocessing import get_context
fork = get_context("fork")
ours, theirs = fork.Pipe()
def ask():
    try:
        theirs.send(Variable.get("x"))
    except Exception as error:
        theirs.send(str(error))
fork.Process(target=ask).start()
answer = ours.recv()
assert "only the process that loads a file can read" in answer, answer
make(Variable.get("x"))
"""
    assert good(load(loader, root, Kept(x="w"), text)).ids == ["w"]


# --- bounds -------------------------------------------------------------------------------------------


def test_a_file_may_read_so_many_variables_and_no_more(loader: Loader, root: Path) -> None:
    kept = Kept()
    text = "number = 0\nwhile True:\n    number += 1\n    Variable.get(f'x{number}', default='')\n"
    failed = bad(load(loader, root, kept, text))
    assert f"it reads more than {MOST_QUESTIONS} variables and connections while it is loaded" in failed.message
    assert (failed.error_file, failed.line) == ("a.py", 11)
    assert len(kept.asked) == MOST_QUESTIONS


def test_a_name_that_is_none_ends_the_load(loader: Loader, root: Path) -> None:
    kept = Kept()
    assert "a name of" in bad(load(loader, root, kept, "Variable.get('x' * 100_000, default='')\n")).message
    assert kept.asked == []


def test_a_file_that_does_not_listen_to_the_answers_is_ended_before_they_fill_the_memory(
    loader: Loader, root: Path
) -> None:
    text = """
import gc
from piper.model.wire import GetVariable
from piper.serializer.child.line import Line
from piper.serializer.protocol import Kind, Question, encode, frame
line, = [one for one in gc.get_objects() if isinstance(one, Line)]
for number in range(500):
    line.send(frame(Kind.QUESTION, line._nonce, encode(Question(number, GetVariable("long")))))
import time
time.sleep(600)
"""
    kept = Kept(long="x" * 8_000_000)
    assert "without waiting for the answers" in bad(load(loader, root, kept, text)).message
    assert len(kept.asked) < 10


# --- secrets ------------------------------------------------------------------------------------------


def test_a_secret_that_a_file_has_read_is_masked_in_what_is_kept_of_its_load(loader: Loader, root: Path) -> None:
    kept = Kept(api_token="t0ps3cret")
    text = "token = Variable.get('api_token')\nraise ValueError(f'{token} {Connection.get(\"shop\").password}')\n"
    failed = bad(load(loader, root, kept, text))
    assert "ValueError: *** ***" in failed.message
    assert "t0ps3cret" not in failed.text
    assert "hunter22" not in failed.text


def test_it_is_masked_too_in_what_the_file_had_printed_when_it_was_ended(loader: Loader, root: Path) -> None:
    text = "import os\nos.system('echo it is ' + Variable.get('api_token'))\nos._exit(3)\n"
    failed = bad(load(loader, root, Kept(api_token="t0ps3cret"), text))
    assert "It printed:\nit is ***" in failed.text


def test_it_is_masked_too_in_warnings(loader: Loader, root: Path) -> None:
    text = "import warnings\nwarnings.warn(Variable.get('api_token'))\n"
    (warning,) = good(load(loader, root, Kept(api_token="t0ps3cret"), text)).warnings
    assert warning.endswith("UserWarning: ***")


def test_a_workflow_that_holds_a_secret_is_warned_of(loader: Loader, root: Path) -> None:
    kept = Kept(api_token="t0ps3cret", region="northern")
    text = """
make("clean", description=Variable.get("region"))
with DAG("leaky"):
    BashOperator(task_id="call", bash_command="curl -H 'X-Token: " + Variable.get("api_token") + "'")
"""
    (warning,) = good(load(loader, root, kept, f"from piper.operators.bash import BashOperator\n{text}")).warnings
    assert warning.startswith("a.py:11: UserWarning: workflow 'leaky' holds a secret that its file has read")
    assert "t0ps3cret" not in warning


def test_a_secret_of_the_environment_is_masked_in_the_error(
    loader: Loader, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a.py").write_text(READS + "raise ValueError(Variable.get('api_token'))\n")
    request = LoadRequest(root=root, file="a.py", environment={"AIRFLOW_VAR_API_TOKEN": "t0ps3cret"})
    assert "t0ps3cret" not in bad(load_all(loader, [request])["a"]).text


# --- the serializer -----------------------------------------------------------------------------------


@pytest.fixture
def office(sqlite_url: str, home: Path, tmp_path: Path) -> Iterator[Office]:
    office = Office(sqlite_url, home, _folder(tmp_path, "dags"))
    yield office
    office.close()


def _folder(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


def put(office: Office, key: str, value: str, team: str = "red") -> None:
    with office.database.write() as connection:
        write_variable(connection, office.keys, team, key, value, None, office.clock.now())


NAMED = READS + "make(Variable.get('name', default='nobody'))\n"


def test_a_file_reads_what_its_team_may_read(sqlite_url: str, home: Path, tmp_path: Path) -> None:
    bundles = [Bundle(name=team, team=team, folder=_folder(tmp_path, team)) for team in ("red", "blue")]
    office = Office(sqlite_url, home, tmp_path, bundles=bundles)
    for team in ("red", "blue"):
        put(office, "own", f"{team}_own", team)
        (tmp_path / team / "a.py").write_text(
            READS + f"for name in ('own', 'shared', 'of_red'):\n    make(Variable.get(name, '{team}_no_' + name))\n"
        )
    put(office, "of_red", "secret_of_red", "red")
    put(office, "shared", "red_shared", "red")
    put(office, "shared", "everybodys", "")
    office.settle()
    assert office.errors == {}
    assert {one.team + ":" + name for name, one in office.workflows.items()} == {
        "red:red_own",
        "red:red_shared",
        "red:secret_of_red",
        "blue:blue_own",
        "blue:everybodys",
        "blue:blue_no_of_red",
    }
    office.close()


def test_a_file_reads_a_connection_with_its_secrets(office: Office) -> None:
    with office.database.write() as connection:
        settings = ConnectionSettings(team="red", conn_id="shop", conn_type="http", login="me")
        secret = ConnectionSecret("hunter22", '{"k": 5}')
        write_connection(connection, office.keys, settings, secret, office.clock.now())
    checks = (
        "c = Connection.get('shop')\nassert (c.password, c.extra_dejson) == ('hunter22', {'k': 5})\nmake(c.login)\n"
    )
    office.settle(a=READS + checks)
    assert set(office.workflows) == {"me"}


def test_what_a_file_has_read_is_read_again_after_half_a_minute_and_makes_a_version_only_if_it_changed(
    office: Office,
) -> None:
    described = READS + "make('w', description=Variable.get('text', default='none'))\n"
    office.settle(a=described, b=DO + "with DAG('v'): ...\n")
    office.clock.advance(LOOKUP_INTERVAL.total_seconds() - 5)
    assert office.settle() == set()
    office.news()
    office.clock.advance(5)
    assert office.settle() == {"a"}
    assert office.news() == []
    put(office, "text", "new")
    office.clock.advance(LOOKUP_INTERVAL.total_seconds())
    assert office.settle() == {"a"}
    assert office.workflows["w"].description == "new"
    assert [one.workflow_id for one in office.news()] == ["w"]


def test_the_log_tells_of_a_file_that_is_loaded_regularly_only_what_is_new(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "piper.serializer.service")

    def after_a_while(**variables: str) -> list[str]:
        for key, value in variables.items():
            put(office, key, value)
        office.clock.advance(LOOKUP_INTERVAL.total_seconds())
        caplog.clear()
        assert office.settle() == {"a"}
        return [record.getMessage() for record in caplog.records]

    office.settle(a=READS + "make(Variable.get('name'))\nimport warnings; warnings.warn('odd')\n")
    assert after_a_while() == []
    assert len(after_a_while(name="w")) == 2
    assert after_a_while() == []
    assert len(after_a_while(name="v")) == 2


def test_a_file_that_failed_for_want_of_a_variable_loads_once_it_is_there(office: Office) -> None:
    office.settle(a=READS + "make(Variable.get('name'))\n")
    assert (office.errors["a.py"].error_line, set(office.workflows)) == (8, set())
    put(office, "name", "w")
    office.clock.advance(LOOKUP_INTERVAL.total_seconds())
    assert office.settle() == {"a"}
    assert (office.errors, set(office.workflows)) == ({}, {"w"})


def test_a_workflow_ends_when_the_variable_that_names_it_names_another(office: Office) -> None:
    put(office, "name", "one")
    office.settle(a=NAMED)
    put(office, "name", "two")
    office.clock.advance(LOOKUP_INTERVAL.total_seconds())
    office.settle()
    assert {event.workflow_id: event.stale for event in office.news()} == {"one": True, "two": False}
    with office.database.write() as connection:
        delete_variable(connection, "red", "name")
    office.clock.advance(timedelta(minutes=1).total_seconds())
    office.settle()
    assert "nobody" in office.workflows


def test_a_value_that_cannot_be_opened_is_an_error_of_the_file_that_reads_it(office: Office) -> None:
    put(office, "name", "w")
    with office.database.write() as connection:
        connection.exec_driver_sql("UPDATE variable SET value = x'00'")
    office.settle(a=NAMED, b=DO + "with DAG('v'): ...\n")
    assert set(office.errors) == {"a.py"}
    assert set(office.workflows) == {"v"}


def test_while_the_database_cannot_be_read_no_file_fails_for_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(office, "name", "w")

    def away(*_: Any) -> Any:
        raise StoreUnavailable("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr("piper.serializer.service.look_up", away)
        with pytest.raises(StoreUnavailable):
            office.settle(a=NAMED)
    office.settle()
    assert (office.errors, set(office.workflows)) == ({}, {"w"})
