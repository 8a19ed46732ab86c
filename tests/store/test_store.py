"""The stores: one contract, and what only a file has to stand."""

import asyncio
import contextlib
import os
import random
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from okr_tui.domain.errors import StoreError
from okr_tui.domain.records import Record, Reset, Use
from okr_tui.store import factory
from okr_tui.store import sqlite as sqlite_module
from okr_tui.store.base import AppendToken, ReplacedLogError, Store, UnreachableLogError, encode
from okr_tui.store.factory import SINCE, open_store, stretch
from okr_tui.store.memory import MemoryStore
from okr_tui.store.sqlite import SqliteStore
from tests.waiting import LIMIT, until


@pytest.fixture(params=["memory", "sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "redis":
        return str(request.getfixturevalue("redis_url"))
    return "memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'log.db'}"


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    made = await open_store(url)
    yield made
    await made.close()


def facts(count: int) -> list[Record]:
    return [Use(at=float(index), fingerprint=f"{index}") for index in range(count)]


async def test_records_come_back_in_order_and_after_a_position(store: Store) -> None:
    await store.append(facts(3))
    logged = await store.read()
    assert [item.record for item in logged] == facts(3)
    assert [item.record for item in await store.read(logged[1].sequence)] == facts(3)[2:]


async def test_an_append_returns_where_it_ended(store: Store) -> None:
    ends = [await store.append(facts(count)) for count in (1, 3)]
    assert ends == [(await store.read())[index].sequence for index in (0, 3)]


async def test_records_sent_again_under_their_token_are_in_the_log_once(store: Store) -> None:
    first = await store.append(facts(2), AppendToken("a", 0))
    assert await store.append(facts(2), AppendToken("a", 0)) == 0
    assert await store.append(facts(3), AppendToken("a", 0)) == 0
    assert await store.append(facts(2), AppendToken("b", 0)) > first
    logged = await store.read()
    assert [item.record for item in logged] == facts(3) + facts(2)
    assert [item.token for item in logged] == [
        *(AppendToken("a", number) for number in range(3)),
        *(AppendToken("b", number) for number in range(2)),
    ]


async def test_the_tail_leaves_out_what_was_seen_by_another_way(store: Store) -> None:
    seen = await store.append(facts(2))
    tail = store.tail(lambda: seen)
    await store.append([Reset(at=9, fingerprint="9")])
    async with asyncio.timeout(LIMIT):
        assert [item.record.kind for item in await anext(tail)] == ["reset"]
    await tail.aclose()  # type: ignore[attr-defined]


async def test_the_tail_gives_what_is_there_and_what_comes(store: Store) -> None:
    await store.append(facts(1))
    tail = store.tail(int)
    async with asyncio.timeout(LIMIT):
        first = await anext(tail)
        await store.append([Reset(at=9, fingerprint="9")])
        second = await anext(tail)
    await tail.aclose()  # type: ignore[attr-defined]
    assert [item.record.kind for item in (*first, *second)] == ["use", "reset"]


async def test_a_document_is_replaced_whole(store: Store) -> None:
    assert await store.load("name") is None
    await store.save("name", "one")
    await store.save("name", "two")
    assert await store.load("name") == "two"


async def test_a_lease_from_the_future_is_ignored(store: Store) -> None:
    assert await store.lease("meter", "a wrong clock", 90_000, 30)
    assert await store.lease("meter", "b", 100, 30)
    assert not await store.lease("meter", "c", 100, 30)


async def test_a_lease_has_one_owner_until_it_lapses(store: Store) -> None:
    assert await store.lease("meter", "a", 100, 30)
    assert not await store.lease("meter", "b", 120, 30)
    assert await store.lease("meter", "a", 120, 30)
    assert await store.lease("meter", "b", 151, 30)


async def test_trimming_drops_the_old_and_what_is_too_much(store: Store) -> None:
    await store.append(facts(6))
    await store.trim(4, before=2, most=10**6)
    assert [item.record for item in await store.read()] == facts(6)[2:]
    await store.trim(4, before=0, most=100)
    assert [item.record for item in await store.read()] == facts(6)[4:]
    await store.append(facts(1))
    assert (await store.read())[-1].sequence == 7


@pytest.mark.parametrize("seed", range(8))
async def test_a_file_is_trimmed_part_by_part_as_memory_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(sqlite_module, "DROPPED_AT_ONCE", 7)
    dice = random.Random(seed)
    file, memory = await SqliteStore.open(tmp_path / "log.db"), MemoryStore()
    records = [replace(each, at=float(dice.randrange(100))) for each in facts(60)]
    for store in (file, memory):
        await store.append(records)
    try:
        for _ in range(4):
            bounds = (dice.randrange(70), float(dice.randrange(40)), dice.choice([10**6, 4000, 1500, 0]))
            for store in (file, memory):
                await store.trim(*bounds)
            assert await file.read() == await memory.read()
    finally:
        await file.close()


async def test_another_connection_is_seen_in_the_tail(tmp_path: Path) -> None:
    one, two = await SqliteStore.open(tmp_path / "log.db"), await SqliteStore.open(tmp_path / "log.db")
    tail = one.tail(int)
    seen = asyncio.ensure_future(anext(tail))
    await two.append(facts(2))
    async with asyncio.timeout(LIMIT):
        assert [item.record for item in await seen] == facts(2)
    await tail.aclose()  # type: ignore[attr-defined]
    await one.close()
    await two.close()


async def test_the_change_token_differs_after_every_growth_and_is_none_while_that_is_young(
    tmp_path: Path,
) -> None:
    one, two = await SqliteStore.open(tmp_path / "log.db"), await SqliteStore.open(tmp_path / "log.db")
    await one.append(facts(1))
    os.utime(tmp_path / "log.db-wal", (1, 1))
    tokens = [one.change_token(), one.change_token()]
    await two.append(facts(1))
    tokens.append(one.change_token())
    os.utime(tmp_path / "log.db-wal", (1, 1))
    tokens.append(one.change_token())
    assert tokens[0] == tokens[1] is not None
    assert tokens[2] is None
    assert tokens[3] not in tokens[:3]
    await one.close()
    await two.close()


async def test_the_log_is_its_users_alone(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "new" / "log.db")
    await store.append(facts(1))
    for path in (tmp_path / "new").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    await store.close()


async def test_a_file_that_is_not_a_log_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(b"this was never a database" * 100)
    store = await SqliteStore.open(path)
    assert store.notice
    assert "not a readable log" in store.notice
    assert await store.read() == []
    await store.close()
    assert "log.db.broken-" in store.notice


@pytest.mark.parametrize(
    "table", ["bookmarks (name text)", "log (id integer, line text)", "lease (name text, person text)"]
)
async def test_database_of_another_program_is_refused_and_stays_as_it_is(tmp_path: Path, table: str) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"create table {table}")
    before = path.read_bytes()
    with pytest.raises(UnreachableLogError, match=r"database of another program; move it away, or choose"):
        await SqliteStore.open(path)
    assert path.read_bytes() == before


OTHER_VERSION = "move it away: another program or version made it"


async def changed(path: Path, script: str) -> str:
    """What is said when a log is written after another program changed it so."""
    await (await SqliteStore.open(path)).close()
    with closing(sqlite3.connect(path)) as other:
        other.executescript(script)
    store = await SqliteStore.open(path)
    with pytest.raises(UnreachableLogError) as refused:
        await store.append(facts(1))
    await store.close()
    return str(refused.value)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (f"insert into log (sequence, at, body) values ({2**63 - 1}, 1, '')", "has room, so move it away"),
        (
            "alter table log rename column writer to author",
            OTHER_VERSION,
        ),
        (
            "drop table document; create table document (name text, body text, more text not null)",
            OTHER_VERSION,
        ),
    ],
)
async def test_log_that_takes_no_records_says_what_to_do(tmp_path: Path, script: str, words: str) -> None:
    assert words in await changed(tmp_path / "log.db", script)


