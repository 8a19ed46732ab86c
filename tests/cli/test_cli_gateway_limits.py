"""A gateway that is crowded: too many connections for its open files, a standard error that is not read."""

import json
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.cli.harness import CliHarness
from tests.harness import MODEL
from tests.waiting import LIMIT

pytestmark = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of another process")

FILES = 128
CROWD = 300
PIPE = 1024 * 1024
QUESTION = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}


@contextmanager
def gateway(cli: CliHarness, *options: str) -> Iterator[tuple["subprocess.Popen[bytes]", httpx.Client]]:
    """A gateway as a process of its own, and a client with its token that uses a new connection each time."""
    with cli.process("serve", "--port", "0", *options) as process:
        assert process.stdout
        url = process.stdout.readline().decode().split()[2]
        paths = cli.run_ok("paths", "--json").json
        token = next(Path(str(item)) for item in _texts(paths) if str(item).endswith("gateway-token"))
        with httpx.Client(
            base_url=url,
            headers={"x-api-key": token.read_text().strip(), "connection": "close"},
            trust_env=False,
            verify=False,
            timeout=LIMIT,
        ) as client:
            yield process, client


def _texts(document: object) -> Iterator[object]:
    if isinstance(document, dict):
        for item in document.values():
            yield from _texts(item)
    elif isinstance(document, list):
        for item in document:
            yield from _texts(item)
    else:
        yield document


def seconds_of(process: "subprocess.Popen[bytes]") -> float:
    """The processor's time that a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.parametrize(
    "half", [b"", b"POST /api/chat HTTP/1.1\r\nhost: local"], ids=["silent", "half a head"]
)
def test_a_crowd_without_a_token_stops_no_caller_and_fills_no_log(cli: CliHarness, half: bytes) -> None:
    with gateway(cli) as (process, client), ExitStack() as stack:
        assert process.stderr
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
        address = (client.base_url.host, client.base_url.port)
        for _ in range(CROWD):
            idle = stack.enter_context(socket.socket())
            idle.settimeout(10)
            idle.connect(address)
            if half:
                try:
                    idle.send(half)
                except OSError:
                    continue  # it has been closed before
        answers = [client.post("/api/chat", json=QUESTION) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200] * 5
        assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) < FILES
        used, began = seconds_of(process), time.monotonic()
        assert client.get("/healthz").status_code == 200
        assert seconds_of(process) - used <= 0.5 + 0.5 * (time.monotonic() - began)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=LIMIT)
        assert process.returncode == 0
    assert len(err.splitlines()) <= 3, err[:1000]


def test_a_full_standard_error_holds_up_nothing(cli: CliHarness) -> None:
    with gateway(cli, "--access-log") as (process, client):
        address = (client.base_url.host, client.base_url.port)
        request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
        with socket.create_connection(address, timeout=LIMIT) as caller:
            lines = 2 * PIPE // len(json.dumps({"method": "GET", "path": "/healthz", "at": "x" * 20}))
            for _ in range(max(1, lines // 4 // 200)):
                caller.sendall(request * 200)
                got = b""
                while got.count(b'{"status":"ok"}') < 200:
                    got += caller.recv(65536)
        assert client.post("/api/chat", json=QUESTION).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=LIMIT) == 0


def test_what_it_writes_is_its_owners_alone_and_names_no_secret(cli: CliHarness) -> None:
    before = os.umask(0)
    try:
        with gateway(cli, "--access-log") as (process, client):
            token = client.headers["x-api-key"]
            assert client.post(f"/{token}/api/chat", json=QUESTION).status_code == 200
            assert client.get(f"/{token[:-1]}/api/chat").status_code == 404
            command = Path(f"/proc/{process.pid}/cmdline").read_text()
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=LIMIT)
    finally:
        os.umask(before)
    for text in (command, out.decode(), err.decode()):
        assert token[:-1] not in text
        assert not any(key in text for key, _ in cli.keys)
    documents = [item for item in cli.run_ok("paths", "--json").json.values() if isinstance(item, str)]
    found = [Path(item) for item in documents if Path(item).exists() and Path(item) != cli.settings_file]
    folders = {path.parent for path in found if path.name == "gateway-token"}
    assert folders
    for folder in folders:
        assert folder.stat().st_mode & 0o077 == 0
        for path in folder.rglob("*"):
            assert path.stat().st_mode & 0o077 == 0, path
