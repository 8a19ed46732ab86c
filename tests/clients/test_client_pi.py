"""Pi in print mode, as `okr-tui connect pi --write` sets it up."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.gateway_process import CommandResult, GatewayProcess
from tests.clients.installed import node, node_package
from tests.clients.samples import IMPATIENT, PASSING, hurry

CHAT = "/v1/chat/completions"
VERSIONS = {
    "0.73": ("@mariozechner/pi-coding-agent", "dist/cli.js"),
    "1.5": ("@earendil-works/pi-coding-agent", "dist/bundle/cli.js"),
}
QUIET = {"PI_OFFLINE": "1", "PI_SKIP_VERSION_CHECK": "1", "PI_TELEMETRY": "0"}


@dataclass(frozen=True)
class Pi:
    """A version of pi that is told of the gateway."""

    gateway_process: GatewayProcess
    script: Path

    async def ask(self, prompt: str) -> CommandResult:
        """Ask once, as from a script."""
        model = ("--provider", "ollama-cloud", "--model", "gpt-oss:20b")
        return await self.run("--no-session", "-p", prompt, *model)

    async def run(self, *arguments: str) -> CommandResult:
        """Run pi."""
        return await self.gateway_process.run(node(), str(self.script), *arguments, **QUIET)


@pytest.fixture(params=VERSIONS)
async def pi(request: pytest.FixtureRequest, gateway_process: GatewayProcess) -> Pi:
    """Each version, connected."""
    package, script = VERSIONS[request.param]
    found = Pi(gateway_process, node_package(package) / script)
    connected = await gateway_process.run(sys.executable, "-m", "okr_tui", "connect", "pi", "--write")
    assert connected.code == 0, connected.err
    assert gateway_process.token not in connected.out + connected.err
    return found


async def test_an_answer_and_a_tools_turn(pi: Pi) -> None:
    listed = await pi.run("--list-models", "gpt-oss")
    assert "gpt-oss:20b" in listed.out + listed.err
    result = await pi.ask("Hello")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Hello! I am doing well")
    result = await pi.ask("What is the weather in Oslo?")
    assert result.code == 0, result.err
    assert "The tool reports" in result.out
    asked = await pi.gateway_process.access_log(CHAT)
    assert [record["status"] for record in asked] == [200, 200, 200]


async def test_a_spent_key_is_not_noticed(pi: Pi) -> None:
    await pi.gateway_process.fault("session", account="amber", path=CHAT, times=None)
    result = await pi.ask("Hello")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Hello! I am doing well")
    assert len(await pi.gateway_process.access_log(CHAT)) == 1


async def test_a_key_spent_in_the_middle_is_an_error_and_asked_once(pi: Pi) -> None:
    await pi.gateway_process.fault("session", in_stream=True, after=12, path=CHAT)
    result = await pi.ask("Hello")
    assert result.code == 1
    assert "ran out in the middle" in result.err
    assert len(await pi.gateway_process.access_log(CHAT)) == 1


async def test_no_key_left_is_asked_once(pi: Pi) -> None:
    await pi.gateway_process.spend(CHAT)
    result = await pi.ask("Hello")
    assert result.code == 1
    assert (
        "insufficient_quota: no key can take this request; `okr-tui explain` says more; next key free in"
        in result.err
    )
    asked = await pi.gateway_process.access_log(CHAT)
    assert [record["status"] for record in asked] == [402]
    assert result.ended_soon(asked)


@pytest.mark.parametrize("gateway_process", [IMPATIENT], indirect=True)
@pytest.mark.parametrize(("fault", "status"), [("rate-limit", 429), ("unavailable", 503)])
async def test_what_passes_soon_is_asked_for_again_and_reported(
    pi: Pi, monkeypatch: pytest.MonkeyPatch, fault: str, status: int
) -> None:
    hurry(fault, monkeypatch)
    await pi.gateway_process.fault(fault, path=CHAT, times=None)
    result = await pi.ask("Hello")
    assert result.code == 1
    assert re.search(PASSING[fault], result.err)
    assert "quota" not in result.err
    statuses = [record["status"] for record in await pi.gateway_process.access_log(CHAT)]
    assert set(statuses) == {status}
    # It repeats its turn three times; in 0.73 the package openai repeats each request twice as well.
    assert len(statuses) <= 12
