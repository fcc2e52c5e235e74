"""What may this instance have been, and become? Judged from the rows of its run alone, without tallies or memory.

Written anew from the guide (airflow-semantics §3.3, §3.4, §3.7, §3.8), to be compared with what the scheduler decided:
`may_run` when something has just been scheduled, `ends` when a run has come to rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from piper.model.run import Decision
from piper.model.spec import (
    ConcatLength,
    LengthExpression,
    LiteralLength,
    ProductLength,
    ResultLength,
    TaskSpec,
    WorkflowSpec,
    ZipLength,
)
from piper.model.states import FINISHED, TriggerRule

Place = tuple[str, int]
"""(task id, map index)."""

States = Mapping[Place, str]
"""The states of one run."""

FAST = (
    TriggerRule.ONE_SUCCESS,
    TriggerRule.ONE_FAILED,
    TriggerRule.ONE_DONE,
    TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
)


def may_run(spec: WorkflowSpec, states: States, task_id: str, map_index: int) -> bool:
    """Whether the trigger rule of an instance holds, given the states of the others, and setups let it run."""
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
    return _holds(task.trigger_rule, seen, setups) and "ran" in _with_setups(spec, states, task, map_index, {"ran"})


def _instances(spec: WorkflowSpec, states: States, above: TaskSpec, task: TaskSpec, map_index: int) -> list[str]:
    return [states.get(place, "absent") for place in _seen(spec, states, above, task, map_index)]


def _seen(spec: WorkflowSpec, states: States, above: TaskSpec, task: TaskSpec, map_index: int) -> list[Place]:
    """The instances of a task above that an instance looks at."""
    places = [place for place in states if place[0] == above.task_id] or [(above.task_id, -1)]
    if not _in_one_mapped_group(spec, above, task):
        return places
    if map_index < 0:
        some_suffice = task.trigger_rule in FAST
        return [place for place in places if some_suffice or place[1] < 0]
    own, single = (above.task_id, map_index), (above.task_id, -1)
    if own not in states and single not in states and _is_in_excess(spec, states, task, map_index):
        return []  # it became several when there were fewer already
    return [own if own in states else single]


def _is_in_excess(spec: WorkflowSpec, states: States, task: TaskSpec, map_index: int) -> bool:
    """Whether some task of its mapped group has lost this index, as there are fewer now than there were."""
    group = (t.task_id for t in spec.tasks if _in_one_mapped_group(spec, t, task))
    return any(states.get((task_id, map_index)) == "removed" for task_id in group)


def _in_one_mapped_group(spec: WorkflowSpec, one: TaskSpec, other: TaskSpec) -> bool:
    return one.group == other.group and any(g.group_id == one.group and g.mapped is not None for g in spec.groups)


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


# --- how a run must have ended ------------------------------------------------------------------


class Ended(NamedTuple):
    """An instance at rest."""

    state: str
    executed_as: str
    """How its last execution ended, or nothing if there was none."""
    result_length: int | None = None
    decision: Decision | None = None


Rows = Mapping[Place, Ended]
"""The instances of one run."""


def faults(spec: WorkflowSpec, rows: Rows, *, cleared: bool) -> list[str]:
    """What no order of events explains in the end states of a run.

    Arguments:
        cleared: some tasks, with everything below them, have been made to run again.
    """
    found = []
    for task in spec.tasks:
        indexes = sorted(index for task_id, index in rows if task_id == task.task_id)
        if indexes not in ([-1], list(range(len(indexes)))) or not indexes:
            found.append(f"{task.task_id} has the instances {indexes}")
        length = length_of(spec, rows, mapping_of(spec, task))
        ran = any(rows[task.task_id, index].state in ("success", "failed") for index in indexes)
        if length and ran and indexes[0] >= 0 and len(indexes) < length:
            found.append(f"{task.task_id} has {len(indexes)} instances of {length}")
        for index in indexes:
            at = rows[task.task_id, index]
            may = ends(spec, rows, task, index, cleared=cleared)
            if not _is_explained(at, may):
                found.append(f"{task.task_id}[{index}] is {at.state}, but {sorted(may) or 'it waits'} is right")
    return found


def _is_explained(at: Ended, may: set[str]) -> bool:
    match at.state:
        case "success" | "failed":
            return "ran" in may
        case "skipped":
            return "skipped" in may or ("ran" in may and at.executed_as == "skipped")
        case "upstream_failed" | "removed":
            return at.state in may
    return not may or "none" in may


def ends(spec: WorkflowSpec, rows: Rows, task: TaskSpec, index: int, *, cleared: bool) -> set[str]:
    """`ran`, or the ends without running, that an instance may have come to; several where it depends on the order.

    `none` besides others: it may as well wait. If there is nothing, then it must.

    Whatever the instances above did, each of them ended at a moment that is not known here: what one of them is the
    cause of is taken to have happened first, and then what the others would have caused without it.
    """
    states = {place: at.state for place, at in rows.items()}
    sources = _states_of_sources(spec, rows, task)
    skipped_by = _skipped_by(spec, rows, task, index)
    found = {"skipped"} if skipped_by else set()
    if {"failed", "upstream_failed"} & set(sources.values()):
        found.add("upstream_failed")
    if "skipped" in sources.values():
        found.add("skipped")
    orders = [skipped_by, skipped_by - _skipped_before(spec, rows, skipped_by)]
    if cleared:  # of what is made to run again, a decision at a distance is not heard again: the rules decide
        orders.append(set())
    for late in (order | sources.keys() for order in orders):
        by_rule = _by_rule(spec, {place: "none" if place in late else s for place, s in states.items()}, task, index)
        by_rule = _with_setups(spec, states, task, index, by_rule)
        if "ran" in by_rule:
            by_rule = by_rule - {"ran"} | (set() if sources else _fitted(spec, rows, task, index))
        found |= by_rule
        if cleared and not late and not by_rule:
            found.add("none")
    if cleared and _in_one_mapped_group(spec, task, task) and index >= 0:
        length = length_of(spec, rows, mapping_of(spec, task))
        if length is not None and index >= length:
            found.add("removed")  # with another of its group, before its own rule had its say
    return found


def has_failed(spec: WorkflowSpec, rows: Rows) -> bool:
    """Whether a run whose instances ended so has failed: one of its last tasks has, teardowns aside."""
    decisive = [t for t in spec.tasks if not t.teardown or t.on_failure_fail_run]
    last = [t for t in decisive if not any(t.task_id in other.upstream for other in decisive)]
    names = {t.task_id for t in last} or {t.task_id for t in spec.tasks if not _below(spec, t.task_id)}
    return any(at.state in ("failed", "upstream_failed") for (name, _), at in rows.items() if name in names)


def _by_rule(spec: WorkflowSpec, states: States, task: TaskSpec, index: int) -> set[str]:
    if not task.upstream or task.trigger_rule is TriggerRule.ALWAYS:
        return {"ran"}
    tasks = {t.task_id: t for t in spec.tasks}
    seen, setups = [], []
    for above in task.upstream:
        some = _instances(spec, states, tasks[above], task, index)
        seen += some
        setups += some if tasks[above].setup else []
    if not seen:
        return {"ran"}  # in a mapped group: to be expanded, then each index looks at its own
    if task.trigger_rule is TriggerRule.ALL_SUCCESS:  # the one rule in which the first to end decides
        at_once = {"failed": "upstream_failed", "upstream_failed": "upstream_failed", "skipped": "skipped"}
        found = {at_once[s] for s in seen if s in at_once}
        in_excess = "removed" in seen and 0 < seen.count("success") <= index
        return found or ({"removed" if in_excess else "ran"} if _holds(task.trigger_rule, seen, setups) else set())
    if _holds(task.trigger_rule, seen, setups):
        return {"ran"}
    return _ended_by(task.trigger_rule, seen, setups)


def _ended_by(rule: TriggerRule, seen: Sequence[str], setups: Sequence[str]) -> set[str]:
    """What a rule that does not hold makes of an instance: an end, or nothing yet."""
    done = all(s in FINISHED for s in seen)
    bad, skipped = {"failed", "upstream_failed"} & set(seen), "skipped" in seen
    match rule:
        case TriggerRule.ALL_FAILED:
            return {"skipped"} if "success" in seen or skipped else set()
        case TriggerRule.ALL_DONE_MIN_ONE_SUCCESS:
            return {"skipped"} if skipped else {"upstream_failed"} if done else set()
        case TriggerRule.ALL_DONE_SETUP_SUCCESS if done:
            return {"skipped"} if setups and set(setups) == {"skipped"} else {"upstream_failed"}
        case TriggerRule.ONE_SUCCESS if done:
            return {"skipped"} if set(seen) == {"skipped"} else {"upstream_failed"}
        case TriggerRule.ONE_FAILED | TriggerRule.ONE_DONE if done:
            return {"skipped"}
        case TriggerRule.NONE_FAILED:
            return {"upstream_failed"} if bad else set()
        case TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS:
            if bad:
                return {"upstream_failed"}
            if set(seen) == {"skipped"}:
                return {"skipped"}
            return {"upstream_failed"} if done else set()
        case TriggerRule.NONE_SKIPPED:
            return {"skipped"} if skipped else set()
        case TriggerRule.ALL_SKIPPED:
            return {"skipped"} if bad or "success" in seen else set()
    return set()


def _with_setups(spec: WorkflowSpec, states: States, task: TaskSpec, index: int, by_rule: set[str]) -> set[str]:
    """What the setups around it, and the tasks that a teardown must wait for, leave of the rule's answers."""
    if not task.upstream or task.trigger_rule is TriggerRule.ALWAYS:
        return by_rule
    tasks = {t.task_id: t for t in spec.tasks}
    if task.teardown:
        own = [u for u in task.upstream if tasks[u].setup]
        inside = set().union(*(_below(spec, s) for s in own)) & _above(spec, task.task_id)
        waits = any(s not in FINISHED for (name, _), s in states.items() if name in inside)
        return by_rule - {"ran"} if waits else by_rule
    around = [s for s in spec.tasks if s.setup and s.task_id not in task.upstream and _is_in_scope(spec, s, task)]
    seen = {s for setup in around for s in _instances(spec, states, setup, task, index)}
    if {"failed", "upstream_failed"} & seen:
        by_rule = by_rule - {"ran"} | {"upstream_failed"}
    if "skipped" in seen:
        by_rule = by_rule - {"ran"} | {"skipped"}
    return by_rule if seen <= {"success", "removed"} else by_rule - {"ran"}


