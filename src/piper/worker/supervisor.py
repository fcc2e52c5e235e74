"""The supervisor: one loop between the server and the processes that run tasks.

Everything that it knows of an execution is in one `Execution`, moved along by what the server, the
zygotes and the children say. What is to be sent to the server is gathered for the length of one round
of the loop, and goes out as one frame.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import msgspec
from msgspec import Raw, Struct

from piper.logs import LogStore
from piper.model.events import Lost
from piper.model.run import Identity
from piper.model.spec import Isolation
from piper.model.wire import (
    TELL,
    Answer,
    Ask,
    Call,
    Cancel,
    Dispatch,
    GetConnection,
    GetVariable,
    Heartbeat,
    Mask,
    Problem,
    Report,
    Request,
    Start,
)
from piper.worker import cgroup, processes
from piper.worker.children import Child
from piper.worker.executions import (
    Execution,
    Stage,
    completed,
    decode_grant,
    masked,
    report_of_end,
    secrets_of,
)
from piper.worker.frames import FrameTooLong
from piper.worker.limits import (
    LATE_SECONDS,
    MEMORY_FIRST_SECONDS,
    excess_of,
    next_look,
)
from piper.worker.poller import Link, Poller
from piper.worker.register import Head, Register, Row
from piper.worker.settings import WorkerSettings, three_quarters_of_memory
from piper.worker.zygotes import NO_CODE, Nursery, Zygote

HEARTBEAT_SECONDS = 2.0
CONTACT_SECONDS = 8.0
"""Without an answer for so long, the server is about to declare our executions lost: end them first (I7)."""

ROUND_SECONDS = 0.25
"""How often deadlines and memory are looked at while something runs."""

RETRY_SECONDS = 0.25
"""After which a call is repeated that the server could not do."""

WARM_EXECUTIONS = 1000
"""After so many a warm child is replaced: what tasks leak does not grow for ever."""


class RawReply(Struct, frozen=True, array_like=True):
    """`wire.Reply` whose result is handed on as it came."""

    id: int
    result: Raw = Raw(b"\xc0")  # null
    problem: Problem | None = None


class RawAnswer(Struct, frozen=True, array_like=True):
    """`wire.Answer`, likewise."""

    id: int
    result: Raw
    problem: Problem | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode_from_server = msgspec.msgpack.Decoder(Dispatch | Cancel | list[RawReply]).decode
_decode_from_child = msgspec.msgpack.Decoder(Ask).decode
_decode_identities = msgspec.msgpack.Decoder(tuple[Identity, ...] | None).decode
_NULL = Raw(b"\xc0")


class Pending(Struct):
    """A call that the server has not answered."""

    call: Call
    execution: Execution | None = None
    child: Child | None = None
    question: int = TELL
    """The child's own number for it."""
    sent: float = 0.0
