"""What a unit test reaches for in vain."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable

import psycopg
import pytest


def listen() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))


@pytest.mark.parametrize(
    "reach",
    [
        lambda: time.sleep(0.001),
        lambda: sqlite3.connect(":memory:"),
        lambda: psycopg.connect("host=127.0.0.1 port=1 connect_timeout=1"),
        lambda: subprocess.run([sys.executable, "-c", ""], check=True),
        lambda: socket.create_connection(("127.0.0.1", 1)),
        listen,
        lambda: socket.getaddrinfo("localhost", 1),
        os.fork,
        lambda: os.system("true"),
        lambda: os.posix_spawn("/bin/true", ["true"], {}),
    ],
)
def test_the_outside_world_is_refused(reach: Callable[[], object]) -> None:
    with pytest.raises(AssertionError, match="a unit test"):
        reach()


def test_an_event_loop_may_run() -> None:
    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    assert asyncio.run(answer()) == 42