def _is_in_scope(spec: WorkflowSpec, setup: TaskSpec, task: TaskSpec) -> bool:
    """Whether a task is below a setup, and not past all the teardowns of it."""
    if task.task_id not in _below(spec, setup.task_id):
        return False
    teardowns = [t.task_id for t in spec.tasks if t.teardown and setup.task_id in t.upstream]
    return not teardowns or any(t in _below(spec, task.task_id) for t in teardowns)


# --- branches -----------------------------------------------------------------------------------


def _skipped_by(spec: WorkflowSpec, rows: Rows, task: TaskSpec, index: int) -> set[Place]:
    """The deciders that skip an instance, and what they have skipped between themselves and it."""
    found: set[Place] = set()
    for decider in spec.tasks:
        if task.task_id not in _below(spec, decider.task_id):
            continue
        shared = _in_one_mapped_group(spec, decider, task)
        place = (decider.task_id, index if shared or decider.mapped is not None else -1)
        at = rows.get(place)
        if at is None or at.state != "success" or at.decision is None:
            continue
        if decider.task_id in task.upstream and _is_refused(spec, at.decision, task):
            found.add(place)
        elif at.decision.skip_descendants and not task.teardown and decider.mapped is None:
            between = _below(spec, decider.task_id) & set(task.upstream)
            found |= {place, *(p for p in rows if p[0] in between and rows[p].state == "skipped")}
    return found


