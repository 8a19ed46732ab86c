"""The dashboard: it draws snapshots and sends commands; it knows no transport, file format or store."""

import os

# Textual draws at most so often, and a key pressed just after a drawing waits for the next: 8 ms, not 17.
os.environ.setdefault("TEXTUAL_FPS", "120")
