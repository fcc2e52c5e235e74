"""The Task API: `TaskApi.handle` takes calls and gives replies, whatever carried them here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from piper import __version__
from piper.artifacts import ArtifactStore
from piper.model import wire
from piper.model.errors import AmbiguousCommit, StoreUnavailable
from piper.model.run import Identity
from piper.model.wire import Call, Reply
from piper.secrets import Keys
from piper.service import Clock, Wakeups
from piper.store.database import Database
from piper.store.executions import load
from piper.store.workers import renew_worker
from piper.task_api.batch import BATCHED, Batch
from piper.task_api.commands import COMMANDS, Commands
from piper.task_api.handshake import may_ask, may_be_held
from piper.task_api.problems import NOT_ITS_TOKEN, STALE, problem_of
from piper.task_api.questions import Asker, Questions
from piper.task_api.runs import RunCache
from piper.task_api.specs import SpecCache
from piper.task_api.tokens import Tokens
from piper.task_api.values import XComValues

log = logging.getLogger(__name__)


class TaskApi:
    """Everything that workers may ask and say.

    Arguments:
        max_value: bytes of JSON that one XCom may have.
        wakeups: "scheduler" is notified when events were appended.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        keys: Keys,
        artifacts: ArtifactStore,
        wakeups: Wakeups,
        *,
        max_value: int = wire.MAX_XCOM,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tokens = Tokens(keys)
        self._wakeups = wakeups
        self._specs = SpecCache()
        self._runs = RunCache()
        self._values = XComValues(artifacts, max_value)
        self._questions = Questions(keys, self._values, self._specs)
        self._commands = Commands(keys, self._specs)

    def handle(self, calls: Sequence[Call]) -> list[Reply]:
        """Answer every call, in any order. Does not raise: what goes wrong is the reply of the call it went wrong for.

        All starts, reports and pushed XComs of the calls are one transaction; questions are asked after it. A heartbeat
        speaks for a worker and has no token: the transport vouches for it.
        """
        beats: list[Call] = []
        batched: list[Call] = []
        others: list[Call] = []
        replies: list[Reply] = []
        for call in calls:
            kind = type(call.request)
            if kind is wire.Heartbeat:
                beats.append(call)
            elif call.identity is None or not self._tokens.is_valid(call.identity, call.token):
                replies.append(Reply(call.id, problem=NOT_ITS_TOKEN))
            elif kind in BATCHED:
                batched.append(call)
            else:
                others.append(call)
        replies += [_alone(call, self._heartbeat) for call in beats]
        if batched:
            replies += self._write(batched)
        if others:
            replies += self._ask(others)
        return replies

    def _write(self, calls: list[Call]) -> list[Reply]:
        """Apply starts, reports and pushes in one transaction; if that fails, each in one of its own.

        So a call that this server cannot digest spoils no other's. Repeating is safe: all of them may be repeated.
        """
        batch = Batch(calls, self._values, self._specs, self._runs)
        try:
            with self._database.write() as connection:
                batch.apply(connection, self._clock.now())
        except Exception as error:
            if len(calls) == 1 or isinstance(error, StoreUnavailable | AmbiguousCommit):
                problem = problem_of(error)
                return [Reply(call.id, problem=problem) for call in calls]
            log.warning("a batch of %d calls failed (%s); each is tried alone", len(calls), error)
            return [reply for call in calls for reply in self._write([call])]
        if batch.has_events:
            self._wakeups.notify("scheduler")
        return batch.replies

    def _ask(self, calls: list[Call]) -> list[Reply]:
        """Answer questions, and do the few things that a task may do besides reporting."""
        replies = []
        commands: list[tuple[Call, Asker]] = []
        try:
            with self._database.read() as connection:
                executions = load(connection, {_identity(call).instance for call in calls})
                runs = self._runs.get(connection, executions.values())
                for call in calls:
                    execution = executions.get(_identity(call).instance)
                    if execution is None or not may_ask(execution, _identity(call)):
                        replies.append(Reply(call.id, problem=STALE))
                        continue
                    asker = Asker(execution, runs[execution.run])
                    if type(call.request) in COMMANDS:
                        commands.append((call, asker))
                        continue
                    try:
                        replies.append(Reply(call.id, self._questions.answer(connection, asker, call.request)))
                    except Exception as error:
                        replies.append(Reply(call.id, problem=problem_of(error)))
        except Exception as error:
            answered = {reply.id for reply in replies}
            problem = problem_of(error)
            return replies + [Reply(call.id, problem=problem) for call in calls if call.id not in answered]
        return replies + [_alone(call, partial(self._command, asker)) for call, asker in commands]

    def _command(self, asker: Asker, call: Call) -> Any:
        with self._database.write() as connection:
            result = self._commands.obey(connection, asker, call.request, self._clock.now())
        self._wakeups.notify("scheduler")
        return result

    def _heartbeat(self, call: Call) -> tuple[Identity, ...]:
        beat = call.request
        assert isinstance(beat, wire.Heartbeat)
        with self._database.write() as connection:
            renew_worker(connection, beat.worker, __version__, self._clock.now())
            executions = load(connection, {identity.instance for identity in beat.held}) if beat.held else {}
        return tuple(
            identity
            for identity in beat.held
            if not may_be_held(executions.get(identity.instance), identity, beat.worker)
        )


def _alone(call: Call, do: Callable[[Call], Any]) -> Reply:
    try:
        return Reply(call.id, do(call))
    except Exception as error:
        return Reply(call.id, problem=problem_of(error))


def _identity(call: Call) -> Identity:
    assert call.identity is not None
    return call.identity
