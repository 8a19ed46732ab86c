"""One request: fail-over before the first output, none after it, and nothing sent to a blocked key."""

import asyncio
import json

import pytest

from okr_tui.chat.answer import PoolClient
from okr_tui.chat.messages import ChatEvent, Finished
from okr_tui.cloud.client import Call
from okr_tui.cloud.dialects import Delta
from okr_tui.domain.errors import CloudError, PoolBlockedError
from okr_tui.domain.faults import FaultKind
from okr_tui.domain.health import State
from okr_tui.domain.records import Attempt, Trial
from okr_tui.services.dispatcher import clamped
from tests.house import MODEL, House, ask, asking


async def test_a_spent_key_is_replaced_before_the_caller_notices(house: House) -> None:
    await house.fault("session", account="amber")
    async with house.open() as service:
        answer = await ask(service)
    assert [(hop.index, hop.fault.kind, hop.fault.window) for hop in answer.hops] == [
        (1, FaultKind.SPENT, "session")
    ]
    assert answer.index == 3
    assert await house.sent() == [1, 3]


async def test_the_log_tells_the_switch(house: House) -> None:
    await house.fault("session", account="amber")
    async with house.open() as service:
        await ask(service)
        records = [item.record for item in await service.pool.store.read()]
        attempts = [record for record in records if isinstance(record, Attempt)]
        keys = [key.fingerprint for key in service.pool.config.keys]
    assert [(a.fingerprint, a.outcome, a.next_fingerprint) for a in attempts] == [
        (keys[0], "fault", keys[2]),
        (keys[2], "ok", None),
    ]
    assert attempts[1].output_tokens
    assert attempts[1].first_byte_ms is not None


async def test_a_known_spent_account_is_not_asked_again_with_any_of_its_keys(house: House) -> None:
    async with house.open() as service:
        await house.fault("session", account="amber")
        for turn in range(3):
            await ask(service, conversation=f"{turn}")
    assert (await house.sent()).count(1) == 1
    assert 2 not in await house.sent()


async def test_a_restart_forgets_nothing(house: House) -> None:
    await house.fault("weekly", account="amber")
    async with house.open() as service:
        await ask(service)
    async with house.open() as service:
        assert service.snapshot.pool.keys[0].state is State.SPENT
        await ask(service, conversation="another")
    assert (await house.sent()).count(1) == 1


async def test_a_key_comes_back_when_its_window_does(house: House) -> None:
    await house.fault("session", account="amber")
    async with house.open() as service:
        await ask(service)
        until = service.snapshot.pool.keys[0].verdict.until
        assert until is not None
        await house.clock.advance(until - house.clock.time() + 1)
        answer = await ask(service, conversation="new")
    assert answer.index == 1
    assert await house.sent() == [1, 3, 1]


async def test_all_keys_spent_is_said_with_each_reason_and_the_first_return(house: House) -> None:
    for account in ("amber", "birch", "cedar"):
        await house.fault("session", account=account, times=None)
    async with house.open() as service:
        with pytest.raises(PoolBlockedError, match=r"#1 5h spent.*#4 5h spent") as caught:
            await ask(service)
        assert caught.value.earliest == min(
            row.verdict.until for row in service.snapshot.pool.keys if row.verdict.until
        )
        before = await house.sent()
        with pytest.raises(PoolBlockedError):
            await ask(service)
    assert await house.sent() == before


@pytest.mark.parametrize("fault", ["stream-error", "stream-truncated", "stream-dropped"])
async def test_nothing_is_replayed_once_the_answer_has_begun(house: House, fault: str) -> None:
    await house.fault(fault, after=3)
    heard: list[ChatEvent] = []

    async def hear() -> None:
        async for event in asking(service):
            heard.append(event)

    async with house.open() as service:
        with pytest.raises(CloudError, match="cut off"):
            await hear()
        faults = service.snapshot.pool.keys[0].faults
    assert any(isinstance(event, Delta) for event in heard)
    assert faults == 1
    assert await house.sent() == [1]


async def test_an_error_record_before_the_first_output_is_failed_over(house: House) -> None:
    await house.fault("session", in_stream=True, after=0)
    async with house.open() as service:
        answer = await ask(service)
    assert await house.sent() == [1, 3]
    assert answer.hops[0].fault.kind is FaultKind.SPENT


async def test_a_passing_fault_is_tried_once_more_on_the_same_key(house: House) -> None:
    await house.fault("bad-gateway")
    async with house.open() as service:
        await ask(service)
    assert await house.sent() == [1, 1]


async def test_a_lasting_fault_of_the_cloud_ends_after_three_sends(house: House) -> None:
    await house.fault("unavailable", times=None)
    async with house.open() as service:
        with pytest.raises(CloudError, match=r"failed on #1 503 .*; #1 503 .*; #3 503"):
            await ask(service)
        assert service.snapshot.pool.outage
    assert await house.sent() == [1, 1, 3]


async def test_a_short_outage_is_waited_out_by_one_request_that_tries(house: House) -> None:
    await house.fault("unavailable", times=3)
    async with house.open() as service:
        with pytest.raises(CloudError):
            await ask(service)
        waiting = [asyncio.create_task(ask(service, conversation=f"{turn}")) for turn in range(3)]
        while house.clock.sleeping < 3:  # noqa: ASYNC110 the loop has to run
            await asyncio.sleep(0)
        await house.clock.advance(5)
        assert not any(task.done() for task in waiting)
        await house.clock.advance(6)
        await asyncio.gather(*waiting)
        records = [item.record for item in await service.pool.store.read()]
    tried = [record for record in records if isinstance(record, Trial)]
    assert await house.sent() == [1, 1, 3, 1, 1, 1]
    assert len([record for record in records if isinstance(record, Attempt)]) == 6
    assert len(tried) >= 1


