"""Compressed answers are unpacked in bounded pieces, and damage is said."""

import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from okr_tui.cloud.compression import ENCODINGS, MOST_MEMBERS, PIECE, ZSTD_INPUT, decoded

TEXT = b'{"message": {"content": "why"}}\n' * 5000
BOMB = bytes(64 * 1024 * 1024)


def bare_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def packages() -> dict[str, tuple[str, Callable[[bytes], bytes]]]:
    """What packs each encoding that can be undone here."""
    found: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
        "gzip": ("gzip", gzip.compress),
        "x-gzip": ("X-Gzip", gzip.compress),
        "members": (
            "gzip",
            lambda data: b"".join(gzip.compress(part) for part in (data[:99], b"", data[99:])),
        ),
        "padding": ("gzip", lambda data: gzip.compress(data) + bytes(512)),
        "deflate": ("deflate", zlib.compress),
        "bare deflate": ("deflate", bare_deflate),
        "twice": ("gzip, deflate", lambda data: zlib.compress(gzip.compress(data))),
        "identity": ("identity", bytes),
        "none": ("", bytes),
    }
    if "zstd" in ENCODINGS:
        import zstandard

        found["zstd"] = ("zstd", zstandard.ZstdCompressor().compress)
    if "br" in ENCODINGS:
        import importlib

        found["br"] = ("br", importlib.import_module("brotli").compress)
    return found


PACKED = packages()


def response(encoding: str, body: bytes, step: int = 1 << 20) -> httpx.Response:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), step):
            yield body[start : start + step]

    headers = {"content-encoding": encoding, "content-length": str(len(body)), "x-kept": "1"}
    return httpx.Response(200, headers=headers, content=chunks())


async def pieces(answer: httpx.Response) -> list[bytes]:
    stream: Any = decoded(answer).stream
    return [piece async for piece in stream]


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
@pytest.mark.parametrize("name", PACKED)
async def test_what_was_packed_is_read_however_it_is_cut(name: str, step: int) -> None:
    encoding, pack = PACKED[name]
    plain = decoded(response(encoding, pack(TEXT[:3000]), step))
    stream: Any = plain.stream
    assert b"".join([piece async for piece in stream]) == TEXT[:3000]
    assert plain.headers["x-kept"] == "1"
    if name not in ("identity", "none"):
        assert not {"content-encoding", "content-length"} & set(plain.headers)


@pytest.mark.parametrize("name", [name for name in PACKED if name not in ("identity", "none")])
async def test_a_few_bytes_that_expand_to_many_come_in_small_pieces(name: str) -> None:
    encoding, pack = PACKED[name]
    packed = pack(BOMB)
    assert len(packed) < len(BOMB) // 100
    sizes = [len(piece) for piece in await pieces(response(encoding, packed))]
    assert sum(sizes) == len(BOMB)
    assert max(sizes) <= PIECE


def test_the_smallest_blocks_of_zstd_stay_bounded() -> None:
    if "zstd" not in ENCODINGS:
        return
    import zstandard

    packed = zstandard.ZstdCompressor(level=1).compress(bytes(32 * 1024 * 1024))
    decoder: Any = ENCODINGS["zstd"]()
    largest = 0
    inner = decoder._decoder

    class Watched:
        eof = False

        def decompress(self, data: bytes) -> bytes:
            nonlocal largest
            plain: bytes = inner.decompress(data)
            largest = max(largest, len(plain))
            return plain

    decoder._decoder = Watched()
    for _ in decoder.feed(packed):
        pass
    assert 0 < largest <= ZSTD_INPUT // 4 * 128 * 1024


@pytest.mark.parametrize(
    "name", [name for name in PACKED if name not in ("identity", "none", "bare deflate")]
)
async def test_damage_is_reported(name: str) -> None:
    encoding, pack = PACKED[name]
    packed = pack(TEXT)
    with pytest.raises(httpx.DecodingError, match="encoding is damaged"):
        await pieces(response(encoding, b"\xff" * 40 + packed))


async def test_members_without_content_end() -> None:
    packed = gzip.compress(b"") * (MOST_MEMBERS + 1)
    with pytest.raises(httpx.DecodingError, match="gzip encoding is damaged"):
        await pieces(response("gzip", packed))


@pytest.mark.parametrize("encoding", ["compress", "gzip, gzip, gzip", "gzip, compress", "\x1b]0;x"])
def test_an_encoding_that_cannot_be_undone_is_reported(encoding: str) -> None:
    with pytest.raises(httpx.DecodingError, match="which was not asked for"):
        decoded(response(encoding, b""))
