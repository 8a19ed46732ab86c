"""Make every picture of this folder: `python -m screenshots.generate`, or with `--check` only compare them.

The still ones show fixed values at a fixed time, so they are the same on every machine; the walk-through runs
on the simulated cloud in real time, and is not compared.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from textual.pilot import Pilot

from okr_tui.chat.messages import ChatEvent, Finished, Routed
from okr_tui.cloud.dialects import Delta
from okr_tui.domain.faults import Hop
from okr_tui.ui.app import OkrApp
from screenshots.motion import moving
from screenshots.walk import SIZE, walked
from tests.ui.examples import ENTRIES, HISTORY, KEYS, NOW, SPENT_FAULT, pool, snapshot
from tests.ui.scripted_service import ScriptedService, make_app

HERE = Path(__file__).parent
BACKGROUND = "#0f141b"


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its name, the terminal's size, the theme, the keys to it, and those after the answer."""

    name: str
    size: tuple[int, int] = (120, 36)
    theme: str = "okr-dark"
    keys: tuple[str, ...] = ()
    then: tuple[str, ...] = ()


ANSWER: tuple[ChatEvent, ...] = (
    Routed(KEYS[0].fingerprint, 1, (Hop(KEYS[2].fingerprint, 3, SPENT_FAULT),)),
    Delta(thinking="The person asks why the sky is blue. Rayleigh scattering, then; a table helps."),
    Delta(
        "Sunlight meets molecules much smaller than its wavelength, which scatter **short waves** most.\n\n"
    ),
    Delta(
        "| light | wavelength | scattered |\n|---|---|---|\n| blue | 450 nm | 4.4 times as much as red |\n"
    ),
    Delta("| red | 650 nm | hardly |\n\n"),
    Delta("- At noon blue reaches you from everywhere.\n- At dusk the way is long, and red is left.\n\n"),
    Delta("```python\ndef scattered(nanometres: float) -> float:\n    return (650 / nanometres) ** 4\n```\n"),
    Finished("stop", 17, 122, 300, 2300, (Hop(KEYS[2].fingerprint, 3, SPENT_FAULT),), KEYS[0].fingerprint, 1),
)
WHY = tuple("space" if letter == " " else letter for letter in "why is the sky blue")
CHAT = ("tab", "tab", "enter", *WHY, "enter")
PICTURES = (
    Picture("dashboard", keys=CHAT),
    Picture("light", theme="okr-light", keys=CHAT),
    Picture("narrow", (80, 24)),
    Picture("key", keys=("j", "j", "enter")),
    Picture("settings", keys=("comma",)),
    Picture("chat", (100, 23), keys=CHAT, then=("ctrl+t", "shift+tab", "m")),
)


def main() -> int:
    """Draw, or compare; answers 1 when a picture is out of date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--check", action="store_true", help="write nothing, name the still pictures that differ"
    )
    if parser.parse_args().check:
        stale = list(differing())
        sys.stdout.write("".join(f"{name}.svg is out of date\n" for name in stale))
        return bool(stale)
    for picture in PICTURES:
        path(picture.name).write_text(asyncio.run(drawn(picture)), encoding="utf-8")
    path("walk").write_text(moving(asyncio.run(walked()), SIZE, BACKGROUND), encoding="utf-8")
    return 0


def path(name: str) -> Path:
    """Where a picture is."""
    return HERE / f"{name}.svg"


def differing() -> Iterator[str]:
    """The names of the still pictures that would be drawn otherwise now."""
    for picture in PICTURES:
        there = path(picture.name)
        if not there.exists() or there.read_text(encoding="utf-8") != asyncio.run(drawn(picture)):
            yield picture.name


def service() -> ScriptedService:
    """A pool in every state, with the history of a spent key."""
    spent = replace(
        KEYS[2],
        account="birch",
        last_fault=SPENT_FAULT,
        last_fault_at=NOW - 9,
        faults=3,
        reason="5h spent",
        identity_at=NOW - 7200,
    )
    lines = tuple(
        replace(line, sequence=place, fingerprint=KEYS[line.key - 1].fingerprint if line.key else None)
        for place, line in enumerate(ENTRIES, 1)
    )
    shown = snapshot(pool=pool(*KEYS[:2], spent, *KEYS[3:], empty_at=NOW + 117_960), entries=lines)
    scripted = ScriptedService(shown)
    scripted.walked = HISTORY
    scripted.log = list(lines)
    scripted.answer = ANSWER
    return scripted


async def drawn(picture: Picture) -> str:
    """One picture."""
    app = make_app(service(), picture.theme)
    async with app.run_test(size=picture.size) as pilot:
        while app.snapshot is None:
            await pilot.pause(0.02)
        await still(pilot)
        await pilot.press(*picture.keys)
        if picture.then:
            await still(pilot)
            await pilot.press(*picture.then)
        return await still(pilot)


async def still(pilot: Pilot[str]) -> str:
    """The screen once nothing on it moves any more."""
    app = pilot.app
    assert isinstance(app, OkrApp)
    before, now = "", app.export_screenshot()
    while before != now or app.dashboard.chat.running:
        await pilot.pause(0.3)
        before, now = now, app.export_screenshot()
    return now


if __name__ == "__main__":
    sys.exit(main())
