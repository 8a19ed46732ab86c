"""`serve` as a process of its own."""

import asyncio
import json
import os
import plistlib
import pty
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from okr_tui.cli import serve
from okr_tui.domain.errors import StoreError
from okr_tui.settings.table import GatewayOptions
from tests.cli.harness import MODEL, CliHarness
from tests.waiting import LIMIT


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
def test_it_serves_until_a_signal(cli: CliHarness, number: signal.Signals) -> None:
    cli.clock.now = time.time()  # a process goes by the machine's clock
    with cli.process("serve", "--port", "0", "--access-log") as process:
        url = address(process)
        with httpx.Client(base_url=url, trust_env=False, verify=False) as client:
            assert client.get("/healthz").json() == {"status": "ok"}
            assert client.get("/api/version").status_code == 401
            client.headers["authorization"] = f"Bearer {token(cli)}"
            status = client.get("/okr/status").json()
            body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
            answer = client.post("/api/chat", json=body)
        process.send_signal(number)
        out, err = process.communicate(timeout=LIMIT)
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


@pytest.mark.slow(reason="starts the program as a process again and again")
def test_others_are_let_in_only_when_asked_for(cli: CliHarness) -> None:
    result = cli.run("serve", "--host", "0.0.0.0", "--port", "0")
    assert (result.code, result.out) == (2, "")
    assert "--expose" in result.err
    with cli.process("serve", "--host", "0.0.0.0", "--port", "0", "--expose") as process:
        address(process)
        process.terminate()
        _, err = process.communicate(timeout=LIMIT)
    assert b"not encrypted" in err


@pytest.mark.slow(reason="starts the program as a process again and again")
def test_the_section_of_the_settings_says_where(cli: CliHarness) -> None:
    document = json.loads(cli.settings_file.read_text())
    document["okr-tui"]["gateway"] = {"port": 0, "nonsense": 1}
    cli.settings_file.write_text(json.dumps(document))
    with cli.process("serve") as process:
        assert address(process) != GatewayOptions().url
        process.terminate()
        _, err = process.communicate(timeout=LIMIT)
    assert err.count(b"gateway.nonsense is ignored: there is no such setting") == 1


@pytest.mark.slow(reason="starts the program as a process again and again")
def test_a_hangup_reads_the_settings_again(cli: CliHarness) -> None:
    with cli.process("serve", "--port", "0") as process:
        url = address(process)
        document = json.loads(cli.settings_file.read_text())
        document["okr-tui"]["nonsense"] = 1
        cli.settings_file.write_text(json.dumps(document))
        process.send_signal(signal.SIGHUP)
        assert process.stderr
        said = ""
        while "settings reloaded: 4 keys" not in said:
            said = process.stderr.readline().decode()
            assert said, "it ended"
        assert httpx.get(f"{url}/healthz", trust_env=False, verify=False).status_code == 200
        process.terminate()
        process.communicate(timeout=LIMIT)
    assert process.returncode == 0


@pytest.mark.slow(reason="starts the program as a process again and again")
def test_a_terminal_that_goes_away_ends_it(cli: CliHarness) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "okr_tui", *cli.where, "serve", "--port", "0"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        address(process)
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=LIMIT)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0


