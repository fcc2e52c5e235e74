"""What supervisor and zygote say to each other, one message per packet (SOCK_SEQPACKET) as MessagePack.

    supervisor → zygote   Fork, Signal, Leave
    zygote → supervisor   Loaded | LoadFailed once, then Forked, Ended, CannotFork

Descriptors travel with `Forked`: for each child its socket and the reading end of its log pipe.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

MAX_PACKET = 64 << 10

FAREWELL = -1
"""The id of an Ask with the last Report of a child: it exits after it (`wire.TELL` is that of one that goes on)."""


class Order(Struct, frozen=True):
    """What a zygote is to be, as JSON in its argument vector: nothing in it is secret."""

    control: int
    """Descriptor of its socket to the supervisor."""
    supervisor: int
    """Process id."""
    snapshots: str
    """Folder of all snapshots."""
    temporary: str
    """Folder in which each child gets one of its own."""
    snapshot: str = ""
    file: str = ""
    """To load, relative to the snapshot; empty for the zygote of no file."""
    nice: int = 0
    cgroup: str = ""
    """The folder of the cgroup to join; empty for none."""


class Fork(Struct, frozen=True, tag=0, array_like=True):
    """Fork so many children."""

    count: int


class Signal(Struct, frozen=True, tag=1, array_like=True):
    """Send a signal to a child's process group, if it has not ended."""

    pid: int
    number: int


ToZygote = Fork | Signal


class Loaded(Struct, frozen=True, tag=0, array_like=True):
    """The file is loaded and children can be asked for; unless `unfit` says why there can be none: each task has to
    load it in its own process. It need not be loaded to the end then."""

    unfit: str = ""


class LoadFailed(Struct, frozen=True, tag=1, array_like=True):
    """The file cannot be loaded; the zygote is about to exit."""

    error: str


class Forked(Struct, frozen=True, tag=2, array_like=True):
    """A child waits; its two descriptors come with this packet."""

    pid: int


class Ended(Struct, frozen=True, tag=3, array_like=True):
    """A child has ended and the rest of its process group has been killed; one of the two is not None."""

    pid: int
    exit_code: int | None
    signal: int | None


class CannotFork(Struct, frozen=True, tag=4, array_like=True):
    """The system refuses another process for now; it is tried again until it is granted."""

    error: str


FromZygote = Loaded | LoadFailed | Forked | Ended | CannotFork

encode = msgspec.msgpack.Encoder().encode
decode_to_zygote = msgspec.msgpack.Decoder(ToZygote).decode
decode_from_zygote = msgspec.msgpack.Decoder(FromZygote).decode
