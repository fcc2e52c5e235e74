"""Connections to other systems: who, where, and with which secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from piper.sdk.batteries import HOOKS
from piper.sdk.exceptions import AirflowException
from piper.sdk.importing import import_path
from piper.sdk.spelling import did_you_mean, only_known

_FIELDS = ("conn_type", "description", "host", "schema", "login", "password", "port", "extra")


class Connection:
    """A connection, made of its parts or of a URI.

    Arguments:
        conn_id: its id.
        uri: `type://login:password@host:port/schema?extra=…`; instead of the parts.
        parts: conn_type, description, host, schema, login, password, port, extra (JSON text).

    Raises:
        AirflowException: both a URI and parts are given, or the URI cannot be read.
        TypeError: a part is unknown.
    """

    EXTRA_KEY = "__extra__"

    conn_type: str | None = None
    description: str | None = None
    host: str | None = None
    schema: str | None = None
    login: str | None = None
    password: str | None = None
    port: int | None = None
    extra: str | None = None

    def __init__(self, *, conn_id: str, uri: str | None = None, **parts: Any) -> None:
        self.conn_id = conn_id
        parts = only_known(f"Connection({conn_id!r})", parts, _FIELDS)
        if uri is not None:
            if parts:
                raise AirflowException(f"connection {conn_id!r}: give its URI or its parts, not both")
            parts = _parts_of(uri)
        self.__dict__.update(parts)

    # --- looking up -----------------------------------------------------------------------------

    @classmethod
    def get(cls, conn_id: str) -> Connection:
        """The connection of that id.

        Raises:
            AirflowNotFoundException: there is none.
        """
        from piper.sdk.execution.lookups import get_connection_fields  # asked while a task runs
        from piper.sdk.execution.masking import mask_secret

        found = get_connection_fields(conn_id)
        connection = cls.from_text(found, conn_id) if isinstance(found, str) else cls.from_fields(found, conn_id)
        if connection.password:
            mask_secret(connection.password)
        if connection.extra:
            mask_secret(connection.extra_dejson)
        return connection

    @classmethod
    async def async_get(cls, conn_id: str) -> Connection:
        """`get`, in a coroutine."""
        import asyncio  # only coroutines call this

        return await asyncio.to_thread(cls.get, conn_id)

    # --- reading --------------------------------------------------------------------------------

    @classmethod
    def from_text(cls, text: str, conn_id: str) -> Connection:
        """A connection from an environment variable: a URI, or JSON."""
        return cls.from_json(text, conn_id) if text.lstrip().startswith("{") else cls(conn_id=conn_id, uri=text)

    @classmethod
    def from_uri(cls, uri: str, conn_id: str) -> Connection:
        """A connection from a URI."""
        return cls(conn_id=conn_id, uri=uri)

    @classmethod
    def from_json(cls, value: str, conn_id: str) -> Connection:
        """A connection from JSON.

        Raises:
            ValueError: it is not a JSON object, or its port is not a number.
        """
        fields = json.loads(value)
        if not isinstance(fields, dict):
            raise ValueError(f"connection {conn_id!r}: expected a JSON object")
        return cls.from_fields(fields, conn_id)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any], conn_id: str) -> Connection:
        """A connection from its parts as data, with `extra` as JSON text or as an object."""
        parts = {name: value for name, value in fields.items() if name != "conn_id" and value not in (None, "")}
        if isinstance(parts.get("extra"), Mapping):
            parts["extra"] = json.dumps(parts["extra"])
        if "conn_type" in parts:
            parts["conn_type"] = _normal_type(parts["conn_type"])
        if "port" in parts:
            try:
                parts["port"] = int(parts["port"])
            except ValueError:
                raise ValueError(f"Expected integer value for `port`, but got {parts['port']!r} instead.") from None
        return cls(conn_id=conn_id, **parts)

    # --- writing --------------------------------------------------------------------------------

    @property
    def extra_dejson(self) -> dict[str, Any]:
        """`extra` as an object; {} if it is not one."""
        try:
            value = json.loads(self.extra) if self.extra else {}
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def get_extra_dejson(self) -> dict[str, Any]:
        """`extra` as an object."""
        return self.extra_dejson

    def get_uri(self) -> str:
        """The connection as a URI, secrets included."""
        scheme = f"{self.conn_type.lower().replace('_', '-')}:" if self.conn_type else ""
        protocol, _, bare = self.host.rpartition("://") if self.host else ("", "", "")
        if protocol and protocol == self.conn_type:
            protocol, bare = "", self.host or ""
        user = quote(self.login, safe="") if self.login is not None else ""
        if self.password is not None:
            user += ":" + quote(self.password, safe="")
        place = f"{user}@" if user else ""
        place += quote(bare, safe="")
        if self.port:
            place += f":{self.port}" if place else f"@:{self.port}"
        if self.schema:
            place += f"/{quote(self.schema, safe='')}"
        return f"{scheme}//{f'{protocol}://' if protocol else ''}{place}{self._query()}"

    def _query(self) -> str:
        if not self.extra:
            return ""
        extra = self.extra_dejson
        flat = all(isinstance(value, str) for value in extra.values())
        query = urlencode(extra) if extra and flat else urlencode({self.EXTRA_KEY: self.extra})
        return f"{'?' if self.schema else '/?'}{query}"

    def to_dict(self, *, prune_empty: bool = False, validate: bool = True) -> dict[str, Any]:
        """Its parts as data, `extra` as an object.

        Arguments:
            prune_empty: leave out what it does not have.
            validate: accepted for Airflow's sake.
        """
        parts = {name: getattr(self, name) for name in _FIELDS if name != "extra"}
        whole = {"conn_id": self.conn_id, **parts, "extra": self.extra_dejson}
        return {name: value for name, value in whole.items() if value not in (None, {})} if prune_empty else whole

    def as_json(self) -> str:
        """Its parts as JSON, without the id."""
        parts = self.to_dict(prune_empty=True)
        del parts["conn_id"]
        return json.dumps(parts)

    def get_hook(self, *, hook_params: Mapping[str, Any] | None = None) -> Any:
        """The hook for this type of connection.

        Raises:
            AirflowException: no hook is known for the type.
        """
        hook = hook_class_for(self.conn_type)
        return hook(**{hook.conn_name_attr: self.conn_id}, **(hook_params or {}))

    def test_connection(self) -> tuple[bool, str]:
        """Whether its hook can connect, and what it says."""
        try:
            hook = self.get_hook()
            if not hasattr(hook, "test_connection"):
                return False, f"Hook {type(hook).__name__} doesn't implement or inherit test_connection method"
            answer: tuple[bool, str] = hook.test_connection()
        except Exception as error:
            return False, str(error)
        return answer

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Connection) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Connection({self.conn_id!r}, conn_type={self.conn_type!r}, host={self.host!r})"


def _normal_type(conn_type: str) -> str:
    return "postgres" if conn_type == "postgresql" else conn_type.replace("-", "_")


def _parts_of(uri: str) -> dict[str, Any]:
    """`type://[protocol://][login[:password]@]host[:port][/schema][?extra]` taken apart."""
    if uri.count("://") > 2:
        raise AirflowException("Invalid connection string: it has more than two '://'")
    conn_type, _, rest = uri.partition("://") if "://" in uri else uri.partition(":")
    protocol, separator, after = rest.partition("://")
    if not separator:
        protocol, after = "", rest
    elif "@" in protocol or ":" in protocol:
        raise AirflowException("Invalid connection string: '://' follows a login or a port")
    pieces = urlsplit(f"//{after.removeprefix('//')}")
    try:
        port = pieces.port
    except ValueError:
        raise AirflowException("Invalid connection string: its port is not a number") from None
    host = _host_in(pieces.netloc)
    parts = {
        "conn_type": _normal_type(conn_type),
        "host": f"{protocol}://{host}" if protocol and host else host,
        "schema": unquote(pieces.path[1:]),
        "login": unquote(pieces.username) if pieces.username else None,
        "password": unquote(pieces.password) if pieces.password else None,
        "port": port,
        "extra": _extra_in(pieces.query),
    }
    return {name: value for name, value in parts.items() if value not in (None, "")}


def _host_in(netloc: str) -> str:
    """The host as it is written (`urlsplit` would make it lower case), brackets of IPv6 taken off."""
    host = netloc.rpartition("@")[2]
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return unquote(host.partition(":")[0])


def _extra_in(query: str) -> str | None:
    if not query:
        return None
    values = dict(parse_qsl(query, keep_blank_values=True))
    return values.get(Connection.EXTRA_KEY) or json.dumps(values)


# --- hooks --------------------------------------------------------------------------------------

_hooks = dict(HOOKS)


def register_hook(conn_type: str, path: str) -> None:
    """Say which hook is for a type of connections.

    Arguments:
        conn_type: as in `Connection.conn_type`.
        path: dotted path of the hook's class.
    """
    _hooks[conn_type] = path


def hook_class_for(conn_type: str | None) -> type[Any]:
    """The hook for a type of connections.

    Raises:
        AirflowException: none is known.
    """
    path = _hooks.get(conn_type or "")
    if path is None:
        raise AirflowException(f"Unknown hook type {did_you_mean(str(conn_type), _hooks)}")
    found: type[Any] = import_path(path)
    return found
