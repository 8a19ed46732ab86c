"""A conversation's parts as the native API takes them, and the pace of an answer."""

import pytest

from okr_tui.chat.messages import Finished, Message
from okr_tui.cloud.dialects import Delta, ToolCall


def test_message_says_only_what_it_has() -> None:
    assert Message("user", "why").wire() == {"role": "user", "content": "why"}


def test_message_carries_thinking_images_and_tool_calls() -> None:
    call = ToolCall("get_weather", {"city": "London"}, id="call_1")
    message = Message("assistant", "", thinking="hm", images=("aGk=",), tool_calls=(call,))
    assert message.wire() == {
        "role": "assistant",
        "content": "",
        "thinking": "hm",
        "images": ["aGk="],
        "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "London"}}}],
    }


def test_tool_result_names_its_tool() -> None:
    assert Message("tool", "12 °C", tool_name="get_weather").wire()["tool_name"] == "get_weather"


@pytest.mark.parametrize(
    ("delta", "full"),
    [
        (Delta(), False),
        (Delta("a"), True),
        (Delta(thinking="b"), True),
        (Delta(tool_calls=(ToolCall("t", {}),)), True),
    ],
)
def test_piece_is_true_when_it_has_something(delta: Delta, full: bool) -> None:
    assert bool(delta) is full


def test_pace_counts_from_the_first_token() -> None:
    assert Finished("stop", output_tokens=50, first_token_ms=500, duration_ms=1500).tokens_per_second == 50


@pytest.mark.parametrize(
    "finished",
    [
        Finished("stop"),
        Finished("stop", output_tokens=5, duration_ms=100),
        Finished("stop", output_tokens=5, first_token_ms=100, duration_ms=100),
        Finished("stop", output_tokens=0, first_token_ms=1, duration_ms=100),
    ],
)
def test_pace_is_unknown_without_tokens_or_time(finished: Finished) -> None:
    assert finished.tokens_per_second is None
