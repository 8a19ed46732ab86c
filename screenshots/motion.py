"""Several pictures of a terminal as one that moves: what frames share, rows and styles, is in it once."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Final

CELL: Final = (12.2, 24.4)
"""Width and height of a cell in Textual's own pictures."""
EDGE: Final = 10
STYLE: Final = re.compile(r"\.(terminal-\d+-r\d+) \{ (.*?) \}")
RECT: Final = re.compile(r'<rect fill="([^"]+)" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"')
TEXT: Final = re.compile(
    r'<text class="([^"]+)" x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"[^>]*>([^<]*)</text>'
)


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture as Textual exports it, how many seconds it stays, and a line that says what is seen."""

    svg: str
    seconds: float
    caption: str


class Styles:
    """A short class name for each style that occurs."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def name(self, style: str) -> str:
        """The class of a style."""
        return self.names.setdefault(style, f"s{len(self.names)}")


def rows_of(svg: str, styles: Styles) -> list[str]:
    """The rows of a picture, from top to bottom, each as elements with an x and no y of their own."""
    known = dict(STYLE.findall(svg))
    rows: dict[int, list[str]] = {}
    for fill, x, y, width in RECT.findall(svg):
        rows.setdefault(round(float(y) / CELL[1]), []).append(
            f'<rect fill="{fill}" x="{x}" width="{width}" height="24.7"/>'
        )
    for name, x, y, length, text in TEXT.findall(svg):
        if text.replace("&#160;", "").strip():
            style = styles.name(known[name])
            rows.setdefault(int(float(y) / CELL[1]), []).append(
                f'<text class="{style}" x="{x}" y="18.5" textLength="{length}">{text}</text>'
            )
    return ["".join(rows.get(number, [])) for number in range(max(rows) + 1)]


def moving(frames: Sequence[Frame], size: tuple[int, int], background: str) -> str:
    """The frames one after the other, without end; `size` is in cells."""
    styles = Styles()
    pictures = [rows_of(frame.svg, styles) for frame in frames]
    ends = [sum(frame.seconds for frame in frames[: place + 1]) for place in range(len(frames))]
    begins = [0.0, *ends[:-1]]
    spans: dict[tuple[float, float], str] = {}
    body: list[str] = []
    for number in range(size[1]):
        shown = [picture[number] if number < len(picture) else "" for picture in pictures]
        body += _row(shown, begins, ends, spans, f'<g transform="translate(0,{number * CELL[1]:.1f})"')
    captions = [
        f'<text class="caption" x="0" y="18.5">{escape(frame.caption)}</text>' if frame.caption else ""
        for frame in frames
    ]
    body += _row(
        captions, begins, ends, spans, f'<g transform="translate(0,{(size[1] + 0.6) * CELL[1]:.1f})"'
    )
    width, height = size[0] * CELL[0] + 2 * EDGE, (size[1] + 1.8) * CELL[1] + 2 * EDGE
    rules = "\n".join(
        [*(f".{name} {{ {style} }}" for style, name in styles.names.items()), *_times(spans, ends[-1])]
    )
    rows = "\n".join(body)
    return f"""<svg viewBox="0 0 {width:.0f} {height:.0f}" xmlns="http://www.w3.org/2000/svg">
<style>
text {{ font: 20px "Fira Code", Menlo, Consolas, monospace; white-space: pre; }}
.caption {{ fill: #d5dbe5; }}
{rules}
</style>
<rect fill="{background}" width="100%" height="100%" rx="8"/>
<g transform="translate({EDGE},{EDGE})">
{rows}
</g>
</svg>
"""


def _row(
    shown: Sequence[str],
    begins: Sequence[float],
    ends: Sequence[float],
    spans: dict[tuple[float, float], str],
    group: str,
) -> Iterator[str]:
    """A row through all frames: what stays the same is there once, for as long as it stays."""
    for text, places in groupby(range(len(shown)), shown.__getitem__):
        stays = list(places)
        if not text:
            continue
        if len(stays) == len(shown):
            yield f"{group}>{text}</g>"
            continue
        span = (begins[stays[0]], ends[stays[-1]])
        yield f'{group} class="{spans.setdefault(span, f"t{len(spans)}")}">{text}</g>'


def _times(spans: dict[tuple[float, float], str], whole: float) -> Iterator[str]:
    """The rules that show each group in its time alone; where nothing moves, the first frame is seen."""
    for (begin, end), name in spans.items():
        on, off = 100 * begin / whole, 100 * end / whole
        steps = ["0% { visibility: hidden }"] if begin else []
        steps += [f"{on:.3f}% {{ visibility: visible }}"]
        steps += [f"{off:.3f}%, 100% {{ visibility: hidden }}"] if end < whole else []
        yield f"@keyframes {name} {{ {' '.join(steps)} }}"
        hidden = "visibility: hidden; " if begin else ""
        yield f".{name} {{ {hidden}animation: {name} {whole:g}s step-end infinite }}"
