"""Everything about one key, as lines: state, quota with its history, blocks, readings."""

import textwrap
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from typing import Final

from okr_tui.domain.health import WINDOW_WORDS
from okr_tui.domain.quota import Balance, Credits, Sample, Window, burn_rate, empty_at
from okr_tui.domain.trail import CREDITS, HOURS, Trail, sparkline, tally_slots, used_slots
from okr_tui.domain.view import KeyView, PoolView
from okr_tui.domain.words import moment, sentence, span
from okr_tui.ui.keyed import KeyOf
from okr_tui.ui.lines import FAULT, GOOD, NOTICE, QUIET, STATE_STYLES, STRONG, WARNING, Line, one_line
from okr_tui.ui.widgets.key_words import bar, fault_word, fullness, state_text

NAME: Final = 11
BAR: Final = 20


def fact_lines(
    row: KeyView, pool: PoolView, trail: Trail, now: float, zone: tzinfo, width: int, key_of: KeyOf
) -> list[Line]:
    """The facts in at most `width` cells; `now` is epoch seconds."""
    lines: list[Line] = []

    def tell(name: str, words: str, style: str = "") -> None:
        lines.extend(_told(name, words, style, width))

    back = row.verdict.until is not None and not row.verdict.eligible
    words = sentence(row.verdict, now, zone)
    until = f", in {span(row.verdict.until - now)}" if back and row.verdict.until else ""
    said = "" if words == row.state.value else f": {words}{until}"
    tell("state", f"{state_text(row)}{said}", STATE_STYLES[row.state])
    takes = pool.active == row.index
    tell(
        "next", f"the next request takes it: {pool.why}" if takes else f"not taken: {row.reason or 'unknown'}"
    )
    lines.append(())
    others = [f"#{place}" for place in row.account_keys if place != row.index]
    verb = "shares" if len(others) == 1 else "share"
    shared = f"; {', '.join(others)} {verb} its quota" if others else ""
    tell("account", (row.account or "not known yet") + shared)
    slots = f"{row.in_flight} of {row.slots} requests under way"
    tell("plan", f"{row.plan or 'unknown'} · {slots}{' · preferred' if row.preferred else ''}")
    tell("from", f"{row.origin}{f' · label {one_line(row.label)}' if row.label else ''}")
    lines.append(())
    if row.balance is None or not (row.balance.windows or row.balance.credits):
        tell("used", f"no quota was read yet; {key_of('test-key')} reads it", QUIET)
    else:
        lines += _quota(row.balance, trail, now, zone, width)
    lines += _traffic(trail, now, width)
    lines.append(())
    for name, verdict in row.models:
        tell("blocked", f"{one_line(name)}: {sentence(verdict, now, zone)}", WARNING)
    if row.last_fault and row.last_fault_at is not None:
        fault = f"{fault_word(row.last_fault)}, {span(now - row.last_fault_at)} ago: {row.last_fault.text}"
        tell("last fault", fault, FAULT)
    tell("counted", f"requests {row.requests}, faults {row.faults}")
    tell("quota", f"read {_age(row.read_at, now, zone)}", QUIET)
    tell("identity", f"read {_age(row.identity_at, now, zone)}", QUIET)
    return lines


def _told(name: str, words: str, style: str, width: int) -> Iterator[Line]:
    room = max(10, width - NAME)
    for number, part in enumerate(textwrap.wrap(one_line(words), room) or [""]):
        yield ((f"{'' if number else name:<{NAME}}", QUIET), (part, style))


def _age(at: float | None, now: float, zone: tzinfo) -> str:
    return "not yet" if at is None else f"{span(now - at)} ago, {moment(at, now, zone)}"


def _quota(balance: Balance, trail: Trail, now: float, zone: tzinfo, width: int) -> Iterator[Line]:
    for window in balance.windows:
        yield from _window(window, trail.samples.get(window.name, ()), now, zone, width)
    if balance.credits:
        yield from _credits(balance.credits, trail.samples.get(CREDITS, ()), now, zone, width)