def _skipped_before(spec: WorkflowSpec, rows: Rows, late: set[Place]) -> set[Place]:
    """Of what a decision has skipped on the way, what may have been skipped for another reason, before it was made.

    Arguments:
        late: the deciders, and what they are taken to have skipped.
    """
    early: set[Place] = set()
    for task in spec.tasks:  # in topological order: what was skipped early may have skipped what is below it
        for place in [p for p in late if p[0] == task.task_id and rows[p].state == "skipped"]:
            known = {p: at._replace(state="none") if p in late - early else at for p, at in rows.items()}
            others = _skipped_by(spec, known, task, place[1]) - late
            if rows[place].executed_as == "skipped" or others or "skipped" in _without_decisions(spec, known, *place):
                early.add(place)
    return early


def _without_decisions(spec: WorkflowSpec, rows: Rows, task_id: str, index: int) -> set[str]:
    """The ends to which rules, setups and what it is mapped over may bring an instance."""
    task = next(t for t in spec.tasks if t.task_id == task_id)
    states = {place: at.state for place, at in rows.items()}
    found = _with_setups(spec, states, task, index, _by_rule(spec, states, task, index))
    sources = _states_of_sources(spec, rows, task)
    fitted = _fitted(spec, rows, task, index) if "ran" in found and not sources else set()
    return found | fitted | set(sources.values())


