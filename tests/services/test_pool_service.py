"""The service as a whole: choosing a key, outside edits, several processes, what survives a failure."""

import json
from collections import Counter
from itertools import count

import httpx
import pytest

from okr_tui.domain.errors import NoKeyError, OkrError, StoreError
from okr_tui.domain.health import State
from okr_tui.domain.keys import fingerprint, mask
from okr_tui.services.background import TRY_AGAIN
from okr_tui.services.pool_service import PoolService
from okr_tui.services.quota_poller import LEASE, QuotaPoller
from okr_tui.settings.layers import Sources
from tests.harness import Harness, ask, wait_for
from tests.waiting import LIMIT, let_pass


async def test_a_chosen_key_is_written_and_survives_a_restart(harness: Harness) -> None:
    before = json.loads(harness.settings_file.read_text())
    async with harness.open() as service:
        said = await service.use_key(3)
        assert service.snapshot.pool.active == 3
    assert str(harness.settings_file) in said
    before["pi-ollama"]["activeKeyIndex"] = 2
    before["okr-tui"] |= {
        "activeKeyFingerprint": fingerprint(harness.cloud.keys[2][0]),
        "activeKeyFingerprintIndex": 2,
    }
    assert harness.settings_file.read_text() == json.dumps(before, indent=2)
    async with harness.open() as service:
        assert service.snapshot.pool.preferred == 3


async def test_rotating_passes_over_keys_known_to_be_blocked(harness: Harness) -> None:
    await harness.fault("session", account="birch")
    async with harness.open() as service:
        await service.use_key(3)
        await ask(service)
        await service.use_key(2)
        await service.rotate()
        assert service.snapshot.pool.preferred == 4


async def test_a_key_out_of_range_is_refused_and_nothing_is_written(harness: Harness) -> None:
    before = harness.settings_file.read_bytes()
    async with harness.open() as service:
        with pytest.raises(OkrError, match="Invalid key index: 9"):
            await service.use_key(9)
    assert harness.settings_file.read_bytes() == before


async def test_an_index_from_the_environment_is_overruled_for_this_run_only(harness: Harness) -> None:
    harness.environment["OLLAMA_ACTIVE_KEY_INDEX"] = "1"
    before = harness.settings_file.read_bytes()
    async with harness.open() as service:
        assert service.snapshot.pool.preferred == 2
        said = await service.use_key(3)
        assert service.snapshot.pool.preferred == 3
    assert "OLLAMA_ACTIVE_KEY_INDEX" in said
    assert harness.settings_file.read_bytes() == before


async def test_an_outside_edit_of_keys_is_taken_up(harness: Harness) -> None:
    async with harness.open(watching=True) as service:
        await wait_for(service, lambda snapshot: bool(snapshot.models.rows))
        harness.write_settings(apiKeys=[harness.cloud.keys[1][0]])
        snapshot = await wait_for(service, lambda snapshot: len(snapshot.pool.keys) == 1)
        for text, _ in harness.cloud.keys:
            assert service.scrubber.scrub(f"Bearer {text}") == f"Bearer {mask(text)}", (
                "also keys that are gone"
            )
    assert snapshot.pool.keys[0].masked.startswith(harness.cloud.keys[1][0][:4])


async def test_a_broken_file_keeps_the_last_good_settings_and_says_where(harness: Harness) -> None:
    async with harness.open(watching=True) as service:
        harness.settings_file.write_text('{\n  "pi-ollama": {"apiKeys": [,]}\n}')
        snapshot = await wait_for(service, lambda snapshot: bool(snapshot.settings.problems))
        assert len(snapshot.pool.keys) == 4
        assert f"{harness.settings_file}:2:29" in snapshot.settings.problems[0]
        harness.write_settings()
        await wait_for(service, lambda snapshot: not snapshot.settings.problems)


async def test_another_cloud_address_takes_effect_at_once(harness: Harness) -> None:
    async with harness.open(watching=True) as service:
        harness.write_settings(cloudUrl="http://127.0.0.1:9")
        snapshot = await wait_for(service, lambda snapshot: snapshot.settings.cloud_url.endswith(":9"))
        assert snapshot.settings.cloud_url == service.cloud.url


async def test_a_second_process_sees_a_fault_and_an_order_of_the_first(harness: Harness) -> None:
    async with harness.open() as first, harness.open(watching=True) as second:
        # Its readings go first: one of them would have the fault otherwise.
        await wait_for(
            second, lambda snapshot: all(row.balance and row.account for row in snapshot.pool.keys)
        )
        await harness.fault("session", account="amber")
        await ask(first)
        await wait_for(second, lambda snapshot: snapshot.pool.keys[0].state is State.SPENT)
        await first.reset_key(1)
        snapshot = await wait_for(second, lambda snapshot: snapshot.pool.keys[0].verdict.eligible)
    assert any("#1 5h spent" in line.text and "→ #" in line.text for line in snapshot.entries)


async def test_a_key_that_is_switched_off_takes_no_request(harness: Harness) -> None:
    async with harness.open() as service:
        await service.set_enabled(1, enabled=False)
        await ask(service)
        await service.set_enabled(1, enabled=True)
        assert service.snapshot.pool.active == 1
    assert 1 not in await harness.sent()


