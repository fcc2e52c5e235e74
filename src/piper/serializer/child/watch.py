"""What a file reads while it is loaded, and a few things it may not do, seen by an audit hook.

What it reads of its bundle decides when it is loaded again. Modules, data files and directory listings
all pass here, whatever library they are read with; so does what was looked for and is not there yet.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Callable
from typing import Any


class Watch:
    """Watches this process from now on.

    Arguments:
        root: the bundle's root, absolute.
        trace: descriptor that faulthandler writes to.
    """

    def __init__(self, root: str, trace: int) -> None:
        self._inside = root + "/"
        self._root = root
        self._trace = trace
        self._pid = os.getpid()
        self._opened: set[str] = set()
        self._listed: set[str] = set()
        self._wanted: set[str] = set()
        handlers: dict[str, Callable[[tuple[Any, ...]], None]] = {
            "open": self._open,
            "os.listdir": self._list,
            "os.scandir": self._list,
            "import": self._import,
            "os.fork": self._fork,
            "os.forkpty": self._fork,
            "os.kill": self._kill,
            "os.killpg": self._kill,
        }
        find = handlers.get

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            handler = find(event)
            if handler is not None:
                handler(arguments)

        sys.addaudithook(hook)

    def imports(self) -> tuple[str, ...]:
        """What has been read, listed (with `/` at the end) or looked for, relative to the root, sorted."""
        found = {self._relative(path) for path in self._opened}
        found |= {self._relative(path) + "/" for path in self._listed}
        for name in self._wanted:
            if name not in sys.modules and name not in sys.stdlib_module_names and self._is_ours(name):
                place = name.replace(".", "/")
                found |= {f"{place}.py", f"{place}/__init__.py"}
        return tuple(sorted(found))

    def _relative(self, path: str) -> str:
        return os.path.relpath(path, self._root)

    def _is_ours(self, name: str) -> bool:
        """Whether a module that was not found could be one of the bundle."""
        top, _, rest = name.partition(".")
        if not rest:
            return True
        places = getattr(sys.modules.get(top), "__path__", None) or ()
        return any(str(place).startswith(self._inside) for place in places)

    def _open(self, arguments: tuple[Any, ...]) -> None:
        path, _, flags = arguments
        if isinstance(flags, int) and flags & os.O_ACCMODE != os.O_RDONLY:
            return
        absolute = _absolute(path)
        if absolute.startswith(self._inside) and not absolute.endswith(".pyc"):
            self._opened.add(absolute)

    def _list(self, arguments: tuple[Any, ...]) -> None:
        if sys._getframe(2).f_code.co_filename.startswith("<frozen importlib"):
            return  # the import system looks around; what it then reads is what counts
        absolute = _absolute(arguments[0] if arguments[0] is not None else ".")
        if absolute == self._root or absolute.startswith(self._inside):
            self._listed.add(absolute)

    def _import(self, arguments: tuple[Any, ...]) -> None:
        self._wanted.add(arguments[0])

    def _fork(self, _arguments: tuple[Any, ...]) -> None:
        """A fork whose child goes on in the file would load the file twice; libraries that fork know what they do."""
        if sys._getframe(2).f_code.co_filename.startswith(self._inside):
            raise RuntimeError("a workflow file cannot fork while it is loaded: start programs with subprocess")

    def _kill(self, _arguments: tuple[Any, ...]) -> None:
        """Whom it kills may be itself: then this is where."""
        if os.getpid() == self._pid:
            faulthandler.dump_traceback(self._trace, all_threads=False)


def _absolute(path: Any) -> str:
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if not isinstance(path, str | os.PathLike):
        return ""
    return os.path.normpath(os.path.join(os.getcwd(), path))
