"""`usage` and `status --line`: from the log alone, and light."""

import asyncio
import csv
import io
import json
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from okr_tui.cli.invocation import LocalZone
from okr_tui.domain.keys import fingerprint
from okr_tui.domain.records import Attempt, IdentityRead
from okr_tui.domain.usage import CloudBucket, CloudCounts, CloudReading, cloud_usage_of, write_readings
from okr_tui.store.factory import open_store
from okr_tui.store.usage import sum_up, summed_through
from tests.cli.harness import MODEL, NOW, CliHarness

ROW = {
    "requests",
    "faults",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "hops",
    "first_byte_ms",
    "tokens_per_second",
}
OTHER = "kimi-k2.6"


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch, cli: CliHarness) -> None:
    monkeypatch.setattr(time, "time", cli.clock)


def attempt(at: float, key: str = "a" * 12, model: str = MODEL, **more: object) -> Attempt:
    counts = {"input_tokens": 900, "cached_tokens": 100, "output_tokens": 4000, **more}
    return Attempt(
        at=at,
        started=at - 2,
        client="gateway",
        caller="laptop",
        fingerprint=key,
        model=model,
        path="/api/chat",
        outcome="ok",
        first_byte_ms=500,
        duration_ms=2500,
        **counts,  # type: ignore[arg-type]
    )


def fill(cli: CliHarness, *records: Attempt | IdentityRead, trimmed: bool = False) -> None:
    async def work() -> None:
        store = await open_store(f"sqlite:{cli.folder / 'log.db'}")
        await store.append(records)
        if trimmed:
            await sum_up(store, NOW, behind=0)
            await store.trim(await summed_through(store), NOW + 1, 0)
        await store.close()

    asyncio.run(work())


@pytest.mark.parametrize("trimmed", [False, True])
def test_usage_as_json_in_full(cli: CliHarness, trimmed: bool) -> None:
    fill(cli, attempt(NOW), attempt(NOW, output_tokens=1), attempt(NOW, model=OTHER), trimmed=trimmed)
    document = cli.run_ok("usage", "--by", "model", "--json").json
    first = {"requests": 2, "faults": 0, "input_tokens": 1800, "cached_tokens": 200, "output_tokens": 4001}
    assert document == {
        "by": "model",
        "since": "2026-09-08T16:00:00Z",
        "until": "2026-10-08T16:00:00Z",
        "rows": [
            {"name": MODEL, **first, "hops": 0, "first_byte_ms": 500, "tokens_per_second": 1000.2},
            {
                "name": OTHER,
                **dict.fromkeys(ROW, 0),
                "requests": 1,
                "input_tokens": 900,
                "cached_tokens": 100,
                "output_tokens": 4000,
                "first_byte_ms": 500,
                "tokens_per_second": 2000.0,
            },
        ],
        "cloud": None,
    }


def test_csv_has_the_columns_of_the_rows(cli: CliHarness) -> None:
    fill(cli, attempt(NOW, model='a "model", of sorts'))
    text = cli.run_ok("usage", "--by", "model", "--csv").out
    (row,) = csv.DictReader(io.StringIO(text))
    (same,) = cli.run_ok("usage", "--by", "model", "--json").json["rows"]
    assert row == {name: str(value) for name, value in same.items()}
    assert text.splitlines()[0].startswith("name,requests,faults,input_tokens,cached_tokens,output_tokens")


def test_groups_are_named_as_people_and_scripts_know_them(cli: CliHarness) -> None:
    key = fingerprint(cli.keys[0][0])
    account = IdentityRead(at=NOW, started=NOW, fingerprint=key, account="an-account")
    fill(cli, account, attempt(NOW, key))
    cli.run_ok("status")
    names = {
        by: [row["name"] for row in cli.run_ok("usage", "--by", by, "--json").json["rows"]]
        for by in ("day", "key", "account", "client")
    }
    assert names == {"day": ["2026-10-08"], "key": [key], "account": ["an-account"], "client": ["laptop"]}
    label = cli.keys[0][1]
    assert f"#1 {label}" in cli.run_ok("usage", "--by", "key").out
    assert f"{label} (#1)" in cli.run_ok("usage", "--by", "account").out
    hours = cli.run_ok("usage", "--by", "hour", "--json").json
    assert (hours["since"], [row["name"] for row in hours["rows"]]) == (
        "2026-10-07T16:00:00Z",
        ["2026-10-08T16:00:00+00:00"],
    )