async def test_a_longer_outage_is_said_at_once(house: House) -> None:
    await house.fault("unavailable", times=None)
    async with house.open() as service:
        with pytest.raises(CloudError):
            await ask(service)
        await house.clock.advance(11)
        with pytest.raises(PoolBlockedError):
            await ask(service)
        sent = await house.sent()
        with pytest.raises(PoolBlockedError, match="does not answer"):
            await ask(service)
    assert await house.sent() == sent == [1, 1, 3, 1]


@pytest.mark.parametrize("fault", ["connection-dropped", "edge-timeout", "unavailable-page"])
async def test_no_answer_and_pages_count_as_passing_faults(house: House, fault: str) -> None:
    await house.fault(fault)
    async with house.open() as service:
        answer = await ask(service)
    assert answer.hops[0].fault.kind is FaultKind.TRANSIENT


@pytest.mark.parametrize("fault", ["context-too-long", "too-large", "bad-request", "model-not-found"])
async def test_the_callers_own_error_is_returned_and_no_key_pays_for_it(house: House, fault: str) -> None:
    await house.fault(fault)
    async with house.open() as service:
        with pytest.raises(CloudError):
            await ask(service)
        assert service.snapshot.pool.keys[0].verdict.eligible
    assert await house.sent() == [1]


async def test_a_missing_plan_blocks_the_pair_and_not_the_key(house: House) -> None:
    await house.fault("subscription-or-usage-credits", account="amber", times=None)
    async with house.open() as service:
        answer = await ask(service)
        row = service.snapshot.pool.keys[0]
    assert answer.index == 3
    assert row.verdict.eligible
    assert row.blocked_models == ("gpt-oss:20b",)


async def test_a_refused_key_is_left_at_once_and_declared_invalid_when_confirmed(house: House) -> None:
    await house.change("amber", revoke=1)
    async with house.open() as service:
        answer = await ask(service)
        assert "being confirmed" in service.snapshot.pool.keys[0].verdict.reason
        await house.clock.advance(2)
        await service.quota_poller.settle(5)
        row = service.snapshot.pool.keys[0]
    assert answer.index != 1
    assert row.state is State.INVALID
    assert "being confirmed" not in row.verdict.reason


async def test_a_refusal_that_is_not_confirmed_leaves_the_key_good(house: House) -> None:
    await house.fault("unauthorized", path="/api/chat")
    async with house.open() as service:
        await ask(service)
        await house.clock.advance(2)
        await service.quota_poller.settle(5)
        assert service.snapshot.pool.keys[0].verdict.eligible


async def test_leaving_an_answer_is_no_fault(house: House) -> None:
    async with house.open() as service:
        answering = PoolClient(service).chat("gpt-oss:20b", [], conversation="left")
        async for event in answering:
            if isinstance(event, Delta):
                break
        await answering.aclose()
        records = [item.record for item in await service.pool.store.read()]
        row = service.snapshot.pool.keys[0]
    assert [record.outcome for record in records if isinstance(record, Attempt)] == ["cancelled"]
    assert row.faults == 0
    assert row.in_flight == 0


async def test_a_conversation_stays_on_its_account(house: House) -> None:
    async with house.open() as service:
        await ask(service, conversation="long")
        await service.use_key(3)
        await ask(service, conversation="long")
        await ask(service, conversation="fresh")
    assert await house.sent() == [1, 1, 3]


async def test_no_key_text_reaches_the_log(house: House) -> None:
    text = house.cloud.keys[0][0]
    await house.change("amber", revoke=1)
    async with house.open() as service:
        await ask(service)
        await house.clock.advance(2)
        await service.quota_poller.settle(5)
    stored = b"".join(path.read_bytes() for path in house.home.glob("log.db*"))
    assert stored
    assert text.encode() not in stored
    assert b"example.com" not in stored


async def test_a_slot_limited_account_hands_over_without_being_marked_unwell(house: House) -> None:
    await house.fault("concurrency", account="amber")
    async with house.open() as service:
        answer = await ask(service)
        row = service.snapshot.pool.keys[0]
    assert isinstance(answer, Finished)
    assert answer.index == 3
    assert row.state is State.BUSY
    assert row.slots == 1


async def test_an_output_limit_is_lowered_once_and_remembered(house: House) -> None:
    body = json.dumps({"model": MODEL, "messages": [], "options": {"num_predict": 1_048_576}}).encode()
    call = Call("/api/chat", body, MODEL)
    await house.fault("max-tokens")
    async with house.open() as service:
        for _ in range(2):
            async with service.dispatcher.send(call, "cli") as exchange:
                async for _ in exchange:
                    pass
        assert service.pool.state.model(MODEL).max_output == 65536
        assert service.snapshot.pool.keys[0].faults == 0
    assert await house.sent() == [1, 1, 1]


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (b'{"max_tokens": 9}', b'{"max_tokens": 5}'),
        (
            '{"options": {"num_predict": 9}, "x": "é"}'.encode(),
            rb'{"options": {"num_predict": 5}, "x": "\u00e9"}',
        ),
        (b'{"max_tokens":   3}', b'{"max_tokens":   3}'),
        (b"not json", b"not json"),
        (b"[1]", b"[1]"),
    ],
)
def test_only_a_limit_that_is_too_high_changes_a_body(asked: bytes, sent: bytes) -> None:
    assert clamped(Call("/v1/chat/completions", asked), 5).body == sent
