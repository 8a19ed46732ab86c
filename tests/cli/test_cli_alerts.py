"""Alerts of commands: a hook runs before the command ends, the log has the alert, and scripts see it."""

import json
import shlex
import subprocess
import sys
from typing import Any

import pytest

from tests.cli.harness import MODEL, CliHarness


def set_ours(cli: CliHarness, **settings: object) -> None:
    document = json.loads(cli.settings_file.read_text())
    document["okr-tui"] |= settings
    cli.settings_file.write_text(json.dumps(document))


def reported(cli: CliHarness) -> list[dict[str, Any]]:
    path = cli.folder / "reported"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def hooked(cli: CliHarness) -> CliHarness:
    set_ours(cli, hooks={"*": f"cat >> {shlex.quote(str(cli.folder / 'reported'))}"})
    return cli


def test_a_command_runs_its_hook_for_what_it_found_out(hooked: CliHarness) -> None:
    hooked.fault("session", path="/api/chat", account="amber")
    hooked.run_ok("chat", MODEL, "hello")
    found = [each for each in reported(hooked) if each["event"] == "spent"]
    assert [(each["key"], each["window"], each["kind"]) for each in found] == [(1, "session", "alert")]
    hooked.run_ok("status", "--json")
    hooked.run_ok("keys", "--json")
    assert [each for each in reported(hooked) if each["event"] == "spent"] == found, "looking raises nothing"


def test_an_alert_is_an_event_of_the_log(hooked: CliHarness) -> None:
    hooked.fault("session", path="/api/chat", account="amber")
    hooked.run_ok("chat", MODEL, "hello")
    lines = [json.loads(line) for line in hooked.run_ok("events", "--json").out.splitlines()]
    events = [line for line in lines if line["kind"] == "alert"]
    assert [line["event"] for line in events].count("spent") == 1


def test_a_hook_that_fails_is_reported_and_fails_no_command(cli: CliHarness) -> None:
    set_ours(cli, hooks={"spent": "exit 4"})
    cli.fault("session", path="/api/chat", account="amber")
    result = cli.run_ok("chat", MODEL, "hello")
    assert "okr-tui: the hook for spent failed: it ended with exit code 4" in result.err


def test_a_command_waits_for_a_slow_hook_for_a_moment_only(
    cli: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("okr_tui.cli.invocation.HOOKS_AT_EXIT", 0.1)
    set_ours(cli, hooks={"spent": "exec sleep 1000"}, alerts={"hookSeconds": 1000})
    cli.fault("session", path="/api/chat", account="amber")
    cli.run_ok("chat", MODEL, "hello")


def test_a_project_that_is_not_trusted_runs_no_hook(cli: CliHarness) -> None:
    project = cli.folder / "project" / ".pi" / "settings.json"
    project.parent.mkdir(parents=True, exist_ok=True)
    owned = cli.folder / "owned"
    project.write_text(json.dumps({"okr-tui": {"hooks": {"*": f"touch {shlex.quote(str(owned))}"}}}))
    cli.fault("session", path="/api/chat", account="amber")
    result = cli.run_ok("chat", MODEL, "hello")
    assert "hooks is ignored: the project is not trusted" in result.err
    assert not owned.exists()


@pytest.mark.slow(reason="starts the program as a process again and again")
def test_of_two_commands_at_once_one_runs_the_hook(hooked: CliHarness) -> None:
    hooked.run_ok("keys", "--check")  # so that the accounts are known
    hooked.fault("session", path="/api/chat", account="amber", times=2)
    command = [sys.executable, "-m", "okr_tui", *hooked.where, "chat", MODEL, "hello"]
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in "ab"]
    assert [each.wait(60) for each in running] == [0, 0]
    assert [each["event"] for each in reported(hooked)].count("spent") == 1
