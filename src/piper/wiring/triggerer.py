"""A triggerer in a process of its own."""

from __future__ import annotations

import os

from piper.artifacts import ArtifactStore
from piper.coordination.membership import Membership
from piper.lane import Lane
from piper.logs import LogStore
from piper.model.errors import InvalidSetting
from piper.model.ids import TRIGGERER_SHARD
from piper.secrets import Keys
from piper.service import SystemClock, Wakeups
from piper.settings import Settings
from piper.store.database import Database
from piper.store.migrations import migrate
from piper.store.sealed import check_keys
from piper.task_api.api import TaskApi
from piper.task_api.tokens import Tokens
from piper.triggerer.desk import Desk
from piper.triggerer.service import TriggererService
from piper.wiring.told import trigger_options_of


class LoneTriggerer:
    """A triggerer in a process of its own: one of those on a PostgreSQL that wait for triggers, or stand by.

    It needs the PIPER_HOME of the system whose triggers it runs: its key, its snapshots, its logs.

    Raises:
        InvalidSetting: the database is SQLite, which one process serves.
    """

    def __init__(self, settings: Settings) -> None:
        self._database = Database(settings.database_url, pool_size=settings.database.pool_size)
        if self._database.sqlite:
            self._database.close()
            raise InvalidSetting(
                "`piper triggerer` needs a database that several processes share (database.url, PostgreSQL): on SQLite "
                "`piper standalone` waits for triggers itself"
            )
        home, clock, wakeups = settings.home, SystemClock(), Wakeups()
        self._keys = Keys.load(home / "secret.key")
        task_api = TaskApi(self._database, clock, self._keys, ArtifactStore(home / "artifacts"), wakeups)
        node = os.uname().nodename
        self._membership = Membership(
            self._database,
            kind="triggerer",
            node_key=f"{node}:{home}:alone",
            shards=[TRIGGERER_SHARD],
            clock=clock,
            wakeups=wakeups,
        )
        self._lane = Lane("triggers")
        self.triggerer = TriggererService(
            self._database,
            clock,
            wakeups,
            self._membership,
            desk=Desk(task_api.handle, Tokens(self._keys)),
            lane=self._lane,
            logs=LogStore(home / "logs", settings.worker.log_limit, f"triggerer-{node}"),
            **trigger_options_of(settings),
        )
        self._lane.host(self.triggerer)

    def start(self) -> None:
        """Join the others, and wait for triggers or stand by."""
        migrate(self._database)
        with self._database.read() as connection:
            check_keys(connection, self._keys)
        self._membership.start()
        self._lane.start()

    def stop(self) -> None:
        """Hand over."""
        self._lane.stop()
        self._membership.stop()
        self._database.close()
