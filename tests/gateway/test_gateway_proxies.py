"""A gateway behind reverse proxies: what named ones say of a caller counts, and nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from okr_tui.gateway.proxies import as_forwarded
from okr_tui.settings.checks import NETWORKS, UnusableError
from tests.gateway.running_gateway import TOKEN, RunningGateway, body
from tests.harness import Harness
from tests.loopback import listening

NAMED = ("127.0.0.1", "10.0.0.0/8", "::1")
CALLER = "203.0.113.7"


def request(*headers: tuple[str, str], peer: str = "127.0.0.1") -> dict[str, Any]:
    raw = [(name.encode(), value.encode()) for name, value in (("host", "inner:11435"), *headers)]
    return {"client": (peer, 4711), "scheme": "http", "headers": raw}


def said(scope: Any) -> tuple[str, str, str]:
    """The caller's address, the scheme and the host of a request."""
    (host,) = (value.decode() for name, value in scope["headers"] if name == b"host")
    return scope["client"][0], scope["scheme"], host


FOR, PROTO, NAME = "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([(FOR, CALLER), (PROTO, "https"), (NAME, "okr.example")], (CALLER, "https", "okr.example")),
        ([(FOR, f"{CALLER}, 10.1.2.3")], (CALLER, "http", "inner:11435")),
        (
            [(FOR, "198.51.100.9, " + CALLER)],
            (CALLER, "http", "inner:11435"),
        ),  # the first is the caller's own
        ([(FOR, "198.51.100.9"), (FOR, CALLER)], (CALLER, "http", "inner:11435")),
        ([(FOR, f"{CALLER}:5000")], (CALLER, "http", "inner:11435")),
        ([(FOR, "[2001:db8::7]:5000")], ("2001:db8::7", "http", "inner:11435")),
        ([(FOR, "::ffff:10.0.0.9"), (PROTO, "https")], ("10.0.0.9", "https", "inner:11435")),
        ([(FOR, "10.0.0.1, 10.0.0.2")], ("10.0.0.1", "http", "inner:11435")),
        ([(PROTO, "http, https")], ("127.0.0.1", "https", "inner:11435")),  # a caller's, then the proxy's
        ([(FOR, f"{CALLER}, 10.0.0.2"), (PROTO, "https, http")], (CALLER, "https", "inner:11435")),
        ([(FOR, f"{CALLER}, 10.0.0.2"), (PROTO, "https")], (CALLER, "https", "inner:11435")),
        ([(FOR, "unknown"), (PROTO, "gopher"), (NAME, "a b")], ("127.0.0.1", "http", "inner:11435")),
        ([(NAME, "okr.example\x00evil")], ("127.0.0.1", "http", "inner:11435")),
        (
            [("forwarded", f'for="{CALLER}:4";proto=https;host="okr.example:8443"')],
            (CALLER, "https", "okr.example:8443"),
        ),
        (
            [("forwarded", f'for=evil;host="a,b", For={CALLER};Proto=HTTPS, for=10.0.0.3;proto=http')],
            (CALLER, "https", "inner:11435"),
        ),
        ([("forwarded", 'for="[2001:db8::1]"')], ("2001:db8::1", "http", "inner:11435")),
        ([("forwarded", "for=_hidden;proto=https"), (FOR, CALLER)], ("127.0.0.1", "https", "inner:11435")),
        ([], ("127.0.0.1", "http", "inner:11435")),
    ],
)
def test_what_a_named_proxy_says(headers: list[tuple[str, str]], found: tuple[str, str, str]) -> None:
    assert said(as_forwarded(request(*headers), NAMED)) == found


@pytest.mark.parametrize("proxies", [(), ("10.0.0.0/8",), ("127.0.0.2",)])
def test_no_other_proxy_is_believed(proxies: tuple[str, ...]) -> None:
    spoofed = request((FOR, CALLER), (PROTO, "https"), (NAME, "okr.example"), ("forwarded", f"for={CALLER}"))
    assert as_forwarded(spoofed, proxies) is spoofed


def test_proxies_are_addresses_and_networks() -> None:
    assert NETWORKS.parse(["127.0.0.1", " 10.1.2.3/8", "::1"]) == ("127.0.0.1", "10.0.0.0/8", "::1")
    for wrong in ("127.0.0.1", ["nginx"], ["10.0.0.0/33"], [1]):
        with pytest.raises(UnusableError):
            NETWORKS.parse(wrong)


@asynccontextmanager
async def proxy(upstream: str, *added: str) -> AsyncIterator[str]:
    """A small proxy that hands bytes on as they come, with headers added to the request."""
    port = int(upstream.rpartition(":")[2])

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", port)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            outer.write(head[:-2] + "".join(f"{line}\r\n" for line in added).encode() + b"\r\n")
            await asyncio.gather(pass_on(reader, outer), pass_on(inner, writer))
        finally:
            outer.close()

    async with listening(serve) as here:
        yield f"http://127.0.0.1:{here}"


async def name_proxies(harness: Harness, gateway: RunningGateway, **options: object) -> None:
    document = json.loads(harness.settings_file.read_text())
    document["okr-tui"]["gateway"] = options
    harness.settings_file.write_text(json.dumps(document))
    await gateway.service.reload()


@pytest.mark.parametrize("named", [True, False])
async def test_behind_a_proxy_with_tls(harness: Harness, gateway: RunningGateway, named: bool) -> None:
    await name_proxies(harness, gateway, proxies=["127.0.0.1"] if named else [], hosts=["okr.example"])
    added = (f"X-Forwarded-For: {CALLER}", "X-Forwarded-Proto: https", "X-Forwarded-Host: okr.example")
    once = httpx.Limits(max_keepalive_connections=0)  # the proxy reads one head only
    async with (
        proxy(gateway.url, *added) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, verify=False, limits=once) as client,
    ):
        token = {"authorization": f"Bearer {TOKEN}"}
        own = {**token, "origin": "https://okr.example"}
        foreign = {**token, "origin": "https://evil.example"}
        assert (await client.get("/api/version", headers=token)).status_code == 200
        assert (await client.get("/api/version", headers=foreign)).status_code == 403
        assert (await client.get("/api/version", headers=own)).status_code == (200 if named else 403)
        async with client.stream("POST", "/api/chat", headers=token, json=body("/api/chat")) as answer:
            lines = [json.loads(line) async for line in answer.aiter_lines()]
        assert lines[-1]["done"]
        assert len(lines) > 3
    assert {line["client"] for line in await gateway.logged(4)} == {CALLER if named else "127.0.0.1"}


async def test_the_host_that_a_proxy_names_has_to_be_known(harness: Harness, gateway: RunningGateway) -> None:
    await name_proxies(harness, gateway, proxies=["127.0.0.1"])
    token = {"authorization": f"Bearer {TOKEN}"}
    async with (
        proxy(gateway.url, "X-Forwarded-Host: rebound.example") as url,
        httpx.AsyncClient(base_url=url, trust_env=False, verify=False, headers=token) as client,
    ):
        assert (await client.get("/api/version")).status_code == 403
