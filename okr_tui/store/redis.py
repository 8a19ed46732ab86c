"""The log as a stream of a Redis or Valkey server that several machines share."""

import asyncio
import os
import re
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Self, TypeVar
from urllib.parse import SplitResult, urlsplit

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from okr_tui.domain.errors import StoreError
from okr_tui.domain.records import Record
from okr_tui.domain.text import clean_line
from okr_tui.domain.values import dataclass
from okr_tui.store.base import (
    LEASE_LONGEST,
    AppendToken,
    LogEntry,
    ReplacedLogError,
    UnreachableLogError,
    decode_rows,
    encode,
)
from okr_tui.store.redis_slots import RedisSlots

SCHEMES: Final = {
    "redis": "redis",
    "rediss": "rediss",
    "valkey": "redis",
    "valkeys": "rediss",
    "unix": "unix",
}
"""The schemes of addresses, and what the redis package calls them."""
CHECK_SERVER: Final = "check the server, or choose another log with --store"
TAKEN: Final = "another program keeps something else under the log's names"
OWN_NAMES: Final = "add ?prefix=NAME to its address for names of its own, or choose another log with --store"
ANSWERS: Final = (
    ("wrongtype", f"{TAKEN} (WRONGTYPE)", OWN_NAMES),
    ("number expected", TAKEN, OWN_NAMES),
    ("stream id", "another program wrote into its stream", OWN_NAMES),
    ("top item", "another program wrote into its stream", OWN_NAMES),
    (
        "read only replica",
        "the server is a replica, which cannot be written",
        "give the address of its primary",
    ),
    (
        "link with master",
        "the server is a replica that has lost its primary",
        "give the address of the primary",
    ),
    ("maxmemory", "the server's memory is full", "raise its maxmemory, or choose another log with --store"),
    ("no permissions", "", "allow the user in its address scripts and the keys {okr-tui*"),
    ("index is out of range", "", "give a lower number at the end of its address"),
)
"""What a server says that has the log's address: a part of its words, ours unless they do, what to do."""
SCRIPT: Final = re.compile(r",? script: [0-9a-f]{40}\b.*", re.DOTALL)


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


def _pool_of(url: str) -> tuple[str, str]:
    """Return an address without its prefix, and that prefix. Raises StoreError for one that is not a name."""
    address, mark, query = url.partition("?")
    options = [option for option in query.split("&") if option] if mark else []
    found = [option.partition("=")[2] for option in options if option.startswith("prefix=")]
    if not found:
        return url, ""
    if not POOL.fullmatch(found[-1]):
        raise StoreError(
            "the prefix in the store's address is not usable: it must be up to 40 letters, digits, - _ and ."
        )
    rest = "&".join(option for option in options if not option.startswith("prefix="))
    return address + (f"?{rest}" if rest else ""), found[-1]


def _usable(parts: SplitResult) -> bool:
    if parts.scheme == "unix":
        return bool(parts.path.strip("/")) and not parts.fragment
    number = parts.path.strip("/")
    return bool(
        parts.hostname and parts.port != 0 and not parts.fragment and (not number or number.isdecimal())
    )


