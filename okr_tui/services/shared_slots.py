"""The request slots of accounts, counted over all machines that share a log.

Before a request is sent it takes a slot of its account in the store, under a lease that this process renews
until the request ends. So two machines never send more at once than the account allows, but in three cases:
the store cannot be reached, and each counts its own requests; a machine stood still for longer than its
leases, and its requests continue all the same; two machines do not know yet that their keys are of one
account.
"""

import asyncio
import contextlib
import itertools
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from okr_tui.domain.errors import StoreError
from okr_tui.domain.records import Attempt, Record
from okr_tui.services.live_pool import LivePool
from okr_tui.services.log_writer import SHORT
from okr_tui.store.base import Taking, UnreachableLogError

RENEWALS: Final = 3
"""Renewals within the time of a lease: two may fail."""
FIRST_LOOK: Final = 0.1
LONGEST_LOOK: Final = 0.8
"""Seconds after which slots that others hold are asked for again; doubled each time they are still taken."""


@dataclass(slots=True)
class Slot:
    """What a request asks for, under a name that is used once; its place in line, 0 before it is there."""

    name: str
    account: str
    place: int = 0
    held: bool = False


class SharedSlots:
    """The slots that this process holds for its requests, and what it knows of others'."""

    def __init__(self, pool: LivePool) -> None:
        self._pool = pool
        self._store = pool.store.slots
        self._owner = uuid.uuid4().hex
        self._numbers = itertools.count(1)
        self._slots: dict[str, Slot] = {}
        """By request: what it holds, or waits in line for."""
        self._freed: list[Slot] = []
        """What is to be given back."""
        self._refused = Counter[str]()
        """How often in a row no slot of an account was free."""
        self._lock = asyncio.Lock()
        """So that no slot is renewed after it was given back."""
        self._forgetting: dict[str, asyncio.Task[None]] = {}
        self._freeing: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None
        if self._store:
            pool.observers.append(self._ended)

    @property
    def _lease(self) -> float:
        return self._pool.policy.slot_lease

    async def take(self, account: str, request: str, fingerprint: str) -> bool:
        """Take a slot of an account for a request; return False while it is the turn of other machines'.

        A store that does not answer at once stops no request: this process counts its own alone.
        `fingerprint`: that of the key, under which the account was known before its name was.
        """
        if self._store is None:
            return True
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew())
        slot = self._slots.get(request)
        if slot and slot.account != account:
            self.free(request)
            slot = None
        if slot is None:
            slot = self._slots[request] = Slot(str(next(self._numbers)), account)
        if self._pool.away:
            slot.held = True
            return True
        most = self._pool.state.account(account).slot_count(self._pool.policy, self._pool.clock.time())
        also = [fingerprint] if fingerprint != account else []
        found: Taking | None = None
        try:
            async with asyncio.timeout(SHORT):
                found = await self._store.take(
                    account, self._owner, slot.name, self._lease, most, place=slot.place, also=also
                )
        except TimeoutError:
            self._pool.lose(None)
        except UnreachableLogError as error:
            self._pool.lose(error)
        except StoreError as error:
            self._pool.slots_problem = str(error)
        if found is None:
            slot.held = True
            return True
        self._pool.slots_problem = None
        slot.held, slot.place = found.taken, found.place
        self._refused[account] = 0 if found.taken else self._refused[account] + 1
        self._learn(account, found.others)
        return found.taken

    def free(self, request: str) -> None:
        """Give back the slot of a request, or its place in line; it may have neither."""
        slot = self._slots.pop(request, None)
        if slot is None:
            return
        self._freed.append(slot)
        if self._freeing is None or self._freeing.done():
            self._freeing = asyncio.create_task(self._free())

    async def close(self) -> None:
        """Give everything back."""
        tasks = [*self._forgetting.values(), *filter(None, (self._renewing,))]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._freed += self._slots.values()
        self._slots.clear()
        if self._freeing:
            await asyncio.wait((self._freeing,), timeout=SHORT)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SHORT):
                await self._free()

    def _learn(self, account: str, others: int) -> None:
        """Remember for a moment what others hold, so that waiting requests do not ask all the time."""
        if others:
            self._pool.elsewhere[account] = others
            if account not in self._forgetting:
                self._forgetting[account] = asyncio.create_task(self._forget_later(account))
        elif self._pool.elsewhere.pop(account, None):
            self._pool.announce()

    async def _forget_later(self, account: str) -> None:
        refused = min(self._refused[account], 10)
        await self._pool.clock.sleep(min(FIRST_LOOK * 2**refused, LONGEST_LOOK))
        del self._forgetting[account]
        self._forget(account)

    def _forget(self, account: str) -> None:
        """Have the next request ask the store, and whoever waits for a slot try again."""
        if self._pool.elsewhere.pop(account, None):
            self._pool.announce()

    def _ended(self, record: Record, sequence: int | None) -> None:
        """Try again at once when a request has ended, on whatever machine."""
        del sequence
        if isinstance(record, Attempt) and self._pool.elsewhere:
            self._forget(self._pool.state.account_of(record.fingerprint))

    async def _renew(self) -> None:
        """Renew the leases of all slots, until none is held."""
        while True:
            await self._pool.clock.sleep(self._lease / RENEWALS)
            if not self._slots:
                return
            if self._store is None or self._pool.away:
                continue
            async with self._lock:
                try:
                    held = [slot for slot in self._slots.values() if slot.held]
                    for account, names in _by_account(held):
                        async with asyncio.timeout(self._lease / RENEWALS):
                            await self._store.renew(account, self._owner, names, self._lease)
                except (StoreError, TimeoutError):
                    continue  # the next request finds out, and says so; the leases end by themselves

    async def _free(self) -> None:
        while self._freed and self._store:
            freed, self._freed = self._freed, []
            async with self._lock:
                try:
                    for account, names in _by_account(freed):
                        await self._store.free(account, self._owner, names)
                except StoreError:
                    return  # their leases end by themselves


def _by_account(slots: Iterable[Slot]) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for slot in slots:
        found.setdefault(slot.account, []).append(slot.name)
    return list(found.items())
