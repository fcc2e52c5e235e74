"""What happens to every request before the application sees it, and to every reply after.

Pure ASGI, since streams pass through. A request from a page of another site is refused by its Origin, one
that reached us under a foreign name (DNS rebinding) by its Host. Bodies end at the limit whether or not
their length was announced.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from piper.model.errors import Invalid, Refused
from piper.settings import Web
from piper.telemetry import HTTP_REQUEST_SECONDS, HTTP_REQUESTS
from piper.web.problems import TooLarge, problem_response

log = logging.getLogger(__name__)

_CORRELATION_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}


class Guard:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, settings: Web) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        correlation_id = headers.get("x-request-id", "")
        if not _CORRELATION_ID.fullmatch(correlation_id):
            correlation_id = secrets.token_hex(8)
        scope.setdefault("state", {})["correlation_id"] = correlation_id
        began = time.perf_counter()
        status = 500

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                sent = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    sent.setdefault(name, value)
                sent["X-Request-ID"] = correlation_id
                if scope["path"].startswith("/api/"):
                    sent.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            try:
                self._check(scope, headers)
            except Exception as error:
                await problem_response(error, correlation_id)(scope, receive, send_guarded)
                return
            await self.app(scope, self._limited(receive), send_guarded)
        finally:
            _measure(scope, status, time.perf_counter() - began)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Refuse what must not reach the application."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            raise Refused(f"this server is not {host!r}: add that name to web.allowed_hosts if it is")
        origin = headers.get("origin")
        if origin is not None and origin not in self.settings.allowed_origins:
            scheme, _, rest = origin.partition("://")
            if rest != host or scheme not in ("http", "https"):
                raise Refused(f"pages of {origin!r} may not call this server: web.allowed_origins lists those that may")
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            raise Invalid("an address holds no NUL")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self.settings.body_limit:
            raise TooLarge(f"a body has at most {self.settings.body_limit} bytes, not {length}")

    def _is_ours(self, host: str) -> bool:
        """Whether we are called under a name of ours. Addresses are safe: a rebound name is never one."""
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if name.lower() == "localhost" or name in self.settings.allowed_hosts:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def _limited(self, receive: Receive) -> Receive:
        """`receive`, which refuses a body that turns out longer than allowed."""
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self.settings.body_limit:
                    raise HTTPException(413, f"a body has at most {self.settings.body_limit} bytes")
            return message

        return receive_limited


def _measure(scope: Scope, status: int, seconds: float) -> None:
    """Count the request under its route's template: an address or a method as sent would be a label without bounds."""
    found = scope.get("route")
    route = getattr(found, "path", "unknown")
    method = scope["method"] if scope["method"] in (getattr(found, "methods", None) or ()) else "any"
    HTTP_REQUESTS.labels(method, route, str(status)).inc()
    HTTP_REQUEST_SECONDS.labels(route).observe(seconds)
