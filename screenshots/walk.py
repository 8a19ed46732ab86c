"""The walk-through: a dashboard on the simulated cloud, driven by keys; a frame for what there is to see."""

import json
import os
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Final

import httpx
from textual.pilot import Pilot

from okr_tui.chat.answer import PoolClient
from okr_tui.chat.messages import Message
from okr_tui.chat.service import ConversationService
from okr_tui.demo import SCENARIOS, SimulatedCloud, serve
from okr_tui.domain.health import State
from okr_tui.services.pool_service import PoolService
from okr_tui.services.service import Snapshot
from okr_tui.settings.layers import Sources
from okr_tui.ui.app import OkrApp
from okr_tui.ui.bridge import Opened
from okr_tui.ui.screens.dashboard import Dashboard
from screenshots.motion import Frame

SIZE: Final = (112, 32)
POLICY: Final = {
    "spent_jitter": (1, 3),
    "balance_lag": 3,
    "poll_shown": (8, 12),
    "poll_gap": 2,
    "confirm_after": (0, 0),
}
MODEL: Final = "gpt-oss:20b"


@dataclass
class Walk:
    """The program under way: what it shows, and what surrounds it."""

    app: OkrApp
    pilot: Pilot[str]
    settings: Path
    cloud: httpx.AsyncClient
    others: PoolService
    frames: list[Frame] = field(default_factory=list)

    async def see(self, seconds: float, caption: str) -> None:
        """Keep what is on the screen."""
        await self.pilot.pause(0.2)
        self.frames.append(Frame(self.app.export_screenshot(), seconds, caption))

    async def press(self, *keys: str) -> None:
        """Press keys, a space by its own letter."""
        await self.pilot.press(*("space" if key == " " else key for key in keys))

    async def until(self, condition: Callable[[Snapshot], bool]) -> None:
        """Wait for a state of the service."""
        for _ in range(1000):
            if self.app.snapshot and condition(self.app.snapshot):
                return
            await self.pilot.pause(0.02)
        raise TimeoutError("the program never came to that state")

    async def ask(self, question: str) -> None:
        """Somebody else uses the pool, in another process."""
        async for _ in PoolClient(self.others).chat(
            MODEL, [Message("user", question)], conversation=question
        ):
            pass


@asynccontextmanager
async def beginning() -> AsyncGenerator[Walk, None]:
    """Everything that is needed, on a cloud where nothing fails by itself."""
    simulated = SimulatedCloud(SCENARIOS["calm"], pace=0.02)
    async with serve(simulated) as url, httpx.AsyncClient(base_url=url) as cloud:
        with tempfile.TemporaryDirectory(prefix="okr-tui-walk-") as folder:
            # Messages name files under the home as "~".
            os.environ["HOME"] = folder
            settings = write_settings(Path(folder), simulated, url)
            sources = Sources(settings, settings.parent / "project", {}, policy=POLICY)

            @asynccontextmanager
            async def opened() -> AsyncGenerator[Opened, None]:
                async with (
                    PoolService.open(sources, zone=UTC) as service,
                    ConversationService.open(PoolClient(service), settings.parent) as conversations,
                ):
                    yield service, conversations

            app = OkrApp(opened, theme="okr-dark", zone=UTC, demo=True)
            app.animation_level = "none"
            async with (
                PoolService.open(sources, client="cli", watching=False) as others,
                app.run_test(size=SIZE, notifications=True) as pilot,
            ):
                yield Walk(app, pilot, settings, cloud, others)


def write_settings(folder: Path, cloud: SimulatedCloud, url: str) -> Path:
    """Settings with every key of the cloud."""
    keys = [{"key": text, "label": label} for text, label in cloud.keys]
    document = {
        "pi-ollama": {"cloudUrl": url, "apiKeys": keys},
        "okr-tui": {"store": f"sqlite:{folder / 'log.db'}"},
    }
    path = folder / ".pi" / "agent" / "settings.json"
    path.parent.mkdir(parents=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")
    return path


async def walked() -> list[Frame]:
    """The whole way."""
    async with beginning() as walk:
        await walk.until(lambda now: bool(now.models.rows) and all(row.read_at for row in now.pool.keys))
        await walk.ask("Why is the sky blue?")
        await walk.ask("List three uses of a prism.")
        await walk.see(3, "Four keys of three accounts; #1 and #2 share one, and so its quota.")
        await _a_key_dies(walk)
        await _a_question(walk)
        await _settings_break(walk)
        return walk.frames


async def _a_key_dies(walk: Walk) -> None:
    order = {"fault": "session", "account": "amber"}
    (await walk.cloud.post("/_demo/faults", json=order)).raise_for_status()
    await walk.ask("Show a short Python loop.")
    await walk.until(lambda now: now.pool.keys[0].state is State.SPENT)
    await walk.see(
        3, "The quota of #1 is spent. Its account rests until the cloud's own reset; another one answered."
    )
    await walk.press("r")
    await walk.until(lambda now: now.pool.preferred != 1)
    await walk.see(2.5, "r prefers the next key that is not blocked, in every process that shares the log.")


async def _a_question(walk: Walk) -> None:
    dashboard = walk.app.screen_stack[0]
    assert isinstance(dashboard, Dashboard)
    above = [row.model.id for row in dashboard.models.table.rows].index(MODEL)
    await walk.press("tab", "tab", *"j" * above, "enter", *"why is the sky blue")
    await walk.see(2, "Enter on a model, and ask.")
    await walk.press("enter")
    for _ in range(3):
        await walk.pilot.pause(0.5)
        await walk.see(1, "Which key answers is said at once.")
    while dashboard.chat.running:
        await walk.pilot.pause(0.05)
    await walk.see(3, "At its end: how fast it was, and how many keys it took.")


async def _settings_break(walk: Walk) -> None:
    good = walk.settings.read_text(encoding="utf-8")
    walk.settings.write_text(good.replace('"okr-tui": {', '"okr-tui": {,'), encoding="utf-8")
    await walk.until(lambda now: bool(now.settings.problems))
    await walk.see(3, "Someone breaks the settings: it says where, and the last good ones stay in force.")
    walk.settings.write_text(good, encoding="utf-8")
    await walk.until(lambda now: not now.settings.problems)
    await walk.see(2, "Mended, and seen at once.")
