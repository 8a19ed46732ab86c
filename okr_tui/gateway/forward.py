"""Requests that the cloud answers, with a key of the pool."""

import asyncio

import httpx
from starlette.responses import Response

from okr_tui.cloud.client import Call
from okr_tui.cloud.endpoints import find
from okr_tui.domain.errors import CloudError
from okr_tui.gateway.errors import PASSED_ON, cut_off, error_record
from okr_tui.gateway.headers import downward, query_upward, upward
from okr_tui.gateway.parse import Asked, look
from okr_tui.gateway.request import GatewayRequest, receive_body, unpack
from okr_tui.services.exchange import RefusedError
from okr_tui.services.pool_service import PoolService


async def forward(service: PoolService, visit: GatewayRequest) -> None:
    """Send the request with a key of the pool and pass on what comes, as it comes."""
    asked = await _asked(visit)
    assert visit.path is not None
    endpoint = find(visit.path)
    call = Call(
        visit.path,
        asked.body,
        asked.model if endpoint.runs_model else None,
        headers=upward(visit.scope["headers"]),
        streams=endpoint.streams if asked.streams is None else asked.streams,
        query=query_upward(visit.scope["query_string"]),
    )
    await visit.unless_gone(_pass(service, visit, call, asked.opening))


async def show(service: PoolService, visit: GatewayRequest) -> None:
    """`POST /api/show` asks the cloud without a key."""
    asked = await _asked(visit)

    async def passed() -> None:
        with service.cloud.use() as cloud:
            answer = await cloud.show(asked.body)
        await _whole(visit, answer.status_code, answer.headers, answer.content)

    await visit.unless_gone(passed())


async def _asked(visit: GatewayRequest) -> Asked:
    body = await receive_body(visit.receive)
    if encoding := visit.headers.get("content-encoding", ""):
        body = await asyncio.to_thread(unpack, body, encoding)
    asked = look(body, visit.headers)
    visit.model = asked.model
    return asked


async def _pass(service: PoolService, visit: GatewayRequest, call: Call, conversation: str | None) -> None:
    try:
        async with service.dispatcher.send(call, "gateway", conversation) as exchange:
            visit.begin(exchange.status, downward(exchange.headers.raw))
            exchange.skim()
            whole_line = True
            try:
                async for piece in exchange:
                    if piece.data:
                        await visit.write(piece.data)
                        whole_line = piece.data.endswith(b"\n")
            except CloudError as error:
                if visit.status is None:
                    raise
                if not exchange.streams:
                    return  # without its end, the server cuts the connection: half a document is no answer
                await visit.write(error_record(call.path, cut_off(error.fault), whole_line=whole_line))
            await visit.end()
    except RefusedError as error:
        if error.refusal is None or error.fault.traits.cause not in PASSED_ON:
            raise
        await _whole(visit, error.refusal.status, error.refusal.headers, error.refusal.body)


async def _whole(visit: GatewayRequest, status: int, headers: httpx.Headers, body: bytes) -> None:
    response = Response(body, status)
    response.raw_headers += downward(headers.raw)
    await visit.answer(response)
