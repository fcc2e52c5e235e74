"""pre: assets, who uses them, their events and who waits for them.

Revision 0003, after 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from piper.store import types

revision = "0003"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_table(
        "asset",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("extra", types.Json(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", types.Instant(), nullable=False),
        sa.Column("updated_at", types.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset")),
        sa.UniqueConstraint("team", "name", "uri", name=op.f("uq_asset_team_name_uri")),
    )
    op.create_index("ix_asset_team_uri", "asset", ["team", "uri"], unique=False)
    op.create_index(
        "uq_asset_active_name",
        "asset",
        ["team", "name"],
        unique=True,
        sqlite_where=sa.text("active"),
        postgresql_where=sa.text("active"),
    )
    op.create_index(
        "uq_asset_active_uri",
        "asset",
        ["team", "uri"],
        unique=True,
        sqlite_where=sa.text("active"),
        postgresql_where=sa.text("active"),
    )
    op.create_table(
        "asset_alias",
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("asset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("team", "alias", "asset", name=op.f("pk_asset_alias")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_asset_alias_asset", "asset_alias", ["asset"], unique=False)
    op.create_table(
        "asset_delivery",
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("event", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("asset", sa.BigInteger(), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("workflow_id", "event", name=op.f("pk_asset_delivery")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_asset_delivery_run",
        "asset_delivery",
        ["run"],
        unique=False,
        sqlite_where=sa.text("run IS NOT NULL"),
        postgresql_where=sa.text("run IS NOT NULL"),
    )
    op.create_index(
        "ix_asset_delivery_waiting",
        "asset_delivery",
        ["workflow_id", "asset"],
        unique=False,
        sqlite_where=sa.text("run IS NULL"),
        postgresql_where=sa.text("run IS NULL"),
    )
    op.create_table(
        "asset_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("asset", sa.BigInteger(), nullable=False),
        sa.Column("at", types.Instant(), nullable=False),
        sa.Column("extra", types.Json(), nullable=False),
        sa.Column("workflow_id", sa.Text(), server_default="", nullable=False),
        sa.Column("run_id", sa.Text(), server_default="", nullable=False),
        sa.Column("task_id", sa.Text(), server_default="", nullable=False),
        sa.Column("map_index", sa.Integer(), server_default="-1", nullable=False),
        sa.Column("partition_key", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset_event")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_asset_event_asset_at_id", "asset_event", ["asset", "at", "id"], unique=False)
    op.create_index("ix_asset_event_workflow_id_id", "asset_event", ["workflow_id", "id"], unique=False)
    op.create_table(
        "asset_event_alias",
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("event", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("team", "alias", "event", name=op.f("pk_asset_event_alias")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_asset_event_alias_event", "asset_event_alias", ["event"], unique=False)
    op.create_table(
        "asset_queue",
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("asset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event", sa.BigInteger(), nullable=False),
        sa.Column("at", types.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("workflow_id", "asset", name=op.f("pk_asset_queue")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "asset_reference",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset_reference")),
    )
    op.create_index("ix_asset_reference_workflow_id", "asset_reference", ["workflow_id"], unique=False)
    op.create_index("ix_asset_reference_team_name", "asset_reference", ["team", "name"], unique=False)
    op.create_index("ix_asset_reference_team_uri", "asset_reference", ["team", "uri"], unique=False)
