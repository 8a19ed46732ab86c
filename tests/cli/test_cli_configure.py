"""Keys and trust by hand: nothing typed or piped is repeated, nothing is written that was not asked for."""

import io
import json
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
    result = cli.run_ok("add-key", "--no-check", "--label", "dill", stdin=f"{NEW}\n")
    assert result.out == f"Added #5 {mask(NEW)} to {cli.settings_file}\n"
    assert in_file(cli)[4] == {"key": NEW, "label": "dill"}
    document = cli.run_ok("remove-key", "5", "--json").json
    assert document["key"]["label"] == "dill"
    assert len(in_file(cli)) == 4
    document = cli.run_ok("add-key", "--no-check", "--json", stdin=NEW).json
    assert document["key"]["index"] == 5
    assert in_file(cli)[4] == NEW


def test_quotes_around_a_key_are_taken_off(cli: CliHarness) -> None:
    cli.run_ok("add-key", "--no-check", stdin=f'"{NEW}"\n')
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
    cli.run_ok("add-key", "--no-check")
    assert asked == [{"hide_input": True, "err": True}]
    assert in_file(cli)[4] == NEW


def test_the_cloud_is_asked_about_a_key_before_it_is_added(cli: CliHarness) -> None:
    cli.write_settings(keys=3)
    added = cli.run_ok("add-key", stdin=cli.keys[3][0]).out
    assert added == f"Added #4 {mask(cli.keys[3][0])} to {cli.settings_file}; tested, plan pro\n"
    assert cli.run_ok("keys", "--json").json["keys"][3]["plan"] == "pro"
    sent = len(cli.sent("/api/me"))
    refused = cli.run("add-key", "--json", stdin=NEW)
    assert refused.json["remedy"] == "--no-check adds it anyway"
    assert (refused.code, len(in_file(cli))) == (1, 4)
    assert len(cli.sent("/api/me")) > sent
    assert "the cloud refuses this key: 401" in refused.err
    cli.write_settings(keys=3, cloudUrl="http://127.0.0.1:1")
    assert "; not tested: " in cli.run_ok("add-key", stdin=NEW).out
    assert len(in_file(cli)) == 4


@pytest.mark.parametrize("arguments", [[NEW], [f"-{NEW}"], ["--label", "x", NEW]])
def test_a_key_is_not_an_argument_and_is_not_repeated(cli: CliHarness, arguments: list[str]) -> None:
    result = cli.run("add-key", *arguments)
    assert result.code == 2
    assert "a key is never an argument" in result.err
    assert NEW not in result.err
    assert len(in_file(cli)) == 4


@pytest.mark.parametrize("text", ["", f"{NEW} {NEW}", f"{NEW}\n{NEW}", f"{NEW}é", f"!{NEW}", "k" * 15])
def test_what_is_not_a_key_is_refused(cli: CliHarness, text: str) -> None:
    result = cli.run("add-key", stdin=text)
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("okr-tui: the key was not added: ")
    assert NEW not in result.err
    assert len(result.err.splitlines()) == 1


