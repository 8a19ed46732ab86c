"""Models: their order, their marks, favourites, the details of one, and the mouse."""

import asyncio
from dataclasses import replace
from datetime import UTC

import pytest
from rich.cells import cell_len
from textual.geometry import Offset

from okr_tui.domain.health import State, Verdict
from okr_tui.services.service import ModelList, ModelRow
from okr_tui.ui.lines import STAR
from okr_tui.ui.screens.model import ModelScreen, model_text
from okr_tui.ui.widgets.footer import FootLine
from okr_tui.ui.widgets.models import Order, about, matches, ordered
from tests.ui.driver import Driver, run_app
from tests.ui.examples import KEYS, MODELS, NOW, model, pool, snapshot
from tests.ui.scripted_service import ScriptedService
from tests.waiting import until

pytestmark = pytest.mark.slow(reason="walks far through the dashboard by keys")

UNKNOWN = ModelRow(
    replace(model("a-new-one", 1, 1), parameters=None, context_length=None, capabilities=None), (1,)
)
RETIRING = ModelRow(model("qwen3.5:397b", 397, 262_144, "tools"), (1,), "glm-5.3")
STARRED = tuple(replace(row, favourite=row.model.id in ("kimi-k2.6", "glm-5.2", "glm-4.6")) for row in MODELS)


def service_with(*rows: ModelRow) -> ScriptedService:
    """A service that lists these models."""
    return ScriptedService(snapshot(models=ModelList(rows, refreshed_at=NOW - 60, favourites_only=True)))


def names(driver: Driver) -> list[str]:
    """The models in the order of the list."""
    return [row.model.id for row in driver.app.dashboard.models.table.rows]


@pytest.mark.parametrize(
    ("order", "falling", "first"),
    [
        ("", False, ["kimi-k2.6", "glm-5.2", "gpt-oss:20b"]),
        ("model", False, ["a-new-one", "deepseek-v4-flash", "gemma4:31b"]),
        ("size", True, ["kimi-k3", "kimi-k2.6", "glm-5.2"]),
        ("size", False, ["gpt-oss:20b", "gemma4:31b", "gpt-oss:120b"]),
        ("context", True, ["kimi-k3", "deepseek-v4-flash", "minimax-m3"]),
        ("abilities", True, ["kimi-k2.6", "kimi-k3", "gemma4:31b"]),
        ("keys", True, ["gpt-oss:20b", "gpt-oss:120b", "gemma4:31b"]),
    ],
)
def test_an_order_puts_what_is_unknown_and_what_is_gone_last(
    order: Order, falling: bool, first: list[str]
) -> None:
    found = [row.model.id for row in ordered((*STARRED, UNKNOWN), order, falling=falling)]
    assert found[: len(first)] == first
    assert found[-1] == "glm-4.6"
    assert order not in ("size", "context", "abilities") or found[-2] == "a-new-one"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("fav", ["kimi-k2.6", "glm-5.2", "glm-4.6"]),
        ("fav vision", ["kimi-k2.6"]),
        ("gone", ["glm-4.6"]),
        ("retiring", ["qwen3.5:397b"]),
        ("think glm", ["glm-5.2"]),
        ("[b]", []),
    ],
)
def test_words_find_names_capabilities_and_marks(words: str, found: list[str]) -> None:
    assert [row.model.id for row in (*STARRED, RETIRING) if matches(row, words)] == found


async def test_sorting_cycles_through_the_columns_and_survives_a_refresh() -> None:
    service = service_with(*STARRED)
    async with run_app(service, (160, 45)) as driver:
        await driver.press("tab", "tab", "down")
        table = driver.app.dashboard.models.table
        chosen = table.selected
        titles = []
        for _ in range(6):
            await driver.press("s")
            titles.append(
                next((word for word in driver.rows("#model-table")[0].split() if word[-1] in "▲▼"), "")
            )
            assert table.selected == chosen
        assert titles == ["model▲", "size▼", "ctx▼", "can▼", "keys▼", ""]
        await driver.press("s", "s", "S")
        assert "size▲" in driver.rows("#model-table")[0]
        assert names(driver)[0] == "gpt-oss:20b"
        service.show(snapshot(models=ModelList(STARRED[1:], refreshed_at=NOW)))
        await driver.until(lambda: len(table.rows) == len(STARRED) - 1)
        assert names(driver)[:2] == ["gemma4:31b", "gpt-oss:120b"]


async def test_the_mouse_sorts_by_a_title_and_again_the_other_way_round() -> None:
    async with run_app(service_with(*STARRED), (160, 45)) as driver:
        at = driver.rows("#model-table")[0].index("ctx")
        left = driver.app.dashboard.models.table.content_region.x
        for first in ("kimi-k3", "gpt-oss:20b"):
            await driver.pilot.click(
                offset=Offset(left + at, driver.app.dashboard.models.table.content_region.y)
            )
            await driver.pilot.pause()
            assert names(driver)[0] == first


async def test_marks_are_as_wide_as_blanks(service: ScriptedService) -> None:
    assert cell_len(STAR) == 1
    service.show(service_with(RETIRING, *STARRED).snapshot)
    async with run_app(service, (160, 45)) as driver:
        lines = driver.rows("#model-table")
    assert lines[1].startswith(f"{STAR} kimi-k2.6")
    assert any(line.startswith("† qwen3.5:397b") for line in lines)
    assert lines[-1] == "" or "gone, use glm-5.2" in "".join(lines)
    assert len({line.index("tools") for line in lines if "tools" in line}) == 1


