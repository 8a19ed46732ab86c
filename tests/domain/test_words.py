"""Times and states in words, for any moment and zone."""

from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.faults import FaultKind
from okr_tui.domain.health import State, Verdict
from okr_tui.domain.words import moment, rfc3339, sentence, span
from tests.domain.facts import NOW, after, failed, judged, utc, went_well

HERE = timezone(timedelta(hours=2), "HERE")


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (NOW + 12, "16:00:12"),
        (NOW - 599, "15:50:01"),
        (NOW + 600, "16:10"),
        (NOW - 3600, "15:00"),
        (utc("2026-10-09T03:00:00"), "03:00"),
        (utc("2026-10-09T05:00:00"), "Fri 05:00"),
        (utc("2026-10-12T00:00:00"), "Mon 00:00"),
        (utc("2026-10-07T08:00:00"), "Wed 08:00"),
        (utc("2026-11-08T08:00:00"), "2026-11-08 08:00"),
    ],
)
def test_moment_is_as_exact_as_it_is_near(at: float, words: str) -> None:
    assert moment(at, NOW) == words


def test_moment_is_shown_in_the_zone_of_the_reader() -> None:
    assert moment(NOW + 600, NOW, HERE) == "18:10"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0s"),
        (0.4, "0s"),
        (14, "14s"),
        (59.6, "1m 00s"),
        (61, "1m 01s"),
        (599, "9m 59s"),
        (600, "10m"),
        (3599.7, "1h 00m"),
        (8040, "2h 14m"),
        (86399, "23h 59m"),
        (86400, "1d 0h"),
        (273600, "3d 4h"),
    ],
)
def test_span_is_short(seconds: float, words: str) -> None:
    assert span(seconds) == words


@given(st.floats(-1e6, 1e9))
def test_span_never_shows_a_full_unit_as_a_part(seconds: float) -> None:
    words = span(seconds)
    assert not any(words.endswith(part) for part in (" 60s", " 60m", " 24h"))


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (None, None),
        (NOW, "2026-10-08T16:00:00Z"),
        (NOW + 0.25, "2026-10-08T16:00:00.250Z"),
        (0.0, "1970-01-01T00:00:00Z"),
    ],
)
def test_time_for_machines(at: float | None, text: str | None) -> None:
    assert rfc3339(at) == text


def test_blocked_key_says_what_is_spent_and_when_it_is_back() -> None:
    weekly = judged(after(failed(FaultKind.SPENT, window="weekly")))
    assert sentence(weekly, NOW) == "week spent, back ~Mon 00:00 UTC"
    session = judged(after(failed(FaultKind.SPENT, window="session")))
    assert sentence(session, NOW, HERE) == "5h spent, back ~21:00"


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ("hourly", "hour spent"),
        ("monthly", "month spent"),
        ("credits", "credits spent"),
        (None, "quota spent"),
    ],
)
def test_every_window_has_a_word(window: str | None, words: str) -> None:
    assert sentence(judged(after(failed(FaultKind.SPENT, window=window))), NOW, UTC).startswith(words)


@pytest.mark.parametrize("kind", list(FaultKind))
def test_every_block_has_words(kind: FaultKind) -> None:
    found = judged(after(failed(kind)))
    assert found.eligible or sentence(found, NOW)


def test_eligible_key_says_its_state() -> None:
    assert sentence(judged(after(went_well())), NOW) == "ready"
    assert sentence(Verdict(State.READY, eligible=True, until=NOW + 5), NOW) == "ready"


def test_open_ended_block_promises_no_return() -> None:
    off = Verdict(State.OFF, eligible=False, reason="switched off by you")
    assert sentence(off, NOW) == "switched off by you"
