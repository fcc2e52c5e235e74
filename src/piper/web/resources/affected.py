"""What a command to runs is about: which runs, in which version, which of their tasks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from piper.core import selection
from piper.core.graph import Graph
from piper.core.selection import Marker, Wanted
from piper.model.errors import Invalid, NotFound
from piper.model.events import InstanceRef
from piper.model.states import TaskState
from piper.store import listings
from piper.store.listings import AnyRow
from piper.web.policy import Kind
from piper.web.resources.loading import load_spec
from piper.web.routing import Call

MOST_RUNS = 1000


@dataclass(frozen=True, slots=True)
class Pinned:
    """What a run goes on with; empty is its own."""

    spec_hash: str = ""
    snapshot: str = ""


Versions = Callable[[Connection, AnyRow], Pinned]
"""Which version each run is to go on with."""


@dataclass(frozen=True, slots=True)
class Meant:
    """One run that a command is about."""

    run: AnyRow
    version: Pinned
    references: tuple[InstanceRef, ...]
    instances: tuple[AnyRow, ...]
    """Those that it affects, as they are now."""


def own_version(_: Connection, run: AnyRow) -> Pinned:
    """Each run keeps its version."""
    return Pinned()


def newest_version(connection: Connection, run: AnyRow) -> Pinned:
    """Each run takes the newest version of its workflow, if that is still there."""
    workflow = listings.find_workflow(connection, run.workflow_id)
    return Pinned() if workflow is None or workflow.stale else Pinned(workflow.spec_hash, workflow.snapshot)


def usual_version(connection: Connection, run: AnyRow) -> Pinned:
    """The newest where workflows come from a folder; their own where they come from version control."""
    if listings.bundle_kind(connection, run.bundle) == "git":
        return Pinned()
    return newest_version(connection, run)


VERSIONS: dict[str, Versions] = {"default": usual_version, "pinned": own_version, "latest": newest_version}


def find_affected(
    connection: Connection,
    runs: Sequence[AnyRow],
    wanted: Wanted,
    states: frozenset[TaskState],
    version_of: Versions = own_version,
) -> list[Meant]:
    """Which instances of each of these runs are meant. Raises Invalid for a task or group that a version lacks."""
    found = []
    resolved: dict[str, tuple[InstanceRef, ...]] = {}
    for run in runs:
        version = version_of(connection, run)
        spec_hash = version.spec_hash or run.spec_hash
        if spec_hash not in resolved:
            resolved[spec_hash] = selection.resolve(_graph(connection, spec_hash), wanted)
        found.append(_meant(connection, run, version, resolved[spec_hash], states))
    return found


def runs_beside(connection: Connection, run: AnyRow, *, past: bool, future: bool) -> list[AnyRow]:
    """The run, with those of earlier or later logical dates. Raises Invalid when they are too many."""
    moment = run.logical_date  # a run without one is before and after nothing
    before, after = moment if past else None, moment if future else None
    found = listings.runs_beside(connection, run.workflow_id, before, after, MOST_RUNS + 1)
    return [run, *_few(found)]


def runs_between(connection: Connection, workflow_id: str, wanted: listings.RunFilter) -> list[AnyRow]:
    """The runs of a range of dates. Raises Invalid when they are too many, NotFound when there is none."""
    found = _few(listings.runs_between(connection, workflow_id, wanted, MOST_RUNS + 1))
    if not found:
        raise NotFound(f"workflow {workflow_id!r} has no run in this range of logical dates")
    return found


def with_waiting_workflows(
    call: Call,
    connection: Connection,
    meant: Sequence[Meant],
    states: frozenset[TaskState],
    version_of: Versions,
) -> list[Meant]:
    """These, and what waits for them in other workflows, as their markers say.

    The task that a marker names is meant with all that lies below it, and the markers there are followed in turn.

    Raises:
        Invalid: markers lead further than the first of them allows.
        NotFound, Refused: the caller may not clear a workflow that they lead to.
    """
    found = {each.run.id: each for each in meant}
    waiting: deque[tuple[Meant, int | None]] = deque((each, None) for each in meant)
    while waiting:
        here, left = waiting.popleft()
        graph = _graph(connection, here.version.spec_hash or here.run.spec_hash)
        for marker in selection.markers(graph, here.references):
            steps = marker.depth if left is None else left
            run = _run_that_waits(call, connection, marker, here.run)
            if run is None:
                continue
            version = version_of(connection, run)
            below = Wanted(tasks=(InstanceRef(marker.waits),), downstream=True, with_setups=True)
            references = selection.resolve(_graph(connection, version.spec_hash or run.spec_hash), below)
            known = found.get(run.id)
            fresh = tuple(ref for ref in references if known is None or ref not in known.references)
            if not fresh:
                continue
            if steps <= 0:
                raise Invalid(
                    f"marker {marker.task_id!r} of workflow {here.run.workflow_id!r} leads further than the "
                    "recursion_depth of the first marker: clear the workflows one by one"
                )
            everything = (*(known.references if known else ()), *fresh)
            found[run.id] = _meant(connection, run, version, everything, states)
            waiting.append((replace(found[run.id], references=fresh), steps - 1))
            if len(found) > MOST_RUNS:
                raise Invalid(f"this would be about more than {MOST_RUNS} runs: do it in parts")
    return list(found.values())


def _run_that_waits(call: Call, connection: Connection, marker: Marker, run: AnyRow) -> AnyRow | None:
    """The run of the other workflow that a marker is about, if there is one."""
    date = selection.date_of(_rendered(connection, marker, run), run.logical_date)
    other = None if date is None else listings.find_run_by_date(connection, marker.workflow_id, date)
    if other is not None:
        call.authorise(Kind.RUN, str(other.id), other.team)
    return other


def _rendered(connection: Connection, marker: Marker, run: AnyRow) -> Marker:
    """The marker with its fields as its latest try has rendered them, if it needed to be tried."""
    row = listings.find_instance(connection, run.id, marker.task_id, -1)
    tries = listings.list_attempts(connection, row.id) if row is not None else ()
    fields = tries[-1].rendered if tries else None
    if not isinstance(fields, dict):
        return marker
    return replace(
        marker,
        workflow_id=str(fields.get("external_dag_id", marker.workflow_id)),
        waits=str(fields.get("external_task_id", marker.waits)),
        logical_date=str(fields.get("logical_date", marker.logical_date)),
    )


def _meant(
    connection: Connection,
    run: AnyRow,
    version: Pinned,
    references: tuple[InstanceRef, ...],
    states: frozenset[TaskState],
) -> Meant:
    rows = selection.pick(listings.instance_states(connection, run.id), references, states)
    return Meant(run, version, references, tuple(rows))


def _few(runs: Sequence[AnyRow]) -> list[AnyRow]:
    if len(runs) > MOST_RUNS:
        raise Invalid(f"this would be about more than {MOST_RUNS} runs: do it in parts")
    return list(runs)


def _graph(connection: Connection, spec_hash: str) -> Graph:
    return Graph(load_spec(connection, spec_hash))
