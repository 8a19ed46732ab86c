"""The pool by hand."""

import json
import time

import pytest

from okr_tui.domain.keys import fingerprint, mask
from tests.cli.conftest import MakeHome
from tests.cli.home import MODEL, NOW, Home, Text

UUID = Text(r"[0-9a-f-]{36}")
SESSION_END = "2026-10-08T16:01:00Z"
WEEK_END = "2026-10-08T16:10:00Z"


def test_keys_as_json_in_full(home: Home) -> None:
    document = home.good("keys", "--check", "--json").json
    first, second, third, fourth = document.pop("keys")
    assert document == {"active": 1, "preferred": 1, "strategy": "sticky"}
    text = home.keys[0][0]
    assert first == {
        "index": 1,
        "fingerprint": fingerprint(text),
        "masked": mask(text),
        "label": "amber 1",
        "origin": "global",
        "enabled": True,
        "state": "ready",
        "window": None,
        "until": None,
        "reason": "",
        "account": UUID,
        "account_keys": [1, 2],
        "plan": "pro",
        "windows": [
            {"name": "session", "used_percent": 21.0, "resets_at": SESSION_END},
            {"name": "weekly", "used_percent": pytest.approx(34.6), "resets_at": WEEK_END},
        ],
        "credits": None,
        "read_at": "2026-10-08T16:00:00Z",
        "requests": 0,
        "faults": 0,
        "blocked_models": [],
    }
    assert second["account"] == first["account"]
    assert third["plan"] == "max"
    assert fourth["windows"] == []
    assert fourth["credits"] == {
        "balance_usd": 45.0,
        "allowance_usd": 60.0,
        "purchased_usd": 12.5,
        "until": "2026-10-08T16:05:00Z",
    }


def test_keys_for_people(home: Home) -> None:
    home.good("keys", "--check")
    assert home.good("keys").out.splitlines() == [
        "🔑 Ollama Cloud Key Pool",
        "Total: 4",
        f"Active: #1 {mask(home.keys[0][0])}",
        "",
        f"👉 #1  {mask(home.keys[0][0])}  amber 1  pro  ● ready  5h 21%  week 35%",
        f"   #2  {mask(home.keys[1][0])}  amber 2  pro  ● ready  same as #1",
        f"   #3  {mask(home.keys[2][0])}  birch 1  max  ● ready  5h 4%  week 12%",
        f"   #4  {mask(home.keys[3][0])}  cedar 1  pro  ● ready  $57.50 left",
    ]


def test_a_check_reads_each_account_once(home: Home) -> None:
    home.good("keys", "--check")
    assert len(home.sent("/api/me")) == 4
    assert [request["account"] for request in home.sent("/api/balance")] == ["amber", "birch", "cedar"]


def test_a_check_reports_refused_keys_and_goes_on(make_home: MakeHome) -> None:
    home = make_home("revoked")
    ran = home.good("keys", "--check", "--json")
    states = [key["state"] for key in ran.json["keys"]]
    assert states == ["invalid", "ready", "invalid", "ready", "suspended"]
    assert ran.json["active"] == 4
    assert ran.json["keys"][0]["reason"] == "401 invalid credentials"
    assert f"okr-tui: #1 {mask(home.keys[0][0])}: 401" in ran.err
    assert "#2" not in ran.err
    assert all(len(line) <= 80 for line in home.good("keys").out.splitlines())


def test_an_empty_pool_is_shown_and_cannot_be_turned(home: Home) -> None:
    home.write_settings(keys=0)
    assert home.good("keys", "--json").json == {
        "active": None,
        "preferred": None,
        "strategy": "sticky",
        "keys": [],
    }
    ran = home.good("keys")
    assert ran.out == "🔑 Ollama Cloud Key Pool\nTotal: 0\nActive: (none)\n"
    assert ran.err == "okr-tui: no key is configured: okr-tui add-key, or set OLLAMA_API_KEYS\n"
    for arguments in (("rotate",), ("use-key", "1"), ("disable-key", "1"), ("chat", MODEL, "hello")):
        ran = home.run(*arguments)
        assert (ran.code, ran.out) == (3, "")
        assert ran.err.startswith("okr-tui: no key")
        assert ran.err.endswith(": okr-tui add-key, or set OLLAMA_API_KEYS\n")


