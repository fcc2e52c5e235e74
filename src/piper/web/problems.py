"""Errors as they are sent: problem details for HTTP APIs (RFC 9457).

What is the caller's fault is said in full; what is the installation's fault is said without a stack, SQL,
or a path, with a correlation id by which the operator finds the rest in the log.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response

from piper.model.errors import (
    AmbiguousCommit,
    AuthorError,
    CallerError,
    Conflict,
    Invalid,
    NotFound,
    PiperError,
    Refused,
    StoreUnavailable,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER_SECONDS = 2


class Unauthenticated(Refused):
    """The call does not say who calls, or says it with a token that is not valid."""


class TooLarge(CallerError):
    """The body of the call is longer than allowed."""


class TooManyStreams(PiperError):
    """The server follows as many streams as it may."""


class Missing(NotFound):
    """Not found, with the names that may have been meant."""

    def __init__(self, message: str, suggestions: list[str]) -> None:
        super().__init__(message)
        self.suggestions = suggestions


class FieldError(BaseModel):
    """What is wrong with one part of a request."""

    pointer: str = Field(description="Where: a JSON pointer into the body, or the name of a parameter.")
    detail: str


class Problem(BaseModel):
    """Why a request was not done."""

    type: str = Field(description="Names the kind of problem.")
    title: str
    status: int
    detail: str = Field(description="The value, whose fault it is, what to do.")
    correlation_id: str = Field(description="By which the operator of the installation finds it in the log.")
    errors: list[FieldError] = []
    suggestions: list[str] = Field(default=[], description="Names that may have been meant.")


_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (Unauthenticated, 401),
    (Refused, 403),
    (NotFound, 404),
    (Conflict, 409),
    (TooLarge, 413),
    (Invalid, 422),
    (AuthorError, 422),
    (TooManyStreams, 503),
    (AmbiguousCommit, 503),
    (StoreUnavailable, 503),
    (PoolTimeout, 503),
)

_OWN_WORDS = (CallerError, AuthorError, TooManyStreams)
"""Errors whose message is written for the caller."""


def problem_response(error: Exception, correlation_id: str) -> Response:
    """The reply to a call that ended in `error`; one that nobody foresaw is logged."""
    status = _status_of(error)
    headers: dict[str, str] = {}
    errors: list[FieldError] = []
    if isinstance(error, RequestValidationError):
        errors = [_field_error(part) for part in error.errors()]
        detail = "; ".join(f"{part.pointer}: {part.detail}" for part in errors[:5])
    elif isinstance(error, HTTPException):
        headers.update(error.headers or {})
        detail = str(error.detail)
    elif isinstance(error, _OWN_WORDS):
        detail = str(error)
    elif isinstance(error, AmbiguousCommit):
        detail = (
            "the connection to the database broke while the change was being committed: it may or may not have"
            " happened; repeat the call with the same Idempotency-Key to find out"
        )
    elif isinstance(error, StoreUnavailable):
        detail = f"the database {error.meaning}; nothing was written, try again later"
    elif status == 503:
        detail = "the database cannot be used at the moment and nothing was written; try again"
    else:
        log.error("call %s failed", correlation_id, exc_info=error)
        detail = f"Piper failed at this call; its operator finds more in the log under {correlation_id}"
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        headers["Retry-After"] = str(_RETRY_AFTER_SECONDS)
        log.warning("call %s was not served: %s", correlation_id, error)
    title = HTTPStatus(status).phrase
    problem = Problem(
        type=f"urn:piper:problem:{title.lower().replace(' ', '-')}",
        title=title,
        status=status,
        detail=detail,
        correlation_id=correlation_id,
        errors=errors,
        suggestions=error.suggestions if isinstance(error, Missing) else [],
    )
    body = msgspec.json.encode(problem.model_dump(exclude_defaults=True))
    return Response(body, status, headers, MEDIA_TYPE)


def _status_of(error: Exception) -> int:
    if isinstance(error, RequestValidationError):
        return 422
    if isinstance(error, HTTPException):
        return error.status_code
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def _field_error(part: dict[str, Any]) -> FieldError:
    """Pydantic's finding, without the value that it found: the caller knows it, a log need not."""
    where, *path = [str(step) for step in part["loc"]]
    pointer = "/" + "/".join(path) if where == "body" else ".".join(path)
    return FieldError(pointer=pointer, detail=str(part["msg"]))
