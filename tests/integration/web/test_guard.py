"""What is refused before it reaches a handler, and what every reply says and does not say."""

from __future__ import annotations

import http.client
import json
import socket
from urllib.parse import quote, urlsplit

import httpx
import pytest

from piper.model.errors import AmbiguousCommit, StoreUnavailable
from piper.store.database import Database
from piper.web.paging import _paging as paging
from piper.web.parts import WebParts
from piper.web.routing import AuthorisedRoute
from piper.web.server import WebServer

POOL = "/api/v1/pools/p"
NASTY = [
    *("'", '"; --', "%", "\\", "${7*7}{{7*7}}", "../../etc/passwd", "%2e%2e%2f", "é" * 100, "\u202e\ufeff", "\x1b[31m"),
    *("9" * 40, "-1", "1e400", "[]", "2026-13-99", " "),
]
NASTY_FOR_NUMBERS = ("9" * 40, "-1", "1e400", "x")


def test_a_parameter_that_an_endpoint_does_not_have_is_refused_with_the_nearest(root: httpx.Client) -> None:
    reply = root.get("/api/v1/runs", params={"stat": "failed"})
    assert (reply.status_code, reply.json()["detail"]) == (
        422,
        "GET /api/v1/runs has no parameter 'stat': did you mean 'state'?",
    )
    assert root.get("/api/v1/health", params={"x": "1"}).json()["detail"].endswith("no parameter 'x': there are none")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example", "file://"])
def test_a_page_of_another_site_is_refused(root: httpx.Client, method: str, origin: str) -> None:
    reply = root.request(method, POOL, headers={"Origin": origin})
    assert reply.status_code == 403
    assert "access-control-allow-origin" not in reply.headers


