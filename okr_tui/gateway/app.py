"""The gateway as an ASGI application: guard, routes, and errors in the caller's dialect."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from okr_tui.cloud.endpoints import (
    BALANCE,
    ENDPOINTS,
    IDENTITY,
    MODELS,
    PROCESSES,
    SHOW,
    TAGS,
    USAGE,
    VERSION,
    Endpoint,
)
from okr_tui.domain.errors import OkrError
from okr_tui.domain.keys import SecretStr
from okr_tui.domain.models import replacement
from okr_tui.domain.text import clean_line
from okr_tui.domain.values import dataclass
from okr_tui.domain.words import rfc3339
from okr_tui.gateway import local
from okr_tui.gateway.errors import Failure, FailureError, GatewayCause, ended, failure_error, failure_of
from okr_tui.gateway.forward import forward, pull, show
from okr_tui.gateway.guard import (
    OPEN_PATHS,
    Guard,
    TokenGuard,
    cors_headers,
    matches,
    origin_form,
    plain_path,
    preflight,
)
from okr_tui.gateway.metrics import MEDIA_TYPE, Metrics
from okr_tui.gateway.proxies import as_forwarded
from okr_tui.gateway.request import CallerGoneError, GatewayRequest, Response, json_response, request_query
from okr_tui.gateway.tokens import Tokens
from okr_tui.services.pool_service import PoolService
from okr_tui.settings.table import GatewayOptions

MODEL_PREFIX: Final = f"{MODELS.path}/"
READ: Final = ("GET", "HEAD")
CALLER_LEFT: Final = 499
Record = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Route:
    """The methods a path takes, and what answers."""

    methods: tuple[str, ...]
    handler: Callable[[GatewayRequest], Awaitable[None]]


class Gateway:
    """The application behind a token, or those of a folder; `behind` puts the same one behind another guard.

    `host` is the address it listens on; `status` makes the document of `/okr/status`; `access` is called with
    a line for each request; `report` with one line for each unexpected error.
    """

    def __init__(
        self,
        service: PoolService,
        token: SecretStr | Tokens,
        host: str,
        *,
        status: Callable[[], Record],
        access: Callable[[Record], None] | None = None,
        report: Callable[[str], None],
    ) -> None:
        self._service = service
        self._behind_token = self.behind(TokenGuard(token, host, self._options))
        self._relay = local.AccountRelay(service)
        self._metrics = Metrics(service)
        self._access = access
        self._report = report

        def fixed(response: Callable[[], Response]) -> Callable[[GatewayRequest], Awaitable[None]]:
            return lambda request: request.answer(response())

        def document(make: Callable[[], Record]) -> Callable[[GatewayRequest], Awaitable[None]]:
            return fixed(lambda: json_response(make()))

        self._routes: Mapping[str, Route] = {
            **{
                endpoint.path: Route((endpoint.method,), lambda request: forward(service, request))
                for endpoint in ENDPOINTS.values()
                if endpoint.forwarded
            },
            "/": Route(READ, fixed(lambda: Response(local.RUNNING.encode(), "text/plain; charset=utf-8"))),
            "/healthz": Route(READ, document(lambda: {"status": "ok"})),
            "/readyz": Route(READ, self._readiness),
            VERSION.path: Route(READ, fixed(lambda: json_response(local.VERSION, headers=local.OWN_VERSION))),
            BALANCE.path: Route(READ, self._relayed(BALANCE)),
            USAGE.path: Route(READ, self._relayed(USAGE)),
            "/api/pull": Route(("POST",), lambda request: pull(service, request)),
            PROCESSES.path: Route(READ, document(lambda: local.PROCESSES)),
            "/api/status": Route(READ, document(lambda: local.CLOUD_STATUS)),
            IDENTITY.path: Route(("GET", "POST"), document(lambda: local.identity(service.pool.view()))),
            TAGS.path: Route(READ, self._tags),
            SHOW.path: Route(("POST",), lambda request: show(service, request)),
            MODELS.path: Route(READ, self._models),
            MODEL_PREFIX: Route(READ, self._one_model),
            "/okr/status": Route(READ, document(status)),
            "/metrics": Route(READ, self._show_metrics),
        }

    def _options(self) -> GatewayOptions:
        """Return the settings in force."""
        return self._service.configuration.settings.gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of the main port."""
        await self._behind_token(scope, receive, send)

    def behind(self, guard: Guard) -> ASGIApp:
        """Return the same application behind another guard, for another port."""

        # uvicorn takes only a plain function, or an object whose `__call__` is one, for what this is.
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            assert scope["type"] == "http"
            scope = as_forwarded(origin_form(scope), self._options().proxies)
            await self._attend(GatewayRequest(scope, receive, send), guard)

        return answer

    async def _attend(self, request: GatewayRequest, guard: Guard) -> None:
        began = time.monotonic()
        try:
            await self._answer(request, guard)
        except CallerGoneError:
            request.status = request.status or CALLER_LEFT
        finally:
            if request.unreadable:
                what = f"records of an answer at {request.path} that could not be read: {request.unreadable}"
                self._report(f"{what}; they were passed on unchanged")
            if self._access:
                self._access(self._line(request, began))

    async def _answer(self, request: GatewayRequest, guard: Guard) -> None:
        try:
            origin = request.headers.get("origin", "")
            if origin and matches(origin.lower(), self._options().origins):
                request.extra_headers += cors_headers(origin)
                if request.method == "OPTIONS":
                    await request.answer(preflight(request.headers))
                    return
            request.path = plain_path(guard.admit(request.scope, request.head))
            if request.path not in OPEN_PATHS:
                request.admit()
            await self._route(request).handler(request)
        except FailureError as error:
            await request.fail(error.failure)
        except OkrError as error:
            model, listed = request.model, self._service.model_names.listed
            successor = replacement(model, listed) if model else None
            await request.fail(failure_of(error, self._service.clock.time(), model, successor))
        except CallerGoneError:
            raise
        except asyncio.CancelledError:
            await request.fail(ended())
            raise
        except Exception as error:
            text = f"unexpected {type(error).__name__} at {request.method} {request.path}: {error}"
            self._report(clean_line(self._service.scrubber.scrub(text)))
            await request.fail(Failure.of(GatewayCause.UNEXPECTED, "the gateway failed unexpectedly"))

    def _route(self, request: GatewayRequest) -> Route:
        if request.headers.get("upgrade", "").lower() == "websocket":
            # At any other status Codex tries five times before it goes on without.
            raise failure_error(
                426, "WebSockets are not supported here: use plain HTTP", headers={"upgrade": "HTTP/1.1"}
            )
        route = self._found(request.path or "")
        if route is None:
            raise failure_error(404, self._no_such_path(request.path or ""))
        if request.method not in route.methods:
            raise failure_error(405, "method not allowed", headers={"allow": ", ".join(route.methods)})
        return route

    def _no_such_path(self, path: str) -> str:
        """Return why there is nothing at a path, and where the caller may have meant to go."""
        if doing := local.CHANGES.get(path):
            return local.NO_CHANGES.format(doing)
        known = [route for route in self._routes if route != "/"]
        if meant := next((route for route in known if path.endswith(route)), None):
            return f"there is no such path: did you mean {meant}? Remove what the base URL has before it"
        if path != "/" and (meant := next((route for route in known if route == f"/v1{path}"), None)):
            return f"there is no such path: did you mean {meant}? The base URL has to end with /v1"
        if (meant := path.lower()) in known:
            return f"there is no such path: did you mean {meant}? Paths are in lower case"
        return "the gateway has no such path"

    def _found(self, path: str) -> Route | None:
        if path == MODEL_PREFIX:
            return None
        return self._routes.get(MODEL_PREFIX if path.startswith(MODEL_PREFIX) else path)

    def _relayed(self, endpoint: Endpoint) -> Callable[[GatewayRequest], Awaitable[None]]:
        async def answer(request: GatewayRequest) -> None:
            query = request_query(request.scope["query_string"])
            await request.answer(await self._relay.answer(endpoint, query))

        return answer

    async def _readiness(self, request: GatewayRequest) -> None:
        ready = local.can_answer(self._service)
        status = "ready" if ready else "blocked"
        await request.answer(json_response({"status": status}, 200 if ready else 503))

    async def _tags(self, request: GatewayRequest) -> None:
        await request.answer(json_response(await local.tags(self._service, request.caller)))

    async def _models(self, request: GatewayRequest) -> None:
        await request.answer(json_response(await local.models(self._service, request.caller)))

    async def _one_model(self, request: GatewayRequest) -> None:
        name = (request.path or "").removeprefix(MODEL_PREFIX)
        await request.answer(json_response(await local.one_model(self._service, request.caller, name)))

    async def _show_metrics(self, request: GatewayRequest) -> None:
        await request.answer(Response((await self._metrics.text()).encode(), MEDIA_TYPE))

    def _line(self, request: GatewayRequest, began: float) -> Record:
        """Return a line of the access log. An unknown path may hold half a token, so it is left out."""
        return {
            "at": rfc3339(self._service.clock.time()),
            "client": client[0] if (client := request.scope["client"]) else None,
            "method": request.method,
            "path": request.path if request.path and self._found(request.path) else None,
            "model": request.model,
            "status": request.status,
            "duration_ms": round(1000 * (time.monotonic() - began)),
        }
