"""A gateway as its users run it: a process of its own before a simulated cloud, on the machine's clock."""

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from okr_tui.demo import SCENARIOS, SimulatedCloud, serve
from okr_tui.gateway.tokens import load_token
from okr_tui.store.factory import state_folder
from tests.harness import FAST_POLICY
from tests.waiting import LIMIT

SECONDS = 150
"""For programs that take long to start (Open WebUI) or to give up (aider), on a busy machine."""
SOON = 5
"""Seconds in which a client ends that cannot be helped."""
ACCOUNTS = ("amber", "birch", "cedar")


@dataclass(frozen=True)
class CommandResult:
    """How a program ended, and from when to when it ran, in epoch seconds."""

    code: int
    out: str
    err: str
    began: float = 0.0
    ended: float = 0.0

    def ended_soon(self, requests: Sequence[Mapping[str, Any]]) -> bool:
        """Whether it ended soon after the first of its requests, which are lines of the access log."""
        first = min(datetime.fromisoformat(request["at"]).timestamp() for request in requests)
        # What the machine is slow at takes as long before; the log has whole seconds.
        return self.ended - first < SOON + 1 + (first - self.began)


@dataclass
class GatewayProcess:
    """A home with pi's folder in it, its gateway, and the cloud behind."""

    url: str
    token: str
    agent: Path
    keys: tuple[str, ...]
    control: httpx.AsyncClient
    gateway: Process

    async def fault(self, fault: str, **order: object) -> None:
        """Order a fault of the cloud."""
        (await self.control.post("/_demo/faults", json={"fault": fault, **order})).raise_for_status()

    async def spend(self, path: str) -> None:
        """Leave no key with quota for a path."""
        for account in ACCOUNTS:
            await self.fault("session", account=account, path=path, times=None)

    async def access_log(self, path: str) -> list[dict[str, Any]]:
        """End the gateway and return the lines of its access log for a path."""
        self.gateway.terminate()
        _, err = await self.gateway.communicate()
        output = err.decode()
        assert not any(secret in output for secret in (self.token, *self.keys))
        assert "unexpected" not in output
        records = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        return [record for record in records if record["path"] == path]

    async def run(self, *command: str, **environment: str) -> CommandResult:
        """Run a program in this home to its end; what it says never holds a key of the pool."""
        began = time.time()
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            cwd=self.agent.parent,
            env=self._environment(environment),
        )
        try:
            async with asyncio.timeout(SECONDS):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        result = CommandResult(process.returncode, out.decode(), err.decode(), began, time.time())
        assert not any(key in result.out + result.err for key in self.keys)
        return result

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        return {**os.environ, "PI_CODING_AGENT_DIR": str(self.agent), **more}


@asynccontextmanager
async def run_gateway(
    home: Path, *, keys: int | None = None, policy: Mapping[str, object] | None = None, **changes: object
) -> AsyncGenerator[GatewayProcess, None]:
    """A gateway over the first keys of a cloud where nothing fails by itself.

    `policy` replaces values of the tests' own; `changes` are made to the account amber first.
    """
    agent = home / "agent"
    agent.mkdir()
    cloud = SimulatedCloud(SCENARIOS["calm"], speed=20, pace=0.002)
    async with serve(cloud) as url, httpx.AsyncClient(base_url=url, trust_env=False) as control:
        if changes:
            (await control.post("/_demo/accounts/amber", json=changes)).raise_for_status()
        texts = [text for text, _ in cloud.keys]
        settings = {
            "pi-ollama": {"cloudUrl": url, "apiKeys": texts[:keys], "activeKeyIndex": 0},
            "okr-tui": {"policy": {**FAST_POLICY, **(policy or {})}},
        }
        (agent / "settings.json").write_text(json.dumps(settings))
        gateway = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "okr_tui", "serve", "--port", "0", "--access-log"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            cwd=home,
            env={**os.environ, "PI_CODING_AGENT_DIR": str(agent)},
        )
        try:
            assert gateway.stdout
            async with asyncio.timeout(LIMIT):
                ready = (await gateway.stdout.readline()).decode()
            assert ready.startswith("listening on http://127.0.0.1:"), ready
            token = load_token(state_folder()).get_secret_value()
            yield GatewayProcess(ready.split()[-1], token, agent, tuple(texts), control, gateway)
        finally:
            if gateway.returncode is None:
                gateway.kill()
                await gateway.communicate()
