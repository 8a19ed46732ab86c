"""The interfaces of OpenAI beside chat: text completions, responses, embeddings."""

import json
from typing import Any

import pytest

from tests.demo.cloud_client import MODEL, CloudClient

RESPONSES = "/v1/responses"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
QUESTION = "what is the weather in Oslo"


def events(text: str) -> list[dict[str, Any]]:
    """The documents of server-sent events, whose names are their types."""
    found = []
    for block in text.strip().split("\n\n"):
        name, data = block.splitlines()
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


async def test_responses_stream_their_items_one_after_the_other(calm: CloudClient) -> None:
    response = await calm.post(RESPONSES, "amber 1", model=MODEL, input="hello", stream=True)
    found = events(response.text)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    kinds = [event["type"] for event in found if not event["type"].endswith(".delta")]
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    pieces = [event["delta"] for event in found if event["type"] == "response.output_text.delta"]
    final = found[-1]["response"]
    assert "".join(pieces) == final["output"][1]["content"][0]["text"]
    assert final["usage"]["total_tokens"] == final["usage"]["input_tokens"] + final["usage"]["output_tokens"]
    whole = (await calm.post(RESPONSES, "amber 1", model=MODEL, input="hello")).json()
    assert whole["output"] == final["output"]


async def test_a_limit_leaves_a_response_incomplete(calm: CloudClient) -> None:
    body = {"model": MODEL, "input": "hello", "max_output_tokens": 2}
    whole = (await calm.post(RESPONSES, "amber 1", **body)).json()
    assert (whole["status"], whole["incomplete_details"]["reason"]) == ("incomplete", "max_output_tokens")
    streamed = await calm.post(RESPONSES, "amber 1", **body, stream=True)
    assert events(streamed.text)[-1]["type"] == "response.incomplete"


@pytest.mark.parametrize("stream", [False, True])
async def test_responses_call_tools_and_take_their_results(calm: CloudClient, *, stream: bool) -> None:
    body = {"model": MODEL, "tools": [WEATHER]}
    answer = await calm.post(RESPONSES, "amber 1", **body, input=QUESTION, stream=stream)
    response = events(answer.text)[-1]["response"] if stream else answer.json()
    call = response["output"][-1]
    assert (call["type"], json.loads(call["arguments"])) == ("function_call", {"city": "Oslo"})
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "rain"}
    said = [{"role": "user", "content": [{"type": "input_text", "text": QUESTION}]}, call, result]
    last = (await calm.post(RESPONSES, "amber 1", **body, input=said)).json()
    assert "rain" in last["output"][-1]["content"][0]["text"]


async def test_a_response_that_fails_in_the_middle_ends_with_an_error(calm: CloudClient) -> None:
    await calm.control("faults", fault="session", in_stream=True, after=2)
    answer = await calm.post(RESPONSES, "amber 1", model=MODEL, input="hello", stream=True)
    last = events(answer.text)[-1]
    assert last["type"] == "error"
    assert "usage limit" in last["message"]


async def test_text_completions(calm: CloudClient) -> None:
    body = {"model": MODEL, "prompt": "hello"}
    whole = (await calm.post("/v1/completions", "amber 1", **body)).json()
    assert whole["object"] == "text_completion"
    answer = await calm.post(
        "/v1/completions", "amber 1", **body, stream=True, stream_options={"include_usage": True}
    )
    *blocks, mark = answer.text.strip().split("\n\n")
    chunks = [json.loads(block.removeprefix("data: ")) for block in blocks]
    assert mark == "data: [DONE]"
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks[:-1]) == whole["choices"][0]["text"]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert (chunks[-1]["choices"], chunks[-1]["usage"]) == ([], whole["usage"])


async def test_tool_results_of_messages_are_read(calm: CloudClient) -> None:
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": "rain"}
    body = {"model": MODEL, "max_tokens": 99, "messages": [{"role": "user", "content": [result]}]}
    answer = (await calm.post("/v1/messages", "amber 1", **body)).json()
    assert "rain" in answer["content"][-1]["text"]


async def test_embeddings_are_answered_with_nothing(calm: CloudClient) -> None:
    assert (await calm.post("/v1/embeddings", "amber 1", model=MODEL, input="x")).json()["data"] == []


@pytest.mark.parametrize("path", [RESPONSES, "/v1/completions"])
async def test_they_spend_quota_as_chat_does(calm: CloudClient, path: str) -> None:
    await calm.control("accounts/amber", session=100)
    refused = await calm.post(path, "amber 1", model=MODEL, input="hello", prompt="hello")
    assert refused.status_code == 429
    assert refused.json()["error"]["type"] == "api_error"
    assert (await calm.post(path, "nobody", model=MODEL)).status_code == 401


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", RESPONSES])
async def test_two_tools_at_once_are_kept_apart_in_a_stream(calm: CloudClient, path: str) -> None:
    tools = [{**WEATHER, "name": name} for name in ("first_tool", "second_tool")]
    question = [{"role": "user", "content": "use first_tool and second_tool"}]
    said = {"input" if path == RESPONSES else "messages": question}
    body = {"model": MODEL, "max_tokens": 99, "tools": tools, **said}
    text = (await calm.post(path, "amber 1", **body, stream=True)).text
    found = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    if path == "/v1/messages":
        calls = [event for event in found if event.get("content_block", {}).get("type") == "tool_use"]
        numbers = [(event["index"], event["content_block"]["id"]) for event in calls]
    elif path == RESPONSES:
        calls = [event for event in found if event["type"] == "response.function_call_arguments.done"]
        numbers = [(event["output_index"], event["item_id"]) for event in calls]
    else:
        deltas = [event["choices"][0]["delta"].get("tool_calls", []) for event in found]
        numbers = [(call["index"], call["id"]) for calls in deltas for call in calls]
    assert len({index for index, _ in numbers}) == len({name for _, name in numbers}) == 2