def _window(
    window: Window, samples: Sequence[Sample], now: float, zone: tzinfo, width: int
) -> Iterator[Line]:
    name = WINDOW_WORDS.get(window.name, window.name)
    used = window.used_percent
    resets = ""
    if window.resets_at is not None:
        resets = f"resets {moment(window.resets_at, now, zone)}, in {span(window.resets_at - now)}"
    if used is None:
        yield from _told(name, f"use unknown  {resets}", "", width)
        return
    yield from _meter(name, used, f"{used:.0f}%", resets, width)
    yield from _pace(samples, window.resets_at, now, zone, width)
    yield from _history(samples, now, width)


def _meter(name: str, used: float, number: str, words: str, width: int) -> Iterator[Line]:
    lead: Line = ((f"{name:<{NAME}}", QUIET), (bar(used, BAR), fullness(used)), (f" {number:>4}", STRONG))
    if NAME + BAR + 7 + len(words) <= width:
        yield (*lead, (f"  {words}", ""))
        return
    yield lead
    yield from _told("", words, "", width)


def _pace(
    samples: Sequence[Sample], resets: float | None, now: float, zone: tzinfo, width: int
) -> Iterator[Line]:
    """How fast it fills, and whether it is full before it begins anew."""
    rate = burn_rate(samples)
    if rate is None or not samples:
        return
    full = empty_at(samples)
    if full is None:
        yield from _told("", "standing still", QUIET, width)
        return
    words = f"{rate * 3600:.1f}% an hour, "
    if resets is not None and full > resets:
        yield from _told("", f"{words}lasts until it resets", GOOD, width)
    else:
        yield from _told("", f"{words}full {moment(full, now, zone)} at this pace", WARNING, width)


def _history(samples: Sequence[Sample], now: float, width: int) -> Iterator[Line]:
    if samples:
        line = sparkline(used_slots(samples, now), 100)
        yield _drawn("", line, NOTICE, f"used, {HOURS} h", width)


def _drawn(name: str, line: str, style: str, words: str, width: int) -> Line:
    """A sparkline behind its name; where there is no room its words go first, then its oldest part."""
    line = line[-max(1, width - NAME) :]
    beside = f"  {words}" if NAME + len(line) + 2 + len(words) <= width else ""
    return ((f"{name:<{NAME}}", QUIET), (line, style), (beside, QUIET))


def _credits(
    dollars: Credits, samples: Sequence[Sample], now: float, zone: tzinfo, width: int
) -> Iterator[Line]:
    words = f"${dollars.balance_usd:.2f}"
    words += f" of ${dollars.allowance_usd:.2f} left" if dollars.allowance_usd else " left"
    words += f", ${dollars.purchased_usd:.2f} bought" if dollars.purchased_usd else ""
    until = ""
    if dollars.until is not None:
        until = f"new ones {moment(dollars.until, now, zone)}, in {span(dollars.until - now)}"
    if (used := dollars.used_percent) is None:
        yield from _told("credits", f"{words} {until}", "", width)
        return
    yield from _meter("credits", used, f"{used:.0f}%", words, width)
    if until:
        yield from _told("", until, "", width)
    yield from _pace(samples, dollars.until, now, zone, width)
    yield from _history(samples, now, width)


def _traffic(trail: Trail, now: float, width: int) -> Iterator[Line]:
    tallies = tally_slots(trail, now)
    requests, faults = sum(t.requests for t in tallies), sum(t.faults for t in tallies)
    if not requests:
        yield from _told("requests", f"none in {HOURS} h", QUIET, width)
        return
    most = max(t.requests for t in tallies)
    line = sparkline([t.requests or None for t in tallies], most)
    yield _drawn("requests", line, GOOD, f"{requests} in {HOURS} h", width)
    if faults:
        line = sparkline([t.faults or None for t in tallies], most)
        yield _drawn("faults", line, FAULT, f"{faults} in {HOURS} h", width)