@pytest.mark.slow(reason="starts the program as a process again and again")
def test_a_supervisor_hears_of_every_state(cli: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sdnotify")
    path = cli.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.settimeout(20)
        supervisor.bind(str(path))
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        with cli.process("serve", "--port", "0") as process:
            assert supervisor.recv(100) == b"READY=1"
            address(process)
            process.send_signal(signal.SIGHUP)
            assert supervisor.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert supervisor.recv(100) == b"READY=1"
            process.terminate()
            assert supervisor.recv(100) == b"STOPPING=1"
            process.communicate(timeout=LIMIT)


def test_a_unit_for_systemd(cli: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OKR_TUI_STORE", "redis://user:hidden-word@host/0")
    document = json.loads(cli.settings_file.read_text())
    document["okr-tui"]["gateway"] = {"graceSeconds": 100}
    cli.settings_file.write_text(json.dumps(document))
    result = cli.run_ok("serve", "--port", "11500", "--access-log", "--print-unit", "systemd")
    assert "hidden-word" not in result.out + result.err
    lines = result.out.splitlines()
    (start,) = [line for line in lines if line.startswith("ExecStart=/")]
    assert start.endswith(f"--settings {cli.settings_file} serve --port 11500 --access-log")
    assert {"Type=notify", "TimeoutStopSec=115", "NoNewPrivileges=yes", "UMask=0077"} <= {*lines}
    folders = f"{cli.folder / '.local/state/okr-tui'} {cli.folder}"
    assert f"ReadWritePaths={folders}" in lines
    assert f"ExecStartPre=+/bin/mkdir -p -m 0700 {folders}" in lines
    assert not [line for line in lines if line.startswith("Environment=")]
    monkeypatch.setenv("XDG_STATE_HOME", str(cli.folder / "per cent % state"))
    monkeypatch.setitem(sys.modules, "sdnotify", None)
    text = cli.run_ok("serve", "--print-unit", "systemd").out
    assert "Type=exec" in text
    assert f'Environment="XDG_STATE_HOME={cli.folder}/per cent %% state"' in text
    monkeypatch.setenv("XDG_STATE_HOME", str(cli.folder / "in $USD"))
    text = cli.run_ok("serve", "--print-unit", "systemd").out
    assert f'Environment="XDG_STATE_HOME={cli.folder}/in $USD"' in text
    assert f'ReadWritePaths="{cli.folder}/in $USD/okr-tui" ' in text
    assert f'mkdir -p -m 0700 "{cli.folder}/in $$USD/okr-tui" ' in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit(cli: CliHarness) -> None:
    unit = cli.folder / "okr-tui.service"
    unit.write_text(cli.run_ok("serve", "--print-unit", "systemd").out)
    result = subprocess.run(
        ["systemd-analyze", "--user", "--man=no", "verify", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(cli.folder), "HOME": str(cli.folder)},
    )
    assert "okr-tui.service" not in result.stderr, result.stderr


def test_a_property_list_for_launchd(cli: CliHarness) -> None:
    text = cli.run_ok("serve", "--host", "::1", "--print-unit", "launchd").out
    document = plistlib.loads(text.encode())
    assert document["ProgramArguments"][-5:] == [
        "--settings",
        str(cli.settings_file),
        "serve",
        "--host",
        "::1",
    ]
    assert Path(document["ProgramArguments"][0]).is_absolute()
    assert (document["ExitTimeOut"], document["KeepAlive"]) == (45, {"SuccessfulExit": False})


def test_the_container_files_name_what_is_there() -> None:
    folder = Path(__file__).parent.parent.parent / ".github" / "docker"
    docker, compose = (folder / "Dockerfile").read_text(), (folder / "compose.yaml").read_text()
    assert "/healthz" in docker
    assert str(GatewayOptions().port) in docker
    assert f"127.0.0.1:{GatewayOptions().port}:{GatewayOptions().port}" in compose
    assert GatewayOptions().grace_seconds < 45
    assert "stop_grace_period: 45s" in compose


def test_the_extra_fast_gives_serve_its_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", SimpleNamespace(new_event_loop=asyncio.SelectorEventLoop))
    assert serve._faster_loop() is asyncio.SelectorEventLoop
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert serve._faster_loop() is None


async def test_a_hangup_that_is_repeated_cuts_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    with serve._stop_signals(lambda: None) as signals:
        for _ in range(3):
            signal.raise_signal(signal.SIGHUP)
            await signals.first.wait()
            for _ in range(5):
                await asyncio.sleep(0)
        assert not signals.second.is_set()


async def test_a_reload_that_fails_is_reported_and_ends() -> None:
    notes: list[str] = []
    states: list[str] = []
    ended = asyncio.Event()

    async def reload() -> None:
        raise StoreError("the log is gone")

    def notify(state: str) -> None:
        states.append(state)
        if state == "READY=1":
            ended.set()

    serve._reloading(SimpleNamespace(reload=reload), notes.append, notify)()  # type: ignore[arg-type]
    async with asyncio.timeout(LIMIT):
        await ended.wait()
    assert states[0].startswith("RELOADING=1")
    assert notes == ["okr-tui: settings not reloaded: the log is gone"]


async def test_a_problem_whose_count_grows_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    away = "cannot write the log x: no room; this process has worked alone since 08:00:00"
    service = SimpleNamespace(problems=(), pool=SimpleNamespace(changes=lambda: changes()))
    monkeypatch.setattr(serve, "_options", lambda *_: None)

    async def changes() -> AsyncIterator[None]:
        for count in (1, 2, 10):
            service.problems = (f"{away}, records waiting for the log: {count}, lost: {count}", "#1 is odd")
            yield
        service.problems = (f"{away}, records waiting for the log: 11", "#1 is odd", "#2 is odd")
        yield

    said: list[str] = []
    await serve._report_problems(service, {}, said.append)  # type: ignore[arg-type]
    assert [line.removeprefix("okr-tui: ") for line in said] == [
        f"{away}, records waiting for the log: 1, lost: 1",
        "#1 is odd",
        "#2 is odd",
    ]
