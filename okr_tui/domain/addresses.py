"""Addresses of servers, and which of them only this machine reaches."""

import ipaddress
from typing import Final

NO_CLOUD: Final = "https://refused.invalid"
"""Stands for a cloud whose address was refused: nothing is ever sent there."""
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
