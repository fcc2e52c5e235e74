"""Classes of triggers by their dotted paths, from installed packages, a snapshot, or a workflow's own file."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

from piper import compat
from piper.sdk import loader
from piper.sdk.importing import import_path
from piper.sdk.trigger import BaseTrigger
from piper.triggerer.protocol import BUILT_IN, Wait

IMPORT_SECONDS = 60.0
"""For a module to be imported."""


class TriggerClasses:
    """Imports each class once.

    User modules are imported in a thread of their own: that may take seconds, and the loop has others to serve.

    Arguments:
        root: folder of the snapshot; empty for built-in triggers alone.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._known: dict[str, type[BaseTrigger]] = {}
        self._importer: ThreadPoolExecutor | None = None
        if root:
            compat.install()
            sys.path.insert(0, root)

    async def find(self, wait: Wait) -> type[BaseTrigger]:
        """The class of a trigger.

        Raises:
            ImportError, AuthorError: it cannot be imported here.
            TypeError: it is no trigger.
            TimeoutError: its module takes too long to import.
        """
        path = wait.class_path
        kind = self._known.get(path)
        if kind is None:
            kind = self._import(wait) if path.startswith(BUILT_IN) else await self._import_beside(wait)
            self._known[path] = kind
        return kind

    async def _import_beside(self, wait: Wait) -> type[BaseTrigger]:
        if self._importer is None:
            self._importer = ThreadPoolExecutor(1, "imports")
        loop, context = asyncio.get_running_loop(), copy_context()
        work = loop.run_in_executor(self._importer, context.run, self._import, wait)
        try:
            return await asyncio.wait_for(work, IMPORT_SECONDS)
        except TimeoutError:
            self._importer = None  # the next one does not wait for this
            raise TimeoutError(
                f"the module of {wait.class_path} was not imported within {IMPORT_SECONDS:g} s"
            ) from None

    def _import(self, wait: Wait) -> type[BaseTrigger]:
        path = wait.class_path
        module = path.rpartition(".")[0]
        if wait.file and self._root and module == loader.module_name(wait.file) and module not in sys.modules:
            loader.load_file(Path(self._root), wait.file)
        kind = import_path(path)
        if not (isinstance(kind, type) and issubclass(kind, BaseTrigger)):
            raise TypeError(f"{path} is no trigger: it must be a class derived from BaseTrigger")
        return kind
