"""The async service under every user interface: it owns the pool, uses its keys and reports changes."""
