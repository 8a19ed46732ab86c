"""A row of the benchmark: a floor and ours, measured in turns, and the target that decides."""

import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

from tests.bench.home import Home

Unit = Literal["s", "ms", "%", "MiB", "1/s", "trips"]


@dataclass(frozen=True)
class Row:
    """One thing that is measured. `ours` and `floor` return one measurement, in `unit`.

    They get what `given` opens, the home without one. `judged` says what the target is for: how many times
    the floor, how much above the floor, or the value itself. `least` turns it round: it has to be reached.
    `needs` names packages that may not be installed.
    """

    name: str
    words: str
    unit: Unit
    target: float
    ours: Callable[[Any], float]
    floor: Callable[[Any], float] | None = None
    floor_words: str = ""
    judged: Literal["times", "above", "value"] = "times"
    least: bool = False
    rounds: int = 5
    warm: bool = True
    given: Callable[[Home], AbstractContextManager[Any]] | None = None
    needs: tuple[str, ...] = ()

    def measured(self, subject: Any) -> "Result":
        """Measure the floor and ours in turns; the first of each warms up and does not count."""
        if self.warm:
            for measure in filter(None, (self.floor, self.ours)):
                measure(subject)
        turns = [(self.floor(subject) if self.floor else 0.0, self.ours(subject)) for _ in range(self.rounds)]
        return Result(self, tuple(turns))


@dataclass(frozen=True)
class Result:
    """The measurements of a row: floor and ours of each round."""

    row: Row
    turns: tuple[tuple[float, float], ...]

    @property
    def judged(self) -> float:
        """What is compared with the target: the median of the rounds, each judged by itself."""
        match self.row.judged:
            case "times":
                return statistics.median(ours / floor for floor, ours in self.turns)
            case "above":
                return statistics.median(ours - floor for floor, ours in self.turns)
        return self.ours

    @property
    def floor(self) -> float:
        return statistics.median(floor for floor, _ in self.turns)

    @property
    def ours(self) -> float:
        return statistics.median(ours for _, ours in self.turns)

    @property
    def met(self) -> bool:
        row = self.row
        return self.judged >= row.target if row.least else self.judged <= row.target

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as it is printed."""
        row = self.row
        unit = "x" if row.judged == "times" else f" {row.unit}"
        floor = f"{self.floor:.3g} {row.unit}" if row.floor else ""
        above = "+" if row.judged == "above" else ""
        bound = f"{'>=' if row.least else '<='} {above}{row.target:g}{unit}"
        words = f"{row.words} / {row.floor_words}" if row.floor_words else row.words
        ours = f"{self.ours:.3g} {row.unit}"
        return words, floor, ours, f"{above}{self.judged:.3g}{unit}", bound, "met" if self.met else "missed"


HEADS = ("what / floor", "floor", "ours", "result", "target", "")


def table(results: list[Result]) -> Iterator[str]:
    """The results as a table of Markdown, which a terminal shows well too."""
    lines = [HEADS, *(result.cells for result in results)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(HEADS))]
    lines.insert(1, tuple("-" * width for width in widths))
    for line in lines:
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
