"""When an account, or the pool as a whole, is empty at its present pace: for header, details and commands."""

from collections.abc import Iterable, Sequence
from typing import Final

from okr_tui.domain.quota import Balance, Sample, tightest_window
from okr_tui.domain.schedule import has_date
from okr_tui.domain.state import PoolState

OVER: Final = 3600.0
"""Seconds of readings that a pace is computed from."""


def burn_rate(samples: Sequence[Sample], *, least: float = 60) -> float | None:
    """Return percent per second by which an account fills, or None when there are too few readings.

    The method: the slope between the newest sample and the oldest one since the last reset within
    the last OVER seconds, when they are at least `least` seconds apart.
    """
    if not samples:
        return None
    newest = samples[-1]
    run = [newest]
    for sample in reversed(samples[:-1]):
        if sample.used_percent > run[-1].used_percent or newest.at - sample.at > OVER:
            break
        run.append(sample)
    span = newest.at - run[-1].at
    return (newest.used_percent - run[-1].used_percent) / span if span >= least else None


def empty_at(samples: Sequence[Sample], *, least: float = 60) -> float | None:
    """Return when an account is full at its present pace (epoch seconds); None if unknown or never.

    `least` is as for `burn_rate`.
    """
    rate = burn_rate(samples, least=least)
    if not rate or rate <= 0:
        return None
    at = samples[-1].at + (100 - samples[-1].used_percent) / rate
    return at if has_date(at) else None


def full_at(balance: Balance | None, samples: Sequence[Sample], *, least: float = 60) -> float | None:
    """Return when an account is full at its pace (epoch seconds); None if its window is reset before.

    `least` is as for `burn_rate`.
    """
    at = empty_at(samples, least=least)
    reset = balance.resets_at(tightest_window(balance)) if balance else None
    return None if at is None or (reset is not None and reset < at) else at


def pool_empty_at(state: PoolState, usable: Iterable[str], now: float, *, least: float = 60) -> float | None:
    """Return when the accounts of the usable keys are empty together at their pace (epoch seconds).

    None without enough readings of each. The method: what is left of every account's tightest window, divided
    by the sum of their burn rates. A window that is full again before that moment makes the pool outlast it,
    so there is no forecast then. `usable` are fingerprints; `least` is as for `burn_rate`.
    """
    left = rate = 0.0
    resets: list[float] = []
    accounts = map(state.account_of, usable)
    for identifier in {state.quota_of(account): account for account in accounts}.values():
        account = state.account(identifier)
        samples = account.samples
        if not samples:
            return None
        if account.balance and (reset := account.balance.resets_at(tightest_window(account.balance))):
            resets.append(reset)
        left += 100 - samples[-1].used_percent
        rate += max(0.0, burn_rate(samples, least=least) or 0.0)
    if rate <= 0:
        return None
    empty = now + left / rate
    return empty if empty <= min(resets, default=empty) and has_date(empty) else None
