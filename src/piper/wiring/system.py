"""Every service in one process, and the worker that it keeps running.

Services are started in the order in which they need one another and stopped in the opposite one: nobody writes any more
when the ownership is given up.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

import msgspec

from piper.artifacts import ArtifactStore
from piper.coordination.membership import Membership
from piper.coordination.ownership import Ownership
from piper.coordination.sole import SoleOwner
from piper.executor.local import LocalBackend
from piper.executor.service import ExecutorService
from piper.lane import Lane
from piper.logs import LogStore
from piper.model.ids import EXECUTOR_SHARD, SERIALIZER_SHARD, SHARDS, TRIGGERER_SHARD
from piper.model.run import Identity
from piper.model.spec import Json, decode_spec
from piper.model.states import RunType
from piper.model.wire import XComPush
from piper.scheduler.service import SchedulerService
from piper.secrets import Keys
from piper.serializer.bundles import Bundle
from piper.serializer.service import SerializerService
from piper.serializer.snapshots import SnapshotStore
from piper.service import SystemClock, Wakeups
from piper.settings import Settings, make_folder
from piper.store.alone import begin_alone
from piper.store.database import Database
from piper.store.migrations import migrate
from piper.store.runs import create_run
from piper.store.schedules import spec_bodies, workflows_by_id
from piper.store.sealed import check_keys
from piper.store.xcoms import XComKey, store_xcoms
from piper.task_api.api import TaskApi
from piper.task_api.tokens import Tokens
from piper.task_api.values import XComValues
from piper.timetables import manual_interval
from piper.triggerer.desk import Desk
from piper.triggerer.service import TriggererService
from piper.web.app import create_app
from piper.web.parts import WebParts
from piper.web.retention import Leftovers, Retention
from piper.web.server import WebServer
from piper.web.tokens import authenticator, ensure_token
from piper.wiring.told import WORKER, loader_of, trigger_options_of, worker_settings_of
from piper.worker.launch import end_worker, launch

log = logging.getLogger(__name__)

SWITCH_SECONDS = 0.0005
"""How long a busy thread keeps the others waiting: with Python's 5 ms a hop between services takes 15 ms."""


