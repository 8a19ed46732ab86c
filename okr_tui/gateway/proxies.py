"""What a reverse proxy says of its caller, believed only of those that the settings name.

`X-Forwarded-For`, `-Proto` and `-Host` are a list each, to which every proxy adds what it saw itself;
`Forwarded` (RFC 7239) has the same in one header. A caller can send them too, so they are read from the end,
and only as far as the addresses are those of named proxies.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from starlette.types import Scope

FORWARDED: Final = b"forwarded"
HOP_HEADERS: Final = {
    b"x-forwarded-for": "for",
    b"x-forwarded-proto": "proto",
    b"x-forwarded-host": "host",
}
PAIR: Final = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^\s";,]*)\s*')
HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}(?::\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?")
SCHEMES: Final = ("http", "https")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Seen(NamedTuple):
    """What one proxy saw of its caller; None where it does not say."""

    address: Address | None
    scheme: str | None
    host: str | None


def as_forwarded(scope: Scope, proxies: Sequence[str]) -> Scope:
    """Return a request as its caller sent it to the first of the named proxies; as it came from anybody else.

    proxies: addresses and networks, such as "127.0.0.1" and "10.0.0.0/8".
    """
    if not proxies or not scope["client"]:
        return scope
    networks = _networks(tuple(proxies))
    peer = _address(scope["client"][0])
    if not _is_within(peer, networks):
        return scope
    known: Seen | None = None
    for seen in _hops(scope["headers"]):
        known = seen
        if not _is_within(seen.address, networks):
            break
    if known is None:
        return scope
    changed: dict[str, object] = {}
    if known.address:
        changed["client"] = (str(known.address), 0)
    if known.scheme in SCHEMES:
        changed["scheme"] = known.scheme
    if known.host and HOST.fullmatch(known.host):
        others = [(name, value) for name, value in scope["headers"] if name != b"host"]
        changed["headers"] = [(b"host", known.host.encode("ascii")), *others]
    return {**scope, **changed}


@lru_cache(maxsize=8)
def _networks(proxies: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(each, strict=False) for each in proxies)


def _is_within(address: Address | None, networks: Sequence[Network]) -> bool:
    return address is not None and any(address in network for network in networks)


def _hops(headers: Sequence[tuple[bytes, bytes]]) -> Iterator[Seen]:
    """Yield what the proxies saw, the nearest first."""
    forwarded = _joined(headers, FORWARDED)
    if forwarded is not None:
        yield from map(_seen, map(_pairs, reversed(_elements(forwarded))))
        return
    lists = {
        name: [part.strip() for part in text.split(",")]
        for header, name in HOP_HEADERS.items()
        if (text := _joined(headers, header)) is not None
    }
    for depth in range(1, max(map(len, lists.values()), default=0) + 1):
        # A proxy that sets a header instead of adding to it speaks for those before it too.
        yield _seen({name: found[-min(depth, len(found))] for name, found in lists.items()})
        if depth >= len(lists.get("for", ())):
            return


def _joined(headers: Sequence[tuple[bytes, bytes]], wanted: bytes) -> str | None:
    found = [value.decode("latin-1") for name, value in headers if name == wanted]
    return ",".join(found) if found else None


def _elements(text: str) -> list[str]:
    """Return the elements of a Forwarded header; a comma within quotes separates none."""
    return [part for part in re.findall(r'(?:"(?:[^"\\]|\\.)*"|[^",])+', text) if part.strip()]


def _pairs(element: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for part in re.findall(r'(?:"(?:[^"\\]|\\.)*"|[^";])+', element):
        if pair := PAIR.fullmatch(part):
            value = pair[2]
            quoted = value.startswith('"')
            found[pair[1].lower()] = re.sub(r"\\(.)", r"\1", value[1:-1]) if quoted else value
    return found


def _seen(values: Mapping[str, str]) -> Seen:
    return Seen(_address(values.get("for", "")), values.get("proto", "").lower() or None, values.get("host"))


def _address(text: str) -> Address | None:
    """Return the address in "192.0.2.1", "192.0.2.1:4711", "2001:db8::1" or "[2001:db8::1]:4711"."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
