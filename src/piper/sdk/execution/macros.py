"""What templates call as `macros.…`: Airflow's functions over dates, and a few modules of the standard library.

Modules are imported when a template first names them.
"""

from __future__ import annotations

import random as _random
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

from piper.sdk.importing import import_for

__all__ = ["datetime", "datetime_diff_for_humans", "ds_add", "ds_format", "ds_format_locale", "random", "timedelta"]

random: Callable[[], float] = _random.random
"""A float in [0, 1)."""

_MODULES = frozenset({"dateutil", "json", "time", "uuid", "yaml"})


def ds_add(ds: str, days: int) -> str:
    """The date `days` later than `ds` (earlier when negative), both as YYYY-MM-DD."""
    if not days:
        return str(ds)
    return (_parse(ds, "%Y-%m-%d") + timedelta(days=days)).strftime("%Y-%m-%d")


def ds_format(ds: str, input_format: str, output_format: str) -> str:
    """A date read in one `strptime` format and written in another."""
    return _parse(ds, input_format).strftime(output_format)


def ds_format_locale(ds: str, input_format: str, output_format: str, locale: Any = None) -> str:
    """A date read in a `strptime` format and written in a Babel pattern, in the language of `locale`.

    Arguments:
        locale: a Babel locale or its name; without one the process's LC_TIME, or `en_US`.

    Raises:
        AirflowOptionalProviderFeatureException: Babel is not installed.
    """
    dates = import_for("macros.ds_format_locale", "babel.dates")
    shown: str = dates.format_datetime(
        _parse(ds, input_format), format=output_format, locale=locale or dates.LC_TIME or "en_US"
    )
    return shown


def datetime_diff_for_humans(dt: Any, since: Any = None) -> str:
    """How long before or after `since` (or now) a moment is, in words: "2 hours ago"."""
    instance = import_module("pendulum").instance
    shown: str = instance(dt).diff_for_humans(None if since is None else instance(since))
    return shown


def _parse(ds: str, form: str) -> datetime:
    return datetime.strptime(str(ds), form)  # noqa: DTZ007, a date has no zone


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_for(f"macros.{name}", name)
    raise AttributeError(f"there is no macro {name!r}; `user_defined_macros` of the DAG adds your own")


class Macros:
    """The namespace `macros` of a template: this module, and the macros of plugins under the plugin's name."""

    plugins: dict[str, Any] = {}  # noqa: RUF012, the registry of the process

    def __getattr__(self, name: str) -> Any:
        found = self.plugins.get(name)
        return found if found is not None else getattr(import_module(__name__), name)

    def __repr__(self) -> str:
        return "<macros>"
