"""Addresses of servers: which of them only this machine reaches, and what people may see of them."""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

NO_CLOUD: Final = "https://refused.invalid"
"""Stands for a cloud whose address was refused: nothing is ever sent there."""
FILES: Final = frozenset({"sqlite", "memory"})
"""The schemes of logs that are on no server: what follows is a path, whatever letters it has."""
NO_KEY_IS_SENT: Final = "no key is sent anywhere until it is corrected"


def url(host: str, port: int) -> str:
    """Return the address of a server; one that listens everywhere is reached through loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 not bound to here
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Return whether only programs of this machine reach a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def without_password(store: str) -> str:
    """Return a store's address for people, without user, password and options of a server."""
    scheme, _, rest = store.partition(":")
    if scheme in FILES or not rest:
        return store
    try:
        parts = urlsplit(store)
    except ValueError:
        return f"{scheme}:…"
    if not rest.startswith("//"):
        return f"{scheme}:…"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def without_token(address: str) -> str:
    """Return a daemon's address for people; its path may be a gateway's token."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{'/…' if parts.path.strip('/') else ''}"
