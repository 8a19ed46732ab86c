"""The settings of alerts, hooks and budgets: what each accepts, and in which words it is explained."""

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, get_args
from urllib.parse import urlsplit

from okr_tui.domain.addresses import is_loopback
from okr_tui.domain.alerts import QuietHours, Terminal
from okr_tui.domain.records import ALERT_EVENTS
from okr_tui.domain.usage import Budget
from okr_tui.settings.checks import (
    Check,
    UnusableError,
    as_text,
    nearest,
    number_from,
    object_of,
    one_of,
    shown_name,
    text,
    true_or_false,
    whole_number,
)

ANY_EVENT: Final = "*"
LONGEST_COMMAND: Final = 4096
MOST_TOKENS: Final = 10**15
CLOCK: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
TERMINALS: Final[tuple[str, ...]] = get_args(Terminal)


def quiet_hours(value: object) -> QuietHours | None:
    """Return a stretch of the day from a text such as "22:00-07:00"."""
    written = text(value)
    if written is None:
        return None
    ends = [CLOCK.fullmatch(part.strip()) for part in written.split("-")]
    begin, end = (ends[0], ends[1]) if len(ends) == 2 else (None, None)
    if begin is None or end is None or begin[0] == end[0]:
        raise UnusableError('it must be two times of the day, such as "22:00-07:00"')
    return QuietHours(60 * int(begin[1]) + int(begin[2]), 60 * int(end[1]) + int(end[2]))


def _hours_text(hours: QuietHours | str) -> str:
    if isinstance(hours, str):
        return hours
    return "-".join(f"{minutes // 60:02d}:{minutes % 60:02d}" for minutes in hours)


