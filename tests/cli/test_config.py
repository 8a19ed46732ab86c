"""Single settings from scripts: read, written where they take effect, refused in one line."""

import json
from typing import Any

import pytest

from okr_tui.settings.table import json_schema
from tests.cli.harness import CliHarness


def section(cli: CliHarness, name: str = "okr-tui") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli.settings_file.read_text())[name]
    return found


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("strategy", "drain", "drain"),
        ("gateway.port", "11500", 11500),
        ("gateway.autostart", "true", True),
        ("gateway.daemonPort", "null", None),
        ("policy.slowed_steps", "[15, 30]", [15, 30]),
        ("theme", "okr-light", "okr-light"),
        ("keymap.rotate", "f5", "f5"),
        ("hooks.spent", "notify-send spent", "notify-send spent"),
        ("hooks", '{"*": "true"}', {"*": "true"}),
        ("budgets.kimi-k2.6", '{"tokensPerDay": 5}', {"tokensPerDay": 5}),
        ("chat.confirm.web_fetch", "ask", "ask"),
        ("store", "memory:", "memory:"),
    ],
)
def test_a_setting_is_written_where_it_takes_effect(
    cli: CliHarness, name: str, text: str, value: object
) -> None:
    document = cli.run_ok("config", "set", name, text, "--json").json
    assert document["message"] == f"{name} is set in {cli.settings_file}"
    group, _, member = name.partition(".")
    found = section(cli)[group]
    if group == "chat":
        found, member = found["confirm"], "web_fetch"
    assert (found[member] if member else found) == value
    assert json.loads(cli.settings_file.read_text())["theme"] == "kept"
    got = cli.run_ok("config", "get", name, "--json").json
    assert got["name"] == name
    if value is not None:
        assert got["origin"].startswith("global ~/settings.json:")
    if value is not None and group not in ("store", "budgets"):
        assert got["value"] == value
    assert "nothing was written" in cli.run_ok("config", "set", name, text).out
    cli.run_ok("config", "unset", name)
    assert f"{name} is not set in " in cli.run_ok("config", "unset", name).out
    left = section(cli).get(group, {})
    assert member not in left if member else not left


def test_the_original_s_own_are_written_to_the_section_that_decides(cli: CliHarness) -> None:
    cli.run_ok("config", "set", "activeKeyIndex", "2")
    assert section(cli, "pi-ollama")["activeKeyIndex"] == 2
    assert cli.run_ok("status", "--json").json["preferred"] == 3
    document = json.loads(cli.settings_file.read_text())
    document["ollama"] = {"activeKeyIndex": 1}
    cli.settings_file.write_text(json.dumps(document))
    cli.run_ok("config", "set", "activeKeyIndex", "3")
    assert (section(cli, "ollama")["activeKeyIndex"], section(cli, "pi-ollama")["activeKeyIndex"]) == (3, 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("set", "stratgy", "drain"), "there is no setting stratgy; did you mean strategy?"),
        (("get", "gateway"), "there is no setting gateway"),
        (("get", "activeKeyFingerprint"), "there is no setting"),
        (("set", "strategy", "fastest"), "strategy: it must be one of sticky"),
        (("set", "gateway.port", "65536"), "gateway.port: it must be a whole number"),
        (("set", "gateway.port", "-1"), "gateway.port: it must be a whole number"),
        (("set", "cloudUrl", "http://cloud.example"), "cloudUrl: it must be https"),
        (("set", "theme", "no-such"), "theme: it must be one of okr-dark"),
        (("set", "keymap.rotat", "z"), "there is no such action; rotate is one"),
        (("set", "store", "mysql://x"), "unknown store mysql"),
        (("set", "chat.confirm.x", "perhaps"), "it must be one of ask, always, never"),
        (("set", "apiKeys", "a-key-0123456789abcdef"), "use add-key"),
        (("get", "apiKey"), "use add-key"),
        (("unset", "trustedProjects"), "use okr-tui trust"),
    ],
)
def test_what_cannot_be_set_is_one_line_and_nothing_is_written(
    cli: CliHarness, arguments: tuple[str, ...], words: str
) -> None:
    before = cli.settings_file.read_bytes()
    result = cli.run("config", *arguments)
    assert result.code == 2
    assert words in result.err
    assert "a-key-0123456789abcdef" not in result.err
    assert cli.settings_file.read_bytes() == before


def test_what_a_variable_decides_is_not_written_in_vain(
    cli: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST_CLOUD", "https://cloud.example")
    result = cli.run("config", "set", "cloudUrl", "https://other.example")
    assert result.code == 1
    assert "environment OLLAMA_HOST_CLOUD overrides every settings file" in result.err


def test_the_list_has_every_setting_and_no_secret(cli: CliHarness) -> None:
    cli.run_ok("config", "set", "store", "redis://user:hidden-word@host/0")
    result = cli.run_ok("config", "list", "--json")
    found = {each["name"]: each for each in result.json["settings"]}
    assert found["gateway.port"]["value"] == 11435
    assert found["store"]["value"] == "redis://host/0"
    assert "hidden-word" not in result.out + cli.run_ok("config", "list").out
    assert cli.run_ok("config", "get", "strategy").out == "sticky\n"
    assert cli.run_ok("config", "get", "hooks.spent").out == ""


def test_no_command_for_a_key_is_run(cli: CliHarness) -> None:
    document = json.loads(cli.settings_file.read_text())
    document["pi-ollama"]["apiKeys"].append(f"!touch {cli.folder / 'ran'}")
    cli.settings_file.write_text(json.dumps(document))
    result = cli.run_ok("config", "get", "strategy")
    cli.run_ok("config", "set", "strategy", "drain")
    assert result.err == ""
    assert not (cli.folder / "ran").exists()


def test_the_schema_is_that_of_the_table(cli: CliHarness) -> None:
    assert json.loads(cli.run_ok("config", "schema").out) == json_schema()


def test_an_export_has_settings_and_no_secret(cli: CliHarness) -> None:
    document = json.loads(cli.settings_file.read_text())
    document["okr-tui"] |= {
        "store": "rediss://user:hidden-word@host/0",
        "strategy": "drain",
        "trustedProjects": ["/somewhere"],
        "hooks": {"spent": "notify-send spent", "*": "https://chat.example/hidden-word"},
        "chat": {
            "mcpServers": {
                "files": {"command": "serve", "env": {"A": "hidden-word", "B": "$WORD"}},
                "far": {"url": "https://tools.example", "headers": {"Authorization": "hidden-word"}},
            }
        },
    }
    cli.settings_file.write_text(json.dumps(document))
    result = cli.run_ok("config", "export")
    assert "hidden-word" not in result.out
    assert json.loads(result.out) == {
        "pi-ollama": {"cloudUrl": cli.url},
        "okr-tui": {
            "policy": document["okr-tui"]["policy"],
            "alerts": document["okr-tui"]["alerts"],
            "strategy": "drain",
            "hooks": {"spent": "notify-send spent"},
            "chat": {
                "mcpServers": {
                    "files": {"command": "serve", "env": {"B": "$WORD"}},
                    "far": {"url": "https://tools.example", "headers": {}},
                }
            },
        },
    }
