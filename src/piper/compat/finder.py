"""Modules made of tables.

Each is empty at first: a name is looked up when it is first asked for, and then kept. Every package among them
reaches into the folders of its name on `sys.path`, as a namespace package does, so that what the tables do not have
may still be there.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import Any, overload

from piper.compat.tables import LACKING, Row, Source, Table, table_for

ROOT = "airflow"
_FORMER = "piper.compat.former"
PROVIDERS = "airflow.providers"
FAMILIES = frozenset({"apache", "atlassian", "cncf", "common", "dbt", "ibm", "microsoft"})
"""Folders of `airflow.providers` that hold several providers."""
_MARK = "models"
"""A folder that every version of Airflow has, and no provider."""


class DeprecatedImportWarning(FutureWarning):
    """A name was imported under a former spelling; the message has the present one."""


_NOWHERE = Source("", "")


def installed_airflow() -> str | None:
    """Where Apache Airflow itself is installed, or None."""
    found = PathFinder.find_spec(ROOT)
    if found is None or found.origin is None or not os.path.isdir(os.path.join(os.path.dirname(found.origin), _MARK)):
        return None
    return found.origin


class AirflowFinder(MetaPathFinder, Loader):
    """Finds the modules of the tables, and makes them.

    It stands first on `sys.meta_path`: what the tables have is Piper's.

    Arguments:
        former: whether there are those of Airflow 1 and 2, too.
    """

    def __init__(self, *, former: bool) -> None:
        self._former = former
        self._specs: dict[str, ModuleSpec | None] = {}
        """Of modules of Piper that are one of Airflow's, too: what they were before Python touched them."""

    @cached_property
    def _table(self) -> Table:
        """What there is; read when something of airflow is imported, which most zygotes never do."""
        return table_for(former=self._former)

    @property
    def modules(self) -> list[str]:
        """The names of all modules there are."""
        return sorted(self._table.rows.keys() | self._table.packages)

    def home_of(self, name: str) -> str | None:
        """The module to import a name from, if one has it; the first of today's."""
        rows = self._table.rows.items()
        return next((module for module, row in rows if row.names.get(name, _NOWHERE).module.startswith("piper.")), None)

    # --- as Python's import system asks -------------------------------------------------------------

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The specification of a module of the tables; None for any other."""
        if not (name == ROOT or name.startswith(f"{ROOT}.")) or name not in self._table:
            return None
        spec = ModuleSpec(name, self, origin="piper.compat", is_package=name in self._table.packages)
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations = Folders(name)  # type: ignore[assignment] # a list in name only
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """A module of Piper, where one is to be the other; otherwise None: Python makes an empty one."""
        row = self._table.rows.get(spec.name)
        if row is None or not row.same_as:
            return None
        module = import_module(row.same_as)
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give a module the means to look its names up."""
        spec = module.__spec__
        assert spec is not None
        if spec.name in self._specs:
            module.__spec__ = self._specs.pop(spec.name)  # it remains what it is
            return
        row = self._table.rows.get(spec.name) or Row("")
        names = _Names(spec.name, row, self._table, former=self._former)
        module.__dict__.update(__getattr__=names.look_up, __dir__=names.listed)


