"""Play seeds again and print their moves: `python -m tests.simulation SEED [SEED …]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.simulation.playing import small_chunks
from tests.simulation.world import World

for seed in map(int, sys.argv[1:]):
    with tempfile.TemporaryDirectory() as folder, small_chunks():
        world = World(seed, Path(folder), talk=print)
        try:
            world.play(150)
        finally:
            world.close()
