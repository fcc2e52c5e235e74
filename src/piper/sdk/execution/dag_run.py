"""The run that a task belongs to, as user code sees it: `dag_run` in the context."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from piper.model import wire
from piper.model.spec import Json
from piper.model.states import RunState
from piper.sdk.execution.channel import Channel, ask_maybe
from piper.sdk.spelling import former_attribute


class DagRunType(str, Enum):  # noqa: UP042, a StrEnum would render as "manual", Airflow's as "DagRunType.MANUAL"
    """Why a run exists."""

    BACKFILL = "backfill"
    SCHEDULED = "scheduled"
    MANUAL = "manual"
    OPERATOR_TRIGGERED = "operator_triggered"
    ASSET_TRIGGERED = "asset_triggered"
    ASSET_MATERIALIZATION = "asset_materialization"


class DagRunState(str, Enum):  # noqa: UP042, as above
    """How far a run is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DagRun:
    """A run. Moments are aware datetimes in UTC."""

    dag_id: str
    run_id: str
    run_type: DagRunType
    state: DagRunState
    logical_date: datetime | None
    data_interval_start: datetime | None
    data_interval_end: datetime | None
    run_after: datetime
    start_date: datetime | None
    end_date: datetime | None
    queued_at: datetime | None
    conf: dict[str, Json] = field(default_factory=dict)
    clear_number: int = 0
    triggering_user_name: str | None = None
    note: str | None = None
    team_name: str | None = None
    partition_key: str | None = None
    partition_date: datetime | None = None
    consumed_asset_events: tuple[Any, ...] = ()

    def __getattr__(self, name: str) -> Any:
        return former_attribute(self, "DagRun", name)

    @staticmethod
    def of(run: wire.RunContext, team: str = "") -> DagRun:
        """The user's view of a run."""
        return DagRun(
            dag_id=run.workflow_id,
            run_id=run.run_id,
            run_type=DagRunType(run.run_type.value),
            state=DagRunState(run.state.value),
            logical_date=run.logical_date,
            data_interval_start=run.interval.start if run.interval else None,
            data_interval_end=run.interval.end if run.interval else None,
            run_after=run.run_after,
            start_date=run.started_at,
            end_date=run.ended_at,
            queued_at=run.queued_at,
            conf=run.conf,
            clear_number=run.clears,
            triggering_user_name=run.triggered_by or None,
            note=run.note or None,
            team_name=team or None,
        )


def previous_run(channel: Channel, state: str | None) -> wire.RunContext | None:
    """The run before this one by logical date; with a state, the last before it that ended so."""
    asked = wire.GetPreviousRun(RunState(state) if state else None)
    return ask_maybe(channel, asked, wire.RunContext)