def _events(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UnusableError("it must be a list of events")
    for each in value:
        _known(each, ALERT_EVENTS)
    return tuple(dict.fromkeys(value))


def _known(event: str, events: tuple[str, ...]) -> None:
    if event not in events:
        raise UnusableError(f"there is no event {shown_name(event)}{nearest(event, events)}")


def hook(event: str, value: object) -> str:
    """Return what is done on an event: a command line, or an https address. Raises UnusableError.

    An http address is taken on this machine only: elsewhere everybody on the way could read the record.
    """
    _known(event, (*ALERT_EVENTS, ANY_EVENT))
    if not isinstance(value, str) or not value.strip():
        raise UnusableError("it must be a command line or an https address")
    line = value.strip()
    if "\0" in line or len(line) > LONGEST_COMMAND:
        raise UnusableError(f"a command line has at most {LONGEST_COMMAND} characters, none of them NUL")
    if is_address(line):
        try:
            parts = urlsplit(line)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            host = ""
        if not host or not line.isascii() or not line.isprintable() or " " in line or "@" in parts.netloc:
            raise UnusableError("it is not a plain web address")
        if parts.scheme.lower() != "https" and not is_loopback(host):
            raise UnusableError("it must be https://..., or http:// on this machine")
    return line


def is_address(line: str) -> bool:
    """Return whether a hook is an address, not a command."""
    return line.lower().startswith(("https://", "http://"))


def hook_words(line: str) -> str:
    """Return a hook for people: a command, or the host of an address, whose path is often secret."""
    if not is_address(line):
        return line
    try:
        parts = urlsplit(line)
    except ValueError:
        return f"{line.partition(':')[0]}:…"
    return f"{parts.scheme}://{parts.hostname or ''}/…"


def _hooks_text(hooks: Mapping[str, str]) -> str:
    return as_text({event: hook_words(line) for event, line in hooks.items()})


def budget(name: str, value: object) -> Budget:
    """Return the budget of a caller or model. Raises UnusableError."""
    if not isinstance(value, Mapping):
        raise UnusableError('it must be an object such as {"tokensPerDay": 1000000, "hard": false}')
    if unknown := sorted(set(value) - {"tokensPerDay", "hard"}):
        known = ("tokensPerDay", "hard")
        raise UnusableError(
            f"{shown_name(unknown[0])} is not a setting of a budget{nearest(unknown[0], known)}"
        )
    if "tokensPerDay" not in value:
        raise UnusableError("tokensPerDay is missing")
    try:
        tokens = whole_number(0, MOST_TOKENS).parse(value["tokensPerDay"])
        hard = true_or_false(value.get("hard", False))
    except UnusableError as error:
        wrong = "hard" if "true or false" in str(error) else "tokensPerDay"
        raise UnusableError(f"{wrong}: {error}") from None
    return Budget(name, tokens, hard)


def _budgets_text(budgets: Mapping[str, object]) -> str:
    shown = {}
    for name, each in budgets.items():
        if isinstance(each, Budget):
            shown[name] = f"{each.tokens_per_day} a day{', hard' if each.hard else ''}"
        else:
            shown[name] = as_text(each)
    return as_text(shown)


_HOOK_SCHEMA: Final = {"type": "string", "minLength": 1}
HOOKS: Final = object_of(
    hook,
    _HOOK_SCHEMA,
    "events and what to do on each",
    names=(*ALERT_EVENTS, ANY_EVENT),
    shown=_hooks_text,
)
BUDGETS: Final = object_of(
    budget,
    {
        "type": "object",
        "properties": {
            "tokensPerDay": {"type": "integer", "minimum": 0, "maximum": MOST_TOKENS},
            "hard": {"type": "boolean"},
        },
        "required": ["tokensPerDay"],
        "additionalProperties": False,
    },
    "callers or models and their budgets",
    shown=_budgets_text,
)
_PERCENT: Final = number_from(1, 100)
_SECONDS: Final = number_from(1, 366 * 86400)


class AlertRow(NamedTuple):
    """A setting of alerts: its field of AlertRules, its name in files, what it accepts, and its words."""

    field: str
    name: str
    check: Check
    words: str


def _boolean() -> Check:
    return Check(true_or_false, {"type": "boolean"})


_parse_events: Callable[[object], object] = _events
ALERTS: Final[tuple[AlertRow, ...]] = (
    AlertRow(
        "events",
        "events",
        Check(_parse_events, {"type": "array", "items": {"enum": [*ALERT_EVENTS]}}),
        "the events shown as toasts and terminal notifications; all but `slowed` by default",
    ),
    AlertRow("low_percent", "lowPercent", _PERCENT, "how full a window is at the event `window-80`"),
    AlertRow(
        "critical_percent",
        "criticalPercent",
        _PERCENT,
        "how full a window is at the event `window-95`; bars are red from there on",
    ),
    AlertRow("amber_percent", "amberPercent", _PERCENT, "how full a window is where its bar turns amber"),
    AlertRow("low_dollars", "lowDollars", number_from(0, 1e9), "dollars left below which credits are amber"),
    AlertRow(
        "empty_within",
        "emptyWithinSeconds",
        _SECONDS,
        "how soon a window has to be empty at its pace for the event `empty-soon`",
    ),
    AlertRow(
        "pace_seconds", "paceSeconds", _SECONDS, "how far apart readings must be to tell a window's pace"
    ),
    AlertRow(
        "unused_percent",
        "unusedPercent",
        _PERCENT,
        "how much of a window has to be left for the event `unused`",
    ),
    AlertRow(
        "unused_within",
        "unusedWithinSeconds",
        _SECONDS,
        "how near the reset of a window has to be for the event `unused`",
    ),
    AlertRow("stale_seconds", "staleSeconds", _SECONDS, "the age from which a reading is shown as old"),
    AlertRow(
        "clock_seconds",
        "clockSeconds",
        _SECONDS,
        "by how much this machine's clock may differ from the cloud's without a warning",
    ),
    AlertRow(
        "quiet_hours",
        "quietHours",
        Check(quiet_hours, {"type": ["string", "null"]}, shown=_hours_text),
        'hours such as `"22:00-07:00"`, in this machine\'s zone, when alerts go to Live and the log only',
    ),
    AlertRow("toasts", "toasts", _boolean(), "whether the dashboard shows toasts"),
    AlertRow(
        "terminal",
        "terminal",
        one_of(TERMINALS),
        "how the terminal notifies: `osc9`, `osc99`, `osc777`, `bell`, `off`, or `auto` by the terminal",
    ),
    AlertRow("bell", "bell", _boolean(), "whether the terminal's bell rings as well"),
    AlertRow("title", "title", _boolean(), "whether the terminal's title shows the pool: `okr 2/4 ▲`"),
    AlertRow("hook_seconds", "hookSeconds", number_from(0.1, 600), "how long a hook may run"),
    AlertRow("hooks_at_once", "hooksAtOnce", whole_number(1, 50), "how many hooks may run at once"),
    AlertRow("hooks_an_hour", "hooksPerHour", whole_number(1, 10_000), "how many hooks may run in an hour"),
)