def _is_refused(spec: WorkflowSpec, decision: Decision, task: TaskSpec) -> bool:
    if decision.followed is not None:
        followed = set(decision.followed).union(*(_below(spec, t) for t in decision.followed))
        return task.task_id not in followed
    return task.task_id in decision.skipped or (decision.skip_descendants and not task.teardown)


def _below(spec: WorkflowSpec, task_id: str) -> set[str]:
    found: set[str] = set()
    for task in spec.tasks:  # in topological order
        if task_id in task.upstream or found & set(task.upstream):
            found.add(task.task_id)
    return found


def _above(spec: WorkflowSpec, task_id: str) -> set[str]:
    return {t.task_id for t in spec.tasks if task_id in _below(spec, t.task_id)}


# --- mapping ------------------------------------------------------------------------------------


def mapping_of(spec: WorkflowSpec, task: TaskSpec) -> LengthExpression | None:
    """What decides how many instances a task has."""
    return task.mapped or next((g.mapped for g in spec.groups if g.group_id == task.group), None)


def length_of(spec: WorkflowSpec, rows: Rows, length: LengthExpression | None) -> int | None:
    """How many elements an expression has; None while that is not known."""
    match length:
        case None:
            return None
        case LiteralLength(number):
            return number
        case ResultLength(source):
            return _length_of_result(spec, rows, source)
        case ZipLength(sources, fill):
            return _all_known((length_of(spec, rows, s) for s in sources), max if fill else min)
        case ConcatLength(sources):
            return _all_known((length_of(spec, rows, s) for s in sources), sum)
        case ProductLength(sources):
            return _all_known((length_of(spec, rows, s) for s in sources), math.prod)


def _all_known(lengths: Iterable[int | None], combine) -> int | None:
    known = list(lengths)
    return None if None in known else combine(known)


def _length_of_result(spec: WorkflowSpec, rows: Rows, source: str) -> int | None:
    task = next(t for t in spec.tasks if t.task_id == source)
    instances = [at for (name, _), at in rows.items() if name == source]
    if any(at.state not in FINISHED for at in instances):
        return None
    if mapping_of(spec, task) is not None:
        return sum(at.result_length is not None for at in instances)
    (only,) = instances
    return only.result_length if only.state == "success" else None


def _states_of_sources(spec: WorkflowSpec, rows: Rows, task: TaskSpec) -> dict[Place, str]:
    """The results that it is mapped over and will not have, and why."""
    mapping = mapping_of(spec, task)
    places = [(source, -1) for source in _sources_of(mapping)]
    ended = {place: rows[place].state for place in places if place in rows and rows[place].state in FINISHED}
    return {place: state for place, state in ended.items() if state != "success"}


def _sources_of(mapping: LengthExpression | None) -> set[str]:
    """The tasks whose results decide a length."""
    match mapping:
        case ResultLength(source):
            return {source}
        case ZipLength(sources=parts) | ConcatLength(sources=parts) | ProductLength(sources=parts):
            return set[str]().union(*map(_sources_of, parts))
    return set()


def _fitted(spec: WorkflowSpec, rows: Rows, task: TaskSpec, index: int) -> set[str]:
    """What becomes of an instance that may run, by the length of what it is mapped over."""
    mapping = mapping_of(spec, task)
    if mapping is None:
        return {"ran"}
    length = length_of(spec, rows, mapping)
    if length is None:
        sources = _sources_of(mapping)
        if any(at.state not in FINISHED for (name, _), at in rows.items() if name in sources):
            return set()
        return {"ran"} if index >= 0 else {"upstream_failed"}
    if index < 0:
        return {"expanded"} if length else {"skipped"}
    return {"ran"} if index < length else {"removed"}
