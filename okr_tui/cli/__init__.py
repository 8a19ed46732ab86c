"""Commands, options and exit codes. What a command needs is imported when it runs, so that help is fast."""

import sys

try:
    from okr_tui.cli.main import main
except KeyboardInterrupt:  # ctrl+c so early that nothing else could report it
    sys.exit(130)

__all__ = ["main"]
