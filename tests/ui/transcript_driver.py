"""A transcript alone under a pilot."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from textual import on
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from okr_tui.chat.messages import Finished
from okr_tui.cloud.dialects import Delta
from okr_tui.ui import app as app_module
from okr_tui.ui.chat.answer import AnswerView
from okr_tui.ui.chat.messages import LinkChosen
from okr_tui.ui.chat.transcript import Transcript
from okr_tui.ui.chat.turn import TurnView
from okr_tui.ui.chat.turn_state import TurnState
from okr_tui.ui.themes import THEMES
from tests.waiting import LIMIT

FENCE: Final = "```python\nscatter = 1\nprint(scatter)\n"


class Host(App[None]):
    """A transcript and nothing else."""

    CSS_PATH = Path(app_module.__file__).parent / "okr.tcss"
    CSS = "#turns { display: block; }"

    def __init__(self, shown: int) -> None:
        super().__init__()
        self.animation_level = "none"
        self.shown = shown
        self.opened: list[str] = []
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    def compose(self) -> ComposeResult:
        """The transcript."""
        yield Transcript(shown=self.shown)

    @on(LinkChosen)
    def _link_chosen(self, event: LinkChosen) -> None:
        self.opened.append(event.address)


class TranscriptDriver:
    """A transcript under a pilot."""

    def __init__(self, host: Host, pilot: Pilot[None]) -> None:
        self.host = host
        self.pilot = pilot
        self.transcript = host.query_one(Transcript)

    async def ask(self, question: str = "why") -> TurnView:
        """Begin a turn."""
        return await self.transcript.begin(TurnState("model", question))

    async def answered(self, text: str) -> TurnView:
        """A turn whose answer came at once."""
        turn = await self.ask()
        turn.show_event(Delta(text), 1.0)
        turn.show_event(Finished("stop"), 2.0)
        await self.drawn(turn)
        return turn

    async def drawn(self, turn: TurnView) -> None:
        """Wait until all that came is drawn."""
        async with asyncio.timeout(LIMIT):
            await self.pilot.pause()
            while not turn.settled:
                await self.pilot.pause()
        await self.arranged()

    async def arranged(self) -> None:
        """Wait until what was mounted or pressed so far is laid out, and scrolled to."""
        async with asyncio.timeout(LIMIT):
            await self.pilot.pause()
            for waiting in (self.transcript, self.host):
                arranged = asyncio.Event()
                waiting.call_after_refresh(arranged.set)
                await arranged.wait()
            await self.pilot.pause()

    def lines(self, turn: TurnView) -> list[str]:
        """The lines of a turn's answer, drawn or not in sight."""
        answers = turn.query(AnswerView)
        return [answer.render_line(y).text.rstrip() for answer in answers for y in range(answer.size.height)]

    @property
    def at_end(self) -> bool:
        """Whether the last line is in sight."""
        return self.transcript.scroll_offset.y >= self.transcript.max_scroll_y


@asynccontextmanager
async def run_transcript(
    size: tuple[int, int] = (60, 20), shown: int = 20
) -> AsyncIterator[TranscriptDriver]:
    """An empty transcript."""
    host = Host(shown)
    async with host.run_test(size=size) as pilot:
        yield TranscriptDriver(host, pilot)
