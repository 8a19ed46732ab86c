"""Which free readings are due: identity of each key, balance of each account, second looks at blocks."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from okr_tui.domain.choice import PoolConfig
from okr_tui.domain.faults import BlockCause
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy, jitter
from okr_tui.domain.state import Block, PoolState
from okr_tui.domain.values import dataclass
from okr_tui.domain.words import span

AFTER_RESET = 2.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading to make with a key: its account's balance, or its identity. `at` is epoch seconds."""

    at: float
    key: Key
    identity: bool
    name: str


def due(
    state: PoolState,
    config: PoolConfig,
    policy: Policy,
    now: float,
    not_before: Mapping[str, float],
    *,
    shown: bool = True,
) -> tuple[tuple[Reading, ...], float]:
    """Return the readings to make now, and when the next one will be due (epoch seconds).

    `not_before` holds off readings, by their names, that failed lately. `shown` says that somebody is
    looking; without that, and without traffic, balances are read more rarely.
    """
    used = max((state.key(key.fingerprint).last_used for key in config.keys), default=0.0)
    pace = policy.poll_shown if shown or now - used < policy.poll_idle[0] else policy.poll_idle
    readings = [*_identities(state, config, policy), *_balances(state, config, policy, pace)]
    times = [(max(reading.at, not_before.get(reading.name, 0.0)), reading) for reading in readings]
    ready = tuple(reading for at, reading in times if at <= now)
    following = min((at for at, _ in times if at > now), default=now + policy.poll_idle[1])
    return ready, following


def _identities(state: PoolState, config: PoolConfig, policy: Policy) -> Iterator[Reading]:
    for key in config.in_use(state):
        known = state.key(key.fingerprint)
        suspended = BlockCause.SUSPENDED in state.account(state.account_of(key.fingerprint)).blocks
        if suspended or BlockCause.INVALID in known.blocks:
            continue  # a balance shows first that it is accepted again
        at = 0.0 if known.identity_at is None else known.identity_at + policy.identity_every
        yield Reading(at, key, identity=True, name=f"identity {key.fingerprint}")


def _balances(
    state: PoolState, config: PoolConfig, policy: Policy, pace: tuple[float, float]
) -> Iterator[Reading]:
    """Yield one reading an account; a refused key has its own, when its doubt is due to be looked at."""
    spoken: set[str] = set()
    for key in config.in_use(state):
        known = state.key(key.fingerprint)
        account = state.account_of(key.fingerprint)
        name = f"balance {key.fingerprint}"
        if refused := known.blocks.get(BlockCause.INVALID):
            yield Reading(refused.recheck or 0.0, key, identity=False, name=name)
            continue
        if account in spoken:
            continue
        spoken.add(account)
        yield Reading(_balance_at(state, account, policy, pace), key, identity=False, name=name)


def _balance_at(state: PoolState, account: str, policy: Policy, pace: tuple[float, float]) -> float:
    known = state.account(account)
    suspended = known.blocks.get(BlockCause.SUSPENDED)
    if suspended and suspended.recheck is not None:
        return suspended.recheck
    if known.balance is None or known.balance_at is None:
        return 0.0
    spread = 1 + policy.poll_jitter * (2 * jitter((0, 1), f"{account}{known.balance_at}") - 1)
    regular = known.balance_at + sum(pace) / 2 * spread
    times = [regular]
    if spent := known.blocks.get(BlockCause.SPENT):
        times += [_recheck(spent, known.balance_at, policy), spent.until or regular]
        if spent.since > known.balance_at:
            times.append(known.balance_at + policy.poll_gap)
    times += [window.resets_at + AFTER_RESET for window in known.balance.windows if window.resets_at]
    return min(at for at in times if at > known.balance_at)


def _recheck(spent: Block, read_at: float, policy: Policy) -> float:
    """Return the next look at a spent account that may be back early: after 10, 15, 30, then every 60 min."""
    at = spent.since
    for wait in policy.spent_rechecks:
        at += wait
        if at > read_at:
            return at
    return read_at + policy.spent_rechecks[-1]


FAR: Final = 120.0
"""Seconds between two clocks beyond which times of return mislead."""

LAST: Final = 253_402_128_000.0
"""The 30th of December 9999, the last day that calendars of all zones have."""


def has_date(at: float) -> bool:
    """Return whether every zone's calendar has this time (epoch seconds), and it is not before 1970."""
    return 0 <= at <= LAST


EARLIEST: Final = 1_577_836_800.0
LATEST: Final = 4_102_444_800.0
"""The years 2020 and 2100 begin: what dates an answer before or after has no clock of its own."""
AGE: Final = re.compile("[0-9]{1,9}")


def ahead_of(headers: Mapping[str, str], now: float) -> float | None:
    """Return how many seconds `now` is ahead of the clock that dated an answer; None where none did.

    An answer from a cache says how old it is (`age`), so its date is that much older. Headers are lower case,
    unless the mapping ignores case.
    """
    date = headers.get("date")
    dated = None if date is None else _epoch(date)
    age = headers.get("age", "0")
    if dated is None or not EARLIEST < dated < LATEST or not AGE.fullmatch(age):
        return None
    return now - dated - int(age)


@lru_cache(maxsize=8)
def _epoch(date: str) -> float | None:
    """Return the moment of an HTTP date in epoch seconds; many answers carry the same one."""
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None


def is_far(seconds: float | None, far: float = FAR) -> bool:
    """Return whether a difference between two clocks, in seconds, is worth a warning."""
    return seconds is not None and abs(seconds) > far


def clock_problem(ahead: float, times: Sequence[float], now: float, far: float = FAR) -> str | None:
    """Return a warning if this machine's clock differs from the cloud's, or from others' that share the log.

    Args:
        ahead: seconds by which it is ahead of the cloud's; 0 while they agree.
        times: when entries of the log were made, in epoch seconds.
        now: epoch seconds.
        far: seconds beyond which a difference is worth a warning.
    """
    if ahead:
        way = "ahead of" if ahead > 0 else "behind"
        difference = f"{span(abs(ahead))} {way} the cloud's"
        return f"this machine's clock is {difference}, which is used instead; set the clock"
    if late := from_the_future(times, now, far):
        return (
            f"the log has entries from {span(late)} in the future; set the clock of this machine, or of the "
            "one that wrote them"
        )
    return None


def from_the_future(times: Sequence[float], now: float, far: float = FAR) -> float | None:
    """Return by how many seconds the latest of these is later than `now`; None when that is not far."""
    latest = max(times, default=now) - now
    return latest if latest > far else None
