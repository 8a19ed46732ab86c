"""`connect --write` and `--undo` in the files of Codex, opencode and llm: all else stays, to the byte."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from okr_tui.store.factory import state_folder
from tests.cli.harness import CliHarness, CommandResult

FILES = {
    "codex": ".codex/config.toml",
    "opencode": ".config/opencode/opencode.json",
    "llm": ".config/io.datasette.llm/extra-openai-models.yaml",
}
EARLIER: dict[str, list[bytes]] = {
    "codex": [
        b"",
        b'model = "o3"\n\n[mcp_servers.x]\ncommand = "y" # kept',
        b'\xef\xbb\xbfmodel = "o3"\r\n[projects."/a"]\r\ntrust_level = "trusted"\r\n\r\n\r\n',
    ],
    "opencode": [
        b"{}",
        b'{\n\t// mine\n\t"provider": {"okr-tui": {"name": "old"}, "b": {}},\n\t"theme": "x", // y\n}\n',
        b'\xef\xbb\xbf{"model":"a/b"}\r\n',
        b'/* mine */\n{\n  "model": "a/b", /* or\n  c */\n  "provider": {/* none */}\n}\n',
    ],
    "llm": [
        b"# mine\n",
        b'- model_id: "a"\n  model_name: "b"\n  api_base: "http://c"',
        b"---\r\n- model_id: a\r\n  model_name: b\r\n",
    ],
}
CASES = [(client, raw) for client, files in EARLIER.items() for raw in (None, *files)]


@pytest.fixture
def home(cli: CliHarness, tmp_path: Path) -> Path:
    """A home in which the clients look for their files."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("CODEX_HOME", "LLM_USER_PATH", "XDG_CONFIG_HOME"):
        cli.patch.delenv(name, raising=False)
    cli.patch.setenv("HOME", str(home))
    return home


def connected(cli: CliHarness, *arguments: str) -> CommandResult:
    """Run `connect`, which never says the token."""
    result = cli.run_ok("connect", *arguments)
    token = Path(cli.run_ok("paths", "--json").json["gateway_token"]).read_text().strip()
    assert token not in result.out + result.err
    return result


