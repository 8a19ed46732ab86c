"""Alerts: what a person wants to know at once, found in the pool's state. Pure.

What holds now and has not been raised since it began is raised; what was raised and no longer holds is over.
Both become records, and the fold keeps the last of each name: so every process on the log reports each
crossing once, and again only after the end of it, or after the reset of its window.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from hashlib import blake2s
from typing import Final, Literal, NamedTuple

from okr_tui.domain.choice import PoolConfig, absent_key_name, common_refusal, other_person
from okr_tui.domain.faults import BlockCause, Tone
from okr_tui.domain.forecast import empty_at
from okr_tui.domain.health import spent_words
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy
from okr_tui.domain.quota import Balance, tightest_window
from okr_tui.domain.records import ALERT_EVENTS, OWN_EVENTS, Alert, AlertEvent
from okr_tui.domain.state import AccountState, Block, KeyState, PoolState
from okr_tui.domain.status_line import FORECAST, LOW
from okr_tui.domain.usage import BudgetState
from okr_tui.domain.values import dataclass
from okr_tui.domain.words import WINDOW_WORDS, moment, rfc3339

Terminal = Literal["auto", "osc9", "osc99", "osc777", "bell", "off"]
"""How a terminal is asked to notify."""


class QuietHours(NamedTuple):
    """A stretch of every day in which only the log has the alerts, in minutes after midnight."""

    begin: int
    end: int

    def include(self, at: float, zone: tzinfo) -> bool:
        """Return whether a moment (epoch seconds) is in it, by the clock of a zone."""
        there = datetime.fromtimestamp(at, zone)
        minute = 60 * there.hour + there.minute
        if self.begin <= self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end


@dataclass(frozen=True, slots=True)
class AlertRules:
    """When and how a person is alerted: the defaults of the settings section `okr-tui.alerts`.

    Percents are of a window that is used, seconds and dollars as named. `amber_percent` and
    `critical_percent` colour the bars too.
    """

    events: tuple[AlertEvent, ...] = tuple(event for event in ALERT_EVENTS if event != "slowed")
    amber_percent: float = 75
    low_percent: float = LOW
    critical_percent: float = 95
    low_dollars: float = 1
    empty_within: float = FORECAST
    pace_seconds: float = 600
    unused_percent: float = 50
    unused_within: float = 86400
    stale_seconds: float = 900
    clock_seconds: float = 120
    quiet_hours: QuietHours | None = None
    toasts: bool = True
    terminal: Terminal = "auto"
    bell: bool = False
    title: bool = True
    hook_seconds: float = 10
    hooks_at_once: int = 4
    hooks_an_hour: int = 60

    def is_quiet(self, at: float, zone: tzinfo) -> bool:
        """Return whether a moment (epoch seconds) is in the quiet hours of a zone."""
        return self.quiet_hours is not None and self.quiet_hours.include(at, zone)


DEFAULT_RULES: Final = AlertRules()


class EventTraits(NamedTuple):
    """An event: how it looks, and whether the feed has no other line for it."""

    tone: Tone
    in_feed: bool = True
    returns: bool = False
    """Whether its end is news of its own, the event "back"."""


EVENTS: Final[Mapping[AlertEvent, EventTraits]] = {
    "spent": EventTraits("warning", in_feed=False, returns=True),
    "slowed": EventTraits("quiet", in_feed=False, returns=True),
    "invalid": EventTraits("fault", in_feed=False, returns=True),
    "back": EventTraits("good", in_feed=False),
    "last-key": EventTraits("warning"),
    "empty-soon": EventTraits("warning"),
    "outage": EventTraits("warning", in_feed=False, returns=True),
    "gateway-down": EventTraits("fault"),
    "window-80": EventTraits("warning"),
    "window-95": EventTraits("warning"),
    "unused": EventTraits("info"),
    "budget": EventTraits("warning"),
}
FACTS: Final = frozenset({"spent", "invalid"})
"""Events that everybody finds in the state, whatever their rules."""
SLACK: Final = 5.0
"""Percent by which a window must have emptied before a mark is passed once more: readings differ a little."""
LONG_WINDOWS: Final = frozenset({"weekly", "monthly", "credits"})
"""Windows of which it is worth telling that much will be lost; a session is back after five hours anyway."""


class Finding(NamedTuple):
    """An alert that holds; one that is not `new` only keeps an earlier one from being over."""

    alert: Alert
    new: bool = True


class Quota(NamedTuple):
    """One limit of an account: percent used, and its reset in epoch seconds."""

    window: str
    used: float
    resets_at: float | None


class Holder(NamedTuple):
    """A quota's name, the keys in use that have it, the first one's account, and whether it is spent."""

    name: str
    keys: tuple[Key, ...]
    account: AccountState
    is_spent: bool

    def alert(self, event: AlertEvent, now: float, quota: Quota | None = None) -> Alert:
        """Return an alert about it, or about one limit of it."""
        return Alert(
            at=now,
            event=event,
            subject=self.name,
            fingerprint=self.keys[0].fingerprint,
            window=quota.window if quota else None,
            percent=quota.used if quota else None,
            until=quota.resets_at if quota else None,
        )


def due(
    state: PoolState,
    config: PoolConfig,
    policy: Policy,
    rules: AlertRules,
    now: float,
    *,
    slowed: bool = False,
    gateways_lost: Iterable[str] = (),
    gateways: Collection[str] | None = None,
    budgets: Iterable[BudgetState] = (),
) -> tuple[Alert, ...]:
    """Return the alerts to record at `now` (epoch seconds): those that begin, then those that are over.

    slowed: whether somebody wants to know of keys that wait a moment. gateways_lost: addresses of gateways
    that ended unasked; gateways: of those that run, None where that is not known.
    """
    holders = _holders(state, config, now)
    refusal = common_refusal(state, config, policy)
    findings = [
        *_key_findings(state, config, now),
        *(found for each in holders for found in _block_findings(each, now, slowed=slowed, refused=refusal)),
        *(found for each in holders for found in _quota_findings(each, rules, now)),
        *(found for each in holders for found in _pace_findings(each, rules, now)),
        *_last_key_findings(state, holders, now),
        *(Finding(Alert(at=now, event="gateway-down", subject=address)) for address in gateways_lost),
        *_budget_findings(budgets, rules, now),
    ]
    if state.service(config.cloud).outage or refusal:
        findings.append(Finding(Alert(at=now, event="outage")))
    by = _by(config, rules, slowed=slowed)
    findings = [Finding(replace(alert, who=config.person, by=by), new) for alert, new in findings]
    holding = {finding.alert.name for finding in findings}
    begun = {
        alert.name: alert for alert, new in findings if new and alert.follows(state.alerts.get(alert.name))
    }
    known = {holder.name for holder in holders} | {key.fingerprint for key in config.in_use(state)}
    ended = (
        Alert(
            at=now,
            event=last.event,
            subject=last.subject,
            over=True,
            fingerprint=last.fingerprint,
            window=last.window,
            who=config.person,
            by=by if last.by else "",
        )
        for name, last in state.alerts.items()
        if not last.over and name not in holding and _can_end(last, by, known, gateways)
    )
    return (*begun.values(), *ended)


def _by(config: PoolConfig, rules: AlertRules, *, slowed: bool) -> str:
    """Return a name for all that decides what is raised, but the state: others may have another."""
    keys = sorted(key.fingerprint for key in config.keys)
    marks = (
        rules.low_percent,
        rules.critical_percent,
        rules.empty_within,
        rules.pace_seconds,
        rules.stale_seconds,
        rules.unused_percent,
        rules.unused_within,
        slowed,
    )
    return blake2s(repr((config.person, config.cloud, keys, marks)).encode(), digest_size=6).hexdigest()


def _can_end(last: Alert, by: str, known: Collection[str], gateways: Collection[str] | None) -> bool:
    """Return whether this process can know that an alert is over; a budget's ends with its day.

    What was raised by other rules is left to those who have them: else each would end what the other begins.
    """
    if last.by not in ("", by) and last.event not in FACTS:
        return False
    if last.event == "gateway-down":
        return gateways is not None and last.subject in gateways
    return last.event != "budget" and (not last.subject or last.subject in known)


def _holders(state: PoolState, config: PoolConfig, now: float) -> list[Holder]:
    found: dict[str, list[Key]] = {}
    for key in config.in_use(state):
        found.setdefault(state.quota_of(state.account_of(key.fingerprint)), []).append(key)
    holders = []
    for name, keys in found.items():
        account = state.account(state.account_of(keys[0].fingerprint))
        spent = _held(account, BlockCause.SPENT, now) is not None
        holders.append(Holder(name, tuple(keys), account, spent))
    return holders


def _held(blocked: AccountState | KeyState, cause: BlockCause, now: float) -> Block | None:
    """Return a block that holds and is no mere suspicion."""
    block = blocked.blocks.get(cause)
    return block if block and block.confirmed and block.holds(now) else None


def _key_findings(state: PoolState, config: PoolConfig, now: float) -> Iterator[Finding]:
    for key in config.in_use(state):
        if _held(state.key(key.fingerprint), BlockCause.INVALID, now):
            about = key.fingerprint
            yield Finding(Alert(at=now, event="invalid", subject=about, fingerprint=about))


def _block_findings(holder: Holder, now: float, *, slowed: bool, refused: Block | None) -> Iterator[Finding]:
    account = holder.account
    if block := _held(account, BlockCause.SPENT, now):
        used = next((each.used for each in _quotas(account.balance) if each.window == block.window), None)
        alert = holder.alert("spent", now)
        known = replace(alert, window=block.window, percent=used)
        yield Finding(replace(known, until=block.until, estimated=block.estimated))
    if slowed and (block := _held(account, BlockCause.SLOWED, now)):
        yield Finding(replace(holder.alert("slowed", now), until=block.until))
    if _held(account, BlockCause.SUSPENDED, now) and not refused:
        yield Finding(holder.alert("invalid", now))


def _quotas(balance: Balance | None) -> Iterator[Quota]:
    """Yield the limits whose use is known; bought credit takes that of the dollars away."""
    if balance is None:
        return
    for window in balance.windows:
        if window.used_percent is not None:
            yield Quota(window.name, window.used_percent, window.resets_at)
    dollars = balance.credits
    if dollars and dollars.used_percent is not None and balance.purchased_usd <= 0:
        yield Quota("credits", dollars.used_percent, dollars.until)


def _quota_findings(holder: Holder, rules: AlertRules, now: float) -> Iterator[Finding]:
    marks: tuple[tuple[AlertEvent, float], ...] = (
        ("window-80", rules.low_percent),
        ("window-95", rules.critical_percent),
    )
    for quota in _quotas(holder.account.balance):
        if quota.resets_at is not None and quota.resets_at <= now:
            continue  # it was reset since, and is not read yet
        for event, mark in marks:
            if quota.used >= mark - SLACK:
                yield Finding(holder.alert(event, now, quota), quota.used >= mark and not holder.is_spent)
        if _is_wasted(quota, rules, now) and not holder.is_spent:
            yield Finding(holder.alert("unused", now, quota))


def _is_wasted(quota: Quota, rules: AlertRules, now: float) -> bool:
    """Return whether much of a long window is left shortly before its reset."""
    if quota.window not in LONG_WINDOWS or quota.resets_at is None:
        return False
    return quota.resets_at - now <= rules.unused_within and 100 - quota.used >= rules.unused_percent


def _pace_findings(holder: Holder, rules: AlertRules, now: float) -> Iterator[Finding]:
    """Find a quota that is empty before its reset at its pace; raised once until that reset."""
    samples, balance = holder.account.samples, holder.account.balance
    window = tightest_window(balance)
    quota = next((each for each in _quotas(balance) if each.window == window), None)
    if quota is None or not samples or (balance and balance.purchased_usd > 0):
        return
    empty, reset = empty_at(samples, least=rules.pace_seconds), quota.resets_at
    soon = (
        empty is not None
        and now - samples[-1].at <= rules.stale_seconds
        and now < empty <= now + rules.empty_within
        and (reset is None or empty < reset)
    )
    if soon or (reset is not None and now < reset):
        alert = replace(holder.alert("empty-soon", now, quota), empty_at=empty)
        yield Finding(alert, soon and not holder.is_spent)


def _last_key_findings(state: PoolState, holders: Sequence[Holder], now: float) -> Iterator[Finding]:
    """Find the one account of several that is neither spent nor refused."""
    able = [
        (holder, keys[0])
        for holder in holders
        if not holder.is_spent
        and not _held(holder.account, BlockCause.SUSPENDED, now)
        and (
            keys := [
                key for key in holder.keys if not _held(state.key(key.fingerprint), BlockCause.INVALID, now)
            ]
        )
    ]
    if len(able) == 1 and len(holders) > 1:
        yield Finding(Alert(at=now, event="last-key", fingerprint=able[0][1].fingerprint))


def _budget_findings(budgets: Iterable[BudgetState], rules: AlertRules, now: float) -> Iterator[Finding]:
    """Find budgets that are nearly used up, and those that are; each once a day."""
    for each in budgets:
        if each.used_percent >= rules.low_percent:
            yield Finding(
                Alert(
                    at=now,
                    event="budget",
                    subject=each.budget.name,
                    window="exceeded" if each.exceeded else None,
                    percent=each.used_percent,
                    until=each.resets_at,
                )
            )


def reported_as(alert: Alert) -> AlertEvent | None:
    """Return the event that a record reports: its own, "back" for some ends; None for other ends."""
    if not alert.over:
        return alert.event
    return "back" if EVENTS[alert.event].returns else None


def is_shown(alert: Alert, rules: AlertRules) -> bool:
    """Return whether the settings want it shown on the screen; the end of what is not, is not."""
    event = reported_as(alert)
    return event is not None and event in rules.events and alert.event in rules.events


def concerning(alert: Alert, state: PoolState, config: PoolConfig) -> Alert | None:
    """Return an alert as it concerns this pool, with a key of this pool; None where it does not.

    On a log of several people it may be about another's pool, gateway or keys.
    """
    if alert.who == config.person or config.index(alert.fingerprint):
        return None if alert.who != config.person and alert.event in OWN_EVENTS else alert
    for key in config.keys:
        if alert.subject in (key.fingerprint, state.quota_of(state.account_of(key.fingerprint))):
            return replace(alert, fingerprint=key.fingerprint)
    return None


def text(alert: Alert, config: PoolConfig, zone: tzinfo = UTC) -> str:
    """Return an alert in words: "#3 amber: week 82% used, reset Mon 00:00"."""
    index = config.index(alert.fingerprint)
    label = config.keys[index - 1].label if index else None
    other = other_person(alert.who, config)
    key = f"#{index}{f' {label}' if label else ''}" if index else absent_key_name(other)
    window = WINDOW_WORDS.get(alert.window or "", alert.window or "quota")

    percent = alert.percent or 0.0

    def at(when: float | None, words: str, about: str = "") -> str:
        return "" if when is None else f"{words} {about}{moment(when, alert.at, zone)}"

    if alert.over:
        return {
            "outage": "the cloud answers again",
            "invalid": f"{key}: the cloud accepts it again",
            "slowed": f"{key}: no longer rate limited",
        }.get(alert.event, f"{key}: {window} is available again")
    match alert.event:
        case "spent":
            back = at(alert.until, ", back", "~" if alert.estimated else "")
            return f"{key}: {spent_words(alert.window)}{back}"
        case "slowed":
            return f"{key}: rate limited{at(alert.until, ', back')}"
        case "invalid":
            return f"{key}: the cloud refuses it; replace it, or try okr-tui test-key {index or 'N'}"
        case "last-key":
            return f"{key} is the last key that can answer"
        case "empty-soon":
            ahead = at(alert.empty_at, " at about")
            return f"{key}: at this pace {window} is empty{ahead}{at(alert.until, ', before its reset')}"
        case "outage":
            return "the cloud does not answer"
        case "gateway-down" if other:
            return f"{other}'s gateway has stopped unexpectedly"
        case "gateway-down":
            return f"the gateway at {alert.subject} has stopped unexpectedly; restart it with okr-tui serve"
        case "unused":
            return f"{key}: {100 - percent:.0f}% of {window} is still unused{at(alert.until, ', reset')}"
        case "budget":
            left = "is used up" if alert.window else f"is {percent:.0f}% used"
            return f"{alert.subject}: today's token budget {left}"
        case _:
            return f"{key}: {window} {percent:.0f}% used{at(alert.until, ', reset')}"


def document(alert: Alert, config: PoolConfig, zone: tzinfo = UTC) -> dict[str, object]:
    """Return an alert as hooks get it, as one object of JSON types; times are RFC 3339 in UTC."""
    index = config.index(alert.fingerprint)
    key = config.keys[index - 1] if index else None
    return {
        "schema": 1,
        "at": rfc3339(alert.at),
        "kind": "alert",
        "who": alert.who,
        "event": reported_as(alert) or alert.event,
        "over": alert.over,
        "about": alert.event,
        "subject": alert.subject if alert.event in ("gateway-down", "budget") else None,
        "key": index,
        "fingerprint": alert.fingerprint,
        "masked": key.masked if key else None,
        "label": key.label if key else None,
        "window": None if alert.event == "budget" else alert.window,
        "percent": alert.percent,
        "until": rfc3339(alert.until),
        "empty_at": rfc3339(alert.empty_at),
        "text": text(alert, config, zone),
    }
