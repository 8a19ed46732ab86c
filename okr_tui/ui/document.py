"""A Markdown text while it grows: what waits, what is made into parts, and the block that is still open."""

from collections import deque
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from okr_tui.domain.markdown_blocks import Block, Blocks
from okr_tui.ui.parts import EMPTY, Part, Piece

SLICE: Final = 4096
GAP: Final = Piece(EMPTY)


@dataclass
class Document:
    """A text with what was made of it; it outlives its widget, so an old answer comes back at once."""

    waiting: str = ""
    whole: bool = False
    blocks: Blocks = field(default_factory=Blocks)
    finished: deque[Block] = field(default_factory=deque)
    parts: list[Part] = field(default_factory=list)
    last: Block | None = None
    _texts: list[str] = field(default_factory=list)

    def append(self, text: str) -> None:
        """More text came."""
        self._texts.append(text)
        self.waiting += text

    @property
    def text(self) -> str:
        """All that came. Joined when asked for: adding to one long text for every token costs its length."""
        self._texts[:] = ["".join(self._texts)]
        return self._texts[0]

    @property
    def settled(self) -> bool:
        """Whether all that came is made into parts, but for the open block."""
        return not (self.waiting or self.finished or (self.whole and self.blocks.open.text))

    def work(self, seconds: float) -> None:
        """Go on with what waits for about this long, at least one step."""
        # Parsers and highlighters take 50 ms to load: the first paint does not wait for them.
        from okr_tui.ui.markdown import parts_of

        until = perf_counter() + seconds
        while not self.settled:
            if self.finished:
                block = self.finished.popleft()
                self.parts.extend((*self._gap(block), *parts_of(block)))
                self.last = block
            elif self.waiting:
                piece, self.waiting = self.waiting[:SLICE], self.waiting[SLICE:]
                self.finished.extend(self.blocks.feed(piece))
            else:
                self.finished.extend(self.blocks.close())
            if perf_counter() >= until:
                return

    def open_parts(self) -> list[Part]:
        """The block that still grows, as plain text; nothing while finished ones wait before it."""
        from okr_tui.ui.markdown import open_parts

        block = self.blocks.open
        parts = [] if self.finished else open_parts(block)
        return [*self._gap(block), *parts] if parts else []

    def _gap(self, block: Block) -> list[Part]:
        last = self.last
        if last is None or not block.begins or not block.text.strip():
            return []
        together = last.kind == block.kind == "item" and not last.loose
        return [] if together else [GAP]
