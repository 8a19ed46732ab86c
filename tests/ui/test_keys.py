"""The table of keys: sorted, filtered, marked; numbers of two digits; labels as long as there is room."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from okr_tui.domain.view import KeyView
from okr_tui.ui.lines import Line
from okr_tui.ui.widgets.keys import GAUGES, KeysPane, Layout, Order, matches, notes, ordered
from tests.ui.driver import Driver, run_app
from tests.ui.examples import INVALID, KEYS, NOW, SPENT, dollars, key, pool, snapshot, windows
from tests.ui.scripted_service import ScriptedService

MANY = tuple(key(position, label=f"label {position}") for position in range(1, 41))


def numbers(driver: Driver) -> list[int]:
    return [row.index for row in driver.app.dashboard.keys.rows]


@pytest.mark.parametrize(
    ("order", "falling", "positions"),
    [
        ("", False, [1, 2, 3, 4, 5, 6]),
        ("label", False, [1, 2, 3, 5, 6, 4]),
        ("label", True, [6, 5, 3, 1, 2, 4]),
        ("used", True, [3, 5, 1, 2, 6, 4]),
        ("back", False, [4, 3, 1, 2, 5, 6]),
        ("state", False, [1, 2, 5, 3, 4, 6]),
    ],
)
def test_keys_are_sorted_and_unknown_values_come_last(
    order: Order, falling: bool, positions: list[int]
) -> None:
    assert [row.index for row in ordered(KEYS, order, falling=falling)] == positions


@pytest.mark.parametrize(
    ("words", "positions"),
    [
        ("", [1, 2, 3, 4, 5, 6]),
        ("amber", [1, 2]),
        ("faulty", [3, 4, 6]),
        ("faulty !off", [3, 4]),
        ("spent 5h", [3]),
        ("#4", [4]),
        ("#", []),
        ("FREE", [3]),
        ("preferred", [1]),
        ("nosuch", []),
    ],
)
def test_a_filter_wants_every_word(words: str, positions: list[int]) -> None:
    assert [row.index for row in KEYS if matches(row, words)] == positions


@pytest.mark.parametrize("width", range(40, 130))
def test_every_width_has_numbers_and_leaves_nothing_over(width: int) -> None:
    long = (*KEYS, key(7, label="a label of thirty-two characters"))
    form = Layout.of(width, long)
    assert form.gauges in GAUGES
    if width >= 58:
        assert form.gauges.first > 0
        assert form.note >= 7
    taken = 2 + form.number + 9 + form.label + 13 + form.gauges.width + 4
    taken += 5 * form.plan + 9 * form.account
    if width >= 58:
        assert taken + form.note == width


def test_labels_are_whole_where_there_is_room() -> None:
    rows = (key(1, label="production-cluster"), key(2, label="日本語のラベル"))
    assert Layout.of(124, rows).label == 18
    assert Layout.of(58, rows).label < 18


def test_a_note_drops_its_words_before_its_number() -> None:
    spent = key(1, SPENT)
    assert [notes(spent, NOW, room) for room in (40, 11, 10, 6, 5)] == [
        "back 2h 14m",
        "back 2h 14m",
        "2h 14m",
        "2h 14m",
        "",
    ]
    bought = key(1, balance=replace(dollars(0), credits=replace(dollars(0).credits, purchased_usd=3.5)))  # type: ignore[type-var]
    assert [notes(bought, NOW, room) for room in (20, 8)] == ["$3.50 bought", "$3.50"]


async def test_every_row_says_when_its_key_is_back_in_the_same_way() -> None:
    month = replace(SPENT, until=NOW + 85, window="monthly")
    rows = (
        key(1, replace(SPENT, until=NOW + 8), label="amber 1", balance=windows(100, 35)),
        key(2, replace(SPENT, until=NOW + 45), label="birch 1", balance=windows(100, 35)),
        key(3, month, label="cedar 1", balance=dollars(0)),
    )
    async with run_app(ScriptedService(snapshot(pool=pool(*rows, active=None))), (100, 30)) as driver:
        title, *lines = [line.rstrip(" │") for line in driver.rows("#keys")]
    assert title.endswith("back")
    assert [line.split()[-1] for line in lines] == ["8s", "45s", "25s"]
    assert [line.split()[-2] for line in lines] == ["35%", "35%", "1m"]
    assert "$0.00" in lines[2]


def test_a_spent_key_shows_both_windows_and_when_it_is_back() -> None:
    row: KeyView = key(1, SPENT, balance=windows(100, 61))
    assert row.balance is not None
    assert [each.used_percent for each in row.balance.windows] == [100, 61]


async def test_the_table_is_sorted_filtered_and_shown_whole_again(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        keys = driver.app.dashboard.keys
        await driver.press("s", "s", "s", "s")
        assert "by used" in str(keys.border_title)
        assert numbers(driver) == [3, 5, 1, 2, 6, 4]
        await driver.press("S")
        assert numbers(driver) == [1, 2, 6, 5, 3, 4]
        await driver.press("s", "s", "slash")
        await driver.type("faulty")
        assert numbers(driver) == [3, 4, 6]
        assert "“faulty” · 3 of 6" in str(keys.border_title)
        await driver.press("enter")
        assert driver.app.focused is keys
        await driver.press("slash")
        await driver.type("nosuch")
        await driver.until(lambda: "no key matches; esc shows all" in "".join(driver.rows("#keys")))
        await driver.press("escape")
        assert numbers(driver) == [1, 2, 3, 4, 5, 6]
        assert driver.app.focused is keys
    assert service.calls == []


async def test_the_cursor_stays_on_its_key_when_the_order_changes(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("down", "down", "s", "S")
        selected = driver.app.dashboard.keys.selected
        assert selected is not None
        assert selected.index == 3


async def test_marked_keys_are_switched_together(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        keys = driver.app.dashboard.keys
        await driver.press("space", "down", "space")
        assert [row.index for row in keys.chosen] == [1, 3]
        assert "2 marked" in str(keys.border_title)
        assert [line[1] for line in driver.rows("#keys")[1:4]] == ["+", "└", "+"]
        await driver.press("o")
        await driver.until(lambda: service.calls)
        assert service.calls == [("set_enabled", 1, 3, False)]
        await driver.press("escape")
        assert not keys.marked
        await driver.press("end", "o")
        await driver.until(lambda: len(service.calls) == 2)
        assert service.calls[1] == ("set_enabled", 6, True)


async def test_what_is_marked_and_removed_is_marked_no_more(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("space")
        service.show(snapshot(pool=pool(*KEYS[1:])))
        await driver.until(lambda: len(driver.app.dashboard.keys.rows) == 5)
        assert not driver.app.dashboard.keys.marked


async def test_the_selected_key_is_preferred(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("down", "0")
        await driver.until(lambda: service.calls)
    assert service.calls == [("use_key", 2)]


@pytest.mark.slow(reason="walks far through the dashboard by keys")
@pytest.mark.parametrize(
    ("typed", "index"), [(("1", "2"), 12), (("4", "0"), 40), (("5",), 5), (("3", "9"), 39), (("7",), 7)]
)
async def test_numbers_of_two_digits_are_typed(typed: tuple[str, ...], index: int) -> None:
    service = ScriptedService(snapshot(pool=pool(*MANY)))
    async with run_app(service) as driver:
        await driver.press(*typed)
        await driver.until(lambda: service.calls)
    assert service.calls == [("use_key", index)]


async def test_a_digit_that_stays_alone_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("okr_tui.ui.controllers.pool.NEXT_DIGIT", 0.01)
    service = ScriptedService(snapshot(pool=pool(*MANY)))
    async with run_app(service) as driver:
        await driver.press("2")
        await driver.until(lambda: service.calls)
    assert service.calls == [("use_key", 2)]


async def test_a_pool_of_few_keys_waits_for_no_second_digit(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("1", "2")
        await driver.until(lambda: len(service.calls) == 2)
    assert service.calls == [("use_key", 1), ("use_key", 2)]


async def test_what_is_not_read_yet_is_reported() -> None:
    rows = (key(1), key(2, balance=None, read_at=None), key(3, INVALID, balance=None))
    async with run_app(ScriptedService(snapshot(pool=pool(*rows)))) as driver:
        assert "quota of 1 not read yet" in str(driver.app.dashboard.keys.border_title)


async def test_of_thousands_of_keys_those_in_sight_are_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = tuple(key(position, label=f"n{position}") for position in range(1, 2001))
    service = ScriptedService(snapshot(pool=pool(*crowd)))
    async with run_app(service) as driver:
        keys = driver.app.dashboard.keys
        laid: list[int] = []
        real = KeysPane.lines_of

        def lines_of(pane: KeysPane, row: KeyView, width: int) -> Sequence[Line]:
            laid.append(row.index)
            return real(pane, row, width)

        monkeypatch.setattr(KeysPane, "lines_of", lines_of)
        await driver.press("end")
        assert keys.selected is crowd[-1]
        assert "n2000" in driver.rows("#keys")[-1]
        changed = (*crowd[:-1], replace(crowd[-1], label="another"), key(2001, label="the last"))
        service.show(snapshot(pool=pool(*changed[1:])))
        await driver.until(lambda: len(keys.rows) == 2000)
        await driver.pilot.pause()
        assert keys.selected is changed[-2]
        assert "another" in "".join(driver.rows("#keys"))
        await driver.press("pagedown", "end", "home")
        assert "n2 " in driver.rows("#keys")[1]
        assert len(laid) < 10 * keys.size.height
