"""Collect what the program can say: `python -m screenshots.sentences` writes tests/sentences.txt.

A sentence is any text of two words or more in the code that is neither a docstring nor another language (SQL,
Lua, CSS, shell): messages, help, notices, errors, words of tables. What an f-string fills in stands as `{}`.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).parent.parent
COLLECTION = TOP / "tests" / "sentences.txt"
# Two words of prose beside each other: letters, perhaps a comma, a blank, letters.
PROSE = re.compile(r"[A-Za-z’')}\]]{2,}[,;:.]? +(?:[A-Za-z`{(']{1,}|\{\})")
OTHER_LANGUAGES = re.compile(
    r"^\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|PRAGMA|BEGIN|COMMIT|WITH|local |--)|redis\.call",
    re.MULTILINE,
)


def sentences() -> list[str]:
    """Return every sentence with its module, sorted, each once."""
    found = {
        f"{path.relative_to(TOP).as_posix()}: {line(text)}"
        for path in sorted((TOP / "okr_tui").rglob("*.py"))
        for text in texts(ast.parse(path.read_text(encoding="utf-8")))
        if PROSE.search(text) and not OTHER_LANGUAGES.search(text)
    }
    return sorted(found)


def texts(tree: ast.Module) -> Iterator[str]:
    """Yield every text of a module but its docstrings; those of commands are their help."""
    silent: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            described = getattr(node, "decorator_list", [])
            if not any("command" in ast.unparse(each) or "group" in ast.unparse(each) for each in described):
                silent.update(id(each.value) for each in node.body if isinstance(each, ast.Expr))
    for node in ast.walk(tree):
        if id(node) in silent:
            continue
        if isinstance(node, ast.JoinedStr):
            silent.update(id(each) for each in ast.walk(node) if isinstance(each, ast.Constant))
            yield joined(node)
            yield from (
                inner.value
                for part in node.values
                if isinstance(part, ast.FormattedValue)
                for inner in ast.walk(part.value)
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def joined(node: ast.JoinedStr) -> str:
    """Return the text of an f-string with `{}` for what is filled in."""
    return "".join(str(each.value) if isinstance(each, ast.Constant) else "{}" for each in node.values)


def line(text: str) -> str:
    """Return a text as one line, its line ends written out."""
    return text.strip("\n").replace("\n", "\\n")


def main() -> int:
    """Write the file; return 1 when it was out of date."""
    old = COLLECTION.read_text(encoding="utf-8") if COLLECTION.exists() else ""
    new = "".join(f"{each}\n" for each in sentences())
    COLLECTION.write_text(new, encoding="utf-8")
    return int(old != new)


if __name__ == "__main__":
    sys.exit(main())
