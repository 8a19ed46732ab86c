"""The subprocess announces itself in one line and ends with its input or on a signal."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process

import httpx
import pytest


async def start(*options: str) -> Process:
    """Start the simulated cloud as `okr-tui demo` does."""
    command = (sys.executable, "-W", "error", "-m", "okr_tui.demo", *options)
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)


async def announcement(process: Process) -> dict[str, object]:
    """The one line on standard output."""
    assert process.stdout is not None
    ready: dict[str, object] = json.loads(await process.stdout.readline())
    return ready


async def test_serves_until_its_input_ends() -> None:
    process = await start("--scenario", "day", "--speed", "2")
    ready = await announcement(process)
    assert (ready["scenario"], ready["session_seconds"]) == ("day", 30)
    keys = ready["keys"]
    assert isinstance(keys, list)
    assert [key["label"] for key in keys] == ["amber 1", "amber 2", "birch 1", "cedar 1"]
    async with httpx.AsyncClient(base_url=str(ready["url"]), trust_env=False, verify=False) as client:
        headers = {"authorization": f"Bearer {keys[0]['key']}"}
        assert (await client.post("/api/me", headers=headers)).json()["Name"] == "amber"
    assert process.stdin is not None
    process.stdin.close()
    assert await process.communicate() == (b"", b"")
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_ends_on_a_signal_without_a_word(number: signal.Signals) -> None:
    process = await start()
    assert (await announcement(process))["scenario"] == "day"
    process.send_signal(number)
    assert process.stderr is not None
    assert await process.stderr.read() == b""
    assert await process.wait() == 0
    await process.communicate()


@pytest.mark.parametrize("options", [("--scenario", "nothing"), ("--speed", "0")])
async def test_refuses_options_it_does_not_know(options: tuple[str, ...]) -> None:
    process = await start(*options)
    output, errors = await process.communicate()
    assert (process.returncode, output) == (2, b"")
    assert b"error" in errors
    assert b"Traceback" not in errors
