"""Calls to a running instance: pages, retries, streams, and errors as they are shown."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

import click
import httpx
import msgspec

from piper import __version__
from piper.cli.failures import Code, Failure, suggestion
from piper.settings import home_of

PREFIX = "/api/v1"
_PAGE = 200
_RETRIES = (0.2, 0.5, 1.0)
"""Seconds before a call is repeated that got no reply, or 503."""

_CODES = {
    401: Code.REFUSED,
    403: Code.REFUSED,
    404: Code.NOT_FOUND,
    409: Code.CONFLICT,
    413: Code.USAGE,
    415: Code.USAGE,
    422: Code.USAGE,
    503: Code.UNREACHABLE,
}


@dataclass(frozen=True, slots=True)
class Listing:
    """The beginning of a list, and whether there is more of it."""

    rows: list[dict[str, Any]]
    more: bool = False


class Client:
    """One instance, called with a token.

    Arguments:
        patience: seconds to wait for a reply.
    """

    def __init__(self, address: str, token: str, patience: float = 30.0) -> None:
        self.address = address
        self._http = httpx.Client(
            base_url=address,
            headers={"Authorization": f"Bearer {token}", "User-Agent": f"piper/{__version__}"},
            timeout=httpx.Timeout(patience, connect=min(patience, 5.0)),
            trust_env=False,  # a proxy of the environment has no business between us and an instance
        )

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """The JSON at an address below /api/v1."""
        return _json(self._send("GET", path, params=_query(query)))

    def get_object(self, path: str, **query: Any) -> dict[str, Any]:
        """The object at an address below /api/v1."""
        found: dict[str, Any] = self.get(path, **query)
        return found

    def get_text(self, path: str, **query: Any) -> str:
        """The text at an address below /api/v1."""
        return self._send("GET", path, params=_query(query)).text

    def items(self, path: str, limit: int | None, **query: Any) -> Listing:
        """The first `limit` items of a list, or all of them."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            size = _PAGE if limit is None else min(_PAGE, limit - len(found))
            page = self.get(path, limit=size, cursor=cursor, **query)
            found.extend(page["items"])
            cursor = page["next_cursor"]
            if cursor is None or len(found) == limit:
                return Listing(found, more=cursor is not None)

    def post(self, path: str, body: Any = None, **query: Any) -> Any:
        """Do something; the JSON that is answered."""
        return self._write("POST", path, body, query)

    def put(self, path: str, body: Any, **query: Any) -> Any:
        """Make something as `body` says; the JSON that is answered."""
        return self._write("PUT", path, body, query)

    def patch(self, path: str, body: Any) -> Any:
        """Change something; the JSON that is answered."""
        return self._write("PATCH", path, body, {})

    def delete(self, path: str, **query: Any) -> None:
        """Remove something."""
        self._write("DELETE", path, None, query)

    def events(self, path: str, **query: Any) -> Iterator[tuple[str, Any]]:
        """The events of a stream, (name, data), until the server ends it; `alive` when there is nothing to tell.

        Raises:
            Failure: the stream broke.
        """
        headers = {"Accept": "text/event-stream"}
        timeout = httpx.Timeout(60.0, connect=5.0)  # the server gives a sign of life every 15 s
        try:
            with self._http.stream(
                "GET", PREFIX + path, params=_query(query), headers=headers, timeout=timeout
            ) as reply:
                if reply.status_code != 200:
                    reply.read()
                    _raise(reply)
                yield from _events(reply.iter_lines())
        except httpx.HTTPError as error:
            raise _unreachable(self.address, error) from error

    def _write(self, method: str, path: str, body: Any, query: Mapping[str, Any]) -> Any:
        content = None if body is None else msgspec.json.encode(body)
        headers = {"Idempotency-Key": uuid.uuid4().hex}  # so that the repetitions below have one effect
        if content is not None:
            headers["Content-Type"] = "application/json"
        reply = self._send(method, path, params=_query(query), content=content, headers=headers)
        return _json(reply) if reply.content else None

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        for pause in (*_RETRIES, None):
            try:
                reply = self._http.request(method, PREFIX + path, **options)
            except httpx.HTTPError as error:
                if pause is None or isinstance(error, httpx.ConnectError):
                    raise _unreachable(self.address, error) from error
            else:
                if reply.status_code != 503 or pause is None:
                    break
            time.sleep(pause)
        if reply.is_error:
            _raise(reply)
        return reply


