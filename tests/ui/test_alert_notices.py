"""Alerts on the screen: told once, as toasts and by the terminal, and a title that shows the pool."""

from dataclasses import replace

import pytest

from okr_tui.domain.alerts import DEFAULT_RULES, AlertRules, Terminal
from okr_tui.domain.faults import Tone
from okr_tui.domain.health import State, Verdict
from okr_tui.domain.records import AlertEvent
from okr_tui.services.service import AlertNotice, Snapshot
from okr_tui.ui.controllers.alerts import AlertsController
from okr_tui.ui.notifications import notification, title, way
from tests.ui.examples import KEYS, NOW, pool, snapshot
from tests.ui.stub_application import StubApplication

BARE = replace(DEFAULT_RULES, title=False, terminal="off")


def notice(
    number: int = 1, event: AlertEvent = "spent", tone: Tone = "warning", at: float = NOW
) -> AlertNotice:
    return AlertNotice(str(number), at, event, tone, f"alert {number}", "account", "session")


class Screen:
    """A controller, its application, and what went to the terminal."""

    def __init__(self, **environment: str) -> None:
        self.app = StubApplication()
        self.written: list[str] = []
        self.controller = AlertsController(self.app, self.written.append, environment)

    def show(self, *notices: AlertNotice, rules: AlertRules = BARE, shown: Snapshot | None = None) -> None:
        self.controller.show(replace(shown or snapshot(), at=NOW, alerts=notices, rules=rules))


def test_an_alert_is_a_toast_once() -> None:
    screen = Screen()
    screen.show(notice())
    screen.show(notice(), notice(2, tone="fault"), notice(3, tone="good"))
    assert screen.app.toasts == [("warning", "alert 1"), ("error", "alert 2"), ("information", "alert 3")]


def test_old_alerts_are_not_news() -> None:
    screen = Screen()
    screen.show(notice(at=NOW - 61))
    assert screen.app.toasts == []


def test_many_alerts_do_not_cover_the_screen() -> None:
    screen = Screen()
    screen.show(*(notice(number) for number in range(5)))
    assert [text for _, text in screen.app.toasts] == [
        "alert 0", "alert 1", "alert 2", "and 2 more alerts; Live shows them all",
    ]  # fmt: skip


def test_a_window_that_passes_both_marks_at_once_has_a_toast_for_the_higher() -> None:
    screen = Screen()
    screen.show(notice(1, "window-80"), notice(2, "window-95"))
    assert [text for _, text in screen.app.toasts] == ["alert 2"]


def test_without_toasts_the_terminal_notifies_all_the_same() -> None:
    screen = Screen(TERM="xterm-kitty")
    screen.show(notice(), rules=replace(DEFAULT_RULES, toasts=False, title=False))
    assert screen.app.toasts == []
    assert screen.written == ["\x1b]99;i=okr:d=0;okr-tui\x1b\\\x1b]99;i=okr:p=body;alert 1\x1b\\"]


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({"TERM": "xterm-kitty"}, "osc99"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "osc9"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "osc9"),
        ({"TERM": "foot-extra"}, "osc777"),
        ({"TERM": "rxvt-unicode-256color"}, "osc777"),
        ({"TERM": "xterm-256color"}, "bell"),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, "bell"),
        ({"TERM": "screen-256color", "TERM_PROGRAM": "WezTerm"}, "bell"),
        ({}, "bell"),
    ],
)
def test_the_terminal_is_asked_in_a_way_that_it_knows(environment: dict[str, str], found: Terminal) -> None:
    assert way("auto", environment) == found
    assert way("osc9", environment) == "osc9"


@pytest.mark.parametrize("by", ["osc9", "osc99", "osc777"])
def test_no_text_ends_a_sequence_or_begins_another(by: Terminal) -> None:
    sequence = notification(by, "a\x1b]52;c;x\x07b\x1b\\c\x9cd;e" + "x" * 5000)
    inner = sequence.replace("\x1b\\", "").removeprefix("\x1b]").replace("\x1b]99;", "")
    assert not {"\x1b", "\x07", "\x9c"} & set(inner)
    assert len(sequence) < 400
    if by == "osc777":
        assert sequence.count(";") == 3


def test_a_bell_rings_once_for_several_alerts() -> None:
    screen = Screen(TERM="xterm")
    screen.show(notice(1), notice(2), rules=replace(DEFAULT_RULES, title=False))
    assert screen.written == ["\a"]


def test_the_bell_rings_with_a_notification_where_it_is_wanted() -> None:
    screen = Screen()
    screen.show(notice(), rules=replace(DEFAULT_RULES, title=False, terminal="osc9", bell=True))
    assert screen.written == ["\x1b]9;okr-tui: alert 1\x1b\\\a"]
    screen = Screen()
    screen.show(notice(), rules=replace(DEFAULT_RULES, title=False, terminal="off"))
    assert screen.written == []


def keys(*states: State) -> Snapshot:
    rows = tuple(
        replace(KEYS[0], index=position, verdict=Verdict(state, eligible=state is State.READY))
        for position, state in enumerate(states, 1)
    )
    return snapshot(pool=replace(pool(), keys=rows, outage=None))


@pytest.mark.parametrize(
    ("states", "text"),
    [
        ((State.READY, State.BUSY), "okr 2/2"),
        ((State.READY, State.SPENT, State.READY, State.INVALID), "okr 2/4 ▲"),
        ((State.READY, State.SLOWED), "okr 1/2"),
        ((State.SPENT, State.INVALID), "okr 0/2 ✖"),
        ((), "okr"),
    ],
)
def test_the_title_shows_the_pool(states: tuple[State, ...], text: str) -> None:
    assert title(keys(*states).pool) == text


def test_the_title_is_written_when_it_changes_and_given_back_at_the_end() -> None:
    screen = Screen(TERM="xterm")
    rules = replace(DEFAULT_RULES, terminal="off")
    for _ in range(2):
        screen.show(rules=rules, shown=keys(State.READY))
    screen.show(rules=rules, shown=keys(State.SPENT))
    screen.controller.close()
    screen.controller.close()
    assert screen.written == ["\x1b[22;2t\x1b]2;okr 1/1\x1b\\", "\x1b]2;okr 0/1 ✖\x1b\\", "\x1b[23;2t"]


@pytest.mark.parametrize("term", ["linux", "dumb", ""])
def test_a_terminal_without_a_title_is_sent_none(term: str) -> None:
    screen = Screen(TERM=term)
    screen.show(rules=replace(DEFAULT_RULES, terminal="off"))
    assert screen.written == []


def test_a_title_that_is_switched_off_is_given_back() -> None:
    screen = Screen(TERM="xterm")
    screen.show(rules=replace(DEFAULT_RULES, terminal="off"))
    screen.show(rules=BARE)
    assert screen.written[-1] == "\x1b[23;2t"
