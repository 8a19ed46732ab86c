"""The system's own clipboard, for terminals that do not pass a copy on by themselves."""

import asyncio
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

PATIENCE: Final = 2.0
"""Seconds after which a tool is given up."""
WINDOWS: Final = "clip.exe"


def tool(
    environment: Mapping[str, str],
    platform: str = sys.platform,
    which: Callable[[str], str | None] = shutil.which,
) -> tuple[str, ...]:
    """The command that takes a text on its standard input; () where there is none for this display."""
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


async def copy(text: str, command: tuple[str, ...]) -> bool:
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
