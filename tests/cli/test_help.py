"""Help, examples and completion: what they name exists, and nothing is asked while a person types."""

import json
import re
import shlex
from collections.abc import Callable

import click
import pytest

from okr_tui.cli.completion import SHELLS
from okr_tui.cli.help import EXAMPLES, TOPICS, VERB_CODES
from okr_tui.cli.main import root
from okr_tui.domain.keys import mask
from tests.cli.harness import MODEL, CliHarness, verbs_of


def parsed(command: str) -> None:
    """Parse a command of an example as far as its own words; it is not run."""
    words = shlex.split(command.replace("$(", "").replace(")", ""), comments=True)
    words = words[words.index("okr-tui") + 1 :]
    for end in ("|", ">", "<", ">/dev/null", "bash\\"):
        words = words[: words.index(end)] if end in words else words
    verb = root.get_command(click.Context(root), words[0])
    assert verb, command
    if isinstance(verb, click.Group):
        verb, words = verb.commands[words[1]], words[1:]
    verb.make_context(words[0], words[1:], resilient_parsing=False)


@pytest.mark.parametrize("verb", EXAMPLES)
def test_every_example_can_be_typed(verb: str) -> None:
    for command, what in EXAMPLES[verb]:
        if not command.startswith("eval"):
            parsed(command)
        assert f" {verb}" in command
        assert what


def test_every_verb_has_an_example_and_codes_are_about_verbs() -> None:
    verbs = {name for name, _ in verbs_of(root) if name != "traffic"}
    groups = {"config", "conversations", "token"}
    assert {*EXAMPLES} == verbs | groups
    assert {*VERB_CODES} <= verbs


@pytest.mark.parametrize("verb", EXAMPLES)
def test_the_help_of_every_verb_has_examples_and_exit_codes(cli: CliHarness, verb: str) -> None:
    for arguments in ((*verb.split(), "--help"), ("help", *verb.split())):
        text = cli.run_ok(*arguments).out
        assert EXAMPLES[verb][0][0] in text
        assert "0 done, 1 failed, 2 usage, 130 interrupted" in text
    assert EXAMPLES[verb][0][0] in cli.run_ok("help", *verb.split(), "--json").json["text"]


@pytest.mark.parametrize("topic", TOPICS)
def test_topics(cli: CliHarness, topic: str) -> None:
    assert len(cli.run_ok("help", topic).out.splitlines()) > 3
    assert topic in cli.run_ok("help").out


def test_an_unknown_topic_names_the_known_ones(cli: CliHarness) -> None:
    result = cli.run("help", "tropics")
    assert result.code == 2
    assert "topics are settings, environment" in result.err


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (("help", "setings"), "settings"),
        (("help", "config", "sett"), "set"),
        (("sttus",), "status"),
        (("config", "exprt"), "export"),
        (("token", "rotat"), "rotate"),
        (("conversations", "delte"), "delete"),
    ],
)
def test_what_was_probably_meant_is_suggested(cli: CliHarness, typed: tuple[str, ...], meant: str) -> None:
    result = cli.run(*typed)
    assert result.code == 2
    assert re.search(rf"id you mean '?{meant}", result.err)


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_for_shells(cli: CliHarness, shell: str) -> None:
    text = cli.run_ok("completion", shell).out
    assert "_OKR_TUI_COMPLETE" in text
    assert f"{shell}_complete" in text


@pytest.fixture
def offered(cli: CliHarness, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Return what a shell is offered after these words, the last of them unfinished."""

    def complete(*words: str) -> list[str]:
        line = ["okr-tui", *cli.where, *words]
        monkeypatch.setenv("_OKR_TUI_COMPLETE", "fish_complete")
        monkeypatch.setenv("COMP_WORDS", shlex.join(line[:-1]))
        monkeypatch.setenv("COMP_CWORD", line[-1])
        try:
            lines = cli.run_ok().out.splitlines()
            return [each.removeprefix("plain,") for each in lines if each]
        finally:
            monkeypatch.delenv("_OKR_TUI_COMPLETE")

    return complete


def test_key_numbers_models_and_settings_are_completed(
    cli: CliHarness, offered: Callable[..., list[str]]
) -> None:
    assert offered("use-key", "") == [
        f"{number}\t{mask(text)} {label}" for number, (text, label) in enumerate(cli.keys, 1)
    ]
    assert [each.split("\t")[0] for each in offered("use-key", "amb")] == ["1", "2"]
    assert offered("chat", "gpt") == []
    cli.run_ok("refresh")
    assert MODEL in offered("chat", "gpt")
    assert offered("explain", MODEL[:-1]) == [MODEL]
    assert "gateway.port" in offered("config", "set", "gateway.")
    assert any(each.startswith("doctor") for each in offered("doc"))


def test_completion_runs_no_command_for_a_key(cli: CliHarness, offered: Callable[..., list[str]]) -> None:
    document = json.loads(cli.settings_file.read_text())
    document["pi-ollama"]["apiKeys"] = [f"!touch {cli.folder / 'ran'}", "$WORK_KEY"]
    cli.settings_file.write_text(json.dumps(document))
    assert offered("use-key", "") == ["1\t!command", "2\t$WORK_KEY"]
    cli.settings_file.write_text("{")
    assert offered("use-key", "") == []
    assert not (cli.folder / "ran").exists()
