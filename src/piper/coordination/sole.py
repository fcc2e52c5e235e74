"""The only member: the process that serves a SQLite file owns every shard (correctness §2.2).

The file lock says which process that is; the kernel frees it when the process dies. The epochs rise with each
start, so that a process which was taken over while it stood still is refused by its fence when it goes on.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection

import piper
from piper.coordination.ownership import Ownership
from piper.model.errors import StoreUnavailable
from piper.model.member import Member
from piper.service import POLL_SECONDS, Clock, Wakeups
from piper.store import members, shards
from piper.store.database import Database, Fence
from piper.store.sqlite import LockFile, SqliteDriver

log = logging.getLogger(__name__)

KIND = "standalone"


class SoleOwner(Ownership):
    """This process, as the one that serves a SQLite file.

    Arguments:
        database: on SQLite.
    """

    def __init__(self, database: Database, *, clock: Clock, wakeups: Wakeups) -> None:
        super().__init__("sole-owner", wakeups.listen("sole-owner"))
        assert isinstance(database.driver, SqliteDriver)
        self._database = database
        self._clock = clock
        self._lock = LockFile(database.driver.path)
        self._superseded = False

    def join(self) -> None:
        holder = self._acquire()
        if holder is not None:
            raise StoreUnavailable(
                f"{self._lock.path.with_suffix('')} is served by process {holder}: stop that first. If it stands still "
                f"for good and cannot be stopped, start with --take-over"
            )
        self._take_all()

    def take_over(self) -> None:
        """Join although another process holds the file lock: it stands still, and its fence will refuse it.

        The lock is taken when that process ends.
        """
        holder = self._acquire()
        if holder is not None:
            log.warning("taking over from process %s, which holds %s", holder, self._lock.path)
        self._take_all()

    def leave(self) -> None:
        leaving = "" if self._superseded else self.member_id
        self._begin_term("")
        try:
            if leaving:
                with self._database.as_member(leaving) as connection:
                    members.end(connection, leaving)
        finally:
            self._lock.release()

    def fence(self) -> Fence | None:
        return None if self._superseded else self._term

    def forget(self, fence: Fence, shards: Collection[int]) -> None:
        if fence.owner == self.member_id and not self._superseded:
            self._superseded = True
            log.error("another process has taken over %s: this one writes no more and should be ended", self._lock.path)
        super().forget(fence, shards)

    def tick(self) -> float:
        """Get hold of the file lock after a take-over; and see whether another has taken over from this one.

        The fence would say so at the next write. But one that has nothing to write must not believe itself the owner,
        and be called healthy, until then.
        """
        self._acquire()
        term = self.fence()
        if term is not None and term.epochs:
            one = min(term.epochs)  # they are taken all at once
            with self._database.read() as connection:
                (found,) = shards.survey(connection, one, one)
            if (found.owner, found.epoch) != (term.owner, term.epochs[one]):
                self.forget(term, term.epochs)
        return POLL_SECONDS

    def _acquire(self) -> int | None:
        try:
            return self._lock.acquire()
        except OSError as error:
            raise StoreUnavailable(f"the lock file {self._lock.path} cannot be written: {error.strerror}") from error

    def _take_all(self) -> None:
        member_id = uuid.uuid4().hex
        at = self._clock.now()
        with self._database.as_member(member_id) as connection:
            self._refuse_other_coordination(shards.coordinator(connection), "sqlite")
            members.register(
                connection,
                Member(
                    member_id=member_id,
                    node_key=KIND,
                    kind=KIND,
                    version=piper.__version__,
                    started_at=at,
                    renewed_at=at,
                ),
            )
            epochs = shards.take_all(connection, member_id, at)
        self._begin_term(member_id)
        self._gain(epochs)
