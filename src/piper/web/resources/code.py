"""Where code comes from: bundles, files that could not be loaded, and the catalogue of operators."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field
from sqlalchemy import Connection
from starlette.responses import Response

from piper.model.errors import NotFound
from piper.store import commands, inventory
from piper.store.audit import Entry
from piper.store.listings import AnyRow
from piper.web.paging import CurrentPaging, Items
from piper.web.policy import Action, Kind, Permission
from piper.web.problems import Missing
from piper.web.routing import Call, CurrentCall, Resource
from piper.web.writes import Effect, write

READ_ERROR = Permission(Action.READ, Kind.IMPORT_ERROR)
READ_BUNDLE = Permission(Action.READ, Kind.BUNDLE)
RUN_BUNDLE = Permission(Action.RUN, Kind.BUNDLE)
READ_OPERATOR = Permission(Action.READ, Kind.OPERATOR)

resource = Resource("code")


class ImportErrorView(BaseModel):
    """A file that could not be loaded; what it defined before goes on."""

    bundle: str
    file: str
    team: str
    error: str
    error_file: str | None = Field(description="Where it went wrong, if not in the file itself.")
    error_line: int | None
    owners: list[str]
    failed_at: datetime | None


class BundleView(BaseModel):
    """A place that workflow files come from."""

    name: str
    team: str
    kind: str
    location: str
    snapshot: str | None
    refreshed_at: datetime | None
    files: int
    workflows: int
    broken: int = Field(description="Files that cannot be loaded.")
    error: str | None


class OperatorView(BaseModel):
    """An operator of the catalogue."""

    path: str = Field(description="Dotted path of its class.")
    bundle: str
    team: str


class OperatorDetails(OperatorView):
    """An operator, with the JSON Schema of its arguments."""

    schema_: Any = Field(serialization_alias="schema")


@resource.get("/import-errors", READ_ERROR)
def list_import_errors(
    call: CurrentCall, paging: CurrentPaging, bundle: Annotated[str | None, Query(max_length=250)] = None
) -> Items[ImportErrorView]:
    """List the files that cannot be loaded, each with what is wrong."""
    order = inventory.IMPORT_ERROR_ORDER
    with call.parts.database.read() as connection:
        found = inventory.list_import_errors(connection, call.teams(), bundle, paging.window(order))
    return paging.page(found, order, _error_view)


@resource.get("/bundles", READ_BUNDLE)
def list_bundles(call: CurrentCall, paging: CurrentPaging) -> Items[BundleView]:
    """List bundles."""
    order = inventory.BUNDLE_ORDER
    with call.parts.database.read() as connection:
        found = inventory.list_bundles(connection, call.teams(), paging.window(order))
    return paging.page(found, order, _bundle_view)


@resource.get("/bundles/{name}", READ_BUNDLE)
def show_bundle(call: CurrentCall, name: str) -> BundleView:
    """Show a bundle."""
    with call.parts.database.read() as connection:
        return _bundle_view(_load_bundle(call, connection, name))


@resource.post("/bundles/{name}/refresh", RUN_BUNDLE, response_model=BundleView, status_code=202)
def refresh_bundle(call: CurrentCall, name: str) -> Response:
    """Ask the serializer to look through a bundle now."""

    def ask(connection: Connection) -> Effect:
        row = _load_bundle(call, connection, name)
        commands.request_refresh(connection, name)
        entry = Entry(team=row.team, action="bundle.refresh", object_type="bundle", object_id=name)
        return Effect(status=202, reply=_bundle_view(row), entries=(entry,), wake=("serializer",))

    return write(call, ask).response()


@resource.get("/operators", READ_OPERATOR)
def list_operators(
    call: CurrentCall, paging: CurrentPaging, search: Annotated[str | None, Query(max_length=250)] = None
) -> Items[OperatorView]:
    """List the operators that workflows can be made of."""
    order = inventory.OPERATOR_ORDER
    with call.parts.database.read() as connection:
        found = inventory.list_operators(connection, call.teams(), search, paging.window(order))
    return paging.page(found, order, lambda row: OperatorView.model_validate(row, from_attributes=True))


@resource.get("/operators/{path}", READ_OPERATOR)
def show_operator(call: CurrentCall, path: str) -> OperatorDetails:
    """Show an operator, with the JSON Schema of its arguments."""
    with call.parts.database.read() as connection:
        row = inventory.find_operator(connection, path, call.teams())
        known = [] if row else inventory.operators_called(connection, path.rpartition(".")[2], call.teams())
    missing = Missing(f"there is no operator {path!r}: it goes by its dotted path", known)
    call.authorise(Kind.OPERATOR, path, row.team if row else None, missing)
    assert row is not None
    return OperatorDetails(path=row.path, bundle=row.bundle, team=row.team, schema_=row.schema)


def _load_bundle(call: Call, connection: Connection, name: str) -> AnyRow:
    row = inventory.find_bundle(connection, name)
    call.authorise(Kind.BUNDLE, name, row.team if row else None, NotFound(f"there is no bundle {name!r}"))
    assert row is not None
    return row


def _error_view(row: AnyRow) -> ImportErrorView:
    return ImportErrorView(
        bundle=row.bundle,
        file=row.path,
        team=row.team,
        error=row.error,
        error_file=row.error_file,
        error_line=row.error_line,
        owners=row.owners or [],
        failed_at=row.failed_at,
    )


def _bundle_view(row: AnyRow) -> BundleView:
    return BundleView.model_validate(row, from_attributes=True)
