"""Three hundred small DAGs in Airflow 3's language, the same ones every time.

    python -m tests.airflow_oracle.generate FOLDER    writes them, a file each

What a task does follows from its id (`words`); the graphs follow from a seed (`themes`).

Left out, since Airflow 3.3.2 does something there that is not worth imitating (airflow-semantics §3.31): branchers
inside mapped groups, which skip nothing; teardown functions that are called twice; tasks that return the lazy
sequence of a mapped task's results, which cannot be stored; `.map()` over a dict, which fails with a KeyError.
Left out, since Piper means to differ: `fail_fast` (Airflow calls such a run a success, as its leaves are skipped); a
failed task beside a short circuit above a common descendant (what is upstream_failed by then, Airflow turns into
skipped; in Piper an instance that has ended stays as it is, correctness I11).
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from tests.airflow_oracle.draft import Draft, Generated
from tests.airflow_oracle.themes import THEMES

SEED = 1


def generate() -> list[Generated]:
    """All of them, in order."""
    made = []
    for theme, count in THEMES:
        for number in range(count):
            dag_id = f"{theme.__name__}_{number:02}"
            draft = Draft(dag_id, random.Random(f"{SEED} {dag_id}"))
            theme(draft, number)
            made.append(draft.finish())
    return made


def write_to(folder: Path) -> list[Generated]:
    """Write them into a folder, each as `<dag id>.py`."""
    folder.mkdir(parents=True, exist_ok=True)
    made = generate()
    for one in made:
        (folder / f"{one.dag_id}.py").write_text(one.source)
    return made


if __name__ == "__main__":
    print(len(write_to(Path(sys.argv[1]))), "DAG files")
