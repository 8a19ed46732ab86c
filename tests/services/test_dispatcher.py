"""One request: fail-over before the first output, none after it, and nothing sent to a blocked key."""

import asyncio
import json

import pytest

from okr_tui.chat.answer import PoolClient
from okr_tui.chat.messages import ChatEvent, Finished, Message
from okr_tui.cloud.client import Call
from okr_tui.cloud.dialects import Delta
from okr_tui.domain.errors import CloudError, NoKeyError, PoolBlockedError, SettingsError
from okr_tui.domain.faults import Fault, FaultKind, Scope
from okr_tui.domain.health import State
from okr_tui.domain.keys import fingerprint
from okr_tui.domain.records import Attempt, Trial, Use
from okr_tui.services.dispatcher import clamped
from tests.harness import MODEL, START, Harness, ask, logged, stream_answer
from tests.waiting import LIMIT, until


async def test_a_spent_key_is_replaced_before_the_caller_notices(harness: Harness) -> None:
    await harness.fault("session", account="amber")
    async with harness.open() as service:
        answer = await ask(service)
    assert [(hop.index, hop.fault.kind, hop.fault.window) for hop in answer.hops] == [
        (1, FaultKind.SPENT, "session")
    ]
    assert answer.index == 3
    assert await harness.sent() == [1, 3]


async def test_the_log_shows_the_switch(harness: Harness) -> None:
    await harness.fault("session", account="amber")
    async with harness.open() as service:
        await ask(service)
        attempts = await logged(service.pool, Attempt)
        keys = [key.fingerprint for key in service.pool.config.keys]
    assert [(a.fingerprint, a.outcome, a.next_fingerprint) for a in attempts] == [
        (keys[0], "fault", keys[2]),
        (keys[2], "ok", None),
    ]
    assert attempts[1].output_tokens
    assert attempts[1].first_byte_ms is not None


async def test_the_log_names_who_asked(harness: Harness) -> None:
    await harness.fault("session", account="amber")
    async with harness.open(client="gateway") as service:
        asking = PoolClient(service, "codex").chat(MODEL, [Message("user", "Hi")], conversation="one")
        assert [event async for event in asking]
    async with harness.open(client="cli") as service:
        records = [item.record for item in await service.pool.store.read()]
    found = [(record.client, record.caller) for record in records if isinstance(record, Attempt)]
    assert found == [("gateway", "codex")] * 2


async def test_a_known_spent_account_is_not_asked_again_with_any_of_its_keys(harness: Harness) -> None:
    async with harness.open() as service:
        await harness.fault("session", account="amber")
        for turn in range(3):
            await ask(service, conversation=f"{turn}")
    assert (await harness.sent()).count(1) == 1
    assert 2 not in await harness.sent()


async def test_a_restart_forgets_nothing(harness: Harness) -> None:
    await harness.fault("weekly", account="amber")
    async with harness.open() as service:
        await ask(service)
    async with harness.open() as service:
        assert service.snapshot.pool.keys[0].state is State.SPENT
        await ask(service, conversation="another")
    assert (await harness.sent()).count(1) == 1


async def test_a_key_comes_back_when_its_window_does(harness: Harness) -> None:
    await harness.fault("session", account="amber")
    async with harness.open() as service:
        await ask(service)
        await service.quota_poller.settle(LIMIT)  # the account that failed is read once more
        until = service.snapshot.pool.keys[0].verdict.until
        assert until is not None
        await harness.clock.advance(until - harness.clock.time() + 1)
        answer = await ask(service, conversation="new")
    assert answer.index == 1
    assert await harness.sent() == [1, 3, 1]


async def test_a_trial_that_was_killed_does_not_take_the_one_after_a_later_block(harness: Harness) -> None:
    await harness.fault("session", account="amber")
    async with harness.open() as service:
        await ask(service)
        await service.quota_poller.settle(LIMIT)
        key = service.snapshot.pool.keys[0]
        until = key.verdict.until
        assert until is not None
        await service.pool.append(Trial(at=until - 60, fingerprint=key.fingerprint, owner="killed"))
        await harness.clock.advance(until - harness.clock.time() + 1)
        async with asyncio.timeout(LIMIT):
            answer = await ask(service, conversation="new")
        trials = await logged(service.pool, Trial)
    assert answer.index == 1
    assert len(trials) == 2


