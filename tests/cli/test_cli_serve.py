"""`serve` as a process of its own."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import httpx
import pytest

from okr_tui.cli import serve
from okr_tui.settings.table import GatewayOptions
from tests.cli.harness import MODEL, CliHarness


def address(process: "subprocess.Popen[bytes]") -> str:
    """The address in the line that says it is ready."""
    assert process.stdout
    line = process.stdout.readline().decode()
    assert line.startswith("listening on http://127.0.0.1:")
    return line.removeprefix("listening on ").strip()


def token(cli: CliHarness) -> str:
    """The token as `paths` says where it is."""
    path = cli.run_ok("paths", "--json").json["gateway_token"]
    with open(path, encoding="ascii") as file:
        return file.read().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_end(cli: CliHarness, number: signal.Signals) -> None:
    with cli.process("serve", "--port", "0", "--access-log") as process:
        url = address(process)
        with httpx.Client(base_url=url, trust_env=False) as client:
            assert client.get("/healthz").json() == {"status": "ok"}
            assert client.get("/api/version").status_code == 401
            client.headers["authorization"] = f"Bearer {token(cli)}"
            status = client.get("/okr/status").json()
            body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
            answer = client.post("/api/chat", json=body)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert status["gateway"] == {"url": url}
    assert status["cloud_url"] == cli.url
    assert answer.text.splitlines()[-1].find('"done":true') > 0
    assert (process.returncode, out) == (0, b"")
    lines = [json.loads(line) for line in err.splitlines()]
    assert [line["path"] for line in lines] == ["/healthz", None, "/okr/status", "/api/chat"]
    logged = [event for event in cli.run_ok("events", "--json").lines if event["kind"] == "attempt"]
    assert [(event["client"], event["outcome"]) for event in logged] == [("gateway", "ok")]


def test_a_taken_port_is_one_line(cli: CliHarness) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = cli.run("serve", "--port", str(taken.getsockname()[1]))
    assert (result.code, result.out) == (1, "")
    assert len(result.err.splitlines()) == 1
    assert "(process " in result.err


def test_others_are_let_in_only_when_that_is_said(cli: CliHarness) -> None:
    result = cli.run("serve", "--host", "0.0.0.0", "--port", "0")
    assert (result.code, result.out) == (2, "")
    assert "--expose" in result.err
    with cli.process("serve", "--host", "0.0.0.0", "--port", "0", "--expose") as process:
        address(process)
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert b"not encrypted" in err


def test_the_section_of_the_settings_says_where(cli: CliHarness) -> None:
    document = json.loads(cli.settings_file.read_text())
    document["okr-tui"]["gateway"] = {"port": 0, "nonsense": 1}
    cli.settings_file.write_text(json.dumps(document))
    with cli.process("serve") as process:
        assert address(process) != GatewayOptions().url
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert err.count(b"gateway.nonsense is ignored: there is no such setting") == 1


def test_the_extra_fast_gives_serve_its_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", SimpleNamespace(new_event_loop=asyncio.SelectorEventLoop))
    assert serve._faster_loop() is asyncio.SelectorEventLoop
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert serve._faster_loop() is None
