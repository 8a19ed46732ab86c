"""Programs outside the terminal: the system's clipboard tool and the person's editor."""

import asyncio
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any, Final

from textual.app import App

PATIENCE: Final = 2.0
"""Seconds after which a tool is given up."""
WINDOWS: Final = "clip.exe"


def clipboard_tool(
    environment: Mapping[str, str],
    platform: str = sys.platform,
    which: Callable[[str], str | None] = shutil.which,
) -> tuple[str, ...]:
    """Return the command that takes a text on its standard input; () where there is none."""
    candidates: list[tuple[str, ...]] = []
    if platform == "darwin":
        candidates.append(("pbcopy",))
    if environment.get("WAYLAND_DISPLAY"):
        candidates.append(("wl-copy",))
    if environment.get("DISPLAY"):
        candidates += [("xclip", "-selection", "clipboard"), ("xsel", "--clipboard", "--input")]
    if environment.get("WSL_DISTRO_NAME") or environment.get("WSL_INTEROP"):
        candidates.append((WINDOWS,))
    return next((command for command in candidates if which(command[0])), ())


async def copy_with(text: str, command: tuple[str, ...]) -> bool:
    """Hand the text to a tool; answers whether it took it. Never raises, and never longer than PATIENCE."""
    # Windows reads bytes by its own code page unless they say what they are.
    raw = text.encode("utf-16" if command[:1] == (WINDOWS,) else "utf-8", "replace")
    quiet = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=quiet, stderr=quiet
        )
    except (OSError, ValueError):
        return False
    try:
        await asyncio.wait_for(process.communicate(raw), PATIENCE)
    except (TimeoutError, OSError):
        return False
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode == 0


EditFile = Callable[[App[Any], Path], Awaitable[None]]


async def edit_file(app: App[Any], path: Path) -> None:
    """Hand the terminal to $VISUAL or $EDITOR until it ends. The folder is made, the file is not.

    Everything else in this process keeps running; only nothing is drawn. Raises SuspendNotSupported
    without a terminal, OSError when there is no such editor, CalledProcessError when it ends badly.
    """
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    path.parent.mkdir(parents=True, exist_ok=True)
    with app.suspend(), app.batch_update():
        # An editor that leaves the terminal as it is shares ctrl+c with this process.
        interrupted = signal.signal(signal.SIGINT, lambda *_: None)
        try:
            process = await asyncio.create_subprocess_exec(*command, str(path))
            code = await process.wait()
        finally:
            signal.signal(signal.SIGINT, interrupted)
    if code:
        raise CalledProcessError(code, command)
