"""Sizes and durations as people write them: "512MiB", "1h30m"."""

from __future__ import annotations

import re
from datetime import timedelta

_SIZE_UNITS = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgt", start=1):
    _SIZE_UNITS[f"{_letter}b"] = 1000**_power
    _SIZE_UNITS[f"{_letter}ib"] = 1024**_power
_DURATION_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")


def parse_size(value: str | int) -> int:
    """Bytes of "512MiB", "1.5GB" or 4096. Raises ValueError."""
    if isinstance(value, int):
        return value
    match = _SIZE_PATTERN.fullmatch(value)
    if match is None or match[2].lower() not in _SIZE_UNITS:
        raise ValueError(f"{value!r} is not a size: write it as 4096, 512KiB, 64MiB or 2GiB")
    return int(float(match[1]) * _SIZE_UNITS[match[2].lower()])


def parse_duration(value: str | float) -> timedelta:
    """The span of "30s", "1h30m", "250ms" or 2.5 (seconds). Raises ValueError."""
    if isinstance(value, (int, float)):
        return timedelta(seconds=value)
    text = value.strip()
    try:
        return timedelta(seconds=float(text))
    except ValueError:
        pass
    parts = list(_DURATION_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        raise ValueError(f"{value!r} is not a duration: write it as 30s, 5m, 1h30m, 250ms or 2d") from None
    return timedelta(seconds=sum(float(part[1]) * _DURATION_UNITS[part[2]] for part in parts))


def format_size(count: int) -> str:
    """The shortest exact way to write a number of bytes."""
    for unit, factor in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count and count % factor == 0:
            return f"{count // factor}{unit}"
    return str(count)


def format_duration(span: timedelta) -> str:
    """The way a person writes a span: "1h30m", "250ms"."""
    rest = round(span / timedelta(milliseconds=1))
    parts = []
    for unit, milliseconds in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, milliseconds)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
