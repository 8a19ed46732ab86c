"""OpenAI's client for Python before a gateway."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.gateway_process import SOON, run_gateway
from tests.clients.samples import GREETING, IMPATIENT, PASSING, QUESTION, collect, hurry, spend, weather
from tests.gateway.running_gateway import HELLO, TOKEN, RunningGateway, open_gateway
from tests.harness import MODEL, Harness

openai = pytest.importorskip("openai", reason="the Python package openai is not installed: '.[dev]'")
CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"


@pytest.fixture
async def client(gateway: RunningGateway) -> AsyncIterator[Any]:
    """A client with its usual retries."""
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=TOKEN) as made:
        yield made


async def test_models(client: Any) -> None:
    assert MODEL in [model.id async for model in client.models.list()]
    assert (await client.models.retrieve(MODEL)).id == MODEL
    with pytest.raises(openai.NotFoundError, match="not found"):
        await client.models.retrieve("no-such:1b")


async def test_chat(client: Any) -> None:
    whole = await client.chat.completions.create(model=MODEL, messages=HELLO)
    assert whole.choices[0].message.content.startswith(GREETING)
    assert whole.usage.total_tokens > 0
    parts = [
        part
        async for part in await client.chat.completions.create(
            model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    ]
    assert "".join(part.choices[0].delta.content or "" for part in parts[:-1]).startswith(GREETING)
    assert parts[-1].usage.completion_tokens > 0


async def test_completions(client: Any) -> None:
    whole = await client.completions.create(model=MODEL, prompt="Hello")
    assert whole.choices[0].text.startswith(GREETING)
    parts = [part async for part in await client.completions.create(model=MODEL, prompt="Hello", stream=True)]
    assert "".join(part.choices[0].text for part in parts).startswith(GREETING)
    assert parts[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tools_round_trip(client: Any, *, stream: bool) -> None:
    tools = [{"type": "function", "function": weather("parameters")}]
    asked: list[Any] = [{"role": "user", "content": QUESTION}]
    if stream:
        async with client.chat.completions.stream(model=MODEL, messages=asked, tools=tools) as events:
            first = await events.get_final_completion()
    else:
        first = await client.chat.completions.create(model=MODEL, messages=asked, tools=tools)
    message = first.choices[0].message
    call = message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Oslo"})
    answered = {"role": "assistant", "content": None, "tool_calls": [call.model_dump(exclude_none=True)]}
    result = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    last = await client.chat.completions.create(model=MODEL, messages=[*asked, answered, result], tools=tools)
    assert "rain" in last.choices[0].message.content


async def test_responses(client: Any) -> None:
    whole = await client.responses.create(model=MODEL, input="Hello", instructions="Be kind.")
    assert whole.output_text.startswith(GREETING)
    assert (whole.status, whole.usage.total_tokens > 0) == ("completed", True)
    async with client.responses.stream(model=MODEL, input=HELLO) as events:
        kinds = [event.type async for event in events]
        final = await events.get_final_response()
    assert final.output_text.startswith(GREETING)
    assert [item.type for item in final.output] == ["reasoning", "message"]
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    short = await client.responses.create(model=MODEL, input="Hello", max_output_tokens=2)
    assert short.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tools_round_trip_of_responses(client: Any, *, stream: bool) -> None:
    tools = [{"type": "function", "strict": False, **weather("parameters")}]
    if stream:
        async with client.responses.stream(model=MODEL, input=QUESTION, tools=tools) as events:
            first = await events.get_final_response()
    else:
        first = await client.responses.create(model=MODEL, input=QUESTION, tools=tools)
    call = next(item for item in first.output if item.type == "function_call")
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Oslo"})
    last = await client.responses.create(
        model=MODEL,
        input=[
            {"role": "user", "content": QUESTION},
            {
                "type": "function_call",
                "call_id": call.call_id,
                "name": call.name,
                "arguments": call.arguments,
            },
            {"type": "function_call_output", "call_id": call.call_id, "output": "rain"},
        ],
        tools=tools,
    )
    assert "rain" in last.output_text


async def test_embeddings_come_back_empty_as_the_cloud_sends_them(
    client: Any, gateway: RunningGateway
) -> None:
    with pytest.raises(ValueError, match="No embedding data received"):
        await client.embeddings.create(model=MODEL, input="Hello")
    assert [record["status"] for record in await gateway.logged(1)] == [200]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_spent_key_is_not_noticed(
    client: Any, harness: Harness, gateway: RunningGateway, *, stream: bool
) -> None:
    for path in (CHAT, RESPONSES):
        await harness.fault("session", account="amber", times=None, path=path)
    chat = await client.chat.completions.create(model=MODEL, messages=HELLO, stream=stream)
    if stream:
        assert [part async for part in chat][-1].choices[0].finish_reason == "stop"
    else:
        assert chat.choices[0].message.content.startswith(GREETING)
    response = await client.responses.create(model=MODEL, input="Hello", stream=stream)
    if stream:
        response = [event async for event in response][-1].response
    assert response.output_text.startswith(GREETING)
    assert [record["status"] for record in await gateway.logged(2)] == [200, 200]


async def test_a_key_spent_in_the_middle_is_an_error(
    client: Any, harness: Harness, gateway: RunningGateway
) -> None:
    await harness.fault("session", in_stream=True, after=12, path=CHAT)
    parts: list[Any] = []
    stream = await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    with pytest.raises(openai.APIError, match="ran out in the middle"):
        await collect(stream, parts)
    assert len(parts) == 12
    await harness.fault("session", in_stream=True, after=12, path=RESPONSES)
    found = [event async for event in await client.responses.create(model=MODEL, input="Hello", stream=True)]
    assert found[-1].type == "response.failed"
    assert "ran out in the middle" in found[-1].response.error.message
    assert len(await gateway.logged(2)) == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_no_key_left_is_402_at_the_first_request(
    client: Any, harness: Harness, gateway: RunningGateway, *, stream: bool
) -> None:
    await spend(harness, CHAT)
    await spend(harness, RESPONSES)
    for request in (
        client.chat.completions.create(model=MODEL, messages=HELLO, stream=stream),
        client.responses.create(model=MODEL, input="Hello", stream=stream),
    ):
        with pytest.raises(openai.APIStatusError, match="next key free in") as caught:
            async with asyncio.timeout(SOON):
                await request
        assert caught.value.status_code == 402
        assert caught.value.code == "insufficient_quota"
    assert [record["status"] for record in await gateway.logged(2)] == [402, 402]


@pytest.mark.parametrize(("fault", "status"), [("rate-limit", 429), ("unavailable", 503)])
async def test_what_passes_soon_is_asked_for_again_and_reported(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, fault: str, status: int
) -> None:
    hurry(fault, monkeypatch)
    harness.write_settings(policy=IMPATIENT)
    await harness.fault(fault, times=None)
    async with (
        open_gateway(harness) as gateway,
        openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=TOKEN) as client,
    ):
        with pytest.raises(openai.APIStatusError, match=PASSING[fault]) as caught:
            await client.chat.completions.create(model=MODEL, messages=HELLO)
        assert caught.value.status_code == status
        assert "quota" not in str(caught.value)
        assert [record["status"] for record in await gateway.logged(3)] == [status] * 3


async def test_one_slot_is_a_queue(tmp_path: Path) -> None:
    async with (
        run_gateway(tmp_path, keys=1, plan="free", slots=1) as gateway_process,
        openai.AsyncOpenAI(
            base_url=f"{gateway_process.url}/v1", api_key=gateway_process.token, max_retries=0
        ) as client,
    ):
        answers = await asyncio.gather(
            *(client.chat.completions.create(model=MODEL, messages=HELLO) for _ in range(4))
        )
        assert all(answer.choices[0].message.content.startswith(GREETING) for answer in answers)
        assert [record["status"] for record in await gateway_process.access_log(CHAT)] == [200] * 4
