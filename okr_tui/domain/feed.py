"""The live feed: the log's records as lines for people. Only records make lines, never time."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import field, replace
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final

from okr_tui.domain import alerts
from okr_tui.domain.choice import PoolConfig, absent_key_name, common_refusal, other_person
from okr_tui.domain.faults import BlockCause, Fault, Retry, Rule, Tone
from okr_tui.domain.fold import apply
from okr_tui.domain.health import BLOCKS, Verdict, blocked, verdict
from okr_tui.domain.policy import Policy
from okr_tui.domain.records import (
    Alert,
    Attempt,
    BalanceRead,
    Client,
    Command,
    Disabled,
    Enabled,
    FellBack,
    IdentityRead,
    ModelsRead,
    Record,
    Reset,
    ResetUndone,
    SettingsRead,
    Use,
)
from okr_tui.domain.state import Block, PoolState, replacer
from okr_tui.domain.values import dataclass
from okr_tui.domain.words import moment, sentence, span

SAME_RETURN: Final = 90.0
"""Seconds by which a return may move without a line: more than the jitter of one that was estimated."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the feed. `at` is epoch seconds; `key` the 1-based index or None; `detail` may be empty.

    `record` is its record, `sequence` its position in the log. `more` is shown where there is room; `brief`
    is the text without where the request went on, and `trace` names the request that the line is a part of.
    `called` is what a key is called that this machine does not hold.

    Tones: "fault" needs a person; "warning" is a switch, a spent window or an outage; "good" and "info" are
    news; "quiet" went well or heals by itself.
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
    more: str = ""
    brief: str = ""
    trace: str | None = None
    called: str = ""

    @property
    def key_name(self) -> str:
        """What its key is called."""
        return f"#{self.key}" if self.key else self.called or "a removed key"

    @property
    def is_fault(self) -> bool:
        """Whether something went wrong, whoever has to act."""
        failed = isinstance(self.record, Attempt) and self.record.fault is not None
        return failed or self.tone in ("fault", "warning")


_entry_with: Final = replacer(Entry)


def entries(
    record: Record,
    before: PoolState,
    after: PoolState,
    config: PoolConfig,
    policy: Policy,
    zone: tzinfo = UTC,
    sequence: int | None = None,
) -> tuple[Entry, ...]:
    """Return the lines for a record, given the pool's state before and after it; none if it is no news.

    What the record itself says comes first, then what follows from it.
    """
    own = entry(record, after, config, policy, zone)
    found = (*((own,) if own else ()), *consequences(record, before, after, config, policy, zone))
    client = record.client if isinstance(record, Attempt | Command | FellBack) else None
    return tuple([_entry_with(line, client=client, sequence=sequence, record=record) for line in found])


def consequences(
    record: Record,
    before: PoolState,
    after: PoolState,
    config: PoolConfig,
    policy: Policy,
    zone: tzinfo = UTC,
) -> Iterator[Entry]:
    """Yield the lines for what a record shows: a better known return, keys that are back, an outage."""
    yield from _rescheduled(record, before, after, config, policy, zone)
    yield from _proven(record, before, after, config, policy)
    yield from _outage(record, before, after, config, policy, zone)


def entry(
    record: Record, after: PoolState, config: PoolConfig, policy: Policy, zone: tzinfo = UTC
) -> Entry | None:
    """Return the line for what a record itself says; None if it is not worth showing."""
    match record:
        case Attempt(fault=None):
            return _success(record, config)
        case Attempt(fault=Fault() as fault):
            return _failure(record, fault, after, config, policy, zone)
        case BalanceRead() if not record.balance.understood:
            return _quota_not_understood(record, config)
        case Use():
            return _by_hand(record, "chosen as preferred key", config)
        case Reset():
            return _by_hand(record, "reset: older faults forgotten", config)
        case ResetUndone():
            return _by_hand(record, "reset undone: older faults count again", config)
        case Enabled():
            return _by_hand(record, "switched on", config)
        case Disabled():
            return _by_hand(record, "switched off", config)
        case SettingsRead() if other_person(record.who, config):
            return None  # their own settings, on their own machine
        case SettingsRead():
            if record.problems:
                count = len(record.problems)
                detail = f"{count} problem{'' if count == 1 else 's'} in the settings"
                return Entry(record.at, "warning", record.problems[0], detail)
            plural = "" if record.keys == 1 else "s"
            return Entry(record.at, "info", f"settings read: {record.keys} key{plural}", record.cloud_url)
        case ModelsRead():
            return _models(record)
        case FellBack():
            return _fell_back(record, config)
        case Alert():
            return _alert(record, after, config, zone)
        case _:
            return None


