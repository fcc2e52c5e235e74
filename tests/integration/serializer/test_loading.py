"""Every bad input of the issue, with a real child: an error for that file alone, with its place."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from piper import landlock
from piper.serializer.child.processes import children
from piper.serializer.loads import LoadRequest
from piper.serializer.outcomes import Outcome
from piper.serializer.protocol import Limits
from piper.serializer.supervisor import Loader
from tests.integration.serializer.conftest import DO, Run, bad, defining, good, load_all

NEEDS_LANDLOCK = pytest.mark.skipif(landlock.version() == 0, reason="this kernel has no Landlock")


def ids(outcome: Outcome) -> list[str]:
    return good(outcome).ids


def test_a_good_file_comes_out_as_checked_specs(run: Run) -> None:
    outcome = good(run(a=defining("one", "two"))["a"])
    assert outcome.ids == ["one", "two"]
    spec = outcome.specs[0].spec
    assert (spec.source.file, spec.source.line) == ("a.py", 4)
    assert [task.task_id for task in spec.tasks] == ["t"]
    assert any(path.endswith(".Do") for path in outcome.operators)


# A file, the message that its author gets, and the line.
BAD: dict[str, tuple[str, str, int | None]] = {
    "a_syntax_error": (DO + "x = (\n", "'(' was never closed", 4),
    "an_exception": (DO + "1 / 0\n", "ZeroDivisionError: division by zero", 4),
    "a_missing_module": (DO + "import absent_module\n", "No module named 'absent_module'", 4),
    "a_cycle": (
        DO + "with DAG('w'):\n    a, b = Do(task_id='a'), Do(task_id='b')\n    a >> b >> a\n",
        "cycle: ",
        5,
    ),
    "a_duplicate_task": (DO + "with DAG('w'):\n    Do(task_id='a')\n    Do(task_id='a')\n", "'a'", 6),
    "a_duplicate_workflow": (defining("w", "w"), "'w'", 6),
    "an_invalid_id": (DO + "DAG('a b')\n", "'a b' is not a valid id", 4),
    "sys_exit": (DO + "import sys\nsys.exit(0)\n", "SystemExit", 5),
    "os__exit": (DO + "import os\nos._exit(0)\n", "exit code 0", 5),
    "a_segfault": (DO + "import ctypes\nctypes.string_at(0)\n", "killed by SIGSEGV", 5),
    "an_abort": (DO + "import os\nos.abort()\n", "killed by SIGABRT", 5),
    "suicide": (DO + "import os\nos.kill(os.getpid(), 9)\n", "killed by SIGKILL", 5),
    "endless_recursion": (DO + "def f(): f()\nf()\n", "RecursionError", 4),
    "much_memory": (DO + "x = []\nwhile True: x.append(b'x' * (1 << 20))\n", "more than 200 MiB of memory", 5),
    "much_output": (DO + "while True: print('x' * (1 << 16))\n", "printed more than 2 MiB", 4),
    "one_long_line": (DO + "import os\nwhile True: os.write(1, b'x' * 65536)\n", "printed more than 2 MiB", 5),
    "a_fork": (DO + "import os\nos.fork()\nDAG('w')\n", "cannot fork", 5),
    "a_fork_bomb": (DO + "import os\nwhile True:\n    os.fork()\n", "cannot fork", 6),
    # Bombs that end by themselves, in case that nothing ends them.
    "many_processes": (
        DO + "import subprocess\nps = [subprocess.Popen(['sleep', '60']) for _ in range(200)]\n",
        "more than 32 processes",
        5,
    ),
    "a_closed_channel": (DO + "import os\nos.closerange(3, 1000)\nDAG('w')\n", "closed the channel", None),
    "garbage_on_the_channel": (
        DO + "import os\nfor fd in range(3, 64):\n  try: os.write(fd, b'x' * 64)\n  except OSError: pass\n",
        "something else than workflows",
        None,
    ),
    "a_huge_workflow": (
        DO + "with DAG('big', doc_md='x' * (33 << 20)):\n    Do(task_id='t')\n",
        "takes 33 MiB as data: 32 MiB are the most",
        4,
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_an_error_at_its_line_and_hurts_no_other(run: Run, name: str) -> None:
    text, message, line = BAD[name]
    outcomes = run(before=defining("before"), file=text, after=defining("after"))
    failed = bad(outcomes["file"])
    assert message in failed.message
    assert (failed.error_file, failed.line) == ("file.py", line)
    assert ids(outcomes["before"]) == ["before"]
    assert ids(outcomes["after"]) == ["after"]


def test_what_takes_too_long_is_ended_at_its_line(root: Path, home: Path) -> None:
    loader = Loader(limits=Limits(seconds=0.5, cpu_seconds=1), hidden=[home])
    (root / "sleep.py").write_text(DO + "import time\ntime.sleep(1e9)\n")
    (root / "deaf.py").write_text(
        DO + "import signal, time\nfor s in set(signal.Signals) - {9, 19}: signal.signal(s, signal.SIG_IGN)\n"
        "time.sleep(1e9)\n"
    )
    try:
        outcomes = load_all(loader, [LoadRequest(root=root, file=f"{name}.py") for name in ("sleep", "deaf")])
    finally:
        loader.close()
    assert "longer than 0.5 s" in bad(outcomes["sleep"]).message
    assert bad(outcomes["sleep"]).line == 5
    assert "longer than 0.5 s" in bad(outcomes["deaf"]).message


def test_an_endless_loop_is_ended_by_its_processor_time(run: Run) -> None:
    failed = bad(run(loop=DO + "while True:\n    pass\n")["loop"])
    assert "more than 1 s of processor time" in failed.message
    assert failed.line in (4, 5)


def test_the_output_of_a_failed_file_is_kept_up_to_its_limit(run: Run) -> None:
    text = DO + "import os\nprint('first')\nfor _ in range(20): print('x' * 10_000)\nos._exit(3)\n"
    failed = bad(run(a=text)["a"])
    assert failed.output.startswith("first\nxxx")
    assert len(failed.output) == 64 << 10


def test_printing_much_but_not_too_much_is_no_error(run: Run) -> None:
    assert ids(run(a=defining("w") + "print('x' * (1 << 20))\n")["a"]) == ["w"]


@pytest.mark.parametrize(
    "text",
    [
        "import json, builtins\njson.dumps = json.loads = builtins.open = None\n",
        "import sys\nsys.stdout.close()\nsys.stderr = None\n",
        "import atexit, time\natexit.register(time.sleep, 600)\n",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n",
        "import signal\nsignal.alarm(0)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n",
        "import os\nos.setpgid(0, 0) if os.getpgid(0) != os.getpid() else None\n",
        "import subprocess\nsubprocess.Popen(['setsid', 'sleep', '600'])\n",
        "import subprocess\nsubprocess.run('sleep 600 & setsid sleep 600 &', shell=True)\n",
        "import subprocess\nsubprocess.run('for i in $(seq 200); do (sleep 600 &); done', shell=True)\n",
        "import multiprocessing\nmultiprocessing.get_context('fork').Process(target=print).start()\n",
        "import sys\nsys.path.clear()\n",
        "import os, socket\nos.write = socket.socket.sendall = os._exit = None\n",
    ],
)
def test_rude_files_that_define_their_workflows_are_loaded(run: Run, text: str) -> None:
    assert ids(run(rude=text + defining("w"))["rude"]) == ["w"]


def test_nothing_of_a_load_is_left_alive(run: Run, root: Path) -> None:
    marker = f"600.{os.getpid()}"
    text = (
        "import subprocess\nsubprocess.run('sleep {0} & setsid sleep {0} &', shell=True)\n"
        "subprocess.Popen(['sleep', '{0}'])\n"
    )
    run(a=text.format(marker) + defining("w"))
    assert [pid for pid in os.listdir("/proc") if pid.isdigit() and marker in command_of(pid)] == []


def command_of(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_the_temporary_home_is_writable_and_gone_afterwards(run: Run) -> None:
    text = (
        "import os, tempfile, pathlib\n"
        "home = pathlib.Path.home()\n"
        "(home / 'x').write_text('x')\n"
        "assert tempfile.gettempdir() == str(home)\n"
        "raise ValueError(f'home={home}')\n"
    )
    failed = bad(run(a=text)["a"])
    home = failed.message.partition("home=")[2]
    assert home
    assert not Path(home).exists()


# --- isolation ----------------------------------------------------------------------------------------


def test_a_file_sees_no_variable_but_its_own_few(loader: Loader, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPER_DATABASE__URL", "postgresql://secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    (root / "a.py").write_text("import os\nraise ValueError(sorted(os.environ))\n")
    request = LoadRequest(root=root, file="a.py", environment={"STAGE": "test"})
    message = bad(load_all(loader, [request])["a"]).message
    seen = set(message.replace("'", "").partition("[")[2].partition("]")[0].split(", "))
    assert seen <= {"HOME", "LANG", "LC_CTYPE", "PATH", "STAGE", "TMPDIR", "TZ"}
    assert {"HOME", "STAGE", "TMPDIR"} <= seen


def test_a_file_imports_what_is_on_the_python_path_of_the_server(
    loader: Loader, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/of_the_team.py").write_text("name = 'w'\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'shared'}:relative:")
    (root / "a.py").write_text("from of_the_team import name\n" + DO + "with DAG(name): Do(task_id='t')\n")
    assert ids(load_all(loader, [LoadRequest(root=root, file="a.py")])["a"]) == ["w"]


def test_a_file_has_no_descriptors_of_the_host(run: Run) -> None:
    text = (
        "import os\nfound = []\nfor n in os.listdir('/proc/self/fd'):\n"
        "    try: found.append(os.readlink(f'/proc/self/fd/{n}'))\n"
        "    except FileNotFoundError: pass  # that of the listing\n"
        "raise ValueError(found)\n"
    )
    message = bad(run(a=text)["a"]).message
    assert message.count("socket:") == 1
    assert message.count("pipe:") == 3
    assert message.count("/dev/null") == 1


def test_a_file_that_wants_the_environment_is_told_what_it_can_have(run: Run) -> None:
    outcomes = run(asks="import os\nos.environ['BUCKET']\n", looks_up="{}['BUCKET']\n")
    assert "read BUCKET in the task; or set AIRFLOW_VAR_BUCKET" in bad(outcomes["asks"]).message
    assert bad(outcomes["asks"]).line == 2
    assert bad(outcomes["looks_up"]).message == "KeyError: 'BUCKET'"


@NEEDS_LANDLOCK
def test_a_file_cannot_read_the_secrets_of_piper_nor_what_is_beside_its_bundle(
    run: Run, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes").write_text("of another team")
    outcomes = run(
        secret=f"open({str(home / 'secret.key')!r})\n",
        listing=f"import os\nos.listdir({str(home)!r})\n",
        beside=f"open({str(tmp_path / 'notes')!r})\n",
        environ="import os\nopen(f'/proc/{os.getppid()}/environ')\n",
    )
    for name, outcome in outcomes.items():
        assert "PermissionError" in bad(outcome).message, name
        assert bad(outcome).line in (1, 2)
    assert "may read its own bundle only" in bad(outcomes["beside"]).message


@NEEDS_LANDLOCK
def test_piper_home_is_hidden_also_where_all_around_it_may_be_read(root: Path, tmp_path: Path) -> None:
    """PIPER_HOME in /opt: what lies beside it can be read, what is in it cannot."""
    opt = tmp_path / "opt"
    (opt / "piper").mkdir(parents=True)
    (opt / "piper/secret.key").write_text("s3cret")
    (opt / "tool").write_text("public")
    (root / "a.py").write_text(f"print(open({str(opt / 'tool')!r}).read())\nopen({str(opt / 'piper/secret.key')!r})\n")
    loader = Loader(hidden=[opt / "piper"])
    try:
        failed = bad(load_all(loader, [LoadRequest(root=root, file="a.py", readable=[str(opt)])])["a"])
    finally:
        loader.close()
    assert "PermissionError" in failed.message
    assert failed.line == 2


@NEEDS_LANDLOCK
def test_piper_home_is_hidden_also_when_it_lies_in_the_folder_that_is_loaded(root: Path) -> None:
    """`piper run ~/a.py`, with everything of Piper in ~/.piper."""
    (root / ".piper").mkdir()
    (root / ".piper/secret.key").write_text("s3cret")
    (root / "helper.py").write_text("name = 'w'\n")
    (root / "a.py").write_text("from helper import name\n" + defining("w") + "open('.piper/secret.key')\n")
    loader = Loader(hidden=[root / ".piper"])
    try:
        failed = bad(load_all(loader, [LoadRequest(root=root, file="a.py")])["a"])
    finally:
        loader.close()
    assert "PermissionError" in failed.message
    assert failed.line == 7


@NEEDS_LANDLOCK
def test_a_file_cannot_write_to_its_bundle(run: Run, root: Path) -> None:
    assert "PermissionError" in bad(run(a="open('new.py', 'w')\n")["a"]).message
    assert not (root / "new.py").exists()


@NEEDS_LANDLOCK
def test_a_path_that_the_bundle_grants_can_be_read(loader: Loader, root: Path, tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/x").write_text("granted")
    (root / "a.py").write_text(f"raise ValueError(open({str(tmp_path / 'conf/x')!r}).read())\n")
    request = LoadRequest(root=root, file="a.py", readable=[str(tmp_path / "conf")])
    assert "granted" in bad(load_all(loader, [request])["a"]).message


@pytest.mark.skipif(landlock.version() < 6, reason="this kernel's Landlock knows no scopes")
def test_a_file_cannot_kill_its_host(run: Run, loader: Loader) -> None:
    run(warm=defining("warm"))
    host = loader.host
    failed = bad(run(a="import os\nos.kill(os.getppid(), 9)\n")["a"])
    assert "PermissionError" in failed.message
    assert loader.host == host


# --- the host -----------------------------------------------------------------------------------------

HANG = "import time\ntime.sleep(1e9)\n"


def test_a_host_that_dies_with_one_load_is_that_files_error(loader: Loader, root: Path) -> None:
    (root / "a.py").write_text(HANG)
    loader.start(LoadRequest(root=root, file="a.py"))
    kill_host(loader)
    ((_, outcome),) = loader.wait(10)
    assert "the process that loaded it died" in bad(outcome).message


def test_of_several_loads_that_lose_their_host_each_is_tried_again_alone(loader: Loader, root: Path) -> None:
    for name in ("a", "b"):
        (root / f"{name}.py").write_text(HANG)
        loader.start(LoadRequest(root=root, file=f"{name}.py"))
    for name in ("a", "b"):
        (root / f"{name}.py").write_text(defining(name))
    kill_host(loader)
    found = {outcome.file: ids(outcome) for _ in range(2) for _, outcome in loader.wait(10)}
    assert found == {"a.py": ["a"], "b.py": ["b"]}
    assert loader.free == 2


def kill_host(loader: Loader) -> None:
    assert loader.host is not None
    os.kill(loader.host, signal.SIGKILL)


def test_the_host_ends_when_its_supervisor_closes(run: Run, loader: Loader) -> None:
    run(a=defining("w"))
    host = loader.host
    loader.close()
    assert not Path(f"/proc/{host}").exists()
    assert loader.host is None


def test_nothing_survives_a_server_that_is_killed(root: Path) -> None:
    (root / "hang.py").write_text("import subprocess\nsubprocess.run(['sleep', '600'])\n")
    server = """
