"""A Markdown text cut into its blocks while it still arrives. Pure: text in, finished blocks out.

The cut depends on the text alone, never on the pieces in which it came, and the blocks joined are the text.
Blocks are bounded, so whoever draws them pays for one at a time: a long fence comes in parts, a line that
never ends is cut.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["text", "item", "fence"]

LIMIT: Final = 4096
"""Characters after which a paragraph or a line is finished, wherever it stands."""
LONG_LIMIT: Final = 8192
"""The same for tables and list items, which lose their form when they are cut."""
FENCE_LIMIT: Final = 2048
"""The same for a part of a fence: colouring code costs most."""

_FENCE: Final = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})[ \t]*([^\s`]*)")
_HEADING: Final = re.compile(r" {0,3}#{1,6}(?:[ \t]|$)")
_BULLET: Final = re.compile(r" {0,3}[-*+][ \t]+\S")
_NUMBER: Final = re.compile(r" {0,3}(\d{1,9})[.)][ \t]+\S")
_NESTED: Final = 2
"""Columns of indentation that keep a line inside the list item above it."""


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a text that is drawn on its own.

    `begins` is False where it goes on from the block before, `ends` is False where the next one goes on.
    """

    text: str
    kind: Kind = "text"
    language: str = ""
    begins: bool = True
    ends: bool = True

    @property
    def loose(self) -> bool:
        """Whether a blank line follows."""
        return self.text.endswith("\n") and not self.text[:-1].rpartition("\n")[2].strip()

    @property
    def code(self) -> str:
        """What stands between the marks of a fence."""
        lines = self.text.split("\n") if not self.begins else self.text.lstrip().split("\n")[1:]
        if lines and not lines[-1].strip():
            lines.pop()
        if self.ends and lines:
            lines.pop()
        return "\n".join(lines)


class Blocks:
    """The state of the cut: the block that still grows, and the line that has not ended."""

    def __init__(self) -> None:
        self._done: list[Block] = []
        self._line = ""
        self._within_line = False
        self._begins = True
        self._fence = ""
        self._language = ""
        self._start("text")

    def _start(self, kind: Kind) -> None:
        self._kind: Kind = kind
        self._parts: list[str] = []
        self._size = 0
        self._written = False
        self._blank = False

    @property
    def open(self) -> Block:
        """What is not finished yet; its text may be empty."""
        return Block("".join(self._parts) + self._line, self._kind, self._language, self._begins, ends=False)

    def feed(self, text: str) -> list[Block]:
        """Take in a piece of text; return the blocks that it finished."""
        whole, place = self._line + text, 0
        while True:
            end = whole.find("\n", place, place + LIMIT) + 1
            if not end:
                if len(whole) - place < LIMIT:
                    break
                end = place + LIMIT
            self._take(whole[place:end])
            place = end
        self._line = whole[place:]
        return self._handed_over()

    def close(self) -> list[Block]:
        """End the text; return the blocks that were left."""
        if self._line:
            self._take(self._line)
            self._line = ""
        self._finish(ends=not self._fence)
        self._fence = self._language = ""
        return self._handed_over()

    def _handed_over(self) -> list[Block]:
        done, self._done = self._done, []
        return done

    def _take(self, line: str) -> None:
        within, self._within_line = self._within_line, not line.endswith("\n")
        if self._fence:
            self._add(line)
            bare = line.strip()
            if not within and len(bare) >= len(self._fence) and not bare.strip(self._fence[0]):
                self._fence = ""
                self._finish()
                self._language = ""
            return
        if within:
            self._add(line)
        elif not line.strip():
            self._add(line)
            self._blank = True
            if self._kind == "text" and self._written:
                self._finish()
        else:
            self._take_written(line)

    def _take_written(self, line: str) -> None:
        indent = len(line) - len(line.lstrip(" \t"))
        nested = self._kind == "item" and (indent >= _NESTED or line.startswith("\t"))
        if nested:
            self._add(line)
        elif fence := _FENCE.match(line.rstrip("\r\n")):
            self._begin("fence")
            self._fence, self._language = fence[1], fence[2]
            self._add(line)
        elif _HEADING.match(line):
            self._begin("text")
            self._add(line)
            self._finish()
        elif self._starts_item(line):
            self._begin("item")
            self._add(line)
        else:
            if self._kind == "item" and self._blank:
                self._begin("text")
            self._add(line)

    def _starts_item(self, line: str) -> bool:
        number = _NUMBER.match(line)
        interrupts = self._kind == "item" or not self._written
        return bool(_BULLET.match(line) or (number and (interrupts or int(number[1]) == 1)))

    def _begin(self, kind: Kind) -> None:
        if self._written:
            self._finish()
        kept, size = self._parts, self._size
        self._start(kind)
        self._parts, self._size = kept, size

    def _add(self, line: str) -> None:
        self._parts.append(line)
        self._size += len(line)
        if line.strip():
            self._written, self._blank = True, False
        opened = self._kind != "fence" or self._fence
        if self._size >= self._limit() and opened:
            self._finish(ends=False)

    def _limit(self) -> int:
        if self._kind == "fence":
            return FENCE_LIMIT
        long = self._kind == "item" or self._parts[0].lstrip().startswith("|")
        return LONG_LIMIT if long else LIMIT

    def _finish(self, *, ends: bool = True) -> None:
        if self._parts:
            block = Block("".join(self._parts), self._kind, self._language, self._begins, ends)
            self._done.append(block)
        self._begins = ends
        self._start("fence" if self._fence else "text")
