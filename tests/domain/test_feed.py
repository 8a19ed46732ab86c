"""The live feed: one line per record that a person wants to see, and lines for what time alone brings."""

from dataclasses import replace

import pytest
from hypothesis import given

from okr_tui.domain.faults import FaultKind
from okr_tui.domain.feed import Entry, entry, recoveries
from okr_tui.domain.fold import apply, fold
from okr_tui.domain.quota import Balance
from okr_tui.domain.records import (
    Disabled,
    Enabled,
    ModelsRead,
    Record,
    Reset,
    ResetUndone,
    SettingsRead,
    Use,
)
from okr_tui.domain.state import PoolState
from okr_tui.domain.view import view
from tests.domain.facts import (
    MODEL,
    NOW,
    POLICY,
    A,
    B,
    C,
    D,
    after,
    belongs,
    config,
    failed,
    reading,
    trial,
    went_well,
    windows,
)
from tests.domain.histories import HISTORIES

POOL = config(3, preferred=A)


def line(record: Record, before: PoolState | None = None) -> Entry | None:
    state = apply(before or PoolState(), record, POLICY)
    return entry(record, state, POOL, POLICY)


def text(record: Record, before: PoolState | None = None) -> str:
    found = line(record, before)
    assert found is not None
    return found.text


def test_quota_fault_names_key_window_return_and_successor() -> None:
    text = "you have reached your weekly usage limit"
    record = replace(failed(FaultKind.SPENT, window="weekly", status=429, text=text), next_fingerprint=C)
    found = line(record)
    assert found is not None
    assert found.text == "#1 week spent, back Mon 00:00 UTC → #3"
    assert found.detail == f"cli · {MODEL} · 429 you have reached your weekly usage limit"
    assert (found.tone, found.key, found.fingerprint, found.model) == ("fault", 1, A, MODEL)


def test_callers_own_error_is_told_in_the_clouds_words_without_blame() -> None:
    found = line(failed(FaultKind.REQUEST, status=400, text="prompt too long"))
    assert found is not None
    assert (found.tone, found.text) == ("warning", "#1 prompt too long")


def test_fault_that_blocks_nothing_is_a_warning() -> None:
    found = line(failed(FaultKind.TRANSIENT, status=502, text="Bad Gateway"))
    assert found is not None
    assert (found.tone, found.text) == ("warning", "#1 Bad Gateway")


def test_success_is_quiet() -> None:
    record = replace(went_well(), output_tokens=50, duration_ms=2010)
    found = line(record)
    assert found is not None
    assert (found.tone, found.text, found.detail) == ("quiet", f"#1 {MODEL} ok", "cli · 50 tokens, 2.0 s")


@pytest.mark.parametrize(
    "record",
    [
        went_well(client="probe"),
        replace(failed(FaultKind.TRANSIENT), outcome="cancelled", fault=None),
        reading(NOW, windows(5)),
        belongs(A, "amber"),
        trial(NOW),
        ModelsRead(at=NOW, count=20),
    ],
)
def test_what_nobody_needs_to_see_has_no_line(record: Record) -> None:
    assert line(record) is None


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (Use(at=NOW, fingerprint=B), "#2 chosen as preferred key"),
        (Reset(at=NOW, fingerprint=B), "#2 reset: older faults forgotten"),
        (ResetUndone(at=NOW, fingerprint=B), "#2 reset undone: old faults count"),
        (Enabled(at=NOW, fingerprint=B), "#2 switched on"),
        (Disabled(at=NOW, fingerprint=B), "#2 switched off"),
        (Use(at=NOW, fingerprint=D), "a removed key chosen as preferred key"),
        (reading(NOW, Balance(understood=False)), "#1 quota format not understood"),
        (SettingsRead(at=NOW, keys=1, cloud_url="u"), "settings read: 1 key"),
        (SettingsRead(at=NOW, keys=3, cloud_url="u"), "settings read: 3 keys"),
        (SettingsRead(at=NOW, keys=3, cloud_url="u", problems=("line 3: no comma",)), "line 3: no comma"),
        (ModelsRead(at=NOW, count=2, added=("a",), removed=("b",)), "2 models"),
        (ModelsRead(at=NOW, count=2, error="refused"), "models not refreshed, the last list is kept"),
    ],
)
def test_every_other_fact_has_its_words(record: Record, words: str) -> None:
    assert text(record) == words


def test_changes_of_the_model_list_are_named() -> None:
    found = line(ModelsRead(at=NOW, count=2, added=("a", "b"), removed=("c",)))
    assert found is not None
    assert found.detail == "+a +b -c"


@given(HISTORIES)
def test_every_line_is_one_line(records: list[Record]) -> None:
    state = PoolState()
    for record in records:
        state = apply(state, record, POLICY)
        found = entry(record, state, POOL, POLICY)
        assert found is None or (found.text and found.at == record.at)


def changes(records: list[Record], then: float, now: float, *more: Record) -> list[str]:
    state = fold(records, POLICY)
    later = fold(more, POLICY, state)
    before, afterwards = view(state, POOL, POLICY, then), view(later, POOL, POLICY, now)
    return [found.text for found in recoveries(before, afterwards, now)]


def test_key_whose_block_ran_out_is_announced_once() -> None:
    records: list[Record] = [failed(FaultKind.SLOWED)]
    assert changes(records, NOW + 1, NOW + 14) == []
    assert changes(records, NOW + 1, NOW + 15) == ["#1 back: slowed is over"]
    assert changes(records, NOW + 15, NOW + 16) == []


def test_outage_is_announced_when_it_begins_and_when_it_is_over() -> None:
    first, second = failed(FaultKind.TRANSIENT), failed(FaultKind.TRANSIENT, NOW + 1, B)
    assert changes([first], NOW, NOW + 1, second) == ["the cloud does not answer, next try 16:00:11"]
    assert changes([first, second], NOW + 2, NOW + 11)[-1] == "outage over, trying again"


def test_key_switched_on_by_hand_is_not_announced_twice() -> None:
    off = Disabled(at=NOW, fingerprint=A)
    assert changes([off], NOW, NOW + 1, Enabled(at=NOW + 1, fingerprint=A)) == []


def test_nothing_changed_is_nothing_said() -> None:
    state = view(after(went_well()), POOL, POLICY, NOW)
    assert recoveries(state, state, NOW) == ()
