"""Prometheus metrics: the log since the gateway began, over the requests of every process.

Every family is there from the first scrape on, and with a zero for what is known to come: a rate over a
counter that is born with its first event misses that event.
"""

import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from okr_tui import __version__
from okr_tui.domain.alerts import reported_as
from okr_tui.domain.faults import FAULTS
from okr_tui.domain.health import STATES
from okr_tui.domain.records import ALERT_EVENTS, Alert, Attempt
from okr_tui.domain.usage import NO_MODEL, BudgetState
from okr_tui.domain.view import KeyView, PoolView
from okr_tui.services.live_pool import LivePool
from okr_tui.services.pool_service import PoolService

PAGE: Final = 500
"""How many records are read at once; the first scrape may come after days of traffic."""
MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
FIRST_BYTE_BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
DURATION_BUCKETS: Final = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
MOST_ZEROS: Final = 2000
"""Series of tokens that are written before they are used: models times accounts, at most."""
KINDS: Final = ("input", "cached", "output")
OUTCOMES: Final = ("ok", "fault", "cancelled")
OWN: Final = "gateway"
Labels = tuple[tuple[str, str], ...]


class Histogram:
    """How many values lie below each bound."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._below = dict.fromkeys(bounds, 0)
        self._count = 0
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._count += 1
        self._sum += value
        for bound in self._below:
            self._below[bound] += value <= bound

    def lines(self, name: str) -> Iterator[str]:
        """Return the samples, without their heading."""
        for bound, count in self._below.items():
            yield _sample(f"{name}_bucket", (("le", f"{bound:g}"),), count)
        yield _sample(f"{name}_bucket", (("le", "+Inf"),), self._count)
        yield _sample(f"{name}_sum", (), self._sum)
        yield _sample(f"{name}_count", (), self._count)


class Metrics:
    """Counts what the log says from the moment this is made. Keys appear by fingerprint."""

    def __init__(self, service: PoolService) -> None:
        self._service = service
        self._pool: LivePool = service.pool
        self._sequence = self._pool.sequence
        self._requests: Counter[Labels] = Counter()
        self._faults: Counter[Labels] = Counter()
        self._tokens: Counter[Labels] = Counter()
        self._alerts: Counter[Labels] = Counter()
        self._last_alerts = dict(self._pool.state.alerts)
        self._rotations = 0
        self._first_byte = Histogram(FIRST_BYTE_BUCKETS)
        self._duration = Histogram(DURATION_BUCKETS)

    async def text(self) -> str:
        """Return the metrics in Prometheus' text format."""
        while page := await self._pool.store.read(self._sequence, PAGE):
            for item in page:
                if item.sequence > self._sequence:  # another scrape may have counted it meanwhile
                    self._sequence = item.sequence
                    if isinstance(item.record, Attempt):
                        self._count(item.record)
                    elif isinstance(item.record, Alert):
                        self._count_alert(item.record)
        pool = self._pool.view()
        self._begin(pool)
        return "\n".join(self._lines(pool, await self._service.budgets.states())) + "\n"

    def _count(self, attempt: Attempt) -> None:
        key = ("key", attempt.fingerprint)
        self._requests[key, ("client", attempt.client), ("outcome", attempt.outcome)] += 1
        if attempt.fault:
            self._faults[key, ("kind", attempt.fault.kind.value)] += 1
        self._rotations += attempt.next_fingerprint not in (None, attempt.fingerprint)
        if attempt.first_byte_ms is not None:
            self._first_byte.add(attempt.first_byte_ms / 1000)
        if attempt.outcome == "ok":
            self._duration.add(attempt.duration_ms / 1000)
        if attempt.client != "probe":
            account = self._pool.state.account_of(attempt.fingerprint)
            who = _user(attempt.model or NO_MODEL, account, attempt.caller or attempt.client)
            counts = (attempt.input_tokens, attempt.cached_tokens, attempt.output_tokens)
            for kind, count in zip(KINDS, counts, strict=True):
                self._tokens[("kind", kind), *who] += count or 0

    def _count_alert(self, alert: Alert) -> None:
        if not alert.follows(self._last_alerts.get(alert.name)):
            return  # another process was first
        self._last_alerts[alert.name] = alert
        if event := reported_as(alert):
            self._alerts[(("event", event),)] += 1

    def _begin(self, pool: PoolView) -> None:
        """Write a zero for what may be counted next."""
        for row in pool.keys:
            key = ("key", row.fingerprint)
            for outcome in OUTCOMES:
                self._requests[key, ("client", OWN), ("outcome", outcome)] += 0
            for fault in FAULTS:
                self._faults[key, ("kind", fault.value)] += 0
        for event in ALERT_EVENTS:
            self._alerts[(("event", event),)] += 0
        accounts = {row.account or row.fingerprint for row in pool.keys}
        models = [model.id for model in self._service.catalog.models if model.status == "listed"]
        if len(models) * len(accounts) > MOST_ZEROS or not models:
            models = [NO_MODEL]
        for account in accounts:
            for model in models:
                for kind in KINDS:
                    self._tokens[("kind", kind), *_user(model, account, OWN)] += 0

    def _lines(self, pool: PoolView, budgets: Sequence[BudgetState]) -> Iterator[str]:
        build = (("version", __version__), ("python", platform.python_version()))
        yield from _family("okr_build_info", "gauge", "The program and what it runs on.", {build: 1})
        yield from _family("okr_requests_total", "counter", "Requests sent to the cloud.", self._requests)
        yield from _family("okr_faults_total", "counter", "Faults of the cloud by kind.", self._faults)
        yield from _heading("okr_rotations_total", "counter", "Times that a request moved on to another key.")
        yield _sample("okr_rotations_total", (), self._rotations)
        words = "Tokens by kind; cached ones are part of the input."
        yield from _family("okr_tokens_total", "counter", words, self._tokens)
        yield from _family("okr_alerts_total", "counter", "Alerts by event.", self._alerts)
        yield from _heading("okr_first_byte_seconds", "histogram", "From sending to the first byte.")
        yield from self._first_byte.lines("okr_first_byte_seconds")
        yield from _heading("okr_request_seconds", "histogram", "From sending to the end of a good answer.")
        yield from self._duration.lines("okr_request_seconds")
        states: dict[Labels, float] = {
            (("state", state.value),): pool.counts.get(state, 0) for state in STATES
        }
        yield from _family("okr_keys", "gauge", "Keys of the pool by state.", states)
        flights: dict[Labels, float] = {
            (("account", row.account or row.fingerprint),): row.in_flight for row in pool.keys
        }
        yield from _family("okr_in_flight", "gauge", "Requests under way, by account.", flights)
        outage: dict[Labels, float] = {(): float(pool.outage is not None)}
        yield from _family("okr_outage", "gauge", "1 while the cloud does not answer.", outage)
        yield from _quota_lines([row for row in pool.keys if row.same_as is None])
        used: dict[Labels, float] = {(("name", each.budget.name),): each.used for each in budgets}
        most: dict[Labels, float] = {
            (("name", each.budget.name),): each.budget.tokens_per_day for each in budgets
        }
        yield from _family("okr_budget_used_tokens", "gauge", "Tokens used today, by budget.", used)
        yield from _family("okr_budget_tokens", "gauge", "Tokens that a budget allows per day.", most)


