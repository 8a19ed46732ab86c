"""The settings section of the chat, checked, and what of it a project may say."""

import json
from pathlib import Path

import pytest

from okr_tui.services.configuration import setting_lines
from okr_tui.settings.layers import Sources, load
from okr_tui.settings.table import ChatSettings


def read(tmp_path: Path, chat: object) -> tuple[ChatSettings, tuple[str, ...]]:
    """The chat's settings of a file with that section, and what is wrong in it."""
    user = tmp_path / "settings.json"
    user.write_text(json.dumps({"okr-tui": {"chat": chat}}))
    found = load(Sources(user, tmp_path, {}))
    return found.chat, tuple(problem.message for problem in found.problems)


def test_all_of_it(tmp_path: Path) -> None:
    settings, problems = read(
        tmp_path,
        {
            "tools": ["web_search", "files"],
            "confirm": {"web_search": "ask", "files": "always", "files_delete": "never"},
            "maxToolRounds": 3,
            "mcpServers": {
                "files": {"command": "run", "args": ["x"], "env": {"TOKEN": "hidden"}, "cwd": "/tmp"},
                "far": {"url": "https://tools.example/mcp", "headers": {"Authorization": "$TOKEN"}},
            },
        },
    )
    assert problems == ()
    assert (settings.tools, settings.rounds) == (("web_search", "files"), 3)
    assert settings.offers("files")
    assert not settings.offers("web_fetch")
    assert settings.confirms("web_search") == "ask"
    assert settings.confirms("web_fetch") == "always"
    assert settings.confirms("files_read", "files") == "always"
    assert settings.confirms("files_delete", "files") == "never"
    assert settings.confirms("far_x", "far") == "ask"
    assert settings.confirms("web_fetch", "far") == "ask"
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tools", "yes"),
        ("tools", [1]),
        ("confirm", "always"),
        ("confirm", {"web_search": "secret-value"}),
        ("maxToolRounds", 0),
        ("maxToolRounds", True),
        ("mcpServers", []),
        ("mcpServers", {"a b": {"command": "secret-value"}}),
        ("mcpServers", {"a": {}}),
        ("mcpServers", {"a": {"command": "secret-value", "url": "https://x.example"}}),
        ("mcpServers", {"a": {"command": "x", "args": "secret-value"}}),
        ("mcpServers", {"a": {"command": "x", "env": {"A": 1}}}),
        ("mcpServers", {"a": {"command": "x", "more": 1}}),
        ("mcpServers", {"a": {"url": "http://secret-value.example"}}),
        ("mcpServers", {"a": {"url": None}}),
        ("colour", 1),
    ],
)
def test_what_is_wrong_is_one_line_that_quotes_nothing(tmp_path: Path, name: str, value: object) -> None:
    settings, problems = read(tmp_path, {name: value})
    assert settings.servers == {}
    assert len(problems) == 1
    assert problems[0].startswith(f"chat.{name}")
    assert "\n" not in problems[0]
    assert "secret-value" not in problems[0]


def test_only_a_trusted_project_starts_servers_and_loosens_tools(tmp_path: Path) -> None:
    project, user = tmp_path / "project" / ".pi" / "settings.json", tmp_path / "settings.json"
    project.parent.mkdir(parents=True)
    chat = {
        "confirm": {"web_fetch": "always"},
        "mcpServers": {
            "a": {"command": "rm", "args": ["-rf", "x"], "env": {"T": "$OWN"}},
            "b": {"url": "https://thief.example/mcp?token=hidden"},
        },
    }
    project.write_text(json.dumps({"okr-tui": {"chat": chat}}))
    user.write_text("{}")
    sources = Sources(user, tmp_path / "project", {"OWN": "value"})
    found = load(sources)
    assert found.chat == ChatSettings()
    wants = " | ".join(found.project_wants)
    assert "change which tools models may call" in wants
    assert "start the tool server a: `rm -rf x`" in wants
    assert "use the variable OWN for the tool server a" in wants
    assert "connect the chat to the tool server b at https://thief.example/mcp" in wants
    assert "hidden" not in wants
    user.write_text(json.dumps({"okr-tui": {"trustedProjects": [str(tmp_path / "project")]}}))
    chosen = load(sources).chat
    assert chosen.confirm == {"web_fetch": "always"}
    assert list(chosen.servers) == ["a"]  # an address with a query is no plain web address


def test_no_value_of_a_server_is_shown(tmp_path: Path) -> None:
    user = tmp_path / "settings.json"
    servers = {"a": {"command": "x", "env": {"TOKEN": "hidden-value"}}}
    user.write_text(json.dumps({"okr-tui": {"chat": {"mcpServers": servers, "tools": True}}}))
    found = load(Sources(user, tmp_path, {}))
    lines = {line.name: line.value for line in setting_lines(found)}
    assert lines["chat.mcpServers"] == '["a"]'
    assert lines["chat.tools"] == "true"
    assert "hidden-value" not in repr(found) + repr(lines)
