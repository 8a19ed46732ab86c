"""Where conversations are kept while the file fails, and while it is opened and closed at once."""

import asyncio
from pathlib import Path

import pytest

from okr_tui.domain.chat import Delta, Finished, Message, Routed
from okr_tui.domain.conversation import Answered, Conversation, Turn
from okr_tui.domain.errors import StoreError
from okr_tui.services.recorder import Recorder
from okr_tui.services.shelf import Shelf

from .house import ManualClock


def conversation(identifier: str) -> Conversation:
    """A conversation of one question."""
    return Conversation(identifier, turns=(Turn(1, Message("user", "why"), 1.0),))


async def test_of_two_writes_that_fail_at_once_neither_is_lost(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "c.db", ManualClock())
    await shelf.create(conversation("a"))
    await shelf.create(conversation("b"))
    await (await shelf._open())._database.execute("pragma query_only = on")
    answer = Turn(2, Message("assistant", "because"), 2.0)
    await asyncio.gather(
        *(shelf.put(Conversation(name, turns=(*conversation(name).turns, answer)), answer) for name in "ab")
    )
    assert shelf.notice is not None
    for name in "ab":
        assert [turn.message.content for turn in (await shelf.get(name)).turns] == ["why", "because"]
    await shelf.close()


async def test_closed_while_it_opens_it_leaves_no_file_open(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "c.db", ManualClock())
    opening = asyncio.ensure_future(shelf.create(conversation("a")))
    await asyncio.sleep(0)
    await shelf.close()
    await asyncio.gather(opening, return_exceptions=True)
    with pytest.raises(StoreError, match="closed"):
        await shelf.get("a")
    assert shelf._store is None or shelf._store._database._connection is None


async def test_an_answer_that_goes_on_keeps_how_long_it_thought(tmp_path: Path) -> None:
    clock = ManualClock()
    shelf = Shelf(tmp_path / "c.db", clock)
    cut = Turn(2, Message("assistant", "half", "hm", incomplete=True), 2.0, Answered("m", thinking_ms=2100))
    begun = Conversation("a", turns=(*conversation("a").turns, cut))
    await shelf.create(begun)
    recorder = Recorder(shelf, begun, "m", clock, cut)
    for event in (Routed("print", 1), Delta(" whole"), Finished("stop")):
        await recorder.take(event)
    await recorder.close()
    last = (await shelf.get("a")).turns[-1]
    assert last.message.content == "half whole"
    assert last.answered is not None
    assert last.answered.thinking_ms == 2100
    await shelf.close()
