"""Ollama's client for Python before a gateway."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from okr_tui.demo.state import fingerprint
from tests.clients.gateway_process import SOON
from tests.clients.samples import GREETING, IMPATIENT, PASSING, QUESTION, collect, spend, weather
from tests.gateway.running_gateway import HELLO, TOKEN, RunningGateway, open_gateway
from tests.harness import MODEL, Harness

ollama = pytest.importorskip("ollama", reason="the Python package ollama is not installed: '.[dev]'")
CHAT = "/api/chat"


@pytest.fixture
async def client(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A client as it is made from the environment: the token stands in the host."""
    monkeypatch.setenv("OLLAMA_HOST", f"{gateway.url}/{TOKEN}")
    monkeypatch.setenv("OLLAMA_API_KEY", "a-key-of-the-caller")
    made = ollama.AsyncClient(trust_env=False)
    yield made
    await made._client.aclose()


@pytest.fixture
def own_key_stays(harness: Harness, client: Any) -> Iterator[None]:
    """The key of the caller's environment has gone to the gateway, and never on to the cloud."""
    assert client._client.headers["authorization"] == "Bearer a-key-of-the-caller"
    yield
    seen = {received.key for received in harness.cloud.state.requests}
    assert fingerprint("a-key-of-the-caller") not in seen


async def reported(client: Any, *, stream: bool) -> str:
    """The answer to a greeting, whole or in pieces."""
    answer = await client.chat(MODEL, HELLO, stream=stream)
    parts = [part async for part in answer] if stream else [answer]
    return "".join(part.message.content for part in parts)


@pytest.mark.usefixtures("own_key_stays")
async def test_everything_the_client_does(client: Any) -> None:
    assert MODEL in [model.model for model in (await client.list()).models]
    assert "tools" in (await client.show(MODEL)).capabilities
    assert (await client.ps()).models == []
    assert (await client.chat(MODEL, HELLO)).message.content.startswith(GREETING)
    assert (await client.generate(MODEL, "Hello")).response.startswith(GREETING)
    parts = [part async for part in await client.chat(MODEL, HELLO, stream=True)]
    assert "".join(part.message.content for part in parts).startswith(GREETING)
    assert "".join(part.message.thinking or "" for part in parts)
    assert (parts[-1].done, parts[-1].done_reason) == (True, "stop")
    texts = [part.response async for part in await client.generate(MODEL, "Hello", stream=True)]
    assert "".join(texts).startswith(GREETING)


async def test_a_tools_round_trip(client: Any) -> None:
    tools = [{"type": "function", "function": weather("parameters")}]
    asked = [{"role": "user", "content": QUESTION}]
    first = (await client.chat(MODEL, asked, tools=tools)).message
    assert first.tool_calls[0].function.name == "get_weather"
    assert first.tool_calls[0].function.arguments == {"city": "Oslo"}
    result = {"role": "tool", "tool_name": "get_weather", "content": "rain"}
    last = await client.chat(MODEL, [*asked, first, result], tools=tools)
    assert "rain" in last.message.content


async def test_embeddings_are_refused_in_words(client: Any) -> None:
    with pytest.raises(ollama.ResponseError, match="no embeddings") as caught:
        await client.embed(MODEL, "Hello")
    assert caught.value.status_code == 404


async def test_a_search_with_a_key_of_its_own_never_comes_here(
    client: Any, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def send(_method: str, url: str, **_: object) -> object:
        asked.append(url)
        raise ConnectionError

    monkeypatch.setattr(client._client, "request", send)
    with pytest.raises(ConnectionError):
        await client.web_search("rain")
    assert asked == ["https://ollama.com/api/web_search"]
    assert not gateway.access


async def test_a_spent_key_is_not_noticed(client: Any, harness: Harness, gateway: RunningGateway) -> None:
    await harness.fault("session", account="amber", times=None, path=CHAT)
    for stream in (False, True):
        assert (await reported(client, stream=stream)).startswith(GREETING)
    assert [record["status"] for record in await gateway.logged(2)] == [200, 200]


async def test_a_key_spent_in_the_middle_is_an_error(client: Any, harness: Harness) -> None:
    await harness.fault("session", in_stream=True, after=12, path=CHAT)
    parts: list[Any] = []
    stream = await client.chat(MODEL, HELLO, stream=True)
    with pytest.raises(ollama.ResponseError, match="ran out in the middle"):
        await collect(stream, parts)
    assert len(parts) == 12


@pytest.mark.parametrize("stream", [False, True])
async def test_no_key_left_is_402(
    client: Any, harness: Harness, gateway: RunningGateway, *, stream: bool
) -> None:
    await spend(harness, CHAT)
    with pytest.raises(ollama.ResponseError, match="next key free in") as caught:
        async with asyncio.timeout(SOON):
            await reported(client, stream=stream)
    assert caught.value.status_code == 402
    assert len(await gateway.logged(1)) == 1


@pytest.mark.parametrize(("fault", "status"), [("rate-limit", 429), ("unavailable", 503)])
async def test_what_passes_soon_is_reported_at_the_first_request(
    harness: Harness, fault: str, status: int
) -> None:
    harness.write_settings(policy=IMPATIENT)
    await harness.fault(fault, times=None)
    async with open_gateway(harness) as gateway:
        client = ollama.AsyncClient(f"{gateway.url}/{TOKEN}", trust_env=False)
        with pytest.raises(ollama.ResponseError, match=PASSING[fault]) as caught:
            await client.chat(MODEL, HELLO)
        await client._client.aclose()
        assert caught.value.status_code == status
        assert "quota" not in str(caught.value)
        assert len(await gateway.logged(1)) == 1
