"""Malformed and ambiguous requests: each means one thing or is refused, and harms no other."""

import asyncio
import re

import pytest
from starlette.requests import Request

from tests.gateway.abuse import Case, probe, question
from tests.gateway.abuse_connections import CONNECTIONS
from tests.gateway.abuse_framing import FRAMING
from tests.gateway.abuse_heads import HEADS
from tests.gateway.stage import Stage
from tests.gateway.wire import Answer, Wire, wired

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES = {**FRAMING, **HEADS, **CONNECTIONS}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_it_means_one_thing_or_is_refused(
    stage: Stage, case: Case, request: pytest.FixtureRequest
) -> None:
    if case.silent:
        request.getfixturevalue("impatient")
    async with wired(stage.gateway) as wire:
        answered = await carried_out(wire, case)
    assert answered >= case.least
    await stage.quiet()
    assert stage.cloud.bodies == [question(word) for word in case.words[:answered] if word]
    for passed in stage.cloud.heard:
        judge(passed, case)


async def carried_out(wire: Wire, case: Case) -> int:
    """How many words are answered; the rest is refused, and the connection left as it has to be."""
    writing = asyncio.create_task(wire.write(case.sent))
    answered = 0
    answer: Answer | None = None
    for place, word in enumerate(case.words):
        answer = await wire.answer(bodiless=case.sent.startswith(b"HEAD") and not place)
        if answer is None or answer.status != 200:
            break
        assert not word or answer.json()["message"]["content"] == word
        assert b" HTTP/1.0\r\n" not in case.sent or "transfer-encoding" not in answer.headers
        answered += 1
    await writing
    whole = answered == len(case.words)
    goes_on = whole and case.tail in ("kept", "either")
    refusal = answer if not whole else None if goes_on else await wire.answer()
    if refusal is not None:
        assert case.tail != "ended" or not whole
        assert 400 <= refusal.status < 600
        assert refusal.status != 500
    if goes_on or (whole and case.tail == "declined"):
        await wire.write(probe(b"connection: close"))
        last = await wire.answer()
        if last is not None and not (case.tail == "either" and last.status == 400):
            assert (last.status, last.json()) == (200, {"status": "ok"})
    assert await wire.answer() is None
    return answered


def judge(passed: Request, case: Case) -> None:
    """Whether the cloud was asked what the caller meant, apart from the body."""
    assert (passed.method, passed.scope["raw_path"]) == ("POST", b"/api/chat")
    assert passed.scope["query_string"] == case.query
    odd = b", ".join(value for name, value in passed.headers.raw if name == b"x-odd")
    assert odd in (b"", case.odd, re.sub(rb"[\x00-\x1f\x7f]", b" ", case.odd or b""))
    assert not re.search(rb"[\x00\r\n]", odd)
