"""Malformed and ambiguous requests: each means one thing or is refused, and harms no other."""

import asyncio
import re

import pytest
from starlette.requests import Request

from tests.gateway.abuse import Case, probe, question
from tests.gateway.abuse_connections import CONNECTIONS
from tests.gateway.abuse_framing import FRAMING
from tests.gateway.abuse_heads import HEADS
from tests.gateway.raw_connection import RawConnection, RawResponse, connect
from tests.gateway.shared_gateway import SharedGateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES = {**FRAMING, **HEADS, **CONNECTIONS}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_it_means_one_thing_or_is_refused(
    shared: SharedGateway, case: Case, request: pytest.FixtureRequest
) -> None:
    if case.silent:
        request.getfixturevalue("impatient")
    async with connect(shared.gateway) as connection:
        answered = await carried_out(connection, case)
    assert answered >= case.least
    await shared.wait_idle()
    assert shared.cloud.bodies == [question(word) for word in case.words[:answered] if word]
    for passed in shared.cloud.requests:
        judge(passed, case)


async def carried_out(connection: RawConnection, case: Case) -> int:
    """How many words are answered; the rest is refused, and the connection left as it has to be."""
    writing = asyncio.create_task(connection.write(case.sent))
    answered = 0
    answer: RawResponse | None = None
    for index, word in enumerate(case.words):
        answer = await connection.response(bodiless=case.sent.startswith(b"HEAD") and not index)
        if answer is None or answer.status != 200:
            break
        assert not word or answer.json()["message"]["content"] == word
        assert b" HTTP/1.0\r\n" not in case.sent or "transfer-encoding" not in answer.headers
        answered += 1
    await writing
    whole = answered == len(case.words)
    goes_on = whole and case.tail in ("kept", "either")
    refusal = answer if not whole else None if goes_on else await connection.response()
    if refusal is not None:
        assert case.tail != "ended" or not whole
        assert 400 <= refusal.status < 600
        assert refusal.status != 500
    if goes_on or (whole and case.tail == "declined"):
        await connection.write(probe(b"connection: close"))
        last = await connection.response()
        if last is not None and not (case.tail == "either" and last.status == 400):
            assert (last.status, last.json()) == (200, {"status": "ok"})
    assert await connection.response() is None
    return answered


def judge(passed: Request, case: Case) -> None:
    """Whether the cloud was asked what the caller meant, apart from the body."""
    assert (passed.method, passed.scope["raw_path"]) == ("POST", b"/api/chat")
    assert passed.scope["query_string"] == case.query
    odd = b", ".join(value for name, value in passed.headers.raw if name == b"x-client-request-id")
    assert odd in (b"", case.odd, re.sub(rb"[\x00-\x1f\x7f]", b" ", case.odd or b""))
    assert not re.search(rb"[\x00\r\n]", odd)
