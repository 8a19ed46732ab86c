"""Make every picture of this folder from the demo: `python screenshots/generate.py`."""

import asyncio
import json
import tempfile
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from okr_tui.demo import SCENARIOS, SimulatedCloud, serve
from okr_tui.domain.chat import Message
from okr_tui.domain.health import State
from okr_tui.services.keyring import Keyring
from okr_tui.settings.layers import Sources
from okr_tui.ui.app import OkrApp

HERE = Path(__file__).parent
POLICY = {"spent_jitter": [1, 3], "balance_lag": 3, "poll_shown": [8, 12], "poll_gap": 2}
QUESTIONS = ("Why is the sky blue?", "List three uses of a prism.", "Show a short Python loop.")


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its name, the terminal's size, the theme, and the keys that lead to it."""

    name: str
    size: tuple[int, int]
    theme: str | None = None
    keys: tuple[str, ...] = ()


WHY = tuple("space" if letter == " " else letter for letter in "why is the sky blue")
PICTURES = (
    Picture("dashboard", (120, 36), keys=("tab", "tab", "enter", *WHY, "enter")),
    Picture("light", (120, 36), theme="okr-light"),
    Picture("wide", (160, 45)),
    Picture("narrow", (80, 24)),
    Picture("help", (120, 36), keys=("?",)),
)


def main() -> None:
    """Run the scenario and take the pictures."""
    asyncio.run(draw())


async def draw() -> None:
    """A pool in the middle of its day: two keys spent, one refused, the rest at work."""
    cloud = SimulatedCloud(SCENARIOS["day"], pace=0.002)
    async with serve(cloud) as url:
        with tempfile.TemporaryDirectory() as folder:
            sources = write_settings(Path(folder), cloud, url)
            async with Keyring.open(sources, client="cli") as keyring:
                await live(keyring)
                for picture in PICTURES:
                    await take(picture, sources)


def write_settings(folder: Path, cloud: SimulatedCloud, url: str) -> Sources:
    """Settings with every key of the cloud."""
    keys = [{"key": text, "label": label} for text, label in cloud.keys]
    document = {
        "pi-ollama": {"cloudUrl": url, "apiKeys": keys},
        "okr-tui": {"store": f"sqlite:{folder / 'log.db'}", "policy": POLICY},
    }
    path = folder / "settings.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return Sources(path, folder / "project", {})


async def live(keyring: Keyring) -> None:
    """Work until the first account is spent and another one serves."""
    turn = 0
    async for snapshot in keyring.snapshots():
        if all(row.read_at for row in snapshot.pool.keys) and snapshot.models.rows:
            break
    while keyring.snapshot.pool.keys[0].state is not State.SPENT or turn % 4:
        question = [Message("user", QUESTIONS[turn % 3])]
        async for _ in keyring.chat("gpt-oss:20b", question, conversation=f"{turn}"):
            pass
        turn += 1


async def take(picture: Picture, sources: Sources) -> None:
    """One picture of the dashboard, over a service of its own that shares the log."""

    def open_service() -> AbstractAsyncContextManager[Keyring]:
        return Keyring.open(sources)

    app = OkrApp(open_service, theme=picture.theme, zone=UTC, demo=True)
    async with app.run_test(size=picture.size) as pilot:
        while app.snapshot is None or not app.snapshot.models.rows:
            await pilot.pause(0.05)
        await pilot.press(*picture.keys)
        await pilot.pause(2.5)
        app.save_screenshot(f"{picture.name}.svg", str(HERE))


if __name__ == "__main__":
    main()
