"""Ollama's client for JavaScript before a gateway of its own process."""

import json
from typing import Any

import pytest

from tests.clients.gateway_process import GatewayProcess
from tests.clients.installed import HERE, node, node_package

GREETING = "Hello! I am doing well"


async def do(gateway_process: GatewayProcess, deed: str, *, in_path: bool = False) -> dict[str, Any]:
    """What came of one deed; the token goes in a header, or in the host's path."""
    node_package("ollama")
    host, token = (
        (f"{gateway_process.url}/{gateway_process.token}", "")
        if in_path
        else (gateway_process.url, gateway_process.token)
    )
    result = await gateway_process.run(
        node(), str(HERE / "ollama_client.mjs"), deed, CLIENT_HOST=host, CLIENT_TOKEN=token
    )
    assert result.code == 0, result.err
    document: dict[str, Any] = json.loads(result.out)
    return document


async def test_everything_the_client_does(gateway_process: GatewayProcess) -> None:
    assert "gpt-oss:20b" in (await do(gateway_process, "list"))["result"]
    assert "tools" in (await do(gateway_process, "show"))["result"]
    for deed in ("chat", "generate", "streamed"):
        assert (await do(gateway_process, deed))["result"].startswith(GREETING)
    found = (await do(gateway_process, "tools"))["result"]
    assert found["calls"][0]["name"] == "get_weather"
    assert found["calls"][0]["arguments"] == {"city": "Oslo"}
    assert "rain" in found["content"]


async def test_the_token_may_stand_in_the_host(gateway_process: GatewayProcess) -> None:
    assert (await do(gateway_process, "chat", in_path=True))["result"].startswith(GREETING)
    assert {record["status"] for record in await gateway_process.access_log("/api/chat")} == {200}


@pytest.mark.parametrize("deed", ["chat", "streamed"])
async def test_a_spent_key_is_not_noticed(gateway_process: GatewayProcess, deed: str) -> None:
    await gateway_process.fault("session", account="amber", path="/api/chat", times=None)
    assert (await do(gateway_process, deed))["result"].startswith(GREETING)
    assert len(await gateway_process.access_log("/api/chat")) == 1


async def test_a_key_spent_in_the_middle_is_an_error(gateway_process: GatewayProcess) -> None:
    await gateway_process.fault("session", in_stream=True, after=12, path="/api/chat")
    found = await do(gateway_process, "streamed")
    assert found["pieces"] == 12
    assert "ran out in the middle" in found["error"]


async def test_no_key_left_is_402_at_the_first_request(gateway_process: GatewayProcess) -> None:
    await gateway_process.spend("/api/chat")
    found = await do(gateway_process, "chat")
    assert found["status"] == 402
    assert "next key free in" in found["error"]
    assert len(await gateway_process.access_log("/api/chat")) == 1
