"""Readings of balance and identity: one poller among all processes, and a check after a refusal.

Reading is free, but limited to ten a minute and user (docs.ollama.com/api/balance), so accounts are read
through one key each, and nothing here ever spends a request on a model.
"""

import asyncio
import contextlib
import math
import random
import uuid
from collections.abc import Coroutine
from typing import NamedTuple

from okr_tui.cloud.endpoints import BALANCE, IDENTITY
from okr_tui.domain.errors import CloudError, StoreError
from okr_tui.domain.faults import BlockCause, Fault, Rule, fault_for
from okr_tui.domain.keys import Key
from okr_tui.domain.records import Attempt, BalanceRead, IdentityRead
from okr_tui.domain.schedule import Reading, due
from okr_tui.domain.usage import CloudReading, cloud_usage_of, read_readings, write_readings
from okr_tui.services.configuration import EffectiveSettings
from okr_tui.services.current_cloud import UseCloud
from okr_tui.services.live_pool import LivePool
from okr_tui.store.base import UnreachableLogError

BURST = 16
"""Readings made at once; more are spread, so that a start with a thousand keys reads what matters first."""
SPREAD = 2.0
"""Seconds between further handfuls of readings."""
HANDFUL = 4
SECOND_GAP = 1.5
"""Readings other than the regular ones are this many times less frequent."""
LEASE = "meter"
LEASE_SECONDS = 15.0


class Look(NamedTuple):
    """What came of an explicit reading; not `fresh`: the last one is too young, and stands.

    `fault` is why the reading failed; of one that is not fresh, where that is known.
    """

    fresh: bool
    fault: Fault | None = None