async def test_without_keys_the_error_says_what_to_do(harness: Harness) -> None:
    harness.settings_file.write_text(json.dumps({"okr-tui": {"store": "memory:"}}))
    async with harness.open() as service:
        assert service.snapshot.pool.keys == ()
        with pytest.raises(NoKeyError, match="okr-tui add-key, or set OLLAMA_API_KEYS"):
            await ask(service)
        with pytest.raises(NoKeyError):
            await service.rotate()


async def test_a_reading_finds_accounts_plans_and_quota(harness: Harness) -> None:
    async with harness.open(watching=True) as service:
        snapshot = await wait_for(service, lambda s: all(row.read_at for row in s.pool.keys))
    first, second, third, fourth = snapshot.pool.keys
    assert (first.plan, first.account_keys, second.same_as) == ("pro", (1, 2), 1)
    assert third.plan == "max"
    assert fourth.balance
    assert fourth.balance.credits
    assert fourth.balance.credits.purchased_usd == 12.5


async def test_one_of_two_processes_reads_balances(harness: Harness) -> None:
    async with harness.open(watching=True) as first, harness.open(watching=True) as second:
        for service in (first, second):
            await wait_for(service, lambda s: all(row.read_at for row in s.pool.keys))
    assert len(await harness.sent("/api/balance")) == 3


async def test_a_key_refused_from_the_first_reading_on_is_not_read_all_the_time(harness: Harness) -> None:
    for file in harness.home.glob("log.db*"):
        file.unlink()
    await harness.change("birch", suspended=True)
    await harness.fault("invalid-credentials", path="/api/me", account="cedar", times=None)
    async with harness.open(watching=True) as service:
        await wait_for(
            service, lambda s: {row.state for row in s.pool.keys} >= {State.SUSPENDED, State.READY}
        )
        for _ in range(60):
            await harness.clock.advance(1)
            await let_pass(0.01)
    for path in ("/api/me", "/api/balance"):
        asked = Counter(await harness.sent(path))
        assert max(asked.values()) <= 4, path


async def test_a_spent_session_lasts_until_the_time_the_cloud_tells(harness: Harness) -> None:
    async with harness.open() as service:
        await harness.change("amber", session=100)
        await harness.clock.advance(1)
        await ask(service)
        await service.quota_poller.settle(LIMIT)
        row = service.snapshot.pool.keys[0]
    assert row.balance
    window = row.balance.window("session")
    assert window
    assert window.resets_at
    assert row.verdict.until == pytest.approx(window.resets_at + 30)


async def test_the_model_list_is_there_at_once_after_a_restart_and_survives_an_outage(
    harness: Harness,
) -> None:
    async with harness.open() as service:
        said = await service.refresh_models()
        rows = service.snapshot.models.rows
    assert said == f"Loaded {len(rows)} cloud Ollama models"
    assert all(row.model.capabilities for row in rows)
    async with harness.open() as service:
        assert service.snapshot.models.rows == rows
        await harness.fault("unavailable", path="/api/tags")
        with pytest.raises(OkrError, match="the last list is kept"):
            await service.refresh_models()
        assert service.snapshot.models.rows == rows
        assert service.snapshot.models.error


async def test_public_lists_are_read_without_a_key(harness: Harness) -> None:
    async with harness.open() as service:
        await service.refresh_models()
    assert set(await harness.sent("/api/tags")) == {None}
    assert set(await harness.sent("/api/show")) == {None}


async def test_a_client_that_does_not_close_leaves_neither_lease_nor_log_open(harness: Harness) -> None:
    class Unclosable(httpx.AsyncHTTPTransport):
        async def aclose(self) -> None:
            await super().aclose()
            raise OSError("the connection is gone")

    sources = Sources(harness.settings_file, harness.home / "project", {})
    with pytest.raises(OSError, match="the connection is gone"):  # noqa: PT012 the end of the block raises
        async with PoolService.open(
            sources, clock=harness.clock, make_transport=lambda _: Unclosable()
        ) as service:
            await wait_for(service, lambda snapshot: all(row.read_at for row in snapshot.pool.keys))
            store = service.pool.store
    with pytest.raises((StoreError, ValueError)):
        await store.read(0)
    async with harness.open() as other:
        assert await other.pool.store.lease(LEASE, "another", harness.clock.time(), 1)


async def test_an_unexpected_error_in_the_background_ends_nothing_and_shows_no_key(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, run, runs = harness.cloud.keys[0][0], QuotaPoller.run, count()

    async def broken_at_first(poller: QuotaPoller) -> None:
        if next(runs) == 0:
            raise LookupError(f"no window for {secret}")
        await run(poller)

    monkeypatch.setattr(QuotaPoller, "run", broken_at_first)
    async with harness.open(watching=True) as service:
        snapshot = await wait_for(service, lambda snapshot: bool(snapshot.problems))
        assert "reading quota failed: unexpected LookupError: no window for" in snapshot.problems[0]
        assert secret not in snapshot.problems[0]
        await ask(service)
        await harness.clock.advance(TRY_AGAIN)
        snapshot = await wait_for(service, lambda snapshot: not snapshot.problems)
        await wait_for(service, lambda snapshot: all(row.read_at for row in snapshot.pool.keys))
