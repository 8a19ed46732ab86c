"""The local gateway: a reverse proxy through which any client uses the pool."""
