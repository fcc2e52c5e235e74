"""What Alembic executes to run revisions: on the connection it is given, in the transaction that is open."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy import BigInteger, TypeDecorator

from piper.store.schema import metadata


def _render(kind: str, item: Any, _autogen: Any) -> str | Literal[False]:
    """How a draft writes the column types of `store.types`: as the plain types that they are stored as."""
    if kind == "type" and isinstance(item, TypeDecorator):
        if type(item).__name__ == "Enum":
            return "sa.Text()"
        return f"types.{type(item).__name__}()"
    if kind == "type" and type(item) is BigInteger and item._variant_mapping:
        return 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")'
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_item=_render,
    compare_server_default=True,
)
context.run_migrations()
