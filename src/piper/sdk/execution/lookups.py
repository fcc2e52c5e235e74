"""Variables and connections: where they are looked up.

The environment comes first (`AIRFLOW_VAR_<KEY>`, `AIRFLOW_CONN_<ID>`, or the same with `PIPER_`), then the Task
API, or who answers in its place while a file is loaded: they say only what the workflow's team may read. Whatever is
secret in an answer is masked from then on.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import msgspec

from piper.model import wire
from piper.model.errors import NotFound
from piper.model.spec import Json
from piper.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError, ErrorType
from piper.sdk.execution.channel import ask
from piper.sdk.execution.current import current_channel
from piper.sdk.execution.masking import mask_secret

PREFIXES = ("PIPER", "AIRFLOW")
"""Of names in the environment, the first that is set counts."""


@dataclass(frozen=True)
class NotAnswered:
    """What `AirflowRuntimeError` carries: why there is no answer."""

    error: ErrorType
    detail: dict[str, Json] = field(default_factory=dict)


class VariableNotFound(AirflowRuntimeError, KeyError):
    """There is no variable of that name. A KeyError too, as it was in Airflow 2."""

    def __init__(self, key: str) -> None:
        message = (
            f"Variable {key} not found: create it with `piper variables set {key}`, put it into Piper's environment "
            f"as AIRFLOW_VAR_{key.upper()}, or give a default"
        )
        super().__init__(NotAnswered(ErrorType.VARIABLE_NOT_FOUND, {"message": message}))
        self.key = key

    def __str__(self) -> str:
        return str(self.error.detail["message"])


# --- variables ----------------------------------------------------------------------------------


def get_variable(key: str, *, deserialize_json: bool = False) -> Any:
    """A variable's text, or the value of its JSON.

    Raises:
        VariableNotFound: there is none, or the team may not read it.
        ValueError: it is not JSON and `deserialize_json` is set.
    """
    text = _from_environment("VAR", key)
    if text is None:
        try:
            text = ask(current_channel(), wire.GetVariable(key), str)
        except NotFound:
            raise VariableNotFound(key) from None
    mask_secret(text, key)
    if not deserialize_json:
        return text
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(f"variable {key!r} is not JSON: {error}") from None
    # The parts of a secret are secrets; of another variable only what its own keys say.
    mask_secret(value, None if isinstance(value, dict) else key)
    return value


def set_variable(key: str, value: Any, description: str | None = None, *, serialize_json: bool = False) -> None:
    """Create or change a variable.

    Raises:
        TypeError: `serialize_json` is set and the value has no JSON form.
        Refused: the task's team may not change it.
    """
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode() if serialize_json else str(value)
    current_channel().ask(wire.SetVariable(key, text, description))


def delete_variable(key: str) -> None:
    """Remove a variable. Does nothing if there is none."""
    try:
        current_channel().ask(wire.DeleteVariable(key))
    except NotFound:
        return


# --- connections --------------------------------------------------------------------------------


def get_connection_fields(conn_id: str) -> dict[str, Json] | str:
    """A connection's fields, or the URI or JSON text that the environment gives for it.

    Raises:
        AirflowNotFoundException: there is none, or the team may not use it.
    """
    text = _from_environment("CONN", conn_id)
    if text is not None:
        return text
    try:
        return ask(current_channel(), wire.GetConnection(conn_id), dict)
    except NotFound:
        raise AirflowNotFoundException(
            f"The conn_id `{conn_id}` isn't defined: create it with `piper connections set {conn_id} --type TYPE`, "
            f"or put it into the environment as AIRFLOW_CONN_{conn_id.upper()}"
        ) from None


def _from_environment(kind: str, name: str) -> str | None:
    for prefix in PREFIXES:
        value = os.environ.get(f"{prefix}_{kind}_{name.upper()}")
        if value is not None:
            return value
    return None