APPEND = """
local held = redis.call('GET', KEYS[4])
if not held then
    held = ARGV[2]
    redis.call('SET', KEYS[4], held)
end
if ARGV[1] ~= '' and ARGV[1] ~= held then return {-1, 0, held} end
local number = tonumber(ARGV[5])
local done = tonumber(redis.call('GET', KEYS[3]) or -1)
local last = math.max(tonumber(ARGV[3]), tonumber(redis.call('GET', KEYS[2]) or 0))
local known = 0
for i = 7, #ARGV, 2 do
    if number <= done then
        known = known + 1
    else
        last = last + 1
        redis.call('XADD', KEYS[1], last .. '-0', 'at', ARGV[i], 'body', ARGV[i + 1],
            'writer', ARGV[4], 'number', number)
    end
    number = number + 1
end
redis.call('SET', KEYS[2], last)
redis.call('SET', KEYS[3], math.max(number - 1, done), 'EX', ARGV[6])
return {last, known, held}
"""
TRIM = """
local through, before, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local bytes, sequence = tonumber(ARGV[5]), 0
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], ARGV[4], '-', 'COUNT', ARGV[6])) do
    sequence = tonumber(string.match(entry[1], '%d+'))
    local at, body = tonumber(entry[2][2]), entry[2][4]
    bytes = bytes + #body
    if sequence <= through and (at < before or bytes > most) then
        redis.call('XDEL', KEYS[1], entry[1])
    end
end
return {sequence, bytes}
"""
SAVE_IF = """
local held = redis.call('GET', KEYS[1])
if (held and '=' .. held or '') ~= ARGV[1] then return 0 end
for i = 2, #KEYS do redis.call('SET', KEYS[i], ARGV[i]) end
return 1
"""
LEASE = """
local held = redis.call('HMGET', KEYS[1], 'owner', 'until')
local left = tonumber(held[2] or 0) - tonumber(ARGV[2])
if held[1] and held[1] ~= ARGV[1] and left > 0 and left <= tonumber(ARGV[4]) then return 0 end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', ARGV[3])
return 1
"""


DIGITS: Final = re.compile(r"[0-9]{1,18}")
OWN: Final = "okr-tui"
POOL: Final = re.compile(r"[A-Za-z0-9_.-]{1,40}")
"""A name for one of several pools on a server, given as `?prefix=NAME`."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of what one pool keeps on a server; the braces keep them together in a cluster.

    `identity` tells this log from another: an emptied server has none.
    """

    prefix: str

    @classmethod
    def of(cls, pool: str) -> Self:
        """Return the names of a pool; "" for the only one."""
        return cls(f"{{{OWN}:{pool}}}:" if pool else f"{{{OWN}}}:")

    @property
    def log(self) -> str:
        """The stream of records."""
        return f"{self.prefix}log"

    @property
    def last(self) -> str:
        """The position of the last record."""
        return f"{self.prefix}last"

    @property
    def identity(self) -> str:
        """What tells the log from another."""
        return f"{self.prefix}identity"

    def document(self, name: str) -> str:
        """Return what the text kept under a name is called there."""
        return f"{self.prefix}document:{name}"


PAGE: Final = 1000
BLOCK_MILLISECONDS: Final = 2000
CHECKED_EVERY: Final = 2.0
"""Seconds after which the tail looks again whether the log is still the same."""
TIMEOUT: Final = 4.5
"""Seconds until a server that says nothing counts as lost; longer than the server blocks."""
OPENING: Final = 2.0
"""Seconds within which a server answers at the start, or the start continues without it."""
REMEMBERED: Final = 86400.0
"""Seconds after its last write for which a writer is known, so that what it sends again is not doubled."""
PATIENCE: Final = 5.0
"""Seconds during which a lost connection is reopened before that is reported."""
FIRST_WAIT: Final = 0.02
LONGEST_WAIT: Final = 0.5

Answer = TypeVar("Answer")