def _fell_back(record: FellBack, config: PoolConfig) -> Entry:
    who = _sender(record, config)
    if record.answered_by == record.model:  # it was asked for by its own name
        return Entry(record.at, "info", f"{record.model} answers", who, model=record.model)
    text = f"{record.answered_by} answers instead of {record.model}"
    return Entry(record.at, "warning", text, f"{who} · no key could", model=record.model)


def _alert(record: Alert, after: PoolState, config: PoolConfig, zone: tzinfo) -> Entry | None:
    """Return the line of an alert; None where another process was first, or another record says the same."""
    event = alerts.reported_as(record)
    if after.alerts.get(record.name) != record or event is None or not alerts.EVENTS[event].in_feed:
        return None
    concerning = alerts.concerning(record, after, config)
    if concerning is None:
        return None
    text, index = alerts.text(concerning, config, zone), config.index(concerning.fingerprint)
    return Entry(record.at, alerts.EVENTS[event].tone, text, key=index, fingerprint=concerning.fingerprint)


def history(
    logged: Iterable[tuple[int, Record]],
    state: PoolState,
    config: PoolConfig,
    policy: Policy,
    zone: tzinfo = UTC,
) -> Iterator[tuple[PoolState, tuple[Entry, ...]]]:
    """Yield, for each record of a stretch of the log, the state after it and the lines that it brings.

    `logged` are the records with their positions in the log, oldest first, and `state` the state before the
    first.
    """
    for sequence, record in logged:
        before, state = state, apply(state, record, policy)
        yield state, entries(record, before, state, config, policy, zone, sequence)


def _quota_not_understood(record: BalanceRead, config: PoolConfig) -> Entry:
    index = config.index(record.fingerprint)
    text = f"{_name(index, other_person(record.who, config))} quota format not understood"
    return Entry(record.at, "warning", text, key=index, fingerprint=record.fingerprint)


def _by_hand(record: Use | Reset | ResetUndone | Enabled | Disabled, text: str, config: PoolConfig) -> Entry:
    """Return the line of what a person did to a key, with their name if it was another one."""
    other = other_person(record.who, config)
    index = config.index(record.fingerprint)
    words = f"{_name(index, other)} {text}{f' by {other}' if other else ''}"
    return Entry(record.at, "info", words, key=index, fingerprint=record.fingerprint)


def _name(index: int | None, owner: str | None = None) -> str:
    """Return what a key is called; one that this machine does not hold is named after its user."""
    if index:
        return f"#{index}"
    return absent_key_name(owner)


def _sender(record: Attempt | FellBack, config: PoolConfig) -> str:
    """Return who sent a request, with the name of another person in front."""
    other = other_person(record.who, config)
    return f"{other}'s {sender(record)}" if other else sender(record)


def sender(record: Attempt | FellBack) -> str:
    """Return who sent a request: the gateway's caller by name, else our own client."""
    return record.caller or record.client


def _success(record: Attempt, config: PoolConfig) -> Entry | None:
    if record.client == "probe" or record.outcome == "cancelled":
        return None
    index = config.index(record.fingerprint)
    first, tokens = record.first_byte_ms, record.output_tokens or 0
    streamed = record.duration_ms - (first or 0) if first is not None else 0
    parts = [_sender(record, config), f"{tokens} tok" if tokens else "", f"{record.duration_ms / 1000:.1f} s"]
    more = [
        f"{1000 * tokens / streamed:.0f} tok/s" if tokens and streamed > 0 else "",
        f"first {first / 1000:.1f} s" if first is not None else "",
    ]
    return Entry(
        record.at,
        "quiet",
        f"{_name(index, other_person(record.who, config))} {record.model or record.path}",
        " · ".join(filter(None, parts)),
        index,
        record.fingerprint,
        record.model,
        more=" · ".join(filter(None, more)),
        brief=_name(index, other_person(record.who, config)),
        trace=record.trace,
        called="" if index else _name(index, other_person(record.who, config)),
    )


def _failure(
    record: Attempt, fault: Fault, after: PoolState, config: PoolConfig, policy: Policy, zone: tzinfo
) -> Entry:
    index = config.index(record.fingerprint)
    key_verdict = verdict(
        after,
        record.fingerprint,
        now=record.at,
        policy=policy,
        model=record.model,
        cloud=record.cloud,
        person=config.person,
    )
    stays = key_verdict.eligible or not fault.traits.blames_key
    reason = fault.text or fault.traits.words
    if not stays:
        reason = sentence(key_verdict, record.at, zone)
    elif record.begun:
        reason += " in the middle of the answer"
    brief = f"{_name(index, other_person(record.who, config))} {reason}"
    parts = [_sender(record, config), record.model or record.path]
    if fault.traits.quoted and fault.text not in brief:
        parts.append(fault.sentence)
    elif fault.status and str(fault.status) not in brief:
        parts.append(str(fault.status))
    return Entry(
        record.at,
        _severity(record, fault, None if stays else key_verdict),
        brief + _onward(record, fault, config),
        " · ".join(parts),
        index,
        record.fingerprint,
        record.model,
        brief=brief,
        trace=record.trace,
        called="" if index else _name(index, other_person(record.who, config)),
    )


