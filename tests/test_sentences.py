"""Every sentence that the program can say is collected, and all keep one style."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from okr_tui.cli.main import VERBS, root
from okr_tui.services.doctor import REMEDIES
from screenshots.sentences import COLLECTION, TOP, sentences

LAYOUT = ("okr_tui/cli/units.py", "okr_tui/demo/answers.py", "okr_tui/cli/completion.py")
"""Modules with texts that are documents of their own: units, Markdown."""
ERRORS = ("OkrError", "SettingsError", "StoreError", "ChatError", "failure", "failure_error")
NAMES = re.compile(
    r"[a-z\"'`{.(/#-]|[A-Z]+_[A-Z]|Codex|HTTP|NaN|WebSockets|Invalid key index|Model not found"
)
"""How an error may begin, since it comes after what it is about: lower case, or a name."""

STYLE = {
    "two blanks in a row": r"\S  +(?!\[default|\{|[a-z]$)\S",
    "a curly quote or apostrophe": r"[‘’]|(?<!^)“",
    "three dots for an ellipsis": r"(?<![\[{\"/])(?<!: )\.\.\.",
    "a blank before an ellipsis": r"\w …",
    "a key's name in capitals": r"\b(?:Ctrl|CTRL|Esc|ESC|Enter|Tab)\b",
    "an old or private word": (
        r"(?i)\b(?:nobody|beside|anew|whilst|wholly|whatsoever|thereof|hitherto|shelf|roster|trail|claims|"
        r"talks?|visit|meter|(?:is|are) told|goes round|put right|of ours|system keyring)\b"
    ),
    "an exclamation": r"[a-z]!(?: |$)",
    "two punctuation marks": r"(?<!\.)[.,;][,;](?= |$)",
    "a blank before a punctuation mark": r"\w [,;!?](?: |$)",
}


def said() -> list[tuple[str, str]]:
    """Return every sentence after its module."""
    return [(module, text) for module, _, text in (each.partition(": ") for each in sentences())]


def test_the_collection_is_up_to_date() -> None:
    kept = COLLECTION.read_text(encoding="utf-8").splitlines()
    new, gone = sorted({*sentences()} - {*kept}), sorted({*kept} - {*sentences()})
    assert (new, gone) == ([], []), "read the new ones, then run python -m screenshots.sentences"


@pytest.mark.parametrize("rule", STYLE)
def test_every_sentence_keeps_the_style(rule: str) -> None:
    wrong = [each for each in said() if each[0] not in LAYOUT and re.search(STYLE[rule], each[1])]
    assert wrong == []


def test_no_sentence_is_too_long() -> None:
    helps = {re.sub(r"\s*\n\s*", " ", command.help or "").strip() for command in _commands(root)}
    long = [each for each in said() if len(each[1]) > 250 and each[0] not in LAYOUT and each[1] not in helps]
    assert long == []


def test_every_command_that_is_named_exists() -> None:
    named = {
        (module, verb)
        for module, text in said()
        for verb in re.findall(r"(?:`|\brun |\bsee |; |or |use )okr-tui ([a-z][a-z-]*)", text)
    }
    assert len(named) > 20
    assert {(module, verb) for module, verb in named if verb not in VERBS} == set()


def test_every_problem_that_doctor_has_a_remedy_for_is_reported() -> None:
    whole = "\n".join(text for module, text in said() if module != "okr_tui/services/doctor.py")
    composed = {"entries ignored", "entry ignored", "cloudUrl cannot be used"}  # with a number or a name
    assert [words for words, _ in REMEDIES if words not in whole and words not in composed] == []


def test_help_is_in_sentences() -> None:
    for command in _commands(root):
        first = (command.help or "").partition("\n\n")[0].strip()
        assert re.fullmatch(r"[A-Z].*\.", first, re.DOTALL), (command.name, first)
        for option in command.params:
            words = getattr(option, "help", None)
            assert words is None or re.search(r"[.\]?]$|^sqlite:|^How far", words), (command.name, words)


def test_errors_continue_after_a_colon() -> None:
    raised = [(path.name, text) for path in (TOP / "okr_tui").rglob("*.py") for text in _raised(path)]
    assert len(raised) > 100
    assert [each for each in raised if not NAMES.match(each[1]) or re.search(r"[a-z]\.$", each[1])] == []


def _commands(group: click.Group) -> Iterator[click.Command]:
    """Yield every command of a group, and those of its groups."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield command
        if isinstance(command, click.Group):
            yield from _commands(command)


def _raised(path: Path) -> Iterator[str]:
    """Yield the texts that a module's errors are made with."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            name, text = ast.unparse(node.exc.func), node.exc.args[0]
            if name in ERRORS:
                if isinstance(text, ast.JoinedStr):
                    yield "".join(
                        str(each.value) if isinstance(each, ast.Constant) else "{}" for each in text.values
                    )
                elif isinstance(text, ast.Constant) and isinstance(text.value, str):
                    yield text.value
