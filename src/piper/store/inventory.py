"""Reads for pages about the installation: where code comes from, what people administer, who serves.

Lists work as in `piper.store.listings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from piper.store import schema
from piper.store.listings import AnyRow, Order, Page, Teams, Window, read_page, readable
from piper.store.schema import bundle, member, operator, pool, shard, source_file, variable
from piper.store.variables import SHARED

# --- where code comes from ----------------------------------------------------------------------

IMPORT_ERROR_ORDER = Order((source_file.c.bundle, source_file.c.path))
BUNDLE_ORDER = Order((bundle.c.name,))
OPERATOR_ORDER = Order((operator.c.path, operator.c.bundle))


def list_import_errors(connection: Connection, teams: Teams, bundle_name: str | None, window: Window) -> Page:
    """Files that could not be loaded, each with what was wrong."""
    statement = readable(select(source_file).where(source_file.c.error.is_not(None)), source_file.c.team, teams)
    if bundle_name is not None:
        statement = statement.where(source_file.c.bundle == bundle_name)
    return read_page(connection, statement, IMPORT_ERROR_ORDER, window)


def list_bundles(connection: Connection, teams: Teams, window: Window) -> Page:
    """Bundles, with how many files and workflows they hold and how many files are broken."""
    return read_page(connection, readable(_bundles(), bundle.c.team, teams), BUNDLE_ORDER, window)


def find_bundle(connection: Connection, name: str) -> AnyRow | None:
    """The bundle of that name, or None."""
    return connection.execute(_bundles().where(bundle.c.name == name)).one_or_none()


def _bundles() -> Select[Any]:
    def of_bundle(number: ColumnElement[Any], *conditions: ColumnElement[bool]) -> Any:
        return select(number).where(source_file.c.bundle == bundle.c.name, *conditions).scalar_subquery()

    return select(
        bundle,
        of_bundle(func.count()).label("files"),
        of_bundle(func.coalesce(func.sum(source_file.c.workflows), 0)).label("workflows"),
        of_bundle(func.count(), source_file.c.error.is_not(None)).label("broken"),
    )


def list_operators(connection: Connection, teams: Teams, search: str | None, window: Window) -> Page:
    """The catalogue of operators: Piper's own, which belong to no team, and those of the teams."""
    statement = _shared(select(operator), operator.c.team, teams)
    if search is not None:
        statement = statement.where(operator.c.path.icontains(search, autoescape=True))
    return read_page(connection, statement, OPERATOR_ORDER, window)


def operators_called(connection: Connection, name: str, teams: Teams) -> list[str]:
    """The dotted paths of operators whose class has this name."""
    statement = select(operator.c.path).distinct().where(operator.c.path.endswith(f".{name}", autoescape=True))
    statement = _shared(statement, operator.c.team, teams).order_by(operator.c.path).limit(3)
    return list(connection.execute(statement).scalars())


def find_operator(connection: Connection, path: str, teams: Teams) -> AnyRow | None:
    """The operator of that dotted path, or None. Of several bundles that have one, Piper's own or the first."""
    statement = _shared(select(operator).where(operator.c.path == path), operator.c.team, teams)
    return connection.execute(statement.order_by(operator.c.bundle).limit(1)).one_or_none()


# --- what people administer ---------------------------------------------------------------------

POOL_ORDER = Order((pool.c.name,))
VARIABLE_ORDER = Order((variable.c.key, variable.c.team))
CONNECTION_ORDER = Order((schema.connection.c.conn_id, schema.connection.c.team))


def list_pools(connection: Connection, teams: Teams, window: Window) -> Page:
    """Pools."""
    return read_page(connection, readable(select(pool), pool.c.team, teams), POOL_ORDER, window)


def list_variables(connection: Connection, teams: Teams, search: str | None, window: Window) -> Page:
    """Variables, without their values."""
    statement = _shared(_variables(), variable.c.team, teams)
    if search is not None:
        statement = statement.where(variable.c.key.icontains(search, autoescape=True))
    return read_page(connection, statement, VARIABLE_ORDER, window)


def find_variable(connection: Connection, team: str, key: str) -> AnyRow | None:
    """One variable, without its value, or None."""
    return connection.execute(_variables().where(variable.c.team == team, variable.c.key == key)).one_or_none()


def _variables() -> Select[Any]:
    return select(variable.c.team, variable.c.key, variable.c.description, variable.c.updated_at)


def list_connections(connection: Connection, teams: Teams, conn_type: str | None, window: Window) -> Page:
    """Connections, without their secrets; `has_secret` says whether there is one."""
    statement = _shared(_connections(), schema.connection.c.team, teams)
    if conn_type is not None:
        statement = statement.where(schema.connection.c.conn_type == conn_type)
    return read_page(connection, statement, CONNECTION_ORDER, window)


def find_connection(connection: Connection, team: str, conn_id: str) -> AnyRow | None:
    """One connection, without its secret, or None."""
    return connection.execute(
        _connections().where(schema.connection.c.team == team, schema.connection.c.conn_id == conn_id)
    ).one_or_none()


def _connections() -> Select[Any]:
    columns = [column for column in schema.connection.c if column.name != "secret"]
    return select(*columns, schema.connection.c.secret.is_not(None).label("has_secret"))


# --- the installation ---------------------------------------------------------------------------


def list_members(connection: Connection) -> Sequence[AnyRow]:
    """The members that are not dead, each with the number of shards it owns and those that make it a leader."""
    owned = (
        select(shard.c.owner, func.count().label("shards"), func.min(shard.c.shard).label("lowest"))
        .group_by(shard.c.owner)
        .subquery()
    )
    return connection.execute(
        select(member, func.coalesce(owned.c.shards, 0).label("shards"))
        .select_from(member.outerjoin(owned, owned.c.owner == member.c.member_id))
        .where(member.c.state != "dead")
        .order_by(member.c.kind, member.c.started_at, member.c.member_id)
    ).all()


def singleton_owners(connection: Connection) -> dict[int, str | None]:
    """Who leads the services of which there is one leader: negative shard → member id."""
    statement = select(shard.c.shard, shard.c.owner).where(shard.c.shard < 0)
    return {row[0]: row[1] for row in connection.execute(statement)}


def count_unowned_shards(connection: Connection) -> int:
    """Shards of workflows that nobody schedules at the moment."""
    statement = select(func.count()).where(and_(shard.c.shard >= 0, shard.c.owner.is_(None)))
    return connection.execute(statement).scalar_one()


def _shared(statement: Select[Any], column: ColumnElement[str], teams: Teams) -> Select[Any]:
    """Only rows of teams that the caller may read, and those that belong to all."""
    return statement if teams is None else statement.where(column.in_(teams | {SHARED}))
