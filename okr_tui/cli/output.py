"""Output of commands: text, tables and JSON on standard output, notes on standard error.

This is the door by which text leaves for the terminal: nothing in it steers the terminal, and what is one
line stays one. No other module of the commands writes to either stream.
"""

import io
import json
import os
import select
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Final

import click

from okr_tui.domain.errors import OutputError
from okr_tui.domain.text import drawable, drawable_lines

if TYPE_CHECKING:
    from typing_extensions import Buffer

BROKEN_PIPE: Final = 141
"""What a shell makes of SIGPIPE."""
STANDARD_ERROR: Final = 2


class _StandardStream(io.FileIO):
    """Standard output or standard error, as a file descriptor that is never closed."""

    def write(self, data: "Buffer", /) -> int:
        """Write and return the number of bytes.

        A reader that went away ends the command with BROKEN_PIPE. Raises OutputError where output cannot be
        written; a message that cannot be written is dropped, since nothing is left to report that on.
        """
        try:
            while (written := super().write(data)) is None:  # another program made it non-blocking
                select.select([], [self], [])
        except BrokenPipeError:
            if self.fileno() != STANDARD_ERROR:
                raise click.exceptions.Exit(BROKEN_PIPE) from None
        except OSError as error:
            if self.fileno() != STANDARD_ERROR:
                reason = (error.strerror or str(error)).lower()
                raise OutputError(f"standard output cannot be written: {reason}") from error
        else:
            return written
        return memoryview(data).nbytes


def guard_standard_streams() -> None:
    """Let text that the terminal's encoding lacks be replaced, and failed writes end a command in one way."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
        if isinstance(stream, io.TextIOWrapper) and stream is getattr(sys, f"__{name}__"):
            raw = _StandardStream(stream.fileno(), "w", closefd=False)
            guarded = io.TextIOWrapper(
                io.BufferedWriter(raw),
                encoding=stream.encoding,
                errors="replace",
                line_buffering=stream.line_buffering,
            )
            setattr(sys, name, guarded)


def give_up_output() -> None:
    """Drop what standard output still holds, which would fail again when the process ends."""
    with suppress(io.UnsupportedOperation):  # it is in memory
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def one_line(text: str) -> str:
    """Return a text on one line, without what a terminal would act on."""
    if text.isascii() and text.isprintable():
        return text
    return drawable(" ".join(text.splitlines()).replace("\t", " "))


def show(text: str) -> None:
    """Print a line of the result."""
    click.echo(one_line(text))


def show_text(text: str) -> None:
    """Print a result of several lines."""
    click.echo(drawable_lines(text))


def show_raw(text: str) -> None:
    """Print a text that another program reads, as it is."""
    click.echo(text)


def show_piece(text: str, *, err: bool = False) -> None:
    """Print a piece of an answer, without ending the line. Only a terminal is spared what it would act on."""
    stream = sys.stderr if err else sys.stdout
    click.echo(drawable_lines(text) if stream.isatty() else text, nl=False, err=err)


def note(text: str) -> None:
    """Print a line to standard error."""
    click.echo(one_line(text), err=True)


def note_text(text: str) -> None:
    """Print several lines to standard error."""
    click.echo(drawable_lines(text), err=True)


def show_fitted(text: str) -> None:
    """Print a line of the result, cut to the width of the terminal if there is one."""
    show(cut(one_line(text), shutil.get_terminal_size().columns) if sys.stdout.isatty() else text)


GAP: Final = "  "
INDENT: Final = "    "
NARROW: Final = 60
"""Cells below which a table that does not fit is shown as cards."""
LEAST_WIDTH: Final = 12
LONG: Final = 100
AT_ONCE: Final = 500
"""Lines that are written together, where all are known."""
SCHEMA: Final = 1
"""The version of all documents: fields may be added to one, and none is changed or removed."""


class _Results:
    """What a command has printed so far: `documents` counts those of JSON."""

    def __init__(self) -> None:
        self.documents = 0


RESULTS: Final = _Results()


def show_document(document: Mapping[str, object]) -> None:
    """Print the result as one JSON document."""
    RESULTS.documents += 1
    members = (f"  {_json(name)}: {_member(value)}" for name, value in {"schema": SCHEMA, **document}.items())
    click.echo("{\n" + ",\n".join(members) + "\n}")


def _member(value: object) -> str:
    """Return a part of a document over several lines; of a long list each item has one line.

    To indent takes Python ten times as long as to write a line.
    """
    if isinstance(value, list) and len(value) > LONG:
        return "[\n" + ",\n".join(f"    {_json(item)}" for item in value) + "\n  ]"
    return _json(value, indent=2).replace("\n", "\n  ")


def show_record(document: Mapping[str, object]) -> None:
    """Print one line of a result that is a stream of JSON documents."""
    RESULTS.documents += 1
    click.echo(_json({"schema": SCHEMA, **document}))


def show_records(documents: Iterable[Mapping[str, object]]) -> None:
    """Print lines of a result that is a stream of JSON documents and is there already: many at a time."""
    found = iter(documents)
    while lines := [_json({"schema": SCHEMA, **document}) for document in islice(found, AT_ONCE)]:
        RESULTS.documents += len(lines)
        click.echo("\n".join(lines))


def _json(document: object, indent: int | None = None) -> str:
    """Return a document as JSON; for a terminal in ASCII, since JSON escapes no direction marks by itself."""
    return json.dumps(document, ensure_ascii=sys.stdout.isatty(), indent=indent)


def cells(text: str) -> int:
    """Return how many cells a terminal draws a text with."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def cut(text: str, width: int) -> str:
    """Cut a text to at most `width` cells."""
    text = text[: 4 * width + 64]  # more is never shown, and each step below counts all cells
    if cells(text) <= width:
        return text
    while cells(text) >= width:
        text = text[:-1]
    return text + "…"


