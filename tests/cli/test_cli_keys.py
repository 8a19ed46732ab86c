"""The pool by hand."""

import json
import time

import pytest

from okr_tui.domain.keys import fingerprint, mask
from tests.cli.conftest import MakeCli
from tests.cli.harness import MODEL, NOW, CliHarness, Text

UUID = Text(r"[0-9a-f-]{36}")
SESSION_END = "2026-10-08T16:01:00Z"
WEEK_END = "2026-10-08T16:10:00Z"


def test_keys_as_json_in_full(cli: CliHarness) -> None:
    document = cli.run_ok("keys", "--check", "--json").json
    first, second, third, fourth = document.pop("keys")
    assert document == {"active": 1, "preferred": 1, "strategy": "sticky"}
    text = cli.keys[0][0]
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


def test_keys_for_people(cli: CliHarness) -> None:
    cli.run_ok("keys", "--check")
    assert cli.run_ok("keys").out.splitlines() == [
        "🔑 Ollama Cloud Key Pool",
        "Total: 4",
        f"Active: #1 {mask(cli.keys[0][0])}",
        "",
        f"👉 #1  {mask(cli.keys[0][0])}  amber 1  pro  ● ready  5h 21%  week 35%",
        f"   #2  {mask(cli.keys[1][0])}  amber 2  pro  ● ready  same as #1",
        f"   #3  {mask(cli.keys[2][0])}  birch 1  max  ● ready  5h 4%  week 12%",
        f"   #4  {mask(cli.keys[3][0])}  cedar 1  pro  ● ready  $57.50 left",
    ]


def test_a_check_reads_each_account_once(cli: CliHarness) -> None:
    cli.run_ok("keys", "--check")
    assert len(cli.sent("/api/me")) == 4
    assert [request["account"] for request in cli.sent("/api/balance")] == ["amber", "birch", "cedar"]


def test_a_check_reports_refused_keys_and_continues(make_cli: MakeCli) -> None:
    cli = make_cli("revoked")
    result = cli.run("keys", "--check", "--json")
    assert result.code == 1
    states = [key["state"] for key in result.json["keys"]]
    assert states == ["invalid", "ready", "invalid", "ready", "suspended"]
    assert result.json["active"] == 4
    assert result.json["keys"][0]["reason"] == "401 invalid credentials"
    assert f"okr-tui: #1 {mask(cli.keys[0][0])}: 401" in result.err
    assert "#2" not in result.err
    assert all(len(line) <= 80 for line in cli.run_ok("keys").out.splitlines())


def test_an_empty_pool_is_shown_and_cannot_be_turned(cli: CliHarness) -> None:
    cli.write_settings(keys=0)
    assert cli.run_ok("keys", "--json").json == {
        "active": None,
        "preferred": None,
        "strategy": "sticky",
        "keys": [],
    }
    result = cli.run_ok("keys")
    assert result.out == "🔑 Ollama Cloud Key Pool\nTotal: 0\nActive: (none)\n"
    assert result.err == "okr-tui: no key is configured: okr-tui add-key, or set OLLAMA_API_KEYS\n"
    for arguments in (("rotate",), ("use-key", "1"), ("disable-key", "1"), ("chat", MODEL, "hello")):
        result = cli.run(*arguments)
        assert (result.code, result.out) == (3, "")
        assert result.err.startswith("okr-tui: no key")
        assert result.err.endswith(": okr-tui add-key, or set OLLAMA_API_KEYS\n")


def test_rotate_prefers_the_next_key_and_keeps_the_file(cli: CliHarness) -> None:
    result = cli.run_ok("rotate")
    assert result.out == (
        f"Rotated Ollama cloud key → #2 {mask(cli.keys[1][0])}\n"
        f"Persisted activeKeyIndex to {cli.settings_file}\n"
    )
    document = json.loads(cli.settings_file.read_text())
    assert document["pi-ollama"]["activeKeyIndex"] == 1
    assert document["theme"] == "kept"


def test_rotate_passes_over_blocked_keys(cli: CliHarness) -> None:
    cli.run_ok("disable-key", "2")
    document = cli.run_ok("rotate", "--json").json
    assert set(document) == {"message", "key"}
    assert document["key"] == cli.run_ok("keys", "--json").json["keys"][2]


def test_rotate_with_one_key(cli: CliHarness) -> None:
    cli.write_settings(keys=1)
    assert cli.run_ok("rotate").out == "nothing to rotate to: the pool has one key\n"


def test_use_key_takes_effect(cli: CliHarness) -> None:
    assert cli.run_ok("use-key", " 3 ").out == (
        f"Active Ollama cloud key → #3 {mask(cli.keys[2][0])}\n"
        f"Persisted activeKeyIndex to {cli.settings_file}\n"
    )
    document = cli.run_ok("keys", "--json").json
    assert (document["active"], document["preferred"]) == (3, 3)


