"""What triggers say and ask, brought before the Task API: reports at once, questions of many in one.

Sensors ask the same questions again and again, thousands of them. The same question of several triggers of a team is
asked once, and no more than COUNTED_AT_ONCE different ones in COUNT_SECONDS, in the order in which they came: so many
sensors wait a little for one another, and the scheduler never waits for them.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import NamedTuple

import msgspec

from piper.model import wire
from piper.model.events import TriggerFired
from piper.model.run import Identity
from piper.model.wire import Answer, Call, Reply, Report
from piper.task_api.tokens import Tokens
from piper.triggerer.protocol import Question

log = logging.getLogger(__name__)

Handle = Callable[[Sequence[Call]], list[Reply]]

COUNTED_AT_ONCE = 64
COUNT_SECONDS = 0.1

REPEAT_SECONDS = 0.25
"""After which a report is repeated that the database could not take."""

_COUNTED = frozenset({wire.CountInstances, wire.CountRuns, wire.GetRun, wire.FindWorkflow})
"""Questions whose answer is the same for every task of a team."""


class Asked(NamedTuple):
    """A question that waits for its turn."""

    question: Question
    team: str
    answer: Callable[[Answer], None]


class Desk:
    """Speaks to the Task API in the names of the tasks that wait.

    Arguments:
        handle: `TaskApi.handle`.
    """

    def __init__(self, handle: Handle, tokens: Tokens) -> None:
        self._handle = handle
        self._tokens = tokens
        self._numbers = count(1)
        self._reports: list[Report] = []
        self._report_at = 0.0
        self._questions: list[Asked] = []
        self._counted: deque[Asked] = deque()
        self._count_at = 0.0

    def report(self, report: Report) -> None:
        """To be reported at the next turn, and again until it has been taken."""
        self._reports.append(report)
        self._report_at = 0.0

    def ask(self, question: Question, team: str, answer: Callable[[Answer], None]) -> None:
        """To be asked as soon as its turn comes."""
        asked = Asked(question, team, answer)
        if type(question.request) in _COUNTED:
            self._counted.append(asked)
        else:
            self._questions.append(asked)

    def take_turn(self, now: float) -> None:
        """Say and ask what is due at the monotonic second `now`."""
        if self._reports and now >= self._report_at:
            self._send_reports(now)
        if self._questions:
            questions, self._questions = self._questions, []
            self._ask([[asked] for asked in questions])
        if self._counted and now >= self._count_at:
            self._count_at = now + COUNT_SECONDS
            self._ask(self._next_counted())

    def due_in(self, now: float) -> float | None:
        """Seconds until the next turn that has something to do; None if there is nothing."""
        dues = []
        if self._reports:
            dues.append(self._report_at)
        if self._questions:
            dues.append(now)
        if self._counted:
            dues.append(self._count_at)
        return max(0.0, min(dues) - now) if dues else None

    def clear(self) -> None:
        """Forget all that waits."""
        self._reports.clear()
        self._questions.clear()
        self._counted.clear()

    def _send_reports(self, now: float) -> None:
        reports, self._reports = self._reports, []
        calls = dict(zip(self._numbers, reports, strict=False))
        for reply in self._handle([self._call(n, report.event.identity, report) for n, report in calls.items()]):
            report, problem = calls[reply.id], reply.problem
            if problem is None or problem.kind == "stale":
                continue
            if problem.kind == "unavailable":
                self._reports.append(report)
                self._report_at = now + REPEAT_SECONDS
            elif not report.error:
                self.report(failure(report.event.identity, f"what its trigger says is not accepted: {problem.message}"))
            else:
                log.error("the failure of a trigger is not accepted: %s", problem.message)

    def _next_counted(self) -> Iterable[list[Asked]]:
        """The next questions; those that are the same for the same team together."""
        groups: dict[tuple[str, bytes], list[Asked]] = {}
        while self._counted and len(groups) < COUNTED_AT_ONCE:
            asked = self._counted.popleft()
            groups.setdefault((asked.team, msgspec.msgpack.encode(asked.question.request)), []).append(asked)
        return groups.values()

    def _ask(self, groups: Iterable[list[Asked]]) -> None:
        """Ask for each group once, in the name of its first."""
        calls = dict(zip(self._numbers, groups, strict=False))
        firsts = {number: group[0].question for number, group in calls.items()}
        for reply in self._handle([self._call(n, q.identity, q.request) for n, q in firsts.items()]):
            group = calls[reply.id]
            if reply.problem is not None and reply.problem.kind == "stale":  # which says nothing of the others
                self._counted.extendleft(reversed(group[1:]))
                group = group[:1]
            for asked in group:
                asked.answer(Answer(asked.question.id, reply.result, reply.problem))

    def _call(self, number: int, identity: Identity, request: wire.Request) -> Call:
        return Call(number, identity, self._tokens.issue(identity), request)


def failure(identity: Identity, error: str) -> Report:
    """The report of a trigger that has failed."""
    return Report(TriggerFired(identity, error=error), error=error)
