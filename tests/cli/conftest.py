"""Homes to run commands in."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.harness import CliHarness, open_cli

MakeCli = Callable[..., CliHarness]


@pytest.fixture(autouse=True)
def _bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of the machine's own settings, and times in UTC."""
    for name in [name for name in os.environ if name != "PATH" and not name.startswith("PYTEST")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def make_cli(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    _bare_environment: None,
) -> Iterator[MakeCli]:
    """Make a home on a cloud in any scenario."""
    with ExitStack() as stack:
        yield lambda *scenario, **more: stack.enter_context(
            open_cli(tmp_path, capsys, monkeypatch, *scenario, **more)
        )


@pytest.fixture
def cli(make_cli: MakeCli) -> CliHarness:
    """Four keys of three accounts on a cloud where nothing fails by itself."""
    return make_cli()
