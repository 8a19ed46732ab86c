"""The first five minutes: each trouble has its line with the cause and the key or page that helps."""

from dataclasses import replace
from datetime import UTC

import pytest

from okr_tui.domain.faults import Fault, FaultKind, Scope
from okr_tui.domain.feed import Entry
from okr_tui.domain.health import State, Verdict
from okr_tui.domain.records import Attempt
from okr_tui.domain.view import KeyView
from okr_tui.services.service import ModelList, Snapshot
from okr_tui.ui.keymap import ActiveKeymap
from okr_tui.ui.widgets.pool_notices import RECENT, key_notices, pool_notices
from tests.ui.driver import run_app
from tests.ui.examples import INVALID, MODELS, NOW, SPENT, key, pool, snapshot
from tests.ui.scripted_service import ScriptedService

key_of = ActiveKeymap().key_of
CREDITS = Verdict(State.SPENT, eligible=False, reason="credits spent", window="credits")
SUSPENDED = Verdict(State.SUSPENDED, eligible=False, reason="403 account suspended")
NAME = "GET /api/tags: name not found: ollama.com; check the address and the network"
NO_PLAN = Fault(FaultKind.NO_PLAN, Scope.ACCOUNT_MODEL, "this model requires a subscription", 403)


def lines(shown: Snapshot) -> list[str]:
    found = [*pool_notices(shown, NOW, UTC, key_of), *key_notices(shown, NOW, key_of)]
    return [text for text, _ in found]


def keys(*rows: KeyView, **changes: object) -> Snapshot:
    return snapshot(pool=pool(*rows), entries=(), **changes)


def asked(model: str, ago: float) -> Entry:
    record = Attempt(
        at=NOW - ago,
        started=NOW - ago,
        client="dashboard",
        fingerprint=key(1).fingerprint,
        model=model,
        path="/api/chat",
        outcome="fault",
        fault=NO_PLAN,
    )
    return Entry(record.at, "fault", "#1 refused", record=record)


NONE = replace(MODELS[0], keys=())

CASES = {
    "one wrong key": (
        keys(key(1, INVALID)),
        "✖ #1 is refused: 401 invalid api key; d in Keys removes it, a adds another; "
        "keys are made at ollama.com/settings/keys",
    ),
    "every key wrong": (
        keys(key(1, INVALID), key(2, INVALID)),
        "✖ every key is refused: 401 invalid api key; d in Keys removes it, a adds another; "
        "keys are made at ollama.com/settings/keys",
    ),
    "one wrong key among good ones": (
        keys(key(1), key(2, INVALID), key(3)),
        "✖ #2 is refused: 401 invalid api key; d in Keys removes it, a adds another",
    ),
    "two wrong keys": (
        keys(key(1), key(2, INVALID), key(3, INVALID)),
        "✖ #2 and #3 are refused: 401 invalid api key; d in Keys removes it, a adds another",
    ),
    "suspended": (
        keys(key(1), key(2, SUSPENDED)),
        "✖ the account of #2 is refused: 403 account suspended; see ollama.com/settings, "
        "then t reads it again",
    ),
    "no network": (
        keys(key(1), models=ModelList(error=NAME)),
        "▲ the model list cannot be read: name not found: ollama.com; check the address and the network; "
        "R tries again, the settings (,) show the address",
    ),
    "no credit": (
        keys(key(1, CREDITS), key(2)),
        "▲ the credits of #1 are used up; add some at ollama.com/settings, then t reads the balance",
    ),
    "no plan": (
        replace(
            keys(key(1), models=ModelList((NONE,), refreshed_at=NOW)), entries=(asked(NONE.model.id, 60),)
        ),
        "▲ gpt-oss:20b: no key of yours has a plan for it; see ollama.com/upgrade, or enter on another line "
        "of Models chooses one that is included",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_trouble_has_its_line(name: str) -> None:
    shown, words = CASES[name]
    assert lines(shown) == [words]


def test_what_is_well_or_long_ago_has_no_line() -> None:
    assert lines(keys(key(1), key(2))) == []
    unread = keys(key(1), models=ModelList(MODELS, refreshed_at=NOW - 60, error="GET /api/tags: HTTP 503"))
    assert lines(unread) == []
    asked_long_ago = (asked(NONE.model.id, RECENT + 1),)
    listed = ModelList((NONE,), refreshed_at=NOW)
    assert lines(replace(keys(key(1), models=listed), entries=asked_long_ago)) == []
    usable = ModelList(MODELS[:1], refreshed_at=NOW)
    assert lines(replace(keys(key(1), models=usable), entries=(asked(NONE.model.id, 60),))) == []


def test_blocked_and_wrong_keys_have_notices_of_their_own() -> None:
    first, second = lines(mixed())
    assert first.startswith("▲ every key is blocked; the first is back in")
    assert second.startswith("✖ #1 is refused")


def mixed() -> Snapshot:
    shown = keys(key(1, INVALID), key(2, SPENT))
    return replace(shown, pool=replace(shown.pool, earliest=NOW + 60))


@pytest.mark.slow(reason="walks far through the dashboard by keys")
@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 16)])
@pytest.mark.parametrize("name", CASES)
async def test_the_line_is_on_the_screen(name: str, size: tuple[int, int]) -> None:
    shown, words = CASES[name]
    async with run_app(ScriptedService(shown), size) as driver:
        said = " ".join(driver.words("#banner").split())
        assert said[:60] == words[:60]
        if size[0] > 60:
            assert said == words
