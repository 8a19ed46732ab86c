"""What every test of the dashboard starts from."""

import pytest

from .scripted import ScriptedService


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own terminal and editor have no say."""
    for name in ("NO_COLOR", "VISUAL", "EDITOR", "TEXTUAL_THEME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def service() -> ScriptedService:
    """A pool in every state."""
    return ScriptedService()
