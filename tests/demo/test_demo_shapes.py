"""The simulated cloud answers with the shapes of the real one."""

import json
from itertools import pairwise

import pytest

from okr_tui.demo.models import MODELS
from tests.demo.cloud_client import MODEL, CloudClient

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
        },
    },
}


async def test_catalogue_is_public_and_lists_no_retired_model(calm: CloudClient) -> None:
    listed = (await calm.client.get("/api/tags")).json()["models"]
    assert [entry["name"] for entry in listed] == list(MODELS)
    assert all(entry["name"] == entry["model"] and len(entry["digest"]) == 12 for entry in listed)
    assert "qwen3.5:397b" not in MODELS
    compatible = (await calm.client.get("/v1/models")).json()
    assert [entry["id"] for entry in compatible["data"]] == list(MODELS)
    assert (await calm.client.get("/api/version")).json() == {"version": "0.0.0"}


async def test_show_gives_sizes_as_strings_and_context_by_architecture(calm: CloudClient) -> None:
    for name, model in MODELS.items():
        shown = (await calm.client.post("/api/show", json={"model": name})).json()
        assert int(shown["details"]["parameter_size"]) == model.parameters
        architecture = shown["model_info"]["general.architecture"]
        assert shown["model_info"][f"{architecture}.context_length"] == model.context
        assert "completion" in shown["capabilities"]
        assert (await calm.client.get(f"/v1/models/{name}")).json()["id"] == name


async def test_answers_carry_the_headers_of_the_front_end(calm: CloudClient) -> None:
    response = await calm.chat("amber 1")
    assert response.headers["server"] == "Google Frontend"
    assert response.headers["via"] == "1.1 google"
    assert response.headers["content-type"] == "application/x-ndjson"
    assert len(response.headers["x-request-id"]) == 36


async def test_chat_streams_thinking_then_content_then_the_short_trailer(calm: CloudClient) -> None:
    lines = [
        json.loads(line) for line in (await calm.chat("amber 1", "why is the sky blue")).text.splitlines()
    ]
    thinking = ["thinking" in line["message"] for line in lines]
    assert thinking[0]
    assert not any(later and not earlier for earlier, later in pairwise(thinking))
    assert "Rayleigh scattering" in "".join(line["message"]["content"] for line in lines)
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert set(lines[-1]) == {
        "model",
        "created_at",
        "message",
        "done",
        "done_reason",
        "total_duration",
        "prompt_eval_count",
        "eval_count",
    }
    assert lines[-1]["done_reason"] == "stop"


async def test_whole_answer_is_the_stream_put_together(calm: CloudClient) -> None:
    whole = (await calm.chat("amber 1", "hello", stream=False)).json()
    lines = [json.loads(line) for line in (await calm.chat("amber 1", "hello")).text.splitlines()]
    assert whole["message"]["content"] == "".join(line["message"]["content"] for line in lines)
    assert whole["eval_count"] == lines[-1]["eval_count"]


async def test_thinking_can_be_switched_off_where_the_model_obeys(calm: CloudClient) -> None:
    obedient = (await calm.chat("amber 1", stream=False, think=False, model="gemma4:31b")).json()
    stubborn = (await calm.chat("amber 1", stream=False, think=False)).json()
    assert "thinking" not in obedient["message"]
    assert "thinking" in stubborn["message"]


async def test_length_is_the_reason_when_tokens_are_limited(calm: CloudClient) -> None:
    answer = (await calm.chat("amber 1", stream=False, options={"num_predict": 3})).json()
    assert (answer["done_reason"], answer["eval_count"]) == ("length", 3)


async def test_tool_is_called_when_asked_and_its_result_summed_up(calm: CloudClient) -> None:
    prompt = "what is the weather in Oslo?"
    lines = (await calm.chat("amber 1", prompt, tools=[WEATHER])).text.splitlines()
    calls = [call for line in lines for call in json.loads(line)["message"].get("tool_calls", [])]
    assert [call["function"]["name"] for call in calls] == ["get_weather"]
    assert calls[0]["function"]["arguments"] == {"city": "Oslo", "unit": "celsius"}
    assert json.loads(lines[-1])["done_reason"] == "tool_calls"
    messages = [{"role": "user", "content": prompt}, {"role": "tool", "content": "4 degrees"}]
    answer = await calm.chat("amber 1", messages=messages, tools=[WEATHER], stream=False)
    assert "4 degrees" in answer.json()["message"]["content"]


async def test_generate_answers_in_response(calm: CloudClient) -> None:
    text = (await calm.post("/api/generate", "amber 1", model=MODEL, prompt="hello")).text
    lines = [json.loads(line) for line in text.splitlines()]
    assert "Hello" in "".join(line["response"] for line in lines)
    assert "message" not in lines[0]
    assert lines[-1]["done"]


@pytest.mark.parametrize("usage", [False, True])
async def test_completions_stream_events_and_usage_only_when_asked(calm: CloudClient, usage: bool) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "stream": True}
    options = {"stream_options": {"include_usage": True}} if usage else {}
    response = await calm.post("/v1/chat/completions", "amber 1", **body, **options)
    events = response.text.strip().split("\n\n")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert events[-1] == "data: [DONE]"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert ("usage" in chunks[-1]) is usage
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    assert "".join(delta.get("content", "") for delta in deltas).startswith("Hello")


