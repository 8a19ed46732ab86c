"""Output of commands: text, tables and JSON on standard output, notes on standard error."""

import json
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence

import click

# A terminal acts on these; a line feed and a tab are all that text needs of them.
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def safe(text: str) -> str:
    """Remove from a text what a terminal would act on."""
    return CONTROLS.sub("", text)


def show(text: str) -> None:
    """Print a line of the result."""
    click.echo(safe(text))


def note(text: str) -> None:
    """Print a line to standard error."""
    click.echo(safe(text), err=True)


def show_fitted(text: str) -> None:
    """Print a line of the result, cut to the width of the terminal if there is one."""
    show(cut(text, shutil.get_terminal_size().columns) if sys.stdout.isatty() else text)


def show_document(document: object) -> None:
    """Print the result as one JSON document."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))


def show_record(document: object) -> None:
    """Print one line of a result that is a stream of JSON documents."""
    click.echo(json.dumps(document, ensure_ascii=False))


def cells(text: str) -> int:
    """Return how many cells a terminal draws a text with."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def cut(text: str, width: int) -> str:
    """Cut a text to at most `width` cells."""
    if cells(text) <= width:
        return text
    while cells(text) >= width:
        text = text[:-1]
    return text + "…"


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Align the columns of rows, two blanks apart."""
    lines = [[safe(cell) for cell in row] for row in rows]
    widths = [max(map(cells, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell + " " * (width - cells(cell)) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    ]