async def test_all_keys_spent_is_reported_with_each_reason_and_the_first_return(harness: Harness) -> None:
    for account in ("amber", "birch", "cedar"):
        await harness.fault("session", account=account, times=None)
    async with harness.open() as service:
        with pytest.raises(PoolBlockedError, match=r"#1 5h spent.*#4 5h spent") as caught:
            await ask(service)
        assert caught.value.earliest == min(
            row.verdict.until for row in service.snapshot.pool.keys if row.verdict.until
        )
        before = await harness.sent()
        with pytest.raises(PoolBlockedError):
            await ask(service)
    assert await harness.sent() == before


@pytest.mark.parametrize("fault", ["stream-error", "stream-truncated", "stream-dropped"])
async def test_nothing_is_replayed_once_the_answer_has_begun(harness: Harness, fault: str) -> None:
    await harness.fault(fault, after=3)
    heard: list[ChatEvent] = []

    async def hear() -> None:
        async for event in stream_answer(service):
            heard.append(event)

    async with harness.open() as service:
        with pytest.raises(CloudError, match="cut off"):
            await hear()
        faults = service.snapshot.pool.keys[0].faults
    assert any(isinstance(event, Delta) for event in heard)
    assert faults == 1
    assert await harness.sent() == [1]


async def test_an_error_record_before_the_first_output_is_failed_over(harness: Harness) -> None:
    await harness.fault("session", in_stream=True, after=0)
    async with harness.open() as service:
        answer = await ask(service)
    assert await harness.sent() == [1, 3]
    assert answer.hops[0].fault.kind is FaultKind.SPENT


async def test_a_passing_fault_is_tried_once_more_on_the_same_key(harness: Harness) -> None:
    await harness.fault("bad-gateway")
    async with harness.open() as service:
        await ask(service)
    assert await harness.sent() == [1, 1]


async def test_a_lasting_fault_of_the_cloud_ends_after_three_sends(harness: Harness) -> None:
    await harness.fault("unavailable", times=None)
    async with harness.open() as service:
        with pytest.raises(CloudError, match=r"failed on #1 503 [^#]*; #3 503 [^#]*$"):
            await ask(service)
        assert service.snapshot.pool.outage is None
    assert await harness.sent() == [1, 1, 3]


async def test_one_prompt_that_breaks_the_cloud_blocks_no_key(harness: Harness) -> None:
    await harness.fault("unavailable", times=6)
    async with harness.open() as service:
        for _ in range(2):  # clients repeat what failed
            with pytest.raises(CloudError):
                await ask(service, "a prompt that breaks the cloud")
        pool = service.snapshot.pool
        assert all(row.verdict.eligible for row in pool.keys), [row.verdict for row in pool.keys]
        assert (await ask(service, "an honest question")).index == 1


async def test_a_short_outage_is_waited_out_by_one_request_that_tries(harness: Harness) -> None:
    await harness.fault("unavailable", times=4)
    async with harness.open() as service:
        with pytest.raises(CloudError):
            await ask(service, "one")
        waiting = []
        for text in ("two", "three", "four"):  # with the second that fails it is an outage
            waiting.append(asyncio.create_task(ask(service, text, conversation=text)))
            await until(lambda: harness.clock.sleeping >= len(waiting))
        await harness.clock.advance(5)
        assert not any(task.done() for task in waiting)
        await harness.clock.advance(6)
        await asyncio.gather(*waiting)
        attempts, tried = await logged(service.pool, Attempt), await logged(service.pool, Trial)
    assert await harness.sent() == [1, 1, 3, 1, 1, 1, 1]
    assert len(attempts) == 7
    assert len(tried) >= 1


async def test_a_longer_outage_is_reported_at_once(harness: Harness) -> None:
    await harness.fault("unavailable", times=None)
    async with harness.open() as service:
        with pytest.raises(CloudError):
            await ask(service, "one")
        patient = asyncio.create_task(ask(service, "two"))
        await until(lambda: harness.clock.sleeping)
        await harness.clock.advance(11)
        with pytest.raises(CloudError):
            await patient
        with pytest.raises(PoolBlockedError):
            await ask(service, "three")
        sent = await harness.sent()
        with pytest.raises(PoolBlockedError, match="does not answer"):
            await ask(service, "four")
    assert await harness.sent() == sent


