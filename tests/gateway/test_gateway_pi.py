"""What pi is told when no key can take its turn, so that it does not send it again."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.errors import NoKeyError, PoolBlockedError
from okr_tui.gateway.errors import CLIENT_HEADER, PI, Failure, failure_of, for_client
from tests.gateway.running_gateway import RunningGateway, ScriptedCloud, events, scripted_gateway, stream
from tests.harness import Harness

# What makes pi 0.73 send the whole turn again; it looks for it in the status and the text together.
REPEATED = re.compile(
    r"overloaded|provider.?returned.?error|rate.?limit|too many requests|429|500|502|503|504|"
    r"service.?unavailable|server.?error|internal.?error|network.?error|connection.?error|connection.?refused|"
    r"connection.?lost|websocket.?closed|websocket.?error|other side closed|fetch failed|upstream.?connect|"
    r"reset before headers|socket hang up|ended without|http2 request did not get a response|timed? out|"
    r"timeout|terminated|retry delay",
    re.IGNORECASE,
)
MONTHS = 100 * 86400
CHAT = "/v1/chat/completions"


def reported(failure: Failure) -> str:
    """What pi makes of a failure."""
    return f"{failure.status} {failure.text}"


@given(st.integers(0, MONTHS), st.sampled_from(["rate limited", "the model is overloaded", "5h spent"]))
def test_nothing_in_spent_quota_makes_pi_ask_again(wait: int, reason: str) -> None:
    error = PoolBlockedError(f"no key can take this request: #1 {reason}", wait, frozenset({"spent"}))
    plain = failure_of(error, 0.0)
    failure = for_client(plain, PI)
    assert not REPEATED.search(reported(failure))
    assert failure.headers == plain.headers
    assert failure.text.startswith("insufficient_quota: ")


@pytest.mark.parametrize(
    "error",
    [
        NoKeyError("no key is configured"),
        PoolBlockedError("#1 401 Unauthorized", None, frozenset({"invalid"})),
    ],
)
def test_a_pool_without_a_good_key_is_not_asked_again(error: NoKeyError | PoolBlockedError) -> None:
    failure = for_client(failure_of(error, 0.0), PI)
    assert not REPEATED.search(reported(failure))
    assert str(error) in failure.text


def test_what_passes_by_itself_may_be_asked_again() -> None:
    outage = failure_of(PoolBlockedError("no answer", 9.0, frozenset({"outage"})), 0.0)
    assert for_client(outage, PI) == outage


@pytest.mark.parametrize("client", [None, "", "curl"])
def test_other_clients_get_the_states(client: str | None) -> None:
    failure = failure_of(PoolBlockedError("no key", 9.0, frozenset({"spent"})), 0.0)
    assert for_client(failure, client) == failure


async def test_the_header_says_who_asks_and_goes_no_further(harness: Harness) -> None:
    ending = events({"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}, done=True)
    cloud = ScriptedCloud(stream(*ending))
    async with scripted_gateway(harness, cloud) as gateway:
        await gateway.client.post(CHAT, json={"model": "m", "messages": []}, headers={CLIENT_HEADER: PI})
    assert CLIENT_HEADER not in cloud.requests[0].headers


async def test_the_header_changes_the_answer(harness: Harness, gateway: RunningGateway) -> None:
    for account in ("amber", "birch", "cedar"):
        await harness.fault("session", account=account, times=None, path=CHAT)
    answers = [
        (await gateway.client.post(CHAT, json={"model": "gpt-oss:20b", "messages": []}, headers=headers))
        for headers in ({}, {CLIENT_HEADER: PI})
    ]
    assert [response.status_code for response in answers] == [402, 402]
    assert "#1" in answers[0].text
    assert "#1" not in answers[1].text
