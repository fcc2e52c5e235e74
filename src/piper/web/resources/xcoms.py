"""XComs: values that tasks left for later tasks. They pass through as the bytes they are, never decoded here."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from piper.model.errors import NotFound
from piper.model.ids import UNMAPPED
from piper.model.nearest import nearest
from piper.store import listings
from piper.store.listings import AnyRow, Window
from piper.web.paging import CurrentPaging, Items
from piper.web.policy import Action, Kind, Permission
from piper.web.problems import Missing, TooLarge
from piper.web.resources.loading import AnyMapIndex, MapIndex, RunNumber, TaskId, load_run
from piper.web.routing import CurrentCall, Resource

READ = Permission(Action.READ, Kind.XCOM)
_LONGEST_VALUE = 16 << 20

resource = Resource("xcoms")


class XComView(BaseModel):
    """An XCom, without its value."""

    task_id: str
    key: str
    map_index: int
    length: int | None = Field(description="Elements, if it is a list or an object.")
    size: int | None = Field(description="Bytes of JSON, if it lies in the database.")
    stored: str = Field(description="`row`, or `artifact` if it is too long for one.")
    created_at: datetime


@resource.get("/runs/{run}/xcoms", READ)
def list_xcoms_of_run(
    call: CurrentCall,
    paging: CurrentPaging,
    run: RunNumber,
    task_id: Annotated[str | None, Query(max_length=250)] = None,
) -> Items[XComView]:
    """List the XComs of a run."""
    order = listings.XCOM_ORDER
    with call.parts.database.read() as connection:
        load_run(call, connection, run)
        found = listings.list_xcoms(connection, run, task_id, None, paging.window(order))
    return paging.page(found, order, _view)


@resource.get("/runs/{run}/tasks/{task_id}/xcoms", READ)
def list_xcoms_of_task(
    call: CurrentCall, paging: CurrentPaging, run: RunNumber, task_id: TaskId, map_index: AnyMapIndex = None
) -> Items[XComView]:
    """List the XComs of a task."""
    order = listings.XCOM_ORDER
    with call.parts.database.read() as connection:
        load_run(call, connection, run)
        found = listings.list_xcoms(connection, run, task_id, map_index, paging.window(order))
    return paging.page(found, order, _view)


@resource.get("/runs/{run}/tasks/{task_id}/xcoms/{key:path}", READ, response_class=Response)
def show_xcom(
    call: CurrentCall,
    run: RunNumber,
    task_id: TaskId,
    key: Annotated[str, Path(max_length=512)],
    map_index: MapIndex = UNMAPPED,
) -> Response:
    """Show the value of an XCom: JSON, just as the task left it."""
    with call.parts.database.read() as connection:
        load_run(call, connection, run)
        row = listings.find_xcom(connection, run, task_id, key, map_index)
        if row is None:
            others = listings.list_xcoms(connection, run, task_id, None, Window(100)).rows
            where = f"task {task_id!r} of run number {run}"
            raise Missing(f"{where} has no XCom {key!r}", nearest(key, [other.key for other in others]))
    value = row.value
    if value is None:
        if row.artifact is None:
            raise NotFound(f"the value of XCom {key!r} is not stored")
        size = call.parts.artifacts.size(row.artifact)
        if size > _LONGEST_VALUE:
            raise TooLarge(f"the value has {size} bytes, and {_LONGEST_VALUE} are shown at most: read it in a task")
        value = call.parts.artifacts.read(row.artifact)
    return Response(value, media_type="application/json")


def _view(row: AnyRow) -> XComView:
    return XComView(
        task_id=row.task_id,
        key=row.key,
        map_index=row.map_index,
        length=row.length,
        size=row.size,
        stored="row" if row.artifact is None else "artifact",
        created_at=row.created_at,
    )
