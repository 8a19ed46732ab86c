"""Collect what the program can say: `python -m screenshots.sentences` writes tests/sentences.txt.

A sentence is any text of two words or more in the code that is neither a docstring nor another language (SQL,
Lua, patterns, types, styles): messages, help, notices, errors, words of tables. Docstrings of commands are
their help. What an f-string fills in stands as `{}`.
"""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TOP = Path(__file__).parent.parent
COLLECTION = TOP / "tests" / "sentences.txt"
NOT_OURS = (
    "okr_tui/demo/catalogue.py",
    "okr_tui/demo/api.py",
    "okr_tui/demo/dialects.py",
)
"""Modules whose texts are the cloud's own words, or code."""
PROSE = re.compile(r"[A-Za-z')}\]]{2,}[,;:.]? +(?:[A-Za-z`{(']|\{\})")
OTHER_LANGUAGES = re.compile(
    r"^\s*(?:select|pragma|left join|coalesce|begin immediate|insert (?:into|or)|update \w+ set|delete from|"
    r"create (?:table|index|unique|virtual|trigger)|alter table|where c\.|words join|turn t |[ct]\.\w+|null,)"
    r"|redis\.call|\(\?|\\[bdw]|^(?:Callable|tuple|Mapping|AbstractAsync)\W|^(?:bold|reverse|\$text)|"
    r"charset=|^#\w+, "
)


@cache
def sentences() -> tuple[str, ...]:
    """Return every sentence with its module, sorted, each once."""
    found = set()
    for path in (TOP / "okr_tui").rglob("*.py"):
        name = path.relative_to(TOP).as_posix()
        if name not in NOT_OURS:
            found |= {f"{name}: {line(text)}" for text in texts(path) if is_prose(text)}
    return tuple(sorted(found))


def is_prose(text: str) -> bool:
    """Return whether a text has two words, in English."""
    return bool(PROSE.search(text)) and not OTHER_LANGUAGES.search(text)


def texts(path: Path) -> Iterator[str]:
    """Yield every text of a module but its docstrings."""
    done: set[int] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):  # what holds a text comes before it
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = [ast.unparse(each) for each in getattr(node, "decorator_list", ())]
            if not any("command(" in each or "group(" in each for each in decorators):
                done.update(id(each.value) for each in node.body if isinstance(each, ast.Expr))
        elif id(node) in done:
            continue
        elif isinstance(node, ast.JoinedStr):
            done.update(id(each) for each in node.values)
            yield "".join(str(each.value) if isinstance(each, ast.Constant) else "{}" for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def line(text: str) -> str:
    """Return a text as one line: paragraphs and indents become single blanks, an indent at the end goes."""
    return re.sub(r"\s*\n\s*", " ", text.strip("\n").rstrip() if "\n" in text else text)


def main() -> int:
    """Write the file; return 1 when it was out of date."""
    old = COLLECTION.read_text(encoding="utf-8") if COLLECTION.exists() else ""
    new = "".join(f"{each}\n" for each in sentences())
    COLLECTION.write_text(new, encoding="utf-8")
    return int(old != new)


if __name__ == "__main__":
    sys.exit(main())
