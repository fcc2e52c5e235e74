"""Loading a file of DAGs, and making a task again from its spec.

A file is executed as a module under a name of its own, with its bundle's root on `sys.path`. What is
wrong with it comes as one `AuthorError` with file and line; what it imported from the bundle is told,
since a change in any of those files is a change of this one.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, TracebackType
from typing import NamedTuple, NoReturn, Protocol

from piper.model.errors import AuthorError, InvalidSpec
from piper.sdk import scope
from piper.sdk.dags import DAG
from piper.sdk.hydrate import hydrate
from piper.sdk.place import line_of
from piper.sdk.spelling import nearest

__all__ = [
    "ImportLayer",
    "LoadedFile",
    "ParsingContext",
    "get_parsing_context",
    "hydrate",
    "load_file",
    "use_import_layer",
]


@dataclass(frozen=True)
class LoadedFile:
    """What a file holds."""

    dags: dict[str, DAG] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    """Warnings raised while it was loaded: `file:line: Category: message`."""
    imported: list[str] = field(default_factory=list)
    """Files of the bundle that it imported, directly or not, relative to the root."""


class ParsingContext(NamedTuple):
    """Of which DAG and task a file is being loaded for; both None when all are wanted."""

    dag_id: str | None
    task_id: str | None


_parsing = ParsingContext(None, None)


def get_parsing_context() -> ParsingContext:
    """What a file is being loaded for: a file that makes thousands of DAGs may then make only that one."""
    return _parsing


@contextmanager
def parsing_for(dag_id: str | None, task_id: str | None) -> Iterator[None]:
    """While a file is loaded for one DAG or task."""
    global _parsing
    outer, _parsing = _parsing, ParsingContext(dag_id, task_id)
    try:
        yield
    finally:
        _parsing = outer


class ImportLayer(Protocol):
    """Names that files may import besides Python's and their own (`piper.compat`)."""

    def prepare(self, root: Path) -> None:
        """Called before each file is executed, with its bundle's root; what it warns of is the file's."""
        ...

    def explain(self, module: str, name: str = "") -> str:
        """What to say of a module that is not there, or has no such name; empty if it knows nothing about it."""
        ...


_import_layer: ImportLayer | None = None


def use_import_layer(layer: ImportLayer | None) -> None:
    """Have files import through this layer from now on; None: through none."""
    global _import_layer
    _import_layer = layer


_modules_of: dict[str, set[str]] = {}
"""Root → modules that earlier loads in this process imported from it."""
_root = ""
"""That of the last load."""


def load_file(root: Path, file: str, *, dag_id: str | None = None, task_id: str | None = None) -> LoadedFile:
    """Execute a file and collect its DAGs.

    Modules that an earlier load imported from the same root are imported again: each file is loaded
    as if the process were new.

    Arguments:
        root: of the bundle.
        file: relative to the root.
        dag_id, task_id: what it is loaded for, if not for all (see `get_parsing_context`).

    Raises:
        AuthorError: it cannot be read or executed, or two of its DAGs have the same id.
    """
    global _root
    root = root.resolve()
    _root = str(root)
    path = root / file
    _forget_modules(str(root))
    before = set(sys.modules)
    with warnings.catch_warnings(record=True) as caught, scope.loading(str(path)) as loading, _on_path(str(root)):
        warnings.simplefilter("default")
        try:
            if _import_layer is not None:
                _import_layer.prepare(root)
            with parsing_for(dag_id, task_id):
                module = _execute(path, module_name(file))
        except (Exception, SystemExit) as error:
            _raise_located(error, root, file)
        finally:
            imported = _imported_from(root, set(sys.modules) - before - {module_name(file)})
            _modules_of[str(root)] = set(imported)
    return LoadedFile(
        dags=_collect(module, loading, file),
        warnings=[*(_warning_text(one, root) for one in caught), *_never_mapped(loading, file)],
        imported=sorted(os.path.relpath(name, root) for name in imported.values()),
    )


def bundle_root() -> str:
    """The folder that this process has loaded from last; empty if it has loaded no file."""
    return _root


def module_name(file: str) -> str:
    """The name that a file's module has: readable, and different for every file of a bundle.

    It is part of the paths of operator classes that the file defines, so it depends on nothing else.
    """
    digest = hashlib.sha1(Path(file).as_posix().encode(), usedforsecurity=False).hexdigest()[:10]
    stem = "".join(letter if letter.isalnum() else "_" for letter in Path(file).stem)
    return f"piper_file_{digest}_{stem}"


