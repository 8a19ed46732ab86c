"""A model's answer as events: which key took the request, the pieces, the end."""

import json
from collections.abc import AsyncGenerator, Sequence

from okr_tui.cloud.client import Call
from okr_tui.domain.chat import ChatEvent, Finished, Message, Routed
from okr_tui.domain.models import bare_name
from okr_tui.domain.records import Client
from okr_tui.services.clock import Clock
from okr_tui.services.dispatch import Dispatch

THINK_LEVELS = {"off": False, "on": True, "low": "low", "medium": "medium", "high": "high", "max": "max"}


async def answer(
    dispatch: Dispatch,
    clock: Clock,
    client: Client,
    model: str,
    messages: Sequence[Message],
    *,
    conversation: str,
    think: str | None = None,
) -> AsyncGenerator[ChatEvent, None]:
    """Routed, then Deltas, then Finished. Raises what Dispatch.send raises; closing it stops the answer.

    `think` is a word of THINK_LEVELS, or None to leave it to the model.
    """
    name = bare_name(model)
    document: dict[str, object] = {
        "model": name,
        "messages": [message.wire() for message in messages],
        "stream": True,
    }
    if think is not None:
        document["think"] = THINK_LEVELS[think]
    call = Call("/api/chat", json.dumps(document, ensure_ascii=False).encode(), name)
    began = clock.time()
    first_token: int | None = None
    done_reason = ""
    async with dispatch.send(call, client, conversation) as exchange:
        yield Routed(exchange.key.fingerprint, exchange.index, exchange.hops)
        async for piece in exchange:
            for record in piece.records:
                if record.delta:
                    if first_token is None:
                        first_token = round(1000 * (clock.time() - began))
                    yield record.delta
                done_reason = record.done_reason or done_reason
    yield Finished(
        done_reason=done_reason or "stop",
        input_tokens=exchange.input_tokens,
        output_tokens=exchange.output_tokens,
        first_token_ms=first_token,
        duration_ms=round(1000 * (clock.time() - began)),
        hops=exchange.hops,
        fingerprint=exchange.key.fingerprint,
        index=exchange.index,
    )
