"""Write the tables of README.md from the code: `python -m screenshots.readme`.

The keys come from the table of actions, the commands from the table of verbs, the settings from theirs.
"""

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

README = Path(__file__).parent.parent / "README.md"


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


def written(text: str) -> str:
    """Return the text of the README with the tables between their marks. Raises ValueError without a mark."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"{README.name} has no {begin.strip()} ... {end.strip()}")
        text = "".join([before, begin, *(f"{row}\n" for row in table()), end, after])
    return text


def main() -> int:
    """Write the file; return 1 when it was out of date."""
    old = README.read_text(encoding="utf-8")
    new = written(old)
    README.write_text(new, encoding="utf-8")
    return int(old != new)


if __name__ == "__main__":
    sys.exit(main())