def test_rotate_prefers_the_next_key_and_keeps_the_file(home: Home) -> None:
    ran = home.good("rotate")
    assert ran.out == (
        f"Rotated Ollama cloud key → #2 {mask(home.keys[1][0])}\n"
        f"Persisted activeKeyIndex to {home.settings_file}\n"
    )
    document = json.loads(home.settings_file.read_text())
    assert document["pi-ollama"]["activeKeyIndex"] == 1
    assert document["theme"] == "kept"


def test_rotate_passes_over_blocked_keys(home: Home) -> None:
    home.good("disable-key", "2")
    document = home.good("rotate", "--json").json
    assert set(document) == {"message", "key"}
    assert document["key"] == home.good("keys", "--json").json["keys"][2]


def test_rotate_with_one_key(home: Home) -> None:
    home.write_settings(keys=1)
    assert home.good("rotate").out == "nothing to rotate to: the pool has one key\n"


def test_use_key_takes_effect(home: Home) -> None:
    assert home.good("use-key", " 3 ").out == (
        f"Active Ollama cloud key → #3 {mask(home.keys[2][0])}\n"
        f"Persisted activeKeyIndex to {home.settings_file}\n"
    )
    document = home.good("keys", "--json").json
    assert (document["active"], document["preferred"]) == (3, 3)


def test_a_choice_that_could_not_be_kept_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_ACTIVE_KEY_INDEX", "2")
    before = home.settings_file.read_bytes()
    for arguments in (("rotate",), ("use-key", "1")):
        ran = home.run(*arguments)
        assert ran.code == 1
        assert "OLLAMA_ACTIVE_KEY_INDEX" in ran.err
    assert home.settings_file.read_bytes() == before
    assert home.good("events").out == ""


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        ("0", 2, "Invalid key index: 0; keys count from 1"),
        ("-1", 2, "Invalid key index: -1; keys count from 1"),
        ("5", 1, "Invalid key index: 5; the pool has 4"),
        ("1.5", 2, "'1.5' is not the number of a key"),
        ("0x2", 2, "'0x2' is not the number of a key"),
        ("abc", 2, "'abc' is not the number of a key"),
        ("²", 2, "'²' is not the number of a key"),
    ],
)
def test_numbers_that_name_no_key(home: Home, number: str, code: int, words: str) -> None:
    ran = home.run("use-key", number)
    assert (ran.code, ran.out) == (code, "")
    assert words in ran.err


@pytest.mark.parametrize("verb", ["enable-key", "disable-key", "test-key", "reset-key"])
def test_every_verb_wants_a_good_number(home: Home, verb: str) -> None:
    assert "Invalid key index: -1" in home.run(verb, "-1").err
    assert "Invalid key index: 5; the pool has 4" in home.run(verb, "5").err
    ran = home.run(verb)
    assert ran.code == 2
    assert f"Usage: okr-tui {verb} [OPTIONS] N" in ran.err


def test_a_number_is_needed(home: Home) -> None:
    ran = home.run("use-key")
    assert ran.code == 2
    assert "Usage: okr-tui use-key [OPTIONS] N" in ran.err


def test_off_and_on(home: Home) -> None:
    off = home.good("disable-key", "1", "--json").json
    assert off["message"] == f"#1 {mask(home.keys[0][0])}: switched off"
    assert (off["key"]["enabled"], off["key"]["state"]) == (False, "off")
    assert off["key"]["reason"] == "switched off by you"
    assert home.good("enable-key", "1", "--json").json["key"]["enabled"] is True


def test_a_test_and_a_reset_of_a_key(home: Home) -> None:
    assert home.good("test-key", "1").out == f"#1 {mask(home.keys[0][0])}: ready, plan pro\n"
    home.change("amber", revoke=1)
    refused = home.run("test-key", "1")
    assert (refused.code, refused.out) == (1, "")
    assert f"okr-tui: #1 {mask(home.keys[0][0])}: 401" in refused.err
    row = home.good("keys", "--json").json["keys"][0]
    assert (row["state"], row["reason"]) == ("invalid", "401 invalid credentials")
    home.moment.now = NOW + 1
    reset = home.good("reset-key", "1", "--json").json
    assert reset["message"] == f"#1 {mask(home.keys[0][0])}: older faults forgotten"
    assert reset["key"]["state"] == "ready"


def test_times_are_the_users_own(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.write_settings(keys=1)
    home.fault("session")
    home.run("chat", "gpt-oss:20b", "hello")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    assert "5h spent, back 01:01:30" in home.good("keys").out
