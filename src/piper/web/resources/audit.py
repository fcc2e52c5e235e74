"""The audit: who did what, and whether the record is whole."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, Field

from piper.store import audit as store
from piper.store.audit import AUDIT_ORDER, AuditFilter
from piper.store.listings import AnyRow
from piper.web.paging import CurrentPaging, Items
from piper.web.policy import Action, Kind, Permission
from piper.web.routing import CurrentCall, Resource

READ = Permission(Action.READ, Kind.AUDIT)

resource = Resource("audit")

Text = Annotated[str | None, Query(max_length=500)]


class AuditView(BaseModel):
    """One call that changed something."""

    team: str
    seq: int
    at: datetime
    principal: str
    action: str
    object_type: str
    object_id: str
    detail: dict[str, Any]
    previous: str = Field(description="Hash of the row before it in its team's chain.")
    hash: str


class ChainView(BaseModel):
    """What verification found of the chain of one team."""

    team: str
    rows: int = Field(description="Rows that fit.")
    head: str = Field(description="Hash of the last of them: keep it elsewhere, and compare.")
    intact: bool
    broken_at: int | None = Field(description="`seq` of the first row that does not fit.")


@resource.get("/audit", READ)
def search_audit(
    call: CurrentCall,
    paging: CurrentPaging,
    principal: Text = None,
    action: Annotated[str | None, Query(max_length=100, description="An action, or how it begins: `run.`.")] = None,
    object_type: Text = None,
    object_id: Text = None,
    since: AwareDatetime | None = None,
    until: Annotated[AwareDatetime | None, Query(description="Exclusive.")] = None,
) -> Items[AuditView]:
    """Search the audit, newest first."""
    wanted = AuditFilter(
        principal=principal, action=action, object_type=object_type, object_id=object_id, since=since, until=until
    )
    with call.parts.database.read() as connection:
        found = store.search(connection, call.teams(), wanted, paging.window(AUDIT_ORDER))
    return paging.page(found, AUDIT_ORDER, _view)


@resource.get("/audit/chains", READ)
def verify_audit(call: CurrentCall) -> list[ChainView]:
    """Verify the chain of every team from its beginning."""
    with call.parts.database.read() as connection:
        chains = store.verify(connection, call.teams())
    return [
        ChainView(
            team=chain.team,
            rows=chain.rows,
            head=chain.head,
            intact=chain.broken_at is None,
            broken_at=chain.broken_at,
        )
        for chain in chains
    ]


def _view(row: AnyRow) -> AuditView:
    return AuditView.model_validate(row, from_attributes=True)
