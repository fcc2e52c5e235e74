"""Two files, one workflow id: who has it. Pure.

The file that defines a workflow keeps it until it gives it up: it is gone, or it loads without it. So a
file that wants an id waits for the holder if that is just being loaded, and is refused otherwise. Of
files that come together, the first by name has it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from piper.serializer.changes import FileName
from piper.serializer.outcomes import LoadedFile, Outcome, already_defined


@dataclass(frozen=True, slots=True)
class Resolved:
    """What can be published now, and which files have to wait for another."""

    ready: Mapping[FileName, Outcome]
    waiting: Collection[FileName]


def resolve(
    outcomes: Mapping[FileName, Outcome],
    holders: Mapping[str, FileName],
    *,
    gone: Collection[FileName],
    pending: Collection[FileName],
    teams: Mapping[str, str],
) -> Resolved:
    """See which of these outcomes may be published as they are, which become errors, which wait.

    Arguments:
        holders: workflow id → the file that defines it now, for the ids that the outcomes define.
        gone: files that are no longer there.
        pending: files that are being loaded, or will be.
        teams: bundle → team.
    """
    ready: dict[FileName, Outcome] = {}
    waiting: set[FileName] = set()
    taken: dict[str, FileName] = {}
    for file in sorted(outcomes):
        outcome = outcomes[file]
        if isinstance(outcome, LoadedFile):
            rivals = {
                one: rival
                for one in outcome.ids
                if (rival := holders.get(one)) is not None
                and rival not in (file, *gone)
                and not _is_given_up(one, outcomes.get(rival))
            }
            rivals |= {one: taken[one] for one in outcome.ids if one in taken}
            if any(rival in pending for rival in rivals.values()):
                waiting.add(file)
                continue
            if rivals:
                outcome = already_defined(outcome, min(rivals), _where(file, rivals[min(rivals)], teams))
            else:
                taken |= dict.fromkeys(outcome.ids, file)
        ready[file] = outcome
    return Resolved(ready, waiting)


def _is_given_up(workflow_id: str, outcome: Outcome | None) -> bool:
    """Whether the file that defines a workflow is about to be published without it."""
    return isinstance(outcome, LoadedFile) and workflow_id not in outcome.ids


def _where(file: FileName, rival: FileName, teams: Mapping[str, str]) -> str:
    """Where a workflow is defined already, as far as the team of `file` may know."""
    return f"in {rival.path}" if teams.get(rival.bundle) == teams[file.bundle] else "elsewhere"
