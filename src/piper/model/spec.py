"""What a person wrote, as data: the stored form of a workflow (architecture §4).

A `WorkflowSpec` is immutable and addressed by the hash of its JSON. Everything the scheduler, the
executor, the web server and the designer know of a workflow is in here; what is user code (a
callable, a callback, a custom operator's body) stays in the file that `SourceLocation` names and is
met only by the serializer's child and the worker's child.

Durations are `timedelta`s (seconds in JSON), moments aware datetimes. Fields with their default are
left out of the JSON, so that a plain task is some 100 bytes; a change of a default is therefore a
change of format, and raises FORMAT.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct, field

from piper.model.schedule import AssetAliasKey, Schedule
from piper.model.states import RunType, TriggerRule, WeightRule

FORMAT = 1

DEFAULT_POOL = "default_pool"
RETURN_KEY = "return_value"

Json = Any
"""A JSON value: None, bool, int, float, str, list or dict with string keys."""


class SourceLocation(Struct, frozen=True, omit_defaults=True):
    """Where a workflow or task was written; `file` is relative to its bundle's root."""

    file: str
    line: int = 0


class Isolation(StrEnum):
    """How a task's process comes to be (architecture §8)."""

    FORK = "fork"
    SPAWN = "spawn"
    WARM = "warm"


class ComputeMode(StrEnum):
    """In which data centres a workflow runs; acts once there are several (requirements A51)."""

    SINGLE = "single"
    CHOSEN = "chosen"
    DUAL = "dual"


# --- mapping: how many instances, known from the lengths of upstream results --------------------


class LiteralLength(Struct, frozen=True, tag="literal"):
    """A list or dict written in the file; its elements stay there."""

    length: int


class ResultLength(Struct, frozen=True, tag="result"):
    """The list or dict that another task returns; of a mapped task, one element per pushed result."""

    task_id: str


class ZipLength(Struct, frozen=True, tag="zip", omit_defaults=True):
    """The shortest of several, or the longest when the gaps are filled."""

    sources: tuple[LengthExpression, ...]
    fill: bool = False


class ConcatLength(Struct, frozen=True, tag="concat"):
    """One after the other: the sum."""

    sources: tuple[LengthExpression, ...]


class ProductLength(Struct, frozen=True, tag="product"):
    """Every combination, the last factor varying fastest: the product."""

    sources: tuple[LengthExpression, ...]


LengthExpression = LiteralLength | ResultLength | ZipLength | ConcatLength | ProductLength


# --- tasks --------------------------------------------------------------------------------------


class RetrySpec(Struct, frozen=True, omit_defaults=True):
    """When a failed try is followed by another (airflow-semantics §3.17)."""

    retries: int = 0
    delay: timedelta = timedelta(seconds=300)
    multiplier: float = 0.0
    """Exponential backoff: each delay is this many times the one before; 0 or 1 is off."""
    max_delay: timedelta | None = None
    policy: bool = False
    """A policy in user code has a say: the worker evaluates it and reports its decision."""


class SensorSpec(Struct, frozen=True, omit_defaults=True):
    """What a server may know of a sensor."""

    mode: str = "poke"
    poke_interval: timedelta = timedelta(seconds=60)
    timeout: timedelta = timedelta(days=7)
    soft_fail: bool = False


class AssetRef(Struct, frozen=True, tag="asset", omit_defaults=True):
    """An asset as a task names it among its inlets or outlets."""

    name: str
    uri: str
    group: str = "asset"
    extra: dict[str, Json] = field(default_factory=dict)


class TaskSpec(Struct, frozen=True, omit_defaults=True):
    """One task of a workflow."""

    task_id: str
    operator: str
    """Dotted path of the operator's class, `piper.operators.bash.BashOperator`."""
    upstream: tuple[str, ...] = ()
    """Direct upstream task ids, sorted."""
    trigger_rule: TriggerRule = TriggerRule.ALL_SUCCESS
    display_name: str = ""
    owner: str = "airflow"
    group: str = ""
    """Full id of the innermost enclosing group, empty at the top."""
    doc: str = ""
    source: SourceLocation | None = None

    arguments: dict[str, Json] = field(default_factory=dict)
    """Constructor arguments that are data, template fields raw; XComArgs as `{"__xcom__": [task_id, key]}`."""
    template_fields: tuple[str, ...] = ()
    code: bool = True
    """Whether the file must be loaded to run it; false when `arguments` say everything."""
    inert: bool = False
    """Nothing to execute (an EmptyOperator): the owner passes it at once."""
    reads: tuple[tuple[str, str], ...] = ()
    """(task id, key) of every XCom that its arguments refer to."""
    params: dict[str, Json] = field(default_factory=dict)
    """Task-level params: name → `{"value":…, "schema": {…}, "description":…}`."""

    retry: RetrySpec = RetrySpec()
    execution_timeout: timedelta | None = None
    pool: str = DEFAULT_POOL
    pool_slots: int = 1
    priority_weight: int = 1
    weight_rule: str = WeightRule.DOWNSTREAM
    """A `WeightRule`, or the dotted path of a strategy that the serializer's child has tabulated."""
    priority: int = 1
    """The effective priority, computed from weights and rule at publication."""
    queue: str = "default"
    executor: str = ""
    isolation: Isolation = Isolation.FORK
    memory_limit: int | None = None
    """Bytes of resident memory for this task's processes; None takes the worker's setting."""
    run_as_user: str = ""

    start: datetime | None = None
    end: datetime | None = None
    depends_on_past: bool = False
    wait_for_downstream: bool = False
    ignore_first_depends_on_past: bool = True
    wait_for_past_depends_before_skipping: bool = False
    max_active_per_workflow: int | None = None
    """Airflow's max_active_tis_per_dag."""
    max_active_per_run: int | None = None
    """Airflow's max_active_tis_per_dagrun."""

    mapped: LengthExpression | None = None
    map_index_template: str = ""
    setup: bool = False
    teardown: bool = False
    on_failure_fail_run: bool = False
    """Of a teardown: whether its failure fails the run."""
    branches: bool = False
    """Its result decides which downstream tasks are followed."""
    multiple_outputs: bool = False
    sensor: SensorSpec | None = None
    deferrable: bool = False
    start_from_trigger: dict[str, Json] | None = None
    triggers_workflow: str = ""
    """The workflow that it starts or marks, if it is known: an edge between workflows."""
    waits_for_workflow: str = ""
    """The workflow whose tasks it waits for, if it is known."""

    inlets: tuple[AssetRef | AssetAliasKey, ...] = ()
    outlets: tuple[AssetRef | AssetAliasKey, ...] = ()
    callbacks: tuple[str, ...] = ()
    """Which of execute, success, failure, retry, skipped the task has callbacks for."""
    outputs: dict[str, Json] = field(default_factory=dict)
    """Piper's own: named outputs of an execution (path patterns, tables)."""
    metrics: tuple[str, ...] = ()
    """Piper's own: the metrics that an execution is expected to record."""


