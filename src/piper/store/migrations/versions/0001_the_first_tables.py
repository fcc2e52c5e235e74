"""the first tables.

Revision 0001: from empty.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from piper.store import types

revision = "0001"
down_revision = None
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
    op.create_table(
        "attempt",
        sa.Column("instance", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("try_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("legs", sa.Integer(), server_default="1", nullable=False),
        sa.Column("worker", sa.Text(), server_default="", nullable=False),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("queued_at", types.Instant(), nullable=True),
        sa.Column("started_at", types.Instant(), nullable=True),
        sa.Column("ended_at", types.Instant(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("signal", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("inputs", types.Json(), nullable=True),
        sa.Column("outputs", types.Json(), nullable=True),
        sa.Column("parameters", types.Json(), nullable=True),
        sa.Column("metrics", types.Json(), nullable=True),
        sa.Column("environment", types.Json(), nullable=True),
        sa.Column("rendered", types.Json(), nullable=True),
        sa.PrimaryKeyConstraint("instance", "try_number", name=op.f("pk_attempt")),
    )
    op.create_index(
        "ix_attempt_open",
        "attempt",
        ["worker"],
        unique=False,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "audit",
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", types.Instant(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object_type", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("detail", types.Json(), nullable=True),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("team", "seq", name=op.f("pk_audit")),
    )
    op.create_table(
        "backfill",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("from_date", types.Instant(), nullable=False),
        sa.Column("to_date", types.Instant(), nullable=False),
        sa.Column("reprocess", sa.Text(), nullable=False),
        sa.Column("backwards", sa.Boolean(), nullable=False),
        sa.Column("max_active_runs", sa.Integer(), nullable=False),
        sa.Column("conf", types.Json(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("spec_hash", sa.Text(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("bundle", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("first_date", types.Instant(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("cursor", types.Instant(), nullable=True),
        sa.Column("created", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rerun", sa.Integer(), server_default="0", nullable=False),
        sa.Column("existed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("in_flight", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", types.Instant(), nullable=False),
        sa.Column("created_by", sa.Text(), server_default="", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("ended_at", types.Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backfill")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_backfill_unended",
        "backfill",
        ["shard"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("ix_backfill_workflow_id", "backfill", ["workflow_id"], unique=False)
    op.create_index(
        "uq_backfill_active",
        "backfill",
        ["workflow_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('creating', 'running')"),
        postgresql_where=sa.text("state IN ('creating', 'running')"),
    )
    op.create_table(
        "bundle",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=True),
        sa.Column("refreshed_at", types.Instant(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_bundle")),
    )
    op.create_table(
        "connection",
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("conn_id", sa.Text(), nullable=False),
        sa.Column("conn_type", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("host", sa.Text(), nullable=True),
        sa.Column("login", sa.Text(), nullable=True),
        sa.Column("schema", sa.Text(), nullable=True),
        sa.Column("port", sa.Integer(), nullable=True),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("updated_at", types.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("team", "conn_id", name=op.f("pk_connection")),
    )
    op.create_table(
        "coordination",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("cluster_uid", sa.Text(), nullable=False),
        sa.Column("shards", sa.Integer(), nullable=False),
        sa.Column("coordinator", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_coordination")),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", types.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_index("ix_event_shard_id", "event", ["shard", "id"], unique=False)
    op.create_table(
        "idempotency",
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", types.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("principal", "key", name=op.f("pk_idempotency")),
    )
    op.create_table(
        "member",
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("node_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("centre", sa.Text(), server_default="", nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("renew_seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("started_at", types.Instant(), nullable=False),
        sa.Column("renewed_at", types.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("member_id", name=op.f("pk_member")),
    )
    op.create_index(
        "uq_member_kind_node_key",
        "member",
        ["kind", "node_key"],
        unique=True,
        sqlite_where=sa.text("state <> 'dead'"),
        postgresql_where=sa.text("state <> 'dead'"),
    )
    op.create_table(
        "operator",
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("bundle", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), server_default="", nullable=False),
        sa.Column("schema", types.Json(), nullable=False),
        sa.PrimaryKeyConstraint("path", "bundle", name=op.f("pk_operator")),
    )
    op.create_table(
        "pool",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("include_deferred", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_pool")),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("run_type", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("logical_date", types.Instant(), nullable=True),
        sa.Column("interval_start", types.Instant(), nullable=True),
        sa.Column("interval_end", types.Instant(), nullable=True),
        sa.Column("run_after", types.Instant(), nullable=False),
        sa.Column("spec_hash", sa.Text(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("bundle", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("conf", types.Json(), nullable=False),
        sa.Column("backfill", sa.BigInteger(), nullable=True),
        sa.Column("next_ordinal", sa.Integer(), server_default="0", nullable=False),
        sa.Column("clears", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", types.Instant(), nullable=False),
        sa.Column("queued_at", types.Instant(), nullable=True),
        sa.Column("started_at", types.Instant(), nullable=True),
        sa.Column("ended_at", types.Instant(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("triggered_by", sa.Text(), server_default="", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint("workflow_id", "logical_date", name=op.f("uq_run_workflow_id_logical_date")),
        sa.UniqueConstraint("workflow_id", "run_id", name=op.f("uq_run_workflow_id_run_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_run_active",
        "run",
        ["shard", "workflow_id"],
        unique=False,
        sqlite_where=sa.text("state IN ('queued', 'running')"),
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_index(
        "ix_run_backfill",
        "run",
        ["backfill", "state"],
        unique=False,
        sqlite_where=sa.text("backfill IS NOT NULL"),
        postgresql_where=sa.text("backfill IS NOT NULL"),
    )
    op.create_index("ix_run_workflow_id_run_after", "run", ["workflow_id", "run_after"], unique=False)
    op.create_table(
        "shard",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("epoch", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("changed_at", types.Instant(), nullable=True),
        sa.PrimaryKeyConstraint("shard", name=op.f("pk_shard")),
    )
    op.create_table(
        "snapshot",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("bundle", sa.Text(), nullable=False),
        sa.Column("manifest", types.Json(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", types.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_snapshot")),
    )
    op.create_table(
        "source_file",
        sa.Column("bundle", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("imports", types.Json(), nullable=False),
        sa.Column("loaded_at", types.Instant(), nullable=True),
        sa.Column("load_seconds", sa.Float(), nullable=True),
        sa.Column("workflows", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("error_file", sa.Text(), nullable=True),
        sa.Column("error_line", sa.Integer(), nullable=True),
        sa.Column("owners", types.Json(), nullable=True),
        sa.Column("failed_at", types.Instant(), nullable=True),
        sa.Column("reload_at", types.Instant(), nullable=True),
        sa.PrimaryKeyConstraint("bundle", "path", name=op.f("pk_source_file")),
    )
    op.create_table(
        "spec",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_spec")),
    )
    op.create_table(
        "task_instance",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("try_number", sa.Integer(), nullable=False),
        sa.Column("leg", sa.Integer(), nullable=False),
        sa.Column("max_tries", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due", types.Instant(), nullable=True),
        sa.Column("result_length", sa.Integer(), nullable=True),
        sa.Column("decision", types.Json(), nullable=True),
        sa.Column("resume", types.Json(), nullable=True),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("code", sa.Boolean(), nullable=False),
        sa.Column("isolation", sa.Text(), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("pool_slots", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("backfill", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), server_default="", nullable=False),
        sa.Column("callback", types.Json(), nullable=True),
        sa.Column("scheduled_at", types.Instant(), nullable=True),
        sa.Column("queued_at", types.Instant(), nullable=True),
        sa.Column("started_at", types.Instant(), nullable=True),
        sa.Column("ended_at", types.Instant(), nullable=True),
        sa.Column("start_nonce", sa.Text(), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_instance")),
        sa.UniqueConstraint("run", "task_id", "map_index", name=op.f("uq_task_instance_run_task_id_map_index")),
    )
    op.create_index(
        "ix_task_instance_deferred",
        "task_instance",
        ["pool"],
        unique=False,
        sqlite_where=sa.text("state = 'deferred'"),
        postgresql_where=sa.text("state = 'deferred'"),
    )
    op.create_index(
        "ix_task_instance_held",
        "task_instance",
        ["state"],
        unique=False,
        sqlite_where=sa.text("state IN ('queued', 'running')"),
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_index(
        "ix_task_instance_scheduled",
        "task_instance",
        ["pool", "team", "backfill", sa.literal_column("priority DESC"), "id"],
        unique=False,
        sqlite_where=sa.text("state = 'scheduled'"),
        postgresql_where=sa.text("state = 'scheduled'"),
    )
    op.create_table(
        "variable",
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("updated_at", types.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("team", "key", name=op.f("pk_variable")),
    )
    op.create_table(
        "trigger",
        sa.Column("instance", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("try_number", sa.Integer(), nullable=False),
        sa.Column("leg", sa.Integer(), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("class_path", sa.Text(), nullable=False),
        sa.Column("arguments", types.Json(), nullable=True),
        sa.Column("bundle", sa.Text(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("deadline", types.Instant(), nullable=True),
        sa.Column("created_at", types.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("instance", name=op.f("pk_trigger")),
    )
    op.create_table(
        "workflow",
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("bundle", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("spec_hash", sa.Text(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("stale", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("display_name", sa.Text(), server_default="", nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("owner", sa.Text(), server_default="", nullable=False),
        sa.Column("tags", types.Json(), nullable=False),
        sa.Column("schedule_summary", sa.Text(), server_default="", nullable=False),
        sa.Column("max_active_runs", sa.Integer(), nullable=False),
        sa.Column("last_dates", types.Json(), nullable=True),
        sa.Column("next_dates", types.Json(), nullable=True),
        sa.Column("next_run_after", types.Instant(), nullable=True),
        sa.Column("planned_spec", sa.Text(), server_default="", nullable=False),
        sa.Column("consecutive_failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", types.Instant(), nullable=False),
        sa.Column("updated_at", types.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("workflow_id", name=op.f("pk_workflow")),
    )
    op.create_index("ix_workflow_bundle_file", "workflow", ["bundle", "file"], unique=False)
    op.create_index("ix_workflow_due", "workflow", ["next_run_after", "shard"], unique=False)
    op.create_index(
        "ix_workflow_unplanned",
        "workflow",
        ["shard"],
        unique=False,
        sqlite_where=sa.text("planned_spec <> spec_hash"),
        postgresql_where=sa.text("planned_spec <> spec_hash"),
    )
    op.create_table(
        "workflow_version",
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("spec_hash", sa.Text(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("created_at", types.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("workflow_id", "version", name=op.f("pk_workflow_version")),
    )
    op.create_table(
        "xcom",
        sa.Column("run", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("map_index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("artifact", sa.Text(), nullable=True),
        sa.Column("length", sa.Integer(), nullable=True),
        sa.Column("created_at", types.Instant(), nullable=False),
        sa.PrimaryKeyConstraint("run", "task_id", "key", "map_index", name=op.f("pk_xcom")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_xcom_artifact",
        "xcom",
        ["artifact"],
        unique=False,
        sqlite_where=sa.text("artifact IS NOT NULL"),
        postgresql_where=sa.text("artifact IS NOT NULL"),
    )
    for statement in _AUDIT_GUARDS[op.get_bind().dialect.name]:
        op.execute(statement)


_AUDIT_GUARDS = {
    "sqlite": (
        """CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",
        """CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",
    ),
    "postgresql": (
        """CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$""",
        """CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
        FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()""",
    ),
}
