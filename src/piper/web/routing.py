"""Endpoints: what a resource file declares, and what happens around each handler.

Deny by default, three times. An endpoint cannot be declared without a permission. A route that is no
endpoint of ours is refused when the application is made. And a handler must have asked the policy about
what it loaded: a reply that was made without a decision is not sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.responses import Response

from piper.model.errors import Invalid, NotFound, Refused
from piper.model.nearest import nearest
from piper.store.listings import Teams
from piper.web import policy
from piper.web.bodies import RequestWithCheckedBody, read_json
from piper.web.parts import WebParts
from piper.web.policy import Action, Kind, Permission, Principal, Thing
from piper.web.problems import Problem, Unauthenticated, problem_response

Handler = TypeVar("Handler", bound=Callable[..., Any])

PREFIX = "/api/v1"
_LONGEST_KEY = 255


class Public:
    """In place of a permission: an endpoint that anybody may call."""


PUBLIC: Final = Public()
NOBODY: Final = Principal("anonymous", frozenset())


@dataclass(slots=True)
class Call:
    """One call: who calls, and what the policy has said of it so far."""

    parts: WebParts
    principal: Principal
    permission: Permission | Public
    correlation_id: str
    method: str
    path: str
    query: str
    idempotency_key: str = ""
    body: bytes = b""
    decided: bool = False

    def teams(self) -> Teams:
        """The teams whose objects a list may show; None is all."""
        self.decided = True
        return self.principal.teams

    def authorise(self, kind: Kind, name: str, team: str | None, missing: NotFound | None = None) -> None:
        """Ask whether this call may do what its endpoint does to this object.

        Arguments:
            team: of the object that was loaded; None when there is none.
            missing: what to say when it does not exist, or when the caller may not know that it does.

        Raises:
            NotFound: it does not exist, or not for this caller.
            Refused: the caller may read it, and no more.
        """
        self.decided = True
        action = self.permission.action if isinstance(self.permission, Permission) else Action.READ
        thing = Thing(kind, name, team or "")
        if team is None or not policy.can(self.principal, Action.READ, thing):
            raise missing or NotFound(f"there is no {kind} {name!r}")
        if not policy.can(self.principal, action, thing):
            raise Refused(f"{self.principal.name} may not {action} {kind} {name!r}")

    def authorise_new(self, kind: Kind, name: str, team: str) -> None:
        """Ask whether this call may make this object for that team. Raises Refused."""
        self.decided = True
        assert isinstance(self.permission, Permission)
        if not policy.can(self.principal, self.permission.action, Thing(kind, name, team)):
            raise Refused(f"{self.principal.name} may not {self.permission.action} {kind} {name!r} of team {team!r}")


async def _current_call(request: Request) -> Call:
    call: Call = request.state.call
    return call


CurrentCall = Annotated[Call, Depends(_current_call)]
"""The type of a handler's first argument."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A handler, where it answers, and what it needs."""

    method: str
    path: str
    handler: Callable[..., Any]
    permission: Permission | Public
    options: dict[str, Any]


@dataclass
class Resource:
    """The endpoints of one noun, as its file declares them."""

    tag: str
    description: str = ""
    endpoints: list[Endpoint] = field(default_factory=list)

    def get(self, path: str, permission: Permission | Public, **options: Any) -> Callable[[Handler], Handler]:
        """Declare a read. `options` are those of FastAPI's decorator."""
        return self._declare("GET", path, permission, options)

    def post(self, path: str, permission: Permission, **options: Any) -> Callable[[Handler], Handler]:
        """Declare a write that makes or commands something."""
        return self._declare("POST", path, permission, options)

    def put(self, path: str, permission: Permission, **options: Any) -> Callable[[Handler], Handler]:
        """Declare a write after which the object is as the body says."""
        return self._declare("PUT", path, permission, options)

    def patch(self, path: str, permission: Permission, **options: Any) -> Callable[[Handler], Handler]:
        """Declare a write that changes parts of an object."""
        return self._declare("PATCH", path, permission, options)

    def delete(self, path: str, permission: Permission, **options: Any) -> Callable[[Handler], Handler]:
        """Declare a removal."""
        return self._declare("DELETE", path, permission, options)

    def _declare(
        self, method: str, path: str, permission: Permission | Public, options: dict[str, Any]
    ) -> Callable[[Handler], Handler]:
        def declare(handler: Handler) -> Handler:
            self.endpoints.append(Endpoint(method, path, handler, permission, options))
            return handler

        return declare