def test_a_system_keyring_that_is_missing_says_what_to_install(
    cli: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    result = cli.run("add-key", "--no-check", "--keyring", stdin=NEW)
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


ENV = f"""# keys
export OLLAMA_API_KEY="{NEW}"
OLLAMA_API_KEYS=second-key-0123456789abcdef, third-key-0123456789abcdef # two
OLLAMA_ACTIVE_KEY_INDEX=1
OPENAI_API_KEY=sk-of-someone-else-0123
WORK_OLLAMA_KEY=$WORK
"""
LITELLM = f"""
model_list:
  - model_name: gpt-oss   # comment
    litellm_params:
      model: ollama_chat/gpt-oss:20b
      api_base: "https://ollama.com"
      api_key: {NEW}
  - model_name: kimi
    litellm_params:
      model: openai/kimi-k2.6
      api_base: https://ollama.com/v1
      api_key: os.environ/WORK
  - model_name: other
    litellm_params:
      model: openai/gpt
      api_base: https://api.openai.example/v1
      api_key: sk-of-someone-else-0123
general_settings:
  master_key: sk-of-someone-else-0123
"""
PROXY = f"""port: 8317
api-keys:
  - "of-its-own-clients-0123456789"
remote-management: {{secret-key: ""}}
openai-compatibility:
- name: openrouter
  base-url: https://openrouter.example/api/v1
  api-key-entries:
  - api-key: sk-of-someone-else-0123
- name: 'ollama'
  base-url: 'https://ollama.com/v1'
  api-key-entries:
    - api-key: '{NEW}'
      proxy-url: ""
    - api-key: "second-key-0123456789abcdef"
  models:
    - name: gpt-oss:20b
      alias: gpt
- name: ollama-old
  base-url: https://www.ollama.com/v1
  api-keys: ["third-key-0123456789abcdef"]
"""
MORE = ["second-key-0123456789abcdef", "third-key-0123456789abcdef"]
FLOW = f"""---
defaults: &shared
  api_base: https://ollama.com
model_list: [
  {{model_name: a, litellm_params: {{model: "openai/x, y", api_base: https://ollama.com, api_key: "{NEW}"}}}},
  {{model_name: b, litellm_params: {{model: ollama_chat/z, api_key: '{MORE[0]}'}}}}
]
other:
  <<: *shared
  api_key: !!str {MORE[1]}
"""
PROXY_JSON = json.dumps(
    {"openai-compatibility": [{"base-url": "https://ollama.com/v1", "api-key-entries": [{"api-key": NEW}]}]}
)


@pytest.mark.parametrize(
    ("name", "text", "keys"),
    [
        (".env", ENV, [NEW, *MORE, "$WORK"]),
        ("config.yaml", LITELLM, [NEW, "$WORK"]),
        ("proxy.yaml", PROXY, [NEW, *MORE]),
        ("flow.yaml", FLOW, [NEW, MORE[0]]),
        ("config.json", PROXY_JSON, [NEW]),
        (".env", f"OLLAMA_API_KEY={NEW}\r\nNOTE: it\r\nOLLAMA_KEY_FILE=/no/such/file/of/mine\r\n", [NEW]),
        ("keys.txt", f"# mine\n{NEW}\n\n{MORE[0]}  # second\n{NEW}\n", [NEW, MORE[0]]),
    ],
)
def test_keys_of_other_programs_are_taken_over(
    cli: CliHarness, monkeypatch: pytest.MonkeyPatch, name: str, text: str, keys: list[str]
) -> None:
    monkeypatch.setenv("WORK", "work-key-0123456789abcdef")
    source = cli.folder / name
    source.write_text(text)
    assert cli.run("import-keys", str(source)).code == 2
    result = cli.run_ok("import-keys", str(source), "--yes")
    assert in_file(cli)[4:] == keys
    assert not any(key in result.out + result.err for key in (NEW, *MORE))
    assert "someone-else" not in result.err
    again = cli.run("import-keys", str(source), "--yes")
    assert (again.code, len(in_file(cli))) == (1, 4 + len(keys))


@pytest.mark.parametrize(
    "text", [f"{NEW}\n{MORE[0]}\n", f"{NEW},{MORE[0]}", ENV.replace("WORK_OLLAMA_KEY=$WORK", "")]
)
def test_several_keys_are_piped_at_once(cli: CliHarness, text: str) -> None:
    cli.run_ok("import-keys", "-", stdin=text)
    assert in_file(cli)[4:6] == [NEW, MORE[0]]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_a_list_in_another_encoding_is_read(cli: CliHarness, encoding: str) -> None:
    source = cli.folder / "keys.txt"
    mark = "" if encoding != "utf-16-be" else "\ufeff"
    source.write_bytes(f"{mark}{NEW}\n{MORE[0]}\n".encode(encoding))
    cli.run_ok("import-keys", str(source), "--yes")
    assert in_file(cli)[4:] == [NEW, MORE[0]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("keys.txt", "!touch {}"),
        (".env", "OLLAMA_API_KEY=!touch {}"),
        (".env", "OLLAMA_API_KEY=$(touch {})\nOLLAMA_API_KEY_2=`touch {}`"),
        ("config.yaml", "m:\n  - model: ollama/x\n    api_key: '!touch {}'"),
        ("config.json", '{{"model": "ollama/x", "api_key": "!touch {}"}}'),
    ],
)
def test_no_file_of_another_program_runs_a_command(cli: CliHarness, name: str, text: str) -> None:
    marker = cli.folder / "ran"
    source = cli.folder / name
    source.write_text(text.format(marker, marker))
    assert cli.run("import-keys", str(source), "--yes").code == 1
    assert cli.run("import-keys", "-", stdin=source.read_text()).code == 1
    assert not marker.exists()
    assert len(in_file(cli)) == 4


def test_pi_s_own_file_is_piped_in_and_its_commands_are_asked_about(cli: CliHarness) -> None:
    plain = json.dumps({"ollama-cloud": {"type": "api_key", "key": NEW}})
    cli.run_ok("import-keys", "-", stdin=plain)
    assert in_file(cli)[4:] == [NEW]
    marker = cli.folder / "ran"
    command = json.dumps({"ollama-cloud": {"type": "api_key", "key": f"!touch {marker}"}})
    result = cli.run("import-keys", "-", stdin=command)
    assert (result.code, marker.exists()) == (2, False)
    assert "--yes" in result.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no API key for Ollama"),
        ("\0\1\2", "is not text"),
        ("model_list:\n  - a: b\n   c: d\n", ":3: is not a configuration that okr-tui can read"),
        (
            "model_list:\n" + "".join(f"{' ' * depth}- \n" for depth in range(1, 200)),
            "is not a configuration",
        ),
        ("{", "not valid JSON"),
        ("OPENAI_API_KEY=sk-of-someone-else-0123\n", "has no API key for Ollama"),
    ],
)
def test_a_source_without_keys_is_one_line(cli: CliHarness, text: str, words: str) -> None:
    source = cli.folder / "source"
    source.write_text(text)
    result = cli.run("import-keys", str(source), "--yes")
    assert result.code == 1
    assert words in result.err
    assert len(in_file(cli)) == 4
    missing = cli.run("import-keys", str(cli.folder / "none"), "--yes")
    assert "cannot be read: No such file" in missing.err
