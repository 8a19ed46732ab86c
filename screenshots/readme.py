"""Write the table of keys into README.md from the table of actions: `python screenshots/readme.py`."""

import sys
from collections.abc import Iterator
from pathlib import Path

from okr_tui.ui.actions import groups

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- keys -->\n", "<!-- /keys -->\n"


def table() -> str:
    """Every action with its keys, under its heading."""
    return "\n".join(_rows()) + "\n"


def _rows() -> Iterator[str]:
    yield "| | key | does |"
    yield "|---|---|---|"
    for heading, actions in groups().items():
        for number, action in enumerate(actions):
            keys = " ".join(f"`{key}`" for key in action.shown.split())
            yield f"| {'' if number else heading} | {keys} | {action.tooltip} |"


def written(text: str) -> str:
    """The text of the README with the table between its marks. Raises ValueError where a mark is missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{README.name} has no {BEGIN.strip()} ... {END.strip()}")
    return f"{before}{begin}{table()}{end}{after}"


def main() -> int:
    """Write the file; answers 1 when it was out of date."""
    old = README.read_text(encoding="utf-8")
    new = written(old)
    README.write_text(new, encoding="utf-8")
    return int(old != new)


if __name__ == "__main__":
    sys.exit(main())
