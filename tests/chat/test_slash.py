"""Slash commands: told from prompts, parsed, completed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.chat.slash import COMMANDS, complete, help_lines, is_command, parse

MODELS = ("gpt-oss:20b", "gpt-oss:120b", "kimi-k2.6")


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/help", True),
        ("/ollama-info kimi-k2.6", True),
        ("/export json /tmp/x.json", True),
        ("/tmp/picture.png", False),
        ("/", False),
        ("what /help does", False),
        ("/help\nand more", False),
    ],
)
def test_commands_differ_from_prompts(text: str, command: bool) -> None:
    assert is_command(text) is command


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("/Help", ("help", "")),
        ("/ollama-use-key  3 ", ("ollama-use-key", "3")),
        ("/ollama use-key 2", ("ollama-use-key", "2")),
        ("/ollama info kimi-k2.6", ("ollama-info", "kimi-k2.6")),
        ("/ollama STATUS", ("ollama", "STATUS")),
        ("/ollama", ("ollama", "")),
    ],
)
def test_parsing(text: str, parsed: tuple[str, str]) -> None:
    assert parse(text) == parsed


@pytest.mark.parametrize(
    ("text", "candidates"),
    [
        ("/ren", ("/rename ",)),
        ("/ollama-inf", ("/ollama-info ",)),
        ("/model gpt", ("/model gpt-oss:20b", "/model gpt-oss:120b")),
        ("/model 120", ("/model gpt-oss:120b",)),
        ("/compare kimi-k2.6 gpt-oss:2", ("/compare kimi-k2.6 gpt-oss:20b",)),
        ("/compare a b ", ()),
        ("/ollama-use-key ", ("/ollama-use-key 1", "/ollama-use-key 2")),
        ("/think l", ("/think low",)),
        ("/set temp", ("/set temperature",)),
        ("/set think h", ("/set think high",)),
        ("/tools ", ("/tools on", "/tools off")),
        ("/ollama ro", ("/ollama rotate",)),
        ("/nothing x", ()),
        ("hello", ()),
    ],
)
def test_completion(text: str, candidates: tuple[str, ...]) -> None:
    assert complete(text, MODELS, 2, ("low", "high")) == candidates


@given(st.text())
def test_a_completion_continues_what_was_typed(text: str) -> None:
    for candidate in complete(f"/{text}", MODELS, 3):
        assert candidate.startswith("/")
        assert is_command(candidate)


def test_help_has_a_line_for_each() -> None:
    assert len(help_lines()) == len(COMMANDS)
    assert all(len(line) <= 100 for line in help_lines())
