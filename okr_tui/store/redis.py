"""The log as a stream of a Redis or Valkey server that several machines share."""

import asyncio
import contextlib
import math
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Self, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import ValidationError
from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from okr_tui.domain.errors import StoreError
from okr_tui.domain.records import Record
from okr_tui.domain.text import clean_line
from okr_tui.store.base import LogEntry
from okr_tui.store.encoding import decode, encode


def public_name(url: str) -> str:
    """Return the address without user, password and options. Raises StoreError if it could hide a part."""
    try:
        parts = urlsplit(url)
        usable = _usable(parts)
    except ValueError:
        usable = False
    if not usable:
        # Without the cause, which may quote a part of the password.
        raise StoreError(
            "the store's address is not usable: write redis://[USER:PASSWORD@]HOST[:PORT][/NUMBER], "
            "with %-escapes for special characters in the password"
        ) from None
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _usable(parts: SplitResult) -> bool:
    number = parts.path.strip("/")
    return bool(
        parts.hostname and parts.port != 0 and not parts.fragment and (not number or number.isdecimal())
    )


APPEND = """
local done = redis.call('GET', KEYS[3])
if done then return tonumber(done) end
local last = math.max(tonumber(ARGV[1]), tonumber(redis.call('GET', KEYS[2]) or 0))
for i = 2, #ARGV, 2 do
    last = last + 1
    redis.call('XADD', KEYS[1], last .. '-0', 'at', ARGV[i], 'body', ARGV[i + 1])
end
redis.call('SET', KEYS[2], last)
redis.call('SET', KEYS[3], last, 'EX', 60)
return last
"""
TRIM = """
local through, before, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local bytes, place = tonumber(ARGV[5]), 0
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], ARGV[4], '-', 'COUNT', ARGV[6])) do
    place = tonumber(string.match(entry[1], '%d+'))
    local at, body = tonumber(entry[2][2]), entry[2][4]
    bytes = bytes + #body
    if place <= through and (at < before or bytes > most) then
        redis.call('XDEL', KEYS[1], entry[1])
    end
end
return {place, bytes}
"""
SAVE_IF = """
local held = redis.call('GET', KEYS[1])
if (held and '=' .. held or '') ~= ARGV[1] then return 0 end
for i = 2, #KEYS do redis.call('SET', KEYS[i], ARGV[i]) end
return 1
"""
LEASE = """
local held = redis.call('HMGET', KEYS[1], 'owner', 'until')
if held[1] and held[1] ~= ARGV[1] and tonumber(held[2]) > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', ARGV[3])
return 1
"""


PREFIX: Final = "{okr-tui}:"
"""In front of every name; the braces keep all of them together on one server of a cluster."""
LOG: Final = f"{PREFIX}log"
LAST: Final = f"{PREFIX}last"

PAGE: Final = 1000
BLOCK_MILLISECONDS: Final = 2000
TIMEOUT: Final = 5.0
"""Seconds until a server that says nothing counts as lost; longer than the server blocks."""
PATIENCE: Final = 5.0
"""Seconds during which a lost connection is made anew before anyone hears of it."""
FIRST_WAIT: Final = 0.02
LONGEST_WAIT: Final = 0.5

Answer = TypeVar("Answer")


