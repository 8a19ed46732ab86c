"""The way to the network as the environment sets it: proxies and trusted certificates, read once at start.

No HTTP library is loaded here: the same answers go to httpx, to aiohttp and to people.
"""

import functools
import importlib.util
import ipaddress
import os
import re
import ssl
import stat
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from typing import Final
from urllib.parse import urlsplit

from okr_tui.domain.addresses import is_loopback
from okr_tui.domain.extras import how_to_add
from okr_tui.domain.text import printable, variable
from okr_tui.domain.values import dataclass

NEEDS_SOCKS: Final = f"add the extra socks ({how_to_add('socks')}), or name an http:// proxy instead"
SOCKS_PACKAGE: Final = "socksio"
SCHEMES: Final = {
    "http": "http",
    "https": "https",
    "socks5": "socks5",
    "socks5h": "socks5",
    "socks": "socks5",
}
"""The schemes of a proxy's address, and what each means. Names are always looked up by a SOCKS proxy."""
PORTS: Final = {"http": 80, "https": 443, "socks5": 1080}
CERTIFICATES: Final = "name a file of certificates in PEM form, or unset it"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class UnusableNetworkError(Exception):
    """The environment names a proxy or certificates that cannot be used; the text names the variable."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy. `url` may hold a password, so people are shown `str(proxy)`."""

    variable: str
    scheme: str
    host: str
    port: int
    url: str = field(repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port} ({self.variable})"


class Proxies:
    """Which proxy an address is reached through, by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.

    Names in lower case are taken first, as curl does. This machine is always reached directly.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._found: dict[str, Proxy | UnusableNetworkError] = {}
        for kind in ("http", "https", "all"):
            for name in (f"{kind}_proxy", f"{kind}_proxy".upper()):
                # A web server hands the header "Proxy" to its programs under this name.
                if name == "HTTP_PROXY" and "REQUEST_METHOD" in environment:
                    continue
                if text := variable(environment, name):
                    self._found[kind] = _proxy(name, text)
                    break
        excluded = variable(environment, "no_proxy") or variable(environment, "NO_PROXY")
        self._excluded = tuple(filter(None, re.split(r"[\s,;]+", excluded.lower())))

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the variables, a line each."""
        return tuple(dict.fromkeys(str(each) for each in self._found.values() if isinstance(each, Exception)))

    def find(self, scheme: str, host: str, port: int | None) -> Proxy | None:
        """Return the proxy before an address, None where it is reached directly.

        Raises UnusableNetworkError for a proxy that cannot be used: no other way is taken instead of it.
        """
        host = host.strip("[]").rstrip(".").lower()
        if is_loopback(host) or any(
            _excludes(entry, host, port or PORTS.get(scheme)) for entry in self._excluded
        ):
            return None
        found = self._found.get(scheme) or self._found.get("all")
        if isinstance(found, UnusableNetworkError):
            raise found
        return found


def _proxy(name: str, text: str) -> Proxy | UnusableNetworkError:
    """Read the value of a variable; the text of an error does not quote it, as it may hold a password."""
    if "://" not in text:
        text = f"http://{text}"
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    if scheme not in SCHEMES:
        shown = scheme if re.fullmatch(r"[a-z][a-z0-9+.-]{0,15}", scheme) else "unknown"
        return UnusableNetworkError(
            f"{name} cannot be used: {shown} proxies are not supported; set it to http:// or socks5://HOST:PORT"
        )
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    kind = SCHEMES[scheme]
    if (
        not host
        or port == 0
        or not text.isascii()
        or not text.isprintable()
        or re.search(r"[\s\\<>\"]", text)
    ):
        return UnusableNetworkError(
            f"{name} cannot be used: it is not a proxy address; set it to http://HOST:PORT, or unset it"
        )
    if kind == "socks5" and importlib.util.find_spec(SOCKS_PACKAGE) is None:
        return UnusableNetworkError(f"{name} cannot be used: it names a SOCKS proxy; {NEEDS_SOCKS}")
    port = port or PORTS[kind]
    shown_host = f"[{host}]" if ":" in host else host
    user = parts.netloc.rpartition("@")[0]
    url = f"{kind}://{user}{'@' if user else ''}{shown_host}:{port}"
    return Proxy(name, kind, host, port, url)


def _excludes(entry: str, host: str, port: int | None) -> bool:
    """Return whether an entry of NO_PROXY names a host: `*`, a domain, an address or a network.

    A port may follow a name or an address. What cannot be understood excludes nothing.
    """
    if entry == "*":
        return True
    entry = entry.rpartition("://")[2]
    wanted: int | None = None
    if entry.startswith("["):
        entry, _, rest = entry[1:].partition("]")
        if rest.startswith("/"):
            entry += rest
        elif rest.startswith(":"):
            wanted = int(rest[1:]) if rest[1:].isdigit() else -1
    elif entry.count(":") == 1:
        entry, _, digits = entry.partition(":")
        wanted = int(digits) if digits.isascii() and digits.isdigit() else -1
    if wanted is not None and wanted != port:
        return False
    address, network = _address(host), _network(entry)
    if address and network:
        return address.version == network.version and address in network
    name = entry.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if address := _address(text):
        return ipaddress.ip_network(address)
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


