"""Dates with time zones, as `airflow.sdk.timezone` has them. UTC is the default zone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pendulum

utc = pendulum.UTC


def utcnow() -> dt.datetime:
    """Now, in UTC."""
    return dt.datetime.now(tz=utc)


def is_localized(value: dt.datetime) -> bool:
    """Whether a datetime is aware."""
    return value.utcoffset() is not None


def is_naive(value: dt.datetime) -> bool:
    """Whether a datetime is naive."""
    return value.utcoffset() is None


def make_aware(value: dt.datetime | None, timezone: dt.tzinfo | None = None) -> dt.datetime | None:
    """A naive datetime as one of a zone. Raises ValueError if it is aware."""
    if value is None:
        return None
    if is_localized(value):
        raise ValueError(f"make_aware expects a naive datetime, got {value}")
    return value.replace(tzinfo=timezone or utc)


def make_naive(value: dt.datetime, timezone: dt.tzinfo | None = None) -> dt.datetime:
    """An aware datetime as local time of a zone. Raises ValueError if it is naive."""
    if is_naive(value):
        raise ValueError("make_naive() cannot be applied to a naive datetime")
    return value.astimezone(timezone or utc).replace(tzinfo=None)


def convert_to_utc(value: dt.datetime | None) -> pendulum.DateTime | None:
    """A datetime in UTC; a naive one is taken to be."""
    if value is None:
        return None
    aware = value if is_localized(value) else value.replace(tzinfo=utc)
    return pendulum.instance(aware.astimezone(utc))


def coerce_datetime(v: dt.datetime | None, tz: Any = None) -> pendulum.DateTime | None:
    """A pendulum datetime, in UTC or in `tz`."""
    if v is None:
        return None
    aware = pendulum.instance(v if is_localized(v) else v.replace(tzinfo=utc))
    return aware.in_timezone(tz) if tz is not None else aware


def datetime(*args: Any, **kwargs: Any) -> dt.datetime:
    """`datetime.datetime`, in UTC unless a zone is given."""
    return dt.datetime(*args, **{"tzinfo": utc, **kwargs})  # noqa: DTZ001 - it has one


def parse(string: str, timezone: Any = None, *, strict: bool = False) -> pendulum.DateTime:
    """A datetime from text, in UTC or in `timezone` unless the text says."""
    found = pendulum.parse(string, tz=timezone or utc, strict=strict)
    if not isinstance(found, pendulum.DateTime):
        raise ValueError(f"{string!r} is not a date")
    return found


def parse_timezone(name: str | int) -> Any:
    """The zone of an IANA name, or of an offset in seconds."""
    return pendulum.timezone(name)


def from_timestamp(timestamp: float, tz: Any = utc) -> pendulum.DateTime:
    """The moment so many seconds after 1970."""
    return pendulum.from_timestamp(timestamp, tz=tz)
