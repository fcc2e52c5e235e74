"""Loads files in a host process, and believes nothing that comes back until it has been checked.

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
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from piper import landlock
from piper.model.errors import SystemFault
from piper.serializer.loads import ActiveLoad, LoadRequest
from piper.serializer.outcomes import FailedFile, Outcome
from piper.serializer.protocol import (
    MAX_PACKET,
    NONCE_BYTES,
    READY,
    Frames,
    Limits,
    Load,
    Setup,
    Stop,
    decode_ended,
    encode,
)

log = logging.getLogger(__name__)

START_SECONDS = 30.0
"""For a host to be ready."""
SILENCE_SECONDS = 5.0
"""Beyond the limit of a load, after which its host is taken for dead."""
DEFAULT_LIMITS = Limits()
INHERITED = ("PATH", "LANG", "TZ")
"""The variables of this process that a load sees."""


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
        self._active: dict[int, ActiveLoad] = {}
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
                elif isinstance(key.data, ActiveLoad) and key.data.id in self._active:
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
        active = ActiveLoad(number, request, ours, Frames(nonce), deadline)
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
        return [] if active.unwanted else [(ended.id, active.outcome(ended, self._limits))]

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

    def _receive(self, active: ActiveLoad) -> bool:
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
            if not active.take(data):
                self._send(Stop(active.id))
            self._flush(active)
        return True

    def _flush(self, active: ActiveLoad) -> None:
        """Send what its socket has room for."""
        try:
            del active.answers[: active.result.send(active.answers)]
        except BlockingIOError:
            pass
        except OSError:  # it is gone, which reading tells
            active.answers.clear()
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if active.answers else 0)
        self._selector.modify(active.result, events, active)

    def _forget(self, active: ActiveLoad) -> None:
        del self._active[active.id]
        if active.result.fileno() != -1:
            self._selector.unregister(active.result)
            active.result.close()
