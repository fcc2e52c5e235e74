"""Each breaks one mechanism of the system under play. If no play finds that out, the simulation proves nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple
from unittest import mock

import sqlalchemy
from msgspec.structs import replace

from piper.core import expansion, run, verdicts
from piper.core import trigger_rules as rules
from piper.core.draft import Draft
from piper.core.graph import Graph, Watch
from piper.core.selection import ANY_STATE
from piper.model.events import Lost, TriggerFired
from piper.model.states import TaskState
from piper.scheduler import assets, backfills, book, commit
from piper.store import database, grants, instances, schema
from piper.task_api import batch
from piper.task_api.handshake import Verdict
from tests.simulation import world


@contextmanager
def without_fence() -> Iterator[None]:
    """Nobody proves that it owns what it writes: a scheduler that was taken over goes on writing."""

    def hold(*_: Any) -> Any:
        return _Everything()

    with mock.patch.object(database.SqliteDriver, "hold", hold):
        yield


class _Everything(dict):
    def get(self, shard: Any, default: Any = None) -> Any:
        return _Equal()


class _Equal:
    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]


@contextmanager
def without_start_handshake() -> Iterator[None]:
    """Whoever asks is let into user code."""

    def judge(execution: Any, identity: Any, *_: Any) -> Verdict:
        return Verdict.STALE if execution is None or execution.identity != identity else Verdict.GRANT

    with mock.patch.object(batch, "judge_start", judge), mock.patch.object(batch, "enter", return_value=None):
        yield


@contextmanager
def without_source_states() -> Iterator[None]:
    """Updates of instances name the row and nothing else."""
    table = schema.task_instance
    grant = (
        table.update()
        .where(table.c.id.in_(sqlalchemy.bindparam("instances", expanding=True)))
        .values(state=TaskState.QUEUED, queued_at=sqlalchemy.bindparam("now"))
        .returning(table.c.id)
    )
    move = instances._MOVE.whereclause
    assert move is not None
    blind = table.update().where(table.c.id == sqlalchemy.bindparam("guard_id")).values(instances._MOVE._values)
    with mock.patch.object(grants, "_GRANT", grant), mock.patch.object(instances, "_MOVE", blind):
        yield


@contextmanager
def without_unique_runs() -> Iterator[None]:
    """A logical date may have any number of runs."""
    laid = world.World._lay_foundation

    def lay(self: Any, people: Any) -> None:
        unique = [c for c in schema.run.constraints if isinstance(c, sqlalchemy.UniqueConstraint)]
        for constraint in unique:
            schema.run.constraints.discard(constraint)
        try:
            laid(self, people)
        finally:
            for constraint in unique:
                schema.run.append_constraint(constraint)

    with mock.patch.object(world.World, "_lay_foundation", lay):
        yield


@contextmanager
def without_states_of_clears() -> Iterator[None]:
    """A clear takes back whatever it names, also what has not failed."""
    with mock.patch.object(run, "states_to_clear", return_value=ANY_STATE):
        yield


@contextmanager
def without_removal() -> Iterator[None]:
    """A run that takes another version keeps the tasks that this lacks."""
    with mock.patch.object(run, "_fit_into_version", return_value=None):
        yield


@contextmanager
def without_callbacks_of_losses() -> Iterator[None]:
    """A callback whose worker is lost is not called again."""

    def follow(draft: Any, ti: Any, event: Any) -> None:
        if not isinstance(event, Lost):
            follow_as_it_is(draft, ti, event)

    follow_as_it_is = Draft.follow_callback
    with mock.patch.object(Draft, "follow_callback", follow):
        yield


@contextmanager
def without_writing_callbacks() -> Iterator[None]:
    """What is to be called is remembered, and not written with what causes it."""
    with mock.patch.object(run.callbacks, "of_run", return_value=None):
        yield


@contextmanager
def without_consuming_changes() -> Iterator[None]:
    """A workflow hears of a change of an asset again and again: the news is not deleted with what it causes."""
    with mock.patch.object(assets, "delete_events", return_value=None):
        yield


@contextmanager
def without_taking_events() -> Iterator[None]:
    """A run by assets leaves what it was made for where it was."""
    with mock.patch.object(assets, "take", return_value=None):
        yield


@contextmanager
def without_resizing() -> Iterator[None]:
    """A mapped task keeps the instances it has, however long the list has become that it is mapped over."""
    with mock.patch.object(expansion, "_fit_group", return_value=None):
        yield


@contextmanager
def without_counting_instances() -> Iterator[None]:
    """Those below a mapped task are not told how many instances it has."""
    with mock.patch.object(Draft, "grow", return_value=None):
        yield


@contextmanager
def without_watching_lengths() -> Iterator[None]:
    """Inside a mapped group nobody looks up when the list is there that the group is mapped over."""

    def watch(self: Any) -> Any:
        nodes = Graph._nodes_as_they_are(self)  # type: ignore[attr-defined]
        return tuple(
            dataclasses.replace(n, watched_by=tuple(e for e in n.watched_by if e.why is not Watch.LENGTH))
            for n in nodes
        )

    with (
        mock.patch.object(Graph, "_nodes_as_they_are", Graph._nodes, create=True),
        mock.patch.object(Graph, "_nodes", watch),
    ):
        yield


@contextmanager
def without_telling_watchers() -> Iterator[None]:
    """All tallies are taken for alike: the many instances below a task are not looked at when it matters to them."""
    with mock.patch.object(rules.Tally, "outline", ()):
        yield


@contextmanager
def without_decisions() -> Iterator[None]:
    """What a branch did not choose goes by its trigger rule."""
    with mock.patch.object(verdicts, "_was_skipped_by_a_branch", return_value=False):
        yield


@contextmanager
def without_scope() -> Iterator[None]:
    """A teardown waits for what is right above it, and for nothing else between it and its setup."""

    def scopes(self: Any) -> list[tuple[int, ...]]:
        return [()] * len(self.spec.tasks)

    with mock.patch.object(Graph, "_teardown_scopes", scopes):
        yield


@contextmanager
def without_trigger_transaction() -> Iterator[None]:
    """Instances move, and their triggers stay."""
    with mock.patch.object(commit, "apply_trigger_effects", return_value=None):
        yield


@contextmanager
def without_identity_of_waits() -> Iterator[None]:
    """Whatever waits is resumed by whatever fires, be it for an earlier wait."""
    judge, report = batch.judge_report, run._report

    def judge_any(execution: Any, event: Any) -> Verdict:
        if isinstance(event, TriggerFired) and execution is not None and execution.state is TaskState.DEFERRED:
            return Verdict.GRANT
        return judge(execution, event)

    def report_any(draft: Any, event: Any) -> None:
        if isinstance(event, TriggerFired):
            ti = draft.at(draft.place_of(event.identity.instance))
            event = replace(event, identity=ti.identity)
        report(draft, event)

    with mock.patch.object(batch, "judge_report", judge_any), mock.patch.object(run, "_report", report_any):
        yield


@contextmanager
def without_cursor_in_the_transaction() -> Iterator[None]:
    """The cursor of a backfill is moved in a transaction after the one that makes the runs."""
    move, follow, load = backfills.move_backfills, backfills.Backfills.follow, backfills.Backfills.load
    late: list[Any] = []

    def move_later(connection: Any, moves: Any) -> None:
        late.extend(pair for pair in moves if pair[0].cursor != pair[1].cursor)
        move(connection, [pair for pair in moves if pair[0].cursor == pair[1].cursor])

    def follow_after_moving(self: Any, fence: Any, now: Any) -> Any:
        if late:
            with self._database.fenced(fence.only({before.shard for before, _ in late})) as connection:
                move(connection, late)
            late.clear()
        return follow(self, fence, now)

    def load_as_after_a_crash(self: Any, shards: Any) -> None:
        late.clear()
        load(self, shards)

    with (
        mock.patch.object(backfills, "move_backfills", move_later),
        mock.patch.object(backfills.Backfills, "follow", follow_after_moving),
        mock.patch.object(backfills.Backfills, "load", load_as_after_a_crash),
    ):
        yield


@contextmanager
def without_limit_of_backfills() -> Iterator[None]:
    """A backfill starts as many runs as there are."""
    with mock.patch.object(book, "limit_of", return_value=99):
        yield


class Mutation(NamedTuple):
    """One mechanism that can be broken."""

    breaks: Callable[[], AbstractContextManager[None]]
    seed: int
    """A play that finds it out, as long as plays go as they do: it is tried first."""


MUTATIONS: MappingProxyType[str, Mutation] = MappingProxyType(
    {
        "no fence": Mutation(without_fence, 0),
        "no start handshake": Mutation(without_start_handshake, 0),
        "no source-state guard": Mutation(without_source_states, 103),
        "no unique run key": Mutation(without_unique_runs, 1),
        "no states of clears": Mutation(without_states_of_clears, 0),
        "no removal of what vanished": Mutation(without_removal, 37),
        "no second call of a lost callback": Mutation(without_callbacks_of_losses, 0),
        "no callback with the end of its run": Mutation(without_writing_callbacks, 0),
        "no cursor in the transaction": Mutation(without_cursor_in_the_transaction, 1),
        "no limit of backfills": Mutation(without_limit_of_backfills, 1),
        "news of assets not consumed": Mutation(without_consuming_changes, 1),
        "events of assets not taken": Mutation(without_taking_events, 1),
        "no resizing": Mutation(without_resizing, 3),
        "no counting of instances": Mutation(without_counting_instances, 2),
        "no watching of lengths": Mutation(without_watching_lengths, 11),
        "no telling of watchers": Mutation(without_telling_watchers, 1),
        "no decisions": Mutation(without_decisions, 1),
        "no scope of teardowns": Mutation(without_scope, 8),
        "triggers apart from their instances": Mutation(without_trigger_transaction, 0),
        "fires without identity": Mutation(without_identity_of_waits, 6),
    }
)