def test_a_table_adds_up_and_ends_in_a_total(cli: CliHarness) -> None:
    fill(cli, attempt(NOW - 86400), attempt(NOW))
    lines = cli.run_ok("usage").out.splitlines()
    assert lines[0] == "Usage since 2026-09-08 00:00"
    assert [line.split()[0] for line in lines[1:]] == ["day", "2026-10-07", "2026-10-08", "total"]
    assert lines[-1].split()[1:6] == ["2", "0", "1,800", "200", "8,000"]


def test_how_far_back_is_asked_for(cli: CliHarness) -> None:
    fill(cli, attempt(NOW - 40 * 86400), attempt(NOW - 3 * 86400), attempt(NOW))
    counts = [
        sum(row["requests"] for row in cli.run_ok("usage", "--since", since, "--json").json["rows"])
        for since in ("2h", "5d", "30d", "9w", "10000d")
    ]
    assert counts == [1, 2, 2, 3, 3]
    assert cli.run("usage", "--since", "soon").code == 2
    assert cli.run("usage", "--by", "mood").code == 2
    assert cli.run("usage", "--json", "--csv").code == 2


def test_days_are_those_of_the_machines_zone(cli: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    fill(cli, attempt(NOW))  # 01:00 of the next day in Tokyo
    assert [row["name"] for row in cli.run_ok("usage", "--json").json["rows"]] == ["2026-10-09"]


def test_an_empty_and_a_missing_log_say_so(cli: CliHarness) -> None:
    assert cli.run_ok("usage").out == "Nothing was spent since 2026-09-08 00:00.\n"
    assert cli.run_ok("usage", "--json").json["rows"] == []
    assert not (cli.folder / "log.db").exists()
    fill(cli, attempt(0))
    assert cli.run_ok("usage").out.startswith("Nothing was spent")


def test_an_address_of_no_log_is_named(cli: CliHarness) -> None:
    (cli.folder / "log.db").write_bytes(b"this was never a database" * 100)
    result = cli.run("usage")
    assert result.code == 1
    assert "cannot read the log" in result.err


def test_the_log_of_a_server_has_the_same(cli: CliHarness, redis_url: str) -> None:
    async def work() -> None:
        store = await open_store(redis_url)
        await store.append([attempt(NOW)])
        await sum_up(store, NOW, behind=0)
        await store.close()

    asyncio.run(work())
    result = cli.run_ok("--store", redis_url, "usage", "--by", "model", "--json")
    assert [row["output_tokens"] for row in result.json["rows"]] == [4000]


def test_what_a_chat_spent_is_counted(cli: CliHarness) -> None:
    cli.run_ok("chat", MODEL, "hello")
    (row,) = cli.run_ok("usage", "--by", "client", "--json").json["rows"]
    assert (row["name"], row["requests"], row["output_tokens"]) == ("cli", 1, 22)


def test_a_line_for_each_status_bar(cli: CliHarness) -> None:
    cli.run_ok("keys", "--check")
    fill(cli, attempt(NOW), attempt(NOW - 20 * 3600))
    text = "4/4 · #1 35% week · 4.9k today"
    assert cli.run_ok("status", "--line").out == f"okr {text}\n"
    assert cli.run_ok("status", "--format", "plain").out == f"okr {text}\n"
    assert cli.run_ok("status", "--format", "starship").out == f"{text}\n"
    assert cli.run_ok("status", "--line", "--format", "tmux").out == f"okr {text.replace('#', '##')}\n"
    bar = json.loads(cli.run_ok("status", "--format", "waybar").out)
    assert (bar["text"], bar["class"], bar["percentage"]) == (f"okr {text}", "ok", 35)
    assert bar["tooltip"].count("\n") == 5
    document = cli.run_ok("status", "--line", "--json").json
    assert document["text"] == text
    assert cli.run("status", "--format", "screen").code == 2


def test_a_line_follows_what_happens(cli: CliHarness) -> None:
    cli.run_ok("keys", "--check")
    for number in "1234":
        cli.run_ok("disable-key", number)
    assert cli.run_ok("status", "--line").out == "okr 0/4 ✖ see okr-tui keys\n"
    assert cli.run_ok("status", "--format", "tmux").out.startswith("#[fg=red]okr 0/4")
    cli.run_ok("enable-key", "3")
    assert cli.run_ok("status", "--line").out.startswith("okr 1/4 · #3")


def test_a_first_line_is_there_though_nothing_ran_before(cli: CliHarness) -> None:
    assert cli.run_ok("status", "--line").out == "okr 4/4 · #1\n"
    cli.write_settings(keys=0)
    cli.run_ok("status")
    assert cli.run_ok("status", "--line").out == "okr no key\n"


@pytest.mark.parametrize("verb", [["usage"], ["status", "--line"], ["status", "--format", "waybar"]])
def test_neither_loads_a_client_a_model_or_a_fold(cli: CliHarness, verb: list[str]) -> None:
    cli.run_ok("status")
    fill(cli, attempt(NOW))
    code = f"""
import sys
from okr_tui.cli import main
try:
    main({[*cli.where, *verb]!r})
except SystemExit as ended:
    assert ended.code == 0
heavy = "httpx aiohttp pydantic asyncio redis textual okr_tui.domain.fold okr_tui.settings.layers".split()
print(*[name for name in heavy if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"])
def test_the_machines_zone_has_summer_and_winter(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    there, here = ZoneInfo(zone), LocalZone()
    start = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    for quarter in range(0, 365 * 96, 7):
        at = start + quarter * 900 + 0.25
        ours, known = datetime.fromtimestamp(at, here), datetime.fromtimestamp(at, there)
        assert ours.isoformat() == known.isoformat()
        assert (ours.timestamp(), f"{ours:%Z}") == (at, f"{known:%Z}")


def test_the_line_is_json_that_waybar_reads(cli: CliHarness) -> None:
    cli.settings_file.write_text(
        cli.settings_file.read_text().replace(f'"label": "{cli.keys[0][1]}"', '"label": "<b>&"')
    )
    cli.run_ok("status")
    bar = json.loads(cli.run_ok("status", "--format", "waybar").out)
    assert "&lt;b&gt;&amp;" in bar["tooltip"]


def test_the_clouds_own_count_is_next_to_the_logs(cli: CliHarness) -> None:
    at, day = NOW - 600, NOW // 86400 * 86400
    days = tuple(
        CloudBucket(day - ago * 86400, day - (ago - 1) * 86400, counts)
        for ago, counts in (
            (40, CloudCounts(7)),
            (1, CloudCounts(5, 1000, 10, 200, 0.5)),
            (0, CloudCounts(1)),
        )
    )
    known = {
        "amber": CloudReading(at, days),
        "birch": CloudReading(at, days[1:2]),
        "old": CloudReading(at, ()),
    }

    async def work() -> None:
        store = await open_store(f"sqlite:{cli.folder / 'log.db'}")
        for account, reading in known.items():
            await store.save(cloud_usage_of(account), write_readings({account: reading}))
        await store.close()

    asyncio.run(work())
    unknown = {"input_tokens": None, "cached_tokens": None, "output_tokens": None, "usage_usd": None}
    read = {"read_at": "2026-10-08T15:50:00Z", "since": "2026-10-07T00:00:00Z"}
    counts = {"input_tokens": 1000, "cached_tokens": 10, "output_tokens": 200, "usage_usd": 0.5}
    assert cli.run_ok("usage", "--json").json["cloud"] == {
        "accounts": [
            {"account": "amber", **read, "until": "2026-10-09T00:00:00Z", "requests": 6, **unknown},
            {"account": "birch", **read, "until": "2026-10-08T00:00:00Z", "requests": 5, **counts},
        ]
    }
    assert cli.run_ok("usage").out.splitlines()[-2:] == [
        "amber: 6 requests since 2026-10-07 UTC",
        "birch: 5 requests, 1,000 tokens in, 200 tokens out, $0.50 since 2026-10-07 UTC",
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\x00",
        "nonsense",
        '{"kind":"attempt"}',
        '{"kind":["attempt"],"x":"kind","y":{"kind":"attempt"}}',
        '{"kind":"attempt","at":"x","fingerprint":5,"model":[]}',
        '{"kind":"identity","at":null,"fingerprint":{},"account":7}',
        '{"kind":"identity","x":' + "[" * 100_000,
    ],
    ids=["bytes", "no JSON", "no fields", "a list", "other types", "an odd account", "nested"],
)
def test_a_record_that_is_not_ours_is_skipped(body: bytes | str, cli: CliHarness) -> None:
    fill(cli, attempt(NOW - 60))
    with sqlite3.connect(cli.folder / "log.db") as log:
        log.execute("insert into log (at, body) values (?, ?)", (NOW, body))
    log.close()
    (row,) = cli.run_ok("usage", "--json").json["rows"]
    assert row["requests"] == 1
