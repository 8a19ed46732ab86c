"""A log on a server: shared by machines, and none of it lost or doubled when the connection is."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import exceptions
from redis.asyncio import Redis

from okr_tui.domain.errors import StoreError
from okr_tui.domain.records import Record, Use
from okr_tui.store.base import LogEntry, UnreachableLogError
from okr_tui.store.factory import open_store
from okr_tui.store.redis import OWN_NAMES, PAGE, TAKEN, Names, RedisStore
from tests.harness import Harness, ask, wait_for
from tests.loopback import listening
from tests.redis_server import RedisServer
from tests.services.test_log_away import eventually
from tests.waiting import LIMIT

NAMES = Names.of("")


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[RedisStore]:
    store = await RedisStore.open(url)
    try:
        yield store
    finally:
        await store.close()


def fact(index: int) -> Record:
    return Use(at=float(index), fingerprint=f"{index}")


def sequences(logged: Sequence[LogEntry]) -> list[int]:
    return [int(item.record.at) for item in logged]


async def follow(store: RedisStore, count: int) -> list[LogEntry]:
    """What the tail gives until that many records came."""
    seen: list[LogEntry] = []
    async for logged in store.tail(int):
        seen += logged
        if len(seen) >= count:
            break
    return seen


async def test_two_stores_see_each_other(redis_url: str) -> None:
    async with opened(redis_url) as one, opened(redis_url) as two, asyncio.timeout(LIMIT):
        tails = [asyncio.ensure_future(follow(store, 40)) for store in (one, two)]
        await asyncio.gather(*([store.append([fact(1), fact(2)]) for store in (one, two) for _ in range(10)]))
        first, second = await asyncio.gather(*tails)
        assert first == second == await one.read()
        assert [item.sequence for item in first] == list(range(1, 41))
        await one.save("name", "text")
        assert await two.load("name") == "text"
        assert await one.lease("meter", "one", 100, 30)
        assert not await two.lease("meter", "two", 129, 30)
        assert await two.lease("meter", "two", 130, 30)


async def test_a_long_log_is_read_and_trimmed_by_pages(redis_url: str) -> None:
    async with opened(redis_url) as store:
        await store.append([fact(index) for index in range(2 * PAGE + 5)])
        assert sequences(await store.read()) == list(range(2 * PAGE + 5))
        await store.trim(2 * PAGE, before=PAGE + 1, most=10**9)
        assert sequences(await store.read()) == list(range(PAGE + 1, 2 * PAGE + 5))
        await store.trim(2 * PAGE, before=10**9, most=0)
        assert sequences(await store.read()) == list(range(2 * PAGE, 2 * PAGE + 5))


async def test_a_server_has_its_memory_back_when_the_log_is_trimmed(redis_url: str) -> None:
    async with opened(redis_url) as store:
        await store.append([fact(index) for index in range(3 * PAGE)])
        full = await store._client.memory_usage(store._names.log) or 0
        await store.trim(3 * PAGE - 100, before=10**9, most=10**9)
        assert (await store._client.memory_usage(store._names.log) or full) < full / 5


async def test_an_append_whose_answer_is_lost_is_written_once(redis_url: str) -> None:
    async with opened(redis_url) as store:
        append = store._append

        async def lost(**call: Any) -> None:
            await append(**call)
            store._append = append
            raise exceptions.ConnectionError("the answer never came")

        store._append = lost  # type: ignore[assignment]
        await store.append([fact(1), fact(2)])
        assert sequences(await store.read()) == [1, 2]


async def test_an_append_that_fails_leaves_nothing(redis_url: str) -> None:
    async with opened(redis_url) as store, Redis.from_url(redis_url) as client:
        await client.set(NAMES.log, "taken by somebody else")
        with pytest.raises(StoreError, match=r"cannot write the log at redis://127.*WRONGTYPE.*--store"):
            await store.append([fact(1), fact(2)])
        await client.delete(NAMES.log)
        await store.append([fact(3)])
        assert [(item.sequence, item.record.at) for item in await store.read()] == [(1, 3)]


async def test_positions_keep_growing_when_the_server_forgot(redis_url: str) -> None:
    async with opened(redis_url) as store, Redis.from_url(redis_url) as client:
        await store.append([fact(1), fact(2)])
        await store.read()
        await client.delete(NAMES.log, NAMES.last)
        await store.append([fact(3)])
        assert sequences(await store.read(2)) == [3]


async def test_pools_with_prefixes_share_a_server_and_nothing_else(redis_url: str) -> None:
    async with (
        opened(redis_url) as alone,
        opened(f"{redis_url}?prefix=birch.1") as birch,
        opened(f"{redis_url}?prefix=cedar&socket_keepalive=yes") as cedar,
    ):
        await birch.append([Use(at=1, fingerprint="b")])
        await cedar.append([Use(at=2, fingerprint="c")])
        await birch.save("note", "of birch")
        assert await birch.lease("reading", "one", 0, 60)
        assert await cedar.lease("reading", "two", 0, 60)
        assert [len(await store.read()) for store in (alone, birch, cedar)] == [0, 1, 1]
        assert (await cedar.load("note"), await birch.load("note")) == (None, "of birch")
        assert birch.name == f"{alone.name}?prefix=birch.1"
        assert birch.identity != cedar.identity
    async with opened(f"{redis_url}?prefix=birch.1") as again:
        assert [entry.record.at for entry in await again.read()] == [1]


@pytest.mark.parametrize("prefix", ["", "a b", "}:", "x" * 41, "a%20b"])
async def test_a_prefix_that_is_not_a_name_is_refused(prefix: str) -> None:
    with pytest.raises(StoreError, match="prefix in the store's address"):
        RedisStore(f"redis://user:hidden-word@host/0?prefix={prefix}")


async def test_a_record_of_a_later_version_is_skipped(redis_url: str) -> None:
    async with opened(redis_url) as store, Redis.from_url(redis_url) as client, asyncio.timeout(LIMIT):
        await store.append([fact(1)])
        await client.xadd(NAMES.log, {"at": 2, "body": '{"kind": "later", "at": 2}'}, id="2-0")
        await client.set(NAMES.last, 2)
        tail = store.tail(int)
        assert sequences(await anext(tail)) == [1]
        await store.append([fact(3)])
        assert sequences(await anext(tail)) == [3]
        await tail.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("fields", [{"x": "y"}, {"body": "{}", "number": "many"}, {"number": "9" * 99}])
async def test_an_entry_that_another_program_added_is_skipped(redis_url: str, fields: dict[str, str]) -> None:
    async with opened(redis_url) as store, Redis.from_url(redis_url) as client, asyncio.timeout(LIMIT):
        await store.append([fact(1)])
        await client.xadd(NAMES.log, fields, id="2-0")  # type: ignore[arg-type]
        await client.set(NAMES.last, 2)
        await store.append([fact(3)])
        assert sequences(await store.read()) == sequences(await store.read_back(None, 9)) == [1, 3]
        assert sequences(await store.read(limit=9)) == [1, 3]


@pytest.mark.parametrize(
    ("commands", "words"),
    [
        ([("DEL", NAMES.log), ("SET", NAMES.log, "x")], TAKEN),
        ([("SET", NAMES.last, "abc")], TAKEN),
        ([("DEL", NAMES.last), ("LPUSH", NAMES.last, "1")], TAKEN),
        ([("DEL", NAMES.identity), ("LPUSH", NAMES.identity, "x")], TAKEN),
        ([("XADD", NAMES.log, "999999999999-0", "a", "b")], "another program wrote into its stream"),
        ([("SET", NAMES.last, "99999999999999999")], "another program wrote into its stream"),
    ],
)
async def test_names_that_another_program_uses_too_are_reported_with_the_way_out(
    redis_url: str, commands: Sequence[Sequence[str]], words: str
) -> None:
    async with opened(redis_url) as store, Redis.from_url(redis_url) as client, asyncio.timeout(LIMIT):
        await store.append([fact(1)])
        for command in commands:
            await client.execute_command(*command)  # type: ignore[no-untyped-call]
    async with opened_late(redis_url) as late, asyncio.timeout(LIMIT):
        said = await refusal(late)
    assert words in said
    assert said.endswith(OWN_NAMES)


async def refusal(store: RedisStore) -> str:
    """What is said when the log can be neither read nor written; "" when it can."""
    try:
        await store.read()
        await store.append([fact(2)])
    except UnreachableLogError as error:
        return str(error)
    return ""


@asynccontextmanager
async def opened_late(url: str) -> AsyncIterator[RedisStore]:
    """A store whose first call finds out what its server is."""
    store = RedisStore(url)
    try:
        yield store
    finally:
        await store.close()


async def test_a_server_that_cannot_write_is_named_with_what_to_do(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    try:
        async with opened(server.url) as store, Redis.from_url(server.url) as client, asyncio.timeout(LIMIT):
            await store.append([fact(1)])
            words = {
                ("CONFIG SET", "maxmemory", "1"): "the server's memory is full; raise its maxmemory",
                ("CONFIG SET", "maxmemory", "0"): "",
                ("REPLICAOF", "127.0.0.1", "1"): "which cannot be written; give the address of its primary",
                ("CONFIG SET", "replica-serve-stale-data", "no"): "lost its primary; give the address of",
            }
            for command, said in words.items():
                await client.execute_command(*command)  # type: ignore[no-untyped-call]
                found = await refusal(store)
                assert said in found
                assert bool(found) == bool(said)
                assert "script" not in found
    finally:
        server.kill()


async def test_cut_connections_lose_and_double_nothing(redis_server: RedisServer, redis_url: str) -> None:
    async with opened(redis_url) as one, opened(redis_url) as two, asyncio.timeout(LIMIT):
        tail = asyncio.ensure_future(follow(two, 300))
        async with Redis.from_url(redis_server.url) as client:
            for index in range(300):
                appending = asyncio.ensure_future(one.append([fact(index)]))
                if index % 10 == 0:
                    await client.client_kill_filter(_type="normal", skipme=True)
                await appending
        assert sequences(await tail) == list(range(300))


async def test_a_tail_ends_when_it_is_cancelled_whatever_it_does(redis_url: str) -> None:
    async with opened(redis_url) as store:
        for passes in range(200):
            tail = asyncio.ensure_future(follow(store, sys.maxsize))
            await store.append([fact(passes)])
            for _ in range(passes % 40):
                await asyncio.sleep(0)
            tail.cancel()
            await asyncio.wait([tail], timeout=LIMIT)
            assert tail.cancelled()
        assert sequences(await store.read()) == list(range(200))


@pytest.mark.redis
async def test_a_killed_server_loses_nothing_acknowledged(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always")
    written = asyncio.Event()
    try:
        async with opened(server.url) as one, opened(server.url) as two, asyncio.timeout(LIMIT):
            tail = asyncio.ensure_future(follow(two, 200))

            async def write() -> None:
                for index in range(200):
                    await one.append([fact(index)])
                    if index == 50:
                        written.set()

            writing = asyncio.ensure_future(write())
            await written.wait()
            server.kill()
            assert await asyncio.to_thread(server.start)
            await writing
            assert sequences(await tail) == list(range(200))
            assert sequences(await two.read()) == list(range(200))
    finally:
        server.kill()


@pytest.mark.redis
async def test_a_server_that_stays_away_is_reported_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("okr_tui.store.redis.PATIENCE", 0.0)
    server = RedisServer(tmp_path, "--requirepass", "hush-hush")
    here = f"127.0.0.1:{server.port}"
    try:
        with pytest.raises(StoreError, match="check the user and password") as wrong:
            await open_store(f"redis://:no-hush@{here}/0")
        async with opened(f"redis://:hush-hush@{here}/0?socket_timeout=5") as store:
            assert store.name == f"redis://{here}/0"
            server.kill()
            with pytest.raises(StoreError, match="cannot read the log") as gone:
                await store.load("name")
        with pytest.raises(StoreError, match="cannot open the log") as closed:
            await open_store(f"redis://:hush-hush@{here}/0")
    finally:
        server.kill()
    for reported in (wrong, gone, closed):
        assert f"redis://{here}/0" in str(reported.value)
        assert "hush" not in str(reported.value)
        assert "\n" not in str(reported.value)


@pytest.mark.parametrize(
    "address",
    [
        "redis:",
        "redis:hush",
        "redis://:hu/sh@localhost/0",
        "redis://:1/hush@localhost/0",
        "redis://user:1#hush@localhost/0",
        "redis://:hu?sh@localhost/0",
        "redis://localhost:99999/0",
        "rediss://[hush/0",
    ],
)
async def test_an_address_that_cannot_be_is_refused_without_its_words(address: str) -> None:
    with pytest.raises(StoreError, match=r"not usable: write redis://") as reported:
        await open_store(address)
    assert "hu" not in str(reported.value)


@pytest.mark.parametrize("scheme", ["redis+sentinel", "redis-sentinel", "redis-cluster", "rediss+cluster"])
async def test_addresses_of_sentinels_and_clusters_are_refused_by_name(scheme: str) -> None:
    with pytest.raises(StoreError, match=rf"{re.escape(scheme)}:// addresses: give .* of one server"):
        await open_store(f"{scheme}://user:hush@localhost:26379/mymaster")


async def test_valkeys_names_of_addresses_are_those_of_redis(redis_url: str) -> None:
    async with opened(redis_url.replace("redis://", "valkey://")) as store, opened(redis_url) as other:
        await store.append([fact(1)])
        assert sequences(await other.read()) == [1]
    with pytest.raises(StoreError, match=r"valkeys://127.*a server without TLS has an address"):
        await open_store(redis_url.replace("redis://", "valkeys://"))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "something that is not a Redis server answered; give the"),
        (b"-ERR unknown command 'GET', with args beginning with: 'x'\r\n", "a Sentinel, which keeps no data"),
        (b"-MOVED 1234 127.0.0.1:7001\r\n", r"keeps the log on 127\.0\.0\.1:7001 answered; give the address"),
        (b"-CLUSTERDOWN Hash slot not served\r\n", "a node of a cluster that does not serve the log"),
    ],
)
async def test_who_answers_instead_of_a_server_for_the_log_is_named(answer: bytes, words: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await reader.read(1000):
            writer.write(answer * asked.count(b"*"))

    async with listening(serve) as port:
        with pytest.raises(StoreError, match=words) as reported:
            await open_store(f"redis://127.0.0.1:{port}?lib_name=&lib_version=")
        assert not isinstance(reported.value, UnreachableLogError)


async def test_an_unknown_option_of_an_address_is_reported(redis_url: str) -> None:
    with pytest.raises(StoreError, match=r"colour.*address"):
        await open_store(f"{redis_url}?colour=blue")


async def test_without_the_redis_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "okr_tui.store.redis")
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(StoreError, match=r"install 'redis\[hiredis\]>=8'"):
        await open_store("redis://localhost")


async def test_services_over_one_server_agree(harness: Harness, redis_url: str) -> None:
    harness.environment["OKR_TUI_STORE"] = redis_url
    await harness.fault("session", path="/api/chat", account="amber")
    async with harness.open() as first, harness.open(watching=True) as second:
        for key in second.pool.config.keys:
            await second.quota_poller.identity(key)
        await ask(first)
        for service in (first, second):  # both of the account's keys are known to be spent
            await wait_for(service, lambda snapshot: snapshot.pool.active == 3)
        await first.reset_key(1)
        await wait_for(second, lambda snapshot: snapshot.pool.keys[0].verdict.eligible)
        await first.refresh_models()
        async with harness.open(watching=True) as third:
            assert third.pool.store.name == redis_url
            assert third.snapshot.models.rows
            # They read quota meanwhile, and hear of all that is written.
            await eventually(lambda: third.pool.sequence == second.pool.sequence, second.pool, third.pool)
            assert third.pool.state == second.pool.state


async def test_the_tail_looks_at_a_record_once_and_finds_out_a_log_that_was_replaced(redis_url: str) -> None:
    async with (
        opened(redis_url) as one,
        opened(redis_url) as two,
        Redis.from_url(redis_url) as client,
        asyncio.timeout(LIMIT),
    ):
        await one.append([fact(0)])
        tail = two.tail(int)
        assert sequences(await anext(tail)) == [0]
        await client.config_resetstat()
        for index in range(1, 21):
            await one.append([fact(index)])
            assert sequences(await anext(tail)) == [index]
        calls = await client.info("commandstats")
        assert calls["cmdstat_xread"]["calls"] <= 22
        assert calls.get("cmdstat_xrange", {"calls": 0})["calls"] <= 2
        await client.flushdb()
        async with opened(redis_url) as another:
            await another.append([fact(100)])
        with pytest.raises(StoreError, match="lost some of it"):
            await anext(tail)
        assert sequences(await anext(two.tail(int))) == [100]
