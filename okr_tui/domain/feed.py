"""The live feed: the log's records as lines for people, and the recoveries that time alone brings."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from typing import Literal

from okr_tui.domain.choice import Roster
from okr_tui.domain.faults import FaultKind
from okr_tui.domain.health import State, verdict
from okr_tui.domain.policy import Policy
from okr_tui.domain.pool import apply
from okr_tui.domain.records import (
    Attempt,
    BalanceRead,
    Client,
    Command,
    Disabled,
    Enabled,
    ModelsRead,
    Record,
    Reset,
    SettingsRead,
    Use,
)
from okr_tui.domain.state import PoolState
from okr_tui.domain.view import PoolView
from okr_tui.domain.words import moment, sentence

Tone = Literal["fault", "warning", "good", "info", "quiet"]
BLOCKED = frozenset({State.SPENT, State.SLOWED, State.SHAKY, State.INVALID, State.SUSPENDED, State.OUTAGE})


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the feed. `at` is epoch seconds; `key` the 1-based place or None; `detail` may be empty.

    `record` is what it tells of, `sequence` its place in the log; None where time alone brought the line.

    Tones: a fault, a warning, good news, information, and quiet for requests that went well.
    """

    at: float
    tone: Tone
    text: str
    detail: str = ""
    key: int | None = None
    fingerprint: str | None = None
    model: str | None = None
    client: Client | None = None
    sequence: int | None = None
    record: Record | None = field(default=None, compare=False, repr=False)


def entry(
    record: Record,
    after: PoolState,
    roster: Roster,
    policy: Policy,
    zone: tzinfo = UTC,
    sequence: int | None = None,
) -> Entry | None:
    """The line for a record, given the pool's state after it; None for what a person need not see."""
    line = _line(record, after, roster, policy, zone)
    if line is None:
        return None
    client = record.client if isinstance(record, Attempt | Command) else None
    return replace(line, client=client, sequence=sequence, record=record)


def _line(record: Record, after: PoolState, roster: Roster, policy: Policy, zone: tzinfo) -> Entry | None:
    match record:
        case Attempt():
            return _attempt(record, after, roster, policy, zone)
        case BalanceRead() if not record.balance.understood:
            return _about_key(record.fingerprint, record.at, "warning", "quota format not understood", roster)
        case Use():
            return _about_key(record.fingerprint, record.at, "info", "chosen as preferred key", roster)
        case Reset():
            return _about_key(record.fingerprint, record.at, "info", "reset: older faults forgotten", roster)
        case Enabled():
            return _about_key(record.fingerprint, record.at, "info", "switched on", roster)
        case Disabled():
            return _about_key(record.fingerprint, record.at, "info", "switched off", roster)
        case SettingsRead():
            if record.problems:
                return Entry(record.at, "warning", record.problems[0], f"{len(record.problems)} in settings")
            plural = "" if record.keys == 1 else "s"
            return Entry(record.at, "info", f"settings read: {record.keys} key{plural}", record.cloud_url)
        case ModelsRead():
            return _models(record)
        case _:
            return None


def history(
    logged: Iterable[tuple[int, Record]],
    state: PoolState,
    roster: Roster,
    policy: Policy,
    until: float | None = None,
    zone: tzinfo = UTC,
) -> Iterator[tuple[PoolState, Entry | None]]:
    """Lines for a stretch of the log, from the state before it, each with the state then.

    Keys whose block ran out between two records, or by `until`, are told where they came back.
    """
    last: float | None = None
    for sequence, record in logged:
        if last is not None:
            yield from ((state, back) for back in returns(state, roster, policy, last, record.at))
        state = apply(state, record, policy)
        last = max(record.at, last or record.at)
        yield state, entry(record, state, roster, policy, zone, sequence)
    if last is not None and until is not None:
        yield from ((state, back) for back in returns(state, roster, policy, last, until))


def returns(
    state: PoolState, roster: Roster, policy: Policy, since: float, until: float
) -> tuple[Entry, ...]:
    """The keys whose block runs out after `since` and not after `until` (epoch seconds), oldest first."""
    found: list[Entry] = []
    for index, key in enumerate(roster.keys, 1):
        was = verdict(state, key.fingerprint, now=since, policy=policy)
        if was.state not in BLOCKED or was.until is None or not since < was.until <= until:
            continue
        if verdict(state, key.fingerprint, now=was.until, policy=policy).eligible:
            text = f"#{index} back: {was.state.value} is over"
            found.append(Entry(was.until, "good", text, key=index, fingerprint=key.fingerprint))
    return tuple(sorted(found, key=lambda line: line.at))


def _about_key(fingerprint: str, at: float, tone: Tone, text: str, roster: Roster) -> Entry:
    place = roster.index(fingerprint)
    return Entry(at, tone, f"{_name(place)} {text}", key=place, fingerprint=fingerprint)


def _name(place: int | None) -> str:
    return f"#{place}" if place else "a removed key"


def _attempt(record: Attempt, after: PoolState, roster: Roster, policy: Policy, zone: tzinfo) -> Entry | None:
    place = roster.index(record.fingerprint)
    parts = [record.client, record.model or record.path]
    if record.fault is None:
        if record.client == "probe" or record.outcome == "cancelled":
            return None
        tokens = f"{record.output_tokens} tokens, " if record.output_tokens else ""
        text = f"{_name(place)} {record.model or record.path} ok"
        detail = f"{record.client} · {tokens}{record.duration_ms / 1000:.1f} s"
        return Entry(record.at, "quiet", text, detail, place, record.fingerprint, record.model)
    judged = verdict(after, record.fingerprint, now=record.at, policy=policy, model=record.model)
    blames_caller = record.fault.kind in (FaultKind.REQUEST, FaultKind.GONE, FaultKind.ENDPOINT)
    refused = judged.eligible or blames_caller
    reason = record.fault.text if refused else sentence(judged, record.at, zone)
    following = roster.index(record.next_fingerprint)
    arrow = f" → {_name(following)}" if following else ""
    status = f"{record.fault.status} " if record.fault.status else ""
    parts.append(f"{status}{record.fault.text}")
    tone: Tone = "warning" if blames_caller or judged.eligible else "fault"
    return Entry(
        record.at,
        tone,
        f"{_name(place)} {reason}{arrow}",
        " · ".join(parts),
        place,
        record.fingerprint,
        record.model,
    )


def _models(record: ModelsRead) -> Entry | None:
    if record.error:
        return Entry(record.at, "warning", "models not refreshed, the last list is kept", record.error)
    if not record.added and not record.removed:
        return None
    changes = [f"+{name}" for name in record.added] + [f"-{name}" for name in record.removed]
    return Entry(record.at, "info", f"{record.count} models", " ".join(changes))


def recoveries(before: PoolView, after: PoolView, at: float, zone: tzinfo = UTC) -> tuple[Entry, ...]:
    """What changed between two looks at the pool without a record: keys whose block ran out, and outages."""
    found: list[Entry] = []
    old = {row.fingerprint: row for row in before.keys}
    for row in after.keys:
        was = old.get(row.fingerprint)
        if was and was.state in BLOCKED and row.verdict.eligible:
            text = f"#{row.index} back: {was.state.value} is over"
            found.append(Entry(at, "good", text, key=row.index, fingerprint=row.fingerprint))
    if after.outage and not before.outage:
        until = f", next try {moment(after.outage.until, at, zone)}" if after.outage.until else ""
        found.append(Entry(at, "fault", f"the cloud does not answer{until}", after.outage.reason))
    if before.outage and not after.outage:
        found.append(Entry(at, "good", "outage over, trying again"))
    return tuple(found)
