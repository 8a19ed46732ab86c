"""Server-sent events are cut into the same records however their bytes arrive, looked into or skimmed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.cloud import streams
from okr_tui.cloud.dialects import (
    Reader,
    StreamRecord,
    read_completions,
    read_messages,
    read_native,
    read_responses,
)
from okr_tui.cloud.streams import RecordReader

PATH = "/v1/chat/completions"
LINES = [
    b"",
    b": a comment",
    b"id: 3",
    b"data: no document",
    b"data: [1]",
    b"event: ping",
    b"event: error",
    b'data: {"choices":[{"delta":{"content":"Hel"}}]}',
    b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}',
    b'data:{"error":{"message":"gone wrong"}}',
    b'{"error":"gone wrong"}',
    b"data: [DONE]",
]
BODIES = st.lists(
    st.tuples(st.sampled_from(LINES), st.sampled_from([b"\n", b"\r\n", b"\n\n"])), max_size=8
).map(lambda parts: b"".join(line + end for line, end in parts))


def read(chunks: list[bytes], *, skims: bool = False) -> list[tuple[StreamRecord, int]]:
    """The records of a stream, each with where it begins in all of it."""
    reader, found, before = RecordReader(PATH), [], 0
    reader.skims = skims
    for chunk in chunks:
        found += [(record, before + record.start) for record in reader.feed(chunk)]
        before += len(chunk)
    ending = reader.finish()
    return [*found, (ending, before + ending.start)] if ending else found


def cut(body: bytes, positions: list[int]) -> list[bytes]:
    """A body in chunks."""
    cuts = sorted(index % (len(body) + 1) for index in positions)
    return [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]


def telling(found: list[tuple[StreamRecord, int]]) -> list[tuple[object, ...]]:
    """What ends, counts and errors there are."""
    kept = [(r.done, r.error, r.input_tokens, r.output_tokens) for r, _ in found]
    return [record for record in kept if record != (False, None, None, None)]


@given(BODIES, st.lists(st.integers(0, 1000), max_size=6))
def test_chunks_of_any_size_give_the_same_records_at_the_same_positions(
    body: bytes, positions: list[int]
) -> None:
    whole = read([body])
    assert read(cut(body, positions)) == whole
    assert read([body[index : index + 1] for index in range(len(body))]) == whole


@given(BODIES, st.lists(st.integers(0, 1000), max_size=6))
def test_skimming_misses_no_end_no_count_and_no_error(body: bytes, positions: list[int]) -> None:
    assert telling(read(cut(body, positions), skims=True)) == telling(read([body]))


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("text", [b"gone wrong", b'{"message":"gone wrong"}', b'{"error":"gone wrong"}'])
def test_an_event_named_error_is_one_whatever_it_holds(text: bytes, end: bytes) -> None:
    before = b"data: {}" + 2 * end
    (_, _), (record, start) = read([before + b"event: error" + end + b"data: " + text + 2 * end])
    assert record.error is not None
    assert "gone wrong" in record.error
    assert start == len(before)


def test_a_line_that_is_far_too_long_moves_no_position(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LINE_LIMIT", 100)
    pieces = [b"data: " + b"x" * 200, b"x" * 200, b'x\n\ndata: {"error":"gone', b' wrong"}\n\n']
    ((record, start),) = read(pieces)
    assert record.error == "gone wrong"
    assert start == sum(map(len, pieces[:2])) + len(b"x\n\n")


@pytest.mark.parametrize(
    ("read_document", "ending"),
    [
        (read_native, {"done": True, "prompt_eval_count": 9}),
        (read_completions, {"choices": [], "usage": {"prompt_tokens": 9}}),
        (read_responses, {"type": "response.completed", "response": {"usage": {"input_tokens": 9}}}),
        (read_messages, {"type": "message_start", "message": {"usage": {"input_tokens": 9}}}),
    ],
)
def test_cached_tokens_that_are_not_reported_are_unknown(
    read_document: Reader, ending: dict[str, object]
) -> None:
    record = read_document(ending)
    assert (record.input_tokens, record.cached_tokens) == (9, None)
