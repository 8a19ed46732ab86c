"""The tables of the README are those of the code."""

import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest

from okr_tui.cli.main import root
from okr_tui.domain.health import State
from okr_tui.settings.table import GROUPS, TABLE
from okr_tui.ui.actions import ACTIONS
from screenshots import readme
from screenshots.sentences import sentences


@pytest.mark.parametrize("path", readme.DOCUMENTS, ids=lambda path: path.name)
def test_the_tables_are_up_to_date(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert readme.written(path, text) == text, "run python -m screenshots.readme"


def test_every_slow_test_says_why() -> None:
    assert [name for name, reason in readme.slow_marks() if not reason] == []


def test_the_table_has_every_action_once() -> None:
    shown = sorted(line.split(" | ")[-1].removesuffix(" |") for line in list(readme.keys_table())[2:])
    assert shown == sorted(action.tooltip for action in ACTIONS)


def test_the_tables_have_every_setting_with_words_once() -> None:
    tables = [table for name, table in readme.TABLES.items() if name.startswith("settings")]
    names = [line.split("`")[1].removeprefix("okr-tui.") for table in tables for line in list(table())[2:]]
    assert sorted(names) == sorted([*GROUPS, *(row.name for row in TABLE if row.words)])


def test_a_readme_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="<!-- keys -->"):
        readme.written(readme.README, "nothing here")


TEXT = readme.README.read_text(encoding="utf-8")
# tests/cli/test_help.py types the examples.
TEXT_OUTSIDE_TABLES = re.sub(r"<!-- (commands|examples) -->.*?<!-- /\1 -->", "", TEXT, flags=re.DOTALL)
WORD = r"""(?:"[^"]*"|'[^'\n]*'|[^ |<>;&)"',]+)"""
PLACEHOLDERS = {"N": "1", "CLIENT": "pi"}


def _commands() -> list[list[str]]:
    """Return the arguments of every okr-tui command that the README names, in a block or in its text."""
    blocks = re.findall(r"^```(?:sh|console|tmux|jsonc|toml)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    words = re.findall(r"`([^`\n]*okr-tui [^`\n]*)`", TEXT_OUTSIDE_TABLES)
    called = [
        found
        for text in [*"\n".join(blocks).splitlines(), *words]
        for found in re.findall(rf"(?:^|[ /\"|(])okr-tui((?: +{WORD})+)", text)
    ]
    return [[PLACEHOLDERS.get(word, word) for word in shlex.split(each)] for each in called]


@pytest.mark.parametrize("arguments", _commands(), ids=" ".join)
def test_every_command_named_is_one(arguments: list[str]) -> None:
    context: click.Context = root.make_context("okr-tui", list(arguments))
    command: click.Command = root
    while isinstance(command, click.Group):
        words = [*context._protected_args, *context.args]
        if not words:  # the dashboard, with options
            return
        _, found, rest = command.resolve_command(context, words)
        assert found is not None
        command = found
        if not rest:  # its name alone: the text speaks of it
            return
        context = command.make_context(command.name, rest, parent=context)


def test_commands_are_found() -> None:
    assert ["demo"] in _commands()
    assert ["chat", "gpt-oss:20b", "what changed?"] in _commands()


@pytest.mark.parametrize(("words", "picture"), re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", TEXT))
def test_every_picture_is_there_and_described(words: str, picture: str) -> None:
    assert (readme.README.parent / picture).is_file()
    assert len(words) > len("a picture")


@pytest.mark.parametrize("target", re.findall(r"(?<!!)\[[^\]]*\]\(([^)]*)\)", TEXT))
def test_every_link_leads_somewhere(target: str) -> None:
    if target.startswith("#"):
        headings = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
        assert target[1:] in [re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in headings]
    elif not urlsplit(target).scheme:
        assert (readme.README.parent / target).is_file()
    else:
        assert urlsplit(target).scheme == "https"


OTHERS_SAY = {
    "okr-tui: command not found",
    "externally-managed-environment",
    "requires a different Python",
}
"""Messages of shells and of pip."""
NOT_SENTENCES = {state.value for state in State} | {"?", "insufficient_quota", "no_valid_key"}
SYMPTOMS = re.findall(r"^\| ([^|]+) \|", TEXT.partition("| you see |")[2].partition("\n\n")[0], re.MULTILINE)


def test_every_message_of_the_troubleshooting_exists() -> None:
    said = "\n".join(sentences())
    quoted = {message for symptom in SYMPTOMS for message in re.findall(r"`([^`]+)`", symptom)}
    assert len(quoted) > 15
    quoted -= OTHERS_SAY | NOT_SENTENCES
    assert [message for message in quoted if re.sub(r"\d+", "{}", message) not in said] == []
