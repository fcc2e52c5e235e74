"""What triggers ask is asked in their names, together where that is one question; what they say is said until taken."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from piper.model.events import TriggerFired
from piper.model.run import Identity
from piper.model.wire import Answer, Call, CountRuns, GetVariable, Problem, Reply, Report
from piper.task_api.tokens import Tokens
from piper.triggerer.desk import COUNT_SECONDS, COUNTED_AT_ONCE, REPEAT_SECONDS, Desk, failure
from piper.triggerer.protocol import Question
from tests.world import KEYS


class Server:
    """Answers each call with what the test has put there, or with its number."""

    def __init__(self) -> None:
        self.asked: list[Call] = []
        self.problems: dict[Identity, Problem] = {}

    def handle(self, calls: Sequence[Call]) -> list[Reply]:
        self.asked += calls
        return [
            Reply(call.id, None if call.identity in self.problems else 7, self.problems.get(call.identity))
            for call in calls
            if call.identity is not None
        ]

    def take(self) -> list[Call]:
        """What was asked since the last time."""
        asked, self.asked = self.asked, []
        return asked


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def desk(server: Server) -> Desk:
    return Desk(server.handle, Tokens(KEYS))


def identity(number: int) -> Identity:
    return Identity(number, 1, 0)


def ask(desk: Desk, numbers: Sequence[int], request: object, answers: dict[int, Answer], team: str = "red") -> None:
    for number in numbers:
        question = Question(number, identity(number), request)  # type: ignore[arg-type]
        desk.ask(question, team, lambda answer, number=number: answers.__setitem__(number, answer))


def test_the_same_question_of_a_team_is_asked_once(desk: Desk, server: Server) -> None:
    answers: dict[int, Answer] = {}
    ask(desk, range(1000), CountRuns("w"), answers)
    ask(desk, [1000], CountRuns("w"), answers, team="blue")
    desk.take_turn(0.0)
    assert len(server.take()) == 2
    assert {number: answer.result for number, answer in answers.items()} == dict.fromkeys(range(1001), 7)
    assert all(answers[number].id == number for number in answers)


def test_so_many_different_questions_are_asked_in_so_long(desk: Desk, server: Server) -> None:
    answers: dict[int, Answer] = {}
    for number in range(COUNTED_AT_ONCE + 5):
        ask(desk, [number], CountRuns(f"w{number}"), answers)
    desk.take_turn(0.0)
    desk.take_turn(COUNT_SECONDS / 2)
    assert len(server.take()) == COUNTED_AT_ONCE
    assert desk.due_in(COUNT_SECONDS / 2) == pytest.approx(COUNT_SECONDS / 2)
    desk.take_turn(COUNT_SECONDS)
    assert len(server.take()) == 5
    assert desk.due_in(COUNT_SECONDS) is None


def test_an_asker_that_is_stale_does_not_speak_for_the_others(desk: Desk, server: Server) -> None:
    answers: dict[int, Answer] = {}
    server.problems[identity(1)] = Problem("stale", "over")
    ask(desk, [1, 2, 3], CountRuns("w"), answers)
    desk.take_turn(0.0)
    assert list(answers) == [1]
    desk.take_turn(COUNT_SECONDS)
    assert [answers[number].result for number in (2, 3)] == [7, 7]


def test_what_only_one_task_may_know_is_asked_for_each(desk: Desk, server: Server) -> None:
    answers: dict[int, Answer] = {}
    ask(desk, [1, 2], GetVariable("colour"), answers)
    desk.take_turn(0.0)
    assert [call.identity for call in server.take()] == [identity(1), identity(2)]


def test_a_report_is_repeated_until_it_is_taken(desk: Desk, server: Server) -> None:
    server.problems[identity(1)] = Problem("unavailable", "not now")
    desk.report(Report(TriggerFired(identity(1), 1)))
    desk.take_turn(0.0)
    desk.take_turn(REPEAT_SECONDS / 2)
    assert len(server.take()) == 1
    server.problems.clear()
    desk.take_turn(REPEAT_SECONDS)
    assert len(server.take()) == 1
    assert desk.due_in(REPEAT_SECONDS) is None


def test_a_report_that_is_stale_is_forgotten(desk: Desk, server: Server) -> None:
    server.problems[identity(1)] = Problem("stale", "over")
    desk.report(Report(TriggerFired(identity(1), 1)))
    desk.take_turn(0.0)
    assert desk.due_in(0.0) is None


def test_an_event_that_is_refused_fails_the_task_and_its_failure_is_not_repeated(desk: Desk, server: Server) -> None:
    server.problems[identity(1)] = Problem("too_large", "2 MiB")
    desk.report(Report(TriggerFired(identity(1), 1)))
    desk.take_turn(0.0)
    server.take()
    desk.take_turn(1.0)
    (call,) = server.take()
    assert call.request == failure(identity(1), "what its trigger says is not accepted: 2 MiB")
    assert desk.due_in(1.0) is None
