"""Output of commands: text, tables and JSON on standard output, notes on standard error.

This is the door by which text leaves for the terminal: nothing in it steers the terminal, and what is one
line stays one. No other module of the commands writes to either stream.
"""

import json
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import click

from okr_tui.domain.text import drawable, drawable_lines


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


LONG: Final = 100
SCHEMA: Final = 1
"""The version of all documents: fields may be added to one, and none is changed or removed."""


def show_document(document: Mapping[str, object]) -> None:
    """Print the result as one JSON document."""
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
    click.echo(_json({"schema": SCHEMA, **document}))


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


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Align the columns of rows, two blanks apart."""
    lines = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(cells, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell + " " * (width - cells(cell)) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    ]