class AuthorisedRoute(APIRoute):
    """A route of an endpoint: authenticates before the body is read, and holds the handler to a decision."""

    def __init__(
        self, path: str, endpoint: Callable[..., Any], *, permission: Permission | Public, **options: Any
    ) -> None:
        self.permission = permission
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Any]:
        inner: Callable[[Request], Awaitable[Response]] = super().get_route_handler()
        known = _parameters(self.dependant)

        async def handle(request: Request) -> Response:
            correlation_id: str = request.state.correlation_id
            try:
                call = _begin(request, self.permission, correlation_id)
                request.state.call = call
                _check_query(request, known)
                checked = RequestWithCheckedBody(request.scope, request.receive)
                call.body = await read_json(checked)
                response = await inner(checked)
                if not call.decided and not isinstance(self.permission, Public):
                    raise AssertionError(f"{request.method} {self.path} answered without asking the policy")
            except Exception as error:  # whatever it is, the caller gets a problem and the log the rest
                return problem_response(error, correlation_id)
            return response

        return handle


def add_resource(app: FastAPI, resource: Resource, prefix: str = PREFIX) -> None:
    """Serve the endpoints of a resource."""
    for endpoint in resource.endpoints:
        options = {
            "responses": _problems(endpoint),
            "summary": (endpoint.handler.__doc__ or "").split("\n")[0].rstrip("."),
            "description": _description(endpoint),
            **endpoint.options,
        }
        app.router.routes.append(
            AuthorisedRoute(
                prefix + endpoint.path,
                endpoint.handler,
                permission=endpoint.permission,
                methods=[endpoint.method],
                tags=[resource.tag],
                operation_id=endpoint.handler.__name__,
                **options,
            )
        )


def check_routes(app: FastAPI) -> None:
    """Raise AssertionError if the application has a route that is not an endpoint with a permission."""
    for route in app.router.routes:
        if not isinstance(route, AuthorisedRoute) or not isinstance(route.permission, (Permission, Public)):
            raise AssertionError(
                f"route {getattr(route, 'path', route)!r} has no permission: declare it as an endpoint"
            )


def _begin(request: Request, permission: Permission | Public, correlation_id: str) -> Call:
    parts: WebParts = request.app.state.parts
    principal = NOBODY if isinstance(permission, Public) else _authenticate(request, parts)
    key = request.headers.get("idempotency-key", "")
    if len(key) > _LONGEST_KEY or not key.isprintable():
        raise Invalid(f"the Idempotency-Key has {len(key)} characters: use at most {_LONGEST_KEY} printable ones")
    return Call(parts, principal, permission, correlation_id, request.method, request.url.path, request.url.query, key)


def _parameters(dependant: Dependant) -> frozenset[str]:
    """The names that a query may have: those of a handler and of what it depends on."""
    own = frozenset(field.alias for field in dependant.query_params)
    return own.union(*map(_parameters, dependant.dependencies))


def _check_query(request: Request, known: Collection[str]) -> None:
    """Raise Invalid for a parameter that the endpoint does not have: a misspelt filter would filter nothing."""
    for name in request.query_params:
        if name not in known:
            others = nearest(name, known)
            hint = f"did you mean {others[0]!r}?" if others else f"there are {', '.join(sorted(known)) or 'none'}"
            raise Invalid(f"{request.method} {request.url.path} has no parameter {name!r}: {hint}")


def _authenticate(request: Request, parts: WebParts) -> Principal:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    principal = parts.authenticate(token.strip()) if scheme.lower() == "bearer" and token.strip() else None
    if principal is None:
        raise Unauthenticated("this call needs a valid token: send the header `Authorization: Bearer TOKEN`")
    return principal


def _problems(endpoint: Endpoint) -> dict[int | str, dict[str, Any]]:
    """The problems that are documented for an endpoint."""
    statuses = [] if isinstance(endpoint.permission, Public) else [401, 403]
    if "{" in endpoint.path:
        statuses.append(404)
    if endpoint.method != "GET":
        statuses += [409, 413]
    return {status: {"model": Problem, "content": {"application/problem+json": {}}} for status in [*statuses, 422, 503]}


def _description(endpoint: Endpoint) -> str:
    text = "\n".join(line.strip() for line in (endpoint.handler.__doc__ or "").split("\n")[1:]).strip()
    if isinstance(endpoint.permission, Public):
        return f"{text}\n\nNeeds no token.".strip()
    return f"{text}\n\nNeeds: **{endpoint.permission.action} {endpoint.permission.kind}**.".strip()
