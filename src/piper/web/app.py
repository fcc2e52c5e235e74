"""The application: every endpoint, behind the guard."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import Response

from piper import __version__
from piper.web.guard import Guard
from piper.web.pages import pages
from piper.web.parts import WebParts
from piper.web.problems import problem_response
from piper.web.resources import PROBES, RESOURCES
from piper.web.routing import AuthorisedRoute, Public, add_resource, check_routes
from piper.web.streams import Streams

_DESCRIPTION = """\
Workflows, runs and tasks of a Piper installation, for programs.

* **Tokens.** Send `Authorization: Bearer TOKEN`. That of your own machine lies in `PIPER_HOME/token`.
* **Lists** come in pages: give `next_cursor` as `cursor` until it is null.
* **Writes** take an `Idempotency-Key`: repeated with the same key they have one effect and one reply.
* **Commands** (clear, mark, cancel, pause) answer 200 when they have been applied, and 202 when they are on their way.
* **Errors** are problem details (RFC 9457).
* **Logs** and the events of a run are followed with `Accept: text/event-stream`.
"""


def create_app(parts: WebParts) -> FastAPI:
    """The web application over these parts.

    Raises:
        AssertionError: a route has no permission.
    """
    app = FastAPI(
        title="Piper",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    app.state.parts = parts
    app.state.streams = Streams(parts.settings.web.stream_limit)
    app.add_middleware(Guard, settings=parts.settings.web)
    app.add_exception_handler(HTTPException, _unrouted)
    for resource in RESOURCES:
        add_resource(app, resource)
    add_resource(app, PROBES, prefix="")
    add_resource(app, pages, prefix="")
    check_routes(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


async def _unrouted(request: Request, error: Exception) -> Response:
    """An address or a method that no endpoint has."""
    assert isinstance(error, HTTPException)
    details = {
        404: f"there is nothing at {request.url.path!r}: /api/v1/openapi.json tells what there is",
        405: f"{request.method} is not possible at {request.url.path!r}",
    }
    explained = HTTPException(error.status_code, details.get(error.status_code, error.detail), error.headers)
    return problem_response(explained, request.state.correlation_id)


def _openapi(app: FastAPI) -> dict[str, object]:
    """The OpenAPI document, with the way to authenticate on every operation that needs it."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            openapi_version="3.1.0",
        )
        schemes = {"token": {"type": "http", "scheme": "bearer", "description": "The token of PIPER_HOME/token."}}
        document.setdefault("components", {})["securitySchemes"] = schemes
        for route in app.routes:
            if isinstance(route, AuthorisedRoute) and route.include_in_schema:
                for method in route.methods or ():
                    operation = document["paths"][route.path_format][method.lower()]
                    operation["security"] = [] if isinstance(route.permission, Public) else [{"token": []}]
                    if method != "GET":
                        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
        app.openapi_schema = document
    return app.openapi_schema


_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 255},
    "description": "Makes a repetition of this call harmless: one effect, one reply.",
}