@pytest.mark.parametrize("fault", ["connection-dropped", "edge-timeout", "unavailable-page"])
async def test_no_answer_and_pages_count_as_passing_faults(harness: Harness, fault: str) -> None:
    await harness.fault(fault)
    async with harness.open() as service:
        answer = await ask(service)
    assert answer.hops[0].fault.kind is FaultKind.TRANSIENT


@pytest.mark.parametrize("fault", ["context-too-long", "too-large", "bad-request", "model-not-found"])
async def test_the_callers_own_error_is_returned_and_no_key_pays_for_it(harness: Harness, fault: str) -> None:
    await harness.fault(fault)
    async with harness.open() as service:
        with pytest.raises(CloudError):
            await ask(service)
        assert service.snapshot.pool.keys[0].verdict.eligible
    assert await harness.sent() == [1]


async def test_a_missing_plan_blocks_the_pair_and_not_the_key(harness: Harness) -> None:
    await harness.fault("subscription-or-usage-credits", account="amber", times=None)
    async with harness.open() as service:
        answer = await ask(service)
        row = service.snapshot.pool.keys[0]
    assert answer.index == 3
    assert row.verdict.eligible
    assert row.blocked_models == ("gpt-oss:20b",)


async def test_a_refused_key_is_left_at_once_and_declared_invalid_when_confirmed(harness: Harness) -> None:
    await harness.change("amber", revoke=1)
    async with harness.open() as service:
        answer = await ask(service)
        assert "being confirmed" in service.snapshot.pool.keys[0].verdict.reason
        await harness.clock.advance(2)
        await service.quota_poller.settle(LIMIT)
        row = service.snapshot.pool.keys[0]
    assert answer.index != 1
    assert row.state is State.INVALID
    assert "being confirmed" not in row.verdict.reason


async def test_a_refusal_that_is_not_confirmed_leaves_the_key_good(harness: Harness) -> None:
    await harness.fault("unauthorized", path="/api/chat")
    async with harness.open() as service:
        await ask(service)
        await harness.clock.advance(2)
        await service.quota_poller.settle(LIMIT)
        assert service.snapshot.pool.keys[0].verdict.eligible


async def test_leaving_an_answer_is_not_a_fault(harness: Harness) -> None:
    async with harness.open() as service:
        answering = PoolClient(service).chat("gpt-oss:20b", [], conversation="left")
        async for event in answering:
            if isinstance(event, Delta):
                break
        await answering.aclose()
        row = service.snapshot.pool.keys[0]
    async with harness.open() as service:  # the first has written all it had to
        records = [item.record for item in await service.pool.store.read()]
    assert [record.outcome for record in records if isinstance(record, Attempt)] == ["cancelled"]
    assert row.faults == 0
    assert row.in_flight == 0


async def test_a_conversation_stays_on_its_account(harness: Harness) -> None:
    async with harness.open() as service:
        await ask(service, conversation="long")
        await service.use_key(3)
        await ask(service, conversation="long")
        await ask(service, conversation="fresh")
    assert await harness.sent() == [1, 1, 3]


async def test_a_request_continues_until_it_meets_a_good_key(harness: Harness) -> None:
    """Each dead key costs one send, however few sends the policy allows for what may pass."""
    for account in ("amber", "birch"):
        await harness.fault("session", account=account, times=None)
    harness.write_settings(policy={"sends": 1})
    async with harness.open() as service:
        assert (await ask(service)).index == 4
    assert await harness.sent() == [1, 3, 4]


async def test_an_account_without_a_free_slot_does_not_count_against_the_sends(harness: Harness) -> None:
    await harness.fault("concurrency", account="amber")
    harness.write_settings(policy={"sends": 1})
    async with harness.open() as service:
        assert (await ask(service)).index == 3


async def pass_time(harness: Harness, task: asyncio.Task[Finished], longest: float) -> float:
    """Let time pass in steps until the request has ended; return how many seconds that took."""
    waited = 0.0
    while not task.done() and waited < longest:
        await until(lambda: task.done() or harness.clock.sleeping)
        await harness.clock.advance(0.5)
        waited += 0.5
    return waited


