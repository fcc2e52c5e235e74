"""Triggers as users write them, well and badly: a module of a bundle."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from piper.sdk import Variable
from piper.sdk.trigger import BaseTrigger, TaskSkippedEvent, TaskSuccessEvent, TriggerEvent


class Users(BaseTrigger):
    """What they have in common."""

    def __init__(self, **arguments) -> None:
        super().__init__()
        self.arguments = arguments

    def serialize(self):
        return f"waits.{type(self).__name__}", self.arguments


class After(Users):
    """Fires after some seconds."""

    async def run(self):
        await asyncio.sleep(self.arguments.get("seconds", 0))
        yield TriggerEvent(self.arguments.get("payload"))
        yield TriggerEvent("a second event")


class Never(Users):
    """Notes what is done to it."""

    def note(self, what: str) -> None:
        with open(self.arguments["notes"], "a") as file:
            file.write(f"{what}\n")

    async def run(self):
        self.note("run")
        await asyncio.Event().wait()
        yield TriggerEvent(None)

    async def on_kill(self) -> None:
        self.note("on_kill")

    async def cleanup(self) -> None:
        self.note("cleanup")


class OnceThere(Users):
    """Fires once a file is there: written by the test when it wants."""

    async def run(self):
        while not Path(self.arguments["path"]).exists():
            await asyncio.sleep(0.02)
        yield TriggerEvent(os.getpid())


class Talks(Users):
    """Prints and logs."""

    async def run(self):
        print("printed")
        self.log.info("logged by %s", self.task_instance.task_id)
        await asyncio.to_thread(print, "printed in a thread")
        yield TriggerEvent(None)


class Asks(Users):
    """Asks for a variable, on the loop as tasks do and beside it."""

    async def run(self):
        here = Variable.get("colour")
        there = await asyncio.to_thread(Variable.get, "colour")
        print(f"the secret is {Variable.get('my_password')}")
        yield TriggerEvent([here, there])


class Sees(Users):
    """Says what it sees of its process."""

    async def run(self):
        names = sorted(name for name in os.environ if name.startswith("PIPER_"))
        servers = sorted(set(sys.modules) & {"sqlalchemy", "fastapi", "piper.store", "piper.task_api", "uvicorn"})
        yield TriggerEvent({"environment": names, "modules": servers, "folder": __file__})


class Ends(Users):
    """Ends the task itself."""

    async def run(self):
        if self.arguments["how"] == "success":
            yield TaskSuccessEvent(xcoms={"answer": 42})
        else:
            yield TaskSkippedEvent()


# --- badly -----------------------------------------------------------------------------------------


class Blocks(Users):
    """Stands still."""

    async def run(self):
        await asyncio.sleep(self.arguments.get("seconds", 0))
        time.sleep(1000)
        yield TriggerEvent(None)


class Dies(Users):
    """Ends its process."""

    async def run(self):
        await asyncio.sleep(0.05)
        os._exit(7)
        yield TriggerEvent(None)


class Raises(Users):
    """Fails."""

    async def run(self):
        raise ValueError("no such queue")
        yield TriggerEvent(None)


class SaysNothing(Users):
    """Ends without an event."""

    async def run(self):
        if self.arguments:
            yield TriggerEvent(None)


class IsNoGenerator(Users):
    """A coroutine."""

    async def run(self):
        return TriggerEvent(None)


class YieldsText(Users):
    """No event."""

    async def run(self):
        yield "done"


class SaysTheUnsayable(Users):
    """What it says has no JSON form."""

    async def run(self):
        yield TriggerEvent(object())


class SaysTooMuch(Users):
    """A gigabyte."""

    async def run(self):
        yield TriggerEvent("x" * (1 << 30))


class Exits(Users):
    """Raises SystemExit, in a task of its own."""

    async def run(self):
        async def leave():
            sys.exit(3)

        await asyncio.create_task(leave())
        yield TriggerEvent(None)


class CancelsItself(Users):
    """Raises CancelledError though nobody has cancelled it."""

    async def run(self):
        raise asyncio.CancelledError
        yield TriggerEvent(None)


class NoTrigger:
    """Something else."""