class Certificates:
    """The trusted certificates, one context for every connection.

    SSL_CERT_FILE and SSL_CERT_DIR replace the system's store, as in OpenSSL. Without them the system's
    store is used and, for systems that have none, the one that httpx brings along.
    """

    def __init__(self, environment: Mapping[str, str], platform: str = sys.platform) -> None:
        self._file = variable(environment, "SSL_CERT_FILE")
        self._folders = variable(environment, "SSL_CERT_DIR")
        self._key_log = variable(environment, "SSLKEYLOGFILE")
        self._platform = platform

    @functools.cached_property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the variables, a line each. Blocks for milliseconds."""
        return tuple(self._checked())

    @functools.cached_property
    def context(self) -> ssl.SSLContext:
        """The context for connections. Raises UnusableNetworkError for variables that cannot be used."""
        if self.problems:
            raise UnusableNetworkError(self.problems[0])
        context = self._trusting()
        if self._key_log:
            context.keylog_filename = self._key_log
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _trusting(self) -> ssl.SSLContext:
        if self._file or self._folders:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            if self._file:
                context.load_verify_locations(cafile=self._file)
            for folder in filter(None, self._folders.split(os.pathsep)):
                context.load_verify_locations(capath=folder)
            return context
        import certifi

        if self._platform == "darwin":
            # OpenSSL cannot read the keychain, where organisations put their certificates. Elsewhere
            # truststore does what OpenSSL does, but reads the store again for each connection.
            import truststore

            context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        else:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.set_default_verify_paths()
        context.load_verify_locations(certifi.where())
        return context

    def _checked(self) -> Iterator[str]:
        if self._file and (reason := _unreadable(self._file)):
            yield f"SSL_CERT_FILE={_shown(self._file)} cannot be used: {reason}; {CERTIFICATES}"
        for folder in filter(None, self._folders.split(os.pathsep)):
            if reason := _unlistable(folder):
                yield f"SSL_CERT_DIR={_shown(folder)} cannot be used: {reason}; name a folder, or unset it"
        if self._key_log and (reason := _unwritable(self._key_log)):
            yield f"SSLKEYLOGFILE={_shown(self._key_log)} cannot be written: {reason}; unset it"


def _shown(path: str) -> str:
    return printable(path, 200)


def _is_pipe(path: str) -> bool:
    """Return whether opening it may wait forever: a pipe, which could also be read only once."""
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def _unreadable(path: str) -> str | None:
    if _is_pipe(path):
        return "it is a pipe"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        return "there are no certificates in it"
    except (OSError, ValueError) as error:
        return _reason(error)
    return None


def _unlistable(folder: str) -> str | None:
    try:
        os.listdir(folder)
    except (OSError, ValueError) as error:
        return _reason(error)
    return None


def _unwritable(path: str) -> str | None:
    if _is_pipe(path):
        return "it is a pipe"
    try:
        with open(path, "a", encoding="ascii"):
            return None
    except (OSError, ValueError) as error:
        return _reason(error)


def _reason(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or "it is not a path").lower()


@contextmanager
def without_default_certificates() -> Iterator[None]:
    """Let this thread make contexts that trust nothing where they would read the system's certificates."""
    read, thread = ssl.SSLContext.set_default_verify_paths, threading.get_ident()

    def read_elsewhere(context: ssl.SSLContext) -> None:
        if threading.get_ident() != thread:
            read(context)

    ssl.SSLContext.set_default_verify_paths = read_elsewhere  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        ssl.SSLContext.set_default_verify_paths = read  # type: ignore[method-assign]


class Network:
    """The way out of this machine: proxies and certificates."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.proxies = Proxies(environment)
        self.certificates = Certificates(environment)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong in the environment, a line each, whether it matters for an address or not."""
        return (*self.proxies.problems, *self.certificates.problems)

    def certificate_problems(self, url: str) -> tuple[str, ...]:
        """Return what is wrong with the certificates that an address needs, a line each."""
        return self.certificates.problems if urlsplit(url).scheme == "https" else ()

    def problems_before(self, url: str) -> tuple[str, ...]:
        """Return what keeps requests from an address, a line each."""
        parts, lines = urlsplit(url), list(self.certificate_problems(url))
        try:
            self.proxies.find(parts.scheme, parts.hostname or "", parts.port)
        except UnusableNetworkError as error:
            lines.append(str(error))
        return tuple(lines)


DIRECT: Final = Network({})
"""No proxy, and the certificates of the system."""