def table(rows: Iterable[Sequence[str]], *, headed: bool = False, figures: bool = False) -> list[str]:
    """Align the columns of rows, two blanks apart.

    On a terminal that is too narrow, cells go over several lines, and where that is not enough each row
    becomes a few lines of its own, with the headings repeated.

    headed: the first row has the headings. figures: all columns but the first are aligned to the right.
    """
    lines = [[one_line(cell) for cell in row] for row in rows]
    columns = list(zip(*lines, strict=True))
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    widths = _fitted(columns, room, headed=headed)
    if widths is None:
        return _cards(lines, room, headed=headed)
    return [line for row in lines for line in _row(row, widths, figures=figures)]


def _fitted(columns: Sequence[Sequence[str]], room: int, *, headed: bool) -> list[int] | None:
    """Return the widths of columns that have room for a table; None where they would become too narrow."""
    widths, gaps = [max(map(cells, column)) for column in columns], len(GAP) * (len(columns) - 1)
    if sum(widths) + gaps > room and len(widths) > 2 and room < NARROW:
        return None
    least = [_least(column, headed=headed) for column in columns]
    while sum(widths) + gaps > room:
        wide = [at for at, width in enumerate(widths) if width > least[at]]
        if not wide:
            return None
        widths[max(wide, key=lambda at: (widths[at], at))] -= 1
    return widths


def _least(column: Sequence[str], *, headed: bool) -> int:
    """Return the width that a column keeps: that of its contents up to LEAST_WIDTH, and no heading is cut."""
    words = max(map(cells, column[0].split()), default=0) if headed else 0
    return max(words, min(LEAST_WIDTH, max(map(cells, column[headed:]), default=0)))


def _row(row: Sequence[str], widths: Sequence[int], *, figures: bool) -> list[str]:
    columns = [wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
    lines = []
    for parts in zip_longest(*columns, fillvalue=""):
        filled = [" " * (width - cells(part)) for part, width in zip(parts, widths, strict=True)]
        padded = [
            fill + part if figures and at else part + fill
            for at, (part, fill) in enumerate(zip(parts, filled, strict=True))
        ]
        lines.append(GAP.join(padded).rstrip())
    return lines


def _cards(rows: Sequence[Sequence[str]], room: int, *, headed: bool) -> list[str]:
    """Return rows one below another: the first two cells, and indented all that follow."""
    headings, rows = (rows[0], rows[1:]) if headed else ([""] * len(rows[0]), rows)
    lines = []
    for row in rows:
        named = zip(headings, row, strict=True)
        first, *rest = [f"{head} {cell.strip()}".strip() for head, cell in named if cell.strip()] or [""]
        lines += _joined(first, rest[:1], GAP, room)
        lines += [INDENT + line for line in _joined("", rest[1:], " · ", room - len(INDENT)) if line]
    return lines


def _joined(first: str, parts: Sequence[str], between: str, room: int) -> list[str]:
    """Return texts one after another on as few lines as they need; one that fits on a line stays whole."""
    lines = wrapped(first, room)
    for part in parts:
        longer = f"{lines[-1]}{between}{part}" if lines[-1] else part
        if cells(longer) <= room:
            lines[-1] = longer
        else:
            lines += wrapped(part, room)
    return lines


def wrapped(text: str, width: int) -> list[str]:
    """Return a text as lines of at most `width` cells, broken at blanks where there are any."""
    if cells(text) <= width:
        return [text]
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if cells(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if cells(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines
