"""Which request slots of accounts are taken, on a server: a lease for each request under way.

The slots of an account are the members of a sorted set, ordered by when their leases end. Who found none
free waits in line, in a second set, so that no machine's requests wait while another's keep going. All
times are those of the server, so that the clock of no machine matters; a machine that dies leaves nothing.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from okr_tui.domain.errors import StoreError
from okr_tui.domain.text import clean_line
from okr_tui.store.base import LEASE_LONGEST, Taking

TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local owner, most, length, longest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local place, waits = tonumber(ARGV[5]), tonumber(ARGV[6])
local held, line, seen = KEYS[1], KEYS[2], KEYS[3]
redis.call('ZREMRANGEBYSCORE', held, '-inf', now)
redis.call('ZREMRANGEBYSCORE', held, now + longest + 1, '+inf')
local others, own = 0, {}
for i = 1, #KEYS do
    local slots = {}
    if i < 2 or i > 3 then slots = redis.call('ZRANGEBYSCORE', KEYS[i], '(' .. now, '+inf') end
    for _, slot in ipairs(slots) do
        if string.sub(slot, 1, #owner) == owner then own[slot] = true else others = others + 1 end
    end
end
local wanted = others
for _ in pairs(own) do wanted = wanted + 1 end
for i = 7, #ARGV do if not own[ARGV[i]] then wanted = wanted + 1 end end
if most > 0 then
    for _, gone in ipairs(redis.call('ZRANGEBYSCORE', seen, '-inf', now)) do
        redis.call('ZREM', line, gone)
        redis.call('ZREM', seen, gone)
    end
    local moment = time[1] * 1000000 + time[2]
    if place == 0 or place > moment then place = moment end
    local ahead = redis.call('ZRANK', line, ARGV[7]) or redis.call('ZCOUNT', line, '-inf', place)
    if wanted + ahead > most then
        redis.call('ZADD', line, place, ARGV[7])
        redis.call('ZADD', seen, now + waits, ARGV[7])
        redis.call('PEXPIRE', line, waits)
        redis.call('PEXPIRE', seen, waits)
        return {0, others + ahead, place}
    end
    redis.call('ZREM', line, ARGV[7])
    redis.call('ZREM', seen, ARGV[7])
end
for i = 7, #ARGV do redis.call('ZADD', held, now + length, ARGV[i]) end
redis.call('PEXPIRE', held, math.max(length, redis.call('PTTL', held)))
return {1, others, 0}
"""
WAITS: Final = 2.5
"""Seconds that a request keeps its place in line without asking again."""


class RedisSlots:
    """The leases on a server. `ask` sends one command for an action, and raises StoreError."""

    def __init__(
        self,
        client: Redis,
        prefix: str,
        ask: Callable[[str, Callable[[], Awaitable[Any]], float | None], Awaitable[Any]],
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._ask = ask
        self._script = client.register_script(TAKE)

    async def take(
        self,
        account: str,
        owner: str,
        slot: str,
        seconds: float,
        most: int,
        *,
        place: int = 0,
        also: Sequence[str] = (),
    ) -> Taking:
        """Take a slot of an account, in turn."""
        found = await self._take(account, owner, [slot], seconds, most, place, also)
        return Taking(bool(found[0]), int(found[1]), int(found[2]))

    async def renew(self, account: str, owner: str, slots: Sequence[str], seconds: float) -> None:
        """Renew the leases of slots, or take them again, whoever holds them now."""
        await self._take(account, owner, slots, seconds, 0, 0, ())

    async def _take(
        self,
        account: str,
        owner: str,
        slots: Sequence[str],
        seconds: float,
        most: int,
        place: int,
        also: Sequence[str],
    ) -> Sequence[int]:
        keys = [*self._names(account), *(self._names(other)[0] for other in also)]
        args: list[str | int] = [
            f"{owner}:",
            most,
            *(round(each * 1000) for each in (seconds, LEASE_LONGEST)),
            place,
            round(WAITS * 1000),
            *(f"{owner}:{slot}" for slot in slots),
        ]
        found: Sequence[int] = await self._answer(lambda: self._script(keys=keys, args=args))
        return found

    async def free(self, account: str, owner: str, slots: Sequence[str]) -> None:
        """Give slots of an account back, and leave the line for them."""
        names = [f"{owner}:{slot}" for slot in slots]

        async def removed() -> None:
            async with self._client.pipeline(transaction=False) as pipeline:
                for key in self._names(account):
                    pipeline.zrem(key, *names)
                await pipeline.execute()

        await self._answer(removed)

    def _names(self, account: str) -> list[str]:
        """Return what the slots held, the line, and when each in it asked last, are called there."""
        return [f"{self._prefix}{kind}:{account}" for kind in ("slots", "line", "seen")]

    async def _answer(self, command: Callable[[], Awaitable[Any]]) -> Any:
        """Ask once. A server that answers with an error can be reached, and keeps the log all the same."""

        async def attempt() -> Any:
            try:
                return await command()
            except ResponseError as error:
                raise StoreError(f"the server says {clean_line(str(error))}") from error

        return await self._ask("write", attempt, 0)
