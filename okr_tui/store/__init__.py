"""Where the log lives."""
