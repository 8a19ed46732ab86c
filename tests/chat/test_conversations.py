"""ConversationService: asked, kept, branched, asked again, continued, compared."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from okr_tui.chat.answer import PoolClient
from okr_tui.chat.conversation import Answering, Began, ConversationEvent, Ended, Noted
from okr_tui.chat.messages import Finished, Routed
from okr_tui.chat.options import ChatOptions
from okr_tui.chat.service import ConversationService
from okr_tui.cloud.dialects import Delta
from okr_tui.domain.errors import ChatError, CloudError, PoolBlockedError
from okr_tui.services.pool_service import PoolService
from tests.harness import MODEL, Harness
from tests.waiting import LIMIT

HELLO = "Hello! I am doing well, thank you. What shall we look at today?\n"


@pytest.fixture
async def service(harness: Harness) -> AsyncIterator[PoolService]:
    """A service with a model list."""
    async with harness.open() as opened:
        await opened.refresh_models()
        yield opened


@pytest.fixture
async def chat(harness: Harness, service: PoolService) -> AsyncIterator[ConversationService]:
    """Its conversations."""
    async with ConversationService.open(PoolClient(service), harness.home) as opened:
        yield opened


async def heard(answering: Answering) -> list[ConversationEvent]:
    """An answer to its end."""
    return [event async for event in answering]


async def end(answering: Answering) -> Ended:
    """How an answer ended."""
    last = (await heard(answering))[-1]
    assert isinstance(last, Ended)
    return last


def words(ended: Ended) -> list[str]:
    """The conversation's texts."""
    return [turn.message.content for turn in ended.conversation.turns]


async def test_a_question_is_answered_and_kept(
    chat: ConversationService, harness: Harness, service: PoolService
) -> None:
    front: ConversationService = chat
    draft = front.new(MODEL, ChatOptions(system="Be kind."))
    assert await front.recent() == ()
    events = await heard(await front.ask(draft.id, "hello"))
    kinds = [type(event) for event in events if not isinstance(event, Delta)]
    assert kinds == [Began, Routed, Finished, Ended]
    (listed,) = await front.recent()
    assert (listed.conversation.title, listed.turns) == ("hello", 2)
    async with ConversationService.open(PoolClient(service), harness.home) as another:
        kept = await another.get(draft.id)
    assert [turn.message.content for turn in kept.turns] == ["hello", HELLO]
    answered = kept.turns[1].answered
    assert answered is not None
    assert (answered.model, answered.index, answered.done_reason, answered.error) == (MODEL, 1, "stop", None)
    assert answered.output_tokens == 22
    assert front.gauge(kept).used == (answered.input_tokens or 0) + 22
    assert front.gauge(kept).length == 131072
    assert [message.role for message in kept.messages()] == ["system", "user", "assistant"]


async def test_nothing_is_opened_before_it_is_used(harness: Harness, service: PoolService) -> None:
    async with ConversationService.open(PoolClient(service), harness.home):
        assert not (harness.home / "conversations.db").exists()


async def test_the_question_is_stored_before_it_is_sent(chat: ConversationService, harness: Harness) -> None:
    draft = chat.new(MODEL)
    answering = await chat.ask(draft.id, "hello")
    assert await harness.sent() == []
    assert (await chat.get(draft.id)).unanswered
    await answering.aclose()


async def test_a_stopped_answer_is_kept_and_continued(chat: ConversationService) -> None:
    draft = chat.new(MODEL)
    answering = await chat.ask(draft.id, "hello")
    async for event in answering:
        if isinstance(event, Delta) and event.content:
            break
    await answering.aclose()
    kept = await chat.get(draft.id)
    part = kept.incomplete
    assert part is not None
    assert part.answered is not None
    assert part.answered.error == "stopped"
    assert HELLO.startswith(part.message.content)
    ended = await end(await chat.resume(draft.id))
    assert words(ended) == ["hello", part.message.content + HELLO]
    assert ended.conversation.incomplete is None
    with pytest.raises(ChatError, match="nothing to continue"):
        await chat.resume(draft.id)


async def test_a_model_that_takes_no_open_answer_is_asked_to_continue(
    chat: ConversationService, harness: Harness
) -> None:
    draft = chat.new("gemma4:31b", ChatOptions(num_predict=3, think="off"))
    ended = await end(await chat.ask(draft.id, "hello"))
    cut = ended.conversation.incomplete
    assert cut is not None
    await harness.fault("bad-request")
    ended = await end(await chat.resume(draft.id))
    assert len(ended.conversation.turns) == 2
    assert words(ended)[1].startswith(cut.message.content)


