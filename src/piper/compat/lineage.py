"""Lineage that hooks collect in Airflow. Here nobody listens: what is collected is dropped."""

from __future__ import annotations

from typing import Any, NamedTuple


class HookLineage(NamedTuple):
    """What hooks have read and written."""

    inputs: tuple[Any, ...] = ()
    outputs: tuple[Any, ...] = ()
    extra: tuple[Any, ...] = ()


class HookLineageCollector:
    """Takes what hooks say, and keeps none of it."""

    @property
    def has_collected(self) -> bool:
        """Never."""
        return False

    @property
    def collected_assets(self) -> HookLineage:
        """Nothing."""
        return HookLineage()

    def add_input_asset(self, *arguments: Any, **named: Any) -> None:
        """Something was read."""

    def add_output_asset(self, *arguments: Any, **named: Any) -> None:
        """Something was written."""

    def add_extra(self, *arguments: Any, **named: Any) -> None:
        """Something else is to be known."""

    def create_asset(self, **named: Any) -> None:
        """No asset."""


NoOpCollector = HookLineageCollector


class HookLineageReader:
    """Reads what was collected."""

    def __init__(self, **named: Any) -> None:
        self.lineage_collector = get_hook_lineage_collector()

    def retrieve_hook_lineage(self) -> HookLineage:
        """Nothing."""
        return HookLineage()


_collector = HookLineageCollector()


def get_hook_lineage_collector() -> HookLineageCollector:
    """Who collects."""
    return _collector
