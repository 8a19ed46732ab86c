"""Keys and trust by hand: nothing typed or piped is repeated, nothing is written that was not asked for."""

import io
import json
import os
import sys
from pathlib import Path

import click
import pytest

from okr_tui.domain.keys import mask
from tests.cli.harness import CliHarness

NEW = "new-key-0123456789abcdef-0123"
CLOUD = "https://thief.example"


class Terminal(io.TextIOWrapper):
    """Standard input of someone who is there."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def in_file(cli: CliHarness) -> list[object]:
    entries: list[object] = json.loads(cli.settings_file.read_text())["pi-ollama"]["apiKeys"]
    return entries


def project(cli: CliHarness, section: object) -> Path:
    path = cli.folder / "project" / ".pi" / "settings.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"pi-ollama": section}))
    return path


def auth(cli: CliHarness, **providers: object) -> Path:
    path = cli.folder / ".pi" / "agent" / "auth.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({name.replace("_", "-"): value for name, value in providers.items()}))
    return path


def test_a_key_is_piped_in(cli: CliHarness) -> None:
    result = cli.run_ok("add-key", "--label", "dill", stdin=f"{NEW}\n")
    assert result.out == f"Added #5 {mask(NEW)} to {cli.settings_file}\n"
    assert in_file(cli)[4] == {"key": NEW, "label": "dill"}
    document = cli.run_ok("remove-key", "5", "--json").json
    assert document["key"]["label"] == "dill"
    assert len(in_file(cli)) == 4
    document = cli.run_ok("add-key", "--json", stdin=NEW).json
    assert document["key"]["index"] == 5
    assert in_file(cli)[4] == NEW


def test_quotes_around_a_key_are_taken_off(cli: CliHarness) -> None:
    cli.run_ok("add-key", stdin=f'"{NEW}"\n')
    assert in_file(cli)[4] == NEW
    result = cli.run("add-key", stdin=f"{NEW};{NEW}")
    assert result.code == 1
    assert "no comma or semicolon" in result.err


def test_a_key_is_typed_at_a_hidden_prompt(cli: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def prompt(_: str, **how: object) -> str:
        asked.append(how)
        return NEW

    monkeypatch.setattr(io, "TextIOWrapper", Terminal)
    monkeypatch.setattr(click, "prompt", prompt)
    cli.run_ok("add-key")
    assert asked == [{"hide_input": True, "err": True}]
    assert in_file(cli)[4] == NEW


@pytest.mark.parametrize("arguments", [[NEW], [f"-{NEW}"], ["--label", "x", NEW]])
def test_a_key_is_no_argument_and_is_not_repeated(cli: CliHarness, arguments: list[str]) -> None:
    result = cli.run("add-key", *arguments)
    assert result.code == 2
    assert "a key is never an argument" in result.err
    assert NEW not in result.err
    assert len(in_file(cli)) == 4


@pytest.mark.parametrize("text", ["", f"{NEW} {NEW}", f"{NEW}\n{NEW}", f"{NEW}é", f"!{NEW}", "k" * 15])
def test_what_is_no_key_is_refused(cli: CliHarness, text: str) -> None:
    result = cli.run("add-key", stdin=text)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("okr-tui: the key was not added: ")
    assert NEW not in result.err
    assert len(result.err.splitlines()) == 1


def test_a_system_keyring_that_is_missing_says_what_to_install(
    cli: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    result = cli.run("add-key", "--keyring", stdin=NEW)
    assert result.code == 1
    assert "install 'keyring>=25'" in result.err
    assert len(in_file(cli)) == 4


def test_a_key_of_the_environment_stays(cli: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", NEW)
    result = cli.run("remove-key", "5")
    assert result.code == 1
    assert "comes from environment OLLAMA_API_KEY; remove it where you set the variable" in result.err
    assert cli.run("remove-key", "9").code == 1


def test_keys_of_pi_are_taken_over_once_they_are_agreed_to(cli: CliHarness) -> None:
    result = cli.run("import-keys", "--yes")
    assert (result.code, result.out) == (1, "")
    assert "has no API key" in result.err
    path = auth(
        cli,
        ollama_cloud={"type": "api_key", "key": NEW},
        ollama={"type": "api_key", "key": "!printf printed-key-0123"},
        openai={"type": "api_key", "key": "other"},
    )
    result = cli.run("import-keys")
    assert result.code == 2
    assert "use --yes" in result.err
    assert len(in_file(cli)) == 4
    result = cli.run_ok("import-keys", "--yes")
    assert f"ollama-cloud: the key {mask(NEW)}" in result.err
    assert NEW not in result.out + result.err
    assert result.out.splitlines()[0] == f"ollama-cloud: Added #5 {mask(NEW)} to {cli.settings_file}"
    assert in_file(cli)[4:] == [NEW, "!printf printed-key-0123"]
    again = cli.run("import-keys", "--yes", "--json")
    assert again.code == 1
    assert f"no key of {path} was added" in again.err
    assert all("already in the pool" in error for error in again.json["keys"])


def test_no_is_no(cli: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    auth(cli, ollama={"type": "api_key", "key": NEW})
    monkeypatch.setattr(io, "TextIOWrapper", Terminal)
    result = cli.run("import-keys", stdin="n\n")
    assert result.code == 130
    assert "Add to the pool?" in result.err
    assert len(in_file(cli)) == 4


def test_a_project_is_trusted_and_trust_is_taken_back(cli: CliHarness) -> None:
    assert cli.run("trust").code == 1
    path = project(cli, {"cloudUrl": CLOUD})
    result = cli.run_ok("trust")
    assert result.out == (
        f"Trusted {path} until its content changes: send requests, with your own keys too, to {CLOUD}\n"
    )
    assert cli.run_ok("status", "--json").json["cloud_url"] == CLOUD
    assert cli.run_ok("trust", "--revoke", "--json").json == {
        "message": f"Refused {path} until its content changes: its keys stay off, and it decides nothing",
        "project_file": str(path),
        "trusted": False,
        "wants": [],
    }
    assert cli.run_ok("status", "--json").json["cloud_url"] == cli.url
    assert "is already refused" in cli.run_ok("trust", "--revoke").out


def test_the_doctor_finds_nothing_wrong(cli: CliHarness) -> None:
    cli.settings_file.chmod(0o600)
    result = cli.run_ok("doctor")
    assert result.out.splitlines()[0].split() == ["cloudUrl", cli.url, "global", "~/settings.json:4"]
    assert result.out.splitlines()[-1] == "No problems found."


def test_the_doctor_says_what_is_wrong_and_what_to_do(
    cli: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.settings_file.chmod(0o644)
    document = json.loads(cli.settings_file.read_text())
    document["packages"] = ["npm:pi-ollama-keyring"]
    document["ollama"] = {"apiKey": cli.keys[0][0], "activeKeyIndex": "one"}
    document["okr-tui"]["policy"]["nonsense"] = 1
    document["okr-tui"]["store"] = f"sqlite:{cli.settings_file}/log.db"
    cli.settings_file.write_text(json.dumps(document, indent=2))
    asked = project(cli, {"apiKeys": ["!touch marker"]})
    auth(cli, ollama_cloud={"type": "api_key", "key": NEW})
    left = Path(f"{cli.settings_file}.lock")
    left.mkdir()
    os.utime(left, (1, 1))
    Path(f"{asked}.lock").write_text("")
    monkeypatch.setenv("OLLAMA_ACTIVE_KEY_INDEX", "1")
    document = cli.run_ok("doctor", "--json").json
    assert document["store"] == {"address": f"sqlite:{cli.settings_file}/log.db", "writable": False}
    assert set(document["versions"]) == {"python", "okr-tui", "textual", "httpx", "keyring"}
    assert {"path": str(cli.settings_file), "mode": "0644"} in document["files"]
    (index,) = [line for line in document["settings"] if line["name"] == "activeKeyIndex"]
    assert index["origin"] == "environment OLLAMA_ACTIVE_KEY_INDEX"
    assert index["shadowed"] == ["global ~/settings.json:23"]
    found = {(item["severity"], item["what"]): item["remedy"] for item in document["findings"]}
    for severity, words in (
        ("error", "activeKeyIndex is ignored: it must be a whole number"),
        ("error", "policy.nonsense is ignored"),
        ("warning", "only keys themselves are taken"),
        ("warning", "(mode 0644)"),
        ("note", f"key 1 {mask(cli.keys[0][0])}"),
        ("note", "it wants to run the command `touch marker`"),
        ("note", "OLLAMA_ACTIVE_KEY_INDEX decides the active key"),
        ("warning", 'has both "pi-ollama" and "ollama"'),
        ("warning", "was left behind by a program that died"),
        ("error", "is a file, which blocks pi"),
        ("warning", "loads pi-ollama-keyring in packages"),
        ("note", f"has the key {mask(NEW)} for ollama-cloud"),
        ("error", "cannot be written"),
    ):
        assert any(level == severity and words in what for level, what in found), words
    assert all(found.values())
    text = cli.run_ok("doctor").out
    assert NEW not in text + json.dumps(document)
    assert not (cli.folder / "marker").exists()


def test_the_doctor_works_on_files_that_do_not(cli: CliHarness) -> None:
    cli.settings_file.write_text("{")
    (cli.folder / ".pi" / "agent").mkdir(parents=True)
    (cli.folder / ".pi" / "agent" / "auth.json").write_text("[")
    (cli.folder / ".pi" / "agent" / "settings.json").write_text("[")
    findings = cli.run_ok("--store", "redis://u:word@host/0", "doctor", "--json").json
    assert findings["store"] == {"address": "redis://host/0", "writable": None}
    severities = [item["severity"] for item in findings["findings"]]
    assert severities == ["error", "error", "warning", "warning"]
    assert "no key is configured" in findings["findings"][1]["what"]
