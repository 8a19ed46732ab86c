"""Where the body of a request ends: lengths, codings, chunks and trailers."""

from tests.gateway.abuse import GOOD, HIDDEN, SIZE, Case, declined, either, named, refused, taken, unfinished
from tests.gateway.raw_connection import chunked, head, sized

CHUNKED = b"transfer-encoding: chunked"
CHUNK = b"%x\r\n%b\r\n" % (SIZE, GOOD)
CHUNKS = CHUNK + b"0\r\n\r\n"
NEXT = sized(HIDDEN)
"""A request that is to be taken for a part of the one before, or the other way round."""


def length(text: bytes, *lines: bytes) -> bytes:
    """A request whose length is put so."""
    return head(b"content-length: " + text, *lines) + GOOD


def coded(*lines: bytes) -> bytes:
    """A request in chunks, with these headers to say so."""
    return head(*lines) + CHUNKS


def chunks(text: bytes) -> bytes:
    """A request with these chunks."""
    return head(CHUNKED) + text


def size(text: bytes, end: bytes = b"\r\n") -> bytes:
    """A request in one chunk whose size is put so."""
    return chunks(text + end + GOOD + b"\r\n0\r\n\r\n")


def trailed(trailers: bytes) -> bytes:
    """A request in chunks with these trailers."""
    return chunked(GOOD, trailers=trailers)


