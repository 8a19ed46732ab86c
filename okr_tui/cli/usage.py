"""`okr-tui usage`: what was spent, from the log and the sums that outlive it, without the cloud."""

import sys
import time
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Final

import click

from okr_tui.cli.invocation import Invocation, age, json_option, local_zone
from okr_tui.cli.output import show, show_document, table
from okr_tui.domain.status_line import STATUS, PoolStatus
from okr_tui.domain.usage import (
    CLOUD_USAGE,
    DAY,
    GROUPINGS,
    HOUR,
    By,
    CloudBucket,
    CloudReading,
    UsageRow,
    UsageSum,
    grouped,
    midnight,
    read_readings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from okr_tui.store.factory import LogReading
    from okr_tui.store.usage import Detail

SINCE: Final = {"hour": DAY}
DEFAULT_SINCE: Final = 30 * DAY
COLUMNS: Final = ("name", "requests", "faults", "input_tokens", "cached_tokens", "output_tokens")
MORE: Final = ("hops", "first_byte_ms", "tokens_per_second")
Document = dict[str, object]


@click.command()
@click.option(
    "--by", type=click.Choice(GROUPINGS), default="day", show_default=True, help="How the sums are grouped."
)
@click.option(
    "--since", type=age, metavar="AGE", help="How far back: 12h, 30d, 8w  [default: 30d; by hour: 24h]"
)
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with the columns of the JSON rows.")
@click.pass_obj
def usage(invocation: Invocation, *, by: By, since: int | None, as_json: bool, as_csv: bool) -> None:
    """Show what was spent: requests, faults and tokens.

    Days are those of this machine's time zone. Cached tokens are part of the input tokens.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    zone, now = local_zone(), time.time()
    start = _start(by, now - (since or SINCE.get(by, DEFAULT_SINCE)), zone)
    detail: Detail = "hours" if by in ("day", "hour") else "series"
    seen = read_from_log(invocation, start, now, detail, STATUS, *CLOUD_USAGE)
    readings = read_readings(*map(seen.documents.get, CLOUD_USAGE))
    rows = grouped(seen.usage.usage, by, start, now, zone=zone, accounts=seen.usage.accounts)
    if as_csv:
        import csv

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(COLUMNS + MORE)
        writer.writerows(row_document(row).values() for row in rows)
    elif as_json:
        show_document(
            {
                "by": by,
                "since": _stamp(start),
                "until": _stamp(now),
                "rows": [row_document(row) for row in rows],
                "cloud": _cloud_document(readings, start, now),
            }
        )
    else:
        pool = own_status(invocation, seen.documents.get(STATUS))
        for line in _lines(rows, by, start, pool, zone):
            show(line)
        for line in _cloud_lines(readings, start, now, pool):
            show(line)


def read_from_log(
    invocation: Invocation, since: float, now: float, detail: "Detail", *documents: str
) -> "LogReading":
    """Read usage between two moments and documents from the log, by the shortest way that its store has."""
    from okr_tui.store import factory

    address = invocation.store_address()
    if path := factory.sqlite_path(address):
        return factory.read_log(path, since, now, detail, *documents)
    import asyncio

    return asyncio.run(_look_through_store(address, since, now, detail, *documents))


def own_status(invocation: Invocation, text: str | None, now: float | None = None) -> PoolStatus | None:
    """Return the status of this user's pool; `text` is what the log has of it.

    A log on a server is shared, so that the pool is described on this machine instead; with `now`, None where
    that is older than STALE seconds, as others may have written to the log since.
    """
    from okr_tui.store.factory import is_shared
    from okr_tui.store.kept_files import STATUS_FILES, status_file

    address = invocation.store_address()
    if address is None or not is_shared(address):
        return PoolStatus.read(text)
    found = PoolStatus.read(STATUS_FILES.read(status_file(address, invocation.files[0])))
    return None if found and now is not None and not 0 <= now - found.at < STALE else found


async def _look_through_store(
    address: str | None, since: float, now: float, detail: "Detail", *documents: str
) -> "LogReading":
    from okr_tui.store.factory import LogReading, open_store
    from okr_tui.store.usage import read_usage

    store = await open_store(address)
    try:
        return LogReading(await read_usage(store, since, now, detail), await store.load_all(documents))
    finally:
        await store.close()


STALE: Final = 60.0
"""Seconds after which a status bar looks at a shared log itself, where no process of this machine does."""


def _start(by: By, since: float, zone: tzinfo) -> float:
    """Return where the first whole day or hour begins."""
    return midnight(since, zone) if by == "day" else since // HOUR * HOUR


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "Z")


def row_document(row: UsageRow) -> Document:
    """Return a row of `usage`."""
    added = row.sum
    return {
        "name": row.name,
        "requests": added.requests,
        "faults": added.faults,
        "input_tokens": added.input_tokens,
        "cached_tokens": added.cached_tokens,
        "output_tokens": added.output_tokens,
        "hops": added.hops,
        "first_byte_ms": added.mean_first_byte_ms,
        "tokens_per_second": added.tokens_per_second,
    }


HEADINGS: Final = ("requests", "faults", "tokens in", "cached", "tokens out", "hops", "first byte", "tok/s")


def _lines(rows: list[UsageRow], by: By, start: float, pool: PoolStatus | None, zone: tzinfo) -> list[str]:
    since = datetime.fromtimestamp(start, zone)
    if not rows:
        return [f"Nothing was spent since {since:%Y-%m-%d %H:%M}."]
    names = _names(by, pool)
    total = UsageSum()
    for row in rows:
        total = total.plus(row.sum)
    body = [(names(row.name), _cells(row.sum)) for row in rows]
    lines = [(by, HEADINGS), *body]
    if len(body) > 1:
        lines.append(("total", _cells(total)))
    shown = table(((name, *figures) for name, figures in lines), headed=True, figures=True)
    return [f"Usage since {since:%Y-%m-%d %H:%M}", *shown]


def _cells(added: UsageSum) -> tuple[str, ...]:
    first, speed = added.mean_first_byte_ms, added.tokens_per_second
    return (
        f"{added.requests:,}",
        f"{added.faults:,}",
        f"{added.input_tokens:,}",
        f"{added.cached_tokens:,}",
        f"{added.output_tokens:,}",
        f"{added.hops:,}",
        "-" if first is None else f"{first / 1000:.2f} s",
        "-" if speed is None else f"{speed:.0f}",
    )


def _names(by: By, pool: PoolStatus | None) -> "Callable[[str], str]":
    """Return how a row's name is written for people: keys and accounts by what the pool calls them."""
    keys = pool.keys if pool else ()
    if by == "hour":
        return lambda name: f"{name[:10]} {name[11:16]}{name[19:]}" if len(name) > 10 else name
    if by == "key":
        known = {key.fingerprint: f"#{key.number} {key.name}" for key in keys}
        return lambda name: known.get(name, f"not in the pool: {name}")
    if by == "account":
        labels: dict[str, str] = {}
        for key in keys:
            labels.setdefault(key.account or key.fingerprint, f"{key.name} (#{key.number})")
        return lambda name: labels.get(name, name)
    return lambda name: name


def _cloud_counts(
    readings: "Mapping[str, CloudReading]", since: float, until: float
) -> list[tuple[str, float, CloudBucket]]:
    """Return what the cloud counted for each account, with when it was read, by account."""
    found = [
        (account, reading.at, days)
        for account, reading in readings.items()
        if (days := reading.between(since, until))
    ]
    return sorted(found)


def _cloud_document(readings: "Mapping[str, CloudReading]", since: float, until: float) -> Document | None:
    accounts = [
        {
            "account": account,
            "read_at": _stamp(at),
            "since": _stamp(days.since),
            "until": _stamp(days.until),
            **days.counts._asdict(),
        }
        for account, at, days in _cloud_counts(readings, since, until)
    ]
    return {"accounts": accounts} if accounts else None


def _cloud_lines(
    readings: "Mapping[str, CloudReading]", since: float, until: float, pool: PoolStatus | None
) -> list[str]:
    names = _names("account", pool)
    lines = []
    for account, _, days in _cloud_counts(readings, since, until):
        counts = days.counts
        parts = [
            f"{value:,} {word}"
            for value, word in (
                (counts.requests, "requests"),
                (counts.input_tokens, "tokens in"),
                (counts.output_tokens, "tokens out"),
            )
            if value is not None
        ]
        if counts.usage_usd is not None:
            parts.append(f"${counts.usage_usd:.2f}")
        first = datetime.fromtimestamp(days.since, UTC)
        lines.append(f"{names(account)}: {', '.join(parts) or 'nothing reported'} since {first:%Y-%m-%d} UTC")
    return ["", "The cloud's own count, of all programs and machines:", *lines] if lines else []
