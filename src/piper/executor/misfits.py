"""Says which scheduled tasks no grant can ever reach: they want more slots than their pool has, or a pool that is not.

They wait, as in Airflow, since a person can change the pool; but silently they would wait for ever.
"""

from __future__ import annotations

import logging

from piper.store.database import Database
from piper.store.pools import Misfit, misfits

log = logging.getLogger(__name__)

PERIOD_SECONDS = 60.0
SHOWN = 20


def report_misfits(database: Database, known: frozenset[Misfit]) -> frozenset[Misfit]:
    """Log those that are not `known` yet; returns all there are now, up to SHOWN."""
    with database.read() as connection:
        found = frozenset(misfits(connection, SHOWN))
    for misfit in sorted(found - known):
        log.warning("%s", explanation(misfit))
    return found


def explanation(misfit: Misfit) -> str:
    """What is the matter with a task, for people."""
    who = f"task {misfit.task_id!r} of run {misfit.run}"
    if misfit.slots is None:
        return f"{who} waits for pool {misfit.pool!r}, which does not exist: create it, or change the task"
    return (
        f"{who} wants {misfit.wanted} slots of pool {misfit.pool!r}, which has {misfit.slots}: "
        "enlarge the pool, or change the task"
    )
