"""Names and numbers that identify things, and the rules they obey.

A run has a number, `Run.id`, given by the database. A task instance's number is *derived* from
it (`run number × 2^24 + ordinal`), so that a repeated decision asks for the same rows, one run's
instances lie together in the database, and no round trip is needed to learn an id.

Names: run ids are written by people and by schedules and travel through URLs, file names and
shells; the character sets here are what makes that safe (security.md §1, "command injection").
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

from piper.model.errors import InvalidName
from piper.model.states import RunType

SHARDS = 256
"""How many shares the workflows are cut into; fixed when a database is created."""

EXECUTOR_SHARD = -1
SERIALIZER_SHARD = -2
TRIGGERER_SHARD = -3
SINGLETON_SHARDS = (EXECUTOR_SHARD, SERIALIZER_SHARD, TRIGGERER_SHARD)
"""Negative shards: services of which one is the leader (architecture §7)."""

ORDINAL_BITS = 24
MAX_ORDINAL = (1 << ORDINAL_BITS) - 1

UNMAPPED = -1
"""`map_index` of an instance that is not one of a mapped task's, or not yet."""

WORKFLOW_ID_PATTERN = re.compile(r"[\w.-]{1,250}")
GROUP_ID_PATTERN = re.compile(r"[\w-]{1,200}")
_LOG_NAME = re.compile(r"(\d{1,7})-(\d{1,9})\.log", re.ASCII)
RUN_ID_PATTERN = re.compile(r"[A-Za-z0-9_.~:+-]{1,250}")


def shard_of(workflow_id: str) -> int:
    """The shard (0 ≤ shard < SHARDS) that owns a workflow, the same on every machine."""
    digest = hashlib.blake2b(workflow_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % SHARDS


def instance_id(run: int, ordinal: int) -> int:
    """The number of the `ordinal`-th task instance of run number `run`.

    Raises:
        ValueError: the run has more instances than 24 bits can count.
    """
    if not 0 <= ordinal <= MAX_ORDINAL:
        raise ValueError(f"a run has at most {MAX_ORDINAL + 1} task instances, not {ordinal + 1}")
    return (run << ORDINAL_BITS) | ordinal


def run_of(instance: int) -> int:
    """The run number of a task instance's number."""
    return instance >> ORDINAL_BITS


def instances_of(run: int) -> tuple[int, int]:
    """First and last possible instance number of a run: the range to scan for its instances."""
    return run << ORDINAL_BITS, (run << ORDINAL_BITS) | MAX_ORDINAL


def log_path(instance: int, try_number: int) -> str:
    """Where the log of an attempt lies in the log store: a folder per run, a file per attempt, no name in it."""
    return f"{log_folder(run_of(instance))}/{instance & MAX_ORDINAL}-{try_number}.log"


def log_folder(run: int) -> str:
    """The folder of the logs of a run's attempts, in the log store."""
    return str(run)


def attempt_of_log(run: int, name: str) -> tuple[int, int] | None:
    """(instance, try number) of a log in a run's folder, from its name; None if it is not one of an attempt."""
    match = _LOG_NAME.fullmatch(name)
    return (instance_id(run, int(match[1])), int(match[2])) if match else None


def check_workflow_id(value: object) -> str:
    """Return `value` if it may name a workflow or a task.

    Raises:
        InvalidName: it is not 1 to 250 letters, digits, `_`, `-` or `.`, or it is `.` or `..`, which URLs cannot carry.
    """
    if isinstance(value, str) and WORKFLOW_ID_PATTERN.fullmatch(value) and value.strip("."):
        return value
    raise InvalidName(f"{value!r} is not a valid id: use 1 to 250 letters, digits, '_', '-' or '.'")


def check_group_id(value: object) -> str:
    """Return `value` if it may name a task group.

    Raises:
        InvalidName: it is not 1 to 200 letters, digits, `_` or `-`.
    """
    if isinstance(value, str) and GROUP_ID_PATTERN.fullmatch(value):
        return value
    raise InvalidName(f"{value!r} is not a valid group id: use 1 to 200 letters, digits, '_' or '-'")


def check_run_id(value: object) -> str:
    """Return `value` if it may name a run.

    Raises:
        InvalidName: it has a character outside `A-Za-z0-9_.~:+-`, is longer than 250, or holds "..".
    """
    if isinstance(value, str) and RUN_ID_PATTERN.fullmatch(value) and ".." not in value:
        return value
    raise InvalidName(f"{value!r} is not a valid run id: use 1 to 250 of A-Za-z0-9_.~:+- and no '..'")


def run_id_for(run_type: RunType, moment: datetime, suffix: str = "") -> str:
    """The default run id: `<type>__<instant>[_<suffix>]`.

    Arguments:
        moment: the logical date, or the run-after moment of a run that has none.
        suffix: made by the caller for runs without a logical date, of which two may share an instant.
    """
    stamp = moment.astimezone(UTC).isoformat()
    return f"{run_type}__{stamp}_{suffix}" if suffix else f"{run_type}__{stamp}"
