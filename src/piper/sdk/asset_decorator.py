"""`@asset`: functions that make assets, each with a DAG of one task that calls the function."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

from piper.sdk.assets import Asset, AssetAccessControl, AssetAll, BaseAsset
from piper.sdk.batteries import ASSET_OPERATOR
from piper.sdk.dags import DAG
from piper.sdk.decorators import is_decorated_task
from piper.sdk.importing import import_path

_NOT_INLETS = ("self", "context", "outlet_events")


class AssetDefinition(Asset):
    """What `@asset` makes of a function: the asset, with a DAG of one task that makes it."""

    def __init__(self, function: Callable[..., Any], dag: DAG, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.function = function
        self.dag = dag
        _add_main_task(function, dag, self.name, [self])


class MultiAssetDefinition(AssetAll):
    """What `@asset.multi` makes of a function: its assets, with a DAG of one task that makes them."""

    def __init__(self, function: Callable[..., Any], dag: DAG, outlets: Collection[BaseAsset]) -> None:
        super().__init__(*outlets)
        self.name = function.__name__
        self.function = function
        self.dag = dag
        _add_main_task(function, dag, self.name, outlets)


def _add_main_task(function: Any, dag: DAG, name: str, outlets: Collection[BaseAsset]) -> None:
    with dag:
        if is_decorated_task(function):
            if "outlets" in function.kwargs:
                raise TypeError("@task decorator with 'outlets' argument is not supported in @asset")
            function.override(outlets=list(outlets))()
            return
        import_path(ASSET_OPERATOR)(
            task_id=function.__name__,
            python_callable=function,
            definition_name=name,
            inlets=[Asset.ref(name=inlet) for inlet in _inlet_names(function)],
            outlets=list(outlets),
        )


def _inlet_names(function: Callable[..., Any]) -> list[str]:
    """The parameters of an `@asset` function that stand for other assets."""
    names = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise TypeError(f"wildcard '{stars}{name}' is not supported in @asset")
        if parameter.kind is parameter.POSITIONAL_ONLY and parameter.default is parameter.empty:
            raise TypeError(f"positional-only argument '{name}' without a default is not supported in @asset")
        if name not in _NOT_INLETS and parameter.default is parameter.empty:
            names.append(name)
    return names


def _refuse_nested(function: Any) -> None:
    if function.__name__ != function.__qualname__:
        raise ValueError(f"{function.__qualname__}: @asset does not support nested functions")


class asset:  # noqa: N801 - a decorator
    """Make an asset of the function that makes it, with a DAG of one task.

    Example::

        @asset(schedule="@daily")
        def orders(): …

        @asset(schedule=orders)
        def report(orders): …     # parameters named like assets become inlets

    Arguments:
        schedule: when it is made.
        name: of the asset; by default the function's.
        uri, group, extra, access_control: see `Asset`.
        dag_id: of the DAG; by default the asset's name.
        dag_arguments: see `DagArguments`.
    """

    def __init__(
        self,
        *,
        schedule: Any,
        name: str | None = None,
        uri: str | os.PathLike[str] | None = None,
        group: str = "asset",
        extra: Mapping[str, Any] | None = None,
        watchers: Collection[Any] | None = None,
        access_control: Any = None,
        dag_id: str | None = None,
        **dag_arguments: Any,
    ) -> None:
        self._name, self._uri, self._group, self._extra = name, uri, group, extra
        self._watchers, self._access_control = watchers, access_control
        self._dag_id = dag_id
        self._dag_arguments = {"schedule": schedule, **dag_arguments}

    def __call__(self, function: Callable[..., Any]) -> AssetDefinition:
        _refuse_nested(function)
        name = self._name or function.__name__
        access = self._access_control
        dag_access = access if not isinstance(access, AssetAccessControl) else None
        return AssetDefinition(
            function,
            DAG(self._dag_id or name, access_control=dag_access, **self._dag_arguments),
            name=name,
            uri=self._uri if self._uri is not None else name,
            group=self._group,
            extra=self._extra,
            watchers=self._watchers,
            access_control=access if isinstance(access, AssetAccessControl) else None,
        )

    class multi:  # noqa: N801 - a decorator
        """The same for a function that makes several assets.

        Arguments:
            schedule: when they are made.
            outlets: the assets.
            dag_id: of the DAG; by default the function's name.
            dag_arguments: see `DagArguments`.
        """

        def __init__(
            self,
            *,
            schedule: Any,
            outlets: Collection[BaseAsset],
            dag_id: str | None = None,
            **dag_arguments: Any,
        ) -> None:
            if not outlets:
                raise ValueError("no outlets provided")
            self._outlets = outlets
            self._dag_id = dag_id
            self._dag_arguments = {"schedule": schedule, **dag_arguments}

        def __call__(self, function: Callable[..., Any]) -> MultiAssetDefinition:
            _refuse_nested(function)
            dag = DAG(self._dag_id or function.__name__, **self._dag_arguments)
            return MultiAssetDefinition(function, dag, self._outlets)