import sys
from pathlib import Path
from piper.serializer.loads import LoadRequest
from piper.serializer.supervisor import Loader
loader = Loader()
loader.start(LoadRequest(root=Path(sys.argv[1]), file="hang.py"))
print(loader.host, flush=True)
loader.wait(600)
"""
    with subprocess.Popen([sys.executable, "-c", server, root], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        host = int(process.stdout.readline())
        (load,) = first_children(host)
        (sleep,) = first_children(load)
        process.kill()
    for pid in (host, load, sleep):
        assert is_gone(pid), Path(f"/proc/{pid}/cmdline").read_text()


def first_children(pid: int) -> list[int]:
    """The children of a process, as soon as it has some."""
    deadline = time.monotonic() + 10
    while not (found := children(pid)):
        assert time.monotonic() < deadline
    return found


def is_gone(pid: int) -> bool:
    """Whether a process that is no child of ours has ended, or does so soon."""
    try:
        return bool(select.select([os.pidfd_open(pid)], [], [], 5)[0])
    except ProcessLookupError:
        return True


def test_a_stopped_load_has_no_outcome_and_makes_room(loader: Loader, root: Path) -> None:
    (root / "hang.py").write_text(HANG)
    (root / "good.py").write_text(defining("w"))
    loader.stop(loader.start(LoadRequest(root=root, file="hang.py")))
    loader.start(LoadRequest(root=root, file="good.py"))
    outcomes = [outcome for _ in range(10) if loader.busy for _, outcome in loader.wait(1.0)]
    assert [outcome.file for outcome in outcomes] == ["good.py"]
    assert loader.free == 2


# --- what is reported ---------------------------------------------------------------------------------


def test_what_a_file_reads_of_its_bundle_is_told(run: Run, root: Path) -> None:
    (root / "pkg/conf").mkdir(parents=True)
    (root / "pkg/__init__.py").write_text("from pkg import deep\n")
    (root / "pkg/deep.py").write_text("import os\nnames = os.listdir(os.path.dirname(__file__) + '/conf')\n")
    (root / "pkg/conf/x.yaml").write_text("x")
    text = (
        "import pkg, pathlib, os\n"
        "pathlib.Path('pkg/conf/x.yaml').read_text()\n"
        "try: open('absent.yaml')\nexcept FileNotFoundError: pass\n"
        "try: import local_settings\nexcept ImportError: pass\n"
        "try: from pkg import extra\nexcept ImportError: pass\n"
    )
    imports = set(good(run(a=text + defining("w"))["a"]).imports)
    assert {"pkg/__init__.py", "pkg/deep.py", "pkg/conf/", "pkg/conf/x.yaml"} <= imports
    assert {"absent.yaml", "local_settings.py", "pkg/extra.py"} <= imports
    assert not any(path.startswith(("/", "..")) or path.endswith(".pyc") for path in imports)
    assert "./" not in imports


def test_an_error_in_an_imported_module_is_located_there(run: Run, root: Path) -> None:
    (root / "lib.py").write_text("x = 1\n\ny = x / 0\n")
    failed = bad(run(a=DO + "import lib\n")["a"])
    assert (failed.error_file, failed.line) == ("lib.py", 3)
    assert 'File "a.py", line 4' in failed.traceback
    assert str(root) not in failed.text
    assert "piper/serializer" not in failed.text


def test_paths_of_the_load_do_not_get_into_specs(run: Run, root: Path) -> None:
    """Else each snapshot would be a new version, and a task could run the files of an old one."""
    text = (
        "from piper.sdk import DAG, BaseOperator\nimport os\n"
        "class Do(BaseOperator):\n    template_fields = ('command',)\n"
        "    def __init__(self, command, **kw): self.command = command; super().__init__(**kw)\n"
        "with DAG('w', doc_md=__file__):\n"
        "    Do(task_id='t', command='python ' + os.path.dirname(__file__) + '/x.py')\n"
        "    Do(task_id='u', command='cat ' + os.path.expanduser('~/x'))\n"
    )
    (spec,) = good(run(a=text)["a"]).specs
    assert str(root) not in spec.body
    assert "/piper-loads-" not in spec.body
    assert spec.spec.task("t").arguments["command"] == "python $bundle/x.py"
    assert spec.spec.task("u").arguments["command"] == "cat $home/x"
    assert spec.spec.task("t").code
    assert spec.spec.doc == "$bundle/a.py"


def test_the_same_file_is_the_same_spec_from_load_to_load(run: Run) -> None:
    text = DO + "with DAG('w', tags={'b', 'a', 'c'}, params={'x': 1, 'a': 2}):\n    Do(task_id='t')\n"
    hashes = set()
    for _ in range(3):
        hashes |= {good(run(a=text)["a"]).specs[0].hash}
    assert len(hashes) == 1


def test_warnings_of_a_file_are_told(run: Run) -> None:
    text = DO + "import warnings\nwarnings.warn('old name', DeprecationWarning)\n"
    (warning,) = good(run(a=text + "DAG('w')\n")["a"]).warnings
    assert "a.py:5: DeprecationWarning: old name" in warning
