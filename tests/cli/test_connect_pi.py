"""`connect pi --write` and `--undo`: pi's models.json, and what would keep pi from the gateway."""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from okr_tui.cli.connect import pi_provider
from okr_tui.domain.models import Model
from tests.cli.harness import MODEL, CliHarness
from tests.cli.test_connect import DEFAULT, REAL, connected, running, token

SECRET = "hidden-key-0123456789abcdef"
MINE = '{\n  "providers": {\n    "mine": {}, // at home\n  },\n}\n'


def models(cli: CliHarness) -> Path:
    return cli.folder / "models.json"


def written(cli: CliHarness) -> Any:
    """The provider in the file."""
    return json.loads(models(cli).read_text())["providers"]["ollama-cloud"]


def test_it_is_what_is_printed(cli: CliHarness) -> None:
    printed = json.loads(connected(cli, "pi").out)
    assert not models(cli).exists()
    result = connected(cli, "pi", "--write")
    assert result.out == f"Wrote the provider ollama-cloud to {models(cli)}\n"
    assert json.loads(models(cli).read_text()) == printed
    assert token(cli) not in models(cli).read_text()


def test_models_are_as_the_cloud_says(cli: CliHarness) -> None:
    connected(cli, "pi", "--write")
    provider = written(cli)
    assert provider["baseUrl"] == f"{DEFAULT}/v1"
    assert provider["api"] == "openai-completions"
    listed = {model["id"]: model for model in provider["models"]}
    names = {model["id"] for model in cli.run_ok("models", "--json").json["models"]}
    assert set(listed) == names
    model = listed[MODEL]
    assert (model["contextWindow"], model["maxTokens"], model["input"]) == (131072, 32768, ["text"])
    assert model["reasoning"] is True
    assert model["thinkingLevelMap"]["off"] is None
    assert listed["gemma4:31b"]["input"] == ["text", "image"]
    assert listed["glm-5.2"]["thinkingLevelMap"]["off"] == "none"
    assert listed["glm-5.2"]["thinkingLevelMap"]["high"] is None
    assert listed["mistral-large-3:675b"]["reasoning"] is False
    assert "thinkingLevelMap" not in listed["mistral-large-3:675b"]
    assert all(item.get("contextWindow", 1) > 0 for item in provider["models"])


@pytest.mark.parametrize(
    ("levels", "efforts"),
    [
        (("low", "medium", "high"), "- low low medium high -"),
        (("off", "on"), "none - - medium - -"),
        (("minimal", "high", "xhigh"), "- minimal - - high xhigh"),
        (("off", "low", "max"), "none low low - - max"),
        (None, "none low low medium high max"),
    ],
)
def test_levels_of_thinking_are_those_that_the_cloud_names(
    levels: tuple[str, ...] | None, efforts: str
) -> None:
    model = Model("gpt-oss:20b", capabilities=("completion", "thinking"), thinking=levels)
    (listed,) = cast("list[dict[str, Any]]", pi_provider(DEFAULT, Path("token"), [model])["models"])
    reported = [word if word != "-" else None for word in efforts.split()]
    names = ("off", "minimal", "low", "medium", "high", "xhigh")
    assert listed["thinkingLevelMap"] == dict(zip(names, reported, strict=True))


def test_a_model_that_cannot_think_has_no_levels() -> None:
    model = Model("plain", capabilities=("completion", "thinking"), thinking=("off",))
    (listed,) = cast("list[dict[str, Any]]", pi_provider(DEFAULT, Path("token"), [model])["models"])
    assert listed["reasoning"] is False
    assert "thinkingLevelMap" not in listed


def test_again_it_is_up_to_date_or_refreshed(cli: CliHarness) -> None:
    connected(cli, "pi", "--write")
    before = models(cli).stat()
    assert "up to date" in connected(cli, "pi", "--write").out
    assert models(cli).stat() == before
    with running():
        connected(cli, "pi", "--write")
    assert written(cli)["baseUrl"] == f"{REAL}/v1"


@pytest.mark.parametrize("text", [None, MINE])
def test_undo_gives_back_what_was_there(cli: CliHarness, text: str | None) -> None:
    if text is not None:
        models(cli).write_text(text)
    connected(cli, "pi", "--write")
    assert models(cli).read_text() != text
    output = cli.run_ok("connect", "pi", "--undo").out
    assert str(models(cli)) in output
    assert (models(cli).read_text() if models(cli).exists() else None) == text
    assert "Nothing to undo" in cli.run_ok("connect", "pi", "--undo").out


