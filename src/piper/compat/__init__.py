"""`airflow.*` names, where Apache Airflow is absent: the same objects under the names that DAG files import.

`install()` puts a finder on `sys.meta_path`. From then on `airflow` and everything below it are modules made of
tables (`tables`): a name in them is looked up when it is first asked for, so that importing one operator costs one
operator. Only processes that meet user code install it: the serializer's and the worker's children, and whoever
imports `piper.testing`.

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
from pathlib import Path

from piper.compat.finder import ROOT, AirflowFinder, installed_airflow, is_foreign, is_provided, package_of

VARIABLE = "PIPER_CORE__AIRFLOW_MODE"


class Mode(StrEnum):
    """How spellings of Airflow 1 and 2 are treated."""

    LENIENT = "lenient"
    STRICT = "strict"


class AirflowIsInstalled(UserWarning):
    """`airflow` is Apache Airflow in this environment, so that DAGs made with it are none of Piper's."""


class Layer:
    """The import layer of this process.

    Arguments:
        mode: how former spellings are treated.
    """

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self._airflow = installed_airflow()
        self._finder = AirflowFinder(former=mode is Mode.LENIENT)

    def enter(self) -> None:
        """Let `airflow.*` names resolve."""
        if self._airflow is None:
            sys.meta_path.insert(0, self._finder)
        self._accept_former(self.mode is Mode.LENIENT)
        _use(self)
        self._say_if_airflow_is_installed()

    def leave(self) -> None:
        """Take the finder away, and every module that it made."""
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
            for name in [name for name in sys.modules if name == "airflow" or name.startswith("airflow.")]:
                del sys.modules[name]
        self._accept_former(False)
        _use(None)

    def prepare(self, root: Path) -> None:
        """Before a file is loaded: its bundle's plugins."""
        from piper.compat.plugins import load_plugins  # few bundles have any

        self._say_if_airflow_is_installed()
        load_plugins(root)

    def explain(self, module: str, name: str = "") -> str:
        """What to say of a module of `airflow` that cannot be found, or of a name that it does not have.

        It is one line with what to install, or the nearest that there is; none about modules of others.
        """
        if module.partition(".")[0] != ROOT:
            return ""
        what = f"{module}.{name}" if name else module
        if is_foreign(module):
            package = package_of(module)
            if is_provided(module):
                return f"the installed {package} has no {what}"
            return f"{what} is not installed: pip install --no-deps {package}"
        return f"Piper has no {what}{self._instead(module, name)}"

    def _instead(self, module: str, name: str) -> str:
        """The nearest to what Piper lacks."""
        from piper.compat.tables import FORMER_PACKAGES, INSIDES, LACKING  # only when something is wrong
        from piper.sdk.spelling import nearest

        inside = next((one for one in INSIDES if f"{module}.".startswith(f"{one}.")), None)
        if inside and f"{module}.{name}".rstrip(".") not in self._finder.modules:
            why, instead = LACKING["insides"]
            return f": {why}; the nearest is {instead}"
        home = self._finder.home_of(name) if name else None
        if home:
            return f": import it from {home}"
        if name and module in FORMER_PACKAGES:
            return ": import it from the module that defines it; plugins put none there since Airflow 2"
        other = nearest(name, dir(sys.modules.get(module))) if name else nearest(module, self._finder.modules)
        return f" (did you mean {other!r}?)" if other else ""

    @staticmethod
    def _accept_former(accepted: bool) -> None:
        """Translate former arguments and context keys, or no longer."""
        # Lazy: these are of the authoring language, which this package does not import by itself.
        from piper.compat import contexts
        from piper.compat.spellings import FormerSpellings, accept_former_rules
        from piper.sdk.spelling import use_spellings

        use_spellings(FormerSpellings() if accepted else None)
        accept_former_rules(accepted)
        contexts.accept(accepted)

    def _say_if_airflow_is_installed(self) -> None:
        if self._airflow is not None:
            warnings.warn(
                f"Apache Airflow is installed ({self._airflow}), so that `airflow` is not Piper and its DAGs are not "
                "seen: uninstall apache-airflow-core and apache-airflow-task-sdk in Piper's environment",
                AirflowIsInstalled,
                stacklevel=2,
            )


def _use(layer: Layer | None) -> None:
    from piper.sdk.loader import use_import_layer  # of the authoring language, as above

    use_import_layer(layer)


_layer: Layer | None = None


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
    global _layer
    mode = mode or mode_of_environment()
    if _layer is None or _layer.mode is not mode:
        uninstall()
        _layer = Layer(mode)
        _layer.enter()


def uninstall() -> None:
    """As if it had never been installed."""
    global _layer
    if _layer is not None:
        _layer.leave()
        _layer = None