def test_a_page_of_our_own_is_let_in(root: httpx.Client, server: WebServer) -> None:
    own = f"http://{urlsplit(server.address).netloc}"
    assert root.put(POOL, json={"slots": 1}, headers={"Origin": own}).status_code == 201


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", ""])
def test_a_foreign_name_is_not_ours(root: httpx.Client, host: str) -> None:
    assert root.get("/api/v1/workflows", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080", "[::1]", "10.0.0.1"])
def test_localhost_and_addresses_are_ours(root: httpx.Client, host: str) -> None:
    assert root.get("/api/v1/workflows", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_a_body_that_a_form_could_send_is_refused(root: httpx.Client, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    reply = root.put(POOL, content=b'{"slots": 1}', headers=headers)
    assert reply.status_code == 415


def test_a_body_longer_than_allowed_is_refused_whether_or_not_it_says_so(root: httpx.Client, parts: WebParts) -> None:
    limit = parts.settings.web.body_limit
    long = json.dumps({"slots": 1, "description": "x" * limit}).encode()
    headers = {"Content-Type": "application/json"}
    assert root.put(POOL, content=long, headers=headers).status_code == 413

    def chunks() -> object:
        for start in range(0, len(long), 65536):
            yield long[start : start + 65536]

    assert root.put(POOL, content=chunks(), headers=headers).status_code == 413  # type: ignore[arg-type]


def test_the_body_of_a_caller_without_a_token_is_not_even_read(server: WebServer, parts: WebParts) -> None:
    address = urlsplit(server.address)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
    connection.putrequest("PUT", POOL)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", "1000")
    connection.endheaders()  # and no body
    assert connection.getresponse().status == 401
    connection.close()


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"[1]",
        b'"x"',
        b"null",
        b'{"slots": 1} trailing',
        b"\xff\xfe",
        b'{"slots": 1, "description": "\\u0000"}',
        b'{"slots": 1, "description": "\\ud800"}',
        b"[" * 100_000,
        b'{"slots": 1, "description": ' + b"[" * 65 + b"]" * 65 + b"}",
        b'{"slots": 1, "slots": {}}',
        b'{"slots": NaN}',
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_body_that_is_no_good_json_is_refused(root: httpx.Client, body: bytes) -> None:
    reply = root.put(POOL, content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"


def test_every_reply_has_the_headers_that_keep_a_browser_safe(root: httpx.Client) -> None:
    for path in ("/", "/api/v1/workflows", "/api/v1/nothing", "/health/live", "/metrics"):
        headers = root.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "server" not in headers
    assert root.get("/api/v1/workflows").headers["cache-control"] == "no-store"


def test_a_correlation_id_is_taken_over_if_it_is_one(root: httpx.Client) -> None:
    assert root.get("/health/live", headers={"X-Request-ID": "abc-12345678"}).headers["x-request-id"] == "abc-12345678"
    for wrong in ("x", "a b c d e f g", "x" * 100, "<script>alert"):
        made = root.get("/health/live", headers={"X-Request-ID": wrong}).headers["x-request-id"]
        assert made != wrong
        assert len(made) == 16


def test_problems_are_problem_details(root: httpx.Client) -> None:
    reply = root.get("/api/v1/workflows/none")
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert problem["type"] == "urn:piper:problem:not-found"
    assert (problem["title"], problem["status"]) == ("Not Found", 404)
    assert problem["correlation_id"] == reply.headers["x-request-id"]
    unknown = root.get("/api/v1/nothing/here").json()
    assert "/api/v1/nothing/here" in unknown["detail"]
    wrong = root.request("PATCH", "/api/v1/workflows")
    assert (wrong.status_code, wrong.json()["title"]) == (405, "Method Not Allowed")
    assert wrong.headers["allow"] == "GET"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (StoreUnavailable("disk full at /var/lib/piper.db: INSERT INTO pool"), 503, "nothing was written"),
        (AmbiguousCommit("lost /var/run/x"), 503, "same Idempotency-Key"),
        (ZeroDivisionError("in /usr/lib/python3/x.py: SELECT 1"), 500, "its operator finds more in the log"),
    ],
)
def test_what_is_our_fault_is_said_without_a_stack_sql_or_paths(
    root: httpx.Client,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    status: int,
    said: str,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(database, "write", fail)
    reply = root.put(POOL, json={"slots": 1})
    assert reply.status_code == status
    assert said in reply.json()["detail"]
    for private in ("/var", "/usr", "INSERT", "SELECT", "Traceback", "ZeroDivision"):
        assert private not in reply.text
    assert reply.json()["correlation_id"] in caplog.text


def test_no_parameter_of_any_read_can_make_it_fail(root: httpx.Client, server: WebServer) -> None:
    for route in server.app.router.routes:
        assert isinstance(route, AuthorisedRoute)
        if route.methods != {"GET"} or route.path.endswith("/wait"):
            continue
        path = route.path.replace(":path}", "}")
        in_path = [parameter.name for parameter in route.dependant.path_params]
        attempts = [root.get(path.format(**dict.fromkeys(in_path, quote(value, safe="")))) for value in NASTY]
        ordinary = path.format(**dict.fromkeys(in_path, "1"))
        fields = {field.name: str(field.field_info.annotation) for field in route.dependant.query_params}
        if any(dependency.call is paging for dependency in route.dependant.dependencies):
            fields |= {"limit": "int", "cursor": "str"}
        for name, kind in fields.items():
            values = NASTY if "str" in kind else NASTY_FOR_NUMBERS
            attempts += [root.get(ordinary, params={name: value}) for value in values]
        for reply in attempts:
            assert reply.status_code < 500, (reply.request.url, reply.text)
            assert "Traceback" not in reply.text


def test_a_request_that_is_no_http_leaves_the_server_standing(root: httpx.Client, server: WebServer) -> None:
    address = urlsplit(server.address)
    for garbage in (b"\x16\x03\x01\x00\xa5", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nHost: " + b"x" * 100_000):
        with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
            connection.sendall(garbage)
    assert root.get("/health/live").status_code == 200


def test_a_header_cannot_carry_a_line_break_into_the_reply(root: httpx.Client, server: WebServer) -> None:
    reply = root.get("/api/v1/workflows/x%0d%0aX-Evil:%201")
    assert "x-evil" not in reply.headers
