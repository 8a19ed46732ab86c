"""The line on top: the cloud, the state of the pool, when it will be empty, what is wrong."""

from datetime import UTC, tzinfo
from urllib.parse import urlsplit

from textual.reactive import var
from textual.widgets import Static

from okr_tui.domain.health import State
from okr_tui.domain.status_line import short_count
from okr_tui.domain.words import moment, span
from okr_tui.services.service import GatewayView, Snapshot
from okr_tui.ui.lines import (
    FAULT,
    GOOD,
    NOTICE,
    QUIET,
    STATE_STYLES,
    WARNING,
    Line,
    content,
    fit_line,
    joined,
    length,
)

NAME: Line = (("okr-tui", "bold $text-accent"),)


def host(url: str) -> str:
    """Return the host of an address, with its port when it has one."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or url


def counts(snapshot: Snapshot) -> Line:
    """Return the keys per state: "3 ready · 1 spent"."""
    found = [
        ((f"{n} {state.value}", STATE_STYLES[state]),)
        for state in State
        if (n := snapshot.pool.counts.get(state))
    ]
    return joined(found, (" · ", QUIET))


def traffic(snapshot: Snapshot, *, short: bool = False) -> Line:
    """Return what is going on: "2 running · 14/min · 61 tok/s · 182k today"; `short` leaves the rates out."""
    rates, usage = snapshot.rates, snapshot.usage
    found: list[Line] = []
    if running := len(snapshot.running):
        found.append(((f"{running} running", NOTICE),))
    if rates.requests_per_minute and not short:
        found.append(((f"{rates.requests_per_minute}/min", QUIET),))
    if rates.tokens_per_second and not short:
        found.append(((f"{rates.tokens_per_second:.0f} tok/s", QUIET),))
    if usage and usage.today:
        found.append(((f"{short_count(usage.today)} today", QUIET),))
    return joined(found, (" · ", QUIET))


def forecast(snapshot: Snapshot, now: float, zone: tzinfo) -> Line:
    """When the pool is empty at its present pace."""
    empty_at = snapshot.pool.empty_at
    if empty_at is None:
        return ()
    return (("empty ~", QUIET), (moment(empty_at, now, zone), WARNING))


def gateway(shown: GatewayView, *, short: bool) -> Line:
    """Where the gateway answers: "gateway :11435", with a word when that is in another process."""
    if shown.url is None:
        return (("▲ gateway", FAULT),) if shown.error else ()
    port = f":{urlsplit(shown.url).port}" if short else f"gateway :{urlsplit(shown.url).port}"
    word = " ending" if shown.ending else " elsewhere" if shown.elsewhere else ""
    return ((port, QUIET if word else GOOD), (word, QUIET))


def marks(snapshot: Snapshot, now: float, *, demo: bool, short: bool = False) -> Line:
    """Return warnings: problems, stale readings, the gateway, the demo."""
    readings = [row.read_at for row in snapshot.pool.keys if row.read_at is not None and row.verdict.eligible]
    found: list[Line] = []
    if snapshot.remembered:
        found.append(((f"as it was {span(now - snapshot.at)} ago", QUIET),))
    if readings and now - min(readings) > snapshot.rules.stale_seconds:
        found.append(((f"quota read {span(now - min(readings))} ago", WARNING),))
    if problems := len(snapshot.settings.problems):
        found.append(((f"▲ {problems} in settings", WARNING),))
    if snapshot.log:
        found.append((("▲ log", FAULT),))
    if snapshot.models.error:
        found.append((("▲ models", FAULT),))
    found.append(gateway(snapshot.gateway, short=short))
    if demo:
        found.append(((" DEMO ", "reverse bold $text-accent"),))
    return joined(found)


def header_line(snapshot: Snapshot, now: float, zone: tzinfo, width: int, *, demo: bool) -> Line:
    """Return the whole line; where there is no room, the host goes first, then rates, then the forecast."""
    where: Line = ((host(snapshot.settings.cloud_url), QUIET),)
    ahead, states = forecast(snapshot, now, zone), counts(snapshot)
    rates, little = traffic(snapshot), traffic(snapshot, short=True)
    choices = [
        ([NAME, where, states, rates, ahead], False),
        ([NAME, states, rates, ahead], False),
        ([NAME, states, rates], False),
        ([NAME, states, little, ahead], False),
        ([NAME, states, little], False),
        ([NAME, states, ahead], True),
        ([NAME, states], True),
    ]
    for choice, short in choices:
        left = joined(choice, ("   ", ""))
        right = marks(snapshot, now, demo=demo, short=short)
        room = max(0, width - length(right) - 2)
        if length(left) <= room:
            break
    return (*fit_line(left, room), ("  ", ""), *right)


class Header(Static):
    """Draws `header_line`; before the first snapshot, whether the service is being opened."""

    snapshot: var[Snapshot | None] = var(None)
    now: var[float] = var(0.0)
    failure: var[str | None] = var(None)

    def __init__(self, zone: tzinfo = UTC, *, demo: bool = False) -> None:
        super().__init__(id="header")
        self.zone = zone
        self.demo = demo
        self._line: Line = ()

    def draw(self) -> None:
        """Draw what fits, where it is new."""
        line: Line = (*NAME, ("   not running" if self.failure else "   opening …", QUIET))
        if self.snapshot is not None:
            width = self.content_size.width
            line = header_line(self.snapshot, self.now, self.zone, width, demo=self.demo)
        if line != self._line:
            self._line = line
            self.update(content(line), layout=False)

    watch_snapshot = watch_now = watch_failure = on_resize = draw
