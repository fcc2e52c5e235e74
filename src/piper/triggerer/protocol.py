"""What the service and its children say to each other: frames of MessagePack, and a few bytes of shared memory.

service → child    Begin, End, Answer
child → service    Over, Said, Ask, and a `wire.Report` when a trigger has fired or failed
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import NamedTuple

import msgspec
from msgspec import Struct

from piper.model.ids import UNMAPPED
from piper.model.run import Identity
from piper.model.spec import Json
from piper.model.wire import Answer, Report, Request

MAX_LOG = 256 << 10
"""Bytes of log that a child keeps for the service; what comes beyond while it does not read is left out."""

BUILT_IN = "piper.operators."
"""Where the classes of triggers lie that need no file of a user's."""


class Order(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a child is told in its arguments; nothing in it is secret."""

    control: int
    """Descriptor of its socket."""
    marks: int
    """Descriptor of the memory that it shares."""
    parent: int
    """Process id of the service."""
    root: str = ""
    """Folder of the snapshot; empty for a child of built-in triggers."""


class Wait(Struct, frozen=True, omit_defaults=True):
    """A trigger to run, and the task that waits for it."""

    identity: Identity
    class_path: str
    arguments: Json = None
    file: str = ""
    """Of the task's workflow: a class may be defined in there."""
    workflow_id: str = ""
    run_id: str = ""
    task_id: str = ""
    map_index: int = UNMAPPED


class Begin(Struct, frozen=True, tag="begin"):
    """Run these."""

    waits: tuple[Wait, ...]


class End(Struct, frozen=True, tag="end"):
    """Run these no more."""

    identities: tuple[Identity, ...]
    killed: bool = False
    """A person has ended the waiting tasks: what the triggers have started elsewhere is to be stopped, too."""


class Fired(Struct, frozen=True, tag="fired"):
    """A trigger has said something, or failed: what is to be reported for its task."""

    report: Report


class Over(Struct, frozen=True, tag="over"):
    """Nothing of this trigger runs any more."""

    identity: Identity


class Said(Struct, frozen=True, tag="said"):
    """Lines for the log of the attempt (`piper.logs.lines`)."""

    identity: Identity
    data: bytes


class Question(Struct, frozen=True, tag="question"):
    """Something that a trigger asks in the name of its task. The answer has the same number."""

    id: int
    identity: Identity
    request: Request


class Answered(Struct, frozen=True, tag="answered"):
    """What the Task API says to a question."""

    answer: Answer


ToChild = Begin | End | Answered
FromChild = Fired | Over | Said | Question

encode = msgspec.msgpack.Encoder().encode
decode_to_child = msgspec.msgpack.Decoder(ToChild).decode
decode_from_child = msgspec.msgpack.Decoder(FromChild).decode


class Mark(NamedTuple):
    """What the shared memory says."""

    beats: int
    """How often the loop has had its turn at its own business."""
    steps: int
    """How many steps of triggers have begun or ended."""
    instance: int
    """Whose step goes on, by instance, try and leg; all zero between steps."""
    try_number: int
    leg: int

    @property
    def identity(self) -> Identity | None:
        """Whose step goes on."""
        return Identity(self.instance, self.try_number, self.leg) if self.instance else None


class Marks:
    """The shared memory: written by one thread of the child, read by the service, also when the child is no more."""

    _FORM = struct.Struct("<QQqii")

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, self._FORM.size)
        self._beats = 0
        self._steps = 0

    @classmethod
    def make(cls) -> tuple[Marks, int]:
        """New memory, and the descriptor by which a child shares it."""
        descriptor = os.memfd_create("piper-triggers", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, cls._FORM.size)
        return cls(descriptor), descriptor

    def beat(self) -> None:
        """The loop has its turn."""
        self._beats += 1
        self.leave()

    def enter(self, identity: Identity) -> None:
        """A step of a trigger begins."""
        self._steps += 1
        self._FORM.pack_into(
            self._memory, 0, self._beats, self._steps, identity.instance, identity.try_number, identity.leg
        )

    def leave(self) -> None:
        """It has ended."""
        self._steps += 1
        self._FORM.pack_into(self._memory, 0, self._beats, self._steps, 0, 0, 0)

    def read(self) -> Mark:
        """What it says now."""
        return Mark._make(self._FORM.unpack_from(self._memory))

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
