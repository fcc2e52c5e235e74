"""A task for good spirits."""

from __future__ import annotations

from typing import Any

from piper.sdk.operator import BaseOperator


class SmoothOperator(BaseOperator):
    """Logs where to listen to Sade's "Smooth Operator"."""

    ui_color = "#e8f7e4"
    yt_link: str = "https://www.youtube.com/watch?v=4TYv2PhG89A"

    def execute(self, context: Any) -> None:
        """Log the address."""
        self.log.info("Enjoy Sade - Smooth Operator: %s", self.yt_link)
