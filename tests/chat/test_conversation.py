"""Conversations as values: titles, context, code blocks, options, documents."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.chat.conversation import (
    TITLE_LONGEST,
    UNTITLED,
    Answered,
    CodeBlock,
    Conversation,
    Turn,
    code_blocks,
    from_json,
    gauge,
    title,
    to_json,
    to_markdown,
)
from okr_tui.chat.messages import Message
from okr_tui.chat.options import THINK_LEVELS, ChatOptions, think_levels, think_refusal
from okr_tui.cloud.dialects import ToolCall
from okr_tui.domain.errors import ChatError
from okr_tui.domain.faults import Fault, FaultKind, Hop, Scope
from okr_tui.domain.models import Model
from okr_tui.domain.text import drawable

ALL = ("completion", "tools", "thinking")
SPENT = Fault(FaultKind.SPENT, Scope.ACCOUNT, "spent", 429, "session")

texts = st.text(max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts, lambda x: st.lists(x, max_size=2)
)
messages = st.builds(
    Message,
    role=st.sampled_from(["user", "assistant", "tool"]),
    content=texts,
    thinking=texts,
    images=st.lists(texts, max_size=2).map(tuple),
    tool_calls=st.lists(
        st.builds(ToolCall, texts, st.dictionaries(texts, json_values, max_size=2), st.none() | texts),
        max_size=2,
    ).map(tuple),
    tool_name=st.none() | texts,
    incomplete=st.booleans(),
    failed=st.booleans(),
)
answers = st.builds(
    Answered,
    model=texts,
    index=st.none() | st.integers(1, 9),
    hops=st.sampled_from([(), (Hop("abc", 1, SPENT),)]),
    input_tokens=st.none() | st.integers(0, 10**6),
    error=st.none() | texts,
)
conversations = st.builds(
    lambda title, options, pairs: Conversation(
        "id",
        title,
        options=options,
        turns=tuple(
            Turn(place, message, 1.5, answered) for place, (message, answered) in enumerate(pairs, 1)
        ),
    ),
    texts,
    st.builds(
        ChatOptions, system=texts, temperature=st.none() | st.floats(0, 2), seed=st.none() | st.integers(0, 9)
    ),
    st.lists(st.tuples(messages, st.none() | answers), max_size=4),
)


def turn(place: int, role: str, text: str = "x", **more: object) -> Turn:
    """A turn."""
    answered = more.pop("answered", None)
    return Turn(place, Message(role, text, **more), 0.0, answered)  # type: ignore[arg-type]


@given(conversations)
def test_json_brings_a_conversation_back(conversation: Conversation) -> None:
    assert from_json(to_json(conversation)) == conversation


@given(st.text())
def test_any_other_text_is_not_a_conversation(text: str) -> None:
    with pytest.raises(ChatError):
        from_json(text)


QUESTION = {"place": 1, "at": 0.0, "message": {"role": "user", "content": "why"}}


def test_a_document_that_was_tampered_with_is_refused() -> None:
    document = json.loads(to_json(Conversation("id")))
    for change in (
        {"version": 2},
        {"format": "other"},
        {"turns": 5},
        {"created": "soon"},
        {"updated": 1e300},
        {"options": {"temperature": float("inf")}},
        {"options": {"seed": -1}},
        {"turns": [QUESTION, QUESTION]},
        {"turns": [{**QUESTION, "place": 0}]},
        {"model": "gpt\x1b[2J"},
    ):
        with pytest.raises(ChatError):
            from_json(json.dumps({**document, **change}))
    with pytest.raises(ChatError):
        from_json("[" * 100_000)


@given(conversations)
def test_markdown_holds_every_word(conversation: Conversation) -> None:
    text = to_markdown(conversation)
    for each in conversation.turns:
        if each.message.role != "tool":
            assert each.message.content.rstrip("\n") in text
    text.encode()


def test_halves_of_characters_do_no_harm() -> None:
    conversation = Conversation("id", "\ud800", turns=(turn(1, "user", "a\ud800"),))
    to_markdown(conversation).encode()
    to_json(conversation).encode()


def test_markdown_of_tools_and_thoughts() -> None:
    call = ToolCall("web_search", {"query": "sky"})
    conversation = Conversation(
        "id",
        "Sky",
        "m",
        turns=(
            turn(1, "user", "why"),
            turn(2, "assistant", "", thinking="hm", tool_calls=(call,), answered=Answered("m")),
            turn(3, "tool", "a ``` fence", tool_name="web_search"),
            turn(4, "assistant", "because", incomplete=True, answered=Answered("m")),
        ),
    )
    text = to_markdown(conversation)
    assert 'Calls `web_search` with `{"query": "sky"}`' in text
    assert "````\na ``` fence\n````" in text
    assert "<summary>Thoughts</summary>\n\nhm" in text
    assert "## m (cut off)\n\nbecause" in text


@given(st.text())
def test_a_title_is_one_short_line(text: str) -> None:
    made = title(text)
    assert 0 < len(made) <= TITLE_LONGEST
    assert drawable(made) == made == " ".join(made.split())


def test_titles() -> None:
    assert title("  why is\nthe sky  blue ") == "why is the sky blue"
    assert title("word " * 40).endswith("word…")
    assert title("x" * 100) == "x" * (TITLE_LONGEST - 1) + "…"
    assert title(" \n") == UNTITLED


def test_what_a_conversation_ends_with() -> None:
    conversation = Conversation("id", turns=(turn(1, "user"),))
    assert conversation.unanswered
    assert conversation.next_place == 2
    whole = replace(conversation, turns=(*conversation.turns, turn(2, "assistant")))
    assert not whole.unanswered
    assert whole.incomplete is None
    cut = replace(conversation, turns=(*conversation.turns, turn(2, "assistant", incomplete=True)))
    assert cut.incomplete is not None
    short = Answered("m", done_reason="length")
    assert replace(whole, turns=(turn(1, "assistant", answered=short),)).incomplete is not None
    assert whole.before(2).turns == conversation.turns
    reported = replace(whole, options=ChatOptions(system="Be kind."))
    assert [message.role for message in reported.messages()] == ["system", "user", "assistant"]


@pytest.mark.parametrize(
    ("used", "length", "words"),
    [
        (10, 100, None),
        (79, 100, None),
        (80, 100, "context 80% full"),
        (96, 100, "nearly full"),
        (96, None, None),
    ],
)
def test_the_context_gauge_warns_before_it_overflows(
    used: int, length: int | None, words: str | None
) -> None:
    answered = Answered("m", input_tokens=used - 1, output_tokens=1)
    conversation = Conversation("id", turns=(turn(1, "user"), turn(2, "assistant", answered=answered)))
    found = gauge(conversation, Model("m", context_length=length))
    assert found.used == used
    assert (found.warning is None) == (words is None)
    assert words is None or words in (found.warning or "")
    assert gauge(Conversation("id"), None).share is None


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("no code", ()),
        ("a\n```python\nx = 1\n\ny\n```\nb", (CodeBlock("python", "x = 1\n\ny"),)),
        ("```\na\n```\n~~~sh x\nb\n~~~", (CodeBlock("", "a"), CodeBlock("sh", "b"))),
        ("````\n```\ninner\n```\n````", (CodeBlock("", "```\ninner\n```"),)),
        ("```py\nstill open", (CodeBlock("py", "still open"),)),
        ("``` a `tick` is no fence\n", ()),
    ],
)
def test_code_blocks(text: str, blocks: tuple[CodeBlock, ...]) -> None:
    assert code_blocks(text) == blocks


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("temperature", "0.2", 0.2),
        ("temp", "2", 2.0),
        ("top_p", "1", 1.0),
        ("max_tokens", "100", 100),
        ("seed", "0", 0),
        ("think", "HIGH", "high"),
        ("tools", "on", True),
        ("seed", "default", None),
    ],
)
def test_options_are_set_by_name(name: str, text: str, value: object) -> None:
    changed = ChatOptions(seed=5).changed(name, text)
    alias = {"temp": "temperature", "max_tokens": "num_predict"}.get(name, name)
    assert getattr(changed, alias) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("temperature", "hot"),
        ("temperature", "nan"),
        ("temperature", "2.1"),
        ("top_p", "-0.1"),
        ("num_predict", "0"),
        ("num_predict", "1.5"),
        ("seed", "٣"),
        ("seed", "9" * 30),
        ("think", "as hard as you can"),
        ("tools", "maybe"),
        ("heat", "1"),
        ("system", "x" * 200_000),
    ],
)
def test_what_is_out_of_bounds_is_one_line(name: str, text: str) -> None:
    with pytest.raises(ChatError) as raised:
        ChatOptions().changed(name, text)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 200


def test_options_in_words_and_on_the_wire() -> None:
    options = ChatOptions(system="Be kind.", temperature=0.2, think="off", tools=False, num_predict=5)
    assert options.lines() == (
        "temperature 0.2",
        "num_predict 5",
        "think off",
        "tools off",
        "system Be kind.",
    )
    assert options.sampling() == {"temperature": 0.2, "num_predict": 5}


@pytest.mark.parametrize(
    ("capabilities", "reported", "levels"),
    [
        (ALL, ("low", "high", "xhigh"), ("low", "high", "xhigh")),
        (ALL, ("off", "on"), ("off", "on")),
        (None, ("max", "deep-2"), ("max", "deep-2")),
        (ALL, ("off",), ()),
        (ALL, (), ()),
        (ALL, None, tuple(THINK_LEVELS)),
        (("completion",), None, ()),
        (None, None, tuple(THINK_LEVELS)),
    ],
)
def test_think_levels_are_those_that_the_cloud_tells(
    capabilities: tuple[str, ...] | None, reported: tuple[str, ...] | None, levels: tuple[str, ...]
) -> None:
    known = Model("gpt-oss:20b", capabilities=capabilities, thinking=reported)
    assert think_levels(known) == levels
    may_have_any = reported is None and bool(levels)
    for level in (*THINK_LEVELS, "xhigh", "deep-2"):
        assert (think_refusal(known, level) is None) == (may_have_any or level in levels)
    assert think_refusal(known, None) is None


def test_a_failed_tool_is_marked_for_the_model() -> None:
    assert Message("tool", "no", tool_name="t", failed=True).wire()["content"] == "Error: no"


def test_a_call_that_was_not_run_says_so_to_the_model() -> None:
    calls = (ToolCall("a", {}), ToolCall("b", {}))
    asked = Conversation("id", turns=(turn(1, "user"), turn(2, "assistant", "", tool_calls=calls)))
    assert asked.unfinished
    assert [(message.role, message.tool_name) for message in asked.messages()][2:] == [
        ("tool", "a"),
        ("tool", "b"),
    ]
    half = replace(asked, turns=(*asked.turns, turn(3, "tool", "one", tool_name="a"), turn(4, "user")))
    assert [message.content for message in half.messages()][2:] == ["one", "The call was not run.", "x"]
    both = replace(asked, turns=(*asked.turns, turn(3, "tool", "one"), turn(4, "tool", "two")))
    assert both.unfinished
    assert [message.content for message in both.messages()][2:] == ["one", "two"]
    assert not replace(both, turns=(*both.turns, turn(5, "assistant"))).unfinished
