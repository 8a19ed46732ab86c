"""The file of conversations: found again, shared, moved on to later versions, and left whole by a kill."""

import asyncio
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from okr_tui.chat import conversation_store
from okr_tui.chat.conversation import Conversation, Turn
from okr_tui.chat.conversation_store import KEEP_DELETED, ConversationStore, wanted_words
from okr_tui.chat.messages import Message
from okr_tui.demo import SCENARIOS, SimulatedCloud, serve
from okr_tui.domain.errors import ChatError, StoreError
from tests.harness import Harness, ManualClock
from tests.waiting import let_pass

PACE = 0.05
ASKER = """
import asyncio, sys
from pathlib import Path
from okr_tui.chat.answer import PoolClient
from okr_tui.cloud.dialects import (Delta)
from okr_tui.chat.service import ConversationService
from okr_tui.services.pool_service import PoolService
from okr_tui.settings.layers import Sources

async def ask():
    home = Path(sys.argv[1])
    sources = Sources(home / "settings.json", home / "project", {})
    async with PoolService.open(sources, client="cli", watching=False) as keyring:
        async with ConversationService.open(PoolClient(keyring), home) as chat:
            draft = chat.new("gpt-oss:20b")
            async for event in await chat.ask(draft.id, "Why is the sky blue?"):
                if isinstance(event, Delta):
                    print(draft.id, event.content.replace("\\n", " "), flush=True)

asyncio.run(ask())
"""


def conversation(identifier: str, *texts: str, updated: float = 1.0, title: str = "t") -> Conversation:
    """A conversation of those texts."""
    turns = tuple(Turn(place, Message("user", text), updated) for place, text in enumerate(texts, 1))
    return Conversation(identifier, title, "m", created=1.0, updated=updated, turns=turns)


@pytest.mark.parametrize("indexed", [True, False])
async def test_found_by_words_of_one_turn_or_of_the_title(tmp_path: Path, indexed: bool) -> None:
    store = await ConversationStore.open(tmp_path / "c.db", 0, indexed=indexed)
    await store.keep(conversation("a", "why is the sky blue", "and the sea", updated=2))
    await store.keep(conversation("b", "天空为什么是蓝色的", "100% sure", updated=1, title="Colours"))
    for words, found in (
        ("sky", ["a"]),
        ("SKY blu", ["a"]),
        ("sky sea", []),
        ("colour", ["b"]),
        ("蓝色", ["b"]),
        ("100%", ["b"]),
        ('"sky" OR -x', []),
        ("", ["a", "b"]),
        ("%", ["a", "b"]),
    ):
        assert [hit.conversation.id for hit in await store.search(words, 9)] == found, words
    (hit,) = await store.search("blue", 9)
    assert hit.excerpt == "why is the sky blue"
    await store.put("a", Turn(1, Message("user", "green grass"), 3.0))
    assert await store.search("blue", 9) == ()
    assert len(await store.search("grass", 9)) == 1
    await store.cut("a", 1)
    assert await store.search("grass", 9) == ()
    await store.close()


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), min_size=1, max_size=5))
@settings(max_examples=25)
@example([("\ud800", "\ud800"), ("'; drop table turn", '" * '), ("a\0b", "\0"), ("_%\\", "_%\\")])
@example([("\0tide", "")])
def test_any_text_is_kept_and_any_search_is_answered(pairs: list[tuple[str, str]]) -> None:
    async def check() -> None:
        store = await ConversationStore.in_memory()
        for text, words in pairs:
            await store.keep(conversation("a", text))
            assert (await store.get("a")).turns[0].message.content == text
            await store.search(words, 5)
            found = await store.search(text, 5)
            assert found or not any(word.strip() for word in wanted_words(text))
        await store.close()

    asyncio.run(check())


async def test_pages_newest_first(tmp_path: Path) -> None:
    store = await ConversationStore.open(tmp_path / "c.db", 0)
    for number in range(5):
        await store.keep(conversation(str(number), updated=number))
    assert [hit.conversation.id for hit in await store.recent(2, 1)] == ["3", "2"]
    await store.close()


