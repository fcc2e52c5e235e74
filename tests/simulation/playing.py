"""Plays seeds, alone or many at a time, whole or with one mechanism broken."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from unittest import mock

from piper.scheduler import backfills
from tests.simulation.mutations import MUTATIONS
from tests.simulation.world import World

MOVES = 150
MEMORY = Path("/dev/shm")


def small_chunks() -> AbstractContextManager[object]:
    """Backfills go on by few dates at a time, so that there is a commit to crash at between them."""
    return mock.patch.multiple(backfills, CHUNK=3, RERUNS=1)


def play(seed: int, mutation: str = "", talk: Callable[[str], None] = lambda _: None) -> str:
    """Play one seed to its end. Returns what was broken, or an empty string.

    Arguments:
        talk: called with each move.
    """
    logging.disable(logging.CRITICAL)  # a play provokes every error there is
    folder = MEMORY if MEMORY.is_dir() else None
    broken = MUTATIONS[mutation].breaks() if mutation else contextlib.nullcontext()
    with tempfile.TemporaryDirectory(dir=folder) as path, broken, small_chunks():
        world = World(seed, Path(path), talk)
        try:
            world.play(MOVES)
        except Exception as error:
            return f"seed {seed}: {type(error).__name__}: {error}"
        finally:
            world.close()
            logging.disable(logging.NOTSET)
    return ""


def play_all(seeds: Iterable[int]) -> list[str]:
    """Play seeds one after the other; what each broke."""
    return [broken for broken in map(play, seeds) if broken]