LENGTHS = {
    "twice the same length": either(length(b"%d" % SIZE, b"content-length: %d" % SIZE)),
    "a list of the same length": either(length(b"%d, %d" % (SIZE, SIZE))),
    "a length with leading zeros": either(length(b"000%d" % SIZE)),
    "two lengths, the larger last": refused(length(b"%d" % SIZE, b"content-length: %d" % (SIZE + 9)) + NEXT),
    "two lengths, the smaller last": refused(length(b"%d" % (SIZE + 9), b"content-length: %d" % SIZE) + NEXT),
    "a list of two lengths": refused(length(b"%d, %d" % (SIZE, SIZE + 9)) + NEXT),
    **{
        named("a length of", text): refused(length(text))
        for text in (
            b"",
            b"-1",
            b"-%d" % SIZE,
            b"+%d" % SIZE,
            b"0x%x" % SIZE,
            b"%d.0" % SIZE,
            b"%de0" % SIZE,
            b"%d %d" % divmod(SIZE, 10),
            b"%d;" % SIZE,
            b"1_0",
            b'"%d"' % SIZE,
            b"\x0b%d" % SIZE,
            "".join(chr(0x660 + int(digit)) for digit in str(SIZE)).encode(),
            b"1" + b"0" * 30,
        )
    },
    **{
        f"a length that comes round in {bits} bits": unfinished(length(b"%d" % (2**bits + SIZE)))
        for bits in (32, 63, 64)
    },
    "a length under another name": refused(head(b"content_length: %d" % SIZE) + GOOD),
    "a length longer than the body": unfinished(length(b"%d" % (SIZE + 1))),
    "a body without a length": refused(head() + GOOD),
    "a request for a body without a length": refused(head() + NEXT),
}
CODINGS = {
    "chunks": taken(chunked(GOOD)),
    "chunked in capitals": taken(coded(b"TRANSFER-ENCODING: CHUNKED")),
    "chunked with spaces around": either(coded(b"transfer-encoding: \t chunked \t ")),
    "chunked and a length": either(coded(CHUNKED, b"content-length: %d" % len(CHUNKS)), tail="ended"),
    "a length and chunked": either(coded(b"content-length: %d" % len(CHUNKS), CHUNKED), tail="ended"),
    "chunks that end before the length does": either(
        coded(CHUNKED, b"content-length: %d" % len(CHUNKS + NEXT)) + NEXT, tail="ended"
    ),
    "a length that ends before the chunks do": refused(length(b"%d" % SIZE, CHUNKED) + NEXT),
    "chunked and a bad length": either(coded(CHUNKED, b"content-length: -1"), tail="ended"),
    "chunks of a client of HTTP/1.0": either(head(CHUNKED, version=b"HTTP/1.0") + CHUNKS, tail="ended"),
    "chunked on the next line": either(coded(b"transfer-encoding:\r\n chunked")),
    "chunked twice": refused(coded(CHUNKED, CHUNKED)),
    "chunked, then another coding": refused(coded(CHUNKED, b"transfer-encoding: identity")),
    # Their end is known, so it is no harm that what is in them then is no JSON, or is.
    "another coding, then chunked": either(coded(b"transfer-encoding: identity", CHUNKED)),
    "gzip, then chunked": either(coded(b"transfer-encoding: gzip, chunked")),
    "a coding under another name": refused(coded(b"transfer_encoding: chunked")),
    **{
        named(f"coding, {form},", text): refused(head(b"transfer-encoding: " + text, *lines) + content)
        for text in (
            b"",
            b"xchunked",
            b"chunkedx",
            b"identity",
            b"chunked, identity",
            b"chunked, chunked",
            b"chunked;q=1",
            b'"chunked"',
            b"chunked\x0b",
            b"\x0cchunked",
            b"chu\x00nked",
        )
        for form, lines, content in (
            ("in chunks", (), CHUNKS),
            ("with a length", (b"content-length: %d" % SIZE,), GOOD),
        )
        if text or not lines
    },
}
SIZES = {
    "a size with leading zeros": either(size(b"000%x" % SIZE)),
    "a size in capitals": taken(size(b"%X" % SIZE)),
    "spaces after the size": either(size(b"%x  " % SIZE)),
    "an extension": taken(size(b"%x;a=b" % SIZE)),
    "an extension in quotes": taken(size(b'%x;a="b;c"' % SIZE)),
    "an extension of 16 KiB": either(size(b"%x;a=" % SIZE + b"x" * 16 * 1024)),
    "an extension without an end": unfinished(chunks(b"%x;a=" % SIZE + b"x" * 1024 * 1024)),
    "an extension with a line feed": refused(size(b"%x;a\nb" % SIZE)),
    **{
        named("a size of", text): refused(size(text))
        for text in (
            b"",
            b"zz",
            b"-%x" % SIZE,
            b"+%x" % SIZE,
            b"0x%x" % SIZE,
            b"%x g" % SIZE,
            b"%xg" % SIZE,
            b"%x," % SIZE,
            b"%x\x00" % SIZE,
            b"%x\x0b" % SIZE,
            b"%x\r" % SIZE,
            b"1_0",
            b"f" * 100,
            b"%x" % (SIZE + 1),
            b"%x" % (SIZE - 1),
        )
    },
    "a size that comes round in 64 bits": unfinished(size(b"1%016x" % SIZE)),
    "a size that comes round in 32 bits": unfinished(size(b"1%08x" % SIZE)),
    "a size that a line feed ends": refused(size(b"%x" % SIZE, b"\n")),
    "a size that a carriage return ends": unfinished(size(b"%x" % SIZE, b"\r")),
}
ENDS = {
    "a chunk without a line end": refused(chunks(CHUNK.removesuffix(b"\r\n") + b"0\r\n\r\n")),
    "a line feed after a chunk": refused(chunks(CHUNK.removesuffix(b"\r\n") + b"\n0\r\n\r\n")),
    "two other bytes after a chunk": refused(chunks(CHUNK.removesuffix(b"\r\n") + b"xx0\r\n\r\n")),
    "no last chunk": unfinished(chunks(CHUNK)),
    "no end of the last chunk": unfinished(chunks(CHUNK + b"0\r\n")),
    "a request instead of the last chunk": refused(chunks(CHUNK) + NEXT),
    "trailers": taken(trailed(b"x-client-request-id: 1\r\n")),
    "trailers that change the request": either(
        trailed(b"content-length: 1\r\nhost: rebound.example\r\nauthorization: x\r\ncontent-encoding: br\r\n")
    ),
    "trailers of 128 KiB": either(trailed(b"x: " + b"x" * 128 * 1024 + b"\r\n")),
    "trailers of 20,000 lines": either(trailed(b"x-client-request-id: 1\r\n" * 20_000)),
    "trailers without an end": unfinished(chunks(CHUNK + b"0\r\n" + b"x: 1\r\n" * 200_000)),
    "trailers that are no headers": refused(trailed(b"x(y): 1\r\n")),
    "a space before a trailer's colon": refused(trailed(b"x-client-request-id : 1\r\n")),
}
BODIES_OF_OTHERS = {
    "a request in a body without a token": declined(sized(NEXT, token=None)),
    "a request in a body for nowhere": declined(sized(NEXT, target=b"/nowhere")),
    "a request in a body of another method": declined(sized(NEXT, method=b"GET")),
    "a request in a body that is no JSON": declined(sized(NEXT)),
    "a request in a body that nobody reads": taken(sized(NEXT, target=b"/api/me"), ""),
    "a request in chunks that nobody reads": taken(chunked(NEXT, target=b"/api/me"), ""),
    "a request in bad chunks that nobody reads": Case(
        head(CHUNKED, target=b"/api/me") + b"zz\r\n" + NEXT, ("",)
    ),
}
FRAMING = {**LENGTHS, **CODINGS, **SIZES, **ENDS, **BODIES_OF_OTHERS}
