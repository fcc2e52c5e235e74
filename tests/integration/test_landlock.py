"""What a confined process can still do. Each check runs in a fork, since rights do not come back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from piper import landlock

pytestmark = pytest.mark.skipif(landlock.version() == 0, reason="this kernel has no Landlock")

SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/proc", sys.base_prefix)


def confined(tmp_path: Path, act: Callable[[], object]) -> str:
    """What `act` comes to in a process that may read `tmp/open` and write `tmp/home`: "done", or the error."""
    for name in ("open", "home"):
        (tmp_path / name).mkdir(exist_ok=True)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            landlock.confine((*SYSTEM, str(tmp_path / "open")), (str(tmp_path / "home"), "/dev/null"))
            act()
            os.write(writing, b"done")
        except BaseException as error:
            os.write(writing, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    return text


def test_it_reads_and_writes_only_where_it_may(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open/file").write_text("x")
    (tmp_path / "secret.key").write_text("s")
    assert confined(tmp_path, (tmp_path / "open/file").read_text) == "done"
    assert confined(tmp_path, lambda: (tmp_path / "home/new").write_text("x")) == "done"
    assert confined(tmp_path, (tmp_path / "secret.key").read_text) == "PermissionError"
    assert confined(tmp_path, lambda: os.listdir(tmp_path)) == "PermissionError"
    assert confined(tmp_path, lambda: (tmp_path / "open/new").write_text("x")) == "PermissionError"
    assert confined(tmp_path, lambda: (tmp_path / "open/file").unlink()) == "PermissionError"
    assert confined(tmp_path, lambda: os.truncate(tmp_path / "open/file", 0)) == "PermissionError"
    assert confined(tmp_path, lambda: os.link(tmp_path / "secret.key", tmp_path / "home/key")) in (
        "PermissionError",
        "OSError",
    )


def test_programs_that_it_starts_are_confined_like_itself(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("s")

    def act() -> None:
        subprocess.run(["cat", str(tmp_path / "secret.key")], check=True, stderr=subprocess.DEVNULL)

    assert confined(tmp_path, act) == "CalledProcessError"
    assert confined(tmp_path, lambda: subprocess.run(["true"], check=True)) == "done"


@pytest.mark.skipif(landlock.version() < 6, reason="this kernel's Landlock knows no scopes")
def test_it_cannot_signal_or_look_into_its_parent(tmp_path: Path) -> None:
    parent = os.getpid()
    assert confined(tmp_path, lambda: os.kill(parent, 0)) == "PermissionError"
    assert confined(tmp_path, Path(f"/proc/{parent}/environ").read_bytes) == "PermissionError"
    assert confined(tmp_path, Path(f"/proc/{parent}/maps").read_bytes) == "PermissionError"
    assert confined(tmp_path, lambda: os.readlink(f"/proc/{parent}/fd/0")) == "PermissionError"


def test_it_keeps_its_power_over_its_own_children(tmp_path: Path) -> None:
    def act() -> None:
        child = subprocess.Popen(["sleep", "60"])
        child.send_signal(signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL

    assert confined(tmp_path, act) == "done"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to lose")
def test_root_loses_its_capabilities(tmp_path: Path) -> None:
    def act() -> None:
        status = Path("/proc/self/status").read_text()
        assert "CapEff:\t0000000000000000" in status
        again = subprocess.run(["cat", "/proc/self/status"], check=True, capture_output=True, text=True).stdout
        assert "CapEff:\t0000000000000000" in again
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)

    assert confined(tmp_path, act) == "PermissionError"


def test_a_hidden_folder_is_left_out_by_naming_all_beside_it(tmp_path: Path) -> None:
    for path in ("a/x", "home/secret", "home/tree/x", "home/tree/deep/y", "z"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    top = str(tmp_path)
    assert landlock.around(top, [f"{top}/home"]) == [f"{top}/a", f"{top}/z"]
    assert landlock.around(top, [f"{top}/home/tree/deep", f"{top}/a/x"]) == [
        f"{top}/home/secret",
        f"{top}/home/tree/x",
        f"{top}/z",
    ]
    assert landlock.around(f"{top}/home/tree", [f"{top}/home"]) == [f"{top}/home/tree"]
    assert landlock.around(f"{top}/home", [f"{top}/home"]) == []
    assert landlock.around(f"{top}/a", [f"{top}/home"]) == [f"{top}/a"]
