"""`python -m tests.bench [NAME ...]`: measure every row, or those whose name begins so, and print a table.

Floor and ours take turns, round after round, so that what else the machine does hits both. `--readme` writes
the table into the README too.
"""

import argparse
import contextlib
import importlib.util
import platform
import re
import sys
from dataclasses import replace
from pathlib import Path

from tests.bench import home
from tests.bench.row import Result, Row, table
from tests.bench.rows import ROWS

README = Path(__file__).parents[2] / "README.md"
SECTION = re.compile(r"(?<=<!-- performance -->\n).*?(?=<!-- /performance -->)", re.DOTALL)


def chosen(names: list[str]) -> list[Row]:
    """The rows whose name begins with one of the names; all without names."""
    found = [row for row in ROWS if not names or any(row.name.startswith(name) for name in names)]
    if not found:
        raise SystemExit(f"no row begins with {' or '.join(names)}: {', '.join(row.name for row in ROWS)}")
    return found


def measured(rows: list[Row]) -> list[Result]:
    """Measure rows one after another in one home."""
    results = []
    with home.made() as made:
        for row in rows:
            missing = [name for name in row.needs if importlib.util.find_spec(name) is None]
            if missing:
                sys.stderr.write(f"{row.name} left out: install {' and '.join(missing)}\n")
                continue
            sys.stderr.write(f"{row.name} ...\n")
            with row.given(made) if row.given else contextlib.nullcontext(made) as subject:
                results.append(row.measured(subject))
    return results


def main() -> int:
    """Measure and print; return 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--rounds", type=int, help="how often each row is measured")
    parser.add_argument("--list", action="store_true", help="name the rows and end")
    parser.add_argument("--readme", action="store_true", help="write the table into the README")
    options = parser.parse_args()
    rows = chosen(options.names)
    if options.rounds:
        rows = [replace(row, rounds=options.rounds) for row in rows]
    if options.list:
        sys.stdout.writelines(f"{row.name:24} {row.words}\n" for row in rows)
        return 0
    results = measured(rows)
    lines = "\n".join(table(results))
    sys.stdout.write(lines + "\n")
    if options.readme:
        machine = f"Measured on {platform.machine()} with CPython {platform.python_version()}."
        text = README.read_text(encoding="utf-8")
        README.write_text(SECTION.sub(lambda _: f"\n{machine}\n\n{lines}\n\n", text), encoding="utf-8")
    return int(not all(result.met for result in results))


if __name__ == "__main__":
    sys.exit(main())
