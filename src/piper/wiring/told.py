"""What the settings mean to parts that do not know of settings."""

from __future__ import annotations

import os
from typing import Any

from piper.serializer.protocol import Limits
from piper.serializer.snapshots import SnapshotStore
from piper.serializer.supervisor import Loader
from piper.settings import Settings
from piper.worker.environment import lookups_in, task_environment
from piper.worker.settings import WorkerSettings


def loader_of(settings: Settings) -> Loader:
    """What loads files."""
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
        environment={**lookups_in(os.environ), **settings.for_files},
        readable=[str(settings.plugins)] if settings.plugins else [],
    )


WORKER = "local"
"""The name of the worker that a system keeps running on its own machine."""


def worker_settings_of(settings: Settings) -> WorkerSettings:
    """What the local worker is told."""
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


def trigger_options_of(settings: Settings) -> dict[str, Any]:
    """What every triggerer is told."""
    return {
        "snapshots": SnapshotStore(settings.home).trees,
        "environment": task_environment({**os.environ, **settings.for_files}),
        "patience": settings.triggerer.block_limit.total_seconds(),
    }
