"""Prometheus metrics: the log since the gateway began, over the requests of every process."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from okr_tui.domain.records import Attempt
from okr_tui.domain.view import PoolView
from okr_tui.services.live_pool import LivePool

PAGE: Final = 500
"""How many records are read at once; the first scrape may come after days of traffic."""
MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
FIRST_BYTE_BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
DURATION_BUCKETS: Final = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
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

    def __init__(self, pool: LivePool) -> None:
        self._pool = pool
        self._sequence = pool.sequence
        self._requests: Counter[Labels] = Counter()
        self._faults: Counter[Labels] = Counter()
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
        return "\n".join(self._lines(self._pool.view())) + "\n"

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

    def _lines(self, pool: PoolView) -> Iterator[str]:
        yield from _family("okr_requests_total", "counter", "Requests sent to the cloud.", self._requests)
        yield from _family("okr_faults_total", "counter", "Faults of the cloud by kind.", self._faults)
        yield from _heading("okr_rotations_total", "counter", "Moves of a request to another key.")
        yield _sample("okr_rotations_total", (), self._rotations)
        yield from _heading("okr_first_byte_seconds", "histogram", "From sending to the first byte.")
        yield from self._first_byte.lines("okr_first_byte_seconds")
        yield from _heading("okr_request_seconds", "histogram", "From sending to the end of a good answer.")
        yield from self._duration.lines("okr_request_seconds")
        states: dict[Labels, float] = {
            (("state", state.value),): count for state, count in pool.counts.items()
        }
        yield from _family("okr_keys", "gauge", "Keys of the pool by state.", states)
        yield from _family(
            "okr_quota_used_percent", "gauge", "Quota used, by each account's first key.", _quotas(pool)
        )


def _quotas(pool: PoolView) -> dict[Labels, float]:
    return {
        (("key", row.fingerprint), ("window", window.name)): window.used_percent
        for row in pool.keys
        if row.same_as is None and row.balance
        for window in row.balance.windows
        if window.used_percent is not None
    }


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
