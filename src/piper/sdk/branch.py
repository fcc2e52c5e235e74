"""Deciding at run time which tasks below are run: branches and skips.

A brancher names the tasks to follow. Of its direct downstream tasks, those that are neither named nor below a
named one are skipped; everything further down is a matter of trigger rules. The decision travels with the report
and is kept with the instance, so that a task which is cleared later obeys it again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, ClassVar

from piper.model.ids import UNMAPPED
from piper.model.run import Decision
from piper.sdk.exceptions import AirflowException, DownstreamTasksSkipped
from piper.sdk.operator import AbstractOperator, BaseOperator

log = logging.getLogger("piper.task")

XCOM_SKIPMIXIN_KEY = "skipmixin_key"
"""The XCom that says what was decided, as in Airflow; the scheduler uses the decision itself."""

Branches = str | Iterable[str] | None
"""A task id, a task group's id, several of these, or None: skip all that is directly below."""


class SkipMixin:
    """For operators that skip tasks below them."""

    def skip(self, ti: Any, tasks: Iterable[Any]) -> None:
        """Skip these tasks. In a task that is not mapped this ends `execute`.

        Arguments:
            ti: the task instance, from the context.
            tasks: tasks below; groups among them are ignored.

        Raises:
            DownstreamTasksSkipped: to tell the runner; let it pass.
        """
        ids = sorted(task.task_id for task in tasks if isinstance(task, AbstractOperator))
        if ids:
            decide(ti, Decision(skipped=tuple(ids)), {"skipped": ids}, ids)

    def skip_all_except(self, ti: Any, branch_task_ids: Branches) -> None:
        """Skip what is directly below, except the given tasks and what is below these.

        Raises:
            AirflowException: an id is not a task's, or not even a string.
            DownstreamTasksSkipped: to tell the runner; let it pass.
        """
        task, dag = ti.task, _dag_of(ti)
        chosen = _checked(branch_task_ids, dag)
        if dag is None:
            decide(ti, Decision(followed=tuple(sorted(chosen))), {"followed": sorted(chosen)}, [task.task_id])
            return
        below = set().union(*(dag.get_task(task_id).get_flat_relative_ids(upstream=False) for task_id in chosen))
        direct = sorted(task.downstream_task_ids)
        if not direct:
            return
        followed = [task_id for task_id in direct if task_id in chosen or task_id in below]
        skipped = [task_id for task_id in direct if task_id not in followed]
        log.info("Following %s, skipping %s", followed, skipped)
        decide(ti, Decision(followed=tuple(followed)), {"followed": followed}, skipped)


class BranchMixIn(SkipMixin):
    """For operators that choose among the tasks below them."""

    def do_branch(self, context: Any, branches_to_execute: Branches) -> Branches:
        """Follow these branches, skip the others.

        Returns:
            The branches, when nothing was skipped.

        Raises:
            AirflowException: an id is neither a task's nor a group's.
            DownstreamTasksSkipped: to tell the runner; let it pass.
        """
        log.info("Branch into %s", branches_to_execute)
        ti = context["ti"]
        chosen = None if branches_to_execute is None else _roots(_dag_of(ti), branches_to_execute)
        self.skip_all_except(ti, chosen)
        return branches_to_execute


class BaseBranchOperator(BaseOperator, BranchMixIn):
    """Base of branching operators: implement `choose_branch`.

    Example::

        class OnlyLarge(BaseBranchOperator):
            def choose_branch(self, context):
                return "train" if context["ti"].xcom_pull("count") > 1000 else "report"
    """

    branches: ClassVar[bool] = True
    needs_dag: ClassVar[bool] = True
    inherits_from_skipmixin = True

    def choose_branch(self, context: Any) -> Branches:
        """Which branches to follow: a task id, a group id, several of them, or None for none."""
        raise NotImplementedError(f"{type(self).__name__} has no choose_branch()")

    def execute(self, context: Any) -> Any:
        """Follow what `choose_branch` chooses."""
        return self.do_branch(context, self.choose_branch(context))


def decide(ti: Any, decision: Decision, shown: dict[str, list[str]], skipped: list[str]) -> None:
    """Note a decision for the report, and end `execute` if it skips anything.

    Of a mapped task each instance decides only about the instances of the same index: it goes on, and its result
    is stored.
    """
    ti.execution.decision = decision
    ti.xcom_push(key=XCOM_SKIPMIXIN_KEY, value=shown)
    if skipped and ti.map_index == UNMAPPED:
        raise DownstreamTasksSkipped(tasks=skipped)


def _dag_of(ti: Any) -> Any:
    """The task's DAG; None where the task was made from its spec alone: only the scheduler knows what is below it."""
    return ti.task.get_dag() if ti.execution.facts.task.code else None


def _roots(dag: Any, branches: str | Iterable[str]) -> list[str]:
    """The branches, each group replaced by the tasks that it begins with."""
    named = [branches] if isinstance(branches, str) or not isinstance(branches, Iterable) else branches
    found: list[str] = []
    for branch in named:
        group = dag.task_group_dict.get(branch) if dag is not None and isinstance(branch, str) else None
        found += [branch] if group is None else [root.task_id for root in group.roots]
    return found


def _checked(branches: Branches, dag: Any) -> set[str]:
    if branches is None:
        return set()
    if isinstance(branches, str):
        branches = {branches}
    if not isinstance(branches, Iterable):
        raise AirflowException(
            f"'branch_task_ids' must be either None, a task ID, or an Iterable of IDs, "
            f"but got {type(branches).__name__!r}."
        )
    chosen = list(branches)
    wrong = [branch for branch in chosen if not isinstance(branch, str)]
    if wrong:
        raise AirflowException(f"a branch is named by a task id, and not by {wrong[0]!r}: return ids of this DAG")
    unknown = sorted(set(chosen) - set(dag.task_ids)) if dag is not None else []
    if unknown:
        raise AirflowException(
            f"'branch_task_ids' must contain only valid task_ids. Invalid tasks found: {', '.join(map(repr, unknown))}"
        )
    return set(chosen)