async def test_a_deleted_one_comes_back_for_a_while(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    store = await ConversationStore.open(path, 0)
    await store.keep(conversation("a", "text"))
    await store.delete("a", 10.0)
    assert await store.search("text", 5) == ()
    with pytest.raises(ChatError):
        await store.get("a")
    await store.restore("a")
    assert len((await store.get("a")).turns) == 1
    await store.delete("a", 10.0)
    await store.close()
    again = await ConversationStore.open(path, 11.0 + KEEP_DELETED)
    with pytest.raises(ChatError):
        await again.restore("a")
    assert list(await again._database.execute_fetchall("select * from turn")) == []
    await again.close()


async def test_two_processes_write_at_once(tmp_path: Path) -> None:
    stores = [await ConversationStore.open(tmp_path / "c.db", 0) for _ in range(2)]

    async def write(place: int) -> None:
        await stores[place % 2].keep(conversation(str(place), "text"))

    await asyncio.gather(*map(write, range(40)))
    for store in stores:
        assert len(await store.recent(99, 0)) == 40
        await store.close()


async def test_an_older_file_is_moved_on_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.db"
    store = await ConversationStore.open(path, 0)
    await store.keep(conversation("a", "text"))
    await store.close()
    later = ("alter table conversation add column colour text",)
    monkeypatch.setattr(conversation_store, "MIGRATIONS", (*conversation_store.MIGRATIONS, later))
    opened = await asyncio.gather(*(ConversationStore.open(path, 0) for _ in range(3)))
    for store in opened:
        assert list(await store._database.execute_fetchall("select colour from conversation")) == [(None,)]
        await store.close()


async def test_a_write_given_up_while_it_waits_spoils_no_later_one(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    store = await ConversationStore.open(path, 0)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    waiting = asyncio.create_task(store.keep(conversation("a", "text")))
    await let_pass(0.01)
    waiting.cancel()
    asyncio.get_running_loop().call_later(0.05, other.execute, "rollback")
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()
    await store.keep(conversation("b", "text"))
    assert [hit.conversation.id for hit in await store.recent(9, 0)] == ["b"]
    await store.close()
    other.close()


def of_a_later_version(path: Path) -> None:
    """A file that a later version of the program wrote."""
    database = sqlite3.connect(path)
    database.execute("pragma user_version = 99")
    database.close()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(b"no database" * 999), "file is not a database"),
        (lambda path: path.mkdir(), "Is a directory"),
        (of_a_later_version, "later version"),
    ],
)
async def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, damage: object, words: str) -> None:
    damage(tmp_path / "c.db")  # type: ignore[operator]
    with pytest.raises(StoreError, match=words) as raised:
        await ConversationStore.open(tmp_path / "c.db", 0)
    assert "\n" not in str(raised.value)
    assert str(tmp_path / "c.db") in str(raised.value)


async def test_of_many_that_begin_the_file_at_once_none_is_refused(tmp_path: Path) -> None:
    for turn in range(8):
        path = tmp_path / str(turn) / "c.db"
        stores = await asyncio.gather(*(ConversationStore.open(path, 0) for _ in range(6)))
        await asyncio.gather(*(store.keep(conversation(str(at), "text")) for at, store in enumerate(stores)))
        assert len(await stores[0].recent(9, 0)) == 6
        for store in stores:
            await store.close()


async def test_memory_takes_over_what_can_be_read(tmp_path: Path) -> None:
    store = await ConversationStore.open(tmp_path / "c.db", 0)
    await store.keep(conversation("a", "text"))
    memory = await ConversationStore.in_memory(tmp_path / "c.db")
    assert len(await memory.search("text", 5)) == 1
    await memory.keep(replace(conversation("b", "more")))
    assert len(await store.recent(9, 0)) == 1
    for opened in (memory, store):
        await opened.close()
    empty = await ConversationStore.in_memory(tmp_path / "none.db")
    assert await empty.recent(9, 0) == ()
    await empty.close()


@pytest.mark.slow(reason="starts the program as a process again and again")
async def test_a_killed_process_loses_at_most_a_second(tmp_path: Path) -> None:
    cloud = SimulatedCloud(SCENARIOS["calm"], pace=PACE)
    async with serve(cloud) as url, httpx.AsyncClient(base_url=url, verify=False) as control:
        harness = Harness(tmp_path, url, cloud, ManualClock(), control)
        harness.write_settings()
        identifier, reported = await killed(harness)
    store = await ConversationStore.open(tmp_path / "conversations.db", 0)
    kept = await store.get(identifier)
    await store.close()
    assert kept.title == "Why is the sky blue?"
    part = kept.incomplete
    assert part is not None
    saved = part.message.content.replace("\n", " ")
    assert saved
    assert reported.startswith(saved)
    assert len(reported[len(saved) :].split()) <= 1.5 / PACE


async def killed(harness: Harness) -> tuple[str, str]:
    """Kill a process in the middle of an answer: its conversation, what it told."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ASKER, str(harness.home)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    clock = asyncio.get_running_loop().time
    identifier, reported, first = "", "", 0.0
    while not first or clock() - first < 1.8:
        line = (await process.stdout.readline()).decode()
        assert line, "it ended too early"
        first = first or clock()
        identifier, _, text = line.rstrip("\n").partition(" ")
        reported += text
    process.kill()
    rest = (await process.stdout.read()).decode()
    await process.wait()
    return identifier, reported + "".join(line.partition(" ")[2] for line in rest.splitlines())
