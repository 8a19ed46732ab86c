"""Endpoints that are passed on to the cloud, with a key of the pool."""

import asyncio
from functools import partial
from typing import Final

import httpx

from okr_tui.cloud.client import Call
from okr_tui.cloud.endpoints import CHAT, GENERATE, find
from okr_tui.domain.errors import CloudError
from okr_tui.gateway import local
from okr_tui.gateway.errors import (
    PASSED_ON,
    SOURCE_HEADER,
    Failure,
    FailureError,
    GatewayCause,
    cut_off,
    failure_error,
    final_status,
    misreads_errors,
)
from okr_tui.gateway.headers import response_headers
from okr_tui.gateway.parse import ParsedRequest, parse_body
from okr_tui.gateway.request import (
    BODY,
    GatewayRequest,
    Response,
    SignsOfLife,
    json_response,
    receive_body,
    request_query,
    unpack,
)
from okr_tui.services.exchange import ERROR, RefusedError
from okr_tui.services.pool_service import PoolService

LOADING: Final = frozenset({CHAT.path, GENERATE.path})
"""Endpoints at which a request without a prompt only loads a model, or unloads it."""
NO_FALLBACK: Final = "x-okr-tui-no-fallback"
"""The request header of a caller who wants the model asked for, or an error."""
UNNAMED: Final = "gateway"
"""What usage calls a caller without a name."""
ANSWERED_BY: Final = b"x-okr-tui-answered-by"
NO_STREAM: Final = "the cloud sent one document instead of the requested stream"


async def forward(service: PoolService, request: GatewayRequest) -> None:
    """Send a request with a key of the pool, and pass on the answer as it arrives."""
    parsed = await _receive(service, request)
    assert request.path is not None
    endpoint = find(request.path)
    if endpoint.runs_model and not parsed.model:
        raise failure_error(400, "model is required")
    if parsed.is_empty and request.path in LOADING and (loads := local.is_load(parsed.body)) is not None:
        model = local.require(service, parsed.model)
        await request.answer(
            json_response(local.loaded(request.path, model, service.clock.time(), loads=loads))
        )
        return
    caller = request.caller.name or request.client
    if endpoint.runs_model:
        await service.budgets.check(caller or UNNAMED, parsed.model)
    call = Call(
        request.path,
        parsed.body,
        parsed.model if endpoint.runs_model else None,
        headers=request.head.forwarded,
        streams=endpoint.streams if parsed.streams is None else parsed.streams,
        query=request_query(request.scope["query_string"]),
        caller=caller,
    )
    await request.run_until_gone(_pass(service, request, call, parsed.opening))


async def show(service: PoolService, request: GatewayRequest) -> None:
    """Pass on `POST /api/show`, without a key."""
    parsed = await _receive(service, request)

    async def passed() -> None:
        answer = await service.fallback.show_local(parsed.model or "", parsed.body)
        if answer is None:
            with service.cloud.use() as cloud:
                answer = await cloud.show(parsed.body)
        await _whole(service, request, answer.status_code, answer.headers, answer.content)

    await request.run_until_gone(passed())


async def pull(service: PoolService, request: GatewayRequest) -> None:
    """Answer `POST /api/pull`: a model of the cloud needs no pull."""
    parsed = await _receive(service, request)
    local.require(service, parsed.model)
    streams = parsed.streams is not False
    media_type = "application/x-ndjson" if streams else "application/json"
    await request.answer(Response(b'{"status":"success"}' + b"\n" * streams, media_type))


async def _receive(service: PoolService, request: GatewayRequest) -> ParsedRequest:
    body: bytes | None = request.scope.get(BODY)
    if body is None:
        body = await receive_body(request.receive)
    if encoding := request.headers.get("content-encoding", ""):
        body = await asyncio.to_thread(unpack, body, encoding)
    parsed = await parse_body(body, request.headers, service.model_names)
    request.model = parsed.model
    if parsed.model and not request.caller.may_use(parsed.model):
        raise failure_error(
            403, f"the token of {request.caller.name} is not for {parsed.model}", "model_not_allowed"
        )
    return parsed


async def _pass(service: PoolService, request: GatewayRequest, call: Call, conversation: str | None) -> None:
    request.takes_events = call.streams and find(call.path).dialect != "native"
    every, timers = service.pool.policy.sign_of_life, service.pool.timers
    signs = SignsOfLife(request, every, timers) if request.takes_events else None
    try:
        others = service.fallback.send(
            call, "gateway", conversation, allows=partial(_may_answer, service, request)
        )
        async with others as exchange:
            if signs:
                await signs.stop()
            if exchange.answered_by and request.status is None:
                request.extra_headers.append((ANSWERED_BY, exchange.answered_by.encode()))
            elif exchange.answered_by:  # the head is gone; a comment can still say so
                await request.write(b": %b: %b\n\n" % (ANSWERED_BY, exchange.answered_by.encode()))
            if request.status is not None and not exchange.streams:
                raise FailureError(Failure.of(GatewayCause.CLOUD, NO_STREAM))
            request.begin(exchange.status, response_headers(exchange.headers.raw, service.scrubber))
            request.streams = exchange.streams
            exchange.skim()
            try:
                async for piece in exchange:
                    if piece.data:
                        await request.write(piece.data, last=exchange.at_end)
                    request.unreadable = exchange.unreadable
            except CloudError as error:
                if request.status is None:
                    raise
                if not exchange.streams:
                    return  # the server cuts the connection: half a document is no answer
                await request.fail(cut_off(error.fault))
            request.unreadable = exchange.unreadable
            await request.end()
    except RefusedError as error:
        if signs:
            await signs.stop()
        passed_on = error.fault.traits.cause in PASSED_ON and not misreads_errors(
            request.client, request.dialect
        )
        if not error.refusal or not passed_on or request.status is not None:
            raise
        status = final_status(error.refusal.status, request.client)
        await _whole(service, request, status, error.refusal.headers, error.refusal.body)
    finally:
        if signs:
            await signs.stop()


def _may_answer(service: PoolService, request: GatewayRequest, model: str) -> bool:
    """Return whether a model may answer a request for another one."""
    wanted = request.headers.get(NO_FALLBACK, "0") in ("", "0")
    return wanted and request.caller.may_use(model) and service.budgets.allow(model)


async def _whole(
    service: PoolService, request: GatewayRequest, status: int, headers: httpx.Headers, body: bytes
) -> None:
    """Pass on a whole answer; one that refuses could repeat what was sent, the key with it."""
    refuses = status >= 300 or ERROR.match(body)
    passed = response_headers(headers.raw, service.scrubber)
    if status >= 400:
        passed.append((SOURCE_HEADER.encode(), b"cloud"))
    content = service.scrubber.scrub_bytes(body) if refuses else body
    await request.answer(Response(content, None, status, passed))
