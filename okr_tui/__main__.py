"""`python -m okr_tui`."""

from okr_tui.cli import main

main()
