"""Anthropic's client for Python before a gateway, and requests in the form that Claude Code sends."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.clients.gateway_process import SOON
from tests.clients.samples import GREETING, IMPATIENT, PASSING, QUESTION, collect, hurry, spend, weather
from tests.gateway.running_gateway import HELLO, TOKEN, RunningGateway, open_gateway
from tests.harness import MODEL, Harness

anthropic = pytest.importorskip("anthropic", reason="the Python package anthropic is not installed: '.[dev]'")
MESSAGES = "/v1/messages"


@pytest.fixture(params=["api_key", "auth_token"])
async def client(gateway: RunningGateway, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """A client with its usual retries, with the token in either place."""
    async with anthropic.AsyncAnthropic(base_url=gateway.url, **{request.param: TOKEN}) as made:
        yield made


def text_of(message: Any) -> str:
    """The words of a message."""
    return "".join(block.text for block in message.content if block.type == "text")


async def test_models(client: Any) -> None:
    assert MODEL in [model.id async for model in client.models.list()]
    assert (await client.models.retrieve(MODEL)).id == MODEL


async def test_messages(client: Any) -> None:
    whole = await client.messages.create(model=MODEL, max_tokens=500, messages=HELLO)
    assert text_of(whole).startswith(GREETING)
    assert whole.stop_reason == "end_turn"
    async with client.messages.stream(model=MODEL, max_tokens=500, messages=HELLO) as events:
        pieces = [piece async for piece in events.text_stream]
        final = await events.get_final_message()
    assert "".join(pieces) == text_of(final)
    assert text_of(final).startswith(GREETING)
    assert final.usage.output_tokens > 0


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tools_round_trip(client: Any, *, stream: bool) -> None:
    options: dict[str, Any] = {"model": MODEL, "max_tokens": 500, "tools": [weather("input_schema")]}
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    if stream:
        async with client.messages.stream(messages=messages, **options) as events:
            first = await events.get_final_message()
    else:
        first = await client.messages.create(messages=messages, **options)
    call = first.content[-1]
    assert first.stop_reason == "tool_use"
    assert (call.type, call.name, call.input) == ("tool_use", "get_weather", {"city": "Oslo"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "rain"}]}
    answered = [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]},
        {"role": "user", "content": [result]},
    ]
    last = await client.messages.create(messages=[*messages, *answered], **options)
    assert "rain" in text_of(last)


async def test_tokens_cannot_be_counted(client: Any) -> None:
    with pytest.raises(anthropic.NotFoundError):
        await client.messages.count_tokens(model=MODEL, messages=HELLO)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_spent_key_is_not_noticed(
    client: Any, harness: Harness, gateway: RunningGateway, *, stream: bool
) -> None:
    await harness.fault("session", account="amber", times=None, path=MESSAGES)
    answer = await client.messages.create(model=MODEL, max_tokens=500, messages=HELLO, stream=stream)
    if stream:
        assert [event.type async for event in answer][-1] == "message_stop"
    else:
        assert text_of(answer).startswith(GREETING)
    assert len(await gateway.logged(1)) == 1


async def test_a_key_spent_in_the_middle_is_an_error(
    client: Any, harness: Harness, gateway: RunningGateway
) -> None:
    await harness.fault("session", in_stream=True, after=12, path=MESSAGES)
    seen: list[Any] = []
    async with client.messages.stream(model=MODEL, max_tokens=500, messages=HELLO) as events:
        with pytest.raises(anthropic.APIStatusError, match="ran out in the middle"):
            await collect(events, seen)
    assert seen
    assert len(await gateway.logged(1)) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_no_key_left_is_402_at_the_first_request(
    client: Any, harness: Harness, gateway: RunningGateway, *, stream: bool
) -> None:
    await spend(harness, MESSAGES)
    with pytest.raises(anthropic.APIStatusError, match="next key free in") as caught:
        async with asyncio.timeout(SOON):
            await client.messages.create(model=MODEL, max_tokens=500, messages=HELLO, stream=stream)
    assert caught.value.status_code == 402
    assert [record["status"] for record in await gateway.logged(1)] == [402]


@pytest.mark.parametrize(("fault", "status"), [("rate-limit", 429), ("unavailable", 503)])
async def test_what_passes_soon_is_asked_for_again_and_reported(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, fault: str, status: int
) -> None:
    hurry(fault, monkeypatch)
    harness.write_settings(policy=IMPATIENT)
    await harness.fault(fault, times=None)
    async with (
        open_gateway(harness) as gateway,
        anthropic.AsyncAnthropic(base_url=gateway.url, api_key=TOKEN) as client,
    ):
        with pytest.raises(anthropic.APIStatusError, match=PASSING[fault]) as caught:
            await client.messages.create(model=MODEL, max_tokens=500, messages=HELLO)
        assert caught.value.status_code == status
        assert "quota" not in str(caught.value)
        assert [record["status"] for record in await gateway.logged(3)] == [status] * 3


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
async def test_what_claude_code_sends(harness: Harness, gateway: RunningGateway, header: str) -> None:
    value = TOKEN if header == "x-api-key" else f"Bearer {TOKEN}"
    kept = {"type": "ephemeral"}
    document = {
        "model": MODEL,
        "max_tokens": 32000,
        "stream": True,
        "system": [
            {"type": "text", "text": "You are a coding agent."},
            {"type": "text", "text": "Answer in short.", "cache_control": kept},
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hello", "cache_control": kept}]},
        ],
        "tools": [weather("input_schema") | {"cache_control": kept}],
        "thinking": {"type": "enabled", "budget_tokens": 31999},
        "metadata": {"user_id": "user"},
    }
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        response = await client.post(
            f"{MESSAGES}?beta=true",
            headers={
                header: value,
                "anthropic-version": "2023-06-01",
                "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14",
                "x-app": "cli",
            },
            json=document,
        )
    assert response.status_code == 200
    names = [line.removeprefix("event: ") for line in response.text.splitlines() if line.startswith("event:")]
    assert (names[0], names[-1]) == ("message_start", "message_stop")
    assert await harness.sent(MESSAGES) == [1]
