"""The log as events: its records, what the fold adds to them, and lines for people."""

from collections.abc import Iterator
from datetime import datetime, tzinfo

from okr_tui.cli.documents import Document, event_document
from okr_tui.cli.keys import quota_words
from okr_tui.domain import alerts
from okr_tui.domain.choice import PoolConfig, absent_key_name, other_person
from okr_tui.domain.feed import consequences, entry
from okr_tui.domain.fold import apply, fold
from okr_tui.domain.policy import Policy
from okr_tui.domain.records import Alert, Attempt, BalanceRead, IdentityRead, ModelsRead, Record, Trial
from okr_tui.domain.state import Block, PoolState
from okr_tui.domain.values import dataclass
from okr_tui.domain.words import rfc3339
from okr_tui.services.kept_events import KeptEvents
from okr_tui.store.base import LogEntry


@dataclass(frozen=True, slots=True)
class Event:
    """One event in its two forms, either of which it may lack. `at` is epoch seconds."""

    at: float
    is_fault: bool
    document: Document | None = None
    text: str | None = None


class History:
    """The log as events, record by record; the fold adds where an outage begins and ends.

    `outages` and `alerts` are the documents of these, by their positions in the log.
    """

    def __init__(self, config: PoolConfig, policy: Policy, zone: tzinfo) -> None:
        self.config = config
        self.outages: dict[int, Document] = {}
        self.alerts: dict[int, Document] = {}
        self._policy = policy
        self._zone = zone
        self._state = PoolState()
        self._passed: list[Record] = []
        """Records that were skipped and are to be folded, at once: that is ten times faster."""

    @property
    def is_out(self) -> bool:
        """Whether the cloud is out after the last record."""
        return self._state.service(self.config.cloud).outage is not None

    def kept(self, at: float) -> KeptEvents:
        """Return what the fold knows up to here, for later runs."""
        keys = tuple(key.fingerprint for key in self.config.keys)
        return KeptEvents(at, keys, self.outages, self.alerts, self.is_out)

    def pass_over(self, item: LogEntry) -> None:
        """Skip the events of a record that are not shown: they cost ten times what the fold does."""
        if isinstance(item.record, Attempt) and item.record.fault is None and not self.is_out:
            self._passed.append(item.record)
        else:
            self._step(item)

    def _step(self, item: LogEntry) -> PoolState:
        """Go on to the state after a record; return the one before it."""
        before = fold(self._passed, self._policy, self._state)
        self._passed.clear()
        self._state = apply(before, item.record, self._policy)
        was, now = (state.service(self.config.cloud).outage for state in (before, self._state))
        if (was is None) != (now is None):
            self.outages[item.sequence] = _outage(item.record.at, now)
        if isinstance(item.record, Alert) and self._state.alerts.get(item.record.name) == item.record:
            shown = alerts.concerning(item.record, self._state, self.config) or item.record
            self.alerts[item.sequence] = alerts.document(shown, self.config, self._zone)
        return before

    def take(self, item: LogEntry) -> Iterator[Event]:
        """Yield the events of the next record."""
        record, before = item.record, self._step(item)
        is_fault = isinstance(record, Attempt) and record.fault is not None
        if isinstance(record, Alert):
            if document := self.alerts.get(item.sequence):
                yield Event(record.at, is_fault, document, self._line(record))
        elif not isinstance(record, Trial):
            yield Event(record.at, is_fault, event_document(record, self.config.index), self._line(record))
        if outage := self.outages.get(item.sequence):
            yield Event(record.at, is_fault=True, document=outage)
        for line in consequences(record, before, self._state, self.config, self._policy, self._zone):
            is_fault = line.key is None or line.is_fault
            yield Event(line.at, is_fault, text=self._stamped(line.at, line.text))

    def _line(self, record: Record) -> str:
        line = entry(record, self._state, self.config, self._policy, self._zone)
        if line:
            ok = " ok" if isinstance(record, Attempt) and record.fault is None else ""
            parts = (line.text + ok, line.detail, line.more)
            return self._stamped(record.at, " · ".join(filter(None, parts)))
        match record:
            case Attempt():
                words = (
                    f"{self._name(record)} {record.model or record.path} {record.outcome} · {record.client}"
                )
            case BalanceRead():
                words = f"{self._name(record)} quota read  {quota_words(record.balance)}"
            case IdentityRead():
                words = f"{self._name(record)} identity read, plan {record.plan or 'unknown'}"
            case ModelsRead():
                words = f"{record.count} models read"
            case Alert() if alerts.reported_as(record) and (other := other_person(record.who, self.config)):
                words = f"{alerts.text(record, self.config, self._zone)} · reported by {other}"
            case Alert():
                words = f"alert {record.event}{' is over' if record.over else ''}"
            case _:
                words = record.kind
        return self._stamped(record.at, words)

    def _name(self, record: Attempt | BalanceRead | IdentityRead) -> str:
        index = self.config.index(record.fingerprint)
        return f"#{index}" if index else absent_key_name(other_person(record.who, self.config))

    def _stamped(self, at: float, words: str) -> str:
        return f"{datetime.fromtimestamp(at, self._zone):%m-%d %H:%M:%S}  {words}"


def _outage(at: float, block: Block | None) -> Document:
    return {
        "at": rfc3339(at),
        "kind": "outage",
        "phase": "begin" if block else "end",
        "until": rfc3339(block.until if block else None),
        "text": block.text if block else None,
    }