async def test_what_came_before_a_fault_is_kept(chat: ConversationService, harness: Harness) -> None:
    await harness.fault("stream-dropped", after=16)
    draft = chat.new(MODEL)
    with pytest.raises(CloudError, match="cut off"):
        await heard(await chat.ask(draft.id, "hello"))
    part = (await chat.get(draft.id)).incomplete
    assert part is not None
    assert part.answered is not None
    assert "cut off" in (part.answered.error or "")


async def test_an_unanswered_question_gives_way_to_the_next(
    chat: ConversationService, harness: Harness
) -> None:
    draft = chat.new(MODEL)
    await harness.fault("bad-request")
    with pytest.raises(CloudError):
        await heard(await chat.ask(draft.id, "first"))
    assert (await chat.get(draft.id)).unanswered
    assert words(await end(await chat.ask(draft.id, "hello"))) == ["hello", HELLO]


async def test_a_conversation_too_long_says_what_to_do(chat: ConversationService) -> None:
    draft = chat.new(MODEL)
    with pytest.raises(CloudError, match="too long for the model: /new"):
        await heard(await chat.ask(draft.id, "word " * 120_000))


async def test_editing_a_question_branches(chat: ConversationService) -> None:
    draft = chat.new(MODEL)
    await end(await chat.ask(draft.id, "hello"))
    await end(await chat.ask(draft.id, "hello again"))
    ended = await end(await chat.edit(draft.id, 3, "hello you"))
    assert words(ended) == ["hello", HELLO, "hello you", HELLO]
    assert (ended.conversation.branched_from, ended.conversation.branched_at) == (draft.id, 2)
    assert len((await chat.get(draft.id)).turns) == 4


async def test_an_edited_question_keeps_its_images(chat: ConversationService) -> None:
    draft = chat.new("gemma4:31b")
    await end(await chat.ask(draft.id, "what is it", ("QQ==",)))
    ended = await end(await chat.edit(draft.id, 1, "what is this", ("Qg==",)))
    assert [turn.message.images for turn in ended.conversation.turns] == [("QQ==", "Qg=="), ()]


async def test_an_edit_that_is_refused_leaves_no_branch(chat: ConversationService) -> None:
    draft = chat.new(MODEL)
    await end(await chat.ask(draft.id, "hello"))
    await end(await chat.ask(draft.id, "hello again"))
    with pytest.raises(ChatError, match="takes no images"):
        await chat.edit(draft.id, 3, "see", ("x",))
    assert len(await chat.recent()) == 1


async def test_again_on_another_account(
    chat: ConversationService, harness: Harness, service: PoolService
) -> None:
    draft = chat.new(MODEL)
    await end(await chat.ask(draft.id, "hello"))
    ended = await end(await chat.again(draft.id, other_key=True))
    first, second = await harness.sent()
    account = service.pool.state.account_of
    keys = service.pool.config.keys
    assert first is not None
    assert second is not None
    assert account(keys[first - 1].fingerprint) != account(keys[second - 1].fingerprint)
    assert ended.conversation.branched_from == draft.id
    assert words(ended) == ["hello", HELLO]


async def test_one_key_alone(chat: ConversationService, harness: Harness) -> None:
    draft = chat.new(MODEL)
    await end(await chat.ask(draft.id, "hello", only=3))
    assert await harness.sent() == [3]
    await harness.fault("session")
    with pytest.raises(CloudError, match="failed on #3"):
        await heard(await chat.ask(draft.id, "hello", only=3))
    with pytest.raises(PoolBlockedError, match="no other key can take this request"):
        await heard(await chat.ask(draft.id, "hello", only=3))
    assert await harness.sent() == [3, 3]


async def test_two_models_side_by_side(chat: ConversationService) -> None:
    sides = await chat.compare(None, [MODEL, "kimi-k2.6"])
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(end(await chat.ask(side.id, "hello"))) for side in sides]
    models = [task.result().conversation.turns[-1].answered for task in tasks]
    assert [answered and answered.model for answered in models] == [MODEL, "kimi-k2.6"]
    more = await chat.compare(sides[0].id, [MODEL, "kimi-k2.6"])
    assert [len(side.turns) for side in more] == [2, 2]
    assert {side.branched_from for side in more} == {sides[0].id}


async def test_one_answer_at_a_time(chat: ConversationService) -> None:
    draft = chat.new(MODEL)
    answering = await chat.ask(draft.id, "hello")
    await anext(answering)
    with pytest.raises(ChatError, match="still coming"):
        await chat.ask(draft.id, "and this")
    await answering.aclose()
    await end(await chat.ask(draft.id, "hello"))


@pytest.mark.parametrize(
    ("model", "text", "images", "words"),
    [
        (None, "hello", (), "no model"),
        (MODEL, " ", (), "nothing to ask"),
        (MODEL, "see", ("x",), "takes no images"),
    ],
)
async def test_what_cannot_be_asked_is_not_stored(
    chat: ConversationService, model: str | None, text: str, images: tuple[str, ...], words: str
) -> None:
    draft = chat.new(model)
    with pytest.raises(ChatError, match=words):
        await chat.ask(draft.id, text, images)
    assert await chat.recent() == ()


