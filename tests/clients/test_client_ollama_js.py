"""Ollama's client for JavaScript before a gateway of its own process."""

import json
import re
from typing import Any

import pytest

from tests.clients.gateway_process import CommandResult, GatewayProcess
from tests.clients.installed import HERE, node, node_package
from tests.clients.samples import IMPATIENT, PASSING

GREETING = "Hello! I am doing well"


async def run(gateway_process: GatewayProcess, deed: str, *, in_path: bool = False) -> CommandResult:
    """Do one thing; the token goes in a header, or in the host's path."""
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
    return result


async def do(gateway_process: GatewayProcess, deed: str, *, in_path: bool = False) -> dict[str, Any]:
    """What came of one deed."""
    document: dict[str, Any] = json.loads((await run(gateway_process, deed, in_path=in_path)).out)
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


async def test_the_token_may_be_in_the_host(gateway_process: GatewayProcess) -> None:
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
    result = await run(gateway_process, "chat")
    found = json.loads(result.out)
    assert found["status"] == 402
    assert "next key free in" in found["error"]
    requests = await gateway_process.access_log("/api/chat")
    assert len(requests) == 1
    assert result.ended_soon(requests)


@pytest.mark.parametrize("gateway_process", [IMPATIENT], indirect=True)
@pytest.mark.parametrize(("fault", "status"), [("rate-limit", 429), ("unavailable", 503)])
async def test_what_passes_soon_is_reported_at_the_first_request(
    gateway_process: GatewayProcess, fault: str, status: int
) -> None:
    await gateway_process.fault(fault, path="/api/chat", times=None)
    found = await do(gateway_process, "chat")
    assert found["status"] == status
    assert re.search(PASSING[fault], found["error"])
    assert "quota" not in found["error"]
    assert len(await gateway_process.access_log("/api/chat")) == 1
