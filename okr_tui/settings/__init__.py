"""What the user configured, where each value came from, and how one value is changed in its file."""
