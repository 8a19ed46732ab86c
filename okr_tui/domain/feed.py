"""The live feed: the log's records as lines for people, and the recoveries that time alone brings."""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from functools import lru_cache, partial
from itertools import groupby
from typing import Final

from okr_tui.domain import alerts
from okr_tui.domain.choice import PoolConfig
from okr_tui.domain.faults import Tone
from okr_tui.domain.fold import apply
from okr_tui.domain.health import verdict
from okr_tui.domain.policy import Policy
from okr_tui.domain.records import (
    Alert,
    Attempt,
    BalanceRead,
    Client,
    Command,
    Disabled,
    Enabled,
    ModelsRead,
    Record,
    Reset,
    ResetUndone,
    SettingsRead,
    Use,
)
from okr_tui.domain.state import PoolState
from okr_tui.domain.view import PoolView
from okr_tui.domain.words import moment, sentence, span


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the feed. `at` is epoch seconds; `key` the 1-based place or None; `detail` may be empty.

    `record` is its record, `sequence` its place in the log; None where time alone brought the line.

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
    config: PoolConfig,
    policy: Policy,
    zone: tzinfo = UTC,
    sequence: int | None = None,
) -> Entry | None:
    """Return the line for a record, given the pool's state after it; None if it is not worth showing."""
    line = _line(record, after, config, policy, zone)
    if line is None:
        return None
    client = record.client if isinstance(record, Attempt | Command) else None
    return replace(line, client=client, sequence=sequence, record=record)


def _line(record: Record, after: PoolState, config: PoolConfig, policy: Policy, zone: tzinfo) -> Entry | None:
    match record:
        case Attempt():
            return _attempt(record, after, config, policy, zone)
        case BalanceRead() if not record.balance.understood:
            return _about_key(record.fingerprint, record.at, "warning", "quota format not understood", config)
        case Use():
            return _about_key(record.fingerprint, record.at, "info", "chosen as preferred key", config)
        case Reset():
            return _about_key(record.fingerprint, record.at, "info", "reset: older faults forgotten", config)
        case ResetUndone():
            return _about_key(record.fingerprint, record.at, "info", "reset undone: old faults count", config)
        case Enabled():
            return _about_key(record.fingerprint, record.at, "info", "switched on", config)
        case Disabled():
            return _about_key(record.fingerprint, record.at, "info", "switched off", config)
        case SettingsRead():
            if record.problems:
                return Entry(record.at, "warning", record.problems[0], f"{len(record.problems)} in settings")
            plural = "" if record.keys == 1 else "s"
            return Entry(record.at, "info", f"settings read: {record.keys} key{plural}", record.cloud_url)
        case ModelsRead():
            return _models(record)
        case Alert():
            return _alert(record, after, config, zone)
        case _:
            return None


def _alert(record: Alert, after: PoolState, config: PoolConfig, zone: tzinfo) -> Entry | None:
    """Return the line of an alert; None where another process was first, or another record tells the same."""
    told = alerts.told_as(record)
    if after.alerts.get(record.name) != record or told is None or not alerts.EVENTS[told].in_feed:
        return None
    tone, place = alerts.EVENTS[told].tone, config.index(record.fingerprint)
    return Entry(
        record.at, tone, alerts.text(record, config, zone), key=place, fingerprint=record.fingerprint
    )


def history(
    logged: Iterable[tuple[int, Record]],
    state: PoolState,
    config: PoolConfig,
    policy: Policy,
    until: float | None = None,
    zone: tzinfo = UTC,
) -> Iterator[tuple[PoolState, tuple[Entry, ...]]]:
    """Yield, for each record of a stretch of the log, the state after it and the lines that it brings.

    The lines of a record are those of the keys whose block ended since the record before, and its own; the
    last record's are followed by those of the keys whose block ended by `until` (epoch seconds). `logged` is
    each record behind its place in the log, oldest first, and `state` the state before the first of them.
    """
    pending: tuple[PoolState, tuple[Entry, ...]] | None = None
    last = 0.0
    for sequence, record in logged:
        lines: tuple[Entry, ...] = ()
        if pending:
            yield pending
            lines = returns(state, config, policy, last, record.at)
        state = apply(state, record, policy)
        own = entry(record, state, config, policy, zone, sequence)
        pending = state, (*lines, own) if own else lines
        last = max(record.at, last)
    if pending:
        later = () if until is None else returns(state, config, policy, last, until)
        yield state, (*pending[1], *later)


