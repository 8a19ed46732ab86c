"""Opening a file in the person's own editor."""

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.app import App

EditFile = Callable[[App[Any], Path], None]


def edit_file(app: App[Any], path: Path) -> None:
    """Hand the terminal to $VISUAL or $EDITOR until it ends. The folder is made, the file is not."""
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    path.parent.mkdir(parents=True, exist_ok=True)
    with app.suspend():
        subprocess.run([*command, str(path)], check=True)  # noqa: S603 - the person's own choice
