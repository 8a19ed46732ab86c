"""Ollama's client for JavaScript before a gateway of its own process."""

import json
from typing import Any

import pytest

from tests.clients.installed import HERE, node, node_package
from tests.clients.place import Place

GREETING = "Hello! I am doing well"


async def do(place: Place, deed: str, *, in_path: bool = False) -> dict[str, Any]:
    """What came of one deed; the token goes in a header, or in the host's path."""
    node_package("ollama")
    host, token = (f"{place.url}/{place.token}", "") if in_path else (place.url, place.token)
    ran = await place.run(node(), str(HERE / "ollama_client.mjs"), deed, CLIENT_HOST=host, CLIENT_TOKEN=token)
    assert ran.code == 0, ran.err
    document: dict[str, Any] = json.loads(ran.out)
    return document


async def test_everything_the_client_does(place: Place) -> None:
    assert "gpt-oss:20b" in (await do(place, "list"))["result"]
    assert "tools" in (await do(place, "show"))["result"]
    for deed in ("chat", "generate", "streamed"):
        assert (await do(place, deed))["result"].startswith(GREETING)
    found = (await do(place, "tools"))["result"]
    assert found["calls"][0]["name"] == "get_weather"
    assert found["calls"][0]["arguments"] == {"city": "Oslo"}
    assert "rain" in found["content"]


async def test_the_token_may_stand_in_the_host(place: Place) -> None:
    assert (await do(place, "chat", in_path=True))["result"].startswith(GREETING)
    assert {record["status"] for record in await place.asked("/api/chat")} == {200}


@pytest.mark.parametrize("deed", ["chat", "streamed"])
async def test_a_spent_key_is_not_noticed(place: Place, deed: str) -> None:
    await place.fault("session", account="amber", path="/api/chat", times=None)
    assert (await do(place, deed))["result"].startswith(GREETING)
    assert len(await place.asked("/api/chat")) == 1


async def test_a_key_spent_in_the_middle_is_an_error(place: Place) -> None:
    await place.fault("session", in_stream=True, after=12, path="/api/chat")
    found = await do(place, "streamed")
    assert found["pieces"] == 12
    assert "ran out in the middle" in found["error"]


async def test_no_key_left_is_429_at_the_first_request(place: Place) -> None:
    await place.spend("/api/chat")
    found = await do(place, "chat")
    assert found["status"] == 429
    assert "next key free in" in found["error"]
    assert len(await place.asked("/api/chat")) == 1
