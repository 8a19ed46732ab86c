"""The public face: reads a request, applies the faults ordered for it, checks the key, calls the endpoint."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from uuid import uuid4

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from okr_tui.demo import endpoints, inference
from okr_tui.demo.calls import Call, Hangup, Refusal
from okr_tui.demo.catalogue import BEHAVIOURS
from okr_tui.demo.state import Credential, Received, State, fingerprint

FRONT_HEADERS = {
    "server": "Google Frontend",
    "via": "1.1 google",
    "x-build-commit": "0" * 40,
    "x-build-time": "2026-10-07T13:21:32-07:00",
    "x-frame-options": "DENY",
    "x-cloud-trace-context": f"{'0' * 32}/0",
    "set-cookie": "aid=00000000-0000-4000-8000-000000000000; Path=/; HttpOnly",
    "alt-svc": 'h3=":443"; ma=2592000,h3-29=":443"; ma=2592000',
}
MODEL_PREFIX = "/v1/models/"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A handler and the text a bad key meets there; None where no key is looked at."""

    method: str
    handler: Callable[[Call], Awaitable[Response]]
    unauthorized: str | None = None


ENDPOINTS: Mapping[str, Endpoint] = {
    "/api/tags": Endpoint("GET", endpoints.tags),
    "/api/show": Endpoint("POST", endpoints.show),
    "/api/version": Endpoint("GET", endpoints.version),
    "/api/ps": Endpoint("GET", endpoints.never),
    "/api/embed": Endpoint("POST", endpoints.never),
    "/api/embeddings": Endpoint("POST", endpoints.never),
    "/api/me": Endpoint("POST", endpoints.identity, "invalid-credentials"),
    "/api/balance": Endpoint("GET", endpoints.balance, "invalid-credentials"),
    "/api/usage": Endpoint("GET", endpoints.usage, "invalid-credentials"),
    "/api/chat": Endpoint("POST", inference.chat, "unauthorized"),
    "/api/generate": Endpoint("POST", inference.generate, "unauthorized"),
    "/api/web_search": Endpoint("POST", endpoints.web_search, "unauthorized"),
    "/api/web_fetch": Endpoint("POST", endpoints.web_fetch, "unauthorized"),
    "/v1/models": Endpoint("GET", endpoints.models),
    MODEL_PREFIX: Endpoint("GET", endpoints.one_model),
    "/v1/chat/completions": Endpoint("POST", inference.chat_completions, "unauthorized"),
    "/v1/completions": Endpoint("POST", inference.completions, "unauthorized"),
    "/v1/responses": Endpoint("POST", inference.responses, "unauthorized"),
    "/v1/embeddings": Endpoint("POST", endpoints.embeddings, "unauthorized"),
    "/v1/messages": Endpoint("POST", inference.messages, "unauthorized"),
}


class Api:
    """The ASGI application under everything but /_demo."""

    def __init__(self, state: State, pace: float) -> None:
        self.state = state
        self.pace = pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        now = self.state.advance()
        received = Received(now, request.method, scope["path"])
        self.state.requests.append(received)
        call = Call(self.state, request, received, self.pace)
        try:
            try:
                response = await self._answer(call)
            except Refusal as refusal:
                response = refusal.response(received.path)
            received.status = response.status_code
            response.headers.update(FRONT_HEADERS)
            response.headers["date"] = formatdate(now, usegmt=True)
            response.headers["x-request-id"] = str(uuid4())
            await response(scope, receive, send)
        except (Hangup, ClientDisconnect):
            return
        finally:
            call.release()

    async def _answer(self, call: Call) -> Response:
        call.body = _parse(await call.request.body())
        call.received.model = str(call.body["model"]) if "model" in call.body else None
        credential = self._credential(call)
        await self._misbehave(call, credential)
        endpoint = _find(call)
        if endpoint.unauthorized is not None:
            if credential is None or not credential.valid:
                raise call.refuse(endpoint.unauthorized)
            if credential.account.suspended:
                raise call.refuse("suspended")
        return await endpoint.handler(call)

    def _credential(self, call: Call) -> Credential | None:
        scheme, _, text = call.request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not text:
            return None
        call.received.key = fingerprint(text)
        credential = self.state.credentials.get(text)
        if credential is not None:
            call.received.account = credential.account.name
        return credential

    async def _misbehave(self, call: Call, credential: Credential | None) -> None:
        rule = self.state.take_fault(call.received, credential)
        if rule is None:
            return
        if rule.fault not in BEHAVIOURS and not rule.in_stream:
            raise call.refuse(rule.fault)
        call.fault = rule
        if rule.fault == "connection-dropped":
            await call.drop()
            raise Hangup
        if rule.fault == "hang":
            await call.linger(None)
        if rule.fault == "slow-first-byte":
            await call.linger(rule.seconds / self.state.speed)


def _parse(content: bytes) -> Mapping[str, object]:
    try:
        body = json.loads(content or b"{}")
    except ValueError:
        raise Refusal("bad-request", {"detail": "invalid JSON"}) from None
    if not isinstance(body, dict):
        raise Refusal("bad-request", {"detail": "a JSON object is required"})
    return body


def _find(call: Call) -> Endpoint:
    path = call.received.path
    endpoint = ENDPOINTS.get(MODEL_PREFIX if path.startswith(MODEL_PREFIX) else path)
    if endpoint is None:
        raise call.refuse("not-found")
    if endpoint.method != call.received.method:
        raise call.refuse("method-not-allowed")
    return endpoint