async def test_no_slot_anywhere_is_asked_for_a_few_times_and_for_a_minute(harness: Harness) -> None:
    """Three accounts: once each, then after 1, 2, 4 and 8 s; no more until a slot of ours ends."""
    await harness.fault("concurrency", times=None)
    async with harness.open() as service:
        asking = asyncio.create_task(ask(service))
        waited = await pass_time(harness, asking, 100)
        with pytest.raises(CloudError) as caught:
            await asking
    sent = await harness.sent()
    assert set(sent[:3]) == {1, 3, 4}
    assert len(sent) == 3 + 4
    assert 55 <= waited <= 65
    assert [str(caught.value).count(f"#{number} ") for number in (1, 3, 4)] == [1, 1, 1]


async def test_a_slot_that_becomes_free_is_taken_by_a_waiting_request(harness: Harness) -> None:
    async with harness.open() as service:
        held = stream_answer(service, "a long story", conversation="held")
        await anext(held)
        await harness.fault("concurrency", times=3)
        asking = asyncio.create_task(ask(service, "me too", conversation="two"))
        while len(await harness.sent()) < 4 or not harness.clock.sleeping:  # noqa: ASYNC110 the loop has to run
            await asyncio.sleep(0)
        before = len(await harness.sent())
        await held.aclose()
        await asyncio.wait_for(asking, LIMIT)
        assert len(await harness.sent()) == before + 1


@pytest.mark.parametrize(("longest", "sends"), [(30, 2), (100, 3)])
async def test_a_request_that_has_taken_too_long_is_not_sent_again(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, longest: float, sends: int
) -> None:
    await harness.fault("unavailable", times=None)
    harness.write_settings(policy={"request_longest": longest, "retry_same": [40, 40]})
    async with harness.open() as service:
        monkeypatch.setattr(harness.clock, "sleep", harness.clock.advance)
        with pytest.raises(CloudError, match="503"):
            await ask(service)
    assert len(await harness.sent()) == sends


