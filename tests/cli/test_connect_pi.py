"""`connect pi --write` and `--undo`: pi's models.json, and what would keep pi from the gateway."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.home import MODEL, Home
from tests.cli.test_connect import DEFAULT, REAL, connected, running, token

SECRET = "hidden-key-0123456789abcdef"
MINE = '{\n  "providers": {\n    "mine": {}, // at home\n  },\n}\n'


def models(home: Home) -> Path:
    return home.folder / "models.json"


def written(home: Home) -> Any:
    """The provider in the file."""
    return json.loads(models(home).read_text())["providers"]["ollama-cloud"]


def test_it_is_what_is_printed(home: Home) -> None:
    printed = json.loads(connected(home, "pi").out)
    assert not models(home).exists()
    ran = connected(home, "pi", "--write")
    assert ran.out == f"Wrote the provider ollama-cloud to {models(home)}\n"
    assert json.loads(models(home).read_text()) == printed
    assert token(home) not in models(home).read_text()


def test_models_are_as_the_cloud_says(home: Home) -> None:
    connected(home, "pi", "--write")
    provider = written(home)
    assert provider["baseUrl"] == f"{DEFAULT}/v1"
    assert provider["api"] == "openai-completions"
    listed = {model["id"]: model for model in provider["models"]}
    names = {model["id"] for model in home.good("models", "--json").json["models"]}
    assert set(listed) == names
    model = listed[MODEL]
    assert (model["contextWindow"], model["maxTokens"], model["input"]) == (131072, 32768, ["text"])
    assert model["reasoning"] is True
    assert model["thinkingLevelMap"]["off"] is None
    assert listed["gemma4:31b"]["input"] == ["text", "image"]
    assert listed["glm-5.2"]["thinkingLevelMap"]["off"] == "none"
    assert listed["glm-5.2"]["thinkingLevelMap"]["xhigh"] == "max"
    assert listed["mistral-large-3:675b"]["reasoning"] is False
    assert "thinkingLevelMap" not in listed["mistral-large-3:675b"]
    assert all(item.get("contextWindow", 1) > 0 for item in provider["models"])


def test_again_it_is_up_to_date_or_refreshed(home: Home) -> None:
    connected(home, "pi", "--write")
    before = models(home).stat()
    assert "up to date" in connected(home, "pi", "--write").out
    assert models(home).stat() == before
    with running():
        connected(home, "pi", "--write")
    assert written(home)["baseUrl"] == f"{REAL}/v1"


@pytest.mark.parametrize("text", [None, MINE])
def test_undo_gives_back_what_was_there(home: Home, text: str | None) -> None:
    if text is not None:
        models(home).write_text(text)
    connected(home, "pi", "--write")
    assert models(home).read_text() != text
    said = home.good("connect", "pi", "--undo").out
    assert str(models(home)) in said
    assert (models(home).read_text() if models(home).exists() else None) == text
    assert "Nothing to undo" in home.good("connect", "pi", "--undo").out


def test_a_provider_that_was_there_is_kept(home: Home) -> None:
    document = {"providers": {"ollama-cloud": {"baseUrl": "https://ollama.example", "apiKey": SECRET}}}
    models(home).write_text(json.dumps(document))
    ran = connected(home, "pi", "--write")
    assert "ollama-cloud-before" in ran.err
    assert SECRET not in ran.out + ran.err
    ran = home.good("connect", "pi", "--undo")
    assert "its name back" in ran.out
    assert json.loads(models(home).read_text()) == document


def test_what_was_edited_by_hand_is_not_undone(home: Home) -> None:
    connected(home, "pi", "--write")
    models(home).write_text(models(home).read_text().replace("openai-completions", "openai-responses"))
    ran = home.run("connect", "pi", "--undo")
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1)
    assert "was edited since" in ran.err
    assert written(home)["api"] == "openai-responses"


def test_what_cannot_be_edited_is_printed_to_paste(home: Home) -> None:
    models(home).write_text('{"providers": {')
    ran = home.run("connect", "pi", "--write")
    assert ran.code == 1
    assert "ollama-cloud" in json.loads(ran.out)["providers"]
    assert f"{models(home)}:1:" in ran.err
    assert models(home).read_text() == '{"providers": {'


def test_without_models_nothing_is_written(home: Home) -> None:
    home.write_settings(cloudUrl="http://127.0.0.1:9")
    ran = home.run("connect", "pi", "--write")
    assert (ran.code, ran.out) == (1, "")
    assert "no models are known" in ran.err
    assert not models(home).exists()


def test_the_last_known_models_are_written_when_the_cloud_is_away(home: Home) -> None:
    connected(home, "pi", "--write")
    models(home).unlink()
    home.fault("unavailable", path="/api/tags")
    ran = connected(home, "pi", "--write")
    assert "models not read" in ran.err
    assert written(home)["models"]


def test_the_original_extension_is_warned_of(home: Home) -> None:
    settings = json.loads(home.settings_file.read_text())
    home.settings_file.write_text(json.dumps({**settings, "packages": ["npm:pi-ollama-keyring"]}))
    project = home.folder / "project" / ".pi" / "settings.json"
    project.parent.mkdir(parents=True)
    project.write_text('{"extensions": ["/opt/pi-ollama-keyring/index.ts"]}')
    for arguments in ((), ("--write",)):
        err = connected(home, "pi", *arguments).err
        assert f"{home.settings_file} loads pi-ollama-keyring in packages" in err
        assert f"{project} loads pi-ollama-keyring in extensions" in err
        assert "pi remove npm:pi-ollama-keyring" in err


def test_an_entry_of_auth_json_is_warned_of_and_left(home: Home) -> None:
    auth = home.folder / "auth.json"
    text = json.dumps({"ollama-cloud": {"type": "api_key", "key": SECRET}})
    auth.write_text(text)
    ran = connected(home, "pi", "--write")
    assert f"{auth} has a key for ollama-cloud" in ran.err
    assert "/logout" in ran.err
    assert SECRET not in ran.out + ran.err
    assert auth.read_text() == text
    auth.write_text(json.dumps({"openai": {"type": "api_key", "key": SECRET}}))
    assert "/logout" not in connected(home, "pi").err


def test_broken_files_beside_it_do_not_stop_it(home: Home) -> None:
    (home.folder / "auth.json").write_text("{")
    ran = connected(home, "pi", "--write")
    assert f"{home.folder / 'auth.json'}:1:2:" in ran.err
    assert written(home)


def test_a_folder_that_pi_does_not_use_is_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"PI_CODING_AGENT_DIR={home.folder}" in connected(home, "pi").err
    monkeypatch.setenv("PI_CODING_AGENT_DIR", str(home.folder))
    ran = connected(home, "pi", "--write")
    assert "PI_CODING_AGENT_DIR" not in ran.err