class RedisStore:
    """A log on a server. The position of a record is its entry's identifier, so that both have one order."""

    def __init__(self, url: str) -> None:
        url, pool = _pool_of(url)
        self._names = Names.of(pool)
        self.name = public_name(url) + (f"?prefix={pool}" if pool else "")
        self.notice: str | None = None
        try:
            self._client = Redis.from_url(
                _spoken(url),
                decode_responses=True,
                protocol=2,
                retry=Retry(NoBackoff(), 0),  # `_ask` is the one that tries again
                socket_timeout=None,  # `_bounded` is the one that watches the time
            )
            self._client.connection_pool.make_connection()  # type: ignore[no-untyped-call] # judges options
        except (TypeError, ValueError) as error:
            reason = clean_line(str(error))
            raise StoreError(
                f"cannot open the log at {self.name}: {reason}; correct what follows the '?' in the address"
            ) from error
        self._seen = 0
        self._held: str | None = None
        self._times_replaced = 0
        self._append = self._client.register_script(APPEND)
        self._trim = self._client.register_script(TRIM)
        self._save_if = self._client.register_script(SAVE_IF)
        self._lease = self._client.register_script(LEASE)
        self.slots = RedisSlots(self._client, self._names.prefix, self._ask)

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open the log at `redis://` or, encrypted, `rediss://`. No server there is an error at once."""
        store = cls(url)
        try:
            await store.ready()
        except BaseException:
            await store.close()
            raise
        return store

    async def ready(self) -> None:
        """Ask the server once for something of the log, within OPENING seconds."""
        try:
            async with asyncio.timeout(OPENING):
                await self._ask("open", partial(self._client.get, self._names.last), patience=0)
        except TimeoutError:
            raise UnreachableLogError(
                f"cannot open the log at {self.name}: no answer within {OPENING:.0f} s; {self._check_server}"
            ) from None

    @property
    def _check_server(self) -> str:
        if self.name.startswith(("rediss:", "valkeys:")):
            return f"{CHECK_SERVER}; a server without TLS has an address that begins with redis://"
        return CHECK_SERVER

    @property
    def identity(self) -> object:
        """Return what tells this log from another; it differs once the server has lost some of it."""
        return None if self._held is None else (self._held, self._times_replaced)

    async def append(self, records: Sequence[Record], token: AppendToken | None = None) -> int:
        """Append records at the end of the log. One script, so that it is in the log whole or not at all.

        Sent again when the answer was lost, they are known by their token and not written twice. Positions go
        on after all that this process has seen, even when the server came back with less than it had.
        """
        remembered = REMEMBERED if token else TIMEOUT + PATIENCE
        token = token or AppendToken(uuid.uuid4().hex, 0)
        values = [value for record in records for value in (record.at, encode(record))]
        keys = [
            self._names.log,
            self._names.last,
            f"{self._names.prefix}writer:{token.writer}",
            self._names.identity,
        ]
        known: list[str | int] = [self._held or "", uuid.uuid4().hex, self._seen]
        args: list[str | int | float] = [*known, token.writer, token.number, round(remembered), *values]
        last, left_out, held = await self._ask("write", lambda: self._append(keys=keys, args=args))
        if last < 0:
            raise self._replaced("write", held)
        self._held = held
        self._seen = max(self._seen, int(last))
        return 0 if left_out else int(last)

    async def read(self, after: int = 0, limit: int | None = None) -> list[LogEntry]:
        """Return the records after a position. Those of later versions are skipped."""
        if limit is None:
            return (await self._read(after))[0]
        page = partial(self._client.xrange, self._names.log, min=f"{after + 1}-0", count=limit)
        return _logged(await self._ask("read", page))

    def change_token(self) -> None:
        """Return a token that changes with the log. Only the server knows."""

    async def read_back(self, before: int | None, limit: int) -> list[LogEntry]:
        """Return the last records before a position. Those of later versions are skipped."""
        edge = "+" if before is None else f"{max(before - 1, 0)}-0"
        page = partial(self._client.xrevrange, self._names.log, max=edge, count=limit)
        return _logged((await self._ask("read", page))[::-1])

    async def _read(self, after: int, patience: float | None = None) -> tuple[list[LogEntry], int]:
        """Return the records after a position, and the position of the last entry, readable or not."""
        found: list[LogEntry] = []
        size = PAGE
        while size == PAGE:
            entries = await self._ask("read", partial(self._page, after), patience)
            size = len(entries)
            after = _sequence(entries[-1]) if entries else after
            found += _logged(entries)
        return found, after

    async def _page(self, after: int) -> Any:
        """Return entries after a position. Raises ReplacedLogError if the log has lost what was seen."""
        seen = self._seen  # own appends may continue meanwhile
        async with self._client.pipeline(transaction=True) as pipeline:
            pipeline.mget(self._names.identity, self._names.last)
            pipeline.xrange(self._names.log, min=f"{after + 1}-0", count=PAGE)
            (held, last), entries = await pipeline.execute()
        end = self._end(last)
        if (self._held and held != self._held) or end < seen:
            raise self._replaced("read", held)
        self._held = held
        self._seen = max(self._seen, end)
        return entries

    def _end(self, text: str | None) -> int:
        """Return the position of the last record. Raises UnreachableLogError where that is not a number."""
        if text and not DIGITS.fullmatch(text):
            raise UnreachableLogError(f"cannot read the log at {self.name}: {TAKEN}; {OWN_NAMES}")
        return int(text or 0)

    def _replaced(self, action: str, held: str | None) -> ReplacedLogError:
        self._held, self._seen = held, 0
        self._times_replaced += 1
        return ReplacedLogError(f"cannot {action} the log at {self.name}: the server has lost some of it")

    async def tail(self, seen: Callable[[], int]) -> AsyncIterator[list[LogEntry]]:
        """Yield new records as they come.

        Those that follow the last one seen without a gap are taken as they are, for CHECKED_EVERY seconds:
        many machines that look at each record twice would be too much for one server.
        """
        clock = asyncio.get_running_loop().time
        after, checked = 0, -CHECKED_EVERY
        while True:
            replaced, after = self._times_replaced, max(after, seen())
            growth = partial(
                self._client.xread, {self._names.log: f"{after}-0"}, count=PAGE, block=BLOCK_MILLISECONDS
            )
            grown = await self._ask("read", growth)
            entries = grown[0][1] if grown else []
            follows = [*map(_sequence, entries)] == [*range(after + 1, after + 1 + len(entries))]
            if entries and follows and clock() - checked < CHECKED_EVERY:
                found, after = _logged(entries), after + len(entries)
                self._seen = max(self._seen, after)
            else:
                found, after = await self._read(after)
                checked = clock()
            if replaced != self._times_replaced:
                after = 0  # another call found it out; positions are those of the new log
            elif found:
                yield found

    async def load(self, document: str) -> str | None:
        """Return the text kept under a name."""
        text: str | None = await self._ask("read", partial(self._client.get, self._names.document(document)))
        return text

    async def save(self, document: str, text: str) -> None:
        """Keep a text under a name."""
        await self._ask("write", partial(self._client.set, self._names.document(document), text))

    async def load_all(self, documents: Sequence[str]) -> dict[str, str]:
        """Return the texts kept under names, by name."""
        found: dict[str, str] = {}
        for start in range(0, len(documents), PAGE):
            names = documents[start : start + PAGE]
            texts = await self._ask("read", partial(self._client.mget, [*map(self._names.document, names)]))
            found |= {name: text for name, text in zip(names, texts, strict=True) if text is not None}
        return found

    async def save_if(self, document: str, held: str | None, texts: Mapping[str, str]) -> bool:
        """Keep all texts if a document still holds a text.

        Sent again after it was done, it finds its own text and answers False.
        """
        keys = [self._names.document(document), *map(self._names.document, texts)]
        args = ["" if held is None else f"={held}", *texts.values()]
        return bool(await self._ask("write", partial(self._save_if, keys=keys, args=args)))

    async def trim(self, through: int, before: float, most: int) -> None:
        """Drop old records. Page by page from the end, so that the server never works long for it."""
        edge, size = "+", 0
        while edge != "0-0":
            args: list[str | int | float] = [through, before, most, edge, size, PAGE]
            sequence, size = await self._ask("write", partial(self._trim, keys=[self._names.log], args=args))
            edge = f"{max(sequence - 1, 0)}-0"

    async def lease(self, name: str, owner: str, now: float, seconds: float) -> bool:
        """Take or renew a lease."""
        args: list[str | float] = [owner, now, now + seconds, LEASE_LONGEST]
        held = await self._ask(
            "write", partial(self._lease, keys=[f"{self._names.prefix}lease:{name}"], args=args)
        )
        return bool(held)

    async def close(self) -> None:
        """Close the store."""
        await self._client.aclose()

    async def _ask(
        self, action: str, command: Callable[[], Awaitable[Any]], patience: float | None = None
    ) -> Any:
        """Ask the server; a connection that is lost is reopened, for so many seconds or PATIENCE."""
        clock = asyncio.get_running_loop().time
        until, wait = clock() + (PATIENCE if patience is None else patience), FIRST_WAIT
        while True:
            try:
                return await _bounded(command)
            except (exceptions.RedisError, OSError) as error:
                if not _may_pass(error) or clock() + wait > until:
                    kind = StoreError if _refused(error) else UnreachableLogError
                    raise kind(
                        f"cannot {action} the log at {self.name}: {_reason(error)}; {_remedy(error)}"
                    ) from error
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)


async def _bounded(command: Callable[[], Awaitable[Any]]) -> Any:
    """Await a command for a bounded time, and end when cancelled.

    The client's own bound is `wait_for`, which in Python 3.11 may forget that its task was cancelled; the
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


