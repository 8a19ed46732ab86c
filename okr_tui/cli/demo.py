"""`okr-tui demo`: the dashboard on a simulated cloud, with someone at work in another process.

Both run as processes of their own that end with this one, and all files are in a folder that goes with it.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from okr_tui.cli.invocation import Invocation
from okr_tui.domain.errors import OkrError

if TYPE_CHECKING:
    from okr_tui.services.background import Clock
    from okr_tui.services.pool_service import PoolService
    from okr_tui.ui.bridge import Opened

LIVELY = "day"
SCENARIOS = ("calm", "crowded", "day", "outage", "revoked", "spent")
CHAT_EVERY = 1.5
MODELS = ("gpt-oss:20b", "gemma4:31b", "kimi-k2.6", "gpt-oss:120b", "glm-5.2")
CALLERS = ("pi", "codex", "notes")
PROMPTS = ("Why is the sky blue?", "List three uses of a prism.", "Show a short Python loop.")


@click.command()
@click.option("--scenario", type=click.Choice(SCENARIOS), default="day", show_default=True)
@click.option(
    "--speed",
    type=click.FloatRange(min=0.01),
    default=1.0,
    show_default=True,
    help="How many times faster time passes.",
)
def demo(scenario: str, speed: float) -> None:
    """Run the dashboard on a simulated cloud; your files stay untouched.

    Scenarios: in day, keys run out, are revoked and come back; in calm, nothing happens; in crowded, request
    slots are taken; in outage, the cloud fails; in revoked, keys are refused; in spent, quota is used up.
    """
    run_demo(scenario, speed)


@click.command(hidden=True)
@click.option("--speed", type=float, default=1.0)
@click.pass_obj
def traffic(invocation: Invocation, speed: float) -> None:
    """Ask the pool one short question after another until standard input ends."""
    asyncio.run(_converse(replace(invocation, policy=_policy(speed)), CHAT_EVERY / speed))


def run_demo(scenario: str, speed: float) -> None:
    """Run the dashboard of a scenario until the user leaves."""
    from okr_tui.cli import dashboard

    dashboard.require_terminal()
    with tempfile.TemporaryDirectory(prefix="okr-tui-demo-") as folder:
        home = Path(folder)
        invocation = Invocation(
            settings=home / "settings.json",
            project=home / "project",
            environment={},
            state=home / "state",
            policy=_policy(speed),
        )

        @contextlib.asynccontextmanager
        async def service(clock: "Clock") -> AsyncGenerator["Opened", None]:
            async with _child("-m", "okr_tui.demo", "--scenario", scenario, "--speed", str(speed)) as cloud:
                ready = await _announced(cloud)
                assert invocation.settings is not None
                await asyncio.to_thread(_write_settings, invocation.settings, ready)
                if scenario == LIVELY:
                    await _write_history(invocation.settings, ready)
                async with (
                    _child(*_traffic_arguments(invocation, speed)),
                    dashboard.opened(invocation, clock) as services,
                ):
                    yield services

        dashboard.run(service, demo=True)


def _policy(speed: float) -> dict[str, object]:
    """Return the slow numbers of the policy at the scenario's pace."""
    return {
        "spent_jitter": (0.5 / speed, 2 / speed),
        "balance_lag": 3 / speed,
        "poll_shown": (8 / speed, 12 / speed),
        "poll_gap": 2 / speed,
        "forecast_least": 8 / speed,
        "invalid_steps": (15 / speed, 30 / speed),
    }


def _write_settings(path: Path, ready: dict[str, Any]) -> None:
    """Write settings like a user's own."""
    document = {
        "pi-ollama": {"cloudUrl": ready["url"], "apiKeys": ready["keys"], "activeKeyIndex": 0},
        "okr-tui": {
            "store": _log_of(path),
            # The usual port may be a real gateway's.
            "gateway": {"port": 0},
            # Its weeks last minutes, so that one is nearly over at once.
            "alerts": {"unusedWithinSeconds": 1},
            "chat": {"tools": True, "confirm": {"web_fetch": "ask"}},
        },
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


async def _write_history(settings: Path, ready: dict[str, Any]) -> None:
    """Fill the log with the day before."""
    from okr_tui.cli.demo_history import Member, day_of_history, requests_of
    from okr_tui.domain.keys import fingerprint
    from okr_tui.store.factory import locate_store

    members = {
        Member(fingerprint(key["key"]), account["id"], account["plan"], account["dollars"]): account["name"]
        for key, account in zip(ready["keys"], ready["accounts"], strict=True)
    }
    day = day_of_history(tuple(members), time.time())
    for member, name in members.items():
        if member.dollars is not None:
            past = requests_of(day, member)
            await asyncio.to_thread(_send_history, f"{ready['url']}/_demo/accounts/{name}/past", past)
    store = locate_store(_log_of(settings))
    try:
        await store.append(day)
    finally:
        await store.close()


def _send_history(url: str, requests: Sequence[tuple[float, int, int]]) -> None:
    """Send the simulated cloud what an account used, which plans in dollars are asked for."""
    from urllib.request import ProxyHandler, Request, build_opener

    body = json.dumps({"requests": requests}).encode()
    with build_opener(ProxyHandler({})).open(Request(url, body), timeout=10):  # noqa: S310  on this machine
        pass


def _log_of(settings: Path) -> str:
    return f"sqlite:{settings.parent / 'log.db'}"


def _traffic_arguments(invocation: Invocation, speed: float) -> tuple[str, ...]:
    where = ("--settings", str(invocation.settings), "--project", str(invocation.project))
    return ("-m", "okr_tui", *where, "traffic", "--speed", str(speed))


@contextlib.asynccontextmanager
async def _child(*arguments: str) -> AsyncGenerator[asyncio.subprocess.Process, None]:
    """Run a Python process that ends with its standard input, so at the latest with this process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.stdin:
            process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _announced(cloud: asyncio.subprocess.Process) -> dict[str, Any]:
    """Return what the simulated cloud announces once it serves. Raises OkrError if it ends before."""
    assert cloud.stdout is not None
    line = await cloud.stdout.readline()
    if not line:
        raise OkrError(
            f"the simulated cloud ended before it was ready; `{sys.executable} -m okr_tui.demo` shows why"
        )
    ready: dict[str, Any] = json.loads(line)
    return ready


async def _converse(invocation: Invocation, every: float) -> None:
    """Send the requests of three programs, each asking again once an answer has ended."""
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.buffer.read))
    async with invocation.open_service("gateway") as service:
        await asyncio.gather(
            *(
                _ask_repeatedly(service, caller, index, every * (1 + index), ended)
                for index, caller in enumerate(CALLERS)
            )
        )


async def _ask_repeatedly(
    service: "PoolService", caller: str, turn: int, every: float, ended: asyncio.Task[bytes]
) -> None:
    from okr_tui.chat.answer import PoolClient
    from okr_tui.chat.messages import Message

    pool = PoolClient(service, caller)
    while not ended.done():
        messages = [Message("user", PROMPTS[turn % len(PROMPTS)])]
        model = MODELS[turn % len(MODELS)]
        turn += len(CALLERS)
        # Failing requests are what the demo shows: the log has them.
        with contextlib.suppress(OkrError):
            async for _ in pool.chat(model, messages, conversation=f"demo {caller} {turn}"):
                if ended.done():
                    return
        await asyncio.wait([ended], timeout=every)
