"""What a process that serves is made of: everything on one machine, or one role."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from piper.model.errors import InvalidSetting
from piper.serializer.bundles import Bundle
from piper.settings import Settings, make_folder
from piper.wiring.system import Part, System
from piper.wiring.triggerer import LoneTriggerer


def run_standalone(settings: Settings, *, take_over: bool = False) -> None:
    """Serve everything on this machine until told to stop (SIGTERM, Ctrl-C)."""
    make_folder(settings.home, "PIPER_HOME")
    make_folder(settings.dags, "serializer.dags")
    bundle = Bundle(
        name="dags",
        team=settings.core.team,
        folder=settings.dags,
        reload_interval=settings.serializer.reload_interval,
    )
    system = System(settings, [bundle], take_over=take_over)
    _serve_until_told(system, lambda: f"Piper serves {settings.dags} at {system.address} (home {settings.home})")


def run_service(name: str, settings: Settings) -> None:
    """Serve one role alone. All but the triggerer come with installations on several machines."""
    if name == "triggerer":
        _serve_until_told(LoneTriggerer(settings), lambda: f"Piper waits for triggers (home {settings.home})")
        return
    raise InvalidSetting(
        f"`piper {name}` alone needs a database and a task queue that several machines share, which this version "
        "does not have yet: use `piper standalone`"
    )


def _serve_until_told(part: Part, words: Callable[[], str]) -> None:
    """Start, say so, and stop at SIGTERM, at Ctrl-C, or when the terminal is closed."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # `nohup` has SIGHUP ignored: what it starts is to outlive the terminal. Otherwise its end is a reason to stop.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: stopping.set())
    part.start()
    try:
        with suppress(OSError):  # whoever read this may have gone
            print(words(), file=sys.stderr, flush=True)
        stopping.wait()
    finally:
        part.stop()
