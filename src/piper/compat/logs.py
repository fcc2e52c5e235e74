"""`LoggingMixin`: a logger for a class."""

from __future__ import annotations

import logging


class LoggingMixin:
    """Gives a class the property `log`."""

    def __init__(self, context: object = None) -> None:
        super().__init__()

    @property
    def log(self) -> logging.Logger:
        """The logger named after the class."""
        kind = type(self)
        return logging.getLogger(f"{kind.__module__}.{kind.__qualname__}")

    @classmethod
    def logger(cls) -> logging.Logger:
        """The same, without an instance."""
        return logging.getLogger(f"{cls.__module__}.{cls.__qualname__}")