async def test_a_key_found_blocked_while_a_slot_was_asked_for_is_not_used(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with harness.open() as service:
        first, now = service.pool.config.keys[0].fingerprint, harness.clock.time()
        refused = Fault(FaultKind.FORBIDDEN, Scope.ACCOUNT, "suspended", 403)
        another = Attempt(
            at=now,
            started=now,
            client="cli",
            fingerprint=first,
            path="/api/chat",
            outcome="fault",
            fault=refused,
        )

        async def learning(account: str, request: str, fingerprint: str) -> bool:
            del request, fingerprint
            if account == service.pool.state.account_of(first):
                await service.pool.append(another)
            return True

        monkeypatch.setattr(service.dispatcher._slots, "take", learning)
        assert (await ask(service)).index == 3
    assert await harness.sent() == [3]


async def test_after_a_spent_key_requests_move_to_the_next_one_by_one(harness: Harness) -> None:
    await harness.fault("session", account="amber")
    harness.write_settings(policy={"ramp_step": 5})
    async with harness.open() as service:
        assert (await ask(service)).index == 3
        waiting = [asyncio.create_task(ask(service, conversation=name)) for name in ("two", "three")]
        for left in (2, 1):
            while service.dispatcher.admission.waiting != left:
                assert not all(task.done() for task in waiting), "nobody waited"
                await asyncio.sleep(0)
            assert len(await harness.sent()) <= 4 - left
            await harness.clock.advance(5)
        await asyncio.gather(*waiting)
    assert len(await harness.sent()) == 4


@pytest.mark.parametrize("jump", [-30 * 86400, -3600, -60, 60, 86400])
async def test_a_clock_that_is_set_freezes_no_request(harness: Harness, jump: float) -> None:
    await harness.fault("session", account="amber")
    harness.write_settings(policy={"ramp_step": 0.25})
    async with harness.open() as service:
        assert (await ask(service)).index == 3
        harness.clock.wrong_by = jump
        await harness.clock.advance(1)
        assert (await asyncio.wait_for(ask(service, conversation="two"), LIMIT)).index in (1, 3)


def answered(now: float) -> Attempt:
    """A request with a key of another process that went well."""
    key = fingerprint("another")
    return Attempt(at=now, started=now, client="cli", fingerprint=key, path="/api/chat", outcome="ok")


async def test_news_of_other_processes_does_not_cost_a_request_its_own_slot(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.write_settings(apiKeys=[harness.cloud.keys[0][0]], policy={"slots": {"pro": 1}})
    async with harness.open() as service:
        assert service.snapshot.pool.keys[0].slots == 1

        async def news() -> None:
            await service.pool.append(answered(harness.clock.time()))

        monkeypatch.setattr(service.pool, "catch_up", news)
        assert (await asyncio.wait_for(ask(service), LIMIT)).index == 1


async def test_conversations_are_forgotten_once_they_are_idle(harness: Harness) -> None:
    harness.write_settings(policy={"conversation_idle": 60})
    async with harness.open() as service:
        remembered = service.dispatcher._conversations
        for name in ("one", "two"):
            await ask(service, conversation=name)
        assert set(remembered) == {"one", "two"}
        await harness.clock.advance(61)
        await ask(service, conversation="three")
        assert set(remembered) == {"three"}


async def test_no_key_text_reaches_the_log(harness: Harness) -> None:
    text = harness.cloud.keys[0][0]
    await harness.change("amber", revoke=1)
    async with harness.open() as service:
        await ask(service)
        await harness.clock.advance(2)
        await service.quota_poller.settle(LIMIT)
    stored = b"".join(path.read_bytes() for path in harness.home.glob("log.db*"))
    assert stored
    assert text.encode() not in stored
    assert b"example.com" not in stored


async def test_a_slot_limited_account_hands_over_without_being_marked_unwell(harness: Harness) -> None:
    await harness.fault("concurrency", account="amber")
    async with harness.open() as service:
        answer = await ask(service)
        row = service.snapshot.pool.keys[0]
    assert isinstance(answer, Finished)
    assert answer.index == 3
    assert row.state is State.BUSY
    assert row.slots == 1


async def test_an_output_limit_is_lowered_once_and_remembered(harness: Harness) -> None:
    body = json.dumps({"model": MODEL, "messages": [], "options": {"num_predict": 1_048_576}}).encode()
    call = Call("/api/chat", body, MODEL)
    await harness.fault("max-tokens")
    async with harness.open() as service:
        for _ in range(2):
            async with service.dispatcher.send(call, "cli") as exchange:
                async for _ in exchange:
                    pass
        assert service.pool.state.model(MODEL).max_output == 65536
        assert service.snapshot.pool.keys[0].faults == 0
    assert await harness.sent() == [1, 1, 1]


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


async def test_a_request_is_shown_while_it_runs_with_its_key_and_then_no_more(harness: Harness) -> None:
    await harness.fault("session", account="amber")
    async with harness.open() as service:
        events = stream_answer(service)
        async for event in events:
            if isinstance(event, Delta) and event.content:
                break
        (running,) = service.snapshot.running
        assert (running.sender, running.model, running.key, running.since) == ("cli", MODEL, 3, START)
        assert running.tokens >= 1
        assert running.first_at is not None
        hop = next(line for line in service.snapshot.entries if line.is_fault)
        assert hop.trace == running.trace
        async for _ in events:
            pass
        assert service.snapshot.running == ()
        answered = [line for line in service.snapshot.entries if line.trace][-1]
        assert (answered.trace, answered.key) == (running.trace, 3)


async def test_a_request_that_is_refused_runs_no_more(harness: Harness) -> None:
    await harness.fault("bad-request", times=None)
    async with harness.open() as service:
        with pytest.raises(CloudError):
            await ask(service)
        assert service.snapshot.running == ()


async def test_a_single_send_needs_no_trace_in_the_log(harness: Harness) -> None:
    async with harness.open() as service:
        await ask(service)
        (attempt,) = await logged(service.pool, Attempt)
    assert (attempt.trace, attempt.begun) == (None, None)


async def test_a_cut_in_the_middle_is_distinguished_from_one_before_the_first_word(harness: Harness) -> None:
    await harness.fault("stream-dropped")
    async with harness.open() as service:
        with pytest.raises(CloudError):
            await ask(service)
        line = service.snapshot.entries[-1]
    assert line.tone == "fault"
    assert line.text.endswith("in the middle of the answer → the caller has a part of it")


async def test_without_keys_a_request_says_how_to_add_one(harness: Harness) -> None:
    harness.write_settings(apiKeys=[])
    async with harness.open() as service:
        with pytest.raises(NoKeyError, match="okr-tui add-key"):
            await ask(service)
    assert await harness.sent() == []


async def test_with_a_refused_cloud_url_nothing_is_sent(harness: Harness) -> None:
    harness.write_settings(cloudUrl="ftp://cloud.example")
    async with harness.open() as service:
        with pytest.raises(SettingsError, match="no usable cloud; "):
            await ask(service)
        assert service.snapshot.running == ()
    assert await harness.sent() == []


async def test_a_log_of_the_future_has_the_clock_compared_once(harness: Harness) -> None:
    async with harness.open() as service:
        key = service.pool.config.keys[0].fingerprint
        await service.pool.append(Use(at=harness.clock.time() + 3600, fingerprint=key))
        lists = [await harness.sent("/api/tags")]
        for turn in ("one", "two"):
            await ask(service, conversation=turn)
            lists.append(await harness.sent("/api/tags"))
    assert [len(found) - len(lists[0]) for found in lists] == [0, 1, 1]


async def test_a_key_that_was_asked_to_slow_down_may_be_used_again_by_its_request(harness: Harness) -> None:
    await harness.fault("rate-limit", account="amber")
    for account in ("birch", "cedar"):
        await harness.fault("session", account=account)
    harness.write_settings(policy={"slowed_longest": 5})
    async with harness.open() as service:
        asking = asyncio.create_task(ask(service))
        waited = await pass_time(harness, asking, 20)
        assert (await asking).index == 1
    assert await harness.sent() == [1, 3, 4, 1]
    assert 5 <= waited <= 6


async def test_a_slot_that_another_machine_took_is_asked_for_again(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [False, False, True]

    async def take(account: str, request: str, fingerprint: str) -> bool:
        del account, request, fingerprint
        return answers.pop(0)

    async with harness.open() as service:
        monkeypatch.setattr(service.dispatcher._slots, "take", take)
        await ask(service)
        assert +service.pool.in_flight == {}
    assert (answers, await harness.sent()) == ([], [1])


async def test_a_request_that_ends_while_it_asks_for_a_slot_holds_none(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def take(account: str, request: str, fingerprint: str) -> bool:
        del account, request, fingerprint
        raise asyncio.CancelledError

    async with harness.open() as service:
        monkeypatch.setattr(service.dispatcher._slots, "take", take)
        with pytest.raises(asyncio.CancelledError):
            await ask(service)
        assert +service.pool.in_flight == {}
        assert service.snapshot.running == ()


async def test_a_slot_lost_to_another_machine_costs_no_longer_wait(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cloud has no slot on three accounts; what it waits then is 1 s twice, not 1 s and 2 s."""
    asked = 0

    async def take(account: str, request: str, fingerprint: str) -> bool:
        del account, request, fingerprint
        nonlocal asked
        asked += 1
        return asked != 4

    await harness.fault("concurrency", times=3)
    async with harness.open() as service:
        monkeypatch.setattr(service.dispatcher._slots, "take", take)
        asking = asyncio.create_task(ask(service))
        waited = await pass_time(harness, asking, 30)
        await asking
        assert +service.pool.in_flight == {}
    assert len(await harness.sent()) == 4
    assert 2 <= waited <= 2.5


async def test_news_while_a_busy_account_is_asked_again_does_not_stop_the_request(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.fault("concurrency", times=3)
    async with harness.open() as service:

        async def news() -> None:
            await service.pool.append(answered(harness.clock.time()))

        monkeypatch.setattr(service.pool, "catch_up", news)
        asking = asyncio.create_task(ask(service))
        waited = await pass_time(harness, asking, 30)
        await asking
    assert len(await harness.sent()) == 4
    assert waited <= 1.5


async def test_a_request_of_no_conversation_is_not_remembered(harness: Harness) -> None:
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}).encode()
    async with harness.open() as service:
        async with service.dispatcher.send(Call("/api/chat", body, MODEL), "cli") as exchange:
            async for _ in exchange:
                pass
        assert service.dispatcher._conversations == {}


async def test_a_request_that_is_cancelled_before_its_answer_begins_gives_everything_back(
    harness: Harness,
) -> None:
    await harness.fault("hang")
    async with harness.open() as service:
        asking = asyncio.create_task(ask(service))
        await until(lambda: service.snapshot.running and service.snapshot.running[0].key)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert +service.pool.in_flight == {}
        assert service.snapshot.running == ()