@pytest.mark.parametrize("key", ["b", "asterisk"])
@pytest.mark.parametrize(("starred", "wanted"), [(False, True), (True, False)])
async def test_a_favourite_is_made_and_unmade(key: str, starred: bool, wanted: bool) -> None:
    service = service_with(replace(MODELS[0], favourite=starred))
    async with run_app(service) as driver:
        await driver.press("tab", "tab", key)
        await driver.toast("Done: set_favourite")
    assert service.calls == [("set_favourite", "gpt-oss:20b", wanted)]


async def test_one_key_cycles_through_the_favourites() -> None:
    async with run_app(service_with(*STARRED)) as driver:
        chat = driver.app.dashboard.chat
        met = []
        for key in ("n", "n", "n"):
            await driver.press(key)
            met.append(chat.model)
            assert driver.app.focused is driver.app.dashboard.keys
        await driver.press("c", "ctrl+o")
        assert [*met, chat.model] == ["kimi-k2.6", "glm-5.2", "kimi-k2.6", "glm-5.2"]
        assert driver.app.focused is chat.prompt


async def test_the_next_favourite_leaves_focus_and_footer_where_they_are() -> None:
    async with run_app(service_with(*STARRED)) as driver:
        footer = driver.app.dashboard.query_one(FootLine)
        for stop, context in (("keys", "keys"), ("feed", "live"), ("model-table", "models")):
            await driver.press("n")
            assert driver.app.focused is not None
            assert (driver.app.focused.id, footer.context) == (stop, context)
            await driver.press("tab")


async def test_without_favourites_the_key_says_how_to_make_one(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("n")
        await driver.toast("No model is a favourite yet", "warning")


def test_the_details_say_which_keys_may_use_it_and_why_others_may_not() -> None:
    invalid = replace(KEYS[3], blocked_models=())
    refused = replace(KEYS[4], blocked_models=("kimi-k3",))
    keys = pool(KEYS[0], KEYS[2], invalid, refused, KEYS[5])
    text = model_text(ModelRow(MODELS[3].model, (1, 3)), keys, NOW, UTC).plain
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip().startswith("#")}
    assert text.startswith("☁️ 👁️ 🧠 kimi-k3 · 2.8T · 1.05M ctx\n")
    assert "Context       1,048,576 tokens" in text
    assert lines["#1"].endswith("may use it")
    assert "may use it; now 5h spent, back 10:28" in lines["#3"]
    assert "may not: 401 invalid api key" in lines["#4"]
    assert "may not: refused it" in lines["#5"]
    assert "may not: switched off" in lines["#6"]


def test_the_details_name_the_successor_and_never_guess() -> None:
    assert "Ollama names glm-5.3 as its successor" in model_text(RETIRING, pool(), NOW).plain
    assert "the cloud no longer lists it; use glm-5.2" in model_text(MODELS[-1], pool(), NOW).plain
    text = model_text(UNKNOWN, pool(), NOW).plain
    assert text.count("unknown") == 8
    assert "none is configured" in text
    gone = ModelRow(MODELS[0].model, ())
    suspended = replace(KEYS[0], verdict=Verdict(State.READY, eligible=True))
    assert "the model is gone" in model_text(gone, pool(suspended), NOW).plain


async def test_the_details_follow_and_act(service: ScriptedService) -> None:
    async with run_app(service) as driver:
        await driver.press("tab", "tab", "down", "i")
        assert isinstance(driver.app.screen, ModelScreen)
        await driver.until(lambda: "gpt-oss:120b" in driver.screen())
        await driver.press("b", "y")
        await driver.toast("Done: set_favourite")
        await driver.toast("Copied gpt-oss:120b")
        starred = (MODELS[0], replace(MODELS[1], favourite=True))
        service.show(snapshot(models=ModelList(starred)))
        await driver.until(lambda: f"{STAR} yes" in driver.screen())
        service.show(snapshot(models=ModelList(starred[:1])))
        await driver.until(lambda: "no longer lists it" in driver.screen())
        service.show(snapshot(models=ModelList(starred)))
        await driver.press("enter")
        await driver.until(lambda: driver.app.dashboard.chat.model == "gpt-oss:120b")
        assert driver.app.focused is driver.app.dashboard.chat.prompt
    assert service.calls == [("set_favourite", "gpt-oss:120b", True)]


@pytest.mark.parametrize("key", ["q", "ctrl+q"])
async def test_quitting_while_an_answer_comes_is_asked_twice(service: ScriptedService, key: str) -> None:
    service.answer = (asyncio.Event(),)
    async with run_app(service) as driver:
        await driver.press("tab", "tab", "enter", "a", "enter")
        await driver.until(lambda: driver.app.dashboard.chat.running)
        if key == "q":
            await driver.press("shift+tab")
        await driver.press(key)
        await driver.toast("An answer is still coming")
        assert driver.app.is_running
        await driver.press(key)
        await until(lambda: service.closed)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ((1, 2, 3), "20.9B · 131K context · think tools"),
        ((2,), "only #2 may use it · 20.9B · 131K context · think tools"),
        ((1, 3), "2 of 3 keys may use it · 20.9B · 131K context · think tools"),
        ((), "no key may use it · 20.9B · 131K context · think tools"),
    ],
)
def test_the_column_of_keys_is_put_in_words(keys: tuple[int, ...], words: str) -> None:
    assert about(replace(MODELS[0], keys=keys), 3) == words
