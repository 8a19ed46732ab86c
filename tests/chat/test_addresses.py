"""Which addresses a tool fetches unasked, and how often a person is asked in one round."""

from collections.abc import AsyncGenerator, Mapping, Sequence

import pytest

from okr_tui.chat.conversation import ConsentRequested, Decision, Noted, RoundEvent, ToolRan
from okr_tui.chat.messages import ChatEvent, Message
from okr_tui.chat.tools import (
    MADE_UP,
    MOST_QUESTIONS,
    REFUSED,
    TOO_MANY_QUESTIONS,
    Consent,
    Toolbox,
    addresses,
    is_known,
    run_tool_loop,
)
from okr_tui.cloud.dialects import Delta, ToolCall
from okr_tui.services.background import SystemClock
from okr_tui.settings.table import ChatSettings

USER = Message(
    "user", "Read https://Example.com/a?b=1 and docs.example.org, please. Not http://x.example/y/z!"
)
FOUND = Message(
    "tool", '{"results": [{"url": "https://found.example/p?q=1&r=2", "content": "see\\nb.example/t"}]}'
)
FAILED = Message("tool", "web_fetch failed on https://failed.example/", failed=True)
ANSWER = Message("assistant", "You may want https://answer.example/ too.")


@pytest.mark.parametrize(
    "address",
    [
        "https://example.com/a?b=1",
        "http://example.com/a?b=1",
        "docs.example.org",
        "https://docs.example.org/",
        "http://x.example/y/z",
        "https://found.example/p?q=1&r=2",
    ],
)
def test_an_address_of_the_person_or_of_a_result_is_known(address: str) -> None:
    assert is_known(address, [USER, FOUND])


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://",
        "https://example.com/a?b=12",
        "https://example.com/a?b=1&secret=sky",
        "https://example.com/",
        "https://docs.example.org/secret",
        "https://sky.docs.example.org",
        "https://found.example/p?q=1",
        "https://failed.example/",
        "https://answer.example/",
        "a",
        "Read",
    ],
)
def test_any_other_address_is_made_up(address: str) -> None:
    known = address == "Read"  # a word of the person's, which is no address of anybody
    assert is_known(address, [USER, FOUND, FAILED, ANSWER]) is known


def test_what_a_tool_repeats_of_its_arguments_is_the_models_own() -> None:
    address = "https://evil.example/?q=sky"
    asked = Message("assistant", "", tool_calls=(ToolCall("web_search", {"query": f"what is {address}"}),))
    repeated = Message("tool", f"nothing was found for {address}")
    assert not is_known(address, [USER, asked, repeated])
    assert is_known(address, [USER, Message("tool", f"see {address}"), asked, repeated])
    assert is_known(address, [USER, asked, repeated, Message("user", address)])


def test_the_addresses_of_a_call() -> None:
    arguments = {
        "url": "evil.example",
        "more": [{"at": "https://b.example/"}, "ftp://c.example"],
        "text": "a https://d.e",
    }
    assert addresses(arguments, "url") == ("https://b.example/", "ftp://c.example", "evil.example")
    assert addresses({"query": "what is evil.example"}, None) == ()


class Rounds:
    """A model that makes these calls in its first round; a person who answers; what was posted."""

    def __init__(self, *calls: ToolCall, decision: Decision = "allow") -> None:
        self.calls = calls
        self.decision = decision
        self.posted: list[object] = []
        self.asked: list[ConsentRequested] = []
        self.events: list[RoundEvent] = []

    async def ask(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, object]],  # noqa: ARG002 Ask's signature
    ) -> AsyncGenerator[ChatEvent, None]:
        if messages[-1].role == "user":
            yield Delta(tool_calls=self.calls)
        else:
            yield Delta("done")

    async def post(self, path: str, document: Mapping[str, object]) -> object:  # noqa: ARG002
        self.posted.append(document.get("url") or document.get("query"))
        return {"title": "a page"}

    async def run(self, consent: Consent, **confirm: str) -> list[str]:
        settings = ChatSettings(tools=True, confirm=confirm)  # type: ignore[arg-type]
        loop = run_tool_loop(self.ask, [USER], Toolbox(settings, self.post), consent, SystemClock())
        async for event in loop:
            self.events.append(event)
            if isinstance(event, ConsentRequested):
                self.asked.append(event)
                event.decide(allow=self.decision == "allow", always=True, rest=self.decision == "refuse-all")
        return [event.result.text for event in self.events if isinstance(event, ToolRan)]


def fetch(url: str) -> ToolCall:
    return ToolCall("web_fetch", {"url": url})


async def test_an_address_that_was_made_up_is_asked_about_though_the_tool_runs_always() -> None:
    rounds = Rounds(
        fetch("https://evil.example/?q=1"), fetch("docs.example.org"), fetch("https://evil.example/?q=2")
    )
    consent = Consent()
    await rounds.run(consent, web_fetch="always")
    assert [asked.address for asked in rounds.asked] == [
        "https://evil.example/?q=1",
        "https://evil.example/?q=2",
    ]
    assert len(rounds.posted) == 3
    assert consent.allowed == set(), "there is no always for addresses that are made up"


async def test_an_address_that_was_made_up_is_not_read_without_a_person_to_ask() -> None:
    rounds = Rounds(fetch("https://evil.example/?q=1"), fetch("https://example.com/a?b=1"))
    results = await rounds.run(Consent(asks=False), web_fetch="always")
    assert rounds.posted == ["https://example.com/a?b=1"]
    assert results[0] == MADE_UP


async def test_a_person_is_asked_a_few_times_in_a_round_and_hears_of_the_rest() -> None:
    calls = [ToolCall("web_search", {"query": str(place)}) for place in range(MOST_QUESTIONS + 3)]
    rounds = Rounds(*calls, decision="refuse")
    results = await rounds.run(Consent(), web_search="ask")
    assert len(rounds.asked) == MOST_QUESTIONS
    assert results == [REFUSED] * len(calls)
    assert [event.text for event in rounds.events if isinstance(event, Noted)] == [TOO_MANY_QUESTIONS]
    assert rounds.posted == []


async def test_a_person_refuses_a_whole_round_at_once() -> None:
    calls = [ToolCall("web_search", {"query": str(place)}) for place in range(3)]
    rounds = Rounds(*calls, decision="refuse-all")
    assert await rounds.run(Consent(), web_search="ask") == [REFUSED] * 3
    assert len(rounds.asked) == 1
    assert not [event for event in rounds.events if isinstance(event, Noted)]