async def test_pipe_in_the_place_of_a_log_holds_up_no_reader(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    os.mkfifo(path)
    words = "it is no regular file; move away what is there instead"
    with pytest.raises(UnreachableLogError, match=words):
        await SqliteStore.open(path)
    assert factory.stretch(path, 0, 0) is None
    with pytest.raises(StoreError, match=words):
        factory.read_log(path, 0, 1, "all")


async def test_log_that_a_full_disk_keeps_from_being_opened_asks_for_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.db"
    await (await SqliteStore.open(path)).close()

    def refuse(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("okr_tui.store.sqlite.make_private", refuse)
    store = await SqliteStore.open(path)
    with pytest.raises(UnreachableLogError, match="no space left on device; make room on its disk"):
        await store.append(facts(1))
    await store.close()


@pytest.mark.parametrize("content", [None, b"this was never a database"])
async def test_of_many_that_begin_a_log_at_once_none_is_refused_or_loses_a_record(
    tmp_path: Path, content: bytes | None
) -> None:
    for turn in range(8):
        path = tmp_path / str(turn) / "log.db"
        path.parent.mkdir()
        if content:
            path.write_bytes(content * 100)
        stores = await asyncio.gather(*(SqliteStore.open(path) for _ in range(6)))
        await asyncio.gather(*(store.append(facts(1)) for store in stores))
        assert {len(await store.read()) for store in stores} == {6}
        kept = [spare.read_bytes() for spare in path.parent.glob("*.broken-*")]
        assert kept == ([content * 100] if content else [])
        for store in stores:
            await store.close()


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("writing", [False, True])
async def test_a_log_taken_away_while_it_is_used_is_reported_once_and_opened_again(
    tmp_path: Path, replaced: bool, writing: bool
) -> None:
    path = tmp_path / "log.db"
    store = await SqliteStore.open(path)
    await store.append(facts(1))
    for ending in ("", "-wal", "-shm"):
        (tmp_path / f"log.db{ending}").unlink()
    if replaced:
        other = await SqliteStore.open(path)
        await other.append(facts(2))
        await other.close()
    before = store.identity
    with pytest.raises(ReplacedLogError, match=r"log\.db: it was removed or replaced"):
        await (store.append(facts(1)) if writing else anext(store.tail(lambda: 1)))
    await store.append(facts(1))
    assert len(await store.read()) == (3 if replaced else 1)
    assert store.identity not in (before, None)
    await store.close()


@pytest.mark.parametrize("writing", [False, True])
@pytest.mark.parametrize(("by", "left"), [("copy", 3), ("emptied", 0), ("cut", 0), ("garbage", 0)])
async def test_a_log_that_another_program_writes_over_is_taken_up(
    tmp_path: Path, by: str, left: int, writing: bool
) -> None:
    """In the same file, as `cp` does: SQLite would go on with what it remembers, and spoil the rest."""
    path = tmp_path / "log.db"
    other = await SqliteStore.open(tmp_path / "other.db")
    await other.append(facts(3))
    await other.close()
    store, second = await SqliteStore.open(path), await SqliteStore.open(path)
    await store.append(facts(2000))
    await (await store._connected()).execute("pragma wal_checkpoint(truncate)")
    await store.append(facts(1))
    assert len(await second.read()) == 2001
    before = store.identity
    match by:
        case "copy":
            path.write_bytes((tmp_path / "other.db").read_bytes())
        case "garbage":
            path.write_bytes(os.urandom(50_000))
        case _:
            os.truncate(path, 0 if by == "emptied" else 40_960)
    for each in (store, second):
        with pytest.raises(ReplacedLogError):
            await (each.append(facts(1)) if writing else anext(each.tail(lambda: 1)))
    assert store.identity == before
    with contextlib.suppress(ReplacedLogError):  # what is left of it can be opened, and not read
        await store.append(facts(1))
        left += 1
    assert len(await store.read()) == len(await second.read()) == left
    assert store.identity == second.identity != before
    for each in (store, second):
        await each.close()
    third = await SqliteStore.open(path)
    assert len(await third.read()) == left
    await third.close()


async def test_checkpoints_of_other_processes_are_not_damage(tmp_path: Path) -> None:
    one, two = [await SqliteStore.open(tmp_path / "log.db") for _ in range(2)]
    for index in range(30):
        await one.append(facts(50))
        await (await two._connected()).execute("pragma wal_checkpoint(passive)")
        assert len(await one.read()) == 50 * (index + 1)
    assert one.notice is None
    await one.close()
    await two.close()


@pytest.mark.parametrize("by", ["trimming", "vacuum"])
async def test_a_log_that_others_make_smaller_is_the_same_log(tmp_path: Path, by: str) -> None:
    path = tmp_path / "log.db"
    one, two = [await SqliteStore.open(path) for _ in range(2)]
    await one.append(facts(2000))
    await (await one._connected()).execute_fetchall("pragma wal_checkpoint(truncate)")
    before, size = one.identity, path.stat().st_size
    assert len(await two.read()) == 2000
    if by == "trimming":
        await two.trim(1900, 1e9, 0)
    else:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("delete from log where sequence <= 1900")
            other.execute("vacuum")
            other.execute("pragma wal_checkpoint(truncate)").fetchall()
    assert path.stat().st_size < size
    await one.append(facts(1))
    await two.append(facts(1))
    assert len(await one.read()) == len(await two.read()) == 102
    assert one.identity == two.identity == before
    await one.close()
    await two.close()


@pytest.mark.parametrize("while_open", [False, True])
async def test_a_damaged_page_sets_the_log_aside(tmp_path: Path, while_open: bool) -> None:
    path = tmp_path / "log.db"
    store = await SqliteStore.open(path)
    await store.append(facts(2000))
    await (await store._connected()).execute("pragma wal_checkpoint(truncate)")
    if not while_open:
        await store.close()
        store = SqliteStore(path)
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(os.urandom(path.stat().st_size - 3 * 4096))
    if while_open:
        await (await store._connected()).execute("pragma shrink_memory")
    before = store.identity
    if while_open:
        with pytest.raises(ReplacedLogError, match="malformed; it was set aside"):
            await store.read()
    await store.append(facts(1))
    assert [item.record for item in await store.read()] == facts(1)
    assert store.identity != before
    assert store.notice
    assert "it is kept as log.db.broken-" in store.notice
    await store.close()


@pytest.mark.parametrize("earlier", [False, True], ids=["new", "of an earlier version"])
async def test_the_file_of_a_log_shrinks_when_it_is_trimmed(tmp_path: Path, *, earlier: bool) -> None:
    path = tmp_path / "log.db"
    if earlier:
        with closing(sqlite3.connect(path)) as other:
            other.executescript("pragma auto_vacuum = none; pragma journal_mode = wal")
    store = await SqliteStore.open(path)
    try:
        for _ in range(60):
            await store.append(facts(150))
        with closing(sqlite3.connect(path)) as other:
            other.execute("pragma wal_checkpoint (truncate)")
        full = path.stat().st_size
        await store.trim(150 * 50, before=10**9, most=10**9)
        assert path.stat().st_size < full / 3
        assert len(await store.read()) == 150 * 10
    finally:
        await store.close()


async def test_a_log_whose_opening_is_cancelled_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may, opened = threading.Event(), threading.Event(), list[sqlite3.Connection]()
    connect: Any = sqlite3.connect

    def slow(*names: Any, **options: Any) -> sqlite3.Connection:
        begun.set()
        assert may.wait(LIMIT)
        opened.append(connect(*names, **options, check_same_thread=False))
        return opened[0]

    monkeypatch.setattr("aiosqlite.core.sqlite3.connect", slow)
    opening = asyncio.create_task(SqliteStore.open(tmp_path / "log.db"))
    await until(begun.is_set)
    opening.cancel()
    await asyncio.sleep(0)
    may.set()
    await asyncio.wait([opening])
    await until(lambda: opened)
    assert opening.cancelled()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("select 1")


async def test_a_log_of_an_earlier_version_takes_tokens(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    old = sqlite3.connect(path)
    old.execute("create table log (sequence integer primary key autoincrement, at real, body text)")
    old.execute("insert into log (at, body) values (1, ?)", (encode(facts(1)[0]),))
    old.commit()
    old.close()
    store = await SqliteStore.open(path)
    await store.append(facts(1), AppendToken("a", 0))
    assert [item.token for item in await store.read()] == [None, AppendToken("a", 0)]
    await store.close()


async def test_a_log_that_cannot_be_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.db"
    store = await SqliteStore.open(path)
    await store.append(facts(2))
    await store.close()

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("okr_tui.store.sqlite.make_private", refuse)
    store = await SqliteStore.open(path)
    assert [item.record for item in await store.read()] == facts(2)
    assert len(await store.read_back(None, 1)) == 1
    with pytest.raises(UnreachableLogError, match="readonly database; make it writable"):
        await store.append(facts(1))
    monkeypatch.undo()
    await store.append(facts(1))
    await store.close()


async def test_a_folder_that_is_gone_ends_no_look(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    store = await SqliteStore.open(folder / "log.db")
    await store.append(facts(1))
    folder.rename(tmp_path / "moved")
    folder.write_text("")
    assert store.change_token() is None
    assert len(await store.read()) == 1
    await store.close()


async def test_a_record_of_a_later_version_is_skipped(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "log.db")
    await store.append(facts(1))
    database = await store._connected()
    await database.execute('insert into log (at, body) values (1, \'{"kind": "later", "at": 1}\')')
    await store.append(facts(1))
    assert [item.record for item in await store.read()] == facts(1) * 2
    await store.close()


async def test_an_impossible_path_is_reported_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot open the log"):
        await open_store(f"sqlite:{tmp_path / 'file' / 'log.db'}")
    with pytest.raises(StoreError, match="unknown store"):
        await open_store("floppy:a")


async def test_records_since_a_moment_are_found_by_the_index_of_times(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    store = await SqliteStore.open(path)
    for at in (10.0, 50.0, 20.0, 60.0):  # clocks of several processes
        await store.append([Use(at=at, fingerprint=f"{at:.0f}")])
    await store.close()
    found = stretch(path, 20.0, 0)
    assert found
    assert [(index, '"fingerprint":"10"' in text) for index, text in found.records] == [
        (2, False),
        (3, False),
        (4, False),
    ]
    with closing(sqlite3.connect(path)) as database:
        plan = [row[3] for row in database.execute(f"explain query plan {SINCE}", (20.0,))]
    assert not [step for step in plan if step.startswith("SCAN") and "SUBQUERY" not in step], plan
    assert [step for step in plan if "log_at" in step]


async def test_a_stretch_of_the_log_is_read_forward_and_back(store: Store) -> None:
    await store.append(facts(6))
    logged = await store.read()
    assert await store.read(logged[1].sequence, 2) == logged[2:4]
    assert await store.read_back(None, 2) == logged[4:]
    assert await store.read_back(logged[4].sequence, 3) == logged[1:4]
    assert await store.read_back(logged[1].sequence, 3) == logged[:1]
    assert await store.read_back(logged[0].sequence, 3) == []
