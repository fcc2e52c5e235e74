"""How types that do not describe themselves are stored in an XCom, by dotted path of the class.

Tables are keyed by name, so that a library is imported only once a value of it is written or read.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from importlib import import_module
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo


class Codec(NamedTuple):
    """Two inverse functions and the version of what lies between them."""

    encode: Callable[[Any], Any]
    """An object → its data: JSON values, or types that have codecs."""
    decode: Callable[[Any, str], Any]
    """Its data and the dotted path of its class → the object."""
    version: int = 1


def _zone_to_json(zone: tzinfo | None) -> str | float | None:
    """The IANA name of a zone, or its fixed offset in seconds."""
    if zone is None:
        return None
    name = getattr(zone, "key", None) or getattr(zone, "name", None)
    if isinstance(name, str) and "/" in name:
        return name
    offset = zone.utcoffset(None)
    if offset is not None:
        return offset.total_seconds()
    if isinstance(name, str):
        return name
    raise TypeError(f"cannot store the time zone {zone!r} as an XCom: use zoneinfo.ZoneInfo or a fixed offset")


def _zone_from_json(data: str | float | None) -> tzinfo | None:
    if data is None:
        return None
    if isinstance(data, str):
        return ZoneInfo(data)
    return timezone(timedelta(seconds=data)) if data else UTC


def _datetime_to_json(value: datetime) -> dict[str, Any]:
    zone = value.tzinfo
    # The instant in UTC and the zone apart: an ISO text alone would keep the offset and lose the zone.
    moment = value if zone is None else value.astimezone(UTC)
    return {"moment": datetime.isoformat(moment), "zone": _zone_to_json(zone)}


def _datetime_from_json(data: dict[str, Any], name: str) -> datetime:
    moment = datetime.fromisoformat(data["moment"])
    zone = _zone_from_json(data["zone"])
    return moment if zone is None else moment.astimezone(zone)


def _pendulum_from_json(data: dict[str, Any], name: str) -> Any:
    # Lazy: pendulum takes 20 ms to import, and most tasks never meet it.
    from pendulum import instance, naive

    moment = datetime.fromisoformat(data["moment"])
    if data["zone"] is None:
        return naive(
            moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, moment.microsecond
        )
    zone = data["zone"]
    shown = instance(moment)
    return shown.in_timezone(zone) if isinstance(zone, str) else shown.astimezone(_zone_from_json(zone))


def _pendulum_zone_from_json(data: str | float, name: str) -> Any:
    from pendulum import timezone as pendulum_zone

    return pendulum_zone(data if isinstance(data, str) else int(data))


def _pendulum_date_from_json(data: str, name: str) -> Any:
    from pendulum import Date

    return Date.fromisoformat(data)


def _number_to_json(value: Any) -> Any:
    number = value.item()
    return [number.real, number.imag] if isinstance(number, complex) else number


def _numpy_from_json(data: Any, name: str) -> Any:
    kind = getattr(import_module("numpy"), name.rpartition(".")[2])
    return kind(complex(*data)) if isinstance(data, list) else kind(data)


def _frame_to_json(frame: Any) -> str:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return base64.b64encode(buffer.getvalue()).decode()


def _frame_from_json(data: str, name: str) -> Any:
    return import_module("pandas").read_parquet(io.BytesIO(base64.b64decode(data)))


_DATETIME = Codec(_datetime_to_json, _datetime_from_json)
_PENDULUM = Codec(_datetime_to_json, _pendulum_from_json)
_PENDULUM_ZONE = Codec(_zone_to_json, _pendulum_zone_from_json)
_NUMPY = Codec(_number_to_json, _numpy_from_json)
_FRAME = Codec(_frame_to_json, _frame_from_json)

_NUMPY_TYPES = (
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128", "bool", "bool_", "longlong", "ulonglong"),
)

CODECS: dict[str, Codec] = {
    "builtins.tuple": Codec(list, lambda data, name: tuple(data)),
    "builtins.set": Codec(list, lambda data, name: set(data)),
    "builtins.frozenset": Codec(list, lambda data, name: frozenset(data)),
    "datetime.datetime": _DATETIME,
    "datetime.date": Codec(date.isoformat, lambda data, name: date.fromisoformat(data)),
    "datetime.time": Codec(time.isoformat, lambda data, name: time.fromisoformat(data)),
    "datetime.timedelta": Codec(timedelta.total_seconds, lambda data, name: timedelta(seconds=data)),
    "datetime.timezone": Codec(_zone_to_json, lambda data, name: _zone_from_json(data)),
    "zoneinfo.ZoneInfo": Codec(_zone_to_json, lambda data, name: _zone_from_json(data)),
    "pendulum.datetime.DateTime": _PENDULUM,
    "pendulum.date.Date": Codec(date.isoformat, _pendulum_date_from_json),
    "pendulum.tz.timezone.Timezone": _PENDULUM_ZONE,
    "pendulum.tz.timezone.FixedTimezone": _PENDULUM_ZONE,
    "decimal.Decimal": Codec(str, lambda data, name: Decimal(data)),
    "uuid.UUID": Codec(str, lambda data, name: UUID(data)),
    "pandas.core.frame.DataFrame": _FRAME,
    "pandas.DataFrame": _FRAME,
    **{f"numpy.{name}": _NUMPY for name in _NUMPY_TYPES},
}