def test_a_provider_that_was_there_is_kept(cli: CliHarness) -> None:
    document = {"providers": {"ollama-cloud": {"baseUrl": "https://ollama.example", "apiKey": SECRET}}}
    models(cli).write_text(json.dumps(document))
    result = connected(cli, "pi", "--write")
    assert "ollama-cloud-before" in result.err
    assert SECRET not in result.out + result.err
    result = cli.run_ok("connect", "pi", "--undo")
    assert "its name back" in result.out
    assert json.loads(models(cli).read_text()) == document


def test_what_was_edited_by_hand_is_not_undone(cli: CliHarness) -> None:
    connected(cli, "pi", "--write")
    models(cli).write_text(models(cli).read_text().replace("openai-completions", "openai-responses"))
    result = cli.run("connect", "pi", "--undo")
    assert (result.code, result.out, len(result.err.splitlines())) == (1, "", 1)
    assert "was edited since" in result.err
    assert written(cli)["api"] == "openai-responses"


def test_what_cannot_be_edited_is_printed_to_paste(cli: CliHarness) -> None:
    models(cli).write_text('{"providers": {')
    result = cli.run("connect", "pi", "--write")
    assert result.code == 1
    assert "ollama-cloud" in json.loads(result.out)["providers"]
    assert f"{models(cli)}:1:" in result.err
    assert models(cli).read_text() == '{"providers": {'


def test_without_models_nothing_is_written(cli: CliHarness) -> None:
    cli.write_settings(cloudUrl="http://127.0.0.1:9")
    result = cli.run("connect", "pi", "--write")
    assert (result.code, result.out) == (1, "")
    assert "no models are known" in result.err
    assert not models(cli).exists()


def test_the_last_known_models_are_written_when_the_cloud_is_away(cli: CliHarness) -> None:
    connected(cli, "pi", "--write")
    models(cli).unlink()
    cli.fault("unavailable", path="/api/tags")
    result = connected(cli, "pi", "--write")
    assert "models not read" in result.err
    assert written(cli)["models"]


def test_the_original_extension_is_warned_of(cli: CliHarness) -> None:
    settings = json.loads(cli.settings_file.read_text())
    cli.settings_file.write_text(json.dumps({**settings, "packages": ["npm:pi-ollama-keyring"]}))
    project = cli.folder / "project" / ".pi" / "settings.json"
    project.parent.mkdir(parents=True)
    project.write_text('{"extensions": ["/opt/pi-ollama-keyring/index.ts"]}')
    for arguments in ((), ("--write",)):
        err = connected(cli, "pi", *arguments).err
        assert f"{cli.settings_file} loads pi-ollama-keyring in packages" in err
        assert f"{project} loads pi-ollama-keyring in extensions" in err
        assert "pi remove npm:pi-ollama-keyring" in err


def test_an_entry_of_auth_json_is_warned_of_and_left(cli: CliHarness) -> None:
    auth = cli.folder / "auth.json"
    text = json.dumps({"ollama-cloud": {"type": "api_key", "key": SECRET}})
    auth.write_text(text)
    result = connected(cli, "pi", "--write")
    assert f"{auth} has a key for ollama-cloud" in result.err
    assert "/logout" in result.err
    assert SECRET not in result.out + result.err
    assert auth.read_text() == text
    auth.write_text(json.dumps({"openai": {"type": "api_key", "key": SECRET}}))
    assert "/logout" not in connected(cli, "pi").err


def test_broken_files_next_to_it_do_not_stop_it(cli: CliHarness) -> None:
    (cli.folder / "auth.json").write_text("{")
    result = connected(cli, "pi", "--write")
    assert f"{cli.folder / 'auth.json'}:1:2:" in result.err
    assert written(cli)


def test_a_folder_that_pi_does_not_use_is_named(cli: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"PI_CODING_AGENT_DIR={cli.folder}" in connected(cli, "pi").err
    monkeypatch.setenv("PI_CODING_AGENT_DIR", str(cli.folder))
    result = connected(cli, "pi", "--write")
    assert "PI_CODING_AGENT_DIR" not in result.err
