"""Where authoring finds the batteries: the only module of the language that names what builds upon it.

Operators, their hooks and the tools of tests are made of this package, so that nothing here can import them. As
with entry points, each is a dotted path, imported when a file first asks for it (`importing.import_path`). What
plugins bring comes beside them: `decorators.register_decorator`, `connection.register_hook`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

INSTALLED = "piper.operators."
"""Where operators live that every worker has, whatever the file."""

DECORATORS: Mapping[str, str] = MappingProxyType(
    {
        "python": "piper.operators.python.PythonDecoratedOperator",
        "bash": "piper.operators.bash.BashDecoratedOperator",
        "branch": "piper.operators.python.BranchDecoratedOperator",
        "short_circuit": "piper.operators.python.ShortCircuitDecoratedOperator",
        "sensor": "piper.operators.sensors.python.sensor_task",
    }
)
"""What `@task.<name>` makes of a function: operators around functions, or decorators."""

ASSET_OPERATOR = "piper.operators.python.AssetOperator"
"""The task of an `@asset`."""

HOOKS: Mapping[str, str] = MappingProxyType({"fs": "piper.operators.hooks.filesystem.FSHook"})
"""Type of a connection → what `Connection.get_hook` makes."""

PLAY_DAG = "piper.testing.dag_test.play_dag"
"""What `DAG.test` calls."""
