"""What becomes of an instance that is to go on: it runs, waits, is skipped, fails or is removed.

Its mapping input, the decisions of branches, the setups and the tasks above it, the scope of a teardown and the run
before each have a say, in this order.
"""

from __future__ import annotations

from datetime import datetime

from piper.core.draft import Draft
from piper.core.graph import FAST_RULES, Node, Watch
from piper.core.memory import EVERY_INDEX, OUTER
from piper.core.trigger_rules import Tally, Verdict, evaluate, evaluate_setups
from piper.model.ids import UNMAPPED
from piper.model.run import TaskInstance
from piper.model.spec import TaskSpec
from piper.model.states import FINISHED, TaskState, TriggerRule

PAST_IS_GOOD = frozenset({TaskState.SUCCESS, TaskState.SKIPPED})


def verdict_on(draft: Draft, node: Node, ti: TaskInstance) -> Verdict:
    """What becomes of an idle instance, as far as it is known."""
    verdict = _verdict_now(draft, node, ti.map_index)
    if verdict is Verdict.RUN or (verdict is Verdict.SKIP and node.spec.wait_for_past_depends_before_skipping):
        return verdict if past_allows(draft, node) else Verdict.WAIT
    return verdict


def _verdict_now(draft: Draft, node: Node, map_index: int) -> Verdict:
    if node.length_sources:
        verdict = _verdict_of_sources(draft, node)
        if verdict is not Verdict.RUN:
            return verdict
    if node.branchers and _was_skipped_by_a_branch(draft, node, map_index):
        return Verdict.SKIP
    if not node.upstream or node.spec.trigger_rule is TriggerRule.ALWAYS:
        return Verdict.RUN
    by_setups = Verdict.RUN
    if node.setups:
        by_setups = evaluate_setups(_seen(draft, node, Watch.SETUP, map_index), map_index)
        if by_setups not in (Verdict.RUN, Verdict.WAIT):
            return by_setups
    seen = _seen(draft, node, Watch.RULE, map_index)
    if map_index == UNMAPPED and node.mapped_group and not seen.total:
        return by_setups  # all above it are instances of its group: it expands, and each index looks at its own
    by_rule = evaluate(node.spec.trigger_rule, seen, map_index)
    if by_rule is not Verdict.RUN:
        return by_rule
    if node.scope:
        scope = _seen(draft, node, Watch.SCOPE, map_index)
        if scope.done < scope.total:
            return Verdict.WAIT
    return by_setups


def _seen(draft: Draft, node: Node, why: Watch, map_index: int) -> Tally:
    """The upstream instances that an instance of this index looks at."""
    tally = draft.tally(node.index, why, OUTER)
    if not node.mapped_group:
        return tally
    if map_index != UNMAPPED:
        return tally.plus(draft.tally(node.index, why, map_index)).plus(draft.tally(node.index, why, UNMAPPED))
    slot = EVERY_INDEX if node.spec.trigger_rule in FAST_RULES else UNMAPPED
    return tally.plus(draft.tally(node.index, why, slot))


def _verdict_of_sources(draft: Draft, node: Node) -> Verdict:
    """A task whose mapping input has not succeeded shares its fate, whatever the rule says."""
    skipped = False
    for source in node.length_sources:
        ti = draft.at((source, UNMAPPED))
        if ti is None or ti.state not in FINISHED or ti.state is TaskState.SUCCESS:
            continue
        if ti.state in (TaskState.FAILED, TaskState.UPSTREAM_FAILED):
            return Verdict.FAIL
        skipped = True
    return Verdict.SKIP if skipped else Verdict.RUN


def _was_skipped_by_a_branch(draft: Draft, node: Node, map_index: int) -> bool:
    """Whether a decision above, of the index that counts for this one, has not chosen it."""
    for above in node.branchers:
        brancher = draft.graph.nodes[above]
        shared = bool(node.mapped_group) and brancher.mapped_group == node.mapped_group
        ti = draft.at((above, map_index if shared or brancher.spec.mapped is not None else UNMAPPED))
        if ti is None or ti.state is not TaskState.SUCCESS or ti.decision is None:
            continue
        if ti.decision.followed is not None and node.index not in draft.graph.follow_set(ti.decision.followed):
            return True
        if node.spec.task_id in ti.decision.skipped:
            return True
        if ti.decision.skip_descendants and not node.spec.teardown:
            return True
    return False


def past_allows(draft: Draft, node: Node) -> bool:
    """Whether the run before lets a task go on."""
    spec, previous = node.spec, draft.facts.previous
    if not (spec.depends_on_past or spec.wait_for_downstream):
        return True
    if previous is None or draft.run.logical_date is None:
        return True
    states = previous.get(spec.task_id)
    if not states:
        return spec.ignore_first_depends_on_past or _starts_after(draft, spec, draft.facts.previous_date)
    if not PAST_IS_GOOD.issuperset(states):
        return False
    if spec.wait_for_downstream:
        below = (previous.get(draft.graph.nodes[d].spec.task_id, ()) for d in node.downstream)
        return all(PAST_IS_GOOD.issuperset(s) for s in below)
    return True


def _starts_after(draft: Draft, spec: TaskSpec, date: datetime | None) -> bool:
    """Whether a task was not yet meant to run on that date; as in Airflow that counts only with catchup."""
    return draft.graph.spec.schedule.catchup and spec.start is not None and date is not None and spec.start > date
