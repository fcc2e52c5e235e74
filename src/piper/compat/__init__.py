"""`airflow.*` names, where Apache Airflow is absent: the same objects under the names that DAG files import.

`install()` puts a finder on `sys.meta_path`. From then on `airflow` and everything below it are modules made of
tables (`tables`): a name in them is looked up when it is first asked for, so that importing one operator costs one
operator. Only processes that meet user code install it: the loader does (`piper.sdk.loader`), and `piper.testing`.

There are two modes (setting `core.airflow_mode`, environment `PIPER_CORE__AIRFLOW_MODE`):

    lenient   the default. Spellings of Airflow 1 and 2 are understood: modules (`tables.former`), arguments
              (`spellings`), context keys (`contexts`). Each is followed by one warning that says the new spelling.
    strict    as Airflow 3.3.2: what it no longer has, raises what it raises there.

How it fails. A name that Piper lacks raises an ImportError of one line, which says so and names the nearest that
there is. Names that only make sense with Airflow's metadata database can be imported, since type annotations do,
and say what is the matter when they are used (`database`).

Invariants. Where Apache Airflow itself is installed, it wins: nothing is installed here, and a warning says so. A
module that the tables have is Piper's, whatever lies on the path; any other is looked for in the folders `airflow/…`
on the path, which is how other providers and unpacked example folders import. Importing this package imports
nothing of the authoring language.
"""

from __future__ import annotations

import os
import sys
import warnings
from enum import StrEnum

from piper.compat.finder import AirflowFinder, installed_airflow, provider_of
from piper.compat.tables import table_for

VARIABLE = "PIPER_CORE__AIRFLOW_MODE"


class Mode(StrEnum):
    """How spellings of Airflow 1 and 2 are treated."""

    LENIENT = "lenient"
    STRICT = "strict"


class AirflowIsInstalled(UserWarning):
    """`airflow` is Apache Airflow in this environment, so that DAGs made with it are none of Piper's."""


_installed: AirflowFinder | None = None
_mode: Mode | None = None
_origin: str | None = None
"""Where Apache Airflow is installed."""


def mode_of_environment() -> Mode:
    """The mode that the environment asks for.

    Raises:
        ValueError: there is no such mode.
    """
    given = os.environ.get(VARIABLE) or Mode.LENIENT
    try:
        return Mode(given)
    except ValueError:
        raise ValueError(f"{VARIABLE} must be one of {', '.join(Mode)}, not {given!r}") from None


def install(mode: Mode | None = None) -> None:
    """Let `airflow.*` names resolve in this process. Does nothing if they do already, in this mode.

    Arguments:
        mode: by default what the environment asks for.
    """
    global _installed, _mode, _origin
    mode = mode or mode_of_environment()
    if mode is not _mode:
        uninstall()
        _mode, _origin = mode, installed_airflow()
    if _origin is not None:
        warnings.warn(
            f"Apache Airflow is installed ({_origin}), so that `airflow` is not Piper and its DAGs are not seen: "
            "uninstall apache-airflow-core and apache-airflow-task-sdk in Piper's environment",
            AirflowIsInstalled,
            stacklevel=2,
        )
    elif _installed not in sys.meta_path:
        _put_in_place(former=mode is Mode.LENIENT)


def _put_in_place(*, former: bool) -> None:
    global _installed
    _installed = AirflowFinder(table_for(former=former))
    sys.meta_path.insert(0, _installed)
    # Lazy: these two reach into the authoring language, which this package does not import by itself.
    from piper.compat import contexts, spellings

    spellings.accept(former)
    contexts.accept(former)


def uninstall() -> None:
    """Take the finder away, and every module that it made."""
    global _installed, _mode
    if _installed is not None:
        if _installed in sys.meta_path:
            sys.meta_path.remove(_installed)
        for name in [name for name in sys.modules if name == "airflow" or name.startswith("airflow.")]:
            del sys.modules[name]
    _installed = _mode = _origin = None


def nearest_module(name: str) -> str:
    """What to say about a module of `airflow` that cannot be found: what it was, or the nearest that there is."""
    if _installed is None or not name.startswith("airflow."):
        return ""
    from piper.sdk.spelling import nearest  # only when something is wrong

    if name.startswith("airflow.providers.") and not name.startswith("airflow.providers.standard."):
        package = "-".join(["apache-airflow-providers", *provider_of(name)])
        return f" (if it is installed nowhere: pip install --no-deps {package})"
    other = nearest(name, _installed.modules)
    return f" (did you mean {other!r}?)" if other else ""
