"""Why there was no answer: the cause of a failed request, and words with a remedy for it.

The libraries wrap the system's errors in several layers; the cause is looked for in all of them. Their own
texts are not used, because they may carry addresses and passwords.
"""

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, TypeVar

import httpx

from okr_tui.cloud.errors import no_response
from okr_tui.cloud.network import Proxy, UnusableNetworkError
from okr_tui.domain.faults import ConnectionFailure, Fault
from okr_tui.domain.text import clean_line

E = TypeVar("E", bound=BaseException)
UNREACHABLE: Final = {
    errno.ENETUNREACH: "there is no route to it",
    errno.EHOSTUNREACH: "there is no route to it",
    errno.ENETDOWN: "the network is down",
    errno.EHOSTDOWN: "it is down",
    errno.EADDRNOTAVAIL: "this machine has no address for it",
    errno.EACCES: "this machine forbids it",
    errno.EPERM: "this machine forbids it",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
}
CUT: Final = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ESHUTDOWN})
NUMBER: Final = re.compile(r"\[Errno (-?\d{1,5})\]")
STATUS: Final = re.compile(r"\b[345]\d\d\b")
MALFORMED: Final = re.compile(
    "illegal|conflicting|bad |multiple|too|Receive buffer|ClientResponseError|HttpProcessingError"
)
"""How the errors of h11 and aiohttp begin that are about the form of an answer, not about its end."""
OWN_CERTIFICATES: Final = "set SSL_CERT_FILE to the certificates of your organisation if it inspects traffic"


def failure(error: BaseException, url: httpx.URL, proxy: Proxy | None = None) -> Fault:
    """Return the fault of a request to `url` that got no answer, or only a part of one."""
    cause, text = _explained(error, url, proxy)
    return replace(no_response(text), connection=cause)


def _explained(error: BaseException, url: httpx.URL, proxy: Proxy | None) -> tuple[ConnectionFailure, str]:
    chain = list(_chain(error))
    if own := _first(chain, UnusableNetworkError):
        text = str(own)
        return ConnectionFailure.CERTIFICATE if text.startswith("SSL") else ConnectionFailure.PROXY, text
    if _first(chain, ssl.SSLCertVerificationError):
        return ConnectionFailure.CERTIFICATE, _certificate_text(chain)
    if isinstance(error, httpx.DecodingError):
        return ConnectionFailure.UNREADABLE, str(error)
    # Whoever was spoken to when it failed: with a proxy that is the proxy, until it let the request through.
    far = f"the proxy {proxy}" if proxy else _host_and_port(url)
    connecting = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError)
    cause, text = _connection(error, chain, far, url)
    if proxy and connecting:
        return ConnectionFailure.PROXY, text
    return cause, f"{text}, through the proxy {proxy}" if proxy and far not in text else text


def _connection(
    error: BaseException, chain: list[BaseException], far: str, url: httpx.URL
) -> tuple[ConnectionFailure, str]:
    numbers = set(_numbers(chain))
    if _first(chain, socket.gaierror):
        return ConnectionFailure.NAME, f"name not found: {far}; check the address and the network"
    if errno.ECONNREFUSED in numbers:
        return ConnectionFailure.REFUSED, f"connection refused by {far}; check that a server listens there"
    if reason := next((UNREACHABLE[number] for number in numbers if number in UNREACHABLE), None):
        return ConnectionFailure.UNREACHABLE, f"{far} cannot be reached: {reason}"
    if isinstance(error, httpx.ProxyError):
        return ConnectionFailure.PROXY, _proxy_text(error, far)
    if isinstance(error, httpx.ConnectTimeout) or errno.ETIMEDOUT in numbers:
        return ConnectionFailure.TIMEOUT, f"no connection to {far} in time"
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return ConnectionFailure.TIMEOUT, f"no answer from {url.host} in time"
    if isinstance(error, httpx.ConnectError) and _first(chain, ssl.SSLError):
        return ConnectionFailure.TLS, f"no secure connection to {far}; is that an https server?"
    if isinstance(error, httpx.ConnectError) and not numbers & CUT:
        return ConnectionFailure.UNREACHABLE, f"no connection to {far}"
    if isinstance(error, httpx.RemoteProtocolError) and MALFORMED.match(str(error)):
        return ConnectionFailure.UNREADABLE, f"the answer of {far} is not valid HTTP; check the address"
    return ConnectionFailure.CUT, f"the connection to {url.host} was cut"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, what caused it, and the members of groups among them."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop(0)
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
        if isinstance(each, OSError) and isinstance(inner := getattr(each, "os_error", None), OSError):
            waiting.append(inner)  # aiohttp's
        if isinstance(inner := getattr(each, "certificate_error", None), Exception):
            waiting.append(inner)


def _first(chain: list[BaseException], kind: type[E]) -> E | None:
    return next((each for each in chain if isinstance(each, kind)), None)


def _numbers(chain: list[BaseException]) -> Iterator[int]:
    """Yield the system's error numbers; asyncio names those of several addresses in a text only."""
    for each in chain:
        if not isinstance(each, OSError) or isinstance(each, ssl.SSLError | socket.gaierror):
            continue  # their numbers are of another kind
        if each.errno is not None:
            yield each.errno
        else:
            yield from map(int, NUMBER.findall(str(each)[:2000]))


def _host_and_port(url: httpx.URL) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{host}:{url.port}" if url.port else host


def _certificate_text(chain: list[BaseException]) -> str:
    # aiohttp's own error of this kind lacks the message of the one within it.
    messages = (getattr(each, "verify_message", "") for each in chain)
    reason = clean_line(next(filter(None, messages), "it cannot be verified"), 100)
    if "expired" in reason or "not yet valid" in reason:
        remedy = "check the date of this machine, and that of the certificate"
    elif "mismatch" in reason.lower():
        remedy = "check the address"
    else:
        remedy = OWN_CERTIFICATES
    return f"certificate not trusted: {reason}; {remedy}"


def _proxy_text(error: httpx.ProxyError, far: str) -> str:
    status = STATUS.search(str(error))
    if status and status[0] == "407":
        return f"{far} asks for a user name and password: name them in its address, http://USER:PASSWORD@…"
    return f"{far} refused to connect{f': HTTP {status[0]}' if status else ''}"
