"""The environment is input: what is odd in it is one line that names it, or does not matter."""

import io
import json
import os
import pwd
import resource
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import click
import pytest

from okr_tui.cli import main
from okr_tui.cli.dashboard import run as run_dashboard
from tests.cli.harness import MODEL, CliHarness
from tests.cli.test_cli_chat import HELLO
from tests.cli.test_cli_serve import address
from tests.cli.test_terminal import Terminal
from tests.waiting import LIMIT

BREAKING = """
import okr_tui.services.live_pool as module

async def broken(*_):
    raise RuntimeError("on purpose")

module.LivePool.open = broken
"""


@pytest.fixture
def nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with a number and no home folder, as containers have."""

    def unknown(_number: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    monkeypatch.delenv("HOME")


def ended(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command without any option of a harness."""
    with pytest.raises(SystemExit) as caught:
        main([*arguments])
    out, err = capsys.readouterr()
    assert "unexpected" not in err
    assert isinstance(caught.value.code, int)
    return caught.value.code, out, err


@pytest.mark.usefixtures("nameless")
@pytest.mark.parametrize("arguments", [("status",), ("events",), ("usage",), ("connect", "pi")])
def test_without_a_home_folder_one_line_says_what_to_set(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = ended(capsys, *arguments)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("okr-tui: there is no home folder, and so nowhere to keep the log")
    assert "set HOME or XDG_STATE_HOME" in err


@pytest.mark.usefixtures("nameless")
@pytest.mark.parametrize("command", ["doctor", "paths"])
def test_without_a_home_folder_those_who_look_at_it_still_run(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = ended(capsys, command)
    assert code == 0 or command == "doctor"
    assert out
    if command == "doctor":
        assert "✖ there is no home folder, and so no settings file\n  → set HOME" in out
        assert "✖ there is no home folder, and so nowhere to keep the log" in out


@pytest.mark.usefixtures("nameless")
def test_without_a_home_folder_keys_of_the_environment_do(
    cli: CliHarness, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEYS", f'"{cli.keys[0][0]}"')
    monkeypatch.setenv("OLLAMA_HOST_CLOUD", f"{cli.url}/v1/")
    code, out, err = ended(capsys, "--store", "memory:", "status")
    assert code == 0
    assert "1 configured" in out
    code, out, err = ended(capsys, "--store", "memory:", "chat", MODEL, "Hello")
    assert code == 0, err
    assert "its ending /v1 is left out" in err
    code, _, err = ended(capsys, "--store", "memory:", "use-key", "1")
    assert (code, "nothing was changed" in err or "for this run only" in err) == (1, True)
    assert not Path("/nonexistent/.local").exists()
    assert not Path("/nonexistent/.pi").exists()


@pytest.mark.usefixtures("nameless")
def test_the_home_of_system_users_is_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/nonexistent")
    code, _, err = ended(capsys, "status")
    assert code == 1
    assert "there is no home folder" in err
    assert not Path("/nonexistent/.local").exists()


@pytest.mark.usefixtures("nameless")
def test_named_files_are_enough_without_a_home_folder(
    cli: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(cli.folder / "state"))
    assert "4 configured" in cli.run_ok("status").out
    assert "home folder" not in cli.run("doctor").out


@pytest.mark.slow(reason="starts the program as a process again and again")
@pytest.mark.parametrize(
    "command", ["status", "events", "usage", "doctor", "connect ollama", "use-key 2", "trust"]
)
def test_a_home_folder_with_a_name_in_another_encoding_will_do(command: str, cli: CliHarness) -> None:
    home = os.fsencode(cli.folder) + b"/caf\xe9"
    os.makedirs(home + b"/.pi/agent")
    settings = {"cloudUrl": cli.url, "apiKeys": [text for text, _ in cli.keys]}
    Path(os.fsdecode(home + b"/.pi/agent/settings.json")).write_text(json.dumps({"pi-ollama": settings}))
    environment = {b"HOME": home, b"PATH": os.environb[b"PATH"]}
    done = subprocess.run(
        [sys.executable, "-m", "okr_tui", *command.split()],
        env=environment,
        cwd=cli.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert b"unexpected" not in done.stderr
    assert done.returncode == 0 or command in ("doctor", "trust")


def test_an_empty_or_quoted_home_is_not_the_root_folder(
    cli: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", f"'{cli.folder}'")
    assert cli.run_ok("paths", "--json").json["state"].startswith(str(cli.folder))
    monkeypatch.setenv("HOME", "")
    state = cli.run_ok("paths", "--json").json["state"]
    assert state.startswith(pwd.getpwuid(os.getuid()).pw_dir)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"])
def test_certificates_that_are_missing_are_one_line(
    name: str, cli: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "/missing/place")
    assert cli.run_ok("status").err == "", "an http cloud needs no certificates"
    cli.write_settings(cloudUrl="https://cloud.example")
    for command in (("status",), ("models", "--refresh"), ("chat", MODEL, "Hello"), ("test-key", "1")):
        result = cli.run(*command)
        assert (result.code, result.out) == (1, "")
        assert result.err.splitlines()[-1].startswith(f"okr-tui: {name}=/missing/place cannot be ")
    assert f"✖ {name}=/missing/place cannot be " in cli.run("doctor").out


@pytest.mark.parametrize("value", ["socks4://p:1", "http://proxy:80a", "gopher://p"])
def test_a_proxy_that_cannot_be_used_is_a_problem(
    value: str, cli: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    cli.write_settings(cloudUrl="https://cloud.example")
    assert "HTTPS_PROXY cannot be used: " in cli.run_ok("status").out
    assert cli.run_ok("status", "--json").json["settings"]["problems"]
    result = cli.run("chat", MODEL, "Hello")
    assert result.code == 1
    assert result.err.count("HTTPS_PROXY cannot be used: ") >= 2
    assert "✖ HTTPS_PROXY cannot be used: " in cli.run("doctor").out
    fault = [event for event in cli.run_ok("events", "--json").lines if event["kind"] == "attempt"][-1][
        "fault"
    ]
    assert fault["cause"] == "proxy"
    assert fault["text"].startswith("HTTPS_PROXY cannot be used: ")


def test_the_cause_of_a_failure_is_reported_in_one_way(cli: CliHarness) -> None:
    cli.write_settings(cloudUrl="http://127.0.0.1:1")
    words = "connection refused by 127.0.0.1:1; check that a server listens there"
    assert words in cli.run("chat", MODEL, "Hello").err
    assert words in cli.run("test-key", "1").err
    assert words in cli.run("refresh").err
    assert words in cli.run_ok("events").out
    fault = [event for event in cli.run_ok("events", "--json").lines if event["kind"] == "attempt"][-1][
        "fault"
    ]
    assert (fault["cause"], fault["text"]) == ("refused", words)


def test_a_state_folder_that_is_a_file_is_one_line_and_stops_no_reading_verb(
    cli: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = cli.folder / "file"
    path.write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(path))
    result = cli.run("--store", f"sqlite:{path}/okr-tui/log.db", "status")
    said = [line for line in (result.out + result.err).splitlines() if "cannot open the log" in line]
    assert (result.code, len(said)) == (0, 1)
    assert f"cannot open the log {path}/okr-tui/log.db" in said[0]
    result = cli.run("serve", "--port", "0")
    assert result.code == 1
    assert all(str(path) in line for line in result.err.splitlines())


@pytest.mark.slow(reason="starts the program as a process again and again")
@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONWARNINGS": "error"},
        {"PYTHONOPTIMIZE": "2"},
        {"PYTHONSAFEPATH": "1"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"TZ": "garbage/place", "TMPDIR": "/missing"},
    ],
    ids=lambda variables: "+".join(variables),
)
def test_variables_of_python_and_the_locale_end_nothing(variables: dict[str, str], cli: CliHarness) -> None:
    command = [sys.executable, "-m", "okr_tui", *cli.where, "chat", MODEL, "Hello"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(cli.folder), **variables}
    done = subprocess.run(command, env=environment, capture_output=True, timeout=LIMIT)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert done.stdout.strip()


def test_a_folder_that_is_gone_ends_nothing(
    cli: CliHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    with pytest.raises(SystemExit) as ended:
        main(["--settings", str(cli.settings_file), "chat", MODEL, "Hello"])
    out, err = cli.capture.readouterr()
    assert (ended.value.code, bool(out.strip())) == (0, True)
    assert err.startswith("okr-tui: the current folder no longer exists")


@pytest.mark.slow(reason="starts the program as a process again and again")
@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_closed_stream_ends_nothing(closed: int, cli: CliHarness) -> None:
    command = [sys.executable, "-m", "okr_tui", *cli.where, "chat", MODEL, "Hello"]
    shell = f"exec {shlex.join(command)} {closed}>&-"
    environment = {"PATH": os.environ["PATH"], "HOME": str(cli.folder), "LANG": "C.UTF-8"}
    done = subprocess.run(["/bin/sh", "-c", shell], env=environment, capture_output=True, timeout=LIMIT)
    assert (done.returncode, b"unexpected" in done.stderr) == (0, False), done.stderr
    assert bool(done.stdout.strip()) == (closed != 1)


@pytest.mark.slow(reason="starts the program as a process again and again")
def test_ctrl_c_while_the_program_is_loaded_shows_no_traceback(cli: CliHarness, tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    command = [sys.executable, "-m", "okr_tui", *cli.where, "status"]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


@pytest.fixture
def broken_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program whose log cannot be read for an unexpected reason."""
    (tmp_path / "sitecustomize.py").write_text(BREAKING)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))


@pytest.mark.slow(reason="starts the program as a process again and again")
@pytest.mark.usefixtures("broken_opening")
@pytest.mark.parametrize("command", ["status", "serve"])
def test_a_command_whose_opening_fails_ends(command: str, cli: CliHarness) -> None:
    with cli.process(command) as process:
        out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, out) == (1, b"")
    assert err.startswith(b"okr-tui: unexpected RuntimeError")


@pytest.mark.slow(reason="starts the program as a process again and again")
@pytest.mark.usefixtures("broken_opening")
def test_a_dashboard_whose_opening_fails_ends_with_the_key_to_quit(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    try:
        terminal.wait_for(b"on purpose")
        terminal.send(b"q")
        assert terminal.end(10) == 0
    finally:
        terminal.close()


@pytest.mark.slow(reason="starts the program as a process again and again")
def test_serve_names_what_keeps_it_from_the_cloud(cli: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/missing/ca.pem")
    cli.write_settings(cloudUrl="https://cloud.example")
    with cli.process("serve", "--port", "0") as process:
        address(process)
        process.terminate()
        _, err = process.communicate(timeout=LIMIT)
    assert err.startswith(b"okr-tui: SSL_CERT_FILE=/missing/ca.pem cannot be used")


@pytest.mark.slow(reason="starts the program as a process again and again")
@pytest.mark.parametrize("begun", [False, True])
def test_a_disk_that_is_full_from_the_start_fails_no_request(cli: CliHarness, begun: bool) -> None:
    """No process can write a byte into any file; only what a person chose is missed."""
    if begun:
        cli.run_ok("disable-key", "2")

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-B", "-m", "okr_tui", *cli.where, *arguments]
        return subprocess.run(command, capture_output=True, text=True, preexec_fn=no_room, check=False)

    answered = run("chat", MODEL, "hello")
    assert (answered.returncode, answered.stdout) == (0, HELLO), answered.stderr
    assert "what was not written could not be kept either, and is lost" in answered.stderr
    for verb in ("status", "keys", "usage"):
        assert run(verb).returncode == 0, verb
    lost = run("disable-key", "1")
    assert lost.returncode == 1
    assert "is lost" in lost.stderr
    refused = run("chat", "no-such-model", "hello")
    assert (refused.returncode, "no-such-model failed on #" in refused.stderr) == (1, True), refused.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TEXTUAL_COLOR_SYSTEM", "x"),
        ("TEXTUAL_COLOR_SYSTEM", ""),
        ("TEXTUAL_DRIVER", "x"),
        ("TEXTUAL_DRIVER", ""),
        ("TEXTUAL_DRIVER", "textual.app:App"),
        ("TEXTUAL_DRIVER", "textual.nowhere:Driver"),
    ],
)
def test_a_variable_of_textual_that_cannot_be_used_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(click.UsageError, match=f"{name} .*unset it"):
        run_dashboard(unopened, demo=True)


def unopened(_clock: object) -> NoReturn:
    raise AssertionError("the service is opened")
