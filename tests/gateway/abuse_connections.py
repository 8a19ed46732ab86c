"""What one connection carries: other protocols, several requests at once, more than one, half a one."""

from tests.gateway.abuse import GOOD, HIDDEN, SECOND, SIZE, Case, declined, either, probe, spoiled, taken
from tests.gateway.abuse_framing import CHUNK, CHUNKED, NEXT
from tests.gateway.raw_connection import chunked, head, sized

OLD = b"HTTP/1.0"
H2C = (
    b"connection: Upgrade, HTTP2-Settings",
    b"upgrade: h2c",
    b"http2-settings: AAMAAABkAAQAAP__",
)
WEBSOCKET = (
    b"connection: Upgrade",
    b"upgrade: websocket",
    b"sec-websocket-version: 13",
    b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
)


CONNECTIONS = {
    "HTTP/1.0": either(sized(GOOD, version=OLD), tail="ended"),
    "HTTP/1.0 that is to be kept": either(sized(GOOD, b"connection: keep-alive", version=OLD)),
    "HTTP/1.0 without a host": either(sized(GOOD, version=OLD, host=None), tail="ended"),
    "HTTP/1.0 and another after it": either(sized(GOOD, version=OLD) + NEXT, tail="ended"),
    "HTTP/1.0, answered here": either(probe(version=OLD), "", tail="ended"),
    "close": taken(sized(GOOD, b"connection: close")),
    "close and another after it": Case(sized(GOOD, b"connection: close") + NEXT, ("good",), 1, "ended"),
    "closing in capitals": Case(sized(GOOD, b"Connection: CLOSE") + NEXT, ("good",), 1, "ended"),
    "headers of the connection": taken(
        sized(
            GOOD,
            b"connection: x-client-request-id, content-type, host, keep-alive",
            b"x-client-request-id: 1",
            b"keep-alive: 5",
        )
    ),
    "framing as headers of the connection": taken(chunked(GOOD, b"connection: transfer-encoding")),
    "an upgrade to a web socket": either(sized(GOOD, *WEBSOCKET)),
    "an upgrade to a web socket, without a body": declined(head(*WEBSOCKET, method=b"GET")),
    "an upgrade to HTTP/2": taken(sized(GOOD, *H2C)),
    "an upgrade to HTTP/2, in chunks": taken(chunked(GOOD, *H2C)),
    "an upgrade to HTTP/2, answered here": taken(probe(*H2C), ""),
    "an upgrade to HTTP/2 and its preface": spoiled(sized(GOOD, *H2C) + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "an upgrade to HTTP/2 and another": Case(
        sized(GOOD, *H2C) + sized(SECOND), ("good", "second"), 1, "kept"
    ),
    "two at once": taken(sized(GOOD) + sized(SECOND), "good", "second"),
    "two at once, in chunks": taken(chunked(GOOD) + chunked(SECOND), "good", "second"),
    "two at once, the first answered here": taken(probe() + sized(SECOND), "", "second"),
    "two at once, the second answered here": taken(sized(GOOD) + probe(), "good", ""),
    "twenty at once": taken((sized(GOOD) + sized(SECOND)) * 10, *("good", "second") * 10),
    "two hundred at once, answered here": taken(probe() * 200, *[""] * 200),
    "HEAD and another": taken(probe(method=b"HEAD") + sized(GOOD), "", "good"),
    "a body longer than its length": spoiled(sized(GOOD) + b"more" * 8 + b"\r\n\r\n"),
    "a body longer than its length, answered here": spoiled(probe() + b"more" * 8 + b"\r\n\r\n", ""),
    "a body longer than its length by a line": either(sized(GOOD) + b"\r\n", tail="either"),
    "a good request, then a bad length": spoiled(sized(GOOD) + head(b"content-length: -1") + GOOD),
    "a good request, then a bad chunk": spoiled(sized(GOOD) + head(CHUNKED) + b"zz\r\n"),
    "a good request, then half a one": spoiled(sized(GOOD) + sized(SECOND)[:-9], silent=True),
    "a good request, then half a head": spoiled(sized(GOOD) + head()[:-9], silent=True),
}
CUT = {
    "in the line": head()[:9],
    "in a header": head()[:-9],
    "after the head": head(b"content-length: %d" % SIZE),
    "in the body": sized(GOOD)[:-1],
    "in a chunk": head(CHUNKED) + CHUNK[:-9],
    "after a chunk": head(CHUNKED) + CHUNK,
    "in the last chunk": head(CHUNKED) + CHUNK + b"0\r\n",
    "in the second": sized(GOOD) + sized(SECOND)[:-1],
    "in a body that nobody reads": sized(HIDDEN, target=b"/api/me")[:-1],
}
"""Requests without their end."""
