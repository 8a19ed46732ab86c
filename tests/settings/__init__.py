"""The settings layer in a temporary home."""
