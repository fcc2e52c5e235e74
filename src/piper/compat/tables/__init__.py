"""Which module of `airflow` has which names, and what they are in Piper.

Five tables, each module → where its names come from:

    language    airflow.sdk and its submodules
    library     the other modules of 3.3.2, and the standard provider
    moved       modules that 3.3.2 still has under a former name; using one gives a warning
    former      modules and names of Airflow 1 and 2; only where spellings are translated
    provided    those of them that belong to other providers now; likewise

A row is text, so that a process which imports three modules does not hold the objects of two hundred:

    "piper.sdk.edges: chain Label"          the module has these two names, from piper.sdk.edges
    "piper.sdk.branch: A=B; piper.x: C"     name A is B there; several sources have `;` between
    "piper.sdk.timetables: *"               all public names
    "is piper.sdk.timezone"                 the module is that module
    "lacks partitions: IdentityMapper"      Piper lacks that feature (`LACKING`), and this name with it

In the last three the sources are modules of `airflow` themselves: the spelling to use now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from typing import NamedTuple


class Source(NamedTuple):
    """Where a name comes from."""

    module: str
    name: str
    lacking: str = ""
    """The feature that Piper lacks, if it has no such name."""


LACKING = {
    "asset watchers": ("asset watchers come later", "Asset, with a sensor whose outlet it is"),
    "chained retry policies": ("chained retry policies come later", "ExceptionRetryPolicy"),
    "database": ("user code has no database", "the REST API"),
    "insides": ("it is inside Airflow", "the REST API"),
    "human in the loop": ("human in the loop comes later", "BranchPythonOperator on a param that a person gives"),
    "lineage": ("lineage comes later", "Metadata"),
    "object storage paths": ("object storage paths come later", "fsspec in the task, with BaseHook"),
    "other languages": ("tasks in other languages come later", "BashOperator"),
    "partitions": ("partitions come later", "AssetOrTimeSchedule"),
    "secrets backends": ("secrets backends come later", "PIPER_CONN_<ID> in the environment"),
    "smart sensors": ("smart sensors are gone", "BaseSensorOperator with mode='reschedule'"),
    "state stores": ("state stores come later", "Variable"),
    "subdags": ("subdags are gone", "TaskGroup"),
    "supervisor": ("tasks do not speak to a supervisor", "the context"),
    "virtual environments": ("virtual environments come later", "BashOperator"),
}
"""Feature → what to say of it, and the nearest that Piper has."""


INSIDES = (
    "airflow.api",
    "airflow.api_fastapi",
    "airflow.assets",
    "airflow.bin",
    "airflow.callbacks",
    "airflow.cli",
    "airflow.dag_processing",
    "airflow.executors",
    "airflow.jobs",
    "airflow.logging_config",
    "airflow.migrations",
    "airflow.providers_manager",
    "airflow.serialization",
    "airflow.task.task_runner",
    "airflow.ti_deps",
    "airflow.utils.cli",
    "airflow.utils.log",
    "airflow.utils.sqlalchemy",
    "airflow.www",
)
"""Packages of Airflow's servers, which are others in Piper: nothing of them is meant for authors."""
FORMER_PACKAGES = ("airflow.hooks", "airflow.sensors", "airflow.operators")
"""Packages that had, in Airflow 1, all names of their modules; and those that plugins put there."""


class Row:
    """One module.

    Arguments:
        text: where its names come from.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    @property
    def same_as(self) -> str:
        """The module of Piper that it is, if it is one."""
        return self.text.removeprefix("is ") if self.text.startswith("is ") else ""

    @cached_property
    def names(self) -> Mapping[str, Source]:
        """Name → where it comes from."""
        found: dict[str, Source] = {}
        for module, names in self._parts():
            lacking = module.removeprefix("lacks ") if module.startswith("lacks ") else ""
            for each in names:
                name, _, other = each.partition("=")
                if name != "*":
                    found[name] = Source("" if lacking else module, other or name, lacking)
        return found

    @cached_property
    def whole(self) -> tuple[str, ...]:
        """The modules of which it has all names."""
        return tuple(module for module, names in self._parts() if "*" in names)

    def _parts(self) -> Iterator[tuple[str, list[str]]]:
        for part in () if self.same_as else self.text.split(";"):
            module, _, names = part.strip().partition(":")
            if module:
                yield module, names.split()


class Table:
    """All modules that there are in a mode.

    Arguments:
        rows: by module.
    """

    def __init__(self, rows: Mapping[str, Row]) -> None:
        self.rows = rows
        self.packages = frozenset(parent for name in rows for parent in _parents(name)) | {"airflow.example_dags"}
        """Those that have others below, and the one that users unpack; a package need have no names."""

    def __contains__(self, module: str) -> bool:
        return module in self.rows or module in self.packages


def _parents(module: str) -> Iterator[str]:
    while "." in module:
        module = module.rpartition(".")[0]
        yield module


@cache
def table_for(*, former: bool) -> Table:
    """The table of today's names, with those of Airflow 1 and 2 or without; made once in a process and its forks."""
    from piper.compat.tables.language import LANGUAGE  # only where something of airflow is imported
    from piper.compat.tables.library import LIBRARY
    from piper.compat.tables.moved import MOVED

    texts = LANGUAGE | LIBRARY | MOVED
    if former:
        for name, text in former_texts().items():
            texts[name] = f"{texts[name]}; {text}" if name in texts else text
    return Table({name: Row(text) for name, text in texts.items()})


def former_texts() -> dict[str, str]:
    """The rows of Airflow 1 and 2."""
    from piper.compat.tables.former import FORMER  # as above
    from piper.compat.tables.provided import provided_rows

    texts = dict(provided_rows()) | FORMER
    for package in FORMER_PACKAGES:
        below = [text for name, text in texts.items() if name.rpartition(".")[0] == package]
        texts[package] = "; ".join([*below, *filter(None, [texts.get(package)])])
        if package == "airflow.sensors":
            texts["airflow.operators.sensors"] = texts[package]  # where they were at first
    return texts
