"""The ways to draw an answer that the benchmark compares, each in an application as small as can be."""

import asyncio
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Markdown, RichLog, Static

from okr_tui.chat.messages import Finished
from okr_tui.cloud.dialects import Delta
from okr_tui.ui.chat.composer import Prompt
from okr_tui.ui.chat.markdown import MarkdownDocument
from okr_tui.ui.chat.transcript import SHOWN, Transcript
from okr_tui.ui.chat.turn_state import TurnState
from okr_tui.ui.themes import THEMES
from tests.bench.streams import SAMPLE, tokens_of

WAYS = ("ours", "static", "stream", "log")
EARLIER = 100
CHUNK = 10


@dataclass
class Result:
    """One run. Times are seconds."""

    way: str
    tokens: int
    elapsed: float = 0.0
    cpu: float = 0.0
    stall: float = 0.0
    delays: list[float] = field(default_factory=list)


class Bench(App[None]):
    """Earlier turns, an answer that grows one way or another, and the prompt."""

    CSS_PATH = Path(__file__).parents[2] / "okr_tui" / "ui" / "okr.tcss"
    CSS = "#turns, #log { display: block; height: 1fr; } #log { scrollbar-size-vertical: 1; }"

    def __init__(self, way: str, count: int, pace: float, report: Path) -> None:
        super().__init__()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name
        self.way, self.count, self.pace, self.report = way, count, pace, report

    def compose(self) -> ComposeResult:
        """The place for the answer, and the prompt."""
        if self.way == "ours":
            yield Transcript()
        elif self.way == "log":
            yield RichLog(id="log", wrap=True)
        else:
            yield VerticalScroll(id="turns")
        yield Prompt()

    async def on_mount(self) -> None:
        """Begin once the earlier turns are drawn."""
        self.query_one(Prompt).focus()
        self.run_worker(self._run(), group="bench")

    async def _run(self) -> None:
        await self._show_earlier()
        await asyncio.sleep(1.5)
        result = Result(self.way, self.count)
        beating = asyncio.create_task(self._beat(result))
        began, cpu = time.perf_counter(), time.process_time()
        await getattr(self, f"_draw_{self.way}")()
        drawn = asyncio.Event()
        self.call_after_refresh(drawn.set)
        await drawn.wait()
        result.elapsed, result.cpu = time.perf_counter() - began, time.process_time() - cpu
        beating.cancel()
        self.report.write_text(json.dumps(asdict(result)))
        self.exit()

    async def _beat(self, result: Result) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.01)
            result.stall = max(result.stall, time.perf_counter() - before - 0.01)

    async def _show_earlier(self) -> None:
        if self.way == "ours":
            states = []
            for _ in range(EARLIER):
                state = TurnState("model", "why is the sky blue", [MarkdownDocument()])
                state.document().append(SAMPLE)
                state.take(Finished("stop"), 0.0)
                states.append(state)
            await self.query_one(Transcript).show(states)
        elif self.way == "log":
            for _ in range(EARLIER):
                self.query_one(RichLog).write(SAMPLE)
        else:
            turns = self.query_one("#turns")
            for _ in range(SHOWN):
                earlier = Markdown(SAMPLE) if self.way == "stream" else Static(SAMPLE, markup=False)
                await turns.mount(Static("why is the sky blue"), earlier)
            turns.anchor()

    async def _arriving(self) -> "asyncio.Queue[str | None]":
        """Tokens at the pace, from a task of their own as from a network; the queue ends with None."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(CHUNK)

        async def arrive() -> None:
            began = time.perf_counter()
            for number, token in enumerate(tokens_of(self.count)):
                if self.pace and (late := began + number / self.pace - time.perf_counter()) > 0.005:
                    await asyncio.sleep(late)
                await queue.put(token)
            await queue.put(None)

        self._arrival = asyncio.create_task(arrive())
        return queue

    async def _draw_ours(self) -> None:
        queue = await self._arriving()
        turn = await self.query_one(Transcript).begin(TurnState("model", "and at night"))
        while (token := await queue.get()) is not None:
            turn.show_event(Delta(token), time.time())
        turn.show_event(Finished("stop", output_tokens=self.count), time.time())
        drawn = asyncio.Event()
        watch = self.set_interval(0.01, lambda: drawn.set() if turn.settled else None)
        await drawn.wait()
        watch.stop()

    async def _draw_static(self) -> None:
        queue = await self._arriving()
        answer = Static(markup=False)
        await self.query_one("#turns").mount(answer)
        text, shown = "", time.perf_counter()
        while (token := await queue.get()) is not None:
            text += token
            if time.perf_counter() - shown > 1 / 30:
                answer.update(text)
                shown = time.perf_counter()
        answer.update(text)

    async def _draw_stream(self) -> None:
        queue = await self._arriving()
        answer = Markdown()
        await self.query_one("#turns").mount(answer)
        stream = Markdown.get_stream(answer)
        while (token := await queue.get()) is not None:
            await stream.write(token)
        await stream.stop()

    async def _draw_log(self) -> None:
        queue = await self._arriving()
        log, line = self.query_one(RichLog), ""
        while (token := await queue.get()) is not None:
            line += token
            if "\n" in line:
                whole, _, line = line.rpartition("\n")
                log.write(whole)