class _Names:
    """The names of one module of the tables.

    Arguments:
        former: whether modules below it are attributes without having been imported.
    """

    def __init__(self, module: str, row: Row, table: Table, *, former: bool) -> None:
        self._module = module
        self._row = row
        self._table = table
        self._former = former

    def look_up(self, name: str) -> Any:
        """A name's object, when the module is asked for it for the first time.

        Raises:
            AttributeError: the module has no such name; an import says "cannot import name".
            ImportError: Airflow has it, and Piper has not.
        """
        if name == "__all__":
            return self.listed()
        source = self._source_of(name)
        if source is None:
            below = f"{self._module}.{name}"
            # In Airflow 1 and 2, `import airflow` alone led to most modules: airflow.utils.dates.days_ago(1).
            if self._former and below in self._table:
                return import_module(below)
            raise AttributeError(f"module {self._module!r} has no attribute {name!r}")
        found = self._resolve(name, source)
        if source.module.startswith(f"{ROOT}."):
            # Not kept: the next file in this process shall be told as well.
            warnings.warn(
                f"{self._module}.{name} is {source.module}.{source.name} now: import it from there",
                DeprecatedImportWarning,
                stacklevel=2,
            )
        elif source.module == _FORMER:
            warnings.warn(
                f"{self._module}.{name} is gone: use {import_module(_FORMER).INSTEAD[name]}",
                DeprecatedImportWarning,
                stacklevel=2,
            )
        else:
            sys.modules[self._module].__dict__[name] = found
        return found

    def listed(self) -> list[str]:
        """The names that there are, for `dir()` and `from … import *`."""
        names = {name for name, source in self._row.names.items() if self._is_at_hand(source)}
        for module in self._row.whole:
            names.update(name for name in dir(import_module(module)) if not name.startswith("_"))
        return sorted(names)

    def _is_at_hand(self, source: Source) -> bool:
        """Whether a name can be imported, without trying: `from airflow.operators import *` wants all there are."""
        row = self._table.rows.get(source.module)
        if row is not None and source.name in row.names:
            return self._is_at_hand(row.names[source.name])
        return not source.lacking and (not is_foreign(source.module) or is_provided(source.module))

    def _source_of(self, name: str) -> Source | None:
        source = self._row.names.get(name)
        if source is not None or name.startswith("_"):
            return source
        for module in self._row.whole:
            if hasattr(import_module(module), name):
                return Source(module, name)
        return None

    def _resolve(self, name: str, source: Source) -> Any:
        if source.lacking:
            why, nearest = LACKING[source.lacking]
            raise ImportError(f"Piper has no {self._module}.{name}: {why}; the nearest is {nearest}", name=self._module)
        try:
            return _attribute(source.module, source.name)
        except ImportError as error:
            there = f"{source.module}.{source.name}"
            if not is_foreign(there) or not f"{there}.".startswith(f"{error.name}."):
                raise  # something that the provider itself imports
            package = package_of(there)
            raise type(error)(
                f"{self._module}.{name} is {there}, which "
                + (
                    f"the installed {package} does not have"
                    if is_provided(there)
                    else f"is not installed: pip install --no-deps {package}"
                ),
                name=error.name,
            ) from None


def _attribute(module: str, name: str) -> Any:
    """What `from module import name` gives."""
    home = import_module(module)
    return getattr(home, name) if hasattr(home, name) else import_module(f"{module}.{name}")


class Folders(Sequence[str]):
    """The folders of a package's name on the path, as it is now: each file's bundle adds to the path."""

    def __init__(self, package: str) -> None:
        self._relative = package.replace(".", os.sep)

    def __len__(self) -> int:
        return len(self._now())

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        return self._now()[index]

    def __repr__(self) -> str:
        return f"Folders({self._now()})"

    def _now(self) -> list[str]:
        folders = (os.path.join(entry or os.getcwd(), self._relative) for entry in sys.path)
        return [folder for folder in folders if os.path.isdir(folder)]


def is_foreign(module: str) -> bool:
    """Whether a module belongs to a provider that is none of Piper's."""
    return module.startswith(f"{PROVIDERS}.") and not module.startswith(f"{PROVIDERS}.standard.")


def package_of(module: str) -> str:
    """The package that has a provider's module, by the rule that all of Airflow's own follow."""
    return "-".join(["apache-airflow-providers", *_provider(module)])


def is_provided(module: str) -> bool:
    """Whether the provider that a module belongs to is installed; it need not have the module."""
    try:
        return find_spec(".".join([PROVIDERS, *_provider(module)])) is not None
    except ImportError:
        return False


def _provider(module: str) -> list[str]:
    """The parts of a provider's name: of `airflow.providers.google.cloud.hooks.gcs` only `google`."""
    parts = module.split(".")[2:]
    return parts[: 2 if parts[:1] and parts[0] in FAMILIES else 1]