def returns(
    state: PoolState, config: PoolConfig, policy: Policy, since: float, until: float
) -> tuple[Entry, ...]:
    """Return the lines for keys whose block ends after `since`, by `until` (epoch seconds), oldest first."""
    found: list[Entry] = []
    for index, key in enumerate(config.keys, 1):
        judge = partial(verdict, state, key.fingerprint, policy=policy, cloud=config.cloud)
        was = judge(now=since, trusted=key.trusted)
        if not was.state.traits.blocked or was.until is None or not since < was.until <= until:
            continue
        if judge(now=was.until).eligible:
            text = f"#{index} back: {was.state.value} is over"
            found.append(Entry(was.until, "good", text, key=index, fingerprint=key.fingerprint))
    return tuple(sorted(found, key=lambda line: line.at))


def _about_key(fingerprint: str, at: float, tone: Tone, text: str, config: PoolConfig) -> Entry:
    place = config.index(fingerprint)
    return Entry(at, tone, f"{_name(place)} {text}", key=place, fingerprint=fingerprint)


def _name(place: int | None) -> str:
    return f"#{place}" if place else "a removed key"


def _attempt(
    record: Attempt, after: PoolState, config: PoolConfig, policy: Policy, zone: tzinfo
) -> Entry | None:
    place = config.index(record.fingerprint)
    parts = [record.client, record.model or record.path]
    if record.fault is None:
        if record.client == "probe" or record.outcome == "cancelled":
            return None
        tokens = f"{record.output_tokens} tokens, " if record.output_tokens else ""
        text = f"{_name(place)} {record.model or record.path} ok"
        detail = f"{record.client} · {tokens}{record.duration_ms / 1000:.1f} s"
        return Entry(record.at, "quiet", text, detail, place, record.fingerprint, record.model)
    judged = verdict(
        after, record.fingerprint, now=record.at, policy=policy, model=record.model, cloud=record.cloud
    )
    blames_caller = not record.fault.traits.blames_key
    refused = judged.eligible or blames_caller
    reason = record.fault.text if refused else sentence(judged, record.at, zone)
    following = config.index(record.next_fingerprint)
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
    """Return what time alone changed between two views: keys whose block ended, and outages."""
    found: list[Entry] = []
    old = {row.fingerprint: row for row in before.keys}
    for row in after.keys:
        was = old.get(row.fingerprint)
        if was and was.state.traits.blocked and row.verdict.eligible:
            text = f"#{row.index} back: {was.state.value} is over"
            found.append(Entry(at, "good", text, key=row.index, fingerprint=row.fingerprint))
    if after.outage and not before.outage:
        until = f", next try {moment(after.outage.until, at, zone)}" if after.outage.until else ""
        found.append(Entry(at, "fault", f"the cloud does not answer{until}", after.outage.reason))
    if before.outage and not after.outage:
        found.append(Entry(at, "good", "outage over, trying again"))
    return tuple(found)


Field = tuple[str, str]
"""A name and its value."""


def entry_fields(entry: Entry, key: Callable[[str], str], now: float, zone: tzinfo = UTC) -> list[Field]:
    """Return everything known of a line of the feed, in order. `key` puts a fingerprint in words."""
    fields = [("what", entry.text), ("when", f"{stamp(entry.at, zone)}, {span(now - entry.at)} ago")]
    record = entry.record
    if record is None:
        fields += [("about", entry.detail)] if entry.detail else []
        return [*fields, ("record", "none: only time passed")]
    place = f"{record.kind}, {entry.sequence} in the log" if entry.sequence else record.kind
    return [*fields, *_record_fields(record, key, zone), ("record", place)]


def stamp(at: float, zone: tzinfo) -> str:
    """Return a moment in full, with its day and zone."""
    return f"{datetime.fromtimestamp(at, zone):%a %Y-%m-%d %H:%M:%S %Z}".strip()


def _record_fields(record: Record, key: Callable[[str], str], zone: tzinfo) -> Iterator[Field]:
    if isinstance(record, Attempt):
        yield from _attempt_fields(record, key, zone)
        return
    if isinstance(record, Command) and record.client:
        yield "client", record.client
    if isinstance(record, SettingsRead):
        yield "keys", str(record.keys)
        yield "cloud", record.cloud_url or "none"
        yield from (("problem", problem) for problem in record.problems)
    elif isinstance(record, Alert):
        yield from _alert_fields(record, key, zone)
    elif isinstance(record, ModelsRead):
        yield "models", str(record.count)
        yield from (("added", name) for name in record.added)
        yield from (("removed", name) for name in record.removed)
        if record.error:
            yield "error", record.error
    else:
        yield "key", key(record.fingerprint)


