"""A stream is cut into the same records however its bytes arrive."""

import codecs
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.cloud.dialects import StreamRecord
from okr_tui.cloud.streams import LINE_LIMIT, RecordReader
from tests.domain.facts import FIXTURES

SAMPLES = sorted(FIXTURES.glob("chat-stream-*.ndjson"))


def records(*chunks: bytes) -> list[StreamRecord]:
    reader = RecordReader()
    found = [record for chunk in chunks for record in reader.feed(chunk)]
    ending = reader.finish()
    return [*found, ending] if ending else found


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
@given(data=st.data())
def test_chunks_of_any_size_give_the_same_records(path: object, data: st.DataObject) -> None:
    body = path.read_bytes()  # type: ignore[attr-defined]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    chunks = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert records(*chunks) == records(body)


def test_thinking_content_tools_and_counts_are_read() -> None:
    body = (FIXTURES / "chat-stream-tool-call.ndjson").read_bytes()
    thought, called, ended = records(body)
    assert thought.delta.thinking
    assert called.delta.tool_calls[0].name == "get_weather"
    assert called.delta.tool_calls[0].arguments == {"city": "London", "unit": "celsius"}
    assert (ended.done, ended.done_reason, ended.input_tokens, ended.output_tokens) == (
        True,
        "tool_calls",
        146,
        54,
    )


def test_an_error_record_and_a_half_line_are_distinguished() -> None:
    assert records(b'{"error": "gone wrong"}\n')[0].error == "gone wrong"
    assert records(b'{"message": {"content": "cut') == []


def test_an_error_without_words_is_none() -> None:
    (record,) = records(b'{"message": {"content": "hi"}, "done": true, "error": ""}\n')
    assert (record.error, record.delta.content, record.done) == (None, "hi", True)


def test_a_line_that_is_far_too_long_is_dropped_and_the_next_is_read() -> None:
    huge = b'{"message": {"content": "' + b"x" * LINE_LIMIT
    following = json.dumps({"message": {"content": "ok"}, "done": True}).encode()
    reader = RecordReader()
    found = [*reader.feed(huge), *reader.feed(b'x"}}\n' + following + b"\n")]
    assert [record.delta.content for record in found] == ["ok"]
    assert reader.unreadable == 1


def line(content: str, *, done: bool = False) -> bytes:
    return json.dumps({"message": {"content": content}, "done": done}).encode() + b"\n"


@pytest.mark.parametrize(
    ("body", "text", "unreadable"),
    [
        (codecs.BOM_UTF8 + line("Hello ") + line("world", done=True), "Hello world", 0),
        (
            line("He") + b'{"message": {"content": "l\xc3l\xff"}}\n' + line("o", done=True),
            "Hel\ufffdl\ufffdo",
            0,
        ),
        (line("Hello") + b'{"message": {"content": "cut\n' + line("!", done=True), "Hello!", 1),
        (line("Hello") + b"[1, 2]\n{]\n" + line("!", done=True), "Hello!", 1),
        (line("Hello", done=True) + line(" AGAIN", done=True), "Hello", 0),
        (line("Hello", done=True) + line(" AGAIN")[:-1], "Hello", 0),
        (line("Hello", done=True) + b'{"message": {"cont', "Hello", 1),
    ],
)
def test_no_text_is_lost_silently(body: bytes, text: str, unreadable: int) -> None:
    reader = RecordReader()
    found = [*reader.feed(body), reader.finish()]
    assert "".join(record.delta.content for record in found if record) == text
    assert reader.unreadable == unreadable


def test_a_document_that_is_far_too_long_is_counted() -> None:
    reader = RecordReader(whole=True)
    reader.feed(b'{"message": {"content": "' + b"x" * LINE_LIMIT)
    ending = reader.finish()
    assert ending
    assert (ending.done, reader.unreadable) == (True, 1)


@given(st.binary(max_size=400))
def test_no_bytes_raise(body: bytes) -> None:
    records(body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "message",
                        "content",
                        "tool_calls",
                        "function",
                        "name",
                        "error",
                        "done",
                        "eval_count",
                        "thinking",
                    ]
                ),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_no_document_raises(document: object) -> None:
    records(json.dumps(document).encode() + b"\n")
