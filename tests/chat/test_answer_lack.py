"""What is missing of an answer is said, however it is missing."""

import codecs
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from okr_tui.chat.answer import PoolClient
from okr_tui.chat.messages import Finished, Message
from okr_tui.cloud.dialects import Delta
from okr_tui.services.pool_service import PoolService
from okr_tui.settings.layers import Sources
from tests.harness import MODEL, Harness


def line(content: str = "", thinking: str = "", **fields: object) -> bytes:
    message = {"role": "assistant", "content": content, "thinking": thinking}
    return json.dumps({"message": message, "done": False, **fields}).encode() + b"\n"


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 1 << 20):
        yield body[start : start + (1 << 20)]


END = line(done=True, done_reason="stop")


@pytest.mark.parametrize(
    ("body", "text", "lack"),
    [
        (line("Hello") + END, "Hello", ""),
        (codecs.BOM_UTF8 + line("Hello ") + line("world") + END, "Hello world", ""),
        (line("Hello") + END + line(" AGAIN") + END, "Hello", ""),
        (line("a") + b'{"message": {"cont\n' + END, "a", "a piece of the answer could not be read and is "),
        (line("a") + b"{\n{\n" + END, "a", "2 pieces of the answer could not be read and are missing"),
        (line("a") + line("b" * 12_000_000) + END, "a", "a piece of the answer could not be read"),
        (line("a") + line(done=True, done_reason="length"), "a", "cut off at the length limit"),
        (line(thinking="hm") + END, "", "the model only thought and gave no answer"),
        (line(" ") + END, " ", "the answer is empty"),
    ],
    ids=["whole", "mark", "again", "half", "halves", "huge", "length", "thinking", "empty"],
)
async def test_what_an_answer_lacks_is_reported(harness: Harness, body: bytes, text: str, lack: str) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "application/x-ndjson"}, content=pieces(body))

    sources = Sources(harness.settings_file, harness.home / "project", {})
    opening = PoolService.open(
        sources,
        client="cli",
        watching=False,
        clock=harness.clock,
        make_transport=lambda _: httpx.MockTransport(answer),
    )
    async with opening as service:
        chat = PoolClient(service).chat(MODEL, [Message("user", "Hi")], conversation="one")
        events = [event async for event in chat]
    assert "".join(event.content for event in events if isinstance(event, Delta)) == text
    assert isinstance(events[-1], Finished)
    assert lack in events[-1].lack
    assert bool(lack) == bool(events[-1].lack)
