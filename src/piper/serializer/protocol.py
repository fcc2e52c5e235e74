"""What supervisor, host and loading process say to each other.

    supervisor → host      Setup once, then Load (with a socket for the results) and Stop
    host → supervisor      READY once; Ended, when nothing of a load is left alive
    loading process → supervisor, on the socket of its load: frames
    supervisor → loading process, on the same socket: a `wire.Answer` to each QUESTION, as a frame of `model.frames`

The first two travel as one MessagePack message per packet. A frame is a header (length of the payload,
the nonce of this load, kind) and a payload; a process that dies, or lets something else write to its
socket, cannot be taken for one that has loaded its file, since only REPORT, under the right nonce, ends it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum, StrEnum

import msgspec
from msgspec import Struct

from piper.model.spec import Json
from piper.model.wire import Lookup

MAX_FRAME = 32 << 20
"""Bytes of payload."""
NONCE_BYTES = 16
MOST_QUESTIONS = 1000
"""Variables and connections that one file may read while it is loaded: the serializer has others to serve."""
MAX_QUESTION = 4 << 10
"""Bytes of a question."""
MAX_PACKET = 160 << 10
"""Bytes of a message between supervisor and host; the output that is kept of a load must fit in."""

BUNDLE_ROOT = "$bundle"
HOME = "$home"
"""What stands in a spec for the folder of the snapshot and for the temporary home of the load: both change
from load to load, and a spec shall only change when its author changed it."""


class Limits(Struct, frozen=True, kw_only=True):
    """What loading one file may take."""

    seconds: float = 30.0
    cpu_seconds: int = 20
    memory: int = 512 << 20
    """Resident bytes of all its processes."""
    processes: int = 64
    output: int = 16 << 20
    """Bytes printed; the first `kept_output` of them are kept."""
    kept_output: int = 64 << 10


class Setup(Struct, frozen=True, tag="setup"):
    """For a host, once: what holds for all its loads."""

    limits: Limits
    hidden: tuple[str, ...]
    """Absolute true paths beneath which nothing may be read: PIPER_HOME."""
    python_path: tuple[str, ...]
    """Where modules are looked for besides: the PYTHONPATH of the supervisor, as tasks have it too."""
    homes: str
    """A folder for the temporary homes of loads; the supervisor removes it."""


class Load(Struct, frozen=True, tag="load"):
    """Load `file` (relative) of the tree at `root` (absolute, true path)."""

    id: int
    root: str
    file: str
    nonce: bytes
    environment: dict[str, str]
    readable: tuple[str, ...]


class Stop(Struct, frozen=True, tag="stop"):
    """End a load: its result is no longer wanted."""

    id: int


class Excess(StrEnum):
    """Why a host ended a load."""

    NONE = ""
    SECONDS = "seconds"
    MEMORY = "memory"
    PROCESSES = "processes"
    OUTPUT = "output"
    UNWANTED = "unwanted"


class Ended(Struct, frozen=True, kw_only=True):
    """A load is over, and its processes are gone."""

    id: int
    exit_code: int | None = None
    signal: int | None = None
    excess: Excess = Excess.NONE
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    output: bytes = b""
    trace: bytes = b""
    """What faulthandler wrote: where the process was when it was ended."""


READY = b"ready"

ToHost = Setup | Load | Stop


class Kind(IntEnum):
    """What a frame carries."""

    SPEC = 1
    """One `WorkflowSpec`, as JSON."""
    OPERATORS = 2
    """Operator path → its schema, as JSON."""
    REPORT = 3
    """A `Loaded` or a `Failed`; the last frame."""
    QUESTION = 4
    """A `Question`, which waits for its answer."""


class Question(Struct, frozen=True, array_like=True):
    """The file wants to know something while it is loaded."""

    id: int
    lookup: Lookup


class Loaded(Struct, frozen=True, tag="loaded"):
    """All specs have been sent."""

    imports: tuple[str, ...] = ()
    """Paths, relative to the root, that the load read, listed (with `/` at the end) or looked for in vain."""
    warnings: tuple[str, ...] = ()
    """`file:line: Category: message`."""


class Failed(Struct, frozen=True, tag="failed", omit_defaults=True):
    """The file raised."""

    message: str
    traceback: str = ""
    file: str = ""
    line: int = 0


Report = Loaded | Failed

_HEADER = struct.Struct(f">I{NONCE_BYTES}sB")
_KINDS = frozenset(Kind)
_to_host: msgspec.msgpack.Decoder[ToHost] = msgspec.msgpack.Decoder(ToHost)
_ended = msgspec.msgpack.Decoder(Ended)
_report: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)
_operators = msgspec.json.Decoder(dict[str, Json])
_question = msgspec.msgpack.Decoder(Question)


class BadFrame(Exception):
    """The socket of a load carries something that is no frame of it."""


class Frames:
    """Cuts what comes from the socket of one load into frames."""

    def __init__(self, nonce: bytes) -> None:
        self._nonce = nonce
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Kind, bytes]]:
        """The frames that are complete with `data`.

        Raises:
            BadFrame: this cannot be a frame of this load.
        """
        self._rest += data
        start = 0
        while len(self._rest) - start >= _HEADER.size:
            length, nonce, kind = _HEADER.unpack_from(self._rest, start)
            if nonce != self._nonce or kind not in _KINDS or length > MAX_FRAME:
                raise BadFrame
            payload = start + _HEADER.size
            if len(self._rest) < payload + length:
                break
            start = payload + length
            yield Kind(kind), bytes(self._rest[payload:start])
        del self._rest[:start]


def frame(kind: Kind, nonce: bytes, payload: bytes) -> bytes:
    """One frame. The payload is at most MAX_FRAME bytes: its maker sees to that, and says who made it too long."""
    return _HEADER.pack(len(payload), nonce, kind) + payload


def encode(message: ToHost | Ended | Question) -> bytes:
    """A message between supervisor and host; the payload of a QUESTION."""
    return msgspec.msgpack.encode(message)


def decode_to_host(data: bytes) -> ToHost:
    """A message from the supervisor."""
    return _to_host.decode(data)


def decode_ended(data: bytes) -> Ended:
    """A message from the host. Raises msgspec.MsgspecError."""
    return _ended.decode(data)


def encode_report(report: Report) -> bytes:
    """The payload of a REPORT."""
    return msgspec.json.encode(report)


def decode_report(payload: bytes) -> Report:
    """The report of a loading process. Raises msgspec.MsgspecError."""
    return _report.decode(payload)


def decode_operators(payload: bytes) -> dict[str, Json]:
    """Operator path → schema. Raises msgspec.MsgspecError."""
    return _operators.decode(payload)


def decode_question(payload: bytes) -> Question:
    """What a loading process asks. Raises msgspec.MsgspecError."""
    return _question.decode(payload)
