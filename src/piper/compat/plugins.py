"""Plugins: classes in the folder `plugins` that add macros and listeners (airflow-semantics §3.29).

A plugin's timetables, weight strategies and operator links need no registration in Piper: DAG files import them, and
what they decide is stored as data. The lists are accepted, and so are those of parts that Piper does not have.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

FOLDER = "plugins"
VARIABLE = "PIPER_CORE__PLUGINS_FOLDER"
"""A folder of plugins for all bundles."""


class PluginWarning(UserWarning):
    """A plugin cannot be loaded; what it adds is missing."""


class AirflowPlugin:
    """Base of plugins.

    Example::

        class Shifts(AirflowPlugin):
            name = "shifts"
            macros = [shift_of]      # {{ macros.shifts.shift_of(ts) }}
            listeners = [my_module]  # whose functions are told how tasks go
    """

    name: ClassVar[str | None] = None
    macros: ClassVar[list[Any]] = []
    listeners: ClassVar[list[Any]] = []
    timetables: ClassVar[list[Any]] = []
    priority_weight_strategies: ClassVar[list[Any]] = []
    operator_extra_links: ClassVar[list[Any]] = []
    global_operator_extra_links: ClassVar[list[Any]] = []
    hook_lineage_readers: ClassVar[list[Any]] = []
    partition_mappers: ClassVar[list[Any]] = []
    windows: ClassVar[list[Any]] = []
    deadline_references: ClassVar[list[Any]] = []
    fastapi_apps: ClassVar[list[Any]] = []
    fastapi_root_middlewares: ClassVar[list[Any]] = []
    external_views: ClassVar[list[Any]] = []
    react_apps: ClassVar[list[Any]] = []
    flask_blueprints: ClassVar[list[Any]] = []
    appbuilder_views: ClassVar[list[Any]] = []
    appbuilder_menu_items: ClassVar[list[Any]] = []

    @classmethod
    def validate(cls) -> None:
        """Raise ValueError if it has no name."""
        if not cls.name:
            raise ValueError(f"plugin {cls.__name__} needs a name")

    @classmethod
    def on_load(cls, *arguments: Any, **named: Any) -> None:
        """Called when it has been loaded."""


_loaded: set[str] = set()


def load_plugins(root: Path) -> None:
    """Load the plugins of a bundle, and those for all bundles, once in this process.

    Arguments:
        root: of the bundle.

    One that cannot be loaded is left out, with a warning: most files need none of it.
    """
    common = os.environ.get(VARIABLE)
    for folder in ([Path(common)] if common else []) + [root / FOLDER]:
        if not folder.is_dir():
            continue
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
        for file in sorted(folder.rglob("*.py")):
            if str(file) not in _loaded and file.name != "__init__.py":
                _loaded.add(str(file))
                _load(file)


def register(plugin: type[AirflowPlugin]) -> None:
    """Let a plugin's macros and listeners take effect.

    Raises:
        ValueError: it has no name.
    """
    from piper.compat.listeners import get_listener_manager  # the two modules are asked for separately
    from piper.sdk.execution.macros import Macros

    plugin.validate()
    if plugin.macros:
        Macros.plugins[str(plugin.name)] = SimpleNamespace(**{macro.__name__: macro for macro in plugin.macros})
    for listener in plugin.listeners:
        get_listener_manager().add_listener(listener)
    plugin.on_load()


def _load(file: Path) -> None:
    digest = hashlib.sha1(str(file).encode(), usedforsecurity=False).hexdigest()[:10]
    name = f"piper_plugin_{digest}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        for value in list(vars(module).values()):
            if isinstance(value, type) and issubclass(value, AirflowPlugin) and value.__module__ == name:
                register(value)
    except Exception as error:
        del sys.modules[name]
        warnings.warn(f"plugin {file} is left out: {type(error).__name__}: {error}", PluginWarning, stacklevel=2)
