"""Opening a file in the person's own editor."""

import asyncio
import os
import shlex
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

from textual.app import App

EditFile = Callable[[App[Any], Path], Awaitable[None]]


async def edit_file(app: App[Any], path: Path) -> None:
    """Hand the terminal to $VISUAL or $EDITOR until it ends. The folder is made, the file is not.

    Whatever else runs in this process goes on meanwhile; only nothing is drawn. Raises SuspendNotSupported
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
