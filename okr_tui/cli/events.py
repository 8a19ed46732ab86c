"""`okr-tui events`: the log, oldest first."""

from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

import click

from okr_tui.cli.documents import Document, balance_document, fault_document
from okr_tui.cli.invocation import Invocation, age, json_option, local_zone, run
from okr_tui.cli.keys import quota_words
from okr_tui.cli.output import show_fitted, show_record
from okr_tui.domain import alerts
from okr_tui.domain.choice import PoolConfig, other_person, unheld
from okr_tui.domain.feed import consequences, entry
from okr_tui.domain.fold import apply
from okr_tui.domain.policy import Policy
from okr_tui.domain.records import (
    Alert,
    Attempt,
    BalanceRead,
    FellBack,
    IdentityRead,
    ModelsRead,
    Record,
    SettingsRead,
    Trial,
)
from okr_tui.domain.state import Block, PoolState
from okr_tui.domain.values import dataclass
from okr_tui.domain.words import rfc3339

if TYPE_CHECKING:
    from okr_tui.services.pool_service import PoolService


@click.command()
@click.option("--follow", is_flag=True, help="Keep printing new events until ctrl+c.")
@click.option("--since", type=age, metavar="AGE", help="Only events of the last 90s, 15m, 2h, 3d or 1w.")
@click.option("--faults", is_flag=True, help="Only faults and outages.")
@json_option
@click.pass_obj
def events(invocation: Invocation, *, follow: bool, since: int | None, faults: bool, as_json: bool) -> None:
    """Show the log of requests, faults and changes.

    The oldest line comes first.
    """

    async def work(service: "PoolService") -> None:
        pool = service.pool
        oldest = service.clock.time() - since if since is not None else 0.0
        history = History(pool.config, pool.policy, local_zone())

        def write(record: Record) -> None:
            for event in history.take(record):
                if event.at < oldest or (faults and not event.is_fault):
                    continue
                if as_json and event.document is not None:
                    show_record(event.document)
                elif not as_json and event.text is not None:
                    show_fitted(event.text)

        kept = await pool.store.read()
        for item in kept:
            if item.record.at < oldest:
                history.pass_over(item.record)
            else:
                write(item.record)
        if not follow:
            return
        last = kept[-1].sequence if kept else 0
        async for logged in pool.store.tail(lambda: last):
            for item in logged:
                if isinstance(item.record, SettingsRead):
                    await service.configuration.reload()
                    history.config = service.configuration.config
                write(item.record)

    run(invocation, work)


@dataclass(frozen=True, slots=True)
class Event:
    """One event in its two forms, either of which it may lack. `at` is epoch seconds."""

    at: float
    is_fault: bool
    document: Document | None = None
    text: str | None = None


class History:
    """The log as events, record by record; the fold adds where an outage begins and ends."""

    def __init__(self, config: PoolConfig, policy: Policy, zone: tzinfo) -> None:
        self.config = config
        self._policy = policy
        self._zone = zone
        self._state = PoolState()

    def pass_over(self, record: Record) -> None:
        """Skip the events of a record that are not shown: they cost ten times what the fold does."""
        self._state = apply(self._state, record, self._policy)

    def take(self, record: Record) -> Iterator[Event]:
        """Yield the events of the next record."""
        cloud = self.config.cloud
        state, self._state = self._state, apply(self._state, record, self._policy)
        before, after = state.service(cloud).outage, self._state.service(cloud).outage
        repeated = isinstance(record, Alert) and self._state.alerts.get(record.name) != record
        if not isinstance(record, Trial) and not repeated:
            is_fault = isinstance(record, Attempt) and record.fault is not None
            yield Event(record.at, is_fault, self._document(record), self._line(record))
        if (before is None) != (after is None):
            yield Event(record.at, is_fault=True, document=_outage(record.at, after))
        for line in consequences(record, state, self._state, self.config, self._policy, self._zone):
            is_fault = line.key is None or line.is_fault
            text = self._stamped(line.at, line.text)
            yield Event(line.at, is_fault, text=text)

    def _document(self, record: Record) -> Document:
        if isinstance(record, Alert):
            told = alerts.concerning(record, self._state, self.config) or record
            return alerts.document(told, self.config, self._zone)
        document: Document = {"at": rfc3339(record.at), "kind": record.kind}
        if hasattr(record, "who"):
            document["who"] = record.who
        match record:
            case SettingsRead():
                own: Document = {"keys": record.keys, "cloud_url": record.cloud_url}
                return {**document, **own, "problems": list(record.problems)}
            case FellBack():
                models: Document = {"model": record.model, "answered_by": record.answered_by}
                return {**document, "client": record.client, "caller": record.caller, **models}
            case ModelsRead():
                changes: Document = {"added": list(record.added), "removed": list(record.removed)}
                return {**document, "count": record.count, **changes, "error": record.error}
            case Attempt():
                return {
                    **document,
                    "client": record.client,
                    "caller": record.caller,
                    **self._key(record.fingerprint),
                    **self._attempt(record),
                }
        document |= self._key(record.fingerprint)
        match record:
            case BalanceRead():
                document |= {**balance_document(record.balance), "understood": record.balance.understood}
            case IdentityRead():
                document |= {"account": record.account, "plan": record.plan}
        return document

    def _key(self, fingerprint: str) -> Document:
        return {"key": self.config.index(fingerprint), "fingerprint": fingerprint}

    def _attempt(self, record: Attempt) -> Document:
        return {
            "model": record.model,
            "path": record.path,
            "outcome": record.outcome,
            "fault": fault_document(record.fault) if record.fault else None,
            "next_key": self.config.index(record.next_fingerprint),
            "first_byte_ms": record.first_byte_ms,
            "duration_ms": record.duration_ms,
            "input_tokens": record.input_tokens,
            "cached_tokens": record.cached_tokens,
            "output_tokens": record.output_tokens,
        }

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
            case Alert() if alerts.told_as(record) and (other := other_person(record.who, self.config)):
                words = f"{alerts.text(record, self.config, self._zone)} · told by {other}"
            case Alert():
                words = f"alert {record.event}{' is over' if record.over else ''}"
            case _:
                words = record.kind
        return self._stamped(record.at, words)

    def _name(self, record: Attempt | BalanceRead | IdentityRead) -> str:
        place = self.config.index(record.fingerprint)
        return f"#{place}" if place else unheld(other_person(record.who, self.config))

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
