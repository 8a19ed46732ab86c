"""okr-tui: a live terminal dashboard for a pool of Ollama Cloud API keys."""

__version__ = "0.1.0"
