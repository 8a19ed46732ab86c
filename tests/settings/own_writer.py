"""A process that counts in a settings file: `python -m tests.settings.own_writer PATH NAME EDITS`.

It adds one to `NAME` of the section `okr-tui` with each edit, and prints what it came to; EDITS 0 is no end.
"""

import sys
from itertools import count
from pathlib import Path

from okr_tui.settings.file import change


def main() -> None:
    """Count; exit 1 when an edit was refused, or was gone again right after."""
    path, name, edits = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    values: list[int] = []

    def add(value: object) -> int:
        assert isinstance(value, int)
        values.append(value + 1)
        return values[-1]

    for _ in range(edits) if edits else count():
        if not change(path, "okr-tui", name, add).kept:
            sys.exit(f"{name} was {values[-1]} and is not any more")
        sys.stdout.write(f"{values[-1]}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