def _alert_fields(record: Alert, key: Callable[[str], str], zone: tzinfo) -> Iterator[Field]:
    yield "alert", f"{record.event} {'is over' if record.over else ''}".strip()
    if record.fingerprint:
        yield "key", key(record.fingerprint)
    if record.window:
        yield "window", record.window
    if record.percent is not None:
        yield "used", f"{record.percent:g}%"
    if record.until is not None:
        yield "until", stamp(record.until, zone)


def _attempt_fields(record: Attempt, key: Callable[[str], str], zone: tzinfo) -> Iterator[Field]:
    yield "client", record.client
    yield "key", key(record.fingerprint)
    yield "model", record.model or "none"
    yield "path", record.path
    yield "outcome", record.outcome
    if fault := record.fault:
        window = f", {fault.window} window" if fault.window else ""
        yield "fault", f"{fault.kind.value}{window}"
        yield "concerns", f"the {fault.scope.value.replace('-', ' and ')}"
        yield "status", str(fault.status) if fault.status else "no answer"
        yield "response", fault.text or "empty"
        if fault.retry_after is not None:
            yield "retry after", span(fault.retry_after)
        if fault.max_concurrent is not None:
            yield "slots", f"{fault.max_concurrent} at once"
        if fault.max_output is not None:
            yield "longest", f"{fault.max_output} tokens"
        yield "went on", key(record.next_fingerprint) if record.next_fingerprint else "with no other key"
    yield "started", stamp(record.started, zone)
    if record.first_byte_ms is not None:
        yield "first byte", f"{record.first_byte_ms / 1000:.2f} s"
    yield "took", f"{record.duration_ms / 1000:.2f} s"
    if record.input_tokens is not None or record.output_tokens is not None:
        cached = f" ({record.cached_tokens} cached)" if record.cached_tokens else ""
        yield "tokens", f"{record.input_tokens or 0} in{cached}, {record.output_tokens or 0} out"
    yield "under way", f"{record.in_flight} on the account, this one included"


