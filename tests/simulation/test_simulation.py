"""Five hundred plays keep every promise, and a play in which one mechanism is broken is found out."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.mutations import MUTATIONS
from tests.simulation.playing import play, play_all

SEEDS = 500
CHUNK = 25
SEEDS_FOR_A_MUTATION = 100


@pytest.mark.timeout(900)
def test_every_play_keeps_every_promise():
    chunks = [range(start, start + CHUNK) for start in range(0, SEEDS, CHUNK)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        broken = [b for some in pool.map(play_all, chunks) for b in some]
    assert not broken, "play it again with `python -m tests.simulation SEED`:\n" + "\n".join(broken)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_broken_mechanism_is_found_out(mutation):
    for seed in (MUTATIONS[mutation].seed, *range(SEEDS_FOR_A_MUTATION)):
        if play(seed, mutation):
            return
    pytest.fail(f"{SEEDS_FOR_A_MUTATION} plays with {mutation} broke no promise")


def test_a_play_follows_from_its_seed_alone():
    once: list[str] = []
    again: list[str] = []
    play(3, talk=once.append)
    play(3, talk=again.append)
    assert once
    assert once == again