class GroupSpec(Struct, frozen=True, omit_defaults=True):
    """A task group; a mapped one gives all its tasks the same instances."""

    group_id: str
    """With the prefixes of its parents, `outer.inner`."""
    parent: str = ""
    display_name: str = ""
    tooltip: str = ""
    mapped: LengthExpression | None = None


class EdgeLabel(Struct, frozen=True, array_like=True):
    """Words on an edge; they influence nothing."""

    upstream: str
    downstream: str
    label: str


# --- workflows ----------------------------------------------------------------------------------


class ParamSpec(Struct, frozen=True, omit_defaults=True):
    """One parameter of a run: its default and the JSON Schema that a value must satisfy."""

    schema: dict[str, Json] = field(default_factory=dict)
    default: Json = None
    required: bool = False
    """There is no default: each trigger must give a value."""
    description: str = ""


class FreshnessSpec(Struct, frozen=True, omit_defaults=True):
    """An upstream table and how late it may be (requirements A107–A109); acts later."""

    table: str
    sla: timedelta


class WorkflowSpec(Struct, frozen=True, omit_defaults=True):
    """One workflow, whole. The bundle and the team that own it are facts of its row, not of its text."""

    workflow_id: str
    source: SourceLocation
    format: int = FORMAT
    display_name: str = ""
    description: str = ""
    doc: str = ""
    owner: str = "airflow"
    owner_links: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()

    schedule: Schedule = Schedule()
    timezone: str = "UTC"
    max_active_runs: int = 16
    max_active_tasks: int = 16
    """Instances in flight per run (Airflow 3's meaning)."""
    max_consecutive_failed_runs: int = 0
    run_timeout: timedelta | None = None
    fail_fast: bool = False
    allowed_run_types: tuple[RunType, ...] = ()
    paused_upon_creation: bool | None = None

    params: dict[str, ParamSpec] = field(default_factory=dict)
    tasks: tuple[TaskSpec, ...] = ()
    """In topological order."""
    groups: tuple[GroupSpec, ...] = ()
    """Parents before children."""
    edge_labels: tuple[EdgeLabel, ...] = ()
    result_task: str = ""
    """The task whose return value is the result of the run."""
    callbacks: tuple[str, ...] = ()
    """Which of success, failure the workflow has callbacks for."""
    deadlines: tuple[dict[str, Json], ...] = ()
    access_control: dict[str, Json] = field(default_factory=dict)

    compute_mode: ComputeMode = ComputeMode.SINGLE
    compute_centres: tuple[str, ...] = ()
    freshness: tuple[FreshnessSpec, ...] = ()

    def task(self, task_id: str) -> TaskSpec:
        """The task of that id. Raises KeyError if there is none (scans; `core.graph` has an index)."""
        for task in self.tasks:
            if task.task_id == task_id:
                return task
        raise KeyError(task_id)


def _plain(value: object) -> object:
    """A value of a subclass, as its base: authors give pendulum's durations and texts of their own kinds.

    Raises:
        TypeError: it is of no kind that a spec holds.
    """
    if isinstance(value, timedelta):
        return timedelta(seconds=value.total_seconds())
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError(f"{value!r} is a {type(value).__name__}, which cannot be part of a workflow's description")


_encoder = msgspec.json.Encoder(order="deterministic", enc_hook=_plain)
_decoder = msgspec.json.Decoder(WorkflowSpec)


def encode_spec(spec: WorkflowSpec) -> bytes:
    """The canonical JSON of a spec: what is stored, and what its hash is of."""
    return _encoder.encode(spec)


def encode_task(task: TaskSpec) -> bytes:
    """The JSON of one task, as it is part of its spec."""
    return _encoder.encode(task)


def decode_spec(data: bytes | str) -> WorkflowSpec:
    """A spec from its JSON. Raises msgspec.ValidationError when it does not have that form."""
    return _decoder.decode(data)


def spec_hash(encoded: bytes) -> str:
    """The address of a spec: 128 bits of BLAKE2b over its canonical JSON, in hex."""
    return hashlib.blake2b(encoded, digest_size=16).hexdigest()
