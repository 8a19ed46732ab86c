"""Heads of requests: header lines, the host, the request line, its target, and how long all that is."""

from okr_tui.gateway.guard import MAX_HEAD_BYTES
from tests.gateway.abuse import GOOD, SIZE, Case, declined, either, named, probe, refused, taken, unfinished
from tests.gateway.raw_connection import head, sized
from tests.gateway.running_gateway import TOKEN


def line(text: bytes) -> bytes:
    """A good request with this header line before the others."""
    return sized(GOOD).replace(b"host:", text + b"\r\nhost:", 1)


def odd(value: bytes) -> Case:
    """A value that may not be passed on in any other form than its own."""
    return either(line(b"x-client-request-id: " + value), odd=value)


def first(text: bytes) -> bytes:
    """A good request under another request line."""
    return text + sized(GOOD).partition(b"\r\n")[1] + sized(GOOD).partition(b"\r\n")[2]


def to(target: bytes, **changes: bytes | None) -> bytes:
    """A good request to another target."""
    return sized(GOOD, target=target, **changes)


HEADERS = {
    "line feeds alone": refused(head(b"content-length: %d" % SIZE, end=b"\n") + GOOD),
    "carriage returns alone": unfinished(head(b"content-length: %d" % SIZE, end=b"\r") + GOOD),
    "a line feed alone in a head": refused(line(b"x-client-request-id: one\nx: 2")),
    "a header on two lines": refused(line(b"x-client-request-id: one\r\n two")),
    "a header on two lines, by a tab": refused(line(b"x-client-request-id: one\r\n\ttwo")),
    "the second head on two lines": Case(sized(GOOD) + line(b"x: one\r\n two"), ("good",), 1),
    "a line feed alone in the second head": Case(sized(GOOD) + line(b"x: one\ny: 2"), ("good",), 1),
    "a length on two lines": refused(
        head(b"content-length:\r\n %d" % SIZE) + GOOD,
    ),
    "a space before the first header": refused(first(b"POST /api/chat HTTP/1.1\r\n x: 1")),
    "a header without a name": refused(line(b": 1")),
    "a header without a colon": refused(line(b"content-length")),
    "a space before the colon": refused(line(b"x-client-request-id : 1")),
    "a tab before the colon": refused(line(b"x-client-request-id\t: 1")),
    "a space before the length's colon": refused(head(b"content-length : %d" % SIZE) + GOOD),
    "a space before the coding's colon": refused(
        head(b"transfer-encoding : chunked", b"content-length: %d" % SIZE) + GOOD
    ),
    **{
        named("a name of", name): refused(line(name + b": 1"))
        for name in (
            *(b"x" + bytes([index]) + b"y" for index in (0, 1, 9, 11, 13, 31, 127, 128, 255)),
            *(b"x" + bytes([index]) + b"y" for index in b' "(),/;<=>?@[\\]{}'),
            "x\u00e9".encode(),
        )
    },
    **{
        named("a value of", value): odd(value)
        for value in (
            *(b"x" + bytes([index]) + b"y" for index in (0, 1, 8, 11, 12, 13, 27, 31, 127)),
            b"caf\xe9",
            "caf\u00e9 \u2601".encode(),
            b"",
            b"a\tb",
            b"a  b",
            b'"quoted, \\" and (comment)"',
        )
    },
    "a header twice": either(line(b"x-client-request-id: a\r\nx-client-request-id: b"), odd=b"a, b"),
    "a good name of every sign": taken(line(b"!#$%&'*+-.^_`|~0Az: 1")),
}
HOSTS = {
    "no host": refused(sized(GOOD, host=None)),
    "an empty host": refused(sized(GOOD, host=b"host:")),
    "two hosts": refused(line(b"host: rebound.example")),
    "twice the same host": refused(line(b"host: localhost")),
    "a host with an empty port": either(sized(GOOD, host=b"host: localhost:")),
    "a host on two lines": refused(sized(GOOD, host=b"host:\r\n localhost")),
    **{
        named("a host of", host): refused(sized(GOOD, host=b"host: " + host))
        for host in (
            b"rebound.example",
            b"localhost, rebound.example",
            b"localhost rebound.example",
            b"localhost@rebound.example",
            b"rebound.example@localhost",
            b"localhost/",
            b"localhost:x",
            b"localhost:80:80",
            b"localhost\x00.rebound.example",
            b"http://localhost",
        )
    },
}
LINES = {
    **{
        named("a line of", text): refused(first(text))
        for text in (
            b"POST /api/chat",
            b"POST /api/chat HTTP/1.1 x",
            b"POST /api/chat http/1.1",
            b"POST /api/chat HTTP/1",
            b"POST /api/chat HTTP/11",
            b"POST /api/chat HTTP/1.10",
            b"POST /api/chat HTTPS/1.1",
            b"POST /api/chat ICE/1.0",
            b"POST /api/ chat HTTP/1.1",
            b"POST HTTP/1.1",
            b"(POST) /api/chat HTTP/1.1",
            b"P\x00ST /api/chat HTTP/1.1",
            b"\x00",
            b"{}",
        )
    },
    "a line with two spaces": either(first(b"POST  /api/chat  HTTP/1.1")),
    "a line with tabs": either(first(b"POST\t/api/chat\tHTTP/1.1")),
    "a space before the line": either(first(b" POST /api/chat HTTP/1.1")),
    **{
        f"a line of {version}": either(first(f"POST /api/chat {version}".encode()))
        for version in ("HTTP/1.2", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "RTSP/1.0")
    },
    "a method in small letters": refused(first(b"post /api/chat HTTP/1.1")),
    "a method nobody knows": declined(first(b"FROBNICATE /api/chat HTTP/1.1")),
    "a method of 70,000 letters": refused(first(b"P" * 70_000 + b" /api/chat HTTP/1.1")),
    "an empty line before": either(b"\r\n" + sized(GOOD)),
    "a line feed before": refused(b"\n" + sized(GOOD)),
    "only empty lines": unfinished(b"\r\n" * 100_000),
    "HTTP/2": refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
    "TLS": unfinished(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"\x5a" * 160),
    "a line that is never over": unfinished(b"A" * 1024 * 1024),
}
TARGETS = {
    "the absolute form": taken(to(b"http://localhost/api/chat")),
    "the absolute form in other letters": taken(
        to(b"HTTP://LocalHost:1/api/chat", host=b"host: rebound.example")
    ),
    "the absolute form without a path": declined(to(b"http://localhost")),
    "the absolute form of a port that cannot be": either(to(b"http://localhost:99999999/api/chat")),
    "the absolute form of another scheme": declined(to(b"https://localhost/api/chat")),
    "the absolute form of another host": declined(to(b"http://rebound.example/api/chat")),
    "the absolute form of another host, and no host": refused(
        to(b"http://rebound.example/api/chat", host=None)
    ),
    "the absolute form with a user": declined(to(b"http://localhost@rebound.example/api/chat")),
    **{
        named("a target of", target): declined(to(target))
        for target in (
            b"*",
            b"localhost:80",
            b"api/chat",
            b"//localhost/api/chat",
            b"/api/chat%00",
            b"/api/chat%20",
            b"/api/chat%0d%0ax-client-request-id:1",
            b"/api/chat;x",
            b"/api/chat%3fx",
            b"/API/chat",
            b"/api/chat\xe9",
            b"/api/chat%ff",
            b"/api/chat%",
            b"/api/chat\x01",
            b"\\api\\chat",
            b"http:///api/chat",
            b"http://[::1/api/chat",
            b"?x",
            b"/" + b"a/" * 10_000,
            f"/{TOKEN}/{TOKEN}/api/chat".encode(),
        )
    },
    **{
        named("a target of", target): either(to(target))
        for target in (
            b"/%61pi/chat",
            b"//api/chat",
            b"/api/chat/",
            b"/api//chat",
            b"/api%2fchat",
            b"/api/chat#x",
            b"/api/./chat",
            b"/x/../api/chat",
            b"/v1/models/../../api/chat",
        )
    },
    **{
        named("a query of", query): taken(to(b"/api/chat?" + query), query=query)
        for query in (
            b"a=1&b=2",
            b"a=%0d%0ax-client-request-id:1",
            b"a=%2F%2f+%20",
            b"?/:@!$'()*,;=~",
            b"a=%00",
        )
    },
    "CONNECT": declined(probe(target=b"localhost:80", method=b"CONNECT")),
    "CONNECT with a path": declined(to(b"/api/chat", method=b"CONNECT")),
    "OPTIONS of everything": declined(probe(target=b"*", method=b"OPTIONS")),
    "TRACE": declined(probe(target=b"/api/chat", method=b"TRACE")),
}
MUCH = {
    "a header of more than all": refused(line(b"x: " + b"x" * MAX_HEAD_BYTES)),
    "headers of more than all": refused(line(b"\r\n".join([b"x: 1234567"] * (MAX_HEAD_BYTES // 10)))),
    "a target of more than all": refused(to(b"/api/chat?" + b"x" * MAX_HEAD_BYTES)),
    "a name of more than all": refused(line(b"x" * MAX_HEAD_BYTES + b": 1")),
    "a header of 1 MiB": refused(line(b"x: " + b"x" * 1024 * 1024)),
    "headers of 1 MiB": refused(line(b"\r\n".join([b"x: 1234567"] * 100_000))),
    "a target of 1 MiB": refused(to(b"/api/chat?" + b"x" * 1024 * 1024)),
    "half a head of more than all": unfinished(head()[:-2] + b"x: " + b"x" * (MAX_HEAD_BYTES + 1)),
    "a head of many good headers": either(line(b"\r\n".join([b"x: 1"] * 90))),
    "a head of half of all": either(
        line(b"x-client-request-id: " + b"x" * (MAX_HEAD_BYTES // 2)), odd=b"x" * (MAX_HEAD_BYTES // 2)
    ),
}
HEADS = {**HEADERS, **HOSTS, **LINES, **TARGETS, **MUCH}
