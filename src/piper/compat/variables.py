"""`airflow.models.Variable`: that of the language, with the spelling of defaults that Airflow 3 has kept there."""

from __future__ import annotations

from typing import Any

from piper import sdk
from piper.sdk.placeholders import NOTSET


class Variable(sdk.Variable):
    """A variable."""

    @classmethod
    def get(
        cls, key: str, default_var: Any = NOTSET, deserialize_json: bool = False, team_name: str | None = None
    ) -> Any:
        """A variable's text, or the value of its JSON; `default_var` if there is none.

        Arguments:
            team_name: has no effect: a task sees the variables of its team.

        Raises:
            AirflowRuntimeError: there is none, and no default is given.
        """
        return super().get(key, default_var, deserialize_json)

    @classmethod
    def setdefault(cls, key: str, default: Any, description: str | None = None, deserialize_json: bool = False) -> Any:
        """The variable; if there is none, it is created with this value.

        Raises:
            ValueError: there is none, and the default is None.
        """
        found = cls.get(key, None, deserialize_json)
        if found is not None:
            return found
        if default is None:
            raise ValueError(f"Variable {key} does not exist, and its default is None")
        cls.set(key, default, description, serialize_json=deserialize_json)
        return default

    @classmethod
    def update(cls, key: str, value: Any, serialize_json: bool = False) -> None:
        """Change a variable.

        Raises:
            AirflowRuntimeError: there is none.
        """
        cls.get(key)
        cls.set(key, value, serialize_json=serialize_json)