async def test_whole_completion_gives_tool_arguments_as_a_string(calm: CloudClient) -> None:
    messages = [{"role": "user", "content": "weather please"}]
    body = {"model": MODEL, "messages": messages, "tools": [WEATHER]}
    answer = (await calm.post("/v1/chat/completions", "amber 1", **body)).json()
    choice = answer["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    arguments = choice["message"]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments)["city"] == "London"
    assert answer["usage"]["total_tokens"] > 0


@pytest.mark.parametrize("stream", [False, True])
async def test_messages_answer_in_blocks(calm: CloudClient, stream: bool) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]
    body = {"model": MODEL, "messages": messages, "max_tokens": 500, "stream": stream}
    response = await calm.post("/v1/messages", "amber 1", **body)
    if stream:
        kinds = [line.removeprefix("event: ") for line in response.text.splitlines() if "event: " in line]
        assert kinds[0] == "message_start"
        assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 2
        assert kinds[-2:] == ["message_delta", "message_stop"]
    else:
        assert [block["type"] for block in response.json()["content"]] == ["thinking", "text"]
        assert response.json()["stop_reason"] == "end_turn"


async def test_identity_is_capitalised_and_one_for_all_keys_of_an_account(calm: CloudClient) -> None:
    first, second, other = [
        (await calm.post("/api/me", label)).json() for label in ("amber 1", "amber 2", "birch 1")
    ]
    assert first == second
    assert first["ID"] != other["ID"]
    assert (first["Name"], first["Email"], first["Plan"]) == ("amber", "amber@example.com", "pro")
    assert (await calm.get("/api/me", "amber 1")).status_code == 405


async def test_balance_speaks_for_both_generations_of_plans(calm: CloudClient) -> None:
    legacy = (await calm.get("/api/balance", "amber 1")).json()
    assert legacy["included"]["session"] == {"remaining_percent": 79, "resets_at": "2027-01-15T08:01:00Z"}
    assert legacy["included"]["weekly"]["remaining_percent"] == 65.4
    paid = (await calm.get("/api/balance", "cedar 1")).json()
    assert paid["included"]["balance_usd"] == 45
    assert paid["included"]["allowance_usd"] == 60
    assert paid["included"]["period"]["from"] < paid["included"]["period"]["until"]
    assert paid["purchased"] == {"balance_usd": 12.5}


async def test_balance_takes_no_parameters_and_ten_reads_a_minute_for_all_keys(calm: CloudClient) -> None:
    assert (await calm.get("/api/balance?x=1", "amber 1")).status_code == 400
    for number in range(10):
        assert (await calm.get("/api/balance", f"amber {number % 2 + 1}")).status_code == 200
    calm.clock.now += 20
    refused = await calm.get("/api/balance", "amber 1")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "40")
    assert (await calm.get("/api/balance", "birch 1")).status_code == 200
    calm.clock.now += 40
    assert (await calm.get("/api/balance", "amber 1")).status_code == 200


@pytest.mark.parametrize(("span", "count"), [("24h", 25), ("7d", 8), ("30d", 31)])
async def test_usage_is_a_history_in_even_buckets(calm: CloudClient, span: str, count: int) -> None:
    await calm.chat("cedar 1")
    history = (await calm.get(f"/api/usage?range={span}", "cedar 1")).json()
    assert len(history["buckets"]) == count
    assert history["buckets"][-1]["partial"] is True
    assert history["buckets"][-1]["request_count"] == history["totals"]["request_count"] == 1
    assert history["totals"]["usage_usd"] > 0


async def test_usage_has_the_past_that_an_account_is_given(calm: CloudClient) -> None:
    now = calm.clock.now
    before = (await calm.get("/api/balance", "cedar 1")).json()
    await calm.control("accounts/cedar/past", requests=[[now - 3600, 700, 50], [now - 60, 30, 5]])
    totals = (await calm.get("/api/usage?range=24h", "cedar 1")).json()["totals"]
    assert (totals["request_count"], totals["input_tokens"], totals["output_tokens"]) == (2, 730, 55)
    assert (await calm.get("/api/balance", "cedar 1")).json() == before


async def test_usage_of_a_legacy_plan_counts_requests_only(calm: CloudClient) -> None:
    await calm.chat("amber 2")
    assert (await calm.get("/api/usage", "amber 1")).json()["totals"] == {"request_count": 1}
    assert (await calm.get("/api/usage?range=1y", "amber 1")).status_code == 400
    assert (await calm.get("/api/usage?scope=team", "amber 1")).status_code == 403


async def test_web_tools_answer_and_want_a_query(calm: CloudClient) -> None:
    found = (await calm.post("/api/web_search", "amber 1", query="otters", max_results=3)).json()["results"]
    assert [set(result) for result in found] == [{"title", "url", "content"}] * 3
    assert (await calm.post("/api/web_search", "amber 1", query="")).status_code == 400
    fetched = (await calm.post("/api/web_fetch", "amber 1", url="https://example.com/")).json()
    assert set(fetched) == {"title", "content", "links"}