class QuotaPoller:
    """Reads balance and identity of keys into the log. `owner` names this process in the lease.

    `shown`: a dashboard shows the quotas, so that they are read more often.
    """

    def __init__(self, pool: LivePool, use_cloud: UseCloud, owner: str, *, shown: bool) -> None:
        self._pool = pool
        self._use_cloud = use_cloud
        self._owner = owner
        self.shown = shown
        # All of these are monotonic seconds.
        self._lease_until = -math.inf
        self._not_before: dict[str, float] = {}
        self._last_turn: dict[str, float] = {}
        self._usage_due: dict[str, float] = {}
        self._at_once = BURST
        self._failed: dict[str, Fault] = {}
        """By account: what the last reading failed with; None of those whose last reading went well."""
        self._checks: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Read what is due while this process holds the lease, until cancelled."""
        while True:
            wait = LEASE_SECONDS / 3
            if await self._leads():
                pool, now = self._pool, self._pool.clock.time()
                ahead = now - pool.clock.monotonic()
                not_before = {name: until + ahead for name, until in self._not_before.items()}
                readings, following = due(
                    pool.state, pool.config, pool.policy, now, not_before, shown=self.shown
                )
                for reading in sorted(readings, key=self._urgency)[: self._at_once]:
                    await self._read(reading)
                if len(readings) > self._at_once:
                    self._at_once = HANDFUL
                    await pool.clock.sleep(SPREAD)
                    continue
                self._at_once = BURST
                if readings:
                    continue
                wait = min(wait, max(0.05, following - self._pool.clock.time()))
            await self._pool.wait(wait)

    def _urgency(self, reading: Reading) -> tuple[float, bool]:
        """Return what puts the keys in use first, then the preferred one."""
        fingerprint = reading.key.fingerprint
        return -self._pool.state.key(fingerprint).last_used, fingerprint != self._pool.config.preferred

    async def look(self, key: Key) -> Look:
        """Read identity and balance of a key now, unless its account was read within the last `poll_gap`.

        That holds for all processes of the log together, so that the cloud's limit is kept.
        """
        await self._pool.catch_up()
        account = self._pool.state.account_of(key.fingerprint)
        last = self._last_look(key)
        known = last.fault or self._pool.state.account(account).balance_at is not None
        if not await self._claim(account) and (known or not await self._claim_second(account)):
            return last
        fault = await self.identity(key)
        now_of = self._pool.state.account_of(key.fingerprint)
        if now_of != account and not await self._claim(now_of):
            return self._last_look(key)
        if fault is None:
            fault = await self.balance(key)
        if fault:
            self._failed[now_of] = fault
        return Look(True, fault)

    def _last_look(self, key: Key) -> Look:
        """Return what came of the last reading of a key, here or in another process."""
        state = self._pool.state
        account = state.account_of(key.fingerprint)
        fault = self._failed.get(account)
        if (refused := state.key(key.fingerprint).blocks.get(BlockCause.INVALID)) or (
            refused := state.account(account).blocks.get(BlockCause.SUSPENDED)
        ):
            fault = fault_for(refused.cause, refused.text, refused.status)
        return Look(fresh=False, fault=fault)

    async def _claim(self, account: str) -> bool:
        """Take the one reading that an account has in `poll_gap` seconds, in all processes of the log."""
        return await self._take_turn(f"reading {account}", self._pool.policy.poll_gap)

    async def _claim_second(self, account: str) -> bool:
        """Take a reading that cannot wait for its turn: without an answer yet, or to look at a refusal again.

        There are fewer of them, so that both keep one limit together.
        """
        return await self._take_turn(f"second {account}", SECOND_GAP * self._pool.policy.poll_gap)

    async def _take_turn(self, name: str, gap: float) -> bool:
        """Take what may be done once in so many seconds by all processes of the log."""
        now = self._pool.clock.monotonic()
        if now - self._last_turn.get(name, -math.inf) < gap:
            return False
        taken = True
        if not self._pool.away:
            with contextlib.suppress(StoreError):
                taken = await self._pool.store.lease(name, uuid.uuid4().hex, self._pool.clock.time(), gap)
        if taken:
            self._last_turn[name] = now
        return taken

    async def _leads(self) -> bool:
        """Return whether this process is the one that reads; renew the lease well before it ends."""
        now = self._pool.clock.monotonic()
        if now > self._lease_until - LEASE_SECONDS / 2:
            held = True  # alone: a spent key must be seen to be back all the same
            if not self._pool.away:
                with contextlib.suppress(UnreachableLogError):
                    at = self._pool.clock.time()
                    held = await self._pool.store.lease(LEASE, self._owner, at, LEASE_SECONDS)
            self._lease_until = now + LEASE_SECONDS if held else -math.inf
        return now < self._lease_until

    def apply(self, old: EffectiveSettings, new: EffectiveSettings) -> None:
        """Forget when another cloud asked to be read again."""
        if old.settings.cloud_url.value != new.settings.cloud_url.value:
            self._not_before.clear()
            self._last_turn.clear()
            self._failed.clear()
            self._usage_due.clear()

    async def settle(self, seconds: float) -> None:
        """Wait up to some seconds for the checks under way, before a process ends."""
        if self._checks:
            await asyncio.wait(self._checks.values(), timeout=seconds)

    async def close(self) -> None:
        """Drop the checks under way, and let another process read at once."""
        tasks = tuple(self._checks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._pool.clock.monotonic() < self._lease_until and not self._pool.away:
            with contextlib.suppress(UnreachableLogError):
                await self._pool.store.lease(LEASE, self._owner, self._pool.clock.time(), 0.0)

    def faulted(self, key: Key, fault: Fault) -> None:
        """Start a free reading that can explain a fault."""
        if fault.traits.rule is Rule.WINDOW or fault.may_be_empty_balance:
            self._check("balance", key, self._after_spent(key))
        elif fault.traits.rule is Rule.DOUBT:
            self._check("confirm", key, self._confirm(key))

    def _check(self, name: str, key: Key, check: Coroutine[None, None, None]) -> None:
        task_key = (name, key.fingerprint)
        if task_key in self._checks:
            check.close()
            return
        self._checks[task_key] = task = asyncio.create_task(check)
        task.add_done_callback(lambda _: self._checks.pop(task_key, None))

    async def _after_spent(self, key: Key) -> None:
        if await self._claim(self._pool.state.account_of(key.fingerprint)):
            await self.balance(key)

    async def _confirm(self, key: Key) -> None:
        await self._pool.clock.sleep(random.uniform(*self._pool.policy.confirm_after))  # noqa: S311 a wait
        account = self._pool.state.account_of(key.fingerprint)
        if await self._claim_second(account):
            await self.balance(key)

    async def _read(self, reading: Reading) -> None:
        """Make one reading, and set the earliest time of the next, later after a failure."""
        read = self.identity if reading.identity else self.balance
        policy = self._pool.policy
        wait = policy.poll_gap
        if not reading.identity and not await self._claim(
            self._pool.state.account_of(reading.key.fingerprint)
        ):
            self._not_before[reading.name] = self._pool.clock.monotonic() + wait
            return
        fault = await read(reading.key)
        # A refused balance is in the log, which knows the next look; an identity may be all that is refused.
        if fault and (reading.identity or fault.traits.rule is not Rule.DOUBT):
            wait = (
                min(fault.retry_after, policy.slowed_longest) if fault.retry_after else policy.poll_shown[1]
            )
        self._not_before[reading.name] = self._pool.clock.monotonic() + wait
        if not (reading.identity or fault):
            with contextlib.suppress(UnreachableLogError):
                await self._usage_if_due(reading.key)

    async def _usage_if_due(self, key: Key) -> None:
        """Read what the cloud counted for an account, after a balance reading and far less often.

        Both draw on one allowance of ten readings a minute. An account whose plan reports nothing is asked as
        seldom.
        """
        account, now = self._pool.state.account_of(key.fingerprint), self._pool.clock.time()
        if self._pool.clock.monotonic() < self._usage_due.get(account, -math.inf):
            return
        document = cloud_usage_of(account)
        readings = read_readings(await self._pool.store.load(document))
        last = readings[account].at if account in readings else 0.0
        if not last <= now < last + self._pool.policy.usage_every:
            last = now
            try:
                with self._use_cloud() as cloud:
                    readings[account] = CloudReading(now, await cloud.usage(key))
            except CloudError:  # the balance, read just now, tells how the account is
                pass
            else:
                await self._pool.store.save(document, write_readings(readings))
        self._usage_due[account] = self._pool.clock.monotonic() + last - now + self._pool.policy.usage_every

    async def balance(self, key: Key) -> Fault | None:
        """Read the balance of a key's account into the log; return the fault if it cannot be read."""
        began = self._pool.clock.monotonic()
        account = self._pool.state.account_of(key.fingerprint)
        self._last_turn[f"reading {account}"] = began
        try:
            with self._use_cloud() as cloud:
                balance = await cloud.balance(key)
        except CloudError as error:
            self._failed[account] = error.fault
            return await self._refused(key, BALANCE.path, began, error.fault)
        self._failed.pop(account, None)
        now, started = self._times(began)
        await self._pool.note(
            BalanceRead(at=now, started=started, fingerprint=key.fingerprint, balance=balance)
        )
        return None

    async def identity(self, key: Key) -> Fault | None:
        """Read which account a key belongs to into the log; return the fault if it cannot be read."""
        began = self._pool.clock.monotonic()
        try:
            found = await self.try_out(key)
        except CloudError as error:
            return await self._refused(key, IDENTITY.path, began, error.fault)
        await self._pool.note(found)
        return None

    async def try_out(self, key: Key) -> IdentityRead:
        """Ask which account a key belongs to, and log nothing. Raises CloudError."""
        began = self._pool.clock.monotonic()
        with self._use_cloud() as cloud:
            identity = await cloud.identity(key)
        now, started = self._times(began)
        return IdentityRead(
            at=now,
            started=started,
            fingerprint=key.fingerprint,
            account=identity.account,
            plan=identity.plan,
        )

    def _times(self, began: float) -> tuple[float, float]:
        """Return the present moment and that of a monotonic time, as the clock has them now."""
        now = self._pool.clock.time()
        return now, now - (self._pool.clock.monotonic() - began)

    async def _refused(self, key: Key, path: str, began: float, fault: Fault) -> Fault:
        """Log a refusal of the key itself; every other fault only delays reading."""
        if fault.traits.rule is Rule.DOUBT:
            now, started = self._times(began)
            await self._pool.note(
                Attempt(
                    at=now,
                    started=started,
                    client="probe",
                    fingerprint=key.fingerprint,
                    path=path,
                    outcome="fault",
                    fault=fault,
                    duration_ms=round(1000 * (now - started)),
                )
            )
        return fault
