"""The gateway as a server application: the guard, then the paths it knows, errors in the caller's form."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from okr_tui.cloud.endpoints import ENDPOINTS, IDENTITY, MODELS, PROCESSES, SHOW, TAGS, VERSION
from okr_tui.domain.errors import OkrError
from okr_tui.domain.keys import SecretStr
from okr_tui.domain.words import rfc3339
from okr_tui.gateway import local
from okr_tui.gateway.errors import Failure, FailureError, failed, failure_of
from okr_tui.gateway.forward import forward, show
from okr_tui.gateway.guard import Gatekeeper, Guard, origin_form
from okr_tui.gateway.metrics import MEDIA_TYPE, Metrics
from okr_tui.gateway.request import CallerGoneError, GatewayRequest
from okr_tui.services.pool_service import PoolService

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
    """The application, behind the token; `behind` puts the same one behind another gatekeeper.

    `host` is what it listens on; `status` makes the document of `/okr/status`; `access` is told of every
    request; `trouble` is told, in one line, of what nobody expected.
    """

    def __init__(
        self,
        service: PoolService,
        token: SecretStr,
        host: str,
        *,
        status: Callable[[], Record],
        access: Callable[[Record], None] | None = None,
        trouble: Callable[[str], None],
    ) -> None:
        self._service = service
        self._behind_token = self.behind(Guard(token, host))
        self._metrics = Metrics(service.pool)
        self._access = access
        self._trouble = trouble

        def fixed(response: Callable[[], Response]) -> Callable[[GatewayRequest], Awaitable[None]]:
            return lambda visit: visit.answer(response())

        def document(make: Callable[[], Record]) -> Callable[[GatewayRequest], Awaitable[None]]:
            return fixed(lambda: JSONResponse(make()))

        self._routes: Mapping[str, Route] = {
            **{
                endpoint.path: Route((endpoint.method,), lambda visit: forward(service, visit))
                for endpoint in ENDPOINTS.values()
                if endpoint.forwarded
            },
            "/": Route(READ, fixed(lambda: PlainTextResponse(local.RUNNING))),
            "/healthz": Route(READ, document(lambda: {"status": "ok"})),
            VERSION.path: Route(READ, document(lambda: local.VERSION)),
            PROCESSES.path: Route(READ, document(lambda: local.PROCESSES)),
            "/api/status": Route(READ, document(lambda: local.CLOUD_STATUS)),
            IDENTITY.path: Route(("GET", "POST"), document(lambda: local.identity(service.pool.view()))),
            TAGS.path: Route(READ, self._tags),
            SHOW.path: Route(("POST",), lambda visit: show(service, visit)),
            MODELS.path: Route(READ, self._models),
            MODEL_PREFIX: Route(READ, self._one_model),
            "/okr/status": Route(READ, document(status)),
            "/metrics": Route(READ, self._show_metrics),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of the main port."""
        await self._behind_token(scope, receive, send)

    def behind(self, gatekeeper: Gatekeeper) -> ASGIApp:
        """The application for another port: the same routes and the same counts, another way in."""

        # uvicorn takes only a plain function, or an object whose `__call__` is one, for what this is.
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            assert scope["type"] == "http"
            await self._attend(GatewayRequest(origin_form(scope), receive, send), gatekeeper)

        return answer

    async def _attend(self, visit: GatewayRequest, gatekeeper: Gatekeeper) -> None:
        began = time.monotonic()
        try:
            await self._answer(visit, gatekeeper)
        except CallerGoneError:
            visit.status = visit.status or CALLER_LEFT
        finally:
            if self._access:
                self._access(self._line(visit, began))

    async def _answer(self, visit: GatewayRequest, gatekeeper: Gatekeeper) -> None:
        try:
            visit.path = gatekeeper.enter(visit.scope, visit.headers)
            await self._route(visit).handler(visit)
        except FailureError as error:
            await visit.fail(error.failure)
        except OkrError as error:
            await visit.fail(failure_of(error, self._service.clock.time()))
        except CallerGoneError:
            raise
        except Exception as error:
            self._trouble(f"unexpected {type(error).__name__} at {visit.method} {visit.path}: {error}")
            await visit.fail(Failure(500, "the gateway met an error of its own"))

    def _route(self, visit: GatewayRequest) -> Route:
        path = visit.path or ""
        known = MODEL_PREFIX if path.startswith(MODEL_PREFIX) and path != MODEL_PREFIX else path
        route = self._routes.get(known)
        if route is None or path == MODEL_PREFIX:
            raise failed(404, "the gateway knows no such path")
        if visit.method not in route.methods:
            raise failed(405, "method not allowed", headers={"allow": ", ".join(route.methods)})
        return route

    async def _tags(self, visit: GatewayRequest) -> None:
        await visit.answer(JSONResponse(await local.tags(self._service)))

    async def _models(self, visit: GatewayRequest) -> None:
        await visit.answer(JSONResponse(await local.models(self._service)))

    async def _one_model(self, visit: GatewayRequest) -> None:
        name = (visit.path or "").removeprefix(MODEL_PREFIX)
        await visit.answer(JSONResponse(await local.one_model(self._service, name)))

    async def _show_metrics(self, visit: GatewayRequest) -> None:
        await visit.answer(Response(await self._metrics.text(), media_type=MEDIA_TYPE))

    def _line(self, visit: GatewayRequest, began: float) -> Record:
        """A line of the access log. A path that was not let in may hold half a token, so it is left out."""
        return {
            "at": rfc3339(self._service.clock.time()),
            "method": visit.method,
            "path": visit.path,
            "model": visit.model,
            "status": visit.status,
            "duration_ms": round(1000 * (time.monotonic() - began)),
        }
