"""Drafts: kept for each conversation, found after a kill, and never in two programs at once."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.chat import conversation_store
from okr_tui.chat.conversation import Conversation, Draft, Turn, joined
from okr_tui.chat.conversation_store import KEEP_DELETED, ConversationStore
from okr_tui.chat.messages import Message
from okr_tui.chat.repository import FOLDER, NEW, ConversationRepository, Drafts
from okr_tui.store import file_locks
from tests.harness import ManualClock

WHOLE = Draft("half a [b]question\n\ud800", 3, "what stood before", ("/a picture.png",))


class Program:
    """The drafts of one running program."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self.repository = ConversationRepository(folder / "conversations.db", clock)
        self.drafts = Drafts(self.repository, folder, clock)
        self.get, self.keep = self.drafts.get, self.drafts.keep

    async def close(self) -> None:
        """End in peace."""
        self.drafts.close()
        await self.repository.close()


@asynccontextmanager
async def program(folder: Path, now: float = 0.0) -> AsyncIterator[Program]:
    """A program that runs within the block."""
    running = Program(folder, ManualClock(now))
    try:
        yield running
    finally:
        await running.close()


async def test_a_draft_is_found_by_the_next_program(tmp_path: Path) -> None:
    stored = Conversation("a", turns=(Turn(1, Message("user", "text"), 1.0),))
    async with program(tmp_path) as first:
        await first.repository.create(stored)
        await first.keep("a", WHOLE)
        await first.keep(NEW, Draft("new"))
    async with program(tmp_path) as second:
        assert await second.get("a") == WHOLE
        assert await second.get(NEW) == Draft("new")
        assert await second.get("b") == Draft()
    assert (tmp_path / "conversations.db").stat().st_mode & 0o777 == 0o600


async def test_what_was_sent_is_forgotten(tmp_path: Path) -> None:
    async with program(tmp_path) as first:
        for name in ("a", NEW):
            await first.keep(name, Draft("x"))
            await first.keep(name, Draft())
        assert await first.get("a") == Draft()
        assert list((tmp_path / FOLDER).iterdir()) == []
    async with program(tmp_path) as second:
        assert await second.get(NEW) == Draft()


async def test_without_a_draft_no_file_is_begun(tmp_path: Path) -> None:
    async with program(tmp_path) as running:
        assert await running.get(NEW) == await running.get("a") == Draft()
        await running.keep(NEW, Draft())
        await running.keep("a", Draft())
    assert os.listdir(tmp_path) == []


async def test_two_programs_have_each_their_own_and_both_come_back(tmp_path: Path) -> None:
    async with program(tmp_path, 1.0) as first:
        await first.keep(NEW, Draft("first"))
        async with program(tmp_path, 2.0) as second:
            assert await second.get(NEW) == Draft(), "it stands in the other's prompt"
            await second.keep(NEW, Draft("second"))
            assert await first.get(NEW) == Draft("first")
    async with program(tmp_path, 3.0) as third, program(tmp_path, 3.0) as fourth:
        assert await third.get(NEW) == Draft("second"), "the newest comes first"
        assert await fourth.get(NEW) == Draft("first"), "the other waits for the next program"


async def test_of_a_stored_conversation_the_last_one_wins(tmp_path: Path) -> None:
    async with program(tmp_path) as first, program(tmp_path) as second:
        await first.keep("a", Draft("first"))
        await second.keep("a", Draft("second"))
        assert await first.get("a") == Draft("second")


async def test_one_that_is_sent_while_it_is_taken_over_is_not_taken(tmp_path: Path) -> None:
    async with program(tmp_path) as first:
        await first.keep(NEW, Draft("sent"))
    async with program(tmp_path) as second:
        store = await second.repository._open()
        (name,) = await store.orphaned_drafts()

        async def stale() -> tuple[str, ...]:
            await ConversationStore.keep_draft(store, name, Draft(), 0.0)
            return (name,)

        store.orphaned_drafts = stale  # type: ignore[method-assign]
        assert await second.get(NEW) == Draft()
        await second.keep(NEW, Draft("other"))
        assert await second.get(NEW) == Draft("other")


async def killed(folder: Path, text: str) -> None:
    """A program that kept a draft and was killed; while it lives the draft is its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.chat.draft_holder", str(folder), text),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    try:
        assert await process.stdout.readline() == b"kept\n"
        async with program(folder) as beside:
            assert await beside.get(NEW) == Draft()
    finally:
        process.kill()
        await process.wait()


async def test_a_killed_program_leaves_its_draft_to_the_next(tmp_path: Path) -> None:
    await killed(tmp_path, "half a thought")
    async with program(tmp_path) as following:
        assert await following.get(NEW) == Draft("half a thought")


async def test_without_locks_a_draft_still_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_locks, "fcntl", None)
    async with program(tmp_path) as first:
        await first.keep(NEW, Draft("x"))
        await first.keep(NEW, Draft())
        await first.keep(NEW, Draft("y"))
    async with program(tmp_path) as second:
        assert await second.get(NEW) == Draft("y")


async def test_a_folder_that_takes_no_lock_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    async with program(tmp_path) as first:
        await first.keep(NEW, Draft("x"))
        assert await first.get(NEW) == Draft("x")
        await first.keep(NEW, Draft())


async def test_a_file_that_fails_later_keeps_drafts_in_memory(tmp_path: Path) -> None:
    async with program(tmp_path) as running:
        await running.keep("a", Draft("before"))
        store = await running.repository._open()
        await store._database.execute("pragma query_only = on")
        await running.keep("b", Draft("after"))
        assert running.repository.notice is not None
        assert await running.get("a") == Draft("before")
        assert await running.get("b") == Draft("after")


async def test_a_deleted_conversation_takes_its_draft_along(tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    store = await ConversationStore.open(path, 0)
    await store.keep(Conversation("a"))
    await store.keep_draft("a", Draft("x"), 1.0)
    await store.delete("a", 10.0)
    assert await store.orphaned_drafts() == ()
    await store.restore("a")
    assert await store.draft("a") == Draft("x")
    await store.delete("a", 10.0)
    await store.close()
    again = await ConversationStore.open(path, 11.0 + KEEP_DELETED)
    assert await again.draft("a") == Draft()
    assert await again.orphaned_drafts() == ()
    await again.close()


async def test_one_of_a_later_version_is_not_a_draft(tmp_path: Path) -> None:
    store = await ConversationStore.open(tmp_path / "c.db", 0)
    await store.keep_draft("a", Draft("x"), 1.0)
    for body in ('{"text": 1}', "{", "[]"):
        await store._database.execute("update draft set body = ?", (body,))
        assert await store.draft("a") == Draft()
    await store.close()


async def test_a_file_from_before_drafts_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "conversations.db"
    database = sqlite3.connect(path)
    for statement in conversation_store.TABLES:
        database.execute(statement)
    database.execute("insert into conversation values ('a', 'Tides', 'm', '{}', 1, 1, null, null, null)")
    database.execute("pragma user_version = 1")
    database.commit()
    database.close()
    async with program(tmp_path) as running:
        assert (await running.repository.get("a")).title == "Tides"
        await running.keep("a", Draft("x"))
        assert await running.get("a") == Draft("x")
        assert running.repository.notice is None


@given(st.lists(st.text(max_size=5), max_size=4))
def test_nothing_is_lost_when_texts_are_joined(texts: list[str]) -> None:
    reported = joined(*texts)
    assert all(text in reported for text in texts)
    assert joined(*texts, *texts) == reported
