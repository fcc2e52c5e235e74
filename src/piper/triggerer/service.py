"""The service: has running what the rows want, and follows what becomes of it."""

from __future__ import annotations

import logging
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from piper import telemetry
from piper.lane import Lane
from piper.logs import LogStore, LogWriter, Masker
from piper.model.events import TriggerFired
from piper.model.ids import TRIGGERER_SHARD, log_path
from piper.model.run import Identity
from piper.model.wire import Answer, Report
from piper.service import POLL_SECONDS, Clock, Service, Wakeups
from piper.store.database import Database, Fence
from piper.store.triggers import StoredTrigger, load_triggers, resumed, wanted_triggers
from piper.triggerer.desk import Desk, failure
from piper.triggerer.faults import HEALTHY_SECONDS, Faults, pause_after, why_it_ended
from piper.triggerer.processes import ChildProcess
from piper.triggerer.protocol import (
    BUILT_IN,
    Answered,
    Begin,
    End,
    Fired,
    FromChild,
    Over,
    Question,
    Said,
    Wait,
)
from piper.triggerer.watch import Health, Watch

log = logging.getLogger(__name__)

SHARE_OF_LOOKS = 20
"""The table of triggers is read for at most one part in so many of the time, however often there is news of it."""

BEGUN_AT_ONCE = 25
"""Triggers in one message: each may have a megabyte of arguments, and a frame has its limit."""

START_SECONDS = 60.0
"""For a child to have its first turn."""

IDLE_SECONDS = 60.0
"""For so long a child without triggers waits for others."""

STOP_SECONDS = 12.0
"""For a child to clean up after its triggers and end."""


class Term(Protocol):
    """What the triggerer must know of its ownership (`piper.coordination`)."""

    def fence(self) -> Fence | None:
        """The shards it owns at their epochs, or None while it may not do anything."""
        ...


class Place(NamedTuple):
    """Which child a trigger belongs to."""

    snapshot: str = ""
    """Empty for built-in triggers."""
    apart: str = ""
    """A class that has a child of its own, since one of its triggers has ended one."""


class Trigger:
    """A trigger that is to run, or has just fired."""

    __slots__ = ("log", "muted", "place", "reported", "stored")

    def __init__(self, stored: StoredTrigger, place: Place) -> None:
        self.stored = stored
        self.place = place
        self.reported = False
        """It has fired: it has not to run any more, and waits for its row to go."""
        self.muted = False
        """The log of its task is a worker's again."""
        self.log: LogWriter | None = None

    def be_silent(self) -> None:
        """Write no more into the log of its task."""
        self.muted = True
        self.close_log()

    def close_log(self) -> None:
        """Write what is held back."""
        if self.log is not None:
            self.log.close()
            self.log = None


class Child:
    """A process, and the triggers that run in it."""

    process: ChildProcess

    def __init__(self, place: Place, watch: Watch, now: float) -> None:
        self.place = place
        self.watch = watch
        self.started = now
        self.used = now
        self.triggers: set[Identity] = set()
        self.leaving: set[Identity] = set()
        """Those of them that have been told to end."""
        self.stood_still = False
        self.gone_by: float | None = None
        """Monotonic second at which it is killed: it has been told to end. Nothing new begins in it."""


