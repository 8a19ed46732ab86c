"""Which request slots of accounts are taken, on a server: a lease for each request under way.

The slots of an account are the members of a sorted set, ordered by when their leases end. All times are
those of the server, so that the clock of no machine matters; a machine that dies leaves nothing behind.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from okr_tui.domain.errors import StoreError
from okr_tui.domain.text import clean_line
from okr_tui.store.base import LEASE_LONGEST

TAKE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local owner, most, length, longest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + longest + 1, '+inf')
local others, own = 0, {}
for _, slot in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    if string.sub(slot, 1, #owner) == owner then own[slot] = true else others = others + 1 end
end
local wanted = others
for _ in pairs(own) do wanted = wanted + 1 end
for i = 5, #ARGV do if not own[ARGV[i]] then wanted = wanted + 1 end end
if most > 0 and wanted > most then return {0, others} end
for i = 5, #ARGV do redis.call('ZADD', KEYS[1], now + length, ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], math.max(length, redis.call('PTTL', KEYS[1])))
return {1, others}
"""


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
        self._take = client.register_script(TAKE)

    async def take(
        self, account: str, owner: str, slots: Sequence[str], seconds: float, most: int = 0
    ) -> tuple[bool, int]:
        """Take slots of an account, or renew their leases."""
        args: list[str | int] = [
            f"{owner}:",
            most,
            round(seconds * 1000),
            round(LEASE_LONGEST * 1000),
            *(f"{owner}:{slot}" for slot in slots),
        ]
        taken, others = await self._answer(lambda: self._take(keys=[self._name(account)], args=args))
        return bool(taken), int(others)

    async def free(self, account: str, owner: str, slots: Sequence[str]) -> None:
        """Give slots of an account back."""
        names = [f"{owner}:{slot}" for slot in slots]
        await self._answer(lambda: self._client.zrem(self._name(account), *names))

    async def _answer(self, command: Callable[[], Awaitable[Any]]) -> Any:
        """Ask once. A server that answers with an error can be reached, and keeps the log all the same."""

        async def asked() -> Any:
            try:
                return await command()
            except ResponseError as error:
                raise StoreError(f"the server says {clean_line(str(error))}") from error

        return await self._ask("write", asked, 0)

    def _name(self, account: str) -> str:
        return f"{self._prefix}slots:{account}"
