"""The system's clipboard: which tool, what it is given, and what a failure costs."""

import sys
from pathlib import Path

import pytest

from okr_tui.ui import app, external_programs
from okr_tui.ui.external_programs import clipboard_tool, copy_with
from tests.ui.driver import run_app
from tests.ui.scripted_service import ScriptedService


def installed(*names: str) -> "dict[str, str]":
    """What is on the search path."""
    return {name: f"/bin/{name}" for name in names}


@pytest.mark.parametrize(
    ("environment", "platform", "names", "expected"),
    [
        ({}, "linux", ("wl-copy", "xclip"), ()),
        ({}, "darwin", ("pbcopy",), ("pbcopy",)),
        ({"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0"}, "linux", ("wl-copy", "xclip"), ("wl-copy",)),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", ("xclip",), ()),
        ({"DISPLAY": ":0"}, "linux", ("xsel", "xclip"), ("xclip", "-selection", "clipboard")),
        ({"DISPLAY": ":0"}, "linux", ("xsel",), ("xsel", "--clipboard", "--input")),
        ({"WSL_DISTRO_NAME": "Debian"}, "linux", ("clip.exe",), ("clip.exe",)),
    ],
)
def test_the_display_decides_on_the_tool(
    environment: dict[str, str], platform: str, names: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert clipboard_tool(environment, platform, installed(*names).get) == expected


async def test_a_tool_is_given_the_text(tmp_path: Path) -> None:
    file = tmp_path / "copied"
    script = f"import sys; open({str(file)!r}, 'wb').write(sys.stdin.buffer.read())"
    assert await copy_with("kimi-k2.6 é", (sys.executable, "-c", script))
    assert file.read_text(encoding="utf-8") == "kimi-k2.6 é"


@pytest.mark.parametrize("script", ["raise SystemExit(3)", "import time; time.sleep(60)"])
async def test_a_tool_that_fails_is_only_a_no(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_programs, "PATIENCE", 0.5)
    assert not await copy_with("text", (sys.executable, "-c", script))


async def test_a_tool_that_is_missing_is_only_a_no(tmp_path: Path) -> None:
    assert not await copy_with("text", (str(tmp_path / "nothing"),))


@pytest.mark.parametrize(("code", "words"), [(0, "Copied gpt-oss:20b"), (1, "Copied gpt-oss:20b through")])
async def test_the_toast_says_which_way_it_went(
    service: ScriptedService, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    command = (sys.executable, "-c", f"import sys; sys.stdin.read(); sys.exit({code})")
    monkeypatch.setattr(app, "clipboard_tool", lambda _: command)
    async with run_app(service) as driver:
        await driver.press("tab", "tab", "y")
        await driver.toast(words)
        assert driver.app.clipboard == "gpt-oss:20b"
        assert ("through the terminal" in driver.toasts[-1][1]) is bool(code)
