"""An editor has the terminal while everything else in the process goes on."""

import asyncio
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any, cast

import pytest
from textual.app import App

from okr_tui.ui.external_programs import edit_file
from tests.loopback import listening

# It writes down what a server in the process that started it answers, so that one has to be at work.
EDITOR = """
import socket, sys
with socket.create_connection(("127.0.0.1", {port}), 20) as server:
    answer = server.recv(100)
with open(sys.argv[1], "wb") as file:
    file.write(answer)
sys.exit({code})
"""


class Screen:
    """Notes when it is off the terminal and when nothing is drawn."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    @contextmanager
    def suspend(self) -> Iterator[None]:
        """The terminal is another's."""
        self.notes.append("suspended")
        yield
        self.notes.append("resumed")

    @contextmanager
    def batch_update(self) -> Iterator[None]:
        """Nothing is drawn."""
        self.notes.append("still")
        yield
        self.notes.append("drawing")


@pytest.mark.parametrize("code", [0, 3])
async def test_the_loop_continues_while_the_editor_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    screen, file = Screen(), tmp_path / "folder" / "settings.json"

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        screen.notes.append("answered")
        writer.write(b"edited")

    interrupted = signal.getsignal(signal.SIGINT)
    async with listening(answer) as port:
        script = EDITOR.format(port=port, code=code)
        monkeypatch.setenv("EDITOR", shlex.join([sys.executable, "-c", script]))
        opened = edit_file(cast("App[Any]", screen), file)
        if code:
            with pytest.raises(CalledProcessError, match="status 3"):
                await opened
        else:
            await opened
    assert file.read_bytes() == b"edited"
    assert signal.getsignal(signal.SIGINT) is interrupted
    assert screen.notes == ["suspended", "still", "answered", "drawing", "resumed"]


async def test_an_editor_that_is_missing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError):
        await edit_file(cast("App[Any]", Screen()), tmp_path / "settings.json")
