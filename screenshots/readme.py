"""Write the tables of README.md and CONTRIBUTING.md from the code: `python -m screenshots.readme`.

The keys come from the table of actions, the commands from the table of verbs, the settings from theirs, the
slow tests from the reasons at their marks.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import click

from okr_tui.cli.help import EXAMPLES, EXIT_CODES, VERB_CODES
from okr_tui.cli.main import VERBS, root
from okr_tui.settings.table import GROUPS, OURS, TABLE
from okr_tui.ui.actions import groups

TOP = Path(__file__).parent.parent
README = TOP / "README.md"
CONTRIBUTING = TOP / ".github" / "CONTRIBUTING.md"


def keys_table() -> Iterator[str]:
    """Yield every action with its keys, under its heading."""
    yield "| | key | does |"
    yield "|---|---|---|"
    for heading, actions in groups().items():
        for number, action in enumerate(actions):
            keys = " ".join(f"`{key}`" for key in action.shown.split())
            yield f"| {'' if number else heading} | {keys} | {action.tooltip} |"


def commands_table() -> Iterator[str]:
    """Yield every command with its arguments and options; `--json` and `--help` are left to the text."""
    yield "| command | options | does |"
    yield "|---|---|---|"
    for name, (_, words) in VERBS.items():
        context = click.Context(root)
        command = root.get_command(context, name)
        if words and command is not None:
            yield f"| {_code(_usage(name, command))} | {' '.join(map(_code, _options(command)))} | {words} |"


def examples() -> Iterator[str]:
    """Yield the examples that the verbs' help shows."""
    shown = [example for verb in VERBS for example in EXAMPLES.get(verb, ())]
    yield "| command | does |"
    yield "|---|---|"
    for command, what in shown:
        yield f"| {_code(command)} | {what} |"


def exit_codes() -> Iterator[str]:
    """Yield what exit codes mean, and what they mean for single verbs."""
    yield "| exit code | means |"
    yield "|---|---|"
    for code, words in EXIT_CODES.items():
        yield f"| {code} | {words} |"
    for verb, words in VERB_CODES.items():
        yield f"| {_code(verb)} | {words} |"


def settings_table() -> Iterator[str]:
    """Yield every setting that stands in a section itself, and every group."""
    yield "| setting | environment | what it is |"
    yield "|---|---|---|"
    for row in TABLE:
        if row.words and not row.group:
            name = row.name if row.section != OURS else f"{OURS}.{row.name}"
            yield f"| {_code(name)} | {_code(row.variable) if row.variable else ''} | {row.words} |"
    for group, words in GROUPS.items():
        yield f"| {_code(f'{OURS}.{group}')} | | {words} |"


def group_table(group: str) -> Iterator[str]:
    """Yield every setting of a group."""
    yield "| setting | what it is |"
    yield "|---|---|"
    for row in TABLE:
        if row.group == group:
            yield f"| {_code(f'{OURS}.{row.name}')} | {row.words} |"


def _usage(name: str, command: click.Command) -> str:
    if isinstance(command, click.Group):
        return f"{name} {'|'.join(command.commands)}"
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    return " ".join([name, *filter(None, (each.make_metavar(click.Context(command)) for each in arguments))])


def _options(command: click.Command) -> list[str]:
    options = (each for each in command.params if isinstance(each, click.Option) and not each.hidden)
    return [each.opts[0] for each in options if each.opts[0] != "--json"]


def _code(text: str) -> str:
    """Return a text as code within a table."""
    return "`{}`".format(text.replace("|", "\\|"))


def slow_marks() -> Iterator[tuple[str, str]]:
    """Yield every test file with the marker slow, and the reason it gives; "" for a marker without one."""
    tests = TOP / "tests"
    for path in sorted([*tests.glob("test_*.py"), *tests.glob("*/test_*.py")]):
        text = path.read_text(encoding="utf-8")
        for reason in re.findall(r"@?pytest\.mark\.slow\b(?:\(reason=\"(.+?)\"\))?", text):
            yield path.relative_to(TOP).as_posix(), reason


def slow_table() -> Iterator[str]:
    """Yield every reason why tests are slow, with their files."""
    yield "| slow, since it | file |"
    yield "|---|---|"
    files: dict[str, list[str]] = {}
    for name, reason in dict.fromkeys(slow_marks()):
        files.setdefault(reason, []).append(_code(name))
    yield from (f"| {reason} | {', '.join(names)} |" for reason, names in sorted(files.items()))


TABLES: Final[Mapping[str, Callable[[], Iterator[str]]]] = {
    "keys": keys_table,
    "commands": commands_table,
    "examples": examples,
    "exit codes": exit_codes,
    "settings": settings_table,
    "settings of the chat": partial(group_table, "chat"),
    "settings of the gateway": partial(group_table, "gateway"),
    "settings of the alerts": partial(group_table, "alerts"),
    "settings of the models": partial(group_table, "models"),
}


DOCUMENTS: Final[Mapping[Path, Mapping[str, Callable[[], Iterator[str]]]]] = {
    README: TABLES,
    CONTRIBUTING: {"slow tests": slow_table},
}


def written(path: Path, text: str) -> str:
    """Return a document's text with its tables between their marks. Raises ValueError without a mark."""
    for name, table in DOCUMENTS[path].items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"{path.name} has no {begin.strip()} ... {end.strip()}")
        text = "".join([before, begin, *(f"{row}\n" for row in table()), end, after])
    return text


def main() -> int:
    """Write the files; return 1 when one was out of date."""
    changed = False
    for path in DOCUMENTS:
        old = path.read_text(encoding="utf-8")
        new = written(path, old)
        path.write_text(new, encoding="utf-8")
        changed |= old != new
    return int(changed)


if __name__ == "__main__":
    sys.exit(main())
