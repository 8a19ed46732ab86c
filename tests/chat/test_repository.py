"""Where conversations are kept while the file fails, and while it is opened and closed at once."""

import asyncio
import gc
from pathlib import Path

import pytest

from okr_tui.chat.conversation import Answered, Conversation, Turn
from okr_tui.chat.messages import Finished, Message, Routed
from okr_tui.chat.repository import ConversationRepository
from okr_tui.chat.session import AnswerRecorder
from okr_tui.cloud.dialects import Delta
from okr_tui.domain.errors import StoreError
from tests.harness import ManualClock


def conversation(identifier: str) -> Conversation:
    """A conversation of one question."""
    return Conversation(identifier, turns=(Turn(1, Message("user", "why"), 1.0),))


async def test_of_two_writes_that_fail_at_once_neither_is_lost(tmp_path: Path) -> None:
    repository = ConversationRepository(tmp_path / "c.db", ManualClock())
    await repository.create(conversation("a"))
    await repository.create(conversation("b"))
    await (await repository._open())._database.execute("pragma query_only = on")
    answer = Turn(2, Message("assistant", "because"), 2.0)
    await asyncio.gather(
        *(
            repository.put(Conversation(name, turns=(*conversation(name).turns, answer)), answer)
            for name in "ab"
        )
    )
    assert repository.notice is not None
    for name in "ab":
        assert [turn.message.content for turn in (await repository.get(name)).turns] == ["why", "because"]
    await repository.close()


async def test_closed_while_it_opens_it_leaves_no_file_open(tmp_path: Path) -> None:
    repository = ConversationRepository(tmp_path / "c.db", ManualClock())
    opening = asyncio.ensure_future(repository.create(conversation("a")))
    await asyncio.sleep(0)
    await repository.close()
    await asyncio.gather(opening, return_exceptions=True)
    with pytest.raises(StoreError, match="closed"):
        await repository.get("a")
    assert repository._store is None or repository._store._database._connection is None


async def test_an_answer_that_continues_keeps_how_long_it_thought(tmp_path: Path) -> None:
    clock = ManualClock()
    repository = ConversationRepository(tmp_path / "c.db", clock)
    cut = Turn(2, Message("assistant", "half", "hm", incomplete=True), 2.0, Answered("m", thinking_ms=2100))
    begun = Conversation("a", turns=(*conversation("a").turns, cut))
    await repository.create(begun)
    recorder = AnswerRecorder(repository, begun, "m", clock, cut)
    for event in (Routed("print", 1), Delta(" whole"), Finished("stop")):
        await recorder.take(event)
    await recorder.close()
    last = (await repository.get("a")).turns[-1]
    assert last.message.content == "half whole"
    assert last.answered is not None
    assert last.answered.thinking_ms == 2100
    await repository.close()


async def test_thinking_is_measured_while_the_clock_is_set_back(tmp_path: Path) -> None:
    clock = ManualClock()
    repository = ConversationRepository(tmp_path / "c.db", clock)
    begun = conversation("a")
    await repository.create(begun)
    recorder = AnswerRecorder(repository, begun, "m", clock)
    await recorder.take(Routed("print", 1))
    await recorder.take(Delta(thinking="hm"))
    await clock.advance(2)
    clock.wrong_by = -3600
    await recorder.take(Delta("because"))
    await recorder.take(Finished("stop"))
    await recorder.close()
    answered = recorder.conversation.turns[-1].answered
    assert answered is not None
    assert answered.thinking_ms == 2000
    await repository.close()


async def test_what_was_looked_at_does_not_stay_in_memory(tmp_path: Path) -> None:
    repository = ConversationRepository(tmp_path / "c.db", ManualClock())
    size = 1_000_000
    for number in range(30):
        question = Message("user", "why", images=("x" * (size + number),))
        await repository.create(Conversation(f"{number}", turns=(Turn(1, question, 1.0),)))
    for number in range(30):
        await repository.get(f"{number}")
    del question
    gc.collect()
    held = [image for each in gc.get_objects() if type(each) is Message for image in each.images]
    assert sum(len(image) >= size for image in held) <= 8
    await repository.close()