def test_a_choice_that_could_not_be_kept_is_refused(cli: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_ACTIVE_KEY_INDEX", "2")
    before = cli.settings_file.read_bytes()
    for arguments in (("rotate",), ("use-key", "1")):
        result = cli.run(*arguments)
        assert result.code == 1
        assert "OLLAMA_ACTIVE_KEY_INDEX" in result.err
    assert cli.settings_file.read_bytes() == before
    assert cli.run_ok("events").out == ""


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
def test_numbers_that_name_no_key(cli: CliHarness, number: str, code: int, words: str) -> None:
    result = cli.run("use-key", number)
    assert (result.code, result.out) == (code, "")
    assert words in result.err


@pytest.mark.parametrize("verb", ["enable-key", "disable-key", "test-key", "reset-key"])
def test_every_verb_wants_a_good_number(cli: CliHarness, verb: str) -> None:
    assert "Invalid key index: -1" in cli.run(verb, "-1").err
    assert "Invalid key index: 5; the pool has 4" in cli.run(verb, "5").err
    result = cli.run(verb)
    assert result.code == 2
    assert f"Usage: okr-tui {verb} [OPTIONS] N" in result.err


def test_a_number_is_needed(cli: CliHarness) -> None:
    result = cli.run("use-key")
    assert result.code == 2
    assert "Usage: okr-tui use-key [OPTIONS] N" in result.err


def test_off_and_on(cli: CliHarness) -> None:
    off = cli.run_ok("disable-key", "1", "--json").json
    assert off["message"] == f"#1 {mask(cli.keys[0][0])}: switched off"
    assert (off["key"]["enabled"], off["key"]["state"]) == (False, "off")
    assert off["key"]["reason"] == "switched off by you"
    assert cli.run_ok("enable-key", "1", "--json").json["key"]["enabled"] is True


def test_a_test_and_a_reset_of_a_key(cli: CliHarness) -> None:
    assert cli.run_ok("test-key", "1").out == f"#1 {mask(cli.keys[0][0])}: ready, plan pro\n"
    cli.change("amber", revoke=1)
    assert "as read 0s ago" in cli.run_ok("test-key", "1").out
    cli.clock.now = NOW + 11
    refused = cli.run("test-key", "1")
    assert (refused.code, refused.out) == (1, "")
    assert f"okr-tui: #1 {mask(cli.keys[0][0])}: 401" in refused.err
    row = cli.run_ok("keys", "--json").json["keys"][0]
    assert (row["state"], row["reason"]) == ("invalid", "401 invalid credentials")
    cli.clock.now = NOW + 12
    reset = cli.run_ok("reset-key", "1", "--json").json
    assert reset["message"] == f"#1 {mask(cli.keys[0][0])}: older faults forgotten"
    assert reset["key"]["state"] == "ready"


def test_times_are_the_users_own(cli: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.write_settings(keys=1)
    cli.fault("session")
    cli.run("chat", "gpt-oss:20b", "hello")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    assert "5h spent, back 01:01:30" in cli.run_ok("keys").out


def test_a_number_means_the_same_key_in_every_shell(cli: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = [text for text, _ in cli.keys[:3]]
    document = json.loads(cli.settings_file.read_text())
    document["pi-ollama"]["apiKeys"] = ["$WORK_KEY", second, third]
    cli.settings_file.write_text(json.dumps(document))
    result = cli.run_ok("keys", "--json")
    rows = result.json["keys"]
    assert [(row["fingerprint"], row["masked"], row["state"]) for row in rows[:2]] == [
        (None, "$WORK_KEY", "missing"),
        (fingerprint(second), mask(second), "unverified"),
    ]
    assert "apiKeys entry 1 gives no key: the environment variable WORK_KEY it names is not set" in result.err
    for verb in ("use-key", "test-key", "reset-key", "disable-key"):
        refused = cli.run(verb, "1")
        assert refused.code == 1
        assert "#1 $WORK_KEY gives no key: the environment variable WORK_KEY" in refused.err
    assert cli.run_ok("explain", "--json").json["choice"]["key"] == 2
    without = cli.run_ok("use-key", "2").out
    monkeypatch.setenv("WORK_KEY", first)
    assert cli.run_ok("use-key", "2").out == without
    assert mask(second) in without


def test_keys_that_all_give_none_are_blocked_and_not_absent(cli: CliHarness) -> None:
    document = json.loads(cli.settings_file.read_text())
    document["pi-ollama"]["apiKeys"] = ["$WORK_KEY"]
    cli.settings_file.write_text(json.dumps(document))
    result = cli.run("chat", MODEL, "hello")
    assert result.code == 4
    assert "the environment variable WORK_KEY" in result.err
    assert cli.run_ok("remove-key", "1", "--json").json["key"]["masked"] == "$WORK_KEY"
