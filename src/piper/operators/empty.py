"""A task that does nothing."""

from __future__ import annotations

from typing import Any, ClassVar

from piper.sdk.operator import BaseOperator


class EmptyOperator(BaseOperator):
    """Does nothing: a point that others wait for, or a placeholder.

    The scheduler passes it at once, without a worker, unless it has callbacks, inlets or outlets.
    """

    ui_color = "#e8f7e4"
    inert: ClassVar[bool] = True

    def execute(self, context: Any) -> None:
        """Nothing."""