def put(path: Path, raw: bytes | None) -> Path:
    """Make a file as its user left it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if raw is not None:
        path.write_bytes(raw)
    return path


def text_of(path: Path) -> str:
    """The text of a file without a mark of its order."""
    return path.read_bytes().decode("utf-8-sig")


@pytest.mark.parametrize(("client", "raw"), CASES)
def test_a_file_is_written_and_put_back(cli: CliHarness, home: Path, client: str, raw: bytes | None) -> None:
    path = put(home / FILES[client], raw)
    first = connected(cli, client, "--write")
    assert str(path) in first.out
    written = path.read_bytes()
    assert b"11435/v1" in written
    assert client == "opencode" or written.startswith(raw or b"")
    assert (b"\r\n" in written) is (raw is not None and b"\r\n" in raw)
    if client == "codex":
        assert tomllib.loads(text_of(path))["model_providers"]["okr-tui"]["wire_api"] == "responses"
    assert "up to date" in connected(cli, client, "--write").out
    assert path.read_bytes() == written
    connected(cli, client, "--undo")
    assert (path.read_bytes() if path.exists() else None) == raw
    assert "Nothing to undo" in connected(cli, client, "--undo").out


@pytest.mark.parametrize(("client", "raw"), CASES)
def test_a_new_address_is_put_in_place_of_the_old_one(
    cli: CliHarness, home: Path, client: str, raw: bytes | None
) -> None:
    path = put(home / FILES[client], raw)
    connected(cli, client, "--write")
    document = json.loads(cli.settings_file.read_text())
    document["okr-tui"]["gateway"] = {"port": 4711}
    cli.settings_file.write_text(json.dumps(document))
    connected(cli, client, "--write")
    assert b"4711/v1" in path.read_bytes()
    assert b"11435" not in path.read_bytes()
    connected(cli, client, "--undo")
    assert (path.read_bytes() if path.exists() else None) == raw


@pytest.mark.parametrize(
    ("client", "raw", "more"),
    [
        ("codex", b'model = "o3"\n', b'\n[tui]\ntheme = "x"\n'),
        ("llm", b"- model_id: a\n  model_name: b\n", b"- model_id: c\n  model_name: d\n"),
    ],
)
def test_what_was_added_since_stays(
    cli: CliHarness, home: Path, client: str, raw: bytes, more: bytes
) -> None:
    path = put(home / FILES[client], raw)
    connected(cli, client, "--write")
    path.write_bytes(path.read_bytes() + more)
    assert "are kept" in connected(cli, client, "--undo").out
    assert path.read_bytes() == raw + more


SCHEMA = b'"$schema": "https://opencode.ai/config.json"'
MCP = b'\n[mcp_servers.mine]\ncommand = "x"\n'


def with_schema(raw: bytes) -> bytes:
    """A file as opencode changes it at its first start."""
    return raw.replace(b"{", b"{\n  " + SCHEMA + b",", 1)


def with_server(raw: bytes) -> bytes:
    """A file as `codex mcp add` changes it: comments at the end stay there."""
    end = raw.find(b"# okr-tui: end")
    return raw + MCP if end < 0 else raw[:end] + MCP + raw[end:]


@pytest.mark.parametrize(
    ("client", "raw", "change"),
    [
        *(("opencode", raw, with_schema) for raw in EARLIER["opencode"][1:]),
        ("codex", b'model = "o3"\n', with_server),
        ("codex", b"# mine\n\n[tui]\n\n\n[a] # b\n", with_server),
        ("llm", b"- model_id: a\n  model_name: b\n", lambda raw: b"# first\n" + raw),
    ],
)
@pytest.mark.parametrize("again", [False, True])
def test_what_the_client_itself_changed_since_stays_to_the_byte(
    cli: CliHarness,
    home: Path,
    client: str,
    raw: bytes,
    change: Callable[[bytes], bytes],
    *,
    again: bool,
) -> None:
    path = put(home / FILES[client], raw)
    connected(cli, client, "--write")
    path.write_bytes(change(path.read_bytes()))
    if again:
        document = json.loads(cli.settings_file.read_text())
        document["okr-tui"]["gateway"] = {"port": 4711}
        cli.settings_file.write_text(json.dumps(document))
        connected(cli, client, "--write")
        assert b"4711/v1" in path.read_bytes()
        assert b"11435/v1" not in path.read_bytes()
    connected(cli, client, "--undo")
    assert path.read_bytes() == change(raw)


def test_a_file_that_was_made_for_the_gateway_keeps_only_what_came_since(cli: CliHarness, home: Path) -> None:
    path = put(home / FILES["opencode"], None)
    connected(cli, "opencode", "--write")
    path.write_bytes(with_schema(path.read_bytes()))
    connected(cli, "opencode", "--undo")
    assert json.loads(path.read_bytes()) == {"$schema": "https://opencode.ai/config.json"}


def test_a_setting_of_opencode_that_was_added_since_stays(cli: CliHarness, home: Path) -> None:
    path = put(home / FILES["opencode"], b'{"provider": {"b": {}}}')
    connected(cli, "opencode", "--write")
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "theme": "x"}))
    connected(cli, "opencode", "--undo")
    assert json.loads(path.read_text()) == {"provider": {"b": {}}, "theme": "x"}


@pytest.mark.parametrize(
    ("client", "raw"),
    [
        ("codex", b'[model_providers.okr-tui]\nname = "mine"\n'),
        ("codex", b"\xff\xfe"),
        ("opencode", b"[]"),
        ("opencode", b"{oops"),
        ("llm", b"a: b\n"),
    ],
)
def test_what_cannot_be_changed_faithfully_is_left(
    cli: CliHarness, home: Path, client: str, raw: bytes
) -> None:
    path = put(home / FILES[client], raw)
    result = cli.run("connect", client, "--write")
    assert result.code == 1
    assert "nothing was changed" in result.err
    assert "11435/v1" in result.out  # what to add by hand
    assert path.read_bytes() == raw


def test_a_link_stays_a_link_and_modes_are_kept(cli: CliHarness, home: Path) -> None:
    target = put(home / "dotfiles" / "codex.toml", b'model = "o3"\n')
    target.chmod(0o640)
    path = home / FILES["codex"]
    path.parent.mkdir(parents=True)
    path.symlink_to(target)
    connected(cli, "codex", "--write")
    assert path.is_symlink()
    assert b"okr-tui" in target.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o640
    connected(cli, "codex", "--undo")
    assert target.read_bytes() == b'model = "o3"\n'
    assert path.is_symlink()


def test_what_others_can_reach_is_reported(cli: CliHarness, home: Path) -> None:
    del home
    assert "OPENAI_BASE_URL" in connected(cli, "openai").err
    assert "keeps the token in its own file" in connected(cli, "llm").err
    assert "token add" in connected(cli, "vscode").err
    assert '"github.copilot.chat.byok.ollamaEndpoint": "http://127.0.0.1' in connected(cli, "vscode").err
    models = json.loads(f"{{{connected(cli, 'vscode').out}}}")["models"]
    model = next(model for model in models if model["id"] == "gpt-oss:20b")
    assert model["url"].endswith("/v1/chat/completions")
    assert (model["toolCalling"], model["vision"]) == (True, False)
    assert model["maxInputTokens"] + model["maxOutputTokens"] == 131072
    reported = connected(cli, "claude-code").out
    assert "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK=1" in reported
    assert "CLAUDE_CODE_MAX_RETRIES=3" in reported
    assert state_folder().is_dir()


@pytest.mark.parametrize(
    "memory",
    [
        "[]",
        "null",
        '{"codex": 5}',
        '{"codex": {}}',
        '{"codex": {"path": "/x", "after": "", "put": "%"}}',
        pytest.param("[" * 9999, id="deep"),
    ],
)
def test_a_damaged_memory_of_what_was_written_is_reported(cli: CliHarness, home: Path, memory: str) -> None:
    path = put(home / FILES["codex"], b'model = "o3"\n')
    connected(cli, "codex", "--write")
    written = path.read_bytes()
    (state_folder() / "connect-undo.json").write_text(memory)
    for option in ("--write", "--undo"):
        result = cli.run("connect", "codex", option)
        assert (result.code, path.read_bytes()) == (1, written)
        assert "connect-undo.json is damaged" in result.err
