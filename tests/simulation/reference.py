"""May this instance have been scheduled? Judged from the rows of its run alone, without tallies or memory.

Written anew from the guide (airflow-semantics §3.3, §3.7, §3.8), to be compared with what the scheduler decided.
"""

from __future__ import annotations

from collections.abc import Mapping

from piper.model.spec import TaskSpec, WorkflowSpec
from piper.model.states import FINISHED, TriggerRule

States = Mapping[tuple[str, int], str]
"""(task id, map index) → state, of one run."""


def may_run(spec: WorkflowSpec, states: States, task_id: str, map_index: int) -> bool:
    """Whether the trigger rule of an instance holds, given the states of the others."""
    tasks = {t.task_id: t for t in spec.tasks}
    task = tasks[task_id]
    if not task.upstream or task.trigger_rule is TriggerRule.ALWAYS:
        return True
    seen: list[str] = []
    setups: list[str] = []
    for above in task.upstream:
        found = _instances(spec, states, tasks[above], task, map_index)
        seen += found
        if tasks[above].setup:
            setups += found
    return _holds(task.trigger_rule, seen, setups)


def _instances(spec: WorkflowSpec, states: States, above: TaskSpec, task: TaskSpec, map_index: int) -> list[str]:
    all_of_it = {index: state for (name, index), state in states.items() if name == above.task_id}
    if not all_of_it:
        return ["absent"]
    group = next((g for g in spec.groups if g.group_id == task.group), None)
    if group is not None and group.mapped is not None and above.group == task.group and map_index >= 0:
        return [all_of_it[map_index]] if map_index in all_of_it else [all_of_it.get(-1, "absent")]
    return list(all_of_it.values())


def _holds(rule: TriggerRule, seen: list[str], setups: list[str]) -> bool:
    done = all(s in FINISHED for s in seen)
    good, skipped = seen.count("success"), seen.count("skipped")
    failed, upstream_failed, removed = seen.count("failed"), seen.count("upstream_failed"), seen.count("removed")
    match rule:
        case TriggerRule.ALL_SUCCESS:
            return good + removed == len(seen)
        case TriggerRule.ALL_FAILED:
            return failed + upstream_failed + removed == len(seen)
        case TriggerRule.ALL_DONE:
            return done
        case TriggerRule.ALL_DONE_MIN_ONE_SUCCESS:
            return done and good > 0 and not skipped
        case TriggerRule.ALL_DONE_SETUP_SUCCESS:
            return done and (not setups or "success" in setups)
        case TriggerRule.ONE_SUCCESS:
            return good > 0
        case TriggerRule.ONE_FAILED:
            return failed + upstream_failed > 0
        case TriggerRule.ONE_DONE:
            return good + failed > 0
        case TriggerRule.NONE_FAILED:
            return good + skipped + removed == len(seen)
        case TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS:
            return good > 0 and good + skipped + removed == len(seen)
        case TriggerRule.NONE_SKIPPED:
            return done and not skipped
        case TriggerRule.ALL_SKIPPED:
            return skipped == len(seen)
    return True
