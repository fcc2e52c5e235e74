"""Variables as `airflow.models` has them: what `airflow.sdk` calls `default` is `default_var` there."""

from __future__ import annotations

from typing import Any

from piper.sdk import variable
from piper.sdk.placeholders import NOTSET


class Variable(variable.Variable):
    """A variable: `Variable.get("bucket", default_var="raw")`."""

    @classmethod
    def get(
        cls, key: str, default_var: Any = NOTSET, deserialize_json: bool = False, team_name: str | None = None
    ) -> Any:
        """A variable's text, or the value of its JSON.

        Arguments:
            default_var: answer this if there is none.
            deserialize_json: the text is JSON.
            team_name: has no effect: a task sees the variables of its team.

        Raises:
            KeyError: there is none, and no default is given.
        """
        return super().get(key, default_var, deserialize_json)

    @classmethod
    def setdefault(cls, key: str, default: Any, description: str | None = None, deserialize_json: bool = False) -> Any:
        """What the variable is, after setting it to a default if there is none."""
        found = cls.get(key, None, deserialize_json)
        if found is not None:
            return found
        cls.set(key, default, description, serialize_json=deserialize_json)
        return default

    @classmethod
    def update(cls, key: str, value: Any, serialize_json: bool = False) -> None:
        """Change a variable.

        Raises:
            KeyError: there is none.
        """
        cls.get(key)
        cls.set(key, value, serialize_json=serialize_json)
