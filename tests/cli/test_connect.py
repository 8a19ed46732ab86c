"""What `connect` prints for each client: exact, for the gateway that runs, and without the token."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from okr_tui.services.gateway_registry import Presence, announced
from okr_tui.store.factory import state_folder
from tests.cli.harness import CliHarness, CommandResult

DEFAULT = "http://127.0.0.1:11435"
REAL = "http://127.0.0.1:40001"
DAEMON = "http://127.0.0.1:40002"


def token(cli: CliHarness) -> str:
    """The token as `paths` says where it is."""
    return Path(cli.run_ok("paths", "--json").json["gateway_token"]).read_text(encoding="ascii").strip()


def connected(cli: CliHarness, *arguments: str) -> CommandResult:
    """Run `connect`, which never says the token."""
    result = cli.run_ok("connect", *arguments)
    assert token(cli) not in result.out + result.err
    return result


def gateway(cli: CliHarness, **section: object) -> None:
    """Write the settings of the gateway."""
    document = json.loads(cli.settings_file.read_text())
    document["okr-tui"]["gateway"] = section
    cli.settings_file.write_text(json.dumps(document))


@contextmanager
def running(daemon: str | None = DAEMON) -> Iterator[None]:
    """A gateway that is announced."""
    with announced(state_folder(), Presence(REAL, daemon, 1)):
        yield


@pytest.mark.parametrize(
    ("client", "name", "form"),
    [
        ("ollama", "OLLAMA_HOST", "{url}/{token}"),
        ("openai", "OPENAI_BASE_URL", "{url}/v1"),
        ("openai", "OPENAI_API_KEY", "{token}"),
        ("anthropic", "ANTHROPIC_BASE_URL", "{url}"),
        ("anthropic", "ANTHROPIC_AUTH_TOKEN", "{token}"),
    ],
)
def test_a_shell_gets_its_commands(cli: CliHarness, client: str, name: str, form: str) -> None:
    def check_exports(url: str) -> None:
        exports = "\n".join(
            line for line in connected(cli, client).out.splitlines() if line.startswith("export ")
        )
        script = f'{exports}\nprintf %s "${name}"'
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout == form.format(url=url, token=token(cli))

    check_exports(DEFAULT)
    gateway(cli, port=4711)
    check_exports("http://127.0.0.1:4711")
    with running():
        check_exports(REAL)


def test_a_model_with_tools_is_named_for_anthropic(cli: CliHarness) -> None:
    assert re.search(r"^export ANTHROPIC_MODEL=\S+$", connected(cli, "anthropic").out, re.MULTILINE)


def test_the_daemon_s_port(cli: CliHarness) -> None:
    result = cli.run("connect", "ollama-daemon")
    assert (result.code, result.out) == (1, "")
    assert "--daemon-port" in result.err
    assert "okr-tui.gateway.daemonPort" in result.err
    gateway(cli, daemonPort=40003)
    result = connected(cli, "ollama-daemon")
    assert result.out == "export OLLAMA_CLOUD_BASE_URL=http://127.0.0.1:40003\nollama serve\n"
    assert "systemctl edit ollama" in result.err
    with running():
        result = connected(cli, "ollama-daemon")
        assert result.out.startswith(f"export OLLAMA_CLOUD_BASE_URL={DAEMON}\n")
        assert f'Environment="OLLAMA_CLOUD_BASE_URL={DAEMON}"' in result.err
    with running(None):
        result = cli.run("connect", "ollama-daemon")
        assert (result.code, result.out) == (1, "")
        assert f"the gateway at {REAL} has no port" in result.err


@pytest.mark.parametrize("name", ["port", "daemonPort"])
def test_a_free_port_is_known_only_while_the_gateway_runs(cli: CliHarness, name: str) -> None:
    gateway(cli, **{name: 0})
    result = cli.run("connect", "ollama-daemon")
    assert (result.code, result.out) == (1, "")
    assert f"okr-tui.gateway.{name} is 0" in result.err
    with running():
        assert DAEMON in connected(cli, "ollama-daemon").out


@pytest.mark.parametrize("client", ["pi", "ollama", "openai", "anthropic"])
def test_that_no_gateway_runs_is_reported(cli: CliHarness, client: str) -> None:
    result = connected(cli, client)
    assert "no gateway is running" in result.err
    assert "okr-tui.gateway.autostart" in result.err
    assert "okr-tui serve" in result.err
    with running():
        assert "no gateway is running" not in connected(cli, client).err


def test_it_knows_its_clients(cli: CliHarness) -> None:
    assert cli.run("connect", "nobody").code == 2
    listed = [line.split()[0] for line in cli.run_ok("connect").out.splitlines()]
    assert listed == [
        *("pi", "ollama", "ollama-daemon", "openai", "anthropic", "claude-code", "codex", "opencode"),
        *("aider", "llm", "vscode", "open-webui"),
    ]


@pytest.mark.parametrize("option", ["--write", "--undo"])
@pytest.mark.parametrize("client", ["ollama", "ollama-daemon", "openai", "anthropic", "aider", "vscode"])
def test_not_every_client_has_a_file(cli: CliHarness, client: str, option: str) -> None:
    result = cli.run("connect", client, option)
    assert (result.code, result.out, len(result.err.splitlines())) == (2, "", 1)
    assert f"{client} has no --write" in result.err


def test_one_thing_at_a_time(cli: CliHarness) -> None:
    result = cli.run("connect", "pi", "--write", "--undo")
    assert (result.code, result.out, len(result.err.splitlines())) == (2, "", 1)


@pytest.mark.skipif(not shutil.which("sh"), reason="there is no sh")
def test_pi_gets_the_token_by_a_command(cli: CliHarness) -> None:
    provider = json.loads(connected(cli, "pi").out)["providers"]["ollama-cloud"]
    assert provider["apiKey"].startswith("!cat ")
    done = subprocess.run(["sh", "-c", provider["apiKey"][1:]], capture_output=True, text=True)
    assert done.stdout.strip() == token(cli)