def _sequence(entry: tuple[str, dict[str, str]]) -> int:
    return int(entry[0].partition("-")[0])


def _logged(entries: Sequence[tuple[str, dict[str, str]]]) -> list[LogEntry]:
    return decode_rows(
        [
            (_sequence(entry), fields.get("body", ""), fields.get("writer"), _number(fields))
            for entry in entries
            if (fields := entry[1])
        ]
    )


def _number(fields: Mapping[str, str]) -> int:
    """Return the number in the token of an entry, which any program may have written."""
    text = fields.get("number", "")
    return int(text) if DIGITS.fullmatch(text) else 0


def _spoken(url: str) -> str:
    """Return the address as the redis package reads it, which does not know the names of Valkey."""
    scheme, _, rest = url.partition(":")
    return f"{SCHEMES[scheme]}:{rest}"


def _refused(error: Exception) -> bool:
    """Return whether only another address helps: the server is there, but not usable for us."""
    if isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError):
        return True
    return _mistaken(error) is not None


def _may_pass(error: Exception) -> bool:
    """Return whether another try may help: the server is away, starting, or slow."""
    lost = exceptions.ConnectionError | exceptions.TimeoutError | OSError
    return isinstance(error, lost) and not _refused(error)


def _mistaken(error: Exception) -> tuple[str, str] | None:
    """Return what answered instead of the server that keeps the log, and what to do."""
    text = str(error)
    lower = text.lower()
    if isinstance(error, exceptions.MovedError):
        there = f"{error.host}:{error.port}"
        return f"a node of a cluster that keeps the log on {there}", f"give the address {there}"
    if isinstance(error, exceptions.MasterDownError):
        return None
    if isinstance(error, exceptions.ClusterDownError | exceptions.ClusterError) or "hash slot" in lower:
        return "a node of a cluster that does not serve the log", "give the address of the node that does"
    if "unknown command" in lower and "'get'" in lower:
        return "a Sentinel, which keeps no data", "give the address of the server it watches"
    if "\\x15\\x03" in lower:
        return "a server that speaks TLS there", "write rediss:// instead of redis://"
    if "wrong version number" in lower or "record layer failure" in lower or "wrong_version" in lower:
        return "a server that does not speak TLS there", "write redis:// instead of rediss://"
    if "certificate verify failed" in lower:
        what = text.partition("certificate verify failed:")[2].partition("(_ssl")[0].strip()
        return (
            f"a server whose certificate is not trusted ({what})",
            "name its certificate authority with ?ssl_ca_certs=FILE after the address",
        )
    if isinstance(error, exceptions.InvalidResponse) or "protocol error" in lower:
        return "something that is not a Redis server", "give the address of a Redis or Valkey server"
    return None


def _reason(error: Exception) -> str:
    if mistaken := _mistaken(error):
        return f"{mistaken[0]} answered"
    if (answer := _answer(error)) and answer[1]:
        return answer[1]
    cause = error.__cause__ or error.__context__
    if isinstance(cause, socket.gaierror):
        return "its name was not found"
    if isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno).lower()
    return SCRIPT.sub("", clean_line(str(error))).rstrip(".") or "no answer"


def _remedy(error: Exception) -> str:
    if mistaken := _mistaken(error):
        return mistaken[1]
    if _refused(error):
        return "check the user and password in its address"
    answer = _answer(error)
    return answer[2] if answer else CHECK_SERVER


def _answer(error: Exception) -> tuple[str, str, str] | None:
    text = str(error).lower()
    return next((answer for answer in ANSWERS if answer[0] in text), None)
