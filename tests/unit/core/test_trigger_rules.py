"""The thirteen rules, against an evaluator written from the description of what they mean."""

from __future__ import annotations

from itertools import combinations_with_replacement, product

import pytest

from piper.core.trigger_rules import NOTHING, Tally, Verdict, evaluate, evaluate_setups
from piper.model.states import TaskState, TriggerRule

S, F, K, U, R, N = (
    TaskState.SUCCESS,
    TaskState.FAILED,
    TaskState.SKIPPED,
    TaskState.UPSTREAM_FAILED,
    TaskState.REMOVED,
    TaskState.NONE,
)


def tally_of(states, setups=()):
    tally = NOTHING.growing(len(states), False)
    for i, state in enumerate(states):
        if i in setups:
            tally = tally._replace(setup_total=tally.setup_total + 1)
        tally = tally.counting(state, 1, i in setups)
    return tally


def meaning(rule: TriggerRule, states: tuple[TaskState, ...]) -> Verdict:
    """What the guide says in words, over the list of states itself. Removed instances do not occur here."""
    done = N not in states
    bad = [s for s in states if s in (F, U)]
    good = [s for s in states if s is S]
    skipped = [s for s in states if s is K]
    match rule:
        case TriggerRule.ALL_SUCCESS:
            if bad:
                return Verdict.FAIL
            if skipped:
                return Verdict.SKIP
            return Verdict.RUN if done else Verdict.WAIT
        case TriggerRule.ALL_FAILED:
            if good or skipped:
                return Verdict.SKIP
            return Verdict.RUN if done else Verdict.WAIT
        case TriggerRule.ALL_DONE:
            return Verdict.RUN if done else Verdict.WAIT
        case TriggerRule.ALL_DONE_MIN_ONE_SUCCESS:
            if skipped:
                return Verdict.SKIP
            if not done:
                return Verdict.WAIT
            return Verdict.RUN if good else Verdict.FAIL
        case TriggerRule.ONE_SUCCESS:
            if good:
                return Verdict.RUN
            if not done:
                return Verdict.WAIT
            return Verdict.FAIL if bad else Verdict.SKIP
        case TriggerRule.ONE_FAILED:
            if bad:
                return Verdict.RUN
            return Verdict.SKIP if done else Verdict.WAIT
        case TriggerRule.ONE_DONE:
            if good or F in states:
                return Verdict.RUN
            return Verdict.SKIP if done else Verdict.WAIT
        case TriggerRule.NONE_FAILED:
            if bad:
                return Verdict.FAIL
            return Verdict.RUN if done else Verdict.WAIT
        case TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS:
            if bad:
                return Verdict.FAIL
            if not done:
                return Verdict.WAIT
            return Verdict.RUN if good else Verdict.SKIP
        case TriggerRule.NONE_SKIPPED:
            if skipped:
                return Verdict.SKIP
            return Verdict.RUN if done else Verdict.WAIT
        case TriggerRule.ALL_SKIPPED:
            if good or bad:
                return Verdict.SKIP
            return Verdict.RUN if done else Verdict.WAIT
        case TriggerRule.ALWAYS:
            return Verdict.RUN
    raise AssertionError(rule)


@pytest.mark.parametrize("rule", [r for r in TriggerRule if r is not TriggerRule.ALL_DONE_SETUP_SUCCESS])
def test_a_rule_means_what_the_guide_says_for_every_mix_of_up_to_three_upstream_states(rule):
    for size in (1, 2, 3):
        for states in product((S, F, K, U, N), repeat=size):
            assert evaluate(rule, tally_of(states), -1) is meaning(rule, states), states


def test_a_teardown_runs_when_all_is_done_and_a_setup_has_succeeded():
    rule = TriggerRule.ALL_DONE_SETUP_SUCCESS
    assert evaluate(rule, tally_of((S, F), setups={0}), -1) is Verdict.RUN
    assert evaluate(rule, tally_of((F, F), setups={0}), -1) is Verdict.FAIL
    assert evaluate(rule, tally_of((K, F), setups={0}), -1) is Verdict.SKIP
    assert evaluate(rule, tally_of((S, N), setups={0}), -1) is Verdict.WAIT
    assert evaluate(rule, tally_of((F, F)), -1) is Verdict.RUN


def test_an_instance_in_excess_of_an_upstream_that_shrank_is_removed():
    assert evaluate(TriggerRule.ALL_SUCCESS, tally_of((S, R, R)), 1) is Verdict.REMOVE
    assert evaluate(TriggerRule.ALL_SUCCESS, tally_of((S, R, R)), 0) is Verdict.RUN


def test_setups_in_scope_must_all_succeed_and_pass_on_their_fate_at_once():
    assert evaluate_setups(tally_of((S, N)), -1) is Verdict.WAIT
    assert evaluate_setups(tally_of((F, N)), -1) is Verdict.FAIL
    assert evaluate_setups(tally_of((K, N)), -1) is Verdict.SKIP
    assert evaluate_setups(tally_of((S, S)), -1) is Verdict.RUN


def test_tallies_add_up():
    assert Tally(1, 1).plus(Tally(2, 0, 2)) == Tally(3, 1, 2)


STATES = (S, F, K, U, N)
BUNCHES = [tally_of(states) for size in range(1, 4) for states in combinations_with_replacement(STATES, size)]


@pytest.mark.parametrize("rule", TriggerRule)
def test_no_rule_tells_tallies_of_one_outline_apart_alone_or_beside_another(rule):
    others = [NOTHING, *(tally_of(states) for states in product(STATES, repeat=2))]
    same: dict[tuple[bool, ...], list[Tally]] = {}
    for tally in BUNCHES:
        same.setdefault(tally.outline, []).append(tally)
    assert any(len(tallies) > 1 for tallies in same.values())
    for tallies in same.values():
        for other in others:
            assert len({evaluate(rule, tally.plus(other), 0) for tally in tallies}) == 1
            assert len({evaluate_setups(tally.plus(other), 0) for tally in tallies}) == 1


def test_teardowns_tell_no_tallies_of_one_outline_apart():
    rule = TriggerRule.ALL_DONE_SETUP_SUCCESS
    same: dict[tuple[bool, ...], set[Verdict]] = {}
    for states in product(STATES, repeat=3):
        for setups in ((), (0,), (0, 1), (0, 1, 2)):
            tally = tally_of(states, setups)
            same.setdefault(tally.outline, set()).add(evaluate(rule, tally, 0))
    assert {len(verdicts) for verdicts in same.values()} == {1}
