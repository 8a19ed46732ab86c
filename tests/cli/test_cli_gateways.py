"""What other commands know of a running `serve`, and how it ends when it cannot go on."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from okr_tui.gateway.server import _Server
from okr_tui.services.live_pool import Pool
from tests.cli.home import Home


@contextmanager
def serving(home: Home, *options: str) -> Iterator[list[str]]:
    """A gateway as a process of its own; its ready lines as it prints them, then what else it says."""
    with home.process("serve", "--port", "0", *options) as process:
        assert process.stdout
        lines = [process.stdout.readline().decode() for _ in range(1 + ("--daemon-port" in options))]
        yield lines
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (0, b"")
        lines += err.decode().splitlines()


def gateway(home: Home) -> object:
    """What `status` says of it."""
    return home.good("status", "--json").json["gateway"]


def test_status_knows_a_gateway_as_long_as_it_runs(home: Home) -> None:
    assert gateway(home) == {"url": None}
    assert "Gateway     not running" in home.good("status").out
    with serving(home) as lines:
        url = lines[0].removeprefix("listening on ").strip()
        assert gateway(home) == {"url": url}
        assert f"Gateway     {url} (process " in home.good("status").out
    assert gateway(home) == {"url": None}


def test_a_killed_gateway_leaves_no_lie(home: Home) -> None:
    with home.process("serve", "--port", "0") as process:
        assert process.stdout
        assert process.stdout.readline()
        assert gateway(home) != {"url": None}
        process.kill()
        process.wait()
        assert gateway(home) == {"url": None}


def test_the_port_for_a_daemon_is_said_on_a_second_line(home: Home, tmp_path: Path) -> None:
    file = tmp_path / ".ollama" / "id_ed25519.pub"
    file.parent.mkdir()
    public = Ed25519PrivateKey.generate().public_key()
    file.write_bytes(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
    with serving(home, "--daemon-port", "0") as lines:
        first, second = lines
        assert first.startswith("listening on http://127.0.0.1:")
        assert second.startswith("listening on http://127.0.0.1:")
        assert second.endswith(" for the ollama daemon\n")
        url = second.split()[2]
        assert url != first.split()[2]
        assert httpx.get(f"{url}/healthz", trust_env=False).json() == {"status": "ok"}
        assert httpx.get(f"{url}/api/version", trust_env=False).status_code == 401
        assert url in home.good("status").out


def test_without_a_daemon_its_port_is_refused_in_one_line(home: Home) -> None:
    ran = home.run("serve", "--port", "0", "--daemon-port", "0")
    assert (ran.code, ran.out) == (1, "")
    assert len(ran.err.splitlines()) == 1
    assert "public key" in ran.err


@pytest.mark.parametrize("place", [(Pool, "follow"), (_Server, "main_loop")])
def test_it_ends_when_it_cannot_go_on(home: Home, place: tuple[type, str]) -> None:
    async def failing(_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    home.patch.setattr(*place, failing)
    ran = home.run("serve", "--port", "0")
    assert ran.code == 1
    assert ran.out.startswith("listening on ")
    assert ran.err.splitlines()[-1].startswith("okr-tui: the gateway had to end: ")
    assert "nobody foresaw this" in ran.err


def test_settings_changed_meanwhile_wait_for_the_next_start(home: Home) -> None:
    document = json.loads(home.settings_file.read_text())
    document["okr-tui"]["gateway"] = {"port": 0}
    home.settings_file.write_text(json.dumps(document))
    with home.process("serve") as process:
        assert process.stdout
        assert process.stderr
        url = process.stdout.readline().decode().split()[2]
        document["okr-tui"]["gateway"] = {"port": 1}
        home.settings_file.write_text(json.dumps(document))
        assert b"it holds at its next start" in process.stderr.readline()
        assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
