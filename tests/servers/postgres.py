"""A private PostgreSQL server, started from Debian's package, which is installed when it is missing.

PostgreSQL refuses to run as root, so that root starts it as `nobody`. It keeps nothing: no fsync, and a
folder that is removed at the end. The kernel stops it when the process that started it dies, however that
happens, so that a killed test session leaves no server behind.
"""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

UNPRIVILEGED = "nobody"
ROOM_IN_MEMORY = 1 << 30


@dataclass
class Postgres:
    """A running server. `url(name)` is the address of one of its databases."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    def url(self, database: str = "postgres") -> str:
        """The URL by which `piper.store.Database` reaches a database of this server over TCP."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """A superuser's connection in autocommit mode: for what a test does behind Piper's back."""
        return psycopg.connect(host=str(self.folder), port=self.port, user="postgres", dbname=database, autocommit=True)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends its sessions and is clean, SIGKILL is a crash."""
        self.process.send_signal(how)
        self.process.wait(timeout=20)

    def start_again(self) -> None:
        """Start a stopped server on the same data and port, as after a crash; returns when it answers."""
        self.process = _serve(self.folder, self.port)
        _wait_until_ready(self)

    def remove(self) -> None:
        """Stop the server and forget its data."""
        if self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def start() -> Postgres:
    """Create a cluster in a new folder and start it on a free port; returns when it answers."""
    folder = Path(tempfile.mkdtemp(prefix="piper-pg-", dir=_fast_folder()))
    folder.chmod(0o755)
    data = folder / "data"
    if _user():
        shutil.chown(folder, _user())
    subprocess.run(
        [_program("initdb"), "-D", data, "-A", "trust", "-U", "postgres", "-N", "--no-locale", "-E", "UTF8"],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
        **_as_user(),
    )
    for attempt in range(3):  # another process may take the port between the question and the start
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = Postgres(folder, port, _serve(folder, port))
        try:
            _wait_until_ready(server)
        except RuntimeError:
            if attempt == 2:
                raise
        else:
            break
    return server


def _fast_folder() -> str | None:
    """Memory, where there is plenty: a database per test copies many files. None is the usual place."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or not os.access(memory, os.W_OK):
        return None
    room = os.statvfs(memory)
    return str(memory) if room.f_bavail * room.f_frsize > ROOM_IN_MEMORY else None


def _serve(folder: Path, port: int) -> subprocess.Popen[bytes]:
    settings: Mapping[str, str] = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(folder),
        "fsync": "off",
        "full_page_writes": "off",
        "max_connections": "100",
        "shared_buffers": "32MB",
        "client_connection_check_interval": "500ms",
        "log_min_messages": "fatal",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("ab") as log:
        # setpriv changes the user first and sets the parent-death signal after: the kernel would clear it.
        return subprocess.Popen(
            [
                "setpriv",
                *(["--reuid", _user(), "--regid", "nogroup", "--clear-groups"] if _user() else []),
                *("--pdeathsig", "INT"),
                *(_program("postgres"), "-D", folder / "data", "-p", str(port)),
                *options,
            ],
            stdout=log,
            stderr=log,
            cwd=folder,
        )


def _wait_until_ready(server: Postgres) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            server.connect().close()
        except psycopg.OperationalError as error:
            if server.process.poll() is not None or time.monotonic() > deadline:
                log = (server.folder / "log").read_text()
                raise RuntimeError(f"PostgreSQL did not start: {error}\n{log}") from error
            time.sleep(0.02)  # the server says nowhere when it is ready; this is the start of a server, not a test
        else:
            return


def _program(name: str) -> str:
    """The path of one of PostgreSQL's programs, of the newest version; installs Debian's package if there is none."""
    found = _find(name)
    if found is None:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "postgresql"]
        subprocess.run(install, check=True, env=environment, stdout=subprocess.DEVNULL)
        found = _find(name)
    if found is None:
        raise RuntimeError(f"PostgreSQL's {name} was not found in /usr/lib/postgresql, nor on the PATH: install it")
    return found


def _find(name: str) -> str | None:
    versions = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = max(versions, key=lambda path: int(path.parts[-3]), default=None)
    return str(newest) if newest else shutil.which(name)


def _user() -> str:
    """The user to run as, empty for the present one."""
    return UNPRIVILEGED if getpass.getuser() == "root" or os.geteuid() == 0 else ""


def _as_user() -> dict[str, object]:
    if not _user():
        return {}
    return {"user": _user(), "group": pwd.getpwnam(_user()).pw_gid, "extra_groups": []}
