"""How commands that serve begin: settings, then logging."""

from __future__ import annotations

import os
from collections.abc import Mapping

from piper.settings import Settings, load_settings


def started_settings(
    options: Mapping[str, str | int | None] | None = None, environment: Mapping[str, str] = os.environ
) -> Settings:
    """The settings of this process, with logging to standard error as they say. Raises InvalidSetting."""
    settings = load_settings(environment, options).settings
    os.umask(0o077)  # what a service writes is for its user alone, whoever started it
    from piper.telemetry import configure_logging  # lazy: it loads the metrics

    configure_logging(settings.core.log_level)
    return settings
