"""The chat pane and its screens."""
