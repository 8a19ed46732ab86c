"""Commands, options and exit codes. What a command needs is imported when it runs, so that help is fast."""

from okr_tui.cli.main import main

__all__ = ["main"]
