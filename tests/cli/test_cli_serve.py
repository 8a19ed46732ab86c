"""`serve` as a process of its own."""

import json
import signal
import socket
import subprocess

import httpx
import pytest

from okr_tui.settings.gateway import Options
from tests.cli.home import MODEL, Home


def address(process: "subprocess.Popen[bytes]") -> str:
    """The address in the line that says it is ready."""
    assert process.stdout
    line = process.stdout.readline().decode()
    assert line.startswith("listening on http://127.0.0.1:")
    return line.removeprefix("listening on ").strip()


def token(home: Home) -> str:
    """The token as `paths` says where it is."""
    place = home.good("paths", "--json").json["gateway_token"]
    with open(place, encoding="ascii") as file:
        return file.read().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_end(home: Home, number: signal.Signals) -> None:
    with home.process("serve", "--port", "0", "--access-log") as process:
        url = address(process)
        with httpx.Client(base_url=url, trust_env=False) as client:
            assert client.get("/healthz").json() == {"status": "ok"}
            assert client.get("/api/version").status_code == 401
            client.headers["authorization"] = f"Bearer {token(home)}"
            status = client.get("/okr/status").json()
            body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
            answer = client.post("/api/chat", json=body)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert status["gateway"] == {"url": url}
    assert status["cloud_url"] == home.url
    assert answer.text.splitlines()[-1].find('"done":true') > 0
    assert (process.returncode, out) == (0, b"")
    lines = [json.loads(line) for line in err.splitlines()]
    assert [line["path"] for line in lines] == ["/healthz", None, "/okr/status", "/api/chat"]
    logged = [event for event in home.good("events", "--json").lines if event["kind"] == "attempt"]
    assert [(event["client"], event["outcome"]) for event in logged] == [("gateway", "ok")]


def test_a_taken_port_is_one_line(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = home.run("serve", "--port", str(taken.getsockname()[1]))
    assert (ran.code, ran.out) == (1, "")
    assert len(ran.err.splitlines()) == 1
    assert "another program listens there" in ran.err


def test_others_are_let_in_only_when_that_is_said(home: Home) -> None:
    ran = home.run("serve", "--host", "0.0.0.0", "--port", "0")
    assert (ran.code, ran.out) == (2, "")
    assert "--expose" in ran.err
    with home.process("serve", "--host", "0.0.0.0", "--port", "0", "--expose") as process:
        address(process)
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert b"plain HTTP" in err


def test_the_section_of_the_settings_says_where(home: Home) -> None:
    document = json.loads(home.settings_file.read_text())
    document["okr-tui"]["gateway"] = {"port": 0, "nonsense": 1}
    home.settings_file.write_text(json.dumps(document))
    with home.process("serve") as process:
        assert address(process) != Options().url
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert err.count(b"okr-tui.gateway.nonsense: there is no such setting") == 1
