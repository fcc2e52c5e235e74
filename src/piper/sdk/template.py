"""Values that templates leave alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from piper.sdk.placeholders import Reference, ResolveMixin


@dataclass(frozen=True)
class LiteralValue(ResolveMixin):
    """A value that is used as it is, however much it looks like a template."""

    value: Any

    def iter_references(self) -> Iterator[Reference]:
        """None."""
        return iter(())

    def resolve(self, context: Mapping[str, Any]) -> Any:
        """The value."""
        return self.value


def literal(value: Any) -> LiteralValue:
    """Use a value in a template field as it is: `bash_command=literal("echo {{ not a template }}")`."""
    return LiteralValue(value)