def connect(server: str | None = None, patience: float = 30.0) -> Client:
    """The instance that this command shall call.

    The token is PIPER_TOKEN, else that of PIPER_HOME, which goes to the address that this PIPER_HOME's own instance has
    written there and to no other: whoever listens there could do with it what its owner can.

    Arguments:
        server: its address, if it is not the one of PIPER_HOME.
        patience: seconds to wait for a reply.

    Raises:
        Failure: there is no running instance, or no token for it.
    """
    home = home_of(os.environ)
    own = _own_address(home)
    if server is None and own is None:
        raise Failure(
            f"no instance of Piper runs in {home}",
            Code.UNREACHABLE,
            ["start one with `piper standalone`, or say where one is with --server URL"],
        )
    address = _checked_address(server or own or "")
    given = os.environ.get("PIPER_TOKEN")
    if given:
        return Client(address, _sendable(given.strip(), "PIPER_TOKEN"), patience)
    if own is None or _place(address) != _place(own):
        instance = "of which none runs" if own is None else f"which is at {own}"
        raise Failure(
            f"no token for {address}: the one in {home} is sent to the instance of that folder only, {instance}",
            Code.REFUSED,
            ["set PIPER_TOKEN to the token of that instance: the content of its PIPER_HOME/token"],
        )
    return Client(address, _token(home), patience)


def _own_address(home: Path) -> str | None:
    """Where the instance of PIPER_HOME says that it is; None while there is none."""
    try:
        return (home / "address").read_text().strip() or None
    except FileNotFoundError:
        return None


def _place(address: str) -> tuple[str, str | None, int | None]:
    """What two addresses of one server have in common. A name and a number of one host are two: a name may be moved."""
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _checked_address(server: str) -> str:
    """The address of an instance. Raises UsageError when it is none."""
    try:
        parts = urlsplit(server)
        if parts.scheme in ("http", "https") and parts.hostname and parts.username is None and parts.port != 0:
            return server
    except ValueError:
        pass
    raise click.UsageError(f"--server {server!r} is no address of an instance: write http://HOST:PORT or https://HOST")


def called(context: click.Context) -> Client:
    """The instance that the command of this context calls; closed when the command ends."""
    client = connect(context.find_root().obj)
    context.call_on_close(client.close)
    return client


@contextmanager
def quietly(context: click.Context) -> Iterator[Client | None]:
    """The instance for what is nice to have, as completion: None, and no error, where there is none."""
    try:
        client = connect(context.find_root().params.get("server"), patience=0.5)
    except Failure:
        yield None
        return
    with suppress(Failure), closing(client):
        yield client


def address_of(*parts: str | int) -> str:
    """An address below /api/v1 from its parts, each quoted: ids may hold any character."""
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)


def _token(home: Path) -> str:
    try:
        return _sendable((home / "token").read_text().strip(), str(home / "token"))
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(
            f"no token: {home / 'token'} cannot be read ({getattr(error, 'strerror', 'it is no text')})",
            Code.REFUSED,
            ["run as the user who started the instance, or set PIPER_TOKEN"],
        ) from error


def _sendable(token: str, origin: str) -> str:
    """The token, if a header can carry it. What it is, is not said."""
    if not token.isascii() or not token.isprintable():
        raise Failure(f"{origin} holds no token: one has printable ASCII characters only", Code.REFUSED)
    return token


def _json(reply: httpx.Response) -> Any:
    try:
        return msgspec.json.decode(reply.content)
    except msgspec.DecodeError as error:
        raise Failure(f"{reply.url} does not answer as Piper does: is --server right?", Code.UNREACHABLE) from error


def _raise(reply: httpx.Response) -> NoReturn:
    code = _CODES.get(reply.status_code, Code.FAILED)
    try:
        problem = msgspec.json.decode(reply.content)
        detail, suggestions = problem["detail"], problem.get("suggestions", [])
    except (msgspec.DecodeError, KeyError, TypeError):
        raise Failure(f"the server answered {reply.status_code}, and not as Piper does", code) from None
    hints = suggestion(suggestions)
    if code is Code.REFUSED and reply.status_code == 401:
        hints.append("the token is the content of PIPER_HOME/token of the instance, or PIPER_TOKEN")
    raise Failure(detail, code, hints)


def _unreachable(address: str, error: httpx.HTTPError) -> Failure:
    return Failure(
        f"no answer from {address}: {error or type(error).__name__}",
        Code.UNREACHABLE,
        ["is the instance running? `piper standalone` starts one"],
    )


def _query(values: Mapping[str, Any]) -> dict[str, Any]:
    shown = {True: "true", False: "false"}
    return {
        name: shown[value] if isinstance(value, bool) else value
        for name, value in values.items()
        if value is not None and value != ()
    }


def _events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    name = data = ""
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            data = value
        elif line.startswith(":"):
            yield "alive", None
        elif line == "" and name:
            yield name, msgspec.json.decode(data)
            name = data = ""