class TriggererService(Service):
    """Runs triggers while it holds the triggerer's shard, and stands by otherwise.

    Arguments:
        term: what this process owns; it leads while that includes TRIGGERER_SHARD.
        desk: reports and asks.
        lane: ticks this service, and serves its children.
        logs: where the lines of triggers go.
        snapshots: folder of bundle snapshots.
        environment: of the children, without what user code must not see.
        patience: seconds that one step of a trigger may take.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        wakeups: Wakeups,
        term: Term,
        *,
        desk: Desk,
        lane: Lane,
        logs: LogStore,
        snapshots: Path,
        environment: Mapping[str, str],
        patience: float,
    ) -> None:
        super().__init__("triggerer", wakeups.listen("triggerer"))
        self._database = database
        self._clock = clock
        self._term = term
        self._desk = desk
        self._lane = lane
        self._logs = logs
        self._snapshots = snapshots
        self._environment = environment
        self._patience = patience
        self._triggers: dict[Identity, Trigger] = {}
        self._unplaced: set[Identity] = set()
        """Triggers that no child runs."""
        self._children: dict[Place, Child] = {}
        self._dismissed: set[Child] = set()
        """Children of the time when this service led."""
        self._apart: set[tuple[str, str]] = set()
        """(snapshot, class) of those that have a child of their own."""
        self._faults = Faults()
        self._short_lives: Counter[Place] = Counter()
        self._not_before: dict[Place, float] = {}
        self._look_at = 0.0
        self._called_early = False
        """There has been a turn before the time of the next look: perhaps somebody has asked for one."""

    # --- the loop ------------------------------------------------------------------------------

    def tick(self) -> float:
        now = self._clock.monotonic()
        self._desk.take_turn(now)
        owned = self._term.fence()
        if owned is None or TRIGGERER_SHARD not in owned.epochs:
            self._stand_by(now)
            return POLL_SECONDS
        self._called_early = now < self._look_at
        if not self._called_early:
            began = time.thread_time()  # processor time: on a busy machine it is not the look that takes long
            self._look()
            self._look_at = now + min(POLL_SECONDS, SHARE_OF_LOOKS * (time.thread_time() - began))
        self._watch(now)
        self._place_all(now)
        telemetry.TRIGGERS.set(len(self._triggers))
        telemetry.TRIGGER_PROCESSES.set(len(self._children))
        return self._wait(now)

    def on_stop(self) -> None:
        """Let triggers clean up, end their processes, and wait for that."""
        self._stand_by(self._clock.monotonic())
        for child in list(self._dismissed):
            child.process.wait(max(0.0, (child.gone_by or 0.0) - self._clock.monotonic()))
        self._desk.take_turn(self._clock.monotonic())

    def _wait(self, now: float) -> float:
        """Seconds until there is something to do that nothing will call for."""
        waits = [POLL_SECONDS]
        if self._called_early:
            waits.append(self._look_at - now)
        if (due := self._desk.due_in(now)) is not None:
            waits.append(due)
        if self._unplaced:
            waits += [at - now for at in self._not_before.values() if at > now]
        return min(waits)

    def _stand_by(self, now: float) -> None:
        """End every child: another leads, or the service stops."""
        for child in self._children.values():
            self._dismiss(child, now)
            self._dismissed.add(child)
        self._children.clear()
        for child in self._dismissed:
            if child.gone_by is not None and now > child.gone_by:
                child.process.kill(signal.SIGKILL)
        for identity in list(self._triggers):
            self._forget(identity)
        self._look_at = 0.0

    # --- what is wanted ------------------------------------------------------------------------

    def _look(self) -> None:
        """Compare what runs with what the rows want."""
        known = self._triggers.keys()
        with self._database.read() as connection:
            wanted = wanted_triggers(connection)
            new, over = wanted - known, known - wanted
            loaded = load_triggers(connection, sorted(one.instance for one in new)) if new else []
            ended = [one for one in over if not self._triggers[one].reported]
            go_on = resumed(connection, ended) if ended else set()
        self._end(over, go_on)
        for stored in loaded:
            if stored.identity not in self._triggers:
                self._triggers[stored.identity] = Trigger(stored, self._place_of(stored))
                self._unplaced.add(stored.identity)

    def _end(self, identities: Collection[Identity], go_on: Collection[Identity]) -> None:
        """These are not wanted any more: tasks that `go_on` have waited too long, the others were ended by somebody."""
        told: defaultdict[tuple[Child, bool], list[Identity]] = defaultdict(list)
        for identity in identities:
            trigger = self._triggers[identity]
            child = self._children.get(trigger.place)
            if child is None or identity not in child.triggers:
                self._forget(identity)
            elif not trigger.reported and identity not in child.leaving:
                child.leaving.add(identity)
                if identity in go_on:
                    trigger.be_silent()
                told[child, identity not in go_on].append(identity)
        for (child, killed), ended in told.items():
            child.process.send(End(tuple(ended), killed))

    def _place_of(self, stored: StoredTrigger) -> Place:
        snapshot = "" if stored.class_path.startswith(BUILT_IN) else stored.code.snapshot
        return Place(snapshot, stored.class_path if (snapshot, stored.class_path) in self._apart else "")

    def _place_all(self, now: float) -> None:
        """Give every trigger that no child runs to one."""
        by_place: defaultdict[Place, list[StoredTrigger]] = defaultdict(list)
        for identity in self._unplaced:
            trigger = self._triggers[identity]
            by_place[trigger.place].append(trigger.stored)
        for place, stored in by_place.items():
            child = self._child(place, now)
            if child is None:
                continue
            child.used = now
            for start in range(0, len(stored), BEGUN_AT_ONCE):
                begun = stored[start : start + BEGUN_AT_ONCE]
                child.triggers.update(one.identity for one in begun)
                child.process.send(Begin(tuple(map(_wait_of, begun))))
            self._unplaced -= child.triggers

    def _forget(self, identity: Identity) -> None:
        trigger = self._triggers.pop(identity, None)
        if trigger is not None:
            trigger.close_log()
        self._unplaced.discard(identity)
        self._faults.forget(identity)

    # --- children ------------------------------------------------------------------------------

    def _child(self, place: Place, now: float) -> Child | None:
        """The child of a place, started now if there is none; None while that has to wait."""
        child = self._children.get(place)
        if child is not None:
            return child if child.gone_by is None else None
        if now < self._not_before.get(place, 0.0):
            return None
        started = Child(place, Watch(self._patience, START_SECONDS, now), now)
        started.process = ChildProcess(
            str(self._snapshots / place.snapshot) if place.snapshot else "",
            self._environment,
            lambda message: self._heard(started, message),
            lambda: self._ended(started),
        )
        self._children[place] = started
        self._lane.adopt(started.process)
        return started

    def _dismiss(self, child: Child, now: float) -> None:
        """Let it clean up and end."""
        if child.gone_by is None:
            child.gone_by = now + STOP_SECONDS
            child.process.let_go()

    def _watch(self, now: float) -> None:
        """End children that stand still, and those that have had nothing to do for long."""
        for child in (*self._children.values(), *self._dismissed):
            if child.triggers:
                child.used = now
            if child.gone_by is not None:
                if now > child.gone_by:
                    child.process.kill(signal.SIGKILL)
            elif child.watch.look(child.process.read_mark(), now) is Health.STUCK:
                child.stood_still = True
                child.gone_by = now + 1.0
                child.process.kill(signal.SIGABRT)  # it says where it is (`faulthandler`), and dies
            elif now - child.used > IDLE_SECONDS:
                self._dismiss(child, now)

    def _ended(self, child: Child) -> None:
        """A child is gone: find out in whose code, and have the others begin anew."""
        self.signal.set()
        if child in self._dismissed:
            self._dismissed.remove(child)
            return
        del self._children[child.place]
        status, now = child.process.status, self._clock.monotonic()
        assert status is not None
        left: dict[Identity, str] = {}
        for identity in child.triggers:
            trigger = self._triggers.get(identity)
            if identity in child.leaving:
                self._forget(identity)
            elif trigger is not None and not trigger.reported:
                left[identity] = trigger.stored.class_path
        if not left:
            if status:
                log.warning("a process for triggers ended (status %d): %s", status, _last(child.process.errors))
            return
        self._blame(child, left, status, now)
        self._unplaced |= {one for one in left if not self._triggers[one].reported}

    def _blame(self, child: Child, left: Mapping[Identity, str], status: int, now: float) -> None:
        culprit = child.process.culprit
        telemetry.TRIGGER_PROCESS_ENDS.labels("blocked" if child.stood_still else "ended").inc()
        log.warning(
            "the process of %d triggers %s%s (status %d): %s",
            len(left),
            "stood still" if child.stood_still else "ended",
            "" if culprit is None or culprit not in left else f" in {left[culprit]}",
            status,
            _last(child.process.errors),
        )
        verdict = self._faults.judge(left, culprit, stood_still=child.stood_still)
        self._apart |= {(child.place.snapshot, path) for path in verdict.apart}
        for identity in verdict.failed:
            self._fail(self._triggers[identity], child)
        for identity in left:
            trigger = self._triggers[identity]
            trigger.place = self._place_of(trigger.stored)
        place = child.place
        if verdict.failed or verdict.apart or now - child.started >= HEALTHY_SECONDS:
            self._short_lives.pop(place, None)
            self._not_before.pop(place, None)
        else:
            self._short_lives[place] += 1
            self._not_before[place] = now + pause_after(self._short_lives[place])

    def _fail(self, trigger: Trigger, child: Child) -> None:
        """Its task is to fail because of what its trigger has done to the process."""
        stored = trigger.stored
        assert child.process.status is not None
        if child.stood_still:
            error = (
                f"its trigger {stored.class_path} kept all triggers of its process waiting for more than "
                f"{self._patience:g} s: a trigger must not block, what takes long belongs into asyncio.to_thread"
            )
        else:
            error = why_it_ended(child.process.status, [stored.class_path])
        writer = self._log_of(trigger)
        for line in child.process.errors.decode("utf-8", "replace").splitlines():
            writer.note(line)
        writer.note(error)
        self._report(trigger, failure(stored.identity, error))

    # --- what children say ---------------------------------------------------------------------

    def _heard(self, child: Child, message: FromChild) -> None:
        """A child speaks for its own triggers alone."""
        self.signal.set()
        identity = message.report.event.identity if isinstance(message, Fired) else message.identity
        trigger = self._triggers.get(identity)
        if trigger is None or identity not in child.triggers:
            return
        match message:
            case Said():
                if not trigger.muted:
                    self._log_of(trigger).write(message.data)
            case Fired():
                if isinstance(message.report.event, TriggerFired) and not trigger.reported:
                    self._report(trigger, message.report)
            case Question():
                self._desk.ask(message, trigger.stored.team, lambda answer: self._answer(child, answer))
            case Over():
                child.triggers.discard(identity)
                child.leaving.discard(identity)
                if not trigger.reported:
                    self._forget(identity)

    def _answer(self, child: Child, answer: Answer) -> None:
        if child.process.status is None:
            child.process.send(Answered(answer))

    def _report(self, trigger: Trigger, report: Report) -> None:
        trigger.reported = True
        trigger.be_silent()
        self._desk.report(report)
        telemetry.TRIGGER_FIRES.labels("failed" if report.error else "fired").inc()
        self.signal.set()

    def _log_of(self, trigger: Trigger) -> LogWriter:
        if trigger.log is None:
            identity = trigger.stored.identity
            trigger.log = self._logs.resume(log_path(identity.instance, identity.try_number), Masker())
        return trigger.log


def _wait_of(stored: StoredTrigger) -> Wait:
    return Wait(
        stored.identity,
        stored.class_path,
        stored.arguments,
        stored.code.file,
        stored.workflow_id,
        stored.run_id,
        stored.task_id,
        stored.map_index,
    )


def _last(errors: bytearray) -> str:
    """What a child wrote last, for the service's log."""
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it has written nothing"