async def test_options_reach_the_model(chat: ConversationService) -> None:
    draft = chat.new("kimi-k2.6", ChatOptions(think="off", num_predict=2))
    ended = await end(await chat.ask(draft.id, "hello"))
    answer = ended.conversation.turns[-1]
    assert answer.message.thinking == ""
    assert answer.answered is not None
    assert (answer.answered.output_tokens, answer.answered.done_reason) == (2, "length")


async def test_a_think_level_the_model_does_not_take_is_reported_and_left_out(
    chat: ConversationService,
) -> None:
    draft = chat.new(MODEL, ChatOptions(think="off"))
    notes = [event for event in await heard(await chat.ask(draft.id, "hello")) if isinstance(event, Noted)]
    assert [note.text for note in notes] == [f"{MODEL} takes think low, medium, high, not off"]


async def test_deleted_and_brought_back(chat: ConversationService) -> None:
    draft = chat.new(MODEL)
    await end(await chat.ask(draft.id, "hello"))
    assert await chat.delete(draft.id) == "Deleted hello"
    assert await chat.recent() == ()
    with pytest.raises(ChatError, match="no conversation"):
        await chat.get(draft.id)
    assert (await chat.restore(draft.id)).title == "hello"


async def test_renamed_found_exported_and_taken_in(chat: ConversationService) -> None:
    draft = chat.new(MODEL)
    await end(await chat.ask(draft.id, "hello"))
    await chat.rename(draft.id, "  A  greeting ")
    (found,) = await chat.search("greet")
    assert found.conversation.title == "A greeting"
    (found,) = await chat.search("thank you")
    assert "thank you" in found.excerpt
    assert (await chat.export(draft.id)).startswith("# A greeting\n\nModel: gpt-oss:20b\n\n## You\n\nhello\n")
    copy = await chat.import_json(await chat.export(draft.id, "json"))
    assert copy.turns == (await chat.get(draft.id)).turns
    assert copy.id != draft.id


async def test_a_broken_file_is_reported_once_and_the_chat_continues(
    harness: Harness, service: PoolService
) -> None:
    (harness.home / "conversations.db").write_bytes(b"no database" * 999)
    async with ConversationService.open(PoolClient(service), harness.home) as chat:
        draft = chat.new(MODEL)
        for expected in (1, 0):
            events = await heard(await chat.ask(draft.id, "hello"))
            assert sum(isinstance(event, Noted) for event in events) == expected
        assert chat.notice is not None
        assert "file is not a database; the chat goes on, but nothing is saved" in chat.notice
        assert "\n" not in chat.notice
        assert len((await chat.get(draft.id)).turns) == 4
    assert (harness.home / "conversations.db").read_bytes() == b"no database" * 999


async def test_a_file_that_fails_later_loses_nothing_of_this_process(chat: ConversationService) -> None:
    draft = chat.new(MODEL)
    await end(await chat.ask(draft.id, "hello"))
    store = await chat._repository._open()
    await store._database.execute("pragma query_only = on")
    ended = await end(await chat.ask(draft.id, "hello again"))
    assert words(ended) == ["hello", HELLO, "hello again", HELLO]
    assert "readonly database" in (chat.notice or "")
    assert [turn.message.content for turn in (await chat.get(draft.id)).turns] == words(ended)
    assert len(await chat.recent()) == 1


async def test_a_growing_answer_is_saved_every_second(chat: ConversationService, harness: Harness) -> None:
    draft = chat.new(MODEL)
    answering = await chat.ask(draft.id, "hello")
    seen = ""
    async for event in answering:
        seen += event.content if isinstance(event, Delta) else ""
        if len(seen) > 10:
            break
    assert (await chat.get(draft.id)).unanswered
    await harness.clock.advance(1.1)
    async with asyncio.timeout(LIMIT):
        while (await chat.get(draft.id)).unanswered:  # noqa: ASYNC110 another task writes it
            await asyncio.sleep(0)
    part = (await chat.get(draft.id)).incomplete
    assert part is not None
    assert part.message.content == seen
    await answering.aclose()


async def test_no_key_reaches_the_file(chat: ConversationService, harness: Harness, tmp_path: Path) -> None:
    draft = chat.new(MODEL)
    await end(await chat.ask(draft.id, "hello"))
    written = b"".join((tmp_path / f"conversations.db{ending}").read_bytes() for ending in ("", "-wal"))
    assert not any(text.encode() in written for text, _ in harness.cloud.keys)
    assert (tmp_path / "conversations.db").stat().st_mode & 0o777 == 0o600
