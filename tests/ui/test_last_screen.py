"""The screen of the last run: what is kept of it, and what of a file may reach a terminal."""

import json
from pathlib import Path
from typing import Any

import pytest

from okr_tui.services.overview import Inputs
from okr_tui.ui.last_screen import STYLE, LastScreen
from tests.ui.driver import run_app
from tests.ui.examples import NOW
from tests.ui.scripted_service import ScriptedService

SIZE = (30, 3)
LINES = ["\x1b[1;38;2;1;2;3mokr-tui\x1b[0m   2 ready", "│ 4f2a…9c1e \x1b[32m● ready\x1b[0m", "🦙 ☁️ é ﷽ क्षि"]


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inputs:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    files = (tmp_path / "settings.json", tmp_path / "project.json")
    files[0].write_text('{"pi-ollama": {"cloudUrl": "https://ollama.com"}}')
    return Inputs(files, {"TERM": "xterm", "OTHER": "x"}, {}, {})


def test_it_is_drawn_as_it_was_with_its_age(inputs: Inputs, tmp_path: Path) -> None:
    LastScreen(inputs).save(LINES, SIZE, NOW)
    drawing = LastScreen(inputs).load(SIZE, NOW + 90)
    assert drawing
    assert all(line in drawing for line in LINES)
    assert "as it was 1m 30s ago" in drawing
    path = tmp_path / "okr-tui" / "screen" / inputs.name
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_counts_for_the_same_terminal_and_settings_alone(inputs: Inputs) -> None:
    LastScreen(inputs).save(LINES, SIZE, NOW)
    assert LastScreen(inputs).load((31, 3), NOW) is None
    assert LastScreen(inputs._replace(environment={"TERM": "dumb"})).load(SIZE, NOW) is None
    assert LastScreen(inputs._replace(environment={"TERM": "xterm", "NO_COLOR": "1"})).load(SIZE, NOW) is None
    assert LastScreen(inputs._replace(options={"cloud_url": "http://localhost"})).load(SIZE, NOW) is None
    inputs.files[0].write_text('{"pi-ollama": {"cloudUrl": "https://example.com"}}')
    assert LastScreen(inputs).load(SIZE, NOW) is None


@pytest.mark.parametrize(
    "line",
    [
        "\x1b[2J",
        "\x1b]52;c;ZXZpbA==\x07",
        "\x1b]0;title\x07",
        "\x1b[6n",
        "\x1b[?1049l",
        "\x1bc",
        "\x1bP+q\x1b\\",
        "\x9b2J",
        "a\nb",
        "a\rb",
        "\u202egnp.exe",
        "\x1b[1;1Hx",
        "\x1b[38:2:1mx",
        "\x1b[" + "1;" * 100 + "mx",
        "x" * 31,
        "\x1b[1m" * 5000,
        None,
        7,
        ["x"],
    ],
    ids=range(19),
)
def test_nothing_but_text_and_colours_reaches_the_terminal(inputs: Inputs, line: Any) -> None:
    LastScreen(inputs).save([LINES[0], line, LINES[2]], SIZE, NOW)
    assert LastScreen(inputs).load(SIZE, NOW) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "[1,2,3,4,5]", '["a","b",[30,3],1e999,[]]', "null", "[" * 50_000]
)
def test_a_damaged_file_is_none(inputs: Inputs, tmp_path: Path, text: str) -> None:
    LastScreen(inputs).save(LINES, SIZE, NOW)
    (tmp_path / "okr-tui" / "screen" / inputs.name).write_text(text)
    assert LastScreen(inputs).load(SIZE, NOW) is None


@pytest.mark.parametrize("at", [None, "x", True, 1e300, -1e300, float("nan"), float("inf"), []])
def test_an_odd_time_does_no_harm(inputs: Inputs, at: Any) -> None:
    LastScreen(inputs).save(LINES, SIZE, at)
    found = LastScreen(inputs).load(SIZE, NOW)
    assert found is None or "as it was" in found


@pytest.mark.slow(reason="starts the dashboard several times")
async def test_the_picture_has_all_but_what_the_chat_shows(service: ScriptedService) -> None:
    async with run_app(service, (120, 40)) as driver:
        driver.app.dashboard.go("#prompt")
        driver.app.pane.prompt.text = "a private question"
        driver.app.notify("a toast")
        await driver.until(lambda: "a private question" in driver.screen())
        lines = [STYLE.sub("", line) for line in driver.app.dashboard.picture()]
        assert len(lines) == 40
        shown = "\n".join(lines)
        assert "a private question" not in shown
        assert "a toast" not in shown
        for text in ("okr-tui", "amber", "gpt-oss:120b", "spent 5h", "Chat"):
            assert text in shown, text
        driver.app.dashboard.action_maximise()
        assert driver.app.dashboard.picture() == []


def test_the_age_is_at_the_end_of_the_first_line(inputs: Inputs) -> None:
    LastScreen(inputs).save(["x" * 30] * 3, SIZE, NOW)
    drawing = LastScreen(inputs).load(SIZE, NOW) or ""
    age = " as it was 0s ago "
    assert f"\x1b[1;{30 - len(age) + 1}H" in drawing
    assert json.loads(json.dumps(drawing)).endswith(f"{age}\x1b[0m")