class Part(Protocol):
    """Anything that is started and stopped."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class GivenXCom:
    """A value that a task is to find, as if another had left it."""

    task_id: str
    key: str
    map_index: int
    value: bytes
    """JSON text."""


class System:
    """Everything on one machine, in one process and the worker that it keeps running.

    Arguments:
        bundles: where workflow files come from.
        take_over: start although another process, which stands still, holds this PIPER_HOME.
        by_time: follow schedules; otherwise workflows run only when they are triggered.
    """

    def __init__(
        self, settings: Settings, bundles: Sequence[Bundle], *, take_over: bool = False, by_time: bool = True
    ) -> None:
        self.settings = settings
        home = settings.home
        make_folder(home, "PIPER_HOME")
        self._take_over = take_over
        self._clock = SystemClock()
        self._wakeups = Wakeups()
        self.token = ensure_token(settings.token_file)
        self._keys = keys = Keys.load(home / "secret.key")
        self._database = Database(
            settings.database_url,
            synchronous=settings.database.synchronous,
            pool_size=settings.database.pool_size,
        )
        self._ownerships = self._make_ownerships()
        self._artifacts = artifacts = ArtifactStore(home / "artifacts")
        snapshots = SnapshotStore(home)
        task_api = TaskApi(self._database, self._clock, keys, artifacts, self._wakeups)
        self._lane = Lane("engine")
        self._backend = LocalBackend(
            self._database,
            self._clock,
            task_api.handle,
            partial(launch, worker_settings_of(settings), {**os.environ, **settings.for_files}),
            WORKER,
            settings.executor.parallelism,
            self._ownerships["executor"],
            self._wakeups,
            self._lane,
        )
        self.executor = ExecutorService(
            self._database, self._clock, Tokens(keys), self._backend, self._ownerships["executor"], self._wakeups
        )
        self.scheduler = SchedulerService(
            self._database,
            self._ownerships["scheduler"],
            self._clock,
            self._wakeups,
            self._cancel,
            by_time=by_time,
        )
        self._lane.host(self.scheduler, self.executor)
        self._triggers_lane = Lane("triggers")
        self.triggerer = TriggererService(
            self._database,
            self._clock,
            self._wakeups,
            self._ownerships["triggerer"],
            desk=Desk(task_api.handle, Tokens(keys)),
            lane=self._triggers_lane,
            logs=LogStore(home / "logs", settings.worker.log_limit, "triggerer"),
            **trigger_options_of(settings),
        )
        self._triggers_lane.host(self.triggerer)
        self.serializer = SerializerService(
            self._database,
            self._ownerships["serializer"],
            self._clock,
            self._wakeups,
            bundles=bundles,
            snapshots=snapshots,
            loader=loader_of(settings),
            keys=keys,
            paused=settings.core.paused_at_creation,
            scan_seconds=settings.serializer.scan_interval.total_seconds(),
        )
        logs = LogStore(home / "logs", settings.worker.log_limit, "web")
        self.web = WebServer(
            create_app(
                WebParts(
                    database=self._database,
                    wakeups=self._wakeups,
                    clock=self._clock,
                    settings=settings,
                    authenticate=authenticator(self.token),
                    logs=logs,
                    artifacts=artifacts,
                    snapshots=snapshots.trees,
                    keys=keys,
                    services=(self.scheduler, self.executor, self.triggerer, self.serializer),
                    terms={name: ownership.fence for name, ownership in self._ownerships.items()},
                )
            ),
            settings,
        )
        leftovers = Leftovers(self._database, self._clock, artifacts, logs)
        self._retention = Retention(self._database, self._clock, settings.web.idempotency_retention, leftovers)
        self._started: list[Part] = []

    @property
    def address(self) -> str:
        """`http://host:port` of the web server, once started."""
        return self.web.address

    def start(self) -> None:
        """Start every part. If one cannot start, those before it are stopped again.

        Raises:
            StoreUnavailable: the database cannot be used, or another process serves this PIPER_HOME.
            InvalidSetting: the web server's address cannot be listened on.
        """
        sys.setswitchinterval(SWITCH_SECONDS)
        try:
            self._join()
            for part in (self._lane, self._backend, self._triggers_lane, self.serializer, self._retention, self.web):
                part.start()
                self._started.append(part)
        except BaseException:
            self.stop()
            raise
        # What has been imported and built by now stays: a collection need not look at it again, and pauses are short.
        gc.collect()
        gc.freeze()

    def stop(self) -> None:
        """Stop every part that was started, the last first. Does nothing the second time."""
        while self._started:
            part = self._started.pop()
            try:
                part.stop()
            except Exception:
                log.exception("%s did not stop in order", type(part).__name__)
        self._database.close()

    def execute(
        self,
        workflow_id: str,
        task_id: str,
        map_index: int,
        logical_date: datetime,
        conf: Mapping[str, Json],
        xcoms: Sequence[GivenXCom],
    ) -> int:
        """See `piper.wiring.instance.Instance.execute`."""
        now = self._clock.now()
        values = XComValues(self._artifacts)
        put = [(given, values.put(XComPush(given.key, given.value, _length(given.value)))) for given in xcoms]
        with self._database.write() as connection:
            found = workflows_by_id(connection, [workflow_id])[workflow_id]
            spec = decode_spec(spec_bodies(connection, [found.spec_hash])[found.spec_hash])
            run = create_run(
                connection,
                workflow_id=workflow_id,
                run_type=RunType.MANUAL,
                now=now,
                logical_date=logical_date,
                interval=manual_interval(spec.schedule.timetable, logical_date),
                run_after=now,
                conf=conf,
            )
            keyed = [(XComKey(run.id, given.task_id, given.key, given.map_index), stored) for given, stored in put]
            store_xcoms(connection, keyed, now)
            begin_alone(connection, run, spec, task_id, map_index, now)
        self._wakeups.notify("scheduler")
        self._wakeups.notify("executor")
        return run.id

    def _make_ownerships(self) -> dict[str, Ownership]:
        """Who says what this process owns: one for all on SQLite, one for each role on PostgreSQL."""
        if self._database.sqlite:
            sole = SoleOwner(self._database, clock=self._clock, wakeups=self._wakeups)
            return {"scheduler": sole, "executor": sole, "serializer": sole, "triggerer": sole}
        shards: dict[str, Collection[int]] = {
            "scheduler": range(SHARDS),
            "executor": [EXECUTOR_SHARD],
            "serializer": [SERIALIZER_SHARD],
            "triggerer": [TRIGGERER_SHARD],
        }
        node = f"{os.uname().nodename}:{self.settings.home}"
        return {
            kind: Membership(
                self._database, kind=kind, node_key=node, shards=owned, clock=self._clock, wakeups=self._wakeups
            )
            for kind, owned in shards.items()
        }

    def _join(self) -> None:
        """Have a database that is up to date and ours, and own of it what there is to own."""
        for ownership in dict.fromkeys(self._ownerships.values()):
            # Tables first, since ownership is rows; and no process changes tables while another holds the lock.
            migrate(self._database)
            if self._take_over and isinstance(ownership, SoleOwner):
                ownership.take_over()
                end_worker(worker_settings_of(self.settings))
            ownership.start()
            self._started.append(ownership)
        with self._database.read() as connection:
            check_keys(connection, self._keys)

    def _cancel(self, identities: Collection[Identity]) -> None:
        self.executor.cancel(list(identities), "no longer wanted")


def _length(value: bytes) -> int | None:
    """Elements of a JSON list or object; None of any other value."""
    decoded = msgspec.json.decode(value)
    return len(decoded) if isinstance(decoded, list | dict) else None
