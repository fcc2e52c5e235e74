"""One load, as the supervisor has it: what came of it so far, what it has asked, what to say of it in the end.

What a file may ask while it is loaded, variables and connections, is answered here, within bounds: one question after
another, each a read by primary key. What is secret in an answer is masked in all that is kept of the load.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Never

import msgspec

from piper import timetables
from piper.logs import Masker, secrets_in
from piper.model.check import check_workflow
from piper.model.errors import AuthorError, InvalidSpec, NotFound, StoreUnavailable
from piper.model.frames import FrameTooLong, framed
from piper.model.spec import decode_spec, encode_spec, spec_hash
from piper.model.wire import Answer, Lookup, Problem
from piper.serializer.outcomes import CheckedSpec, FailedFile, LoadedFile, Outcome, explain_end, place_in_trace
from piper.serializer.protocol import (
    MAX_FRAME,
    MAX_QUESTION,
    MOST_QUESTIONS,
    BadFrame,
    Ended,
    Failed,
    Frames,
    Kind,
    Limits,
    Loaded,
    Question,
    decode_operators,
    decode_question,
    decode_report,
)
from piper.task_api.problems import problem_of

MOST_RESULTS = 512 << 20
"""Bytes of frames of one file."""


class AsksTooMuch(InvalidSpec):
    """A file goes beyond what it may ask."""


def find_nothing(lookup: Lookup) -> Never:
    """What files look up where there is no database."""
    raise NotFound("there is no installation to ask")


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadRequest:
    """What to load, and what its bundle grants it."""

    root: Path
    file: str
    environment: Mapping[str, str] = field(default_factory=dict)
    readable: Sequence[str] = ()
    look_up: Callable[[Lookup], Any] = find_nothing
    """Answers what it asks. That the database is away is no answer: then loading it fails (StoreUnavailable)."""


@dataclass(slots=True)
class ActiveLoad:
    """A load that has been started."""

    id: int
    request: LoadRequest
    result: socket.socket
    frames: Frames
    deadline: float
    specs: dict[str, CheckedSpec] = field(default_factory=dict)
    operators: dict[str, Any] = field(default_factory=dict)
    report: Loaded | Failed | None = None
    received: int = 0
    questions: int = 0
    answers: bytearray = field(default_factory=bytearray)
    """Frames that are to be sent."""
    masker: Masker = field(default_factory=Masker)
    """Of what was secret in the answers."""
    refused: AuthorError | None = None
    """Why what it sent cannot be used."""
    unwanted: bool = False

    def take(self, data: bytes) -> bool:
        """Take what it has sent; from then on there may be `answers` to send. False if it is `refused` now.

        Raises:
            StoreUnavailable: what it asks cannot be answered now.
        """
        self.received += len(data)
        try:
            if self.received > MOST_RESULTS:
                raise InvalidSpec(f"its workflows take more than {MOST_RESULTS >> 20} MiB as data")
            for kind, payload in self.frames.feed(data):
                self._take_frame(kind, payload)
        except AuthorError as error:
            self._refuse(error)
        except (BadFrame, msgspec.MsgspecError, RecursionError) as error:
            self._refuse(InvalidSpec(f"it wrote something else than workflows into the channel of its loader {error}"))
        return self.refused is None

    def outcome(self, ended: Ended, limits: Limits) -> Outcome:
        """What came of it, now that it is over."""
        file, report, mask = self.request.file, self.report, self.masker.mask_text
        output = mask(ended.output.decode(errors="replace"))
        if self.refused is None and isinstance(report, Loaded):
            return LoadedFile(
                file=file,
                specs=tuple(self.specs.values()),
                imports=report.imports,
                operators=self.operators,
                warnings=(*map(mask, report.warnings), *self._exposed()),
                seconds=ended.seconds,
                output=output,
                questions=self.questions,
            )
        trace = ""
        where, line = place_in_trace(ended.trace, str(self.request.root))
        if self.refused is not None:
            message = str(self.refused)
            if not isinstance(self.refused, AsksTooMuch):  # which was ended where it asks; others may be anywhere
                where, line = self.refused.file or "", self.refused.line
        elif isinstance(report, Failed):
            message, where, line, trace = report.message, report.file, report.line or None, report.traceback
        else:
            message = explain_end(ended, limits)
        return FailedFile(
            file=file,
            message=mask(message),
            traceback=mask(trace),
            error_file=where or file,
            line=line,
            seconds=ended.seconds,
            output=output,
            questions=self.questions,
        )

    # --- inside -----------------------------------------------------------------------------------

    def _take_frame(self, kind: Kind, payload: bytes) -> None:
        if kind is Kind.SPEC:
            spec = decode_spec(payload)
            check_workflow(spec, timetables.check)
            if spec.workflow_id in self.specs:
                first = self.specs[spec.workflow_id].spec.source
                raise InvalidSpec(
                    f"workflow id {spec.workflow_id!r} is used twice, also at {first.file}:{first.line}",
                    file=spec.source.file,
                    line=spec.source.line,
                )
            body = encode_spec(spec)
            self.specs[spec.workflow_id] = CheckedSpec(spec, body.decode(), spec_hash(body))
        elif kind is Kind.OPERATORS:
            self.operators.update(decode_operators(payload))
        elif kind is Kind.QUESTION:
            self._answer(payload)
        else:
            self.report = decode_report(payload)

    def _answer(self, payload: bytes) -> None:
        self.questions += 1
        if self.questions > MOST_QUESTIONS:
            raise AsksTooMuch(
                f"it reads more than {MOST_QUESTIONS} variables and connections while it is loaded: read them in "
                "tasks, or keep them together as the JSON of one variable"
            )
        if len(payload) > MAX_QUESTION or len(self.answers) > MAX_FRAME:
            raise AsksTooMuch(f"it asks for a name of {len(payload):,} bytes, or without waiting for the answers")
        question = decode_question(payload)
        answer = self._answer_to(question)
        try:
            self.answers += framed(_encode_answer(answer))
        except FrameTooLong as error:
            answer = Answer(question.id, problem=Problem("too_large", f"the answer has {error}"))
            self.answers += framed(_encode_answer(answer))

    def _answer_to(self, question: Question) -> Answer:
        try:
            result = self.request.look_up(question.lookup)
        except StoreUnavailable:
            raise
        except Exception as error:  # whatever is wrong with this one, the others can be loaded
            return Answer(question.id, problem=problem_of(error))
        self.masker.add(secrets_in(question.lookup, result))
        return Answer(question.id, result)

    def _refuse(self, error: AuthorError) -> None:
        self.refused = error
        self.specs.clear()

    def _exposed(self) -> Iterator[str]:
        """Warnings of workflows that hold a secret which their file has read."""
        for one in self.specs.values():
            body = one.body.encode()
            if self.masker.mask(body) != body:
                place = f"{one.spec.source.file}:{one.spec.source.line}"
                yield (
                    f"{place}: UserWarning: workflow {one.spec.workflow_id!r} holds a secret that its file has read (a "
                    "password, or a variable with a telling name): definitions are neither encrypted nor masked. "
                    "Read it in the task, or in a template"
                )


_encode_answer = msgspec.msgpack.Encoder().encode
