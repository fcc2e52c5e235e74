"""Variables: texts by name that the installation keeps for its workflows."""

from __future__ import annotations

from typing import Any

from piper.sdk.placeholders import NOTSET


class Variable:
    """A variable: `Variable.get("bucket")`.

    Arguments:
        key: its name.
        value: its text.
        description: for people.
    """

    def __init__(self, key: str, value: str | None = None, description: str | None = None) -> None:
        self.key = key
        self.value = value
        self.description = description

    @classmethod
    def get(cls, key: str, default: Any = NOTSET, deserialize_json: bool = False) -> Any:
        """A variable's text, or the value of its JSON.

        Arguments:
            default: answer this if there is none.
            deserialize_json: the text is JSON.

        Raises:
            AirflowRuntimeError: there is none, and no default is given.
        """
        from piper.sdk.execution.lookups import VariableNotFound, get_variable  # few files ask

        try:
            return get_variable(key, deserialize_json=deserialize_json)
        except VariableNotFound:
            if default is NOTSET:
                raise
            return default

    @classmethod
    def set(cls, key: str, value: Any, description: str | None = None, serialize_json: bool = False) -> None:
        """Create or change a variable."""
        from piper.sdk.execution.lookups import set_variable

        set_variable(key, value, description, serialize_json=serialize_json)

    @classmethod
    def delete(cls, key: str) -> None:
        """Remove a variable."""
        from piper.sdk.execution.lookups import delete_variable

        delete_variable(key)

    def __repr__(self) -> str:
        return f"Variable({self.key!r})"
