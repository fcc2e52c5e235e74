"""`conf`: settings as Airflow's code asks for them, `conf.get("section", "key", fallback=…)`.

User code never reads the installation's settings. What there is to find are the environment variables
`AIRFLOW__SECTION__KEY` (and `PIPER__SECTION__KEY`, which come first) of the process, and the fallback;
`core.dags_folder` is the root of the bundle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from piper.sdk.exceptions import AirflowConfigException
from piper.sdk.placeholders import NOTSET

Value = TypeVar("Value")

_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})


_DEFAULTS = {
    ("kubernetes_executor", "worker_container_repository"): "",
    ("kubernetes_executor", "worker_container_tag"): "",
}
"""What Airflow's own files ask for without a fallback."""


def _default(section: str, key: str) -> Any:
    """What there is without a setting; NOTSET if there is nothing."""
    if (section, key) == ("core", "dags_folder"):
        from piper.sdk.loader import bundle_root  # asked for by few

        return bundle_root() or NOTSET
    return _DEFAULTS.get((section, key), NOTSET)


class Configuration:
    """Settings by section and key, from the environment."""

    def get(self, section: str, key: str, fallback: Any = NOTSET, **_: Any) -> Any:
        """The text of a setting, or the fallback.

        Raises:
            AirflowConfigException: it is not set, and no fallback is given.
        """
        for prefix in ("PIPER", "AIRFLOW"):
            text = os.environ.get(f"{prefix}__{section.upper().replace('.', '_')}__{key.upper()}")
            if text is not None:
                return text
        if fallback is NOTSET:
            fallback = _default(section.lower(), key.lower())
        if fallback is NOTSET:
            variable = f"AIRFLOW__{section.upper()}__{key.upper()}"
            raise AirflowConfigException(
                f"section/key [{section}/{key}] not found in config: set {variable} where the task runs (for the top "
                f"level of a file, have {variable} named in the setting serializer.environment), or give a fallback"
            )
        return fallback

    def get_mandatory_value(self, section: str, key: str, **options: Any) -> str:
        """The text of a setting; never None."""
        value = self.get(section, key, **options)
        if value is None:
            raise AirflowConfigException(f"The value {section}/{key} should be set!")
        return str(value)

    def has_option(self, section: str, option: str) -> bool:
        """Whether a setting is set."""
        return self.get(section, option, fallback=None) is not None

    def getboolean(self, section: str, key: str, **options: Any) -> bool:
        """A setting as a bool."""
        return self._read(section, key, _boolean, options)

    def getint(self, section: str, key: str, **options: Any) -> int:
        """A setting as a whole number."""
        return self._read(section, key, int, options)

    def getfloat(self, section: str, key: str, **options: Any) -> float:
        """A setting as a number."""
        return self._read(section, key, float, options)

    def getjson(self, section: str, key: str, **options: Any) -> Any:
        """A setting as JSON."""
        return self._read(section, key, json.loads, options)

    def getlist(self, section: str, key: str, delimiter: str = ",", **options: Any) -> list[str]:
        """A setting as a list."""
        return self._read(section, key, lambda text: [one.strip() for one in text.split(delimiter)], options)

    def gettimedelta(self, section: str, key: str, **options: Any) -> timedelta | None:
        """A setting in seconds as a time span."""
        return self._read(section, key, lambda text: timedelta(seconds=float(text)), options)

    def _read(self, section: str, key: str, convert: Callable[[str], Value], options: dict[str, Any]) -> Value:
        value = self.get(section, key, **options)
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return] # the fallback, as it is
        try:
            return convert(value)
        except ValueError:
            raise AirflowConfigException(f"[{section}] {key} cannot be {value!r}") from None


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE | _FALSE:
        return word in _TRUE
    raise ValueError(text)


conf = Configuration()
