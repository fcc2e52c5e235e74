"""One load: a process that gives up its rights, executes a file, and says what it found."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Never

import msgspec

from piper import compat, landlock
from piper.model.errors import InvalidSpec
from piper.model.spec import TaskSpec, WorkflowSpec, encode_spec, encode_task
from piper.sdk.execution.current import looking_up
from piper.sdk.execution.masking import mask
from piper.sdk.loader import load_file
from piper.sdk.specs import operator_schemas, spec_of
from piper.serializer.child.failures import describe_failure
from piper.serializer.child.line import Line
from piper.serializer.child.watch import Watch
from piper.serializer.protocol import (
    BUNDLE_ROOT,
    HOME,
    MAX_FRAME,
    Kind,
    Limits,
    Load,
    Loaded,
    Report,
    encode_report,
    frame,
)

SEND_AT = 256 << 10
"""Bytes of frames that are sent together."""
FILE_LIMIT = 64 << 20
"""Longest file that a load may write in its home."""
CPU_GRACE_SECONDS = 2
SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc", "/opt", "/proc", "/sys", "/nix/store")
RESOLVED = ("/etc/resolv.conf", "/etc/hosts", "/etc/localtime", "/dev/random", "/dev/urandom")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty")
_PR_SET_PDEATHSIG = 1

_exit = os._exit  # as it is before a file may replace it


@dataclass(frozen=True, slots=True)
class Wiring:
    """The ends that a loading process holds: descriptors, and the path of its temporary home."""

    result: int
    output: int
    trace: int
    home: str


def load_and_exit(load: Load, limits: Limits, hidden: tuple[str, ...], wiring: Wiring) -> Never:
    """In a forked process: load the file, send what came of it, end. Nothing of the host runs here again."""
    status = 1
    try:
        _become_its_own(load, wiring)
        _limit(limits, wiring.trace)
        # The names in the root are needed to import from it, whatever of it is hidden.
        landlock.confine(_readable(load, hidden), (*DEVICES, wiring.home), [load.root])
        _announce_exits(wiring.trace)
        watch = Watch(load.root, wiring.trace)
        line = Line(wiring.result, load.nonce)
        for data in _in_portions(_frames(load, watch, wiring.home, line)):
            line.send(data)
        status = 0
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException:  # the file is described by its report; this is about sending it, and goes to the output
        traceback.print_exc()
    finally:
        # Without atexit, without waiting for threads: what the file has left behind shall not delay it.
        _exit(status)


# --- the process --------------------------------------------------------------------------------------


def _become_its_own(load: Load, wiring: Wiring) -> None:
    """A session, an environment, a home, and no descriptors but what it needs."""
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(wiring.output, 1)
    os.dup2(wiring.output, 2)
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor > 2 and descriptor not in (wiring.result, wiring.trace):
            with suppress(OSError):  # that of the listing is closed already
                os.close(descriptor)
    os.environ.update(load.environment)
    os.environ.update(HOME=wiring.home, TMPDIR=wiring.home)
    tempfile.tempdir = None  # the host's
    os.umask(0o077)
    os.chdir(load.root)
    sys.argv = [load.file]


def _limit(limits: Limits, trace: int) -> None:
    """What the kernel enforces by itself; the host sees to the rest."""
    _lower(resource.RLIMIT_CORE, 0, 0)
    _lower(resource.RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + CPU_GRACE_SECONDS)
    _lower(resource.RLIMIT_FSIZE, FILE_LIMIT, FILE_LIMIT)
    faulthandler.enable(trace)
    faulthandler.register(signal.SIGXCPU, trace, all_threads=True, chain=True)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # if the machine runs out of memory, then this is what it can do without


def _lower(kind: int, soft: int, hard: int) -> None:
    """Set a limit, not above the one that is there."""
    allowed = resource.getrlimit(kind)[1]
    if allowed != resource.RLIM_INFINITY:
        soft, hard = min(soft, allowed), min(hard, allowed)
    resource.setrlimit(kind, (soft, hard))


def _readable(load: Load, hidden: tuple[str, ...]) -> Iterator[str]:
    """The system, the interpreter with its packages, the snapshot; nothing of what is hidden."""
    interpreter = {sys.prefix, sys.base_prefix, sys.exec_prefix, *filter(None, sys.path)}
    for path in {os.path.realpath(path) for path in (*SYSTEM, *RESOLVED, *interpreter, *load.readable, load.root)}:
        yield from landlock.around(path, hidden)


def _announce_exits(trace: int) -> None:
    """os._exit leaves no trace of its own: let it say where it was called."""
    process = os.getpid()

    def announced(status: int) -> Never:
        if os.getpid() == process:
            faulthandler.dump_traceback(trace, all_threads=False)
        _exit(status)

    os._exit = announced


# --- the file -----------------------------------------------------------------------------------------


def _frames(load: Load, watch: Watch, home: str, line: Line) -> Iterator[bytes]:
    """Execute the file; a frame for each workflow, then the report."""
    report: Report
    try:
        compat.install()  # once more, where this load's environment asks for another mode
        with looking_up(line.look_up):
            file = load_file(Path(load.root), load.file)
            for dag in file.dags.values():
                yield _spec_frame(load, _portable(spec_of(dag, file=load.file), load.root, home))
            yield frame(Kind.OPERATORS, load.nonce, msgspec.json.encode(operator_schemas(file.dags.values())))
        report = Loaded(watch.imports(), tuple(map(mask, file.warnings)))
    except BaseException as error:  # SystemExit and the like too: it is the file's
        report = describe_failure(error, load.root)
    yield frame(Kind.REPORT, load.nonce, encode_report(report))


def _spec_frame(load: Load, spec: WorkflowSpec) -> bytes:
    encoded = encode_spec(spec)
    if len(encoded) > MAX_FRAME:
        raise InvalidSpec(
            f"workflow {spec.workflow_id!r} takes {len(encoded) >> 20} MiB as data: {MAX_FRAME >> 20} MiB are the most",
            file=spec.source.file,
            line=spec.source.line,
        )
    return frame(Kind.SPEC, load.nonce, encoded)


def _portable(spec: WorkflowSpec, root: str, home: str) -> WorkflowSpec:
    """The spec without the paths of this load.

    A path of the snapshot (from `__file__`) would change with every snapshot and lead a later run to the
    files of an old one. Names stand in its place; and a task with such an argument takes it from the file.
    """
    names = [(_as_json(root), BUNDLE_ROOT.encode()), (_as_json(home), HOME.encode())]
    encoded = encode_spec(spec)
    if not any(path in encoded for path, _ in names):
        return spec
    tasks = tuple(_portable_task(task, names) for task in spec.tasks)
    encoded = encode_spec(msgspec.structs.replace(spec, tasks=tasks))
    return msgspec.json.decode(_replaced(encoded, names), type=WorkflowSpec)


def _portable_task(task: TaskSpec, names: list[tuple[bytes, bytes]]) -> TaskSpec:
    encoded = encode_task(task)
    if not any(path in encoded for path, _ in names):
        return task
    return msgspec.structs.replace(msgspec.json.decode(_replaced(encoded, names), type=TaskSpec), code=True)


def _replaced(encoded: bytes, names: list[tuple[bytes, bytes]]) -> bytes:
    for path, name in names:
        encoded = encoded.replace(path, name)
    return encoded


def _as_json(path: str) -> bytes:
    return msgspec.json.encode(path)[1:-1]


def _in_portions(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Frames joined into pieces that are worth a call."""
    waiting: list[bytes] = []
    size = 0
    for one in frames:
        waiting.append(one)
        size += len(one)
        if size >= SEND_AT:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)
