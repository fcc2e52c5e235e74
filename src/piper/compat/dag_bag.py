"""`DagBag`: the DAGs of a folder, as unit tests of DAG files look at them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from piper.model.errors import AuthorError
from piper.sdk.loader import load_file
from piper.sdk.specs import spec_of

if TYPE_CHECKING:
    from piper.sdk.dags import DAG

_HINTS = (b"dag", b"asset", b"flow")
"""What a file must mention, in any case, to be loaded."""


class DagBag:
    """The DAGs of a folder or a file, and what is wrong with the files that have none.

    Arguments:
        dag_folder: by default `dags` in the current folder.
        options: accepted for Airflow's sake: include_examples, safe_mode, …
    """

    def __init__(self, dag_folder: str | os.PathLike[str] | None = None, **options: Any) -> None:
        self.dag_folder = str(dag_folder or "dags")
        self.dags: dict[str, DAG] = {}
        self.import_errors: dict[str, str] = {}
        path = Path(self.dag_folder)
        root = path if path.is_dir() else path.parent
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if path.is_file() or _may_hold_dags(file):
                self._load(root, file)

    @property
    def dag_ids(self) -> list[str]:
        """The ids of all DAGs."""
        return list(self.dags)

    def get_dag(self, dag_id: str, session: Any = None) -> DAG | None:
        """The DAG of that id, or None."""
        return self.dags.get(dag_id)

    def size(self) -> int:
        """How many there are."""
        return len(self.dags)

    def _load(self, root: Path, file: Path) -> None:
        name = os.path.relpath(file, root)
        try:
            for dag in load_file(root, name).dags.values():
                spec_of(dag, file=name)
                if dag.dag_id in self.dags:
                    raise AuthorError(f"the DAG {dag.dag_id!r} is in {self.dags[dag.dag_id].fileloc} already")
                self.dags[dag.dag_id] = dag
        except AuthorError as error:
            self.import_errors[str(file)] = str(error)


def _may_hold_dags(file: Path) -> bool:
    text = file.read_bytes().lower()
    return any(hint in text for hint in _HINTS) and (b"airflow" in text or b"piper" in text)