def _onward(record: Attempt, fault: Fault, config: PoolConfig) -> str:
    """Return where a request goes after a fault: to a key, or as an error to whoever sent it."""
    if record.client == "probe":
        return ""
    if record.begun:
        return " → the caller has a part of it"
    if record.next_fingerprint == record.fingerprint:
        return " → again"
    if record.next_fingerprint:
        return f" → {_name(config.index(record.next_fingerprint), other_person(record.who, config))}"
    return " → no other key" if fault.traits.retry is Retry.NEXT_KEY else " → the caller"


def _severity(record: Attempt, fault: Fault, verdict: Verdict | None) -> Tone:
    """Return who has to act on a fault; `verdict` is why the key is out now, None while it is not."""
    if record.client != "probe" and record.next_fingerprint is None:
        # A request that has to wait may still be waiting.
        return "warning" if fault.traits.rule in (Rule.SLOTS, Rule.RETRY_AFTER) else "fault"
    if verdict is None:
        return fault.traits.tone if fault.traits.tone != "fault" else "warning"
    doubted = verdict.state.traits.needs_person and verdict.until is not None
    return "warning" if doubted else verdict.state.traits.tone


def _rescheduled(
    record: Record, before: PoolState, after: PoolState, config: PoolConfig, policy: Policy, zone: tzinfo
) -> Iterator[Entry]:
    """Yield a line where a reading moves the return of a spent account: the refusal rarely says it."""
    if not isinstance(record, BalanceRead):
        return
    account = after.account_of(record.fingerprint)
    was = before.account(before.account_of(record.fingerprint)).blocks.get(BlockCause.SPENT)
    now = after.account(account).blocks.get(BlockCause.SPENT)
    if was is None or now is None or was.until is None or now.until is None:
        return
    if not now.holds(record.at) or abs(now.until - was.until) <= SAME_RETURN:
        return
    held = [key.fingerprint for key in config.keys if after.account_of(key.fingerprint) == account]
    if held:
        key_verdict = verdict(
            after, held[0], now=record.at, policy=policy, cloud=config.cloud, person=config.person
        )
        text = (
            f"{' '.join(_name(config.index(each)) for each in held)} {sentence(key_verdict, record.at, zone)}"
        )
        yield Entry(record.at, "info", text, "from the account", config.index(held[0]), held[0])


def _proven(
    record: Record, before: PoolState, after: PoolState, config: PoolConfig, policy: Policy
) -> Iterator[Entry]:
    """Yield a line for keys that are back, as the cloud has accepted a request or a reading of theirs."""
    match record:
        case Attempt(fault=None) if record.outcome == "ok":
            pass
        case BalanceRead() | IdentityRead():
            pass
        case _:
            return
    fingerprint = record.fingerprint
    account = before.account_of(fingerprint)
    own, shared = before.key(fingerprint).blocks, before.account(account).blocks
    if not own and not shared:
        return
    left = {**after.key(fingerprint).blocks, **after.account(after.account_of(fingerprint)).blocks}
    over: list[Block] = [
        block
        for cause, block in (*own.items(), *shared.items())
        if cause not in left and BLOCKS[cause].state.traits.blocked
    ]
    if not over:
        return
    whole = any(block in shared.values() for block in over)
    back = [
        key.fingerprint
        for key in config.keys
        if (key.fingerprint == fingerprint or (whole and before.account_of(key.fingerprint) == account))
        and key.usable
        and verdict(after, key.fingerprint, now=record.at, policy=policy, cloud=config.cloud).eligible
    ]
    if not back:
        return
    names = " ".join(_name(config.index(each)) for each in back)
    longest = min(over, key=lambda block: block.since)
    why = blocked(replace(longest, confirmed=True)).reason
    text = f"{names} back after {span(record.at - longest.since)}: was {why}"
    yield Entry(record.at, "good", text, key=config.index(back[0]), fingerprint=back[0])


