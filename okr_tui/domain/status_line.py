"""One line on the pool for status bars, made from what a process last knew of it. Pure.

What a process knows is kept as one small document, so that a status bar that asks every five seconds folds
nothing. Time goes on by itself: a key whose block has ended since counts as back, a window that was reset
says nothing until it is read again.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from okr_tui.domain.usage import UsageSum

if TYPE_CHECKING:
    from okr_tui.domain.view import KeyView, PoolView

STATUS: Final = "status"
"""The name of the document in the store."""

LOW: Final = 80.0
"""Percent of a window from which a person is warned, unless the settings say otherwise."""
FORECAST: Final = 5 * 3600.0
"""Seconds ahead within which a line says that a window, or the pool, will be empty."""

IN_USE: Final = frozenset({"busy", "probing"})
"""States of a key that is free once a request under way ends. The table of states is not loaded here."""

Level = Literal["ok", "low", "busy", "outage", "blocked", "none"]
Format = Literal["plain", "tmux", "waybar", "starship"]


class WindowStatus(NamedTuple):
    """How full a window of a key's account was, in percent, and when it is reset in epoch seconds."""

    word: str
    used_percent: float
    resets_at: float | None


class KeyStatus(NamedTuple):
    """A key as it was last known. `until` is when it is back by itself; None is unknown or never."""

    number: int
    fingerprint: str
    name: str
    account: str | None
    state: str
    eligible: bool
    until: float | None
    windows: tuple[WindowStatus, ...]
    left_usd: float | None


class PoolStatus(NamedTuple):
    """The pool as it was last known, at a moment in epoch seconds.

    low_percent: how full the tightest window is where the line warns. empty_within: the seconds ahead within
    which it says when the pool will be empty.
    """

    at: float
    active: int | None
    empty_at: float | None
    outage: bool
    outage_until: float | None
    keys: tuple[KeyStatus, ...]
    low_percent: float = LOW
    empty_within: float = FORECAST

    @classmethod
    def of(
        cls,
        pool: "PoolView",
        at: float,
        words: Mapping[str, str],
        low_percent: float = LOW,
        empty_within: float = FORECAST,
    ) -> "PoolStatus":
        """Return the status of a view; `words` are the short names of windows."""
        # To the minute: each reading moves the forecast a little.
        empty_at = pool.empty_at and pool.empty_at // 60 * 60
        until = pool.outage.until if pool.outage else None
        keys = tuple(_key(row, words) for row in pool.keys)
        outage = pool.outage is not None
        return cls(at, pool.active, empty_at, outage, until, keys, low_percent, empty_within)

    @classmethod
    def read(cls, text: str | None) -> "PoolStatus | None":
        """Read what `write` wrote; None for no text and for that of another version of the program."""
        try:
            document = json.loads(text or "null")
            keys = tuple(
                KeyStatus(**{**key, "windows": tuple(WindowStatus(*window) for window in key["windows"])})
                for key in document.pop("keys")
            )
            return cls(keys=keys, **document)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def says_the_same(self, other: "PoolStatus") -> bool:
        """Return whether both are equal except for their times."""
        return self._replace(at=other.at) == other

    def write(self) -> str:
        """Return the status as a JSON text."""
        document = {**self._asdict(), "keys": [key._asdict() for key in self.keys]}
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False)

    def later(self, now: float) -> "PoolStatus":
        """Return the status at a later moment, if nothing but time has passed."""

        def key_later(key: KeyStatus) -> KeyStatus:
            windows = tuple(window for window in key.windows if not _over(window.resets_at, now))
            if key.eligible or not _over(key.until, now):
                return key._replace(windows=windows)
            return key._replace(state="ready", eligible=True, until=None, windows=windows)

        keys = tuple(map(key_later, self.keys))
        # Where no key was taken, those that work were not allowed: only one that is back may be now.
        back = (key.number for key, was in zip(keys, self.keys, strict=True) if key.eligible > was.eligible)
        active = self.active or next(back, None)
        outage = self.outage and not _over(self.outage_until, now)
        empty_at = None if _over(self.empty_at, now) else self.empty_at
        return self._replace(active=active, empty_at=empty_at, outage=outage, keys=keys)


def _over(at: float | None, now: float) -> bool:
    return at is not None and at <= now


def _key(row: "KeyView", words: Mapping[str, str]) -> KeyStatus:
    balance = row.balance
    windows = tuple(
        WindowStatus(words.get(window.name, window.name), window.used_percent, window.resets_at)
        for window in (balance.windows if balance else ())
        if window.used_percent is not None
    )
    dollars = balance.credits if balance else None
    return KeyStatus(
        number=row.index,
        fingerprint=row.fingerprint,
        name=row.label or row.masked,
        account=row.account,
        state=row.state.value,
        eligible=row.verdict.eligible,
        until=row.verdict.until,
        windows=windows,
        left_usd=None if dollars is None else round(dollars.balance_usd + (dollars.purchased_usd or 0), 2),
    )


class StatusLine(NamedTuple):
    """The line: its text, how good things are, all keys for a tooltip, and the percent of a bar."""

    text: str
    level: Level
    tooltip: str
    percent: int | None


