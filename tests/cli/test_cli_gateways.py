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
from okr_tui.store.factory import state_folder
from tests.cli.harness import CliHarness
from tests.waiting import LIMIT


@contextmanager
def serving(cli: CliHarness, *options: str) -> Iterator[list[str]]:
    """A gateway as a process of its own; its ready lines as it prints them, then what else it says."""
    with cli.process("serve", "--port", "0", *options) as process:
        assert process.stdout
        lines = [process.stdout.readline().decode() for _ in range(1 + ("--daemon-port" in options))]
        yield lines
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=LIMIT)
        assert (process.returncode, out) == (0, b"")
        lines += err.decode().splitlines()


def gateway(cli: CliHarness) -> object:
    """What `status` says of it."""
    return cli.run_ok("status", "--json").json["gateway"]


def test_status_knows_a_gateway_as_long_as_it_runs(cli: CliHarness) -> None:
    assert gateway(cli) == {"url": None}
    assert "Gateway     not running" in cli.run_ok("status").out
    with serving(cli) as lines:
        url = lines[0].removeprefix("listening on ").strip()
        assert gateway(cli) == {"url": url}
        assert f"Gateway     {url} (process " in cli.run_ok("status").out
    assert gateway(cli) == {"url": None}


@pytest.mark.slow(reason="starts the program as a process again and again")
def test_a_killed_gateway_leaves_no_lie(cli: CliHarness) -> None:
    with cli.process("serve", "--port", "0") as process:
        assert process.stdout
        assert process.stdout.readline()
        assert gateway(cli) != {"url": None}
        process.kill()
        process.wait()
        assert gateway(cli) == {"url": None}


@pytest.mark.slow(reason="starts the program as a process again and again")
def test_a_gateway_that_cannot_be_announced_serves_all_the_same(cli: CliHarness) -> None:
    state_folder().mkdir(parents=True, exist_ok=True)
    (state_folder() / "gateways").write_text("")  # as where its disk is full, which root cannot be refused
    with serving(cli) as lines:
        url = lines[0].removeprefix("listening on ").strip()
        assert httpx.get(f"{url}/healthz", trust_env=False, verify=False).json() == {"status": "ok"}
    (said,) = [line for line in lines[1:] if "cannot announce the gateway in " in line]
    assert said.endswith("; other okr-tui commands do not find it")


@pytest.mark.slow(reason="starts the program as a process again and again")
def test_the_port_for_a_daemon_is_reported_on_a_second_line(cli: CliHarness, tmp_path: Path) -> None:
    file = tmp_path / ".ollama" / "id_ed25519.pub"
    file.parent.mkdir()
    public = Ed25519PrivateKey.generate().public_key()
    file.write_bytes(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
    with serving(cli, "--daemon-port", "0") as lines:
        first, second = lines
        assert first.startswith("listening on http://127.0.0.1:")
        assert second.startswith("listening on http://127.0.0.1:")
        assert second.endswith(" for the ollama daemon\n")
        url = second.split()[2]
        assert url != first.split()[2]
        assert httpx.get(f"{url}/healthz", trust_env=False, verify=False).json() == {"status": "ok"}
        assert httpx.get(f"{url}/api/version", trust_env=False, verify=False).status_code == 401
        assert url in cli.run_ok("status").out


def test_without_a_daemon_its_port_is_refused_in_one_line(cli: CliHarness) -> None:
    result = cli.run("serve", "--port", "0", "--daemon-port", "0")
    assert (result.code, result.out) == (1, "")
    assert len(result.err.splitlines()) == 1
    assert "public key" in result.err


def test_it_ends_when_its_server_cannot_continue(cli: CliHarness) -> None:
    async def failing(_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    cli.patch.setattr(_Server, "main_loop", failing)
    result = cli.run("serve", "--port", "0")
    assert result.code == 1
    assert result.out.startswith("listening on ")
    assert result.err.splitlines()[-1].startswith("okr-tui: the gateway stopped: ")
    assert "nobody foresaw this" in result.err


@pytest.mark.slow(reason="starts the program as a process again and again")
def test_settings_changed_meanwhile_wait_for_the_next_start(cli: CliHarness) -> None:
    document = json.loads(cli.settings_file.read_text())
    document["okr-tui"]["gateway"] = {"port": 0}
    cli.settings_file.write_text(json.dumps(document))
    with cli.process("serve") as process:
        assert process.stdout
        assert process.stderr
        url = process.stdout.readline().decode().split()[2]
        document["okr-tui"]["gateway"] = {"port": 1}
        cli.settings_file.write_text(json.dumps(document))
        for line in process.stderr:
            if b"restart it to apply that" in line:
                break
        else:
            pytest.fail("it ended")
        assert httpx.get(f"{url}/healthz", trust_env=False, verify=False).status_code == 200