def _execute(path: Path, name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise AuthorError(f"{path.name} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _on_path(root: str) -> Iterator[None]:
    """The root stays on the path after the load: tasks import lazily."""
    if root not in sys.path:
        sys.path.insert(0, root)
    yield


def _forget_modules(root: str) -> None:
    for name in _modules_of.pop(root, ()):
        sys.modules.pop(name, None)


def _imported_from(root: Path, names: set[str]) -> dict[str, str]:
    """Module name → file, of those modules that lie in the bundle."""
    found: dict[str, str] = {}
    prefix = str(root) + os.sep
    for name in names:
        file = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(file, str) and file.startswith(prefix) and f"{os.sep}site-packages{os.sep}" not in file:
            found[name] = file
    return found


def _collect(module: ModuleType, loading: scope.Loading, file: str) -> dict[str, DAG]:
    """The DAGs that registered themselves, and those in globals."""
    found = {**loading.registered, **{id(one): one for one in vars(module).values() if isinstance(one, DAG)}}
    dags: dict[str, DAG] = {}
    for dag in found.values():
        other = dags.setdefault(dag.dag_id, dag)
        if other is not dag:
            raise InvalidSpec(
                f"two DAGs of this file have the id {dag.dag_id!r}: the other is made in line {line_of(other._place)}",
                file=file,
                line=line_of(dag._place) or None,
            )
    return dags


def _never_mapped(loading: scope.Loading, file: str) -> list[str]:
    return [
        f"{file}:{line_of(partial.place)}: UserWarning: task {partial.kwargs['task_id']!r} was never mapped: "
        "call .expand(…) on what .partial(…) gives"
        for partial in loading.partials
        if not partial.expanded
    ]


# --- what went wrong ----------------------------------------------------------------------------


def _raise_located(error: BaseException, root: Path, file: str) -> NoReturn:
    if isinstance(error, AuthorError) and error.file is not None:
        raise error
    where, line = _locate(error, root, file)
    if isinstance(error, AuthorError):
        error.file, error.line = where, line
        raise error
    raise AuthorError(_message(error, root), file=where, line=line) from error


def _locate(error: BaseException, root: Path, file: str) -> tuple[str, int | None]:
    """File and line of the author's code that an error comes from: the innermost that lies in the bundle."""
    if isinstance(error, SyntaxError) and error.filename and _inside(error.filename, root):
        return os.path.relpath(error.filename, root), error.lineno
    found: tuple[str, int | None] = (file, None)
    frame: TracebackType | None = error.__traceback__
    while frame is not None:
        name = frame.tb_frame.f_code.co_filename
        if _inside(name, root):
            found = os.path.relpath(name, root), frame.tb_lineno
        frame = frame.tb_next
    return found


def _inside(file: str, root: Path) -> bool:
    return file.startswith(str(root) + os.sep) and f"{os.sep}site-packages{os.sep}" not in file


def _message(error: BaseException, root: Path) -> str:
    if isinstance(error, SystemExit):
        return f"the file ends the process when it is loaded: SystemExit({error.code!r})"
    last = traceback.format_exception_only(error)[-1].strip()
    if isinstance(error, ImportError):
        kind = type(error).__name__
        return f"{kind}: {_explain_import(error, root)}" if last.startswith(f"{kind}: ") else last
    if isinstance(error, SyntaxError):
        return f"{last}: {(error.text or '').strip()}".rstrip(": ")
    return last


_UNKNOWN_NAME = re.compile(r"cannot import name '(\w+)' from '([\w.]+)'")
_UNKNOWN_MODULE = re.compile(r"No module named '([\w.]+)'")


def _explain_import(error: ImportError, root: Path) -> str:
    """What cannot be imported, and what to do about it."""
    said = str(error)
    name = _UNKNOWN_NAME.match(said)
    if name is not None:
        explained = _import_layer.explain(name[2], name[1]) if _import_layer is not None else ""
        return explained or said + _nearest_name(name[2], name[1])
    module = _UNKNOWN_MODULE.match(said)
    if module is None:
        return said
    explained = _import_layer.explain(_asked_for(error, module[1])) if _import_layer is not None else ""
    return explained or said + _where_it_may_be(module[1], root)


def _nearest_name(module: str, name: str) -> str:
    """A suggestion, where a module of Piper was asked for a name that it does not have."""
    other = nearest(name, dir(sys.modules.get(module))) if module.startswith("piper.") else None
    return f" (did you mean {other!r}?)" if other else ""


def _asked_for(error: ImportError, missing: str) -> str:
    """The whole name of the module that the import statement asks for: Python names the first part that is missing."""
    import dis  # only when something is wrong

    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None:
        return missing
    code = dis.get_instructions(frame.tb_frame.f_code)
    statement = next((one for one in code if one.offset == frame.tb_lasti and one.opname == "IMPORT_NAME"), None)
    whole = str(statement.argval) if statement is not None else missing
    return whole if whole.startswith(f"{missing}.") else missing


def _where_it_may_be(module: str, root: Path) -> str:
    """Whether a module is in the bundle after all, though not where an import finds it."""
    first = module.partition(".")[0]
    patterns = [f"{folders}{first}{end}" for folders in ("", "*/", "*/*/") for end in ("", ".py")]
    found = next((path for pattern in patterns for path in sorted(root.glob(pattern))), None)
    if found is None:
        return ": it is neither in this bundle nor installed where Piper runs"
    if found.parent == root:
        return ""
    folder = found.parent.relative_to(root)
    instead = f"from {'.'.join(folder.parts)} import {first}"
    return f": imports begin at the bundle's root, and {first} is in {folder}: {instead}"


def _warning_text(warning: warnings.WarningMessage, root: Path) -> str:
    name = os.path.relpath(warning.filename, root) if _inside(warning.filename, root) else warning.filename
    return f"{name}:{warning.lineno}: {warning.category.__name__}: {warning.message}"