MOST: Final = 2000
"""Lines kept while the user reads back; lines further away are read again when reached."""


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of the log in lines, oldest first, and the places (inclusive) of the records looked at.

    `seen` counts all lines of the stretch, wanted or not; `ends`: the log has nothing beyond it.
    """

    entries: tuple[Entry, ...]
    first: int | None
    last: int | None
    seen: int
    ends: bool


@dataclass(frozen=True, slots=True)
class FeedWindow:
    """Lines from oldest to newest. `latest`: it reaches the newest line; `whole`: it begins with the log.

    `left_out` counts the lines of older stretches that were read and not wanted.
    """

    entries: tuple[Entry, ...] = ()
    latest: bool = True
    whole: bool = False
    first: int | None = None
    last: int | None = None
    left_out: int = 0

    def with_news(self, news: tuple[Entry, ...], most: int = MOST) -> "FeedWindow":
        """Return the window with the newest lines after its own, if they join on and there is room."""
        if not self.latest or not news:
            return self
        start = _place(self.entries, news[0]) if self.entries else 0
        if start is None or start + len(news) > max(most, len(news)):
            return replace(self, latest=False)
        return replace(self, entries=(*self.entries[:start], *news))

    def with_older(self, page: Page, most: int = MOST) -> "FeedWindow":
        """Return the window with an older stretch before it; surplus lines are dropped at the newer end."""
        entries = (*page.entries, *self.entries)
        cut = len(entries) > most
        kept = entries[:most]
        return replace(
            self,
            entries=kept,
            latest=self.latest and not cut,
            whole=page.ends,
            first=page.first if page.first is not None else self.first,
            last=_last(kept) if cut else self.last,
            left_out=self.left_out + page.seen - len(page.entries),
        )

    def with_newer(self, page: Page, news: tuple[Entry, ...], most: int = MOST) -> "FeedWindow":
        """Return the window with a newer stretch after it, joined to the newest once it reaches them."""
        begin = next((entry.sequence for entry in news if entry.sequence is not None), None)
        reached = page.ends or (begin is not None and page.last is not None and page.last >= begin)
        more = page.entries
        if reached:
            older = (e for e in more if begin is None or (e.sequence is not None and e.sequence < begin))
            more = (*older, *news)
        entries = (*self.entries, *more)
        kept = entries[-most:]
        cut = len(kept) < len(entries)
        return replace(
            self,
            entries=kept,
            latest=reached,
            whole=self.whole and not cut,
            first=_first(kept) if cut else self.first,
            last=None if reached else page.last,
            left_out=0 if cut else self.left_out + page.seen - len(page.entries),
        )

    @property
    def before(self) -> int | None:
        """The place in the log before which older lines are read."""
        return self.first if self.first is not None else _first(self.entries)

    @property
    def after(self) -> int | None:
        """The place in the log behind which newer lines are read."""
        return self.last if self.last is not None else _last(self.entries)

    def unseen(self, news: tuple[Entry, ...]) -> int:
        """Return how many of the newest lines are not in the window."""
        if not self.entries:
            return len(news)
        place = _place(news, self.entries[-1])
        return len(news) if place is None else len(news) - place - 1


def _place(entries: tuple[Entry, ...], wanted: Entry) -> int | None:
    return next((place for place in range(len(entries) - 1, -1, -1) if entries[place] == wanted), None)


def _first(entries: tuple[Entry, ...]) -> int | None:
    return next((entry.sequence for entry in entries if entry.sequence is not None), None)


def _last(entries: tuple[Entry, ...]) -> int | None:
    return next((entry.sequence for entry in reversed(entries) if entry.sequence is not None), None)


FAULTS: Final = frozenset({"fault", "warning"})
KEY_NUMBER: Final = re.compile(r"#(\d{1,6})", re.ASCII)


@dataclass(frozen=True, slots=True)
class FeedFilter:
    """A filter for lines, which must contain every word: "429 #3 gpt"; "!gpt" is a word it must not contain.

    `#3` is a line about the key at that place, not about #31. `fingerprint` is one key wherever it is.
    """

    faults_only: bool = False
    fingerprint: str | None = None
    words: str = ""

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not (self.faults_only or self.fingerprint or self.words.strip())

    def matches(self, entry: Entry) -> bool:
        """Return whether a line is wanted."""
        if self.faults_only and entry.tone not in FAULTS:
            return False
        if self.fingerprint is not None and entry.fingerprint != self.fingerprint:
            return False
        return all(_has(entry, word) for word in self.words.lower().split())


def _has(entry: Entry, word: str) -> bool:
    if word.startswith("!"):
        return len(word) == 1 or not _has(entry, word[1:])
    if number := KEY_NUMBER.fullmatch(word):
        return entry.key == int(number[1])
    return word in _said(entry)


@lru_cache(maxsize=4096)
def _said(entry: Entry) -> str:
    """Return the text that words are searched in."""
    parts = (entry.text, entry.detail, entry.client, entry.model, entry.tone)
    return " ".join(part for part in parts if part).lower()


QUIET_LEAST: Final = 3
ALIKE_LEAST: Final = 2


@dataclass(frozen=True, slots=True)
class Group:
    """One line of the feed as it is shown: an entry, or a run of alike ones, oldest first."""

    entries: tuple[Entry, ...]

    @property
    def newest(self) -> Entry:
        """The newest entry, which represents the group."""
        return self.entries[-1]

    @property
    def at(self) -> float:
        """When it last happened (epoch seconds)."""
        return self.newest.at

    @property
    def tone(self) -> Tone:
        """The tone of all of them."""
        return self.newest.tone

    @property
    def text(self) -> str:
        """The line: the newest entry's with the count, or how many requests went well."""
        count = len(self.entries)
        if count == 1:
            return self.newest.text
        return f"{count} requests ok" if self.tone == "quiet" else f"{self.newest.text} ×{count}"

    @property
    def detail(self) -> str:
        """The detail after the text; for a run also the time it spans."""
        if len(self.entries) == 1:
            return self.newest.detail
        within = f"in {span(self.newest.at - self.entries[0].at)}"
        if self.tone != "quiet":
            return " · ".join(part for part in (within, self.newest.detail) if part)
        counts = Counter(entry.key for entry in self.entries)
        keys = " ".join(f"#{key or '?'} ×{count}" for key, count in counts.most_common(6))
        return f"{keys} · {within}"


def grouped(entries: Iterable[Entry]) -> Iterator[Group]:
    """Return the lines for entries in order; successes, and faults that say the same, are one line."""
    for _, run in groupby(entries, key=_kind):
        alike = tuple(run)
        if len(alike) < (QUIET_LEAST if alike[0].tone == "quiet" else ALIKE_LEAST):
            yield from (Group((entry,)) for entry in alike)
        else:
            yield Group(alike)


def _kind(entry: Entry) -> Hashable:
    """Return what entries of one run have in common; the time a key is back may differ."""
    if entry.tone == "quiet":
        return "quiet"
    record = entry.record
    if isinstance(record, Attempt) and record.fault:
        fault = record.fault
        about = (entry.fingerprint, entry.client, entry.model, record.path)
        return (*about, fault.kind, fault.status, fault.text)
    return (entry.tone, entry.fingerprint, entry.text, entry.detail)
