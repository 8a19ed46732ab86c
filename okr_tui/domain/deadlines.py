"""How long a block lasts. Pure arithmetic over epoch seconds."""

from dataclasses import replace
from zlib import crc32

from okr_tui.domain.policy import Policy, step
from okr_tui.domain.quota import Balance, next_reset
from okr_tui.domain.state import Block


def jitter(bounds: tuple[float, float], seed: str) -> float:
    """A wait between the bounds that is the same in every process that folds the same log."""
    low, high = bounds
    return low + (high - low) * crc32(seed.encode()) / 0xFFFFFFFF


def capped(until: float, since: float, longest: float) -> float:
    """A deadline no further ahead than is believable."""
    return min(until, since + longest)


def later(first: Block, second: Block) -> Block:
    """Of two blocks of one cause the one that ends later; an open-ended one ends last."""
    if first.until is None or second.until is None:
        return first if first.until is None else second
    return first if first.until >= second.until else second


def spent_until(
    window: str | None, since: float, balance: Balance | None, count: int, policy: Policy, seed: str
) -> float:
    """When a spent window may be tried again: the server's time, else the calendar's, else a growing wait."""
    told = balance.resets_at(window) if balance else None
    if told is None or told <= since:
        told = next_reset(window, since) or since + step(policy.spent_steps, count)
    longest = policy.longest_block if window in ("session", "weekly", "hourly") else policy.longest_period
    return capped(told + jitter(policy.spent_jitter, f"{seed}{since}"), since, longest)


def escalated(block: Block | None, started: float) -> int:
    """The step of a block that follows `block`: one up only if the failing request began after its end."""
    if block is None:
        return 0
    over = block.until is not None and started >= block.until
    return block.step + 1 if over else block.step


def longer(block: Block, existing: Block | None) -> Block:
    """A new block of one cause never ends before the one it replaces, nor counts as older than it."""
    if existing is None:
        return block
    since = max(block.since, existing.since)
    if later(existing, block) is block:
        return replace(block, since=since)
    if since == existing.since:
        return existing
    return replace(existing, since=since, text=block.text, status=block.status)
