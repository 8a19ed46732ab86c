"""What header, banner, table, details, Live, `status`, `keys` and `explain` say of one thing agrees.

The catalogue has every state that a key, an account, a model or the whole pool can be in, made of the records
that lead to it; nothing in it is invented for the screen.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC
from functools import partial

import pytest

from okr_tui.cli.documents import choice_document, keys_document, status_document
from okr_tui.cli.explain import _lines as explain_lines
from okr_tui.cli.keys import _pool_lines, active_words
from okr_tui.domain.choice import PoolConfig, SelectionRequest
from okr_tui.domain.explain import explain
from okr_tui.domain.faults import FaultKind, Scope
from okr_tui.domain.feed import history
from okr_tui.domain.fold import fold
from okr_tui.domain.health import State, Wait
from okr_tui.domain.history import KeyHistory
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Strategy
from okr_tui.domain.quota import Balance
from okr_tui.domain.records import Disabled, Record
from okr_tui.domain.state import PoolState
from okr_tui.domain.status_line import PoolStatus, status_line
from okr_tui.domain.usage import UsageSum
from okr_tui.domain.view import KeyView, PoolView, view
from okr_tui.domain.words import WINDOW_WORDS, rfc3339
from okr_tui.services.overview import Choice, Overview
from okr_tui.services.service import Snapshot
from okr_tui.ui.screens.key_details import fact_lines
from okr_tui.ui.widgets.banner import banner_lines
from okr_tui.ui.widgets.header import header_line
from tests.domain.facts import (
    KEYS,
    NOW,
    POLICY,
    SESSION_END,
    A,
    B,
    C,
    belongs,
    dollars,
    failed,
    reading,
    refused_reading,
    trial,
    went_well,
    windows,
)
from tests.ui import examples
from tests.ui.driver import Driver, run_app
from tests.ui.scripted_service import ScriptedService

KNOWN: tuple[Record, ...] = (
    belongs(A, "amber", plan="pro"),
    belongs(B, "birch", plan="free"),
    belongs(C, "cedar", plan="pro"),
)


@dataclass(frozen=True)
class Case:
    """A pool and how it came about. `states` are those of its keys, in order."""

    states: tuple[State, ...]
    records: tuple[Record, ...] = ()
    flights: Mapping[str, int] = field(default_factory=dict)
    keys: tuple[Key, ...] = KEYS[:3]
    strategy: Strategy = "sticky"
    known: tuple[Record, ...] = KNOWN

    @property
    def config(self) -> PoolConfig:
        """The pool as configured."""
        return PoolConfig(self.keys, A, self.strategy)

    @property
    def state(self) -> PoolState:
        """The fold of the records."""
        return fold((*self.known, *self.records), POLICY)

    @property
    def view(self) -> PoolView:
        """The pool as it is shown."""
        return view(self.state, self.config, POLICY, NOW, self.flights)

    @property
    def overview(self) -> Overview:
        """What the verbs show."""
        return Overview.of(self.snapshot, "memory:", self.choice)

    @property
    def choice(self) -> Choice:
        """What `explain` shows."""
        request = SelectionRequest(NOW, in_flight=self.flights)
        return Choice.of(explain(self.state, self.config, request, POLICY))

    @property
    def snapshot(self) -> Snapshot:
        """What the screen is given."""
        records = list(enumerate((*self.known, *self.records), 1))
        lines = (
            line
            for _, found in history(records, PoolState(), self.config, POLICY, zone=UTC)
            for line in found
        )
        return replace(
            examples.snapshot(), at=NOW, pool=self.view, entries=tuple(lines), settings=examples.settings()
        )


def ok(key: str, at: float = NOW - 60) -> Record:
    return went_well(at, key)


WELL = (ok(A), ok(B), ok(C))
FULL: tuple[Record, ...] = tuple(reading(NOW - 10, windows(30, 20, SESSION_END), key) for key in (A, B, C))


def spent(key: str, window: str = "session") -> Record:
    text = f"you have reached your {window} usage limit"
    return failed(FaultKind.SPENT, NOW - 5, key, window=window, status=429, text=text)


def invalid(key: str) -> tuple[Record, ...]:
    return (
        failed(FaultKind.UNAUTHORIZED, NOW - 5, key, status=401, text="unauthorized"),
        refused_reading(FaultKind.UNAUTHORIZED, NOW - 3, key),
    )


def suspended(key: str) -> tuple[Record, ...]:
    return (
        failed(FaultKind.FORBIDDEN, NOW - 5, key, status=403, text="suspended"),
        refused_reading(FaultKind.FORBIDDEN, NOW - 3, key),
    )


def transient(key: str, at: float, scope: Scope = Scope.SERVICE) -> Record:
    record = failed(FaultKind.TRANSIENT, at, key, status=502, text="HTTP 502", scope=scope)
    return replace(record, request=f"{key}{at}")


READY, SPENT, BUSY = State.READY, State.SPENT, State.BUSY
CATALOGUE: dict[str, Case] = {
    "nothing tried": Case((State.UNVERIFIED,) * 3, known=()),
    "all well": Case((READY,) * 3, (*WELL, *FULL)),
    "session spent": Case((SPENT, READY, READY), (*WELL, *FULL, spent(A))),
    "week spent": Case((SPENT, READY, READY), (*WELL, spent(A, "weekly"))),
    "month spent": Case((SPENT, READY, READY), (*WELL, spent(A, "monthly"))),
    "credits spent": Case(
        (SPENT, READY, READY), (*WELL, reading(NOW - 10, dollars(0), A), spent(A, "credits"))
    ),
    "slowed": Case(
        (State.SLOWED, READY, READY), (*WELL, failed(FaultKind.SLOWED, NOW - 5, A, status=429, text="slow"))
    ),
    "busy here": Case((READY, BUSY, READY), WELL, {"birch": 1}),
    "busy by the cloud": Case(
        (READY, BUSY, READY), (*WELL, failed(FaultKind.BUSY, NOW - 1, B, status=429, text="too many"))
    ),
    "shaky": Case(
        (READY, READY, State.SHAKY), (*WELL, transient(C, NOW - 9), ok(A, NOW - 7), transient(C, NOW - 5))
    ),
    "refused once": Case(
        (State.INVALID, READY, READY),
        (*WELL, failed(FaultKind.UNAUTHORIZED, NOW - 1, A, status=401, text="unauthorized")),
    ),
    "invalid": Case((State.INVALID, READY, READY), (*WELL, *invalid(A))),
    "suspended": Case((READY, State.SUSPENDED, READY), (*WELL, *suspended(B))),
    "switched off": Case((READY, State.OFF, READY), (*WELL, Disabled(at=NOW - 5, fingerprint=B))),
    "not trusted": Case(
        (READY, State.OFF, READY), WELL, keys=(KEYS[0], replace(KEYS[1], trusted=False), KEYS[2])
    ),
    "a reference that gives nothing": Case(
        (READY, State.MISSING, READY),
        WELL,
        keys=(KEYS[0], Key.absent("$OTHER", "$OTHER", "global", None, "OTHER is not set"), KEYS[2]),
    ),
    "back, to be tried": Case(
        (READY, READY, READY), (*WELL, failed(FaultKind.SPENT, NOW - 9000, A, window="hourly", status=429))
    ),
    "being tried": Case(
        (State.PROBING, READY, READY),
        (*WELL, failed(FaultKind.SPENT, NOW - 9000, A, window="hourly", status=429), trial(NOW - 1, A)),
    ),
    "no plan for a model": Case(
        (READY,) * 3,
        (*WELL, failed(FaultKind.NO_PLAN, NOW - 5, A, status=403, text="requires a subscription")),
    ),
    "a model gone": Case(
        (READY,) * 3, (*WELL, failed(FaultKind.GONE, NOW - 5, A, status=410, text="retired"))
    ),
    "a model overloaded": Case(
        (READY,) * 3,
        (*WELL, *(transient(key, NOW - 3, scope=Scope.MODEL) for key in (A, B))),
    ),
    "outage": Case((State.OUTAGE,) * 3, (*WELL, transient(A, NOW - 3), transient(B, NOW - 2))),
    "refused alike": Case(
        (State.OUTAGE,) * 3,
        tuple(failed(FaultKind.FORBIDDEN, NOW - 3, key, status=403, text="forbidden") for key in (A, B, C)),
    ),
    "all spent": Case((SPENT,) * 3, (*WELL, spent(A), spent(B, "weekly"), spent(C))),
    "all busy": Case((BUSY,) * 3, WELL, {"amber": 3, "birch": 1, "cedar": 3}),
    "spent, and the last one answers": Case((SPENT, BUSY, SPENT), (*WELL, spent(A), spent(C)), {"birch": 1}),
    "all slots taken by others": Case(
        (BUSY,) * 3,
        (*WELL, *(failed(FaultKind.BUSY, NOW - 1, key, status=429, text="too many") for key in (A, B, C))),
    ),
    "all invalid": Case((State.INVALID,) * 3, (*invalid(A), *invalid(B), *invalid(C))),
    "invalid and off": Case(
        (State.INVALID, State.OFF), (*invalid(A), Disabled(at=NOW, fingerprint=B)), keys=KEYS[:2]
    ),
    "all slowed": Case(
        (State.SLOWED,) * 3,
        (*WELL, *(failed(FaultKind.SLOWED, NOW - 1, key, status=429, text="slow") for key in (A, B, C))),
    ),
    "pinned to a key in use": Case((BUSY, READY, READY), WELL, {"amber": 3}, strategy="pinned"),
    "pinned to a spent key": Case((SPENT, READY, READY), (*WELL, spent(A)), strategy="pinned"),
    "bought credit only": Case(
        (READY, SPENT, SPENT),
        (*WELL, reading(NOW - 10, dollars(0, bought=3.5), A), spent(B), spent(C)),
    ),
    "the first key of an account is invalid": Case(
        (State.INVALID, READY, READY), (belongs(B, "amber", plan="pro"), *WELL, *FULL, *invalid(A))
    ),
    "quota not understood": Case((READY,) * 3, (*WELL, reading(NOW - 10, Balance(understood=False), A))),
}


def said(line: object) -> str:
    """The text of a drawn line."""
    return "".join(text for text, _ in line)  # type: ignore[attr-defined]


def key_of(action: str) -> str:
    return f"<{action}>"


@pytest.fixture(params=list(CATALOGUE.values()), ids=list(CATALOGUE))
def case(request: pytest.FixtureRequest) -> Case:
    """Each state of the catalogue."""
    found: Case = request.param
    return found


def test_the_catalogue_has_every_state() -> None:
    of_keys = {state for case in CATALOGUE.values() for state in case.states}
    of_models = {
        verdict.state for case in CATALOGUE.values() for r in case.view.keys for _, verdict in r.models
    }
    assert of_keys | of_models | {State.GONE} == set(State)


def test_a_case_is_what_it_is_called(case: Case) -> None:
    assert tuple(row.state for row in case.view.keys) == case.states


def test_documents_and_header_count_the_same_states(case: Case) -> None:
    pool, snapshot = case.view, case.snapshot
    words = [state.value for state in case.states]
    assert [row["state"] for row in keys_document(case.overview.pool)["keys"]] == words  # type: ignore[attr-defined]
    counted = status_document(case.overview)["keys"]
    assert isinstance(counted, dict)
    found = {word: count for word, count in counted.items() if count and word != "total"}
    assert found == {word: words.count(word) for word in words}
    header = said(header_line(snapshot, NOW, UTC, 400, demo=False))
    for word, count in found.items():
        assert f"{count} {word}" in header
    drawn = "\n".join(_pool_lines(case.overview.pool, NOW, UTC))
    for row in pool.keys:
        assert re.search(rf"#{row.index} .* {row.state.traits.glyph} {row.state.value}\b", drawn)


def test_choice_and_reasons_are_those_of_explain(case: Case) -> None:
    pool = case.view
    document = choice_document(case.choice)
    choice = document["choice"]
    assert (choice["key"] if isinstance(choice, dict) else None) == pool.active
    assert document["earliest"] == rfc3339(pool.earliest)
    for row, standing in zip(pool.keys, case.choice.keys, strict=True):
        assert (row.state, row.reason) == (standing.state, standing.reason)
        if not row.verdict.eligible:
            assert row.reason == row.verdict.reason
    assert status_document(case.overview)["active"] == pool.active
    words = active_words(case.overview.pool, NOW, UTC)
    assert words.startswith(f"#{pool.active} " if pool.active else "(none)")


def test_details_say_what_the_table_says(case: Case) -> None:
    pool = case.view
    for row in pool.keys:
        facts = [said(line) for line in fact_lines(row, pool, KeyHistory(), NOW, UTC, 400, key_of)]
        assert facts[0].startswith(f"state      {row.state.traits.glyph} ")
        assert re.search(rf"\b{row.state.value}\b", facts[0])
        if row.verdict.reason and not row.state.traits.plain:
            assert row.verdict.reason in facts[0]
        takes = "the next request takes it" in facts[1]
        assert takes == (pool.active == row.index)
        assert (row.reason in facts[1]) or takes


def test_the_banner_blames_what_the_pool_suffers_from(case: Case) -> None:
    pool, snapshot = case.view, case.snapshot
    banner = " ".join(said(line) for line in banner_lines(snapshot, None, NOW, UTC, key_of))
    usable = [row for row in pool.keys if row.verdict.eligible]
    waits = any(row.state.traits.wait is Wait.SLOT for row in pool.keys)
    assert ("blocked" in banner or "every key is refused" in banner) == (
        not usable and not waits and not pool.outage
    )
    assert ("no key is free" in banner) == (not usable and waits and not pool.outage)
    assert ("pinned" in banner) == bool(usable and pool.active is None)
    assert (pool.outage is not None) == bool(pool.outage and pool.outage.reason in banner)
    first = explain_lines(case.choice, NOW, "It takes", "It finds no key")[0]
    assert ("finds no key" in first) == (pool.active is None)
    assert ("no key is free" in first) == pool.waits_for_slot
    assert ("the first is back" in first) == (pool.active is None and pool.earliest is not None and not waits)


def test_the_line_for_status_bars_agrees(case: Case) -> None:
    pool = case.view
    line = status_line(PoolStatus.of(pool, NOW, WINDOW_WORDS), UsageSum(), NOW, UTC)
    ready = sum(row.verdict.eligible for row in pool.keys)
    assert line.text.startswith(f"{ready}/{len(pool.keys)}")
    waits = pool.waits_for_slot
    assert (line.level == "blocked") == (pool.active is None and not waits and not pool.outage)
    assert (line.level == "outage") == (pool.outage is not None)
    for row, reported in zip(pool.keys, line.tooltip.splitlines(), strict=False):
        assert f"  {row.state.value}" in reported


def test_live_calls_a_blocked_key_what_the_table_calls_it(case: Case) -> None:
    pool, entries = case.view, case.snapshot.entries
    for row in pool.keys:
        mine = [entry for entry in entries if entry.fingerprint == row.fingerprint and entry.is_fault]
        if row.verdict.eligible or not row.state.traits.blocked or not mine:
            continue
        if row.state in (State.OUTAGE, State.SHAKY):
            continue  # told of the cloud, or of several requests
        assert row.verdict.reason in " ".join(entry.text for entry in mine), (row.index, mine)


@pytest.mark.slow(reason="draws many states at many sizes")
@pytest.mark.parametrize("width", [60, 72, 80, 100, 120, 140, 160, 200])
async def test_the_table_draws_it_at_every_width(width: int) -> None:
    service = ScriptedService()
    async with run_app(service, (width, 45)) as driver:
        for name, case in CATALOGUE.items():
            snapshot = case.snapshot
            service.show(snapshot)
            await driver.until(partial(shows, driver, snapshot))
            await driver.pilot.pause()
            for row, line in zip(snapshot.pool.keys, driver.rows("#keys")[1:], strict=False):
                where = f"{name} at {width}: {line}"
                assert f"{row.state.traits.glyph} {row.state.value}" in line, where
                assert ("▶" in line) == (snapshot.pool.active == row.index), where
                if width >= 72 and row.same_as is None:
                    for used in numbers(row):
                        assert f"{used:.0f}%" in line, where
                if row.bought_usd and width >= 72:
                    assert f"${row.bought_usd:.2f}" in line, where


def shows(driver: Driver, snapshot: Snapshot) -> bool:
    """Whether the table has taken over a snapshot."""
    shown = driver.app.dashboard.keys.snapshot
    return shown is not None and shown.pool is snapshot.pool


def numbers(row: KeyView) -> list[float]:
    """How full the windows of a key's account are."""
    windows = row.balance.windows if row.balance else ()
    return [each.used_percent for each in windows if each.used_percent is not None]
