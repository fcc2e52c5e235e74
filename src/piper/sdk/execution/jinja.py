"""The Jinja environments of task templates. Imports Jinja: only `templating` imports this, when it must."""

from __future__ import annotations

from datetime import date, time
from typing import Any

import jinja2
import jinja2.nativetypes
import jinja2.sandbox


class _Sandbox:
    """What both environments share: single-underscore attributes may be read, dunders may not."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return not jinja2.sandbox.is_internal_attribute(obj, attr)


class SandboxedEnvironment(_Sandbox, jinja2.sandbox.SandboxedEnvironment):
    """Renders to strings; a template cannot reach Python's internals."""


class NativeEnvironment(_Sandbox, jinja2.nativetypes.NativeEnvironment, jinja2.sandbox.SandboxedEnvironment):
    """Renders to Python values, in the same sandbox."""


def make(
    native: bool, search_path: tuple[str, ...], undefined: type[jinja2.Undefined] | None, options: dict[str, Any]
) -> jinja2.Environment:
    """An environment with Airflow's defaults; `options` of the DAG override them."""
    arguments: dict[str, Any] = {
        "undefined": undefined or jinja2.StrictUndefined,
        "extensions": ["jinja2.ext.do"],
        "cache_size": 0,
    }
    if search_path:
        arguments["loader"] = jinja2.FileSystemLoader(search_path)
    environment = (NativeEnvironment if native else SandboxedEnvironment)(**arguments | options)
    environment.filters.update(FILTERS)
    return environment


def ds(value: date | time | None) -> str | None:
    """YYYY-MM-DD."""
    return None if value is None else value.strftime("%Y-%m-%d")


def ds_nodash(value: date | time | None) -> str | None:
    """YYYYMMDD."""
    return None if value is None else value.strftime("%Y%m%d")


def ts(value: date | time | None) -> str | None:
    """ISO 8601."""
    return None if value is None else value.isoformat()


def ts_nodash(value: date | time | None) -> str | None:
    """YYYYMMDDTHHMMSS."""
    return None if value is None else value.strftime("%Y%m%dT%H%M%S")


def ts_nodash_with_tz(value: date | time | None) -> str | None:
    """YYYYMMDDTHHMMSS+0000."""
    return None if value is None else value.isoformat().replace("-", "").replace(":", "")


FILTERS = {
    "ds": ds,
    "ds_nodash": ds_nodash,
    "ts": ts,
    "ts_nodash": ts_nodash,
    "ts_nodash_with_tz": ts_nodash_with_tz,
}