def _outage(
    record: Record, before: PoolState, after: PoolState, config: PoolConfig, policy: Policy, zone: tzinfo
) -> Iterator[Entry]:
    """Yield a line where a request shows that the cloud does not answer any more, or answers again."""
    if not isinstance(record, Attempt):
        return
    was, now = before.service(record.cloud).outage, after.service(record.cloud).outage
    forbidden = record.fault is not None and record.fault.traits.block is BlockCause.SUSPENDED
    account = before.account(before.account_of(record.fingerprint))
    blocks_all = forbidden or (record.fault is None and BlockCause.SUSPENDED in account.blocks)
    if blocks_all:
        was = was or common_refusal(before, config, policy)
        now = now or common_refusal(after, config, policy)
    if now and not was:
        verdict = blocked(now)
        until = f", next try {moment(now.until, record.at, zone)}" if now.until else ""
        yield Entry(record.at, "warning", f"{verdict.reason}{until}", "every key waits for the cloud")
    elif was and not now and record.outcome == "ok":
        yield Entry(record.at, "good", f"the cloud answers again after {span(record.at - was.since)}")


def _models(record: ModelsRead) -> Entry | None:
    if record.error and not record.count:
        return Entry(record.at, "warning", "models not refreshed", record.error)
    if record.error:
        return Entry(record.at, "warning", f"{record.count} models, some without details", record.error)
    if not record.added and not record.removed:
        return None
    changes = [f"+{name}" for name in record.added] + [f"-{name}" for name in record.removed]
    return Entry(record.at, "info", f"{record.count} models", " ".join(changes))


Field = tuple[str, str]
"""A name and its value."""


def entry_fields(entry: Entry, key: Callable[[str], str], now: float, zone: tzinfo = UTC) -> list[Field]:
    """Return everything known of a line of the feed, in order. `key` puts a fingerprint in words."""
    fields = [("what", entry.text), ("when", f"{stamp(entry.at, zone)}, {span(now - entry.at)} ago")]
    record = entry.record
    if record is None:
        return [*fields, *([("about", entry.detail)] if entry.detail else [])]
    where = f"{record.kind}, {entry.sequence} in the log" if entry.sequence else record.kind
    return [*fields, *_record_fields(record, key, zone), ("record", where)]


def stamp(at: float, zone: tzinfo) -> str:
    """Return a moment in full, with its day and zone."""
    return f"{datetime.fromtimestamp(at, zone):%a %Y-%m-%d %H:%M:%S %Z}".strip()


def _record_fields(record: Record, key: Callable[[str], str], zone: tzinfo) -> Iterator[Field]:
    if isinstance(record, Attempt):
        yield from _attempt_fields(record, key, zone)
        return
    if isinstance(record, Command) and record.client:
        yield "client", record.client
    if who := getattr(record, "who", None):
        yield "who", who
    if isinstance(record, SettingsRead):
        yield "keys", str(record.keys)
        yield "cloud", record.cloud_url or "none"
        yield from (("problem", problem) for problem in record.problems)
    elif isinstance(record, Alert):
        yield from _alert_fields(record, key, zone)
    elif isinstance(record, FellBack):
        yield "asked for", record.model
        yield "answered by", record.answered_by
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
    yield "client", f"{record.caller} ({record.client})" if record.caller else record.client
    if record.who:
        yield "who", record.who
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
        yield "continued", key(record.next_fingerprint) if record.next_fingerprint else "with no other key"
    yield "started", stamp(record.started, zone)
    if record.first_byte_ms is not None:
        yield "first byte", f"{record.first_byte_ms / 1000:.2f} s"
    yield "took", f"{record.duration_ms / 1000:.2f} s"
    if record.input_tokens is not None or record.output_tokens is not None:
        cached = f" ({record.cached_tokens} cached)" if record.cached_tokens else ""
        yield "tokens", f"{record.input_tokens or 0} in{cached}, {record.output_tokens or 0} out"
    yield "under way", f"{record.in_flight} on the account, this one included"


KEY_NUMBER: Final = re.compile(r"#(\d{1,6})", re.ASCII)


@dataclass(frozen=True, slots=True)
class FeedFilter:
    """A filter for lines, which must contain every word: "429 #3 gpt"; "!gpt" is a word it must not contain.

    `#3` is a line about the key of that number, not about #31. `fingerprint` is one key wherever it is.
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
        if self.faults_only and not entry.is_fault:
            return False
        if self.fingerprint is not None and entry.fingerprint != self.fingerprint:
            return False
        return all(_has(entry, word) for word in self.words.lower().split())


def _has(entry: Entry, word: str) -> bool:
    if word.startswith("!"):
        return len(word) == 1 or not _has(entry, word[1:])
    if number := KEY_NUMBER.fullmatch(word):
        return entry.key == int(number[1])
    return word in _searchable(entry)


@lru_cache(maxsize=512)  # an entry holds a record
def _searchable(entry: Entry) -> str:
    """Return the text that words are searched in."""
    fault = entry.record.fault if isinstance(entry.record, Attempt) else None
    outcome = entry.record.outcome if isinstance(entry.record, Attempt) else entry.tone
    parts = (entry.text, entry.detail, entry.client, entry.model, outcome, entry.tone, fault and fault.text)
    return " ".join(part for part in parts if part).lower()
