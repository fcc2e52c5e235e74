"""`piper run FILE`, `piper validate`, `piper standalone`: what they ask of `piper.wiring` and make of its answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from piper import wiring
from piper.settings import Settings
from piper.wiring import Finding
from tests.integration.cli.conftest import Piper
from tests.integration.cli.player import Instance


@pytest.fixture
def write(piper: Piper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a workflow file for the played instance; its path."""
    monkeypatch.setattr(wiring, "Instance", Instance)
    monkeypatch.setattr(Instance, "stopped", 0)
    monkeypatch.delenv("PIPER_HOME")

    def make(text: str) -> str:
        file = tmp_path / "flow.py"
        file.write_text(text)
        return str(file)

    return make


def test_a_run_that_succeeds_shows_its_logs_and_its_tasks(piper: Piper, write: Callable[[str], str]) -> None:
    file = write("# workflow hello\n# say: success hello {conf}\n# wave: skipped\n")
    done = piper("run", file, "-p", "name=you", "-p", "count=3")
    assert done.code == 0
    assert "say  │ hello {'name': 'you', 'count': 3}\n" in done.err
    assert done.err.index("hello {") < done.err.index("say  │ (success)\n"), "how it ended is told last"
    assert "wave │ (skipped)\n" in done.err
    header, say, wave, _, end = done.out.splitlines()
    assert header.split() == ["TASK", "STATE", "ATTEMPTS", "DURATION"]
    assert say.split()[:3] == ["say", "success", "1"]
    assert wave.split()[:2] == ["wave", "skipped"]
    assert end == "run success"
    assert Instance.stopped == 1


def test_the_json_of_a_run_is_as_it_is_promised(piper: Piper, write: Callable[[str], str]) -> None:
    file = write("# workflow hello\n# say: success {date}\n")
    done = piper("run", file, "--logical-date", "2026-11-01", "-o", "json")
    assert done.code == 0
    found = done.json
    assert list(found) == ["workflow_id", "run_id", "state", "tasks"]
    assert (found["workflow_id"], found["run_id"], found["state"]) == (
        "hello",
        "manual__2026-11-01T00:00:00+00:00",
        "success",
    )
    [task] = found["tasks"]
    assert list(task) == ["task_id", "map_index", "state", "attempts", "start", "end"]
    assert (task["task_id"], task["map_index"], task["state"], task["attempts"]) == ("say", -1, "success", 1)
    assert task["start"].endswith("Z")
    assert "2026-11-01 00:00:00+00:00" in done.err


def test_a_run_that_fails_is_exit_code_1(piper: Piper, write: Callable[[str], str]) -> None:
    done = piper("run", write("# workflow hello\n# say: failed no\n"))
    assert (done.code, done.out.splitlines()[-1]) == (1, "run failed")


def test_a_paused_workflow_is_run_all_the_same(piper: Piper, write: Callable[[str], str]) -> None:
    assert piper("run", write("# workflow hello paused\n# say: success\n")).code == 0


def test_a_broken_file_is_told_with_its_line(piper: Piper, write: Callable[[str], str]) -> None:
    file = write("# error 3: SyntaxError: invalid syntax\n")
    done = piper("run", file)
    assert (done.code, done.out) == (1, "")
    assert f"{file}:3: SyntaxError: invalid syntax" in done.err
    assert Instance.stopped == 1


def test_a_file_without_a_workflow_is_told(
    piper: Piper, write: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("piper.cli.throwaway.APPEARS_WITHIN", 0.0)
    done = piper("run", write("x = 1\n"))
    assert done.code == 1
    assert "defines no workflow" in done.err


def test_of_many_workflows_one_must_be_named(piper: Piper, write: Callable[[str], str]) -> None:
    file = write("# workflow one\n# say: success\n# workflow two\n# say: success\n")
    unnamed = piper("run", file)
    assert unnamed.code == 2
    assert "say which with --workflow ID" in unnamed.err
    assert "one, two" in unnamed.err
    assert "did you mean 'two'?" in piper("run", file, "--workflow", "tow").err
    assert piper("run", file, "--workflow", "tow").code == 3
    assert piper("run", file, "--workflow", "two", "-o", "json").json["workflow_id"] == "two"


def test_a_run_that_takes_too_long_is_cancelled(piper: Piper, write: Callable[[str], str]) -> None:
    done = piper("run", write("# workflow hello\n# say: hangs\n"), "--timeout", "300ms")
    assert done.code == 7
    assert "cancelling the run" in done.err
    assert done.out.splitlines()[1].split()[:2] == ["say", "failed"]
    assert Instance.stopped == 1


def test_a_run_that_is_interrupted_is_cancelled(
    piper: Piper, write: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("piper.cli.throwaway._follow", interrupt)
    done = piper("run", write("# workflow hello\n# say: hangs\n"))
    assert (done.code, done.out) == (130, "")
    assert "interrupted: cancelling the run" in done.err
    assert Instance.stopped == 1


def test_a_home_of_its_own_is_removed_and_one_that_is_set_is_kept(
    piper: Piper, write: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = write("# workflow hello\n# say: success\n")
    monkeypatch.setenv("PIPER_HOME", str(tmp_path / "kept"))
    assert piper("run", file).code == 0
    assert (tmp_path / "kept" / "piper.db").exists()
    monkeypatch.delenv("PIPER_HOME")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert piper("run", file).code == 0
    assert list(tmp_path.glob("piper-run-*")) == []


def test_a_file_that_is_not_there_is_exit_code_2(piper: Piper) -> None:
    done = piper("run", "/no/such/file.py")
    assert done.code == 2
    assert "does not exist" in done.err


def test_validation_tells_file_and_line_and_is_exit_code_1_if_something_is_broken(
    piper: Piper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.py", "b.py", "notes.txt"):
        (tmp_path / name).write_text("")

    def validate(_: Settings, paths: Sequence[Path]) -> list[Finding]:
        files = [file for path in paths for file in (sorted(path.glob("*.py")) if path.is_dir() else [path])]
        return [
            Finding(str(file), ("w",))
            if file.name == "a.py"
            else Finding(str(file), error="NameError: x", error_file=str(file), error_line=9)
            for file in files
        ]

    monkeypatch.setattr(wiring, "validate", validate)
    done = piper("validate", str(tmp_path))
    assert done.code == 1
    assert done.out == f"{tmp_path / 'b.py'}:9: NameError: x\n"
    assert done.err == "2 files, 1 workflow, 1 broken file\n"
    assert piper("validate", str(tmp_path / "a.py"), "-o", "json").json[0]["workflows"] == ["w"]
    (tmp_path / "empty").mkdir()
    assert piper("validate", str(tmp_path / "empty")).code == 2


def test_standalone_hands_its_options_over_as_settings(
    piper: Piper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Settings, bool]] = []
    monkeypatch.setattr(wiring, "run_standalone", lambda settings, take_over: seen.append((settings, take_over)))
    words = ("--port", "9001", "--dags", str(tmp_path), "--executor", "local", "--take-over")
    assert piper("standalone", *words).code == 0
    [(settings, take_over)] = seen
    assert (settings.web.port, settings.dags, take_over) == (9001, tmp_path, True)
    assert piper("standalone", "--executor", "celary").code == 2


def test_each_service_is_started_by_its_name(piper: Piper, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(wiring, "run_service", lambda name, _: started.append(name))
    names = ["web", "scheduler", "executor", "serializer", "worker", "triggerer"]
    for name in names:
        assert piper(name).code == 0
    assert started == names
