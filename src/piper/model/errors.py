"""Every error that Piper raises on purpose, as one tree; whose fault it is decides the branch.

    PiperError
    ├── AuthorError            the author of a workflow file or spec can mend it
    │   ├── InvalidName
    │   ├── InvalidSpec
    │   └── InvalidSchedule
    ├── CallerError            the person or program that made this call can mend it
    │   ├── NotFound
    │   ├── Conflict
    │   ├── Invalid
    │   └── Refused
    ├── StaleIdentity          a worker spoke for an execution that is no longer current
    └── SystemFault            the operator of this installation can mend it
        ├── InvalidSetting
        ├── FenceLost
        ├── GuardFailed
        ├── WrongSchema
        ├── StoreUnavailable
        └── AmbiguousCommit

A message says the value, whose fault it is, and what to do. What user code raises while it runs
(`piper.sdk.exceptions`) is not of this tree: those are Airflow's classes.
"""

from __future__ import annotations


class PiperError(Exception):
    """Anything that Piper itself raises."""


class AuthorError(PiperError):
    """A workflow file or spec is wrong; `file` and `line` say where, when known."""

    def __init__(self, message: str, *, file: str | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.file = file
        self.line = line


class InvalidName(AuthorError):
    """An id has characters or a length that names may not have."""


class InvalidSpec(AuthorError):
    """A workflow is not well formed: a cycle, a duplicate id, an unknown upstream, a wrong value."""


class InvalidSchedule(AuthorError):
    """A cron expression, time zone or interval cannot be understood."""


class CallerError(PiperError):
    """A call asks for what it may not or cannot have."""


class NotFound(CallerError):
    """The named object does not exist, or the caller may not know that it does."""


class Conflict(CallerError):
    """The object exists already, or is in a state that forbids the call."""


class Invalid(CallerError):
    """An argument of the call does not have the form it must have."""


class Refused(CallerError):
    """The caller may not do this."""


class StaleIdentity(PiperError):
    """The execution (instance, try, leg) that a worker speaks for is not the current one: end it."""


class SystemFault(PiperError):
    """The installation is at fault: its settings, its database, its disk."""


class InvalidSetting(SystemFault):
    """A setting is unknown or has a value that it may not have."""


class FenceLost(SystemFault):
    """Another member owns a shard that this transaction meant to write; `shards` are those lost."""

    def __init__(self, shards: frozenset[int]) -> None:
        super().__init__(f"no longer the owner of shards {sorted(shards)}")
        self.shards = shards


class GuardFailed(SystemFault):
    """A guarded update met another state than it was decided on; nothing was written."""


class WrongSchema(SystemFault):
    """The tables of the database are not those that this version of Piper works with."""


class StoreUnavailable(SystemFault):
    """The database cannot be reached or cannot write (locked, full, read-only); nothing was written.

    Arguments:
        message: for the operator of the installation.
        meaning: what is the matter with "the database …", without telling where it is: for callers.
    """

    def __init__(self, message: str, meaning: str = "cannot be used at the moment") -> None:
        super().__init__(message)
        self.meaning = meaning


class AmbiguousCommit(SystemFault):
    """The connection broke during COMMIT: the write may or may not have happened."""
