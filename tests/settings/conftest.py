"""What holds for all tests of settings."""

import pytest

from okr_tui.settings import keys


@pytest.fixture(autouse=True)
def keys_of_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let keys be as short as "a": an order of keys is read at a glance then."""
    monkeypatch.setattr(keys, "SHORTEST_KEY", 1)
