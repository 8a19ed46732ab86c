"""What every test of the dashboard starts from."""

import pytest

from tests.ui.scripted_service import ScriptedService


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own terminal, editor and clipboard have no say."""
    displays = ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "WSL_INTEROP")
    for name in ("NO_COLOR", "VISUAL", "EDITOR", "TEXTUAL_THEME", *displays):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def service() -> ScriptedService:
    """A pool in every state."""
    return ScriptedService()
