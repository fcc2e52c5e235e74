"""The one place that knows every part: composes services into a process, and hosts them.

`standalone` hosts all of them on one machine. Services are started in the order in which they need one another and
stopped in the opposite one: nobody writes any more when the ownership is given up.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from piper.artifacts import ArtifactStore
from piper.coordination.membership import Membership
from piper.coordination.ownership import Ownership
from piper.coordination.sole import SoleOwner
from piper.executor.local import LocalBackend
from piper.executor.service import ExecutorService
from piper.lane import Lane
from piper.logs import LogStore
from piper.model.errors import InvalidSetting
from piper.model.ids import EXECUTOR_SHARD, SERIALIZER_SHARD, SHARDS, TRIGGERER_SHARD
from piper.model.run import Identity
from piper.scheduler.service import SchedulerService
from piper.secrets import Keys
from piper.serializer.bundles import Bundle
from piper.serializer.once import load_once
from piper.serializer.outcomes import FailedFile
from piper.serializer.protocol import Limits
from piper.serializer.service import SerializerService
from piper.serializer.snapshots import SnapshotStore
from piper.serializer.supervisor import Loader
from piper.service import SystemClock, Wakeups
from piper.settings import Settings
from piper.store.database import Database
from piper.store.migrations import migrate
from piper.store.sealed import check_keys
from piper.task_api.api import TaskApi
from piper.task_api.tokens import Tokens
from piper.triggerer.desk import Desk
from piper.triggerer.service import TriggererService
from piper.web.app import create_app
from piper.web.parts import WebParts
from piper.web.retention import Leftovers, Retention
from piper.web.server import WebServer
from piper.web.tokens import authenticator, ensure_token
from piper.worker.environment import task_environment
from piper.worker.launch import launch
from piper.worker.settings import WorkerSettings

log = logging.getLogger(__name__)

SWITCH_SECONDS = 0.0005
"""How long a busy thread keeps the others waiting: with Python's 5 ms a hop between services takes 15 ms."""

WORKER = "local"
"""The name of the worker that a system keeps running on its own machine."""

LOADED_WITHIN = 120.0
"""Seconds that `piper run` waits for its file to be loaded; the loader's own limit is far shorter."""


