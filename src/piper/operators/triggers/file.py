"""Waiting for files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from glob import glob
from typing import Any

from piper.sdk.importing import path_of
from piper.sdk.trigger import BaseEventTrigger, BaseTrigger, TriggerEvent


def find_file(pattern: str, *, recursive: bool) -> str | None:
    """A file that matches a glob pattern, or that lies in a folder that does; None if there is none."""
    for path in glob(pattern, recursive=recursive):
        if os.path.isfile(path):
            return path
        for folder, _, files in os.walk(path):
            if files:
                return os.path.join(folder, files[0])
    return None


class FileTrigger(BaseTrigger):
    """Fires once a file is there.

    Arguments:
        filepath: path of a file or folder, or a glob pattern; a folder must have a file in it.
        recursive: whether `**` in the pattern matches folders of any depth.
        poke_interval: seconds between looks.
    """

    def __init__(self, filepath: str, recursive: bool = False, poke_interval: float = 5.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filepath = filepath
        self.recursive = recursive
        self.poke_interval = poke_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Its class and arguments."""
        arguments = {"filepath": self.filepath, "recursive": self.recursive, "poke_interval": self.poke_interval}
        return path_of(type(self)), arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until a file is found."""
        # In a thread: a file system may be slow, and all triggers share the event loop.
        while (found := await asyncio.to_thread(find_file, self.filepath, recursive=self.recursive)) is None:
            await asyncio.sleep(self.poke_interval)
        self.log.info("Found File %s", found)
        yield TriggerEvent(True)


class FileDeleteTrigger(BaseEventTrigger):
    """Fires once a file is there, and removes it.

    Arguments:
        filepath: path of the file.
        poke_interval: seconds between looks.
    """

    def __init__(self, filepath: str, poke_interval: float = 5.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filepath = filepath
        self.poke_interval = poke_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Its class and arguments."""
        return path_of(type(self)), {"filepath": self.filepath, "poke_interval": self.poke_interval}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until the file is found, and remove it."""
        while not await asyncio.to_thread(os.path.isfile, self.filepath):
            await asyncio.sleep(self.poke_interval)
        self.log.info("Found file %s, removing it", self.filepath)
        await asyncio.to_thread(os.unlink, self.filepath)
        yield TriggerEvent(True)
