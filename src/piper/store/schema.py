"""The tables. Migrations (`store/migrations`) build exactly these; a test compares the two.

Every owned row carries its team. Instants are aware UTC datetimes (`types.Instant`). No foreign keys:
the events table must be cheap to insert into and to empty, and runs are deleted in chunks by a chore.
Times that appear in a row are for people and for queries; nothing about safety depends on them.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy import event as event_of_schema

from piper.model.assets import AssetKind, AssetRole
from piper.model.backfill import BackfillState, Reprocess
from piper.model.run import Callback, Decision
from piper.model.schedule import RunDates
from piper.model.states import RunState, RunType, TaskState
from piper.store.types import Enum, Instant, Json

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives its automatic row number only to a column declared INTEGER PRIMARY KEY.
Serial = BigInteger().with_variant(Integer(), "sqlite")


# --- coordination (correctness §2) --------------------------------------------------------------

coordination = Table(
    "coordination",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("cluster_uid", Text, nullable=False),
    Column("shards", Integer, nullable=False),
    Column("coordinator", Text, nullable=False),
)

member = Table(
    "member",
    metadata,
    Column("member_id", Text, primary_key=True),
    Column("node_key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("centre", Text, nullable=False, server_default=""),
    Column("version", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("renew_seq", BigInteger, nullable=False, server_default="0"),
    Column("started_at", Instant, nullable=False),
    Column("renewed_at", Instant, nullable=False),
    Index(
        "uq_member_kind_node_key",
        "kind",
        "node_key",
        unique=True,
        sqlite_where=text("state <> 'dead'"),
        postgresql_where=text("state <> 'dead'"),
    ),
)

shard = Table(
    "shard",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("owner", Text),
    Column("epoch", BigInteger, nullable=False, server_default="0"),
    Column("changed_at", Instant),
)

# --- where code comes from ----------------------------------------------------------------------

bundle = Table(
    "bundle",
    metadata,
    Column("name", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("snapshot", Text),
    Column("refreshed_at", Instant),
    Column("error", Text),
)

snapshot = Table(
    "snapshot",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("bundle", Text, nullable=False),
    Column("manifest", Json, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
)

source_file = Table(
    "source_file",
    metadata,
    Column("bundle", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("imports", Json, nullable=False),
    Column("loaded_at", Instant),
    Column("load_seconds", Float),
    Column("workflows", Integer, nullable=False, server_default="0"),
    Column("error", Text),
    Column("error_file", Text),
    Column("error_line", Integer),
    Column("owners", Json),
    Column("failed_at", Instant),
    Column("reload_at", Instant),  # when to load it again although nothing has changed
)

operator = Table(
    "operator",
    metadata,
    Column("path", Text, primary_key=True),
    Column("bundle", Text, primary_key=True),  # empty for those installed with Piper
    Column("team", Text, nullable=False, server_default=""),
    Column("schema", Json, nullable=False),
)

# --- workflows ----------------------------------------------------------------------------------

spec = Table(
    "spec",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("body", Text, nullable=False),
)

workflow = Table(
    "workflow",
    metadata,
    Column("workflow_id", Text, primary_key=True),
    Column("shard", Integer, nullable=False),
    Column("team", Text, nullable=False),
    Column("bundle", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("spec_hash", Text, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("stale", Boolean, nullable=False, server_default=text("false")),
    Column("display_name", Text, nullable=False, server_default=""),
    Column("description", Text, nullable=False, server_default=""),
    Column("owner", Text, nullable=False, server_default=""),
    Column("tags", Json, nullable=False),
    Column("schedule_summary", Text, nullable=False, server_default=""),
    Column("max_active_runs", Integer, nullable=False),
    # The schedule cursor: the dates of the last run made by time, and those of the next one; `next_run_after`
    # is when the owner must look, null while there is nothing to do. `planned_spec` is the spec that the
    # cursor was computed for: where it differs from the active one, the owner plans anew.
    Column("last_dates", Json(RunDates)),
    Column("next_dates", Json(RunDates)),
    Column("next_run_after", Instant),
    Column("planned_spec", Text, nullable=False, server_default=""),
    Column("consecutive_failures", Integer, nullable=False, server_default="0"),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)
Index("ix_workflow_due", workflow.c.next_run_after, workflow.c.shard)
Index(
    "ix_workflow_unplanned",
    workflow.c.shard,
    sqlite_where=text("planned_spec <> spec_hash"),
    postgresql_where=text("planned_spec <> spec_hash"),
)
Index("ix_workflow_bundle_file", workflow.c.bundle, workflow.c.file)

workflow_version = Table(
    "workflow_version",
    metadata,
    Column("workflow_id", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("spec_hash", Text, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
)

# --- runs and task instances --------------------------------------------------------------------

run = Table(
    "run",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("workflow_id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("team", Text, nullable=False),
    Column("run_type", Enum(RunType), nullable=False),
    Column("state", Enum(RunState), nullable=False),
    Column("logical_date", Instant),
    Column("interval_start", Instant),
    Column("interval_end", Instant),
    Column("run_after", Instant, nullable=False),
    Column("spec_hash", Text, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("bundle", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("conf", Json, nullable=False),
    Column("backfill", BigInteger),
    Column("next_ordinal", Integer, nullable=False, server_default="0"),
    Column("clears", Integer, nullable=False, server_default="0"),
    Column("created_at", Instant, nullable=False),
    Column("queued_at", Instant),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Column("reason", Text, nullable=False, server_default=""),
    Column("triggered_by", Text, nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),
    UniqueConstraint("workflow_id", "run_id"),
    UniqueConstraint("workflow_id", "logical_date"),
    Index("ix_run_workflow_id_run_after", "workflow_id", "run_after"),
    Index(
        "ix_run_active",
        "shard",
        "workflow_id",
        sqlite_where=text("state IN ('queued', 'running')"),
        postgresql_where=text("state IN ('queued', 'running')"),
    ),
    Index(
        "ix_run_backfill",
        "backfill",
        "state",
        sqlite_where=text("backfill IS NOT NULL"),
        postgresql_where=text("backfill IS NOT NULL"),
    ),
    sqlite_autoincrement=True,  # a run's number is never used again: instances' numbers derive from it
)

backfill = Table(
    "backfill",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("workflow_id", Text, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("team", Text, nullable=False),
    Column("state", Enum(BackfillState), nullable=False),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("from_date", Instant, nullable=False),
    Column("to_date", Instant, nullable=False),
    Column("reprocess", Enum(Reprocess), nullable=False),
    Column("backwards", Boolean, nullable=False),
    Column("max_active_runs", Integer, nullable=False),
    Column("conf", Json, nullable=False),
    Column("version", Integer, nullable=False),
    Column("spec_hash", Text, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("bundle", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("first_date", Instant, nullable=False),
    Column("total", Integer, nullable=False),
    # Moved, with the counts, in the transaction that makes the runs of the dates up to it.
    Column("cursor", Instant),
    Column("created", Integer, nullable=False, server_default="0"),
    Column("rerun", Integer, nullable=False, server_default="0"),
    Column("existed", Integer, nullable=False, server_default="0"),
    Column("in_flight", Integer, nullable=False, server_default="0"),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Text, nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),
    Column("ended_at", Instant),
    Index("ix_backfill_workflow_id", "workflow_id"),
    Index(
        "ix_backfill_unended",
        "shard",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index(
        "uq_backfill_active",
        "workflow_id",
        unique=True,
        sqlite_where=text("state IN ('creating', 'running')"),
        postgresql_where=text("state IN ('creating', 'running')"),
    ),
    sqlite_autoincrement=True,  # runs name theirs for as long as they are kept
)

task_instance = Table(
    "task_instance",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=False),
    Column("run", BigInteger, nullable=False),
    Column("task_id", Text, nullable=False),
    Column("map_index", Integer, nullable=False),
    Column("team", Text, nullable=False),
    Column("state", Enum(TaskState), nullable=False),
    Column("try_number", Integer, nullable=False),
    Column("leg", Integer, nullable=False),
    Column("max_tries", Integer, nullable=False),
    Column("losses", Integer, nullable=False, server_default="0"),
    Column("due", Instant),
    Column("result_length", Integer),
    Column("decision", Json(Decision)),
    Column("resume", Json),
    Column("operator", Text, nullable=False),
    Column("code", Boolean, nullable=False),
    Column("isolation", Text, nullable=False),
    Column("pool", Text, nullable=False),
    Column("pool_slots", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("backfill", Boolean, nullable=False, server_default=text("false")),  # granted after all that are not
    Column("queue", Text, nullable=False),
    Column("label", Text, nullable=False, server_default=""),
    Column("callback", Json(Callback)),  # null of a task's instance: those with one are for `core.callbacks`
    Column("scheduled_at", Instant),
    Column("queued_at", Instant),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Column("start_nonce", Text),  # of the execution that was let in last; it may be of an earlier try
    Column("worker", Text),
    UniqueConstraint("run", "task_id", "map_index"),
    # What the executor grants from, in the order in which it grants.
    Index(
        "ix_task_instance_scheduled",
        "pool",
        "team",
        "backfill",
        text("priority DESC"),
        "id",
        sqlite_where=text("state = 'scheduled'"),
        postgresql_where=text("state = 'scheduled'"),
    ),
    Index(
        "ix_task_instance_held",
        "state",
        sqlite_where=text("state IN ('queued', 'running')"),
        postgresql_where=text("state IN ('queued', 'running')"),
    ),
    # What a pool that counts deferred tasks has lent to them.
    Index(
        "ix_task_instance_deferred",
        "pool",
        sqlite_where=text("state = 'deferred'"),
        postgresql_where=text("state = 'deferred'"),
    ),
)

attempt = Table(
    "attempt",
    metadata,
    Column("instance", BigInteger, primary_key=True, autoincrement=False),
    Column("try_number", Integer, primary_key=True, autoincrement=False),
    Column("state", Enum(TaskState), nullable=False),
    Column("legs", Integer, nullable=False, server_default="1"),
    Column("worker", Text, nullable=False, server_default=""),
    Column("pid", Integer),
    Column("queued_at", Instant),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Column("exit_code", Integer),
    Column("signal", Integer),
    Column("error", Text, nullable=False, server_default=""),
    Column("inputs", Json),
    Column("outputs", Json),
    Column("parameters", Json),
    Column("metrics", Json),
    Column("environment", Json),
    Index(
        "ix_attempt_open",
        "worker",
        sqlite_where=text("state = 'running'"),
        postgresql_where=text("state = 'running'"),
    ),
    Column("rendered", Json),
)

xcom = Table(
    "xcom",
    metadata,
    Column("run", BigInteger, primary_key=True, autoincrement=False),
    Column("task_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("map_index", Integer, primary_key=True, autoincrement=False),
    Column("value", LargeBinary),  # JSON text, never decoded by a server
    Column("artifact", Text),  # where a longer value lies in the artifact store
    Column("length", Integer),
    Column("created_at", Instant, nullable=False),
    Index(  # for the sweep of artifacts that no value refers to
        "ix_xcom_artifact",
        "artifact",
        sqlite_where=text("artifact IS NOT NULL"),
        postgresql_where=text("artifact IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

event = Table(
    "event",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("shard", Integer, nullable=False),
    Column("run", BigInteger),
    Column("body", LargeBinary, nullable=False),  # a tagged struct of piper.model.events, as JSON
    Column("created_at", Instant, nullable=False),
    Index("ix_event_shard_id", "shard", "id"),
)

# --- assets -------------------------------------------------------------------------------------

asset = Table(
    "asset",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("team", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("uri", Text, nullable=False),
    Column("group", Text, nullable=False),
    Column("extra", Json, nullable=False),
    # Whether a published workflow names it, or an alias leads to it, and no other active one has its name or URI.
    Column("active", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    UniqueConstraint("team", "name", "uri"),
    Index(
        "uq_asset_active_name",
        "team",
        "name",
        unique=True,
        sqlite_where=text("active"),
        postgresql_where=text("active"),
    ),
    Index(
        "uq_asset_active_uri",
        "team",
        "uri",
        unique=True,
        sqlite_where=text("active"),
        postgresql_where=text("active"),
    ),
    Index("ix_asset_team_uri", "team", "uri"),
)

# Who names which asset or alias as what, as the active specs say: written by the serializer when it publishes them.
asset_reference = Table(
    "asset_reference",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("workflow_id", Text, nullable=False),
    Column("role", Enum(AssetRole), nullable=False),
    Column("task_id", Text, nullable=False),
    Column("kind", Enum(AssetKind), nullable=False),
    Column("name", Text, nullable=False),
    Column("uri", Text, nullable=False),
    Column("team", Text, nullable=False),
    Index("ix_asset_reference_workflow_id", "workflow_id"),
    Index("ix_asset_reference_team_name", "team", "name"),
    Index("ix_asset_reference_team_uri", "team", "uri"),
)

# The assets that tasks have attached to aliases.
asset_alias = Table(
    "asset_alias",
    metadata,
    Column("team", Text, primary_key=True),
    Column("alias", Text, primary_key=True),
    Column("asset", BigInteger, primary_key=True, autoincrement=False),
    Index("ix_asset_alias_asset", "asset"),
    sqlite_with_rowid=False,
)

asset_event = Table(
    "asset_event",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("team", Text, nullable=False),
    Column("asset", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    Column("extra", Json, nullable=False),
    # The execution that caused it; empty when a person or a program made it.
    Column("workflow_id", Text, nullable=False, server_default=""),
    Column("run_id", Text, nullable=False, server_default=""),
    Column("task_id", Text, nullable=False, server_default=""),
    Column("map_index", Integer, nullable=False, server_default="-1"),
    Column("partition_key", Text, nullable=False, server_default=""),  # reserved
    Index("ix_asset_event_asset_at_id", "asset", "at", "id"),
    Index("ix_asset_event_workflow_id_id", "workflow_id", "id"),
    sqlite_autoincrement=True,  # deliveries name it by its number
)

# The aliases by way of which events were made.
asset_event_alias = Table(
    "asset_event_alias",
    metadata,
    Column("team", Text, primary_key=True),
    Column("alias", Text, primary_key=True),
    Column("event", BigInteger, primary_key=True, autoincrement=False),
    Index("ix_asset_event_alias_event", "event"),
    sqlite_with_rowid=False,
)

# Each event that a workflow which is scheduled by assets has been told of, and the run that took it; none: it waits.
asset_delivery = Table(
    "asset_delivery",
    metadata,
    Column("workflow_id", Text, primary_key=True),
    Column("event", BigInteger, primary_key=True, autoincrement=False),
    Column("asset", BigInteger, nullable=False),
    Column("run", BigInteger),
    Index(
        "ix_asset_delivery_waiting",
        "workflow_id",
        "asset",
        sqlite_where=text("run IS NULL"),
        postgresql_where=text("run IS NULL"),
    ),
    Index(
        "ix_asset_delivery_run",
        "run",
        sqlite_where=text("run IS NOT NULL"),
        postgresql_where=text("run IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

# What of that waits, summed up: the assets that have changed since the workflow's last run by assets, so that to look
# whether its condition is fulfilled costs the same however often they have changed.
asset_queue = Table(
    "asset_queue",
    metadata,
    Column("workflow_id", Text, primary_key=True),
    Column("asset", BigInteger, primary_key=True, autoincrement=False),
    Column("event", BigInteger, nullable=False),  # the latest
    Column("at", Instant, nullable=False),
    sqlite_with_rowid=False,
)

# What a deferred instance waits for: it is there exactly as long as the instance is deferred, by the same hand and in
# the same transaction (`piper.core.triggers`).
trigger = Table(
    "trigger",
    metadata,
    Column("instance", BigInteger, primary_key=True, autoincrement=False),
    Column("try_number", Integer, nullable=False),
    Column("leg", Integer, nullable=False),
    Column("run", BigInteger, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("team", Text, nullable=False),
    Column("class_path", Text, nullable=False),
    Column("arguments", Json),
    Column("bundle", Text, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("deadline", Instant),
    Column("created_at", Instant, nullable=False),
)

# --- what people administer ---------------------------------------------------------------------

pool = Table(
    "pool",
    metadata,
    Column("name", Text, primary_key=True),
    Column("team", Text, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("include_deferred", Boolean, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
)

variable = Table(
    "variable",
    metadata,
    Column("team", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),  # encrypted
    Column("description", Text, nullable=False, server_default=""),
    Column("updated_at", Instant, nullable=False),
)

connection = Table(
    "connection",
    metadata,
    Column("team", Text, primary_key=True),
    Column("conn_id", Text, primary_key=True),
    Column("conn_type", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("host", Text),
    Column("login", Text),
    Column("schema", Text),
    Column("port", Integer),
    Column("secret", LargeBinary),  # password and extra, encrypted together
    Column("updated_at", Instant, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("team", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("principal", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object_type", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    Column("detail", Json),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
)

# What the database itself refuses, whoever asks: to change the audit, or to remove of it (security.md §2 row 16).
AUDIT_GUARDS = {
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
for _dialect, _statements in AUDIT_GUARDS.items():
    for _statement in _statements:
        event_of_schema.listen(audit, "after_create", DDL(_statement).execute_if(dialect=_dialect))  # type: ignore[no-untyped-call]

idempotency = Table(
    "idempotency",
    metadata,
    Column("principal", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request", Text, nullable=False),  # hash of method, path and body
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
)