class RedisStore:
    """A log on a server. The place of a record is its entry's identifier, so that both have one order."""

    def __init__(self, name: str, client: Redis) -> None:
        self.name = name
        self.notice: str | None = None
        self._client = client
        self._seen = 0
        self._append = client.register_script(APPEND)
        self._trim = client.register_script(TRIM)
        self._save_if = client.register_script(SAVE_IF)
        self._lease = client.register_script(LEASE)

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open the log at `redis://` or, encrypted, `rediss://`. No server there is an error at once."""
        name = public_name(url)
        try:
            client = Redis.from_url(
                url,
                decode_responses=True,
                protocol=2,
                retry=Retry(NoBackoff(), 0),  # `_ask` is the one that tries again
                socket_timeout=None,  # `_bounded` is the one that watches the time
            )
            store = cls(name, client)
            try:
                await store._ask("open", partial(client.execute_command, "PING"), patience=0)
            except BaseException:
                await store.close()
                raise
        except (TypeError, ValueError) as error:
            reason = clean_line(str(error))
            raise StoreError(
                f"cannot open the log at {name}: {reason}; correct the options behind the address's '?'"
            ) from error
        return store

    async def append(self, records: Sequence[Record]) -> int:
        """Append records at the end of the log. One script, so that it is in the log whole or not at all.

        Sent again when the answer was lost, it is known by its token and not written twice. Places go on
        behind all that this process has seen, even when the server came back with less than it had.
        """
        token = f"{PREFIX}append:{uuid.uuid4().hex}"
        values = [value for record in records for value in (record.at, encode(record))]
        keys, args = [LOG, LAST, token], [self._seen, *values]
        last = int(await self._ask("write", lambda: self._append(keys=keys, args=args)))
        self._seen = max(self._seen, last)
        return last

    async def read(self, after: int = 0, limit: int | None = None) -> list[LogEntry]:
        """Return the records behind a place. Those of later versions are skipped."""
        if limit is None:
            return (await self._read(after))[0]
        page = partial(self._client.xrange, LOG, min=f"{after + 1}-0", count=limit)
        return _logged(await self._ask("read", page))

    def change_token(self) -> None:
        """Return a token that changes with the log. Only the server knows."""

    async def read_back(self, before: int | None, limit: int) -> list[LogEntry]:
        """Return the last records before a place. Those of later versions are skipped."""
        edge = "+" if before is None else f"{max(before - 1, 0)}-0"
        page = partial(self._client.xrevrange, LOG, max=edge, count=limit)
        return _logged((await self._ask("read", page))[::-1])

    async def _read(self, after: int, patience: float | None = None) -> tuple[list[LogEntry], int]:
        """Return the records behind a place, and the place of the last entry, readable or not."""
        found: list[LogEntry] = []
        size = PAGE
        while size == PAGE:
            page = partial(self._client.xrange, LOG, min=f"{after + 1}-0", count=PAGE)
            entries = await self._ask("read", page, patience)
            size = len(entries)
            after = _place(entries[-1]) if entries else after
            found += _logged(entries)
        self._seen = max(self._seen, after)
        return found, after

    async def tail(self, seen: Callable[[], int]) -> AsyncIterator[list[LogEntry]]:
        """Yield new records as they come. However long the server is away, reading goes on where it was."""
        after = 0
        while True:
            after = max(after, seen())
            growth = partial(self._client.xread, {LOG: f"{after}-0"}, count=1, block=BLOCK_MILLISECONDS)
            if await self._ask("read", growth, math.inf):
                found, after = await self._read(after, math.inf)
                if found:
                    yield found

    async def load(self, document: str) -> str | None:
        """Return the text kept under a name."""
        text: str | None = await self._ask("read", partial(self._client.get, _document(document)))
        return text

    async def save(self, document: str, text: str) -> None:
        """Keep a text under a name."""
        await self._ask("write", partial(self._client.set, _document(document), text))

    async def load_all(self, documents: Sequence[str]) -> dict[str, str]:
        """See Store."""
        found: dict[str, str] = {}
        for start in range(0, len(documents), PAGE):
            names = documents[start : start + PAGE]
            texts = await self._ask("read", partial(self._client.mget, list(map(_document, names))))
            found |= {name: text for name, text in zip(names, texts, strict=True) if text is not None}
        return found

    async def save_if(self, document: str, held: str | None, texts: Mapping[str, str]) -> bool:
        """See Store. Sent again after it was done, it finds its own text and answers False."""
        keys = [_document(document), *map(_document, texts)]
        args = ["" if held is None else f"={held}", *texts.values()]
        return bool(await self._ask("write", partial(self._save_if, keys=keys, args=args)))

    async def trim(self, through: int, before: float, most: int) -> None:
        """Drop old records. Page by page from the end, so that the server never works long for it."""
        edge, size = "+", 0
        while edge != "0-0":
            args: list[str | int | float] = [through, before, most, edge, size, PAGE]
            place, size = await self._ask("write", partial(self._trim, keys=[LOG], args=args))
            edge = f"{max(place - 1, 0)}-0"

    async def lease(self, name: str, owner: str, now: float, seconds: float) -> bool:
        """Take or renew a lease."""
        args: list[str | float] = [owner, now, now + seconds]
        held = await self._ask("write", partial(self._lease, keys=[f"{PREFIX}lease:{name}"], args=args))
        return bool(held)

    async def close(self) -> None:
        """Close the store."""
        await self._client.aclose()

    async def _ask(
        self, action: str, command: Callable[[], Awaitable[Any]], patience: float | None = None
    ) -> Any:
        """Ask the server; a connection that is lost is made anew, for so many seconds or PATIENCE."""
        clock = asyncio.get_running_loop().time
        until, wait = clock() + (PATIENCE if patience is None else patience), FIRST_WAIT
        while True:
            try:
                return await _bounded(command)
            except (exceptions.RedisError, OSError) as error:
                if not _may_pass(error) or clock() + wait > until:
                    raise StoreError(
                        f"cannot {action} the log at {self.name}: {_reason(error)}; {_remedy(error)}"
                    ) from error
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)


async def _bounded(command: Callable[[], Awaitable[Any]]) -> Any:
    """Await a command for a bounded time, and end when told to.

    The client's own bound is `wait_for`, which in Python 3.11 may forget that its task was told to end; the
    address can still ask for that one.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        async with asyncio.timeout(TIMEOUT):
            return await command()
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


def _place(entry: tuple[str, dict[str, str]]) -> int:
    return int(entry[0].partition("-")[0])


def _logged(entries: Sequence[tuple[str, dict[str, str]]]) -> list[LogEntry]:
    found = []
    for entry in entries:
        with contextlib.suppress(ValidationError):
            found.append(LogEntry(_place(entry), decode(entry[1]["body"])))
    return found


def _document(name: str) -> str:
    return f"{PREFIX}document:{name}"


def _refused(error: Exception) -> bool:
    return isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError)


def _may_pass(error: Exception) -> bool:
    """Whether another try may help: the server is away, starting, or slow."""
    lost = exceptions.ConnectionError | exceptions.TimeoutError | OSError
    return isinstance(error, lost) and not _refused(error)


def _reason(error: Exception) -> str:
    return clean_line(str(error)).rstrip(".") or "no answer"


def _remedy(error: Exception) -> str:
    if _refused(error):
        return "check the user and password in its address"
    return "see to the server, or choose another log with --store"
