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
from tests.cli.home import Home, Ran

DEFAULT = "http://127.0.0.1:11435"
REAL = "http://127.0.0.1:40001"
DAEMON = "http://127.0.0.1:40002"


def token(home: Home) -> str:
    """The token as `paths` says where it is."""
    return Path(home.good("paths", "--json").json["gateway_token"]).read_text(encoding="ascii").strip()


def connected(home: Home, *arguments: str) -> Ran:
    """Run `connect`, which never says the token."""
    ran = home.good("connect", *arguments)
    assert token(home) not in ran.out + ran.err
    return ran


def gateway(home: Home, **section: object) -> None:
    """Write the settings of the gateway."""
    document = json.loads(home.settings_file.read_text())
    document["okr-tui"]["gateway"] = section
    home.settings_file.write_text(json.dumps(document))


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
def test_a_shell_is_told(home: Home, client: str, name: str, form: str) -> None:
    def told(url: str) -> None:
        exports = "\n".join(
            line for line in connected(home, client).out.splitlines() if line.startswith("export ")
        )
        script = f'{exports}\nprintf %s "${name}"'
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout == form.format(url=url, token=token(home))

    told(DEFAULT)
    gateway(home, port=4711)
    told("http://127.0.0.1:4711")
    with running():
        told(REAL)


def test_a_model_with_tools_is_named_for_anthropic(home: Home) -> None:
    assert re.search(r"^export ANTHROPIC_MODEL=\S+$", connected(home, "anthropic").out, re.MULTILINE)


def test_the_daemon_s_port(home: Home) -> None:
    ran = home.run("connect", "ollama-daemon")
    assert (ran.code, ran.out) == (1, "")
    assert "--daemon-port" in ran.err
    assert "okr-tui.gateway.daemonPort" in ran.err
    gateway(home, daemonPort=40003)
    ran = connected(home, "ollama-daemon")
    assert ran.out == "export OLLAMA_CLOUD_BASE_URL=http://127.0.0.1:40003\nollama serve\n"
    assert "systemctl edit ollama" in ran.err
    with running():
        ran = connected(home, "ollama-daemon")
        assert ran.out.startswith(f"export OLLAMA_CLOUD_BASE_URL={DAEMON}\n")
        assert f'Environment="OLLAMA_CLOUD_BASE_URL={DAEMON}"' in ran.err
    with running(None):
        ran = home.run("connect", "ollama-daemon")
        assert (ran.code, ran.out) == (1, "")
        assert f"the gateway at {REAL} has no port" in ran.err


@pytest.mark.parametrize("name", ["port", "daemonPort"])
def test_a_free_port_is_known_only_while_the_gateway_runs(home: Home, name: str) -> None:
    gateway(home, **{name: 0})
    ran = home.run("connect", "ollama-daemon")
    assert (ran.code, ran.out) == (1, "")
    assert f"okr-tui.gateway.{name} is 0" in ran.err
    with running():
        assert DAEMON in connected(home, "ollama-daemon").out


@pytest.mark.parametrize("client", ["pi", "ollama", "openai", "anthropic"])
def test_that_no_gateway_runs_is_said(home: Home, client: str) -> None:
    ran = connected(home, client)
    assert "no gateway runs" in ran.err
    assert "okr-tui.gateway.autostart" in ran.err
    assert "okr-tui serve" in ran.err
    with running():
        assert "no gateway runs" not in connected(home, client).err


@pytest.mark.parametrize("arguments", [("nobody",), ()])
def test_it_knows_its_clients(home: Home, arguments: tuple[str, ...]) -> None:
    assert home.run("connect", *arguments).code == 2


@pytest.mark.parametrize("option", ["--write", "--undo"])
@pytest.mark.parametrize("client", ["ollama", "ollama-daemon", "openai", "anthropic"])
def test_only_pi_has_a_file(home: Home, client: str, option: str) -> None:
    ran = home.run("connect", client, option)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert "for pi" in ran.err


def test_one_thing_at_a_time(home: Home) -> None:
    ran = home.run("connect", "pi", "--write", "--undo")
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)


@pytest.mark.skipif(not shutil.which("sh"), reason="there is no sh")
def test_pi_gets_the_token_by_a_command(home: Home) -> None:
    provider = json.loads(connected(home, "pi").out)["providers"]["ollama-cloud"]
    assert provider["apiKey"].startswith("!cat ")
    done = subprocess.run(["sh", "-c", provider["apiKey"][1:]], capture_output=True, text=True)
    assert done.stdout.strip() == token(home)