def status_line(pool: PoolStatus, today: UsageSum, now: float, zone: tzinfo = UTC) -> StatusLine:
    """Return the line of a moment; `today` is what was spent since midnight."""
    pool = pool.later(now)
    ready = sum(key.eligible for key in pool.keys)
    active = next((key for key in pool.keys if key.number == pool.active and key.eligible), None)
    tightest = max(active.windows, key=lambda window: window.used_percent, default=None) if active else None
    parts = [f"{ready}/{len(pool.keys)}" if pool.keys else "no key"]
    level: Level = "ok" if pool.keys else "none"
    soon = pool.empty_at is not None and pool.empty_at - now <= pool.empty_within
    if pool.outage:
        level, parts[0] = "outage", f"{parts[0]} ▲ cloud does not answer"
    elif pool.keys and not ready and any(key.state in IN_USE for key in pool.keys):
        level, parts[0] = "busy", f"{parts[0]} all busy"
    elif pool.keys and not ready:
        back = min((key.until for key in pool.keys if key.until is not None), default=None)
        level = "blocked"
        parts[0] += f" ✖ back {clock_time(back, now, zone)}" if back else " ✖ see okr-tui keys"
    elif pool.keys and active is None:
        level = "blocked"
        parts[0] += " ✖ the pinned key cannot be used"
    elif active:
        used = f" {tightest.used_percent:.0f}% {tightest.word}" if tightest else ""
        left = f" ${active.left_usd:.2f}" if active.left_usd is not None else ""
        parts.append(f"#{active.number}{used or left}")
        level = "low" if soon or (tightest and tightest.used_percent >= pool.low_percent) else "ok"
    if today.tokens:
        parts.append(f"{short_count(today.tokens)} today")
    if soon and pool.empty_at:
        parts.append(f"empty ~{clock_time(pool.empty_at, now, zone)}")
    percent = round(tightest.used_percent) if tightest else None
    return StatusLine(" · ".join(parts), level, _tooltip(pool, today, now, zone), percent)


def _tooltip(pool: PoolStatus, today: UsageSum, now: float, zone: tzinfo) -> str:
    lines = []
    for key in pool.keys:
        parts = [f"#{key.number} {key.name}", key.state]
        if key.until is not None and not key.eligible:
            parts.append(f"back {clock_time(key.until, now, zone)}")
        parts += [f"{window.word} {window.used_percent:.0f}%" for window in key.windows]
        if key.left_usd is not None:
            parts.append(f"${key.left_usd:.2f} left")
        lines.append("  ".join(parts))
    if not lines:
        lines.append("no key is configured: okr-tui add-key")
    counts = f"{today.input_tokens:,} tokens in, {today.output_tokens:,} out"
    lines.append(f"today: {counts}, {today.requests:,} requests, {today.faults:,} faults")
    lines.append(f"last change {clock_time(pool.at, now, zone)}")
    return "\n".join(lines)


def clock_time(at: float, now: float, zone: tzinfo) -> str:
    """Return the time of day, with the day of the week on another day, with the date far away."""
    there, here = datetime.fromtimestamp(at, zone), datetime.fromtimestamp(now, zone)
    if there.date() == here.date():
        return f"{there:%H:%M}"
    return f"{there:%a %H:%M}" if abs(at - now) < 6 * 86400 else f"{there:%Y-%m-%d}"


def short_count(count: int) -> str:
    """Return a count in at most five letters, cut and not rounded up: "950", "1.2k", "182k", "4.1M"."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (1000, "k")):
        if count >= size:
            tenths = count * 10 // size
            return f"{tenths / 10:.1f}{letter}" if tenths < 100 else f"{tenths // 10}{letter}"
    return str(count)


def plain(line: StatusLine) -> str:
    """Return the line as text."""
    return f"okr {line.text}"


TMUX_COLOURS: Final[Mapping[Level, str]] = {"low": "yellow", "outage": "yellow", "blocked": "red"}


def tmux(line: StatusLine) -> str:
    """Return the line in the colour of its level, as tmux writes styles; its own "#" are doubled."""
    text = plain(line).replace("#", "##")
    colour = TMUX_COLOURS.get(line.level)
    return f"#[fg={colour}]{text}#[default]" if colour else text


def waybar(line: StatusLine) -> str:
    """Return one JSON document as waybar's `return-type: json` has it; texts are Pango markup."""
    document: dict[str, object] = {
        "text": _markup(plain(line)),
        "alt": line.level,
        "class": line.level,
        "tooltip": _markup(line.tooltip),
    }
    if line.percent is not None:
        document["percentage"] = line.percent
    return json.dumps(document, ensure_ascii=False)


def _markup(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def starship(line: StatusLine) -> str:
    """Return the text alone; the symbol before it is in starship's own settings."""
    return line.text


FORMATS: Final[Mapping[Format, Callable[[StatusLine], str]]] = {
    "plain": plain,
    "tmux": tmux,
    "waybar": waybar,
    "starship": starship,
}