def _user(model: str, account: str, client: str) -> Labels:
    return (("model", model), ("account", account), ("client", client))


def _quota_lines(rows: Sequence[KeyView]) -> Iterator[str]:
    """Yield quota, its resets and the dollars, each by the first key of an account."""
    used: dict[Labels, float] = {}
    resets: dict[Labels, float] = {}
    dollars: dict[Labels, float] = {}
    read: dict[Labels, float] = {}
    for row in rows:
        key = ("key", row.fingerprint)
        if row.read_at is not None:
            read[(key,)] = row.read_at
        if row.balance is None:
            continue
        for window in row.balance.windows:
            if window.used_percent is not None:
                used[key, ("window", window.name)] = window.used_percent
            if window.resets_at is not None:
                resets[key, ("window", window.name)] = window.resets_at
        if money := row.balance.credits:
            dollars[key, ("kind", "included")] = money.balance_usd
            dollars[key, ("kind", "bought")] = money.purchased_usd or 0.0
            if money.used_percent is not None:
                used[key, ("window", "credits")] = money.used_percent
            if money.until is not None:
                resets[key, ("window", "credits")] = money.until
    yield from _family("okr_quota_used_percent", "gauge", "Quota used, by each account's first key.", used)
    words = "When a quota is reset, in seconds since 1970."
    yield from _family("okr_quota_reset_timestamp_seconds", "gauge", words, resets)
    words = "When a quota was read, in seconds since 1970."
    yield from _family("okr_quota_read_timestamp_seconds", "gauge", words, read)
    yield from _family("okr_credit_usd", "gauge", "Dollars left, included and bought.", dollars)


def _family(name: str, kind: str, text: str, samples: Mapping[Labels, float]) -> Iterator[str]:
    yield from _heading(name, kind, text)
    for labels, value in sorted(samples.items()):
        yield _sample(name, labels, value)


def _heading(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _sample(name: str, labels: Labels, value: float) -> str:
    shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{name}{{{shown}}} {value:.15g}" if shown else f"{name} {value:.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
