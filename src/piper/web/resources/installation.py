"""The installation: who serves it, whether it is well, and its metrics."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from piper import __version__
from piper.model.errors import StoreUnavailable
from piper.model.ids import EXECUTOR_SHARD, SERIALIZER_SHARD, TRIGGERER_SHARD
from piper.store import gauges, inventory
from piper.store.database import ping
from piper.telemetry import REGISTRY
from piper.web.parts import WebParts
from piper.web.policy import Action, Kind, Permission
from piper.web.routing import PUBLIC, CurrentCall, Resource

READ_CLUSTER = Permission(Action.READ, Kind.CLUSTER)
READ_METRICS = Permission(Action.READ, Kind.METRICS)

resource = Resource("installation")
probes = Resource("probes")

_LEADERS = {EXECUTOR_SHARD: "executor", SERIALIZER_SHARD: "serializer", TRIGGERER_SHARD: "triggerer"}


class MemberView(BaseModel):
    """A process that serves this installation."""

    member_id: str
    node: str
    kind: str
    state: str
    version: str
    shards: int = Field(description="Shares of the workflows that it schedules, and services that it leads.")
    leads: list[str] = Field(description="Services of which there is one leader, and it is this one.")
    started_at: datetime
    renewed_at: datetime


class ClusterView(BaseModel):
    """The members of this installation."""

    members: list[MemberView]
    unowned_shards: int = Field(description="Shares of the workflows that nobody schedules at the moment.")


class ServiceView(BaseModel):
    """A service of the process that answers."""

    name: str
    running: bool
    failures: int = Field(description="Ticks in a row that failed.")
    quarantined: dict[str, int] = Field(
        description="Kind of thing → how many of them it cannot decide and has put aside; the log says which and why."
    )
    may_write: bool = Field(
        description="False after another process has taken over, and while this one gives no signs of life."
    )


class HealthView(BaseModel):
    """Whether the process that answers is well."""

    status: Literal["ok", "degraded"]
    version: str
    database: Literal["ok", "unavailable"]
    services: list[ServiceView]


@resource.get("/cluster", READ_CLUSTER)
def show_cluster(call: CurrentCall) -> ClusterView:
    """Show the members of this installation, what they own and what they lead."""
    call.authorise(Kind.CLUSTER, "cluster", "")
    with call.parts.database.read() as connection:
        rows = inventory.list_members(connection)
        leaders = inventory.singleton_owners(connection)
        unowned = inventory.count_unowned_shards(connection)
    members = [
        MemberView(
            member_id=row.member_id,
            node=row.node_key,
            kind=row.kind,
            state=row.state,
            version=row.version,
            shards=row.shards,
            leads=[name for number, name in _LEADERS.items() if leaders.get(number) == row.member_id],
            started_at=row.started_at,
            renewed_at=row.renewed_at,
        )
        for row in rows
    ]
    return ClusterView(members=members, unowned_shards=unowned)


@resource.get("/health", PUBLIC)
def show_health(call: CurrentCall) -> HealthView:
    """Show whether the process that answers is well."""
    return _health(call.parts)


@probes.get("/health/live", PUBLIC)
async def probe_live() -> dict[str, str]:
    """Answer while the process lives."""
    return {"status": "ok"}


@probes.get("/health", PUBLIC, include_in_schema=False)
@probes.get("/health/ready", PUBLIC, response_model=HealthView, responses={503: {"model": HealthView}})
def probe_ready(call: CurrentCall) -> Response:
    """Answer 200 when the process can serve: its database answers, its services run and may write; else 503."""
    health = _health(call.parts)
    return JSONResponse(health.model_dump(mode="json"), 200 if health.status == "ok" else 503)


@probes.get("/metrics", READ_METRICS, response_class=Response)
def show_metrics(call: CurrentCall) -> Response:
    """Show metrics in Prometheus' text format."""
    call.authorise(Kind.METRICS, "metrics", "")
    registry = CollectorRegistry()
    registry.register(_Readings(call.parts))
    return Response(
        generate_latest(REGISTRY) + generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )


def _health(parts: WebParts) -> HealthView:
    services = [
        ServiceView(
            name=service.name,
            running=service.running,
            failures=service.failures,
            quarantined=dict(service.quarantined),
            may_write=service.name not in parts.terms or parts.terms[service.name]() is not None,
        )
        for service in parts.services
    ]
    database: Literal["ok", "unavailable"] = "ok"
    try:
        ping(parts.database)
    except StoreUnavailable:
        database = "unavailable"
    well = database == "ok" and all(one.running and one.failures < 3 and one.may_write for one in services)
    return HealthView(status="ok" if well else "degraded", version=__version__, database=database, services=services)


class _Readings(Collector):
    """What is read when metrics are asked for (see `piper.telemetry`)."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        with self._parts.database.read() as connection:
            found = gauges.read_gauges(connection, self._parts.clock.now())
        yield _by_label("piper_workflows", "Workflows.", "state", found.workflows)
        yield _by_label("piper_runs", "Unfinished runs.", "state", found.runs)
        yield _by_label("piper_task_instances", "Task instances that want or hold something.", "state", found.instances)
        yield GaugeMetricFamily("piper_events_pending", "Events that no owner has applied yet.", found.events)
        yield GaugeMetricFamily("piper_event_oldest_seconds", "Age of the oldest of them.", found.oldest_event)
        yield GaugeMetricFamily("piper_import_errors", "Files that cannot be loaded.", found.import_errors)
        services = self._parts.services
        running = {service.name: int(service.running) for service in services}
        yield _by_label("piper_service_up", "Whether the service's thread runs.", "service", running)
        failures = {service.name: service.failures for service in services}
        yield _by_label("piper_service_failures", "Ticks in a row that failed.", "service", failures)
        aside = {kind: count for service in services for kind, count in service.quarantined.items()}
        yield _by_label("piper_quarantined", "What cannot be decided and is put aside.", "kind", aside)


def _by_label(name: str, text: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family
