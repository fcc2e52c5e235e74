"""Things by their dotted paths, and libraries that only some tasks need: imported when they are asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from piper.sdk.exceptions import AirflowOptionalProviderFeatureException


def path_of(thing: Any) -> str:
    """The dotted path of a class or function: `import_path` finds it again, if it is at the top level of its module."""
    return f"{thing.__module__}.{thing.__qualname__}"


def import_path(path: str) -> Any:
    """What a dotted path leads to: `import_path("piper.operators.python.PythonOperator")`.

    Raises:
        ImportError: there is no such module, or it has no such name.
    """
    module, _, name = path.rpartition(".")
    if not module:
        raise ImportError(f"{path!r} is no dotted path: write package.module.name")
    found = import_module(module)
    try:
        return getattr(found, name)
    except AttributeError:
        raise ImportError(f"module {module} has no {name}", name=module) from None


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
