"""Draw the states of a task from the table of transitions: `python -m docs.state_diagram` writes docs/architecture.md.

Drawn once each, or nobody could read it: what can happen to every instance in flight starts at `running`, and what
can happen in every state (a clear, a mark) is left to the table below the diagram. Of an event with several sources
and several targets the arrows meet in a point.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from docs.sections import table, write_section
from piper.core.run import IDLE
from piper.core.task import TABLE
from piper.model.states import FINISHED, IN_FLIGHT, TaskState

DOCUMENT, SECTION = "architecture.md", "transitions"

ANY = "any state"
GROUPS: Mapping[str, frozenset[TaskState]] = {"idle": IDLE, "in flight": IN_FLIGHT, "finished": FINISHED}
"""Sets of states that the code has a name for."""

REACHED = frozenset({TaskState.NONE}).union(*(row.targets for row in TABLE))
"""The states that an instance can be in: the first one, and those that some row leads to."""

Event = tuple[str, str]
"""(name, writer)."""


def ways() -> dict[Event, dict[TaskState, frozenset[TaskState]]]:
    """What each event leads to, and from where."""
    found: defaultdict[Event, defaultdict[TaskState, frozenset[TaskState]]]
    found = defaultdict(lambda: defaultdict(frozenset))
    for row in TABLE:
        for target in row.targets:
            found[row.event.__name__, row.writer][target] |= row.sources & REACHED
    return {event: dict(targets) for event, targets in found.items()}


def in_words(states: frozenset[TaskState]) -> str:
    """A set of states in as few words as possible."""
    if states == REACHED:
        return ANY
    words = []
    for name, group in GROUPS.items():
        if group <= states:
            words.append(name)
            states -= group
    return ", ".join([*words, *_in_order(states)])


def mermaid() -> str:
    """The diagram."""
    labels: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    points: list[str] = []
    for (name, writer), targets in ways().items():
        label = name if writer == "owner" else f"{name} ({writer})"
        for sources in [states for states in dict.fromkeys(targets.values()) if states != REACHED]:
            reached = _in_order(target for target in targets if targets[target] == sources)
            drawn = ["running"] if sources == IN_FLIGHT else _in_order(sources)
            if len(drawn) > 1 and len(reached) > 1:
                points.append(name.lower())
                for source in drawn:
                    labels[source, name.lower()].append(label)
                drawn, label = [name.lower()], ""
            for source in drawn:
                for target in reached:
                    labels[source, target].append(label)
    lines = ["stateDiagram-v2", "    direction LR", "    [*] --> none"]
    lines += [f"    state {point} <<choice>>" for point in points]
    for (source, target), words in labels.items():
        said = ", ".join(word for word in words if word)
        lines.append(f"    {source} --> {target}" + (f": {said}" if said else ""))
    return "\n".join(lines)


def events() -> str:
    """The table: what each event may find, what it leads to, who writes that."""
    rows = [
        [f"`{name}`", in_words(frozenset().union(*targets.values())), ", ".join(_in_order(targets)), writer]
        for (name, writer), targets in ways().items()
    ]
    return table(["event", "happens in", "leads to", "written by"], rows)


def groups() -> str:
    """What the groups of states are called."""
    said = (f"*{name}* is {', '.join(_in_order(states))}" for name, states in GROUPS.items())
    return "; ".join(said) + "."


def section() -> str:
    """The whole section of the document."""
    return f"```mermaid\n{mermaid()}\n```\n\n{events()}\n\nHere {groups()}"


def _in_order(states: Iterator[TaskState] | frozenset[TaskState] | dict[TaskState, frozenset[TaskState]]) -> list[str]:
    chosen = frozenset(states)
    return [str(state) for state in TaskState if state in chosen]


if __name__ == "__main__":
    write_section(DOCUMENT, SECTION, section())
