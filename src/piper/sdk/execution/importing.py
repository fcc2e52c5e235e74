"""Libraries that only some tasks need, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from piper.sdk.exceptions import AirflowOptionalProviderFeatureException


def import_for(feature: str, module: str) -> Any:
    """A module that a feature needs.

    Raises:
        AirflowOptionalProviderFeatureException: it is not installed; the message says what to install.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise AirflowOptionalProviderFeatureException(
            f"{feature} needs {package}, which is not installed where the task runs: pip install {package} ({error})"
        ) from None
