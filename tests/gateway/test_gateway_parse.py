"""What a body asks for is found in any JSON, and every other byte of it stays as it was."""

import asyncio
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as some

from okr_tui.domain.models import bare_name
from okr_tui.gateway.errors import FailureError
from okr_tui.gateway.parse import AT_ONCE, MANY_CONTAINERS, parse_body, parse_request

ANY = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
FIELDS = (
    "stream",
    "messages",
    "input",
    "system",
    "instructions",
    "prompt",
    "prompt_cache_key",
    "session_id",
    "metadata",
    "user",
    "tools",
)
MESSAGES = some.lists(
    some.fixed_dictionaries(
        {}, optional={"role": some.sampled_from(["user", "system", "tool"]), "content": ANY}
    )
)
DOCUMENTS = some.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, ANY) | {"messages": MESSAGES | ANY})


@given(DOCUMENTS, some.booleans())
def test_whatever_else_is_in_it_the_model_and_the_streaming_are_found(
    document: dict[str, object], ascii_only: bool
) -> None:
    text = json.dumps({**document, "model": "gpt-oss:20b"}, ensure_ascii=ascii_only)
    parsed = parse_request(body := text.encode("utf-8", "surrogatepass"), {})
    streams = document.get("stream")
    assert (parsed.model, parsed.body) == ("gpt-oss:20b", body)
    assert parsed.streams is (streams if isinstance(streams, bool) else None)


@given(DOCUMENTS, some.dictionaries(some.text(max_size=5), some.just({"model": "gpt-oss:20b-cloud"})))
def test_another_name_of_a_model_is_replaced_and_nothing_else(
    document: dict[str, object], nested: dict[str, object]
) -> None:
    whole = {**nested, **document, "model": "gpt-oss:20b-cloud"}
    parsed = parse_request(json.dumps(whole).encode(), {})
    assert parsed.model == "gpt-oss:20b"
    assert json.loads(parsed.body) == {**whole, "model": "gpt-oss:20b"}


def test_a_body_with_another_name_keeps_its_form() -> None:
    sent = b'{"options":{"model":"m-cloud" , "seed":1.50},\n "model" : "m-cloud","more":"\xc3\xa9 \\u00e9"}'
    parsed = parse_request(sent, {})
    assert parsed.body == sent.replace(b'"model" : "m-cloud"', b'"model":"m"')


@pytest.mark.parametrize("name", ["g\u00fc-cloud", 'a"b-cloud', "a\\b-cloud"])
def test_a_name_with_escapes_is_replaced_too(name: str) -> None:
    for body in (json.dumps({"model": name}), json.dumps({"model": name}, ensure_ascii=False)):
        assert json.loads(parse_request(body.encode(), {}).body) == {"model": bare_name(name)}


@pytest.mark.parametrize(
    "content",
    [
        b'{"model":"m","messages":[{"role":"user","content":"\\ud83d"}]}',
        b'{"model":"m","x":' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"model":"m","temperature":NaN}',
    ],
)
def test_json_that_others_read_is_read(content: bytes) -> None:
    assert parse_request(content, {}).model == "m"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not valid JSON"),
        (b'{"model":"m"} {}', "not valid JSON"),
        (b'{"model":"\xff"}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'["model"]', "not a JSON object"),
        (b'{"model":7}', "the model's name"),
        (b'{"model":"a\\nb"}', "the model's name"),
        (b'{"model":"\\ud800"}', "the model's name"),
    ],
    ids=range(8),
)
def test_what_cannot_be_passed_on_is_refused_with_the_reason(content: bytes, words: str) -> None:
    with pytest.raises(FailureError) as caught:
        parse_request(content, {})
    assert caught.value.failure.status == 400
    assert words in caught.value.failure.text


def test_a_conversation_is_known_by_its_words_and_not_by_its_pictures() -> None:
    def opening(*parts: dict[str, str]) -> str | None:
        messages = [{"role": "user", "content": parts}]
        return parse_request(json.dumps({"messages": messages}).encode(), {}).opening

    text, other = {"type": "text", "text": "What is it?"}, {"type": "text", "text": "Why?"}
    assert opening(text) == opening(text, {"type": "image", "data": "QUJD"}) != opening(other)
    assert opening({"type": "image", "data": "QUJD"}) is None


def crowded(count: int, **more: object) -> bytes:
    """A body of very many small values."""
    content = {"model": "gpt-oss:20b", "messages": [{"role": "user", "content": "Hello"}], **more}
    return json.dumps({**content, "junk": [[]] * count}).encode().ljust(AT_ONCE + 1)


@pytest.mark.slow(reason="reads the largest bodies")
@pytest.mark.parametrize("count", [10, MANY_CONTAINERS + 1])
@pytest.mark.parametrize("name", ["gpt-oss:20b", "gpt-oss:20b-cloud"])
async def test_a_large_body_means_the_same_wherever_it_is_parsed(count: int, name: str) -> None:
    large = crowded(count, model=name, stream=False)
    headers = {"x-session-id": "s", "x-api-key": "secret"}
    assert await parse_body(large, headers) == parse_request(large, headers)
    assert (await parse_body(large, {})).opening == parse_request(large, {}).opening


@pytest.mark.parametrize("model", [5, "x" * 300])
async def test_a_crowded_body_that_is_wrong_is_refused(model: object) -> None:
    large = crowded(MANY_CONTAINERS + 1, model=model)
    with pytest.raises(FailureError, match="the model's name must be"):
        await parse_body(large, {})
    with pytest.raises(FailureError, match="not valid JSON"):
        await parse_body(large[:-300_000] + b"]", {})


@pytest.mark.slow(reason="reads the largest bodies")
async def test_no_stream_waits_for_a_large_body() -> None:
    message = b'{"role":"user","content":"x"}'
    large = b'{"model":"m","messages":[' + b",".join([message] * 400_000) + b"]}"
    longest, before = 0.0, time.perf_counter()
    parsing = asyncio.create_task(parse_body(large, {}))
    while not parsing.done():
        await asyncio.sleep(0)
        longest, before = max(longest, time.perf_counter() - before), time.perf_counter()
    began = time.perf_counter()
    assert parse_request(large, {}) == parsing.result()
    assert longest < (time.perf_counter() - began) / 2
