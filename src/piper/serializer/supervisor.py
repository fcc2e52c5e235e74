"""Loads files in a host process, and believes nothing that comes back until it has been checked.

What a file may ask meanwhile, variables and connections, is answered here, within bounds: one question after another,
each a read by primary key. What is secret in an answer is masked in all that is kept of the load.

The loader is driven by one thread: `start` up to `free` loads, `wait` for outcomes, `close` when there is
nothing to load. It never blocks for longer than it is told to, whatever a file does: the host ends what
exceeds its limits, and if the host itself is silent for longer than that, it is ended too.
"""

from __future__ import annotations

import getpass
import logging
import os
import secrets
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Never

import msgspec

from piper import landlock, timetables
from piper.logs import Masker, secrets_in
from piper.model.check import check_workflow
from piper.model.errors import AuthorError, InvalidSpec, NotFound, StoreUnavailable, SystemFault
from piper.model.frames import FrameTooLong, framed
from piper.model.spec import decode_spec, encode_spec, spec_hash
from piper.model.wire import Answer, Lookup, Problem
from piper.serializer.outcomes import CheckedSpec, FailedFile, LoadedFile, Outcome, explain_end, place_in_trace
from piper.serializer.protocol import (
    MAX_FRAME,
    MAX_PACKET,
    MAX_QUESTION,
    MOST_QUESTIONS,
    NONCE_BYTES,
    READY,
    BadFrame,
    Ended,
    Failed,
    Frames,
    Kind,
    Limits,
    Load,
    Loaded,
    Question,
    Setup,
    Stop,
    decode_ended,
    decode_operators,
    decode_question,
    decode_report,
    encode,
)
from piper.task_api.problems import problem_of

log = logging.getLogger(__name__)

START_SECONDS = 30.0
"""For a host to be ready."""
SILENCE_SECONDS = 5.0
"""Beyond the limit of a load, after which its host is taken for dead."""
MOST_RESULTS = 512 << 20
"""Bytes of frames of one file."""
DEFAULT_LIMITS = Limits()
INHERITED = ("PATH", "LANG", "TZ")
"""The variables of this process that a load sees."""


def find_nothing(lookup: Lookup) -> Never:
    """What files look up where there is no database."""
    raise NotFound("there is no installation to ask")


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadRequest:
    """What to load, and what its bundle grants it."""

    root: Path
    file: str
    environment: Mapping[str, str] = field(default_factory=dict)
    readable: Sequence[str] = ()
    look_up: Callable[[Lookup], Any] = find_nothing
    """Answers what it asks. That the database is away is no answer: then loading it fails (StoreUnavailable)."""


@dataclass(slots=True)
class _Active:
    """A load that has been started."""

    id: int
    request: LoadRequest
    result: socket.socket
    frames: Frames
    deadline: float
    specs: dict[str, CheckedSpec] = field(default_factory=dict)
    operators: dict[str, Any] = field(default_factory=dict)
    report: Loaded | Failed | None = None
    received: int = 0
    questions: int = 0
    answers: bytearray = field(default_factory=bytearray)
    """Frames for which its socket had no room yet."""
    masker: Masker = field(default_factory=Masker)
    """Of what was secret in the answers."""
    refused: AuthorError | None = None
    """Why what it sent cannot be used."""
    unwanted: bool = False


