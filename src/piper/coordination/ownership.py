"""What services ask of coordination, whichever kind it is."""

from __future__ import annotations

import logging
import threading
from abc import abstractmethod
from collections.abc import Collection, Mapping
from types import MappingProxyType

from piper.model.errors import AmbiguousCommit, StoreUnavailable, WrongSchema
from piper.service import Service, Signal
from piper.store.database import Fence

log = logging.getLogger(__name__)

_NOTHING: Mapping[int, int] = MappingProxyType({})


class Ownership(Service):
    """The shards that this process owns, kept up to date in a thread of its own.

    A service asks for `fence()` before each transaction, narrows it to the shards it touches, and writes under
    it (`Database.fenced`). It begins nothing while the answer is None. When the set of `epochs` has changed it
    loads what is new and drops what is gone; a shard with a new epoch is both.
    """

    def __init__(self, name: str, signal: Signal) -> None:
        super().__init__(name, signal)
        self._term = Fence("", _NOTHING)
        self._changing = threading.Lock()

    @abstractmethod
    def join(self) -> None:
        """Become a member; what this process owns comes with the ticks after it.

        Raises:
            StoreUnavailable: the database cannot be used, or another process has it.
            WrongSchema: this kind of coordination is not the one of this installation.
        """

    @abstractmethod
    def leave(self) -> None:
        """End the membership, so that others may claim its shards at once. Does nothing when not a member.

        Services that write under the fence are stopped first: what they have not committed is lost.
        """

    @abstractmethod
    def fence(self) -> Fence | None:
        """The present term over all owned shards; None while nothing may be begun."""

    @property
    def member_id(self) -> str:
        """The id of the present membership; empty before `join`."""
        return self._term.owner

    @property
    def epochs(self) -> Mapping[int, int]:
        """The owned shards with the epoch of each. A value: it changes by being replaced."""
        return self._term.epochs

    def forget(self, fence: Fence, shards: Collection[int]) -> None:
        """Own these no longer in the term of `fence`: it has turned out to be lost (`FenceLost.shards`)."""
        self._lose({shard: fence.epochs[shard] for shard in shards if shard in fence.epochs})
        self.signal.set()

    def start(self) -> None:
        """Join, then begin ticking. Raises as `join`."""
        if not self.member_id:
            self.join()
        super().start()

    def on_stop(self) -> None:
        try:
            self.leave()
        except (StoreUnavailable, AmbiguousCommit) as error:
            log.warning("%s: this member ends without a word, others will notice by its silence: %s", self.name, error)

    def _refuse_other_coordination(self, found: str, mine: str) -> None:
        if found != mine:
            raise WrongSchema(f"the members of this installation are coordinated by {found}, not by {mine}")

    def _begin_term(self, owner: str) -> None:
        with self._changing:
            self._term = Fence(owner, _NOTHING)

    def _gain(self, epochs: Mapping[int, int]) -> None:
        with self._changing:
            self._term = Fence(self._term.owner, MappingProxyType({**self._term.epochs, **epochs}))

    def _lose(self, epochs: Mapping[int, int]) -> None:
        with self._changing:
            kept = {shard: epoch for shard, epoch in self._term.epochs.items() if epochs.get(shard) != epoch}
            self._term = Fence(self._term.owner, MappingProxyType(kept))
