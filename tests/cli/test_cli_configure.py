"""Keys and trust by hand: nothing typed or piped is repeated, nothing is written that was not asked for."""

import io
import json
import os
import sys
from pathlib import Path

import click
import pytest

from okr_tui.domain.keys import mask
from tests.cli.home import Home

NEW = "new-key-0123456789abcdef-0123"
CLOUD = "https://thief.example"


class Terminal(io.TextIOWrapper):
    """Standard input of someone who is there."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def in_file(home: Home) -> list[object]:
    entries: list[object] = json.loads(home.settings_file.read_text())["pi-ollama"]["apiKeys"]
    return entries


def project(home: Home, section: object) -> Path:
    path = home.folder / "project" / ".pi" / "settings.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"pi-ollama": section}))
    return path


def auth(home: Home, **providers: object) -> Path:
    path = home.folder / ".pi" / "agent" / "auth.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({name.replace("_", "-"): value for name, value in providers.items()}))
    return path


def test_a_key_is_piped_in(home: Home) -> None:
    ran = home.good("add-key", "--label", "dill", stdin=f"{NEW}\n")
    assert ran.out == f"Added #5 {mask(NEW)} to {home.settings_file}\n"
    assert in_file(home)[4] == {"key": NEW, "label": "dill"}
    document = home.good("remove-key", "5", "--json").json
    assert document["key"]["label"] == "dill"
    assert len(in_file(home)) == 4
    document = home.good("add-key", "--json", stdin=NEW).json
    assert document["key"]["index"] == 5
    assert in_file(home)[4] == NEW


def test_a_key_is_typed_at_a_hidden_prompt(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def prompt(_: str, **how: object) -> str:
        asked.append(how)
        return NEW

    monkeypatch.setattr(io, "TextIOWrapper", Terminal)
    monkeypatch.setattr(click, "prompt", prompt)
    home.good("add-key")
    assert asked == [{"hide_input": True, "err": True}]
    assert in_file(home)[4] == NEW


@pytest.mark.parametrize("arguments", [[NEW], [f"-{NEW}"], ["--label", "x", NEW]])
def test_a_key_is_no_argument_and_is_not_repeated(home: Home, arguments: list[str]) -> None:
    ran = home.run("add-key", *arguments)
    assert ran.code == 2
    assert "a key is no argument" in ran.err
    assert NEW not in ran.err
    assert len(in_file(home)) == 4


@pytest.mark.parametrize("text", ["", f"{NEW} {NEW}", f"{NEW}\n{NEW}", f"{NEW}é", f"!{NEW}"])
def test_what_is_no_key_is_refused(home: Home, text: str) -> None:
    ran = home.run("add-key", stdin=text)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("okr-tui: the key was not added: ")
    assert NEW not in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_system_keyring_that_is_missing_says_what_to_install(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    ran = home.run("add-key", "--keyring", stdin=NEW)
    assert ran.code == 1
    assert "install okr-tui[keyring]" in ran.err
    assert len(in_file(home)) == 4


def test_a_key_of_the_environment_stays(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", NEW)
    ran = home.run("remove-key", "5")
    assert ran.code == 1
    assert "comes from environment OLLAMA_API_KEY; take it out of the variable" in ran.err
    assert home.run("remove-key", "9").code == 1


def test_keys_of_pi_are_taken_over_once_they_are_agreed_to(home: Home) -> None:
    ran = home.run("import-keys", "--yes")
    assert (ran.code, ran.out) == (1, "")
    assert "has no API key" in ran.err
    path = auth(
        home,
        ollama_cloud={"type": "api_key", "key": NEW},
        ollama={"type": "api_key", "key": "!printf printed-key-0123"},
        openai={"type": "api_key", "key": "other"},
    )
    ran = home.run("import-keys")
    assert ran.code == 2
    assert "say --yes" in ran.err
    assert len(in_file(home)) == 4
    ran = home.good("import-keys", "--yes")
    assert f"ollama-cloud: the key {mask(NEW)}" in ran.err
    assert NEW not in ran.out + ran.err
    assert ran.out.splitlines()[0] == f"ollama-cloud: Added #5 {mask(NEW)} to {home.settings_file}"
    assert in_file(home)[4:] == [NEW, "!printf printed-key-0123"]
    again = home.run("import-keys", "--yes", "--json")
    assert again.code == 1
    assert f"no key of {path} was added" in again.err
    assert all("in the pool already" in said for said in again.json["keys"])


def test_no_is_no(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    auth(home, ollama={"type": "api_key", "key": NEW})
    monkeypatch.setattr(io, "TextIOWrapper", Terminal)
    ran = home.run("import-keys", stdin="n\n")
    assert ran.code == 130
    assert "Add to the pool?" in ran.err
    assert len(in_file(home)) == 4


def test_a_project_is_trusted_and_trust_is_taken_back(home: Home) -> None:
    assert home.run("trust").code == 1
    path = project(home, {"cloudUrl": CLOUD})
    ran = home.good("trust")
    assert ran.out == (
        f"Trusted {path} until its content changes: send requests, with your own keys too, to {CLOUD}\n"
    )
    assert home.good("status", "--json").json["cloud_url"] == CLOUD
    assert home.good("trust", "--revoke", "--json").json == {
        "message": f"Refused {path} until its content changes: only keys themselves are taken",
        "project_file": str(path),
        "trusted": False,
        "wants": [],
    }
    assert home.good("status", "--json").json["cloud_url"] == home.url
    assert "was refused before" in home.good("trust", "--revoke").out


def test_the_doctor_finds_nothing_wrong(home: Home) -> None:
    home.settings_file.chmod(0o600)
    ran = home.good("doctor")
    assert ran.out.splitlines()[0].split() == ["cloudUrl", home.url, "global", "~/settings.json:4"]
    assert ran.out.splitlines()[-1] == "Nothing is wrong."


def test_the_doctor_says_what_is_wrong_and_what_to_do(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.settings_file.chmod(0o644)
    document = json.loads(home.settings_file.read_text())
    document["packages"] = ["npm:pi-ollama-keyring"]
    document["ollama"] = {"apiKey": home.keys[0][0], "activeKeyIndex": "one"}
    document["okr-tui"]["policy"]["nonsense"] = 1
    document["okr-tui"]["store"] = f"sqlite:{home.settings_file}/log.db"
    home.settings_file.write_text(json.dumps(document, indent=2))
    asked = project(home, {"apiKeys": ["!touch marker"]})
    auth(home, ollama_cloud={"type": "api_key", "key": NEW})
    left = Path(f"{home.settings_file}.lock")
    left.mkdir()
    os.utime(left, (1, 1))
    Path(f"{asked}.lock").write_text("")
    monkeypatch.setenv("OLLAMA_ACTIVE_KEY_INDEX", "1")
    document = home.good("doctor", "--json").json
    assert document["store"] == {"address": f"sqlite:{home.settings_file}/log.db", "writable": False}
    assert set(document["versions"]) == {"python", "okr-tui", "textual", "httpx", "keyring"}
    assert {"path": str(home.settings_file), "mode": "0644"} in document["files"]
    (index,) = [line for line in document["settings"] if line["name"] == "activeKeyIndex"]
    assert index["origin"] == "environment OLLAMA_ACTIVE_KEY_INDEX"
    assert index["shadowed"] == ["global ~/settings.json:23"]
    found = {(item["severity"], item["what"]): item["remedy"] for item in document["findings"]}
    for severity, words in (
        ("warning", "activeKeyIndex is ignored: it must be a whole number"),
        ("warning", "okr-tui.policy.nonsense"),
        ("warning", "only keys themselves are taken"),
        ("warning", "(mode 0644)"),
        ("note", f"key 1 {mask(home.keys[0][0])}"),
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
    text = home.good("doctor").out
    assert NEW not in text + json.dumps(document)
    assert not (home.folder / "marker").exists()


def test_the_doctor_works_on_files_that_do_not(home: Home) -> None:
    home.settings_file.write_text("{")
    (home.folder / ".pi" / "agent").mkdir(parents=True)
    (home.folder / ".pi" / "agent" / "auth.json").write_text("[")
    (home.folder / ".pi" / "agent" / "settings.json").write_text("[")
    findings = home.good("--store", "redis://u:word@host/0", "doctor", "--json").json
    assert findings["store"] == {"address": "redis://host/0", "writable": None}
    severities = [item["severity"] for item in findings["findings"]]
    assert severities == ["error", "error", "warning", "warning"]
    assert "no key is configured" in findings["findings"][1]["what"]
