"""The feed as it is shown: the sends of a request are one line, and so is a run of similar requests."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Final

from okr_tui.domain.faults import Scope, Tone
from okr_tui.domain.feed import Entry, sender
from okr_tui.domain.records import Attempt
from okr_tui.domain.traffic import RunningRequest
from okr_tui.domain.words import span

QUIET_LEAST: Final = 3
ALIKE_LEAST: Final = 2
LISTED: Final = 6
"""Keys that a run names at most."""
SENDERS: Final = 3
"""Senders, and models, that a run names at most."""
SEVERITY: Final[tuple[Tone, ...]] = ("fault", "warning", "good", "info", "quiet")
Sends = tuple[Entry, ...]
"""The lines of one request, oldest first, or any other line alone."""


@dataclass(frozen=True)
class Group:
    """One line of the feed as it is shown: a request with all its sends, or a run of similar ones.

    Oldest first. `running` is the request itself while it has not ended; it may have no line yet. What is
    said is worked out once: `grouped` gives the groups of before for lines that have not changed.
    """

    requests: tuple[Sends, ...]
    running: RunningRequest | None = None

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """All lines of it, oldest first."""
        return tuple(entry for sends in self.requests for entry in sends)

    @property
    def newest(self) -> Entry:
        """The newest entry, which represents the group; of a request that only runs, one that says so."""
        if self.requests:
            return self.requests[-1][-1]
        assert self.running is not None
        run = self.running
        return Entry(run.since, "info", self.text, self.detail, run.key, run.fingerprint, run.model)

    @property
    def at(self) -> float:
        """When it last happened (epoch seconds); of a request that runs, when it began."""
        return self.running.since if self.running else self.newest.at

    @cached_property
    def tone(self) -> Tone:
        """The gravest tone of the newest request."""
        if self.running:
            return "info"
        return min((entry.tone for entry in self.requests[-1]), key=SEVERITY.index)

    @cached_property
    def healed(self) -> bool:
        """Whether something went wrong that needs no attention."""
        return self.tone == "quiet" and any(entry.is_fault for entry in self.requests[-1])

    @cached_property
    def text(self) -> str:
        """The line: of a request its keys one after the other, of a run its newest with the count."""
        run = self.running
        if run:
            before = [entry for sends in self.requests for entry in sends]
            here = f"#{run.key}" if run.key else "waits for a key"
            return f"{_hops(before)} → {here}" if before else f"{here} {run.model}"
        count = len(self.requests)
        if count == 1:
            return _request_text(self.requests[0])
        if self.tone == "quiet" and not self.healed:
            return f"{count} requests ok"
        keys = list(dict.fromkeys(sends[0].key_name for sends in self.requests))
        text = _request_text(self.requests[-1])
        if len(keys) > 1 and all(len(sends) == 1 for sends in self.requests):
            named = " ".join(keys[:LISTED]) + (" …" if len(keys) > LISTED else "")
            entry = self.requests[-1][0]
            text = f"{named} {_words(entry)}"
        return f"{text} ×{count}"

    @cached_property
    def detail(self) -> str:
        """The detail after the text; for a run also the time it spans."""
        if run := self.running:
            return f"{run.sender} · {run.model}" if self.requests else run.sender
        if len(self.requests) == 1:
            return _request_detail(self.requests[0])
        within = f"in {span(self.newest.at - self.requests[0][0].at)}"
        if self.tone != "quiet" or self.healed:
            return " · ".join((within, *_shared(self.requests)))
        counts = Counter(sends[-1].key_name for sends in self.requests)
        keys = " ".join(f"{key} ×{count}" for key, count in counts.most_common(LISTED))
        records = [entry.record for entry in self.entries]
        tokens = sum(each.output_tokens or 0 for each in records if isinstance(each, Attempt))
        return " · ".join(part for part in (keys, f"{tokens} tok" if tokens else "", within) if part)

    @property
    def more(self) -> str:
        """What else was measured, for where there is room."""
        return self.requests[0][-1].more if len(self.requests) == 1 and not self.running else ""


def _shared(requests: Sequence[Sends]) -> list[str]:
    """Return what is known of a run of requests that met the same: its one detail, or who sent them."""
    details = list(dict.fromkeys(map(_request_detail, requests)))
    if len(details) == 1:
        return [each for each in details if each]
    newest = [sends[-1].record for sends in requests]
    attempts = [record for record in newest if isinstance(record, Attempt)]
    found: list[str] = []
    for names in ([sender(each) for each in attempts], [each.model for each in attempts]):
        distinct = list(dict.fromkeys(name for name in names if name))
        if distinct:
            found.append(" ".join(distinct[:SENDERS]) + (" …" if len(distinct) > SENDERS else ""))
    return found or [_request_detail(requests[-1])]


def _words(entry: Entry) -> str:
    """Return what a send met, without its key."""
    text = entry.brief or entry.text
    return text.partition(" ")[2] if entry.key else text.removeprefix(entry.called).lstrip()


def _hops(sends: Sequence[Entry]) -> str:
    """Return the keys that a request was sent with and what each met; those that met the same together."""
    parts: list[str] = []
    for words, run in groupby(sends, key=_words):
        alike = list(run)
        keys = list(dict.fromkeys(entry.key_name for entry in alike))
        named = " ".join(keys[:LISTED]) + (" …" if len(keys) > LISTED else "")
        times = f" ×{len(alike)}" if len(alike) > len(keys) else ""
        parts.append(f"{named} {words}".rstrip() + times)
    return " → ".join(parts)


def _request_text(sends: Sends) -> str:
    if len(sends) == 1:
        return sends[0].text
    last = sends[-1]
    onward = last.text[len(last.brief) :] if last.is_fault else ""
    return f"{_hops(sends)}{onward}"


def _request_detail(sends: Sends) -> str:
    last = sends[-1]
    answered = isinstance(last.record, Attempt) and last.record.fault is None
    if len(sends) > 1 and answered and last.model:
        return f"{last.model} · {last.detail}"
    return last.detail


def grouped(
    entries: Iterable[Entry], running: Sequence[RunningRequest] = (), known: Iterable[Group] = ()
) -> Iterator[Group]:
    """Return the lines for entries in order, and at the end those of requests under way.

    `known` are the groups of a moment ago: those that are the same are used again.

    The sends of a request are where its newest one is, though others came between. Successes, and requests
    that met the same, whichever key it was, are one line.
    """
    under_way = {run.trace: run for run in running}
    requests: dict[Hashable, list[Entry]] = {}
    for index, entry in enumerate(entries):
        name: Hashable = entry.trace if entry.trace else index
        sends = requests.pop(name, [])  # put in again at the end, where the newest of them is
        sends.append(entry)
        requests[name] = sends
    done = [tuple(sends) for name, sends in requests.items() if name not in under_way]
    same = {(id(group.newest), len(group.requests)): group for group in known if not group.running}

    def group_of(alike: tuple[Sends, ...]) -> Group:
        before = same.get((id(alike[-1][-1]), len(alike)))
        return before if before is not None and before.requests == alike else Group(alike)

    for _, run in groupby(done, key=_kind):
        alike = tuple(run)
        quiet = alike[0][-1].tone == "quiet" and not any(entry.is_fault for entry in alike[0])
        if len(alike) < (QUIET_LEAST if quiet else ALIKE_LEAST):
            yield from (group_of((sends,)) for sends in alike)
        else:
            yield group_of(alike)
    for trace, under in under_way.items():
        before = requests.get(trace)
        yield Group((tuple(before),) if before else (), under)


def _kind(sends: Sends) -> Hashable:
    """Return what the requests of one run have in common.

    Key and time of return may differ, and who asked for what, unless the fault is about the model.
    """
    if len(sends) == 1 and sends[0].tone == "quiet" and not sends[0].is_fault:
        return "quiet"
    return tuple(map(_met, sends))


def _met(entry: Entry) -> Hashable:
    record = entry.record
    if isinstance(record, Attempt) and entry.brief:  # what follows from a request has its record too
        fault = record.fault
        if fault is None:
            return entry.tone
        narrow = fault.scope in (Scope.MODEL, Scope.ACCOUNT_MODEL, Scope.REQUEST, Scope.ENDPOINT)
        return (entry.tone, fault.kind, fault.status, fault.text, entry.model if narrow else None)
    return (entry.tone, entry.fingerprint, entry.text, entry.detail)
