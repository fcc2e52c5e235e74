"""A triggerer in a play: runs what the rows want, fires late, twice and after the fact, and forgets everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from piper.model.events import TriggerFired
from piper.model.run import Identity
from piper.model.spec import AssetRef
from piper.model.states import TaskState
from piper.model.wire import Call, Report
from piper.store.triggers import StoredTrigger, load_triggers, wanted_triggers
from tests.simulation.monitor import Broken

if TYPE_CHECKING:
    from tests.simulation.world import World


class Triggerer:
    """Looks at the rows when the dice says, and fires what it believes to be wanted."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._database = world.database("triggerer")
        self._running: set[Identity] = set()
        self._fired: list[Report] = []
        self._outlets: dict[Identity, int] = {}

    @property
    def running(self) -> bool:
        """Whether it runs anything."""
        return bool(self._running)

    def look(self) -> None:
        """Begin what is wanted, end what is not; what it has fired and finds wanted still, it begins again."""
        with self._database.read() as connection:
            wanted = wanted_triggers(connection)
            stored = load_triggers(connection, sorted(one.instance for one in wanted))
        self._running = {one.identity for one in stored}
        self._outlets |= {one.identity: self._outlets_of(one) for one in stored}
        self._world.talk(f"the triggerer looks: {sorted(map(_numbers, self._running))}")

    def _outlets_of(self, stored: StoredTrigger) -> int:
        """How many assets its task changes by succeeding, in the version that its run is pinned to."""
        monitor = self._world.monitor
        tasks = monitor.version_of(monitor.runs[stored.identity.instance >> 24]).tasks
        outlets = [outlet for task in tasks if task.task_id == stored.task_id for outlet in task.outlets]
        return sum(isinstance(outlet, AssetRef) for outlet in outlets)

    def crash(self) -> None:
        """All that ran is gone, until it looks again."""
        self._world.talk("the triggerer's children are gone")
        self._running.clear()

    def fire(self) -> None:
        """One of those that run here fires, whether it is wanted any more or not."""
        if not self._running:
            return
        world, dice = self._world, self._world.dice
        identity = dice.choice(sorted(self._running, key=_numbers))
        earlier = [r for r in self._fired if r.event.identity.instance == identity.instance]
        if earlier and not world.calm and dice.random() < 0.3:  # what an earlier wait said comes only now
            self.say(dice.choice(earlier))
            return
        if world.calm or dice.random() < 0.7:  # else it has fired, and its process died before it could forget it
            self._running.discard(identity)
        self.say(self._what(identity))

    def say(self, report: Report) -> None:
        """Report it; the same may come again at any time."""
        world, identity = self._world, report.event.identity
        token = world.tokens.issue(identity)
        world.talk(f"the trigger of {identity} fires: {report.event}")
        world.said.append((token, report))
        self._fired.append(report)
        world.ask([Call(4, identity, token, report)])

    def _what(self, identity: Identity) -> Report:
        dice = self._world.dice
        said = {"of": _numbers(identity), "n": dice.getrandbits(16)}
        what = dice.choices(["event", "error", "end"], [75, 15, 10])[0]
        if what == "error":
            return Report(TriggerFired(identity, error="the trigger failed"), error="the trigger failed")
        if what == "end":
            end = dice.choice([TaskState.SUCCESS, TaskState.SKIPPED, TaskState.FAILED])
            if end is TaskState.SUCCESS:
                self._world.ledger.changes[identity] = self._outlets[identity]
            return Report(TriggerFired(identity, end_state=end))
        return Report(TriggerFired(identity, said))


class Waits:
    """Of each try, the execution that deferred last: what it is resumed with must be meant for that."""

    def __init__(self) -> None:
        self._last: dict[tuple[int, int], int] = {}

    def deferred(self, identity: Identity) -> None:
        """A worker says that this execution waits."""
        self._last[identity.instance, identity.try_number] = identity.leg

    def resumed(self, identity: Identity, resume: Any) -> None:
        """An execution is entered with this. A sensor that gives its slot back is entered with the same again."""
        if not resume or "event" not in resume:
            return
        began_with_it = 0
        wait = Identity(
            identity.instance,
            identity.try_number,
            self._last.get((identity.instance, identity.try_number), began_with_it),
        )
        if resume["event"]["of"] != _numbers(wait):
            raise Broken(f"{identity}, which waited as {wait}, was resumed by what {resume['event']['of']} waited for")


def _numbers(identity: Identity) -> list[int]:
    return [identity.instance, identity.try_number, identity.leg]
