"""The log as it is told."""

import json
import signal

import pytest

from okr_tui.domain.keys import fingerprint
from tests.cli.harness import COUNT, MODEL, NOW, CliHarness, Text
from tests.waiting import LIMIT

START = "2026-10-08T16:00:00Z"
UUID = Text(r"[0-9a-f-]{36}")


def test_every_kind_in_full(cli: CliHarness) -> None:
    text = cli.keys[0][0]
    cli.write_settings(keys=1)
    who = {"who": None, "key": 1, "fingerprint": fingerprint(text)}
    cli.run_ok("keys", "--check")
    cli.run_ok("chat", MODEL, "hello")
    cli.run_ok("refresh")
    for verb in ("disable-key", "enable-key", "reset-key", "use-key"):
        cli.run_ok(verb, "1")
    cli.write_settings(keys=2)
    cli.run_ok("use-key", "2")
    identity, balance, attempt, *rest = cli.run_ok("events", "--json").lines
    assert identity == {"at": START, "kind": "identity", **who, "account": UUID, "plan": "pro"}
    assert balance == {
        "at": START,
        "kind": "balance",
        **who,
        "windows": [
            {"name": "session", "used_percent": 21.0, "resets_at": "2026-10-08T16:01:00Z"},
            {
                "name": "weekly",
                "used_percent": pytest.approx(34.6),
                "resets_at": "2026-10-08T16:10:00Z",
            },
        ],
        "credits": None,
        "understood": True,
    }
    assert attempt == {
        "at": START,
        "kind": "attempt",
        "client": "cli",
        "caller": None,
        **who,
        "model": MODEL,
        "path": "/api/chat",
        "outcome": "ok",
        "fault": None,
        "next_key": None,
        "first_byte_ms": COUNT,
        "duration_ms": COUNT,
        "input_tokens": COUNT,
        "cached_tokens": None,
        "output_tokens": 22,
    }
    second = {"who": None, "key": 2, "fingerprint": fingerprint(cli.keys[1][0])}
    assert rest == [
        {"at": START, "kind": "models", "count": 16, "added": [], "removed": [], "error": None},
        {"at": START, "kind": "disabled", **who},
        {"at": START, "kind": "enabled", **who},
        {"at": START, "kind": "reset", **who},
        {"at": START, "kind": "settings", "who": None, "keys": 1, "cloud_url": cli.url, "problems": []},
        {"at": START, "kind": "use", **who},
        {"at": START, "kind": "settings", "who": None, "keys": 2, "cloud_url": cli.url, "problems": []},
        {"at": START, "kind": "use", **second},
    ]


def test_a_key_that_is_gone_has_no_index(cli: CliHarness) -> None:
    cli.run_ok("disable-key", "4")
    cli.write_settings(keys=3)
    (event,) = cli.run_ok("events", "--json").lines
    assert (event["key"], event["fingerprint"]) == (None, fingerprint(cli.keys[3][0]))


def test_faults_and_where_the_request_went(cli: CliHarness) -> None:
    cli.run_ok("keys", "--check")
    cli.fault("session", account="amber")
    cli.run_ok("chat", MODEL, "hello")
    (event,) = cli.run_ok("events", "--faults", "--json").lines
    assert event["outcome"] == "fault"
    assert {name: event["fault"][name] for name in ("kind", "scope", "window", "status")} == {
        "kind": "spent",
        "scope": "account",
        "window": "session",
        "status": 429,
    }
    assert (event["key"], event["next_key"]) == (1, 3)
    (line,) = cli.run_ok("events", "--faults").out.splitlines()
    assert line.startswith(f"10-08 16:00:00  #1 5h spent, back 16:01:30 → #3 · cli · {MODEL} · 429")


def test_an_outage_has_a_line_when_it_begins_and_when_it_ends(cli: CliHarness) -> None:
    cli.write_settings(policy={"slowed_wait": 0})
    cli.fault("unavailable", times=7)
    assert cli.run("chat", MODEL, "hello").code == 1
    assert cli.run("chat", MODEL, "hello").code == 1
    assert [event["kind"] for event in cli.run_ok("events", "--json").lines].count("outage") == 0
    assert cli.run("chat", MODEL, "something else").code == 4
    cli.clock.now = NOW + 20
    cli.run_ok("chat", MODEL, "hello")
    outages = [event for event in cli.run_ok("events", "--json").lines if event["kind"] == "outage"]
    assert outages == [
        {
            "at": START,
            "kind": "outage",
            "phase": "begin",
            "until": "2026-10-08T16:00:10Z",
            "text": Text(".+"),
        },
        {"at": "2026-10-08T16:00:20Z", "kind": "outage", "phase": "end", "until": None, "text": None},
    ]
    lines = cli.run_ok("events", "--faults").out.splitlines()
    assert "10-08 16:00:00  the cloud does not answer, next try 16:00:10" in lines
    assert "10-08 16:00:20  the cloud answers again after 20s" in lines


def test_the_log_for_people(cli: CliHarness) -> None:
    cli.write_settings(keys=1)
    cli.run_ok("keys", "--check")
    cli.run_ok("refresh")
    cli.run_ok("disable-key", "1")
    assert cli.run_ok("events").out.splitlines() == [
        "10-08 16:00:00  #1 identity read, plan pro",
        "10-08 16:00:00  #1 quota read  5h 21%  week 35%",
        "10-08 16:00:00  16 models read",
        "10-08 16:00:00  #1 switched off",
    ]


def test_only_what_is_not_older(cli: CliHarness) -> None:
    cli.run_ok("disable-key", "1")
    cli.clock.now = NOW + 7200
    cli.run_ok("enable-key", "1")
    for age, count in (("90s", 1), ("119m", 1), ("2h", 2), ("1d", 2), ("1w", 2)):
        assert len(cli.run_ok("events", "--since", age, "--json").lines) == count
    for age in ("2", "2y", "-1h", "1.5h", "h"):
        result = cli.run("events", "--since", age)
        assert (result.code, result.out) == (2, "")
        assert "is not an age such as" in result.err


def test_following_continues_until_interrupted(cli: CliHarness) -> None:
    cli.run_ok("disable-key", "1")
    with cli.process("events", "--follow", "--json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["kind"] == "disabled"
        cli.run_ok("enable-key", "1")
        assert json.loads(process.stdout.readline())["kind"] == "enabled"
        cli.write_settings(keys=2)
        cli.run_ok("use-key", "2")
        assert json.loads(process.stdout.readline())["kind"] == "settings"
        used = json.loads(process.stdout.readline())
        assert (used["kind"], used["key"]) == ("use", 2)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert errors.strip() == b""
