"""The log as it is told."""

import json
import signal

import pytest

from okr_tui.domain.keys import fingerprint
from tests.cli.home import COUNT, MODEL, NOW, Home, Text

START = "2026-10-08T16:00:00Z"
UUID = Text(r"[0-9a-f-]{36}")


def test_every_kind_in_full(home: Home) -> None:
    text = home.keys[0][0]
    home.write_settings(keys=1)
    who = {"key": 1, "fingerprint": fingerprint(text)}
    home.good("keys", "--check")
    home.good("chat", MODEL, "hello")
    home.good("refresh")
    for verb in ("disable-key", "enable-key", "reset-key", "use-key"):
        home.good(verb, "1")
    home.write_settings(keys=2)
    home.good("use-key", "2")
    identity, balance, attempt, *rest = home.good("events", "--json").lines
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
        **who,
        "model": MODEL,
        "path": "/api/chat",
        "outcome": "ok",
        "fault": None,
        "next_key": None,
        "first_byte_ms": COUNT,
        "duration_ms": COUNT,
        "input_tokens": COUNT,
        "output_tokens": 22,
    }
    second = {"key": 2, "fingerprint": fingerprint(home.keys[1][0])}
    assert rest == [
        {"at": START, "kind": "models", "count": 16, "added": [], "removed": [], "error": None},
        {"at": START, "kind": "disabled", **who},
        {"at": START, "kind": "enabled", **who},
        {"at": START, "kind": "reset", **who},
        {"at": START, "kind": "settings", "keys": 1, "cloud_url": home.url, "problems": []},
        {"at": START, "kind": "use", **who},
        {"at": START, "kind": "settings", "keys": 2, "cloud_url": home.url, "problems": []},
        {"at": START, "kind": "use", **second},
    ]


def test_a_key_that_is_gone_has_no_place(home: Home) -> None:
    home.good("disable-key", "4")
    home.write_settings(keys=3)
    (event,) = home.good("events", "--json").lines
    assert (event["key"], event["fingerprint"]) == (None, fingerprint(home.keys[3][0]))


def test_faults_and_where_the_request_went(home: Home) -> None:
    home.good("keys", "--check")
    home.fault("session", account="amber")
    home.good("chat", MODEL, "hello")
    (event,) = home.good("events", "--faults", "--json").lines
    assert event["outcome"] == "fault"
    assert {name: event["fault"][name] for name in ("kind", "scope", "window", "status")} == {
        "kind": "spent",
        "scope": "account",
        "window": "session",
        "status": 429,
    }
    assert (event["key"], event["next_key"]) == (1, 4)
    (line,) = home.good("events", "--faults").out.splitlines()
    assert line.startswith(f"10-08 16:00:00  #1 5h spent, back 16:01:30 → #4 · cli · {MODEL} · 429 ")


def test_an_outage_is_told_when_it_begins_and_ends(home: Home) -> None:
    home.fault("unavailable", times=3)
    assert home.run("chat", MODEL, "hello").code == 1
    home.moment.now = NOW + 20
    home.good("chat", MODEL, "hello")
    outages = [event for event in home.good("events", "--json").lines if event["kind"] == "outage"]
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
    told = home.good("events", "--faults").out.splitlines()
    assert "10-08 16:00:00  the cloud does not answer, next try 16:00:10" in told
    assert "10-08 16:00:20  outage over" in told


def test_the_log_for_people(home: Home) -> None:
    home.write_settings(keys=1)
    home.good("keys", "--check")
    home.good("refresh")
    home.good("disable-key", "1")
    assert home.good("events").out.splitlines() == [
        "10-08 16:00:00  #1 identity read, plan pro",
        "10-08 16:00:00  #1 quota read  5h 21%  week 35%",
        "10-08 16:00:00  16 models read",
        "10-08 16:00:00  #1 switched off",
    ]


def test_only_what_is_no_older(home: Home) -> None:
    home.good("disable-key", "1")
    home.moment.now = NOW + 7200
    home.good("enable-key", "1")
    for age, count in (("90s", 1), ("119m", 1), ("2h", 2), ("1d", 2), ("1w", 2)):
        assert len(home.good("events", "--since", age, "--json").lines) == count
    for age in ("2", "2y", "-1h", "1.5h", "h"):
        ran = home.run("events", "--since", age)
        assert (ran.code, ran.out) == (2, "")
        assert "is not an age such as" in ran.err


def test_following_goes_on_until_interrupted(home: Home) -> None:
    home.good("disable-key", "1")
    with home.process("events", "--follow", "--json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["kind"] == "disabled"
        home.good("enable-key", "1")
        assert json.loads(process.stdout.readline())["kind"] == "enabled"
        home.write_settings(keys=2)
        home.good("use-key", "2")
        assert json.loads(process.stdout.readline())["kind"] == "settings"
        used = json.loads(process.stdout.readline())
        assert (used["kind"], used["key"]) == ("use", 2)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.strip() == b""