class Loader:
    """Loads workflow files, at most `parallel` at a time.

    Arguments:
        hidden: folders of which no file may read anything but the root it is loaded from: PIPER_HOME.
        environment: variables that every load sees, besides those of its bundle.
        readable: what every load may read, besides what its bundle grants.
    """

    def __init__(
        self,
        *,
        limits: Limits = DEFAULT_LIMITS,
        parallel: int = 2,
        hidden: Sequence[Path] = (),
        environment: Mapping[str, str] = MappingProxyType({}),
        readable: Sequence[str] = (),
    ) -> None:
        self._limits = limits
        self._parallel = parallel
        self.hidden = tuple(hidden)
        self._environment = dict(environment)
        self._readable = tuple(readable)
        self._selector = selectors.DefaultSelector()
        self._host: subprocess.Popen[bytes] | None = None
        self._homes: tempfile.TemporaryDirectory[str] | None = None
        self._control: socket.socket | None = None
        self._active: dict[int, _Active] = {}
        self._suspects: deque[tuple[int, LoadRequest]] = deque()
        self._ids = 0

    @property
    def free(self) -> int:
        """How many loads may be started now."""
        return 0 if self._suspects else self._parallel - len(self._active)

    @property
    def busy(self) -> bool:
        """Whether outcomes are to come."""
        return bool(self._active or self._suspects)

    @property
    def host(self) -> int | None:
        """Process id of the host, if it runs."""
        return self._host.pid if self._host is not None else None

    def start(self, request: LoadRequest) -> int:
        """Begin to load a file. Returns the number under which its outcome will come.

        Raises:
            SystemFault: no host can be started.
        """
        self._ids += 1
        self._send_load(self._ids, request)
        return self._ids

    def stop(self, number: int) -> None:
        """End a load whose outcome is no longer wanted; none will come."""
        self._suspects = deque((n, request) for n, request in self._suspects if n != number)
        if number in self._active:
            self._active[number].unwanted = True
            self._send(Stop(number))

    def wait(self, timeout: float) -> list[tuple[int, Outcome]]:
        """The outcomes that come within `timeout` seconds; returns with the first ones.

        Raises:
            StoreUnavailable: what a file asks cannot be answered now. All that is being loaded should be given up.
        """
        outcomes: list[tuple[int, Outcome]] = []
        deadline = time.monotonic() + timeout
        while self.busy and not outcomes:
            if self._suspects and not self._active:
                self._send_load(*self._suspects.popleft())
            remaining = deadline - time.monotonic()
            for key, ready in self._selector.select(max(0.0, remaining)):
                if key.fileobj is self._control:
                    outcomes += self._listen()
                elif isinstance(key.data, _Active) and key.data.id in self._active:
                    if ready & selectors.EVENT_WRITE:
                        self._flush(key.data)
                    self._receive(key.data)
            if remaining <= 0:  # also when more has come: a file can ask without end
                break
        if any(time.monotonic() > active.deadline for active in self._active.values()):
            outcomes += self._give_up_host("was silent")
        return outcomes

    def close(self) -> None:
        """End the host and every load. The loader can be used again."""
        for active in self._active.values():
            active.result.close()
        self._active.clear()
        self._suspects.clear()
        self._selector.close()
        self._selector = selectors.DefaultSelector()
        if self._control is not None:
            self._control.close()  # which the host takes as the order to end all loads and itself
            self._control = None
        if self._host is not None:
            try:
                self._host.wait(SILENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self._host.kill()
                self._host.wait()
            if self._host.stderr is not None:
                self._host.stderr.close()
            self._host = None
        if self._homes is not None:
            self._homes.cleanup()
            self._homes = None

    # --- the host ---------------------------------------------------------------------------------

    def _send_load(self, number: int, request: LoadRequest) -> None:
        if self._control is None:
            self._control = self._start_host()
        nonce = secrets.token_bytes(NONCE_BYTES)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        deadline = time.monotonic() + self._limits.seconds + SILENCE_SECONDS
        active = _Active(number, request, ours, Frames(nonce), deadline)
        self._active[number] = active
        self._selector.register(ours, selectors.EVENT_READ, active)
        load = Load(
            id=number,
            root=str(request.root),
            file=request.file,
            nonce=nonce,
            environment={**self._environment, **request.environment},
            readable=(*self._readable, *request.readable),
        )
        with theirs:
            self._send(load, theirs)

    def _start_host(self) -> socket.socket:
        if landlock.version() == 0:
            log.warning("this kernel has no Landlock: a workflow file can read what %s can", getpass.getuser())
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._host = subprocess.Popen(
                [sys.executable, "-I", "-B", "-m", "piper.serializer.child", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={name: os.environ[name] for name in INHERITED if name in os.environ},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        ours.settimeout(START_SECONDS)
        try:
            if ours.recv(MAX_PACKET) != READY:
                raise SystemFault(f"the process that loads workflow files cannot start:\n{self._last_words()}")
        except SystemFault:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise SystemFault(f"the process that loads workflow files does not answer: {error}") from error
        ours.setblocking(False)
        self._selector.register(ours, selectors.EVENT_READ)
        self._control = ours
        self._homes = tempfile.TemporaryDirectory(prefix="piper-loads-", ignore_cleanup_errors=True)
        python_path = tuple(filter(os.path.isabs, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
        hidden = tuple(os.path.realpath(path) for path in self.hidden)
        self._send(Setup(self._limits, hidden, python_path, self._homes.name))
        return ours

    def _last_words(self) -> str:
        assert self._host is not None
        assert self._host.stderr is not None
        self._host.kill()
        return self._host.stderr.read(MAX_PACKET).decode(errors="replace")

    def _send(self, message: Setup | Load | Stop, result: socket.socket | None = None) -> None:
        """A host that is gone is found out by reading."""
        assert self._control is not None
        try:
            socket.send_fds(self._control, [encode(message)], [result.fileno()] if result is not None else [])
        except OSError as error:
            log.debug("the host could not be told %s: %s", type(message).__name__, error)

    def _listen(self) -> list[tuple[int, Outcome]]:
        assert self._control is not None
        try:
            packet = self._control.recv(MAX_PACKET)
        except BlockingIOError:
            return []
        except OSError:
            packet = b""
        if not packet:
            return self._give_up_host("died")
        ended = decode_ended(packet)
        active = self._active.get(ended.id)
        if active is None:
            return []
        while self._receive(active):
            pass
        self._forget(active)
        return [] if active.unwanted else [(ended.id, self._outcome(active, ended))]

    def _give_up_host(self, reason: str) -> list[tuple[int, Outcome]]:
        """The host is lost. The one load that it had is to blame; of several, each is tried again alone."""
        lost = [active for active in self._active.values() if not active.unwanted]
        suspects = self._suspects
        files = [active.request.file for active in lost]
        log.warning("the host of loads %s with %s: %s", reason, files or "nothing to do", self._last_words())
        self.close()
        if len(lost) == 1:
            self._suspects = suspects
            message = f"the process that loaded it {reason}"
            return [(lost[0].id, FailedFile(file=files[0], message=message, error_file=files[0]))]
        self._suspects = deque([*((active.id, active.request) for active in lost), *suspects])
        return []

    # --- results ----------------------------------------------------------------------------------

    def _receive(self, active: _Active) -> bool:
        """Take what a loading process has sent. False when there is nothing now, or nothing more to come."""
        if active.result.fileno() == -1:
            return False
        try:
            data = active.result.recv(1 << 20)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(active.result)
            active.result.close()
            return False
        if active.refused is None:
            self._take(active, data)
        return True

    def _take(self, active: _Active, data: bytes) -> None:
        active.received += len(data)
        try:
            if active.received > MOST_RESULTS:
                raise InvalidSpec(f"its workflows take more than {MOST_RESULTS >> 20} MiB as data")
            for kind, payload in active.frames.feed(data):
                self._take_frame(active, kind, payload)
        except AuthorError as error:
            self._refuse(active, error)
        except (BadFrame, msgspec.MsgspecError, RecursionError) as error:
            self._refuse(
                active, InvalidSpec(f"it wrote something else than workflows into the channel of its loader {error}")
            )

    def _take_frame(self, active: _Active, kind: Kind, payload: bytes) -> None:
        if kind is Kind.SPEC:
            spec = decode_spec(payload)
            check_workflow(spec, timetables.check)
            if spec.workflow_id in active.specs:
                first = active.specs[spec.workflow_id].spec.source
                raise InvalidSpec(
                    f"workflow id {spec.workflow_id!r} is used twice, also at {first.file}:{first.line}",
                    file=spec.source.file,
                    line=spec.source.line,
                )
            body = encode_spec(spec)
            active.specs[spec.workflow_id] = CheckedSpec(spec, body.decode(), spec_hash(body))
        elif kind is Kind.OPERATORS:
            active.operators.update(decode_operators(payload))
        elif kind is Kind.QUESTION:
            self._answer(active, payload)
        else:
            active.report = decode_report(payload)

    def _answer(self, active: _Active, payload: bytes) -> None:
        active.questions += 1
        if active.questions > MOST_QUESTIONS:
            raise InvalidSpec(
                f"it reads more than {MOST_QUESTIONS} variables and connections while it is loaded: read them in "
                "tasks, or keep them together as the JSON of one variable"
            )
        if len(payload) > MAX_QUESTION or len(active.answers) > MAX_FRAME:
            raise InvalidSpec(f"it asks for a name of {len(payload):,} bytes, or without waiting for the answers")
        question = decode_question(payload)
        answer = _answer_of(active, question)
        try:
            active.answers += framed(_encode_answer(answer))
        except FrameTooLong as error:
            answer = Answer(question.id, problem=Problem("too_large", f"the answer has {error}"))
            active.answers += framed(_encode_answer(answer))
        self._flush(active)

    def _flush(self, active: _Active) -> None:
        """Send what its socket has room for."""
        try:
            del active.answers[: active.result.send(active.answers)]
        except BlockingIOError:
            pass
        except OSError:  # it is gone, which reading tells
            active.answers.clear()
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if active.answers else 0)
        self._selector.modify(active.result, events, active)

    def _refuse(self, active: _Active, error: AuthorError) -> None:
        active.refused = error
        active.specs.clear()
        self._send(Stop(active.id))

    def _forget(self, active: _Active) -> None:
        del self._active[active.id]
        if active.result.fileno() != -1:
            self._selector.unregister(active.result)
            active.result.close()

    def _outcome(self, active: _Active, ended: Ended) -> Outcome:
        file, report, mask = active.request.file, active.report, active.masker.mask_text
        output = mask(ended.output.decode(errors="replace"))
        if active.refused is None and isinstance(report, Loaded):
            return LoadedFile(
                file=file,
                specs=tuple(active.specs.values()),
                imports=report.imports,
                operators=active.operators,
                warnings=(*map(mask, report.warnings), *_exposed(active)),
                seconds=ended.seconds,
                output=output,
                questions=active.questions,
            )
        trace = ""
        where, line = place_in_trace(ended.trace, str(active.request.root))
        if active.refused is not None:
            message = str(active.refused)
            where, line = (active.refused.file, active.refused.line) if active.refused.file else (where, line)
        elif isinstance(report, Failed):
            message, where, line, trace = report.message, report.file, report.line or None, report.traceback
        else:
            message = explain_end(ended, self._limits)
        return FailedFile(
            file=file,
            message=mask(message),
            traceback=mask(trace),
            error_file=where or file,
            line=line,
            seconds=ended.seconds,
            output=output,
            questions=active.questions,
        )


def _exposed(active: _Active) -> Iterator[str]:
    """Warnings of workflows that hold a secret which their file has read."""
    for one in active.specs.values():
        body = one.body.encode()
        if active.masker.mask(body) != body:
            place = f"{one.spec.source.file}:{one.spec.source.line}"
            yield (
                f"{place}: UserWarning: workflow {one.spec.workflow_id!r} holds a secret that its file has read (a "
                "password, or a variable with a telling name): definitions are neither encrypted nor masked. Read it "
                "in the task, or in a template"
            )


_encode_answer = msgspec.msgpack.Encoder().encode


def _answer_of(active: _Active, question: Question) -> Answer:
    try:
        result = active.request.look_up(question.lookup)
    except StoreUnavailable:
        raise
    except Exception as error:  # whatever is wrong with this one, the others can be loaded
        return Answer(question.id, problem=problem_of(error))
    active.masker.add(secrets_in(question.lookup, result))
    return Answer(question.id, result)