class Part(Protocol):
    """Anything that is started and stopped."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


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
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
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
        artifacts = ArtifactStore(home / "artifacts")
        snapshots = SnapshotStore(home)
        task_api = TaskApi(self._database, self._clock, keys, artifacts, self._wakeups)
        self._lane = Lane("engine")
        self._backend = LocalBackend(
            self._database,
            self._clock,
            task_api.handle,
            partial(launch, _worker_settings(settings), {**os.environ, **settings.for_files}),
            WORKER,
            settings.executor.parallelism,
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
            **_of_triggers(settings),
        )
        self._triggers_lane.host(self.triggerer)
        self.serializer = SerializerService(
            self._database,
            self._ownerships["serializer"],
            self._clock,
            self._wakeups,
            bundles=bundles,
            snapshots=snapshots,
            loader=_loader(settings),
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
            ownership.start()
            self._started.append(ownership)
        with self._database.read() as connection:
            check_keys(connection, self._keys)

    def _cancel(self, identities: Collection[Identity]) -> None:
        self.executor.cancel(list(identities), "no longer wanted")


class Instance:
    """A throw-away system for one file (`piper run FILE`)."""

    def __init__(self, settings: Settings, file: Path) -> None:
        bundle = Bundle(
            name="run",
            team=settings.core.team,
            folder=file.parent,
            only=(file.name,),
            environment=_visible_environment(),
        )
        self._system = System(settings, [bundle], by_time=False)

    @property
    def address(self) -> str:
        """Of its web server."""
        return self._system.address

    @property
    def token(self) -> str:
        """That its web server wants."""
        return self._system.token

    def start(self) -> None:
        """Serve; returns when the file has been loaded, well or not."""
        self._system.start()
        deadline = time.monotonic() + LOADED_WITHIN
        while not self._system.serializer.settled and time.monotonic() < deadline:
            time.sleep(0.005)

    def stop(self) -> None:
        """End every task and service."""
        self._system.stop()


def run_standalone(settings: Settings, *, take_over: bool = False) -> None:
    """Serve everything on this machine until told to stop (SIGTERM, Ctrl-C)."""
    settings.dags.mkdir(mode=0o700, parents=True, exist_ok=True)
    bundle = Bundle(
        name="dags",
        team=settings.core.team,
        folder=settings.dags,
        reload_interval=settings.serializer.reload_interval,
    )
    system = System(settings, [bundle], take_over=take_over)
    _serve_until_told(system, lambda: f"Piper serves {settings.dags} at {system.address} (home {settings.home})")


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
            **_of_triggers(settings),
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


def _of_triggers(settings: Settings) -> dict[str, Any]:
    """What every triggerer is told."""
    return {
        "snapshots": SnapshotStore(settings.home).trees,
        "environment": task_environment({**os.environ, **settings.for_files}),
        "patience": settings.triggerer.block_limit.total_seconds(),
    }


def run_service(name: str, settings: Settings) -> None:
    """Serve one role alone. All but the triggerer come with installations on several machines."""
    if name == "triggerer":
        _serve_until_told(LoneTriggerer(settings), lambda: f"Piper waits for triggers (home {settings.home})")
        return
    raise InvalidSetting(
        f"`piper {name}` alone needs a database and a task queue that several machines share, which this version "
        "does not have yet: use `piper standalone`"
    )


def _serve_until_told(part: Part, words: Callable[[], str]) -> None:
    """Start, say so, and stop at SIGTERM or Ctrl-C."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    part.start()
    try:
        print(words(), file=sys.stderr, flush=True)
        stopping.wait()
    finally:
        part.stop()


@dataclass(frozen=True, slots=True)
class Finding:
    """What `piper validate` found of one file."""

    file: str
    workflows: tuple[str, ...] = ()
    error: str = ""
    error_file: str = ""
    error_line: int | None = None
    warnings: tuple[str, ...] = ()
    """`file:line: category: message`."""


def validate(settings: Settings, paths: Sequence[Path]) -> list[Finding]:
    """Load these files, and the workflow files in these folders, and say what they define or what is wrong."""
    findings = []
    for path in paths:
        top = path if path.is_dir() else path.parent
        for outcome in load_once(path, _loader(settings)):
            file = str(top / outcome.file)
            if isinstance(outcome, FailedFile):
                where = str(top / outcome.error_file) if outcome.error_file else ""
                findings.append(Finding(file, (), outcome.text, where, outcome.line))
            else:
                warnings = tuple(f"{top / warning}" for warning in outcome.warnings)
                findings.append(Finding(file, tuple(outcome.ids), warnings=warnings))
    return findings


def _loader(settings: Settings) -> Loader:
    told = settings.serializer
    return Loader(
        limits=Limits(
            seconds=told.time_limit.total_seconds(),
            cpu_seconds=round(told.cpu_limit.total_seconds()),
            memory=told.memory_limit,
            output=told.output_limit,
        ),
        parallel=told.processes,
        hidden=[settings.home],
        environment=settings.for_files,
        readable=[str(settings.plugins)] if settings.plugins else [],
    )


def _worker_settings(settings: Settings) -> WorkerSettings:
    told, home = settings.worker, settings.home
    return WorkerSettings(
        name=WORKER,
        home=str(home),
        logs=str(home / "logs"),
        snapshots=str(home / "snapshots"),
        slots=settings.executor.parallelism,
        grace=told.kill_grace.total_seconds(),
        memory_limit=told.memory_limit,
        log_cap=told.log_limit,
        idle_zygote=told.zygote_idle.total_seconds(),
    )


def _visible_environment() -> dict[str, str]:
    """What a file that a person runs by hand may see of that person's environment."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PIPER_")}
