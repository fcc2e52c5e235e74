"""Runs in Airflow's virtual environment: what becomes of each DAG of a folder, by `dag.test()`.

    python -m tests.airflow_oracle.airflow_side FOLDER HOME ORDERS > answers

ORDERS is a JSON file: DAG id → in how many orders to run it.

Airflow's own answer can depend on the order in which tasks end: `all_success` below a failed and a skipped task is
upstream_failed or skipped, whichever it sees first; a task that a branch leaves out may have failed for another
task's sake before. `dag.test()` runs all that is ready, in the order of a set, and looks again after that. So each
DAG is run in several orders, and every outcome that any of them leads to is an answer: first as `dag.test()` would,
by name; then with random parts of what is ready run before Airflow looks again, or with nothing run for a while, so
that its decisions, one level a pass, get ahead of the tasks. The decisions are all Airflow's.

A second order is that of its dependencies: they are a set of objects whose place in it depends on where they lie in
memory, and the last one that ends an instance has the word (a trigger rule that skips a task, against a mapping
input that fails it). This order is drawn, too.
"""

from __future__ import annotations

import json
import os
import random
import sys
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any


def _configure(folder: Path, home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__DAGS_FOLDER=str(folder),
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{home}/airflow.db",
        AIRFLOW__LOGGING__LOGGING_LEVEL="CRITICAL",
    )
    warnings.simplefilter("ignore")


class Orders:
    """Stands between `dag.test()` and its tasks, and decides which of those that are ready run now."""

    def __init__(self) -> None:
        import time

        from airflow.models.dagrun import DagRun
        from airflow.models.taskinstance import TaskInstance
        from airflow.sdk.definitions import dag as module
        from airflow.ti_deps.dep_context import DepContext

        self.dice: random.Random | None = None
        self._waiting: dict[tuple[str, int], dict[str, Any]] = {}
        self._idle = 0
        self._row = TaskInstance
        self._run, module._run_task = module._run_task, self._hold  # type: ignore[assignment]
        look = DagRun.update_state

        def update_state(run: DagRun, *args: Any, **kwargs: Any) -> Any:
            self.let_run(kwargs["session"])
            kwargs["session"].expire_all()
            return look(run, *args, **kwargs)

        def get_failed_dep_statuses(ti: TaskInstance, dep_context: Any = None, *, session: Any) -> Any:
            context = dep_context or DepContext()
            deps = sorted(context.deps | ti.task.deps, key=lambda dep: dep.NAME)
            if self.dice is not None:
                self.dice.shuffle(deps)
            for dep in deps:
                yield from (said for said in dep.get_dep_statuses(ti, context, session=session) if not said.passed)

        DagRun.update_state = update_state  # type: ignore[method-assign]
        TaskInstance.get_failed_dep_statuses = get_failed_dep_statuses  # type: ignore[method-assign]
        time.sleep = lambda seconds: None  # dag.test waits a second where nothing is ready

    def begin(self, seed: str | None) -> None:
        """Another run: in the order of names, or in a random one."""
        self.dice = random.Random(seed) if seed else None
        self._waiting, self._idle = {}, 0

    def _hold(self, *, ti: Any, **call: Any) -> None:
        self._waiting[ti.task_id, ti.map_index] = {"number": ti.id, **call}

    def let_run(self, session: Any) -> None:
        """Run those of the tasks that are ready whose turn it is; the others stay scheduled, and come again."""
        waiting, self._waiting = self._waiting, {}
        keys = sorted(waiting)
        if self.dice is not None and keys:
            if self._idle > 0:
                self._idle -= 1
                return
            self.dice.shuffle(keys)
            keys = keys[: self.dice.choice([1, 1, 2, len(keys)])]
            self._idle = self.dice.choice([0, 0, 1, 4])
        for key in keys:
            call = waiting[key]
            self._run(ti=session.get(self._row, call.pop("number")), **call)


def main(folder: Path, home: Path, orders: dict[str, int]) -> None:
    """Print a line of JSON per DAG: [dag id, {task id: [rule, upstream…]}, answers]."""
    _configure(folder, home)
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.sdk import timezone
    from airflow.utils.db import initdb

    initdb()
    manager = DagBundlesManager()
    manager.sync_bundles_to_db()
    (bundle,) = manager.get_all_dag_bundles()
    bundle.initialize()
    bag = BundleDagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
    if bag.import_errors:
        sys.exit(json.dumps(bag.import_errors, indent=2).replace("\\n", "\n"))
    sync_bag_to_db(bag, bundle.name, bundle.version)
    # They are known now: dag.test() would load the whole folder again before each run.
    DagBundlesManager.get_all_dag_bundles = lambda self: iter(())  # type: ignore[method-assign]
    DagBundlesManager.sync_bundles_to_db = lambda self, **_: None  # type: ignore[method-assign]
    order = Orders()
    for dag_id, count in orders.items():
        dag = bag.dags[dag_id]
        shape = {
            task.task_id: [getattr(task.trigger_rule, "value", task.trigger_rule), *sorted(task.upstream_task_ids)]
            for task in dag.task_dict.values()
        }
        answers: list[Any] = []
        for number in range(count):
            order.begin(f"{dag_id} {number}" if number else None)
            run = dag.test(logical_date=timezone.datetime(2026, 1, 1) + timedelta(days=number))
            tasks = {
                ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]": f"{ti.state} {ti.try_number}"
                for ti in run.get_task_instances()
            }
            answer = {"run": str(run.state), "tasks": dict(sorted(tasks.items()))}
            if answer not in answers:
                answers.append(answer)
        print(json.dumps([dag_id, shape, answers]), file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text()))
