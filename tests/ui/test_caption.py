"""The demo's caption says what happened and what to press, and is only in the demo."""

from dataclasses import replace

import pytest

from okr_tui.domain.faults import Fault, FaultKind, Scope
from okr_tui.domain.feed import Entry
from okr_tui.domain.records import Attempt, Disabled, Record
from okr_tui.services.service import Snapshot
from okr_tui.ui.keymap import ActiveKeymap
from okr_tui.ui.widgets.caption import NEWS, TIP, caption
from tests.ui.examples import INVALID, KEYS, NOW, SPENT, SPENT_FAULT, key, pool, snapshot
from tests.ui.scripted_service import ScriptedService, make_app

key_of = ActiveKeymap().key_of


def attempt(fault: Fault | None, following: int | None = 3) -> Attempt:
    return Attempt(
        at=NOW - 2,
        started=NOW - 3,
        client="gateway",
        fingerprint=KEYS[0].fingerprint,
        path="/api/chat",
        outcome="fault" if fault else "ok",
        fault=fault,
        next_fingerprint=KEYS[following - 1].fingerprint if following else None,
    )


def shown(record: Record, at: float = NOW - 2) -> Snapshot:
    return snapshot(entries=(Entry(at, "fault", "text", record=record),), undoable=("switching #1 off",))


REVOKED = Fault(FaultKind.UNAUTHORIZED, Scope.KEY, "Unauthorized", 401)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (attempt(SPENT_FAULT), "#1 reached its limit: #3 took over"),
        (attempt(SPENT_FAULT, None), "#1 reached its limit: it pauses"),
        (attempt(REVOKED), "#1 was revoked: others answer. d in Keys"),
        (Disabled(at=NOW - 2, fingerprint=KEYS[0].fingerprint), "Every process knows at once; u in Keys"),
    ],
)
def test_what_just_happened_is_in_the_caption_while_it_is_news(record: Record, words: str) -> None:
    assert caption(shown(record), NOW, key_of)[0].startswith(words)
    assert len(caption(shown(record), NOW, key_of)[1]) <= 56
    assert not caption(shown(record, NOW - NEWS - 1), NOW, key_of)[0].startswith(words)


def test_a_pool_that_is_down_comes_before_anything_else() -> None:
    blocked = snapshot(pool=pool(key(1, SPENT), key(2, INVALID)))
    assert caption(blocked, NOW, key_of)[0].startswith("Every key is blocked")
    out = replace(blocked, pool=replace(blocked.pool, outage=SPENT))
    assert caption(out, NOW, key_of)[0].startswith("The cloud does not answer")


def test_without_news_there_are_tips_in_turn() -> None:
    quiet = snapshot(entries=())
    tips = {caption(quiet, NOW + index * TIP, key_of) for index in range(8)}
    assert len(tips) == 4
    assert all(len(long) <= 116 and len(short) <= 56 for long, short in tips)


@pytest.mark.slow(reason="walks far through the dashboard by keys")
@pytest.mark.parametrize("demo", [True, False])
async def test_only_the_demo_has_a_caption(service: ScriptedService, demo: bool) -> None:
    service.show(shown(attempt(SPENT_FAULT)))
    app = make_app(service)
    app._demo = demo
    async with app.run_test(size=(60, 16)) as pilot:
        while app.snapshot is None:
            await pilot.pause()
        await pilot.pause()
        lines = app.dashboard.query("#caption")
        assert bool(lines) is demo
        if demo:
            assert "#1 is spent, #3 took over; i shows its return" in str(lines.first().render())
