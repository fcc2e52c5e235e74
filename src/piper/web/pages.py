"""The documentation of the API, made from the OpenAPI document in the browser: at `/docs`, and at `/` until a UI comes.

Its files are a part of Piper, so that it works without a network. It is public, as is the document, which
says nothing of this installation; whatever the page then fetches needs a token.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import Literal

import msgspec
from fastapi import Request
from starlette.responses import Response

from piper.web.routing import PREFIX, PUBLIC, CurrentCall, Resource

pages = Resource("pages")

_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}


@pages.get("/", PUBLIC, include_in_schema=False)
@pages.get("/docs", PUBLIC, include_in_schema=False)
async def show_page(call: CurrentCall, request: Request) -> Response:
    """The documentation."""
    return _served(request, "docs.html")


@pages.get("/assets/{name}", PUBLIC, include_in_schema=False)
async def show_asset(
    call: CurrentCall, request: Request, name: Literal["docs.js", "docs.css", "piper.svg"]
) -> Response:
    """What the documentation's page is made of."""
    return _served(request, name)


@pages.get(f"{PREFIX}/openapi.json", PUBLIC, include_in_schema=False)
async def show_openapi(call: CurrentCall, request: Request) -> Response:
    """The OpenAPI document."""
    state = request.app.state
    if not hasattr(state, "openapi_json"):
        state.openapi_json = msgspec.json.encode(request.app.openapi())
    return _tagged(request, state.openapi_json, "application/json")


def _served(request: Request, name: str) -> Response:
    return _tagged(request, _file(name), _TYPES[name.rpartition(".")[2]])


@cache
def _file(name: str) -> bytes:
    return (resources.files("piper.web") / "static" / name).read_bytes()


def _tagged(request: Request, body: bytes, media_type: str) -> Response:
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media_type)
