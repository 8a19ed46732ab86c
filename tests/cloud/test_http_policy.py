"""One rule for every outgoing byte, on both stacks: proxies, passwords, cookies, redirects, sizes."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from okr_tui.cloud.aiohttp_transport import Transport
from okr_tui.cloud.client import Call, Cloud
from okr_tui.cloud.http_policy import DOCUMENT_LONGEST, UnusableProxyError, proxy_for, tls_context
from okr_tui.domain.errors import CloudError
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy

KEY = Key.of("a synthetic key text", "global")
OTHER = Key.of("another synthetic key text", "global")
BEARER = f"Bearer {KEY.secret.get_secret_value()}"
STACKS: dict[str, Callable[[], Transport | None]] = {"httpx": lambda: None, "aiohttp": Transport}
BOTH = pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@asynccontextmanager
async def recorder(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that gives one answer to everything; its address, and the heads it was sent."""
    heads: list[bytes] = []

    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answered, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads


def http(status: str, *headers: str, body: str = "{}") -> bytes:
    fields = "".join(f"{header}\r\n" for header in (*headers, "connection: close"))
    return f"HTTP/1.1 {status}\r\n{fields}content-length: {len(body)}\r\n\r\n{body}".encode()


async def exchanged(url: str, transport: Transport | None) -> int:
    """The status of a call and of a document, sent with a key."""
    async with Cloud(url, Policy(), transport=transport) as cloud:
        response = await cloud.send(Call("/api/chat", b"{}"), KEY)
        await response.aread()
        await response.aclose()
        await cloud.balance(KEY)
    return response.status_code


@BOTH
async def test_the_way_leads_through_the_proxy_and_takes_no_password_of_netrc(
    stack: Callable[[], Transport | None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with recorder(http("200 OK")) as (proxy, heads):
        monkeypatch.setenv("ALL_PROXY", proxy)
        assert await exchanged("http://cloud.example", stack()) == 200
    assert [head.split()[1] for head in heads] == [
        b"http://cloud.example/api/chat",
        b"http://cloud.example/api/balance",
    ]
    for head in heads:
        fields = [line for line in head.decode().split("\r\n") if "authorization" in line.lower()]
        assert [line.partition(": ")[2] for line in fields] == [BEARER]


@BOTH
async def test_no_redirect_is_followed(stack: Callable[[], Transport | None]) -> None:
    async with recorder(http("200 OK")) as (thief, stolen):
        async with recorder(http("307 Temporary Redirect", f"location: {thief}")) as (url, _):
            with pytest.raises(CloudError, match="redirects"):
                await exchanged(url, stack())
        assert stolen == []


@BOTH
async def test_a_proxy_of_another_kind_is_said_when_something_is_sent(
    stack: Callable[[], Transport | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://user:password@127.0.0.1:1")
    with pytest.raises(CloudError, match="socks5 proxies are not supported: set HTTPS_PROXY") as caught:
        await exchanged("http://cloud.example", stack())
    assert "password" not in str(caught.value)


@BOTH
async def test_what_one_key_is_answered_is_not_told_with_another(
    stack: Callable[[], Transport | None],
) -> None:
    answer = http("200 OK", "set-cookie: visitor=1; Path=/", body='{"id": "1"}')
    async with recorder(answer) as (url, heads), Cloud(url, Policy(), transport=stack()) as cloud:
        await cloud.identity(KEY)
        await cloud.identity(OTHER)
    assert len(heads) == 2
    assert not any(b"cookie" in head.lower() for head in heads)


async def test_a_document_is_read_up_to_a_bound() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(DOCUMENT_LONGEST // 65536 + 2):
            yield b" " * 65536
        raise AssertionError

    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=endless()))
    async with Cloud("https://cloud.example", Policy(), transport=transport) as cloud:
        with pytest.raises(CloudError, match="longer than 16 MB"):
            await cloud.balance(KEY)


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({}, "https://cloud.example", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://cloud.example", "http://p:1"),
        ({"HTTPS_PROXY": "p:1"}, "https://cloud.example", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "http://cloud.example", None),
        ({"HTTP_PROXY": "http://p:1", "ALL_PROXY": "http://q:1"}, "http://cloud.example", "http://p:1"),
        ({"ALL_PROXY": "http://q:1"}, "https://cloud.example", "http://q:1"),
        ({"ALL_PROXY": "http://q:1"}, "http://127.0.0.1:11434", None),
        ({"ALL_PROXY": "http://q:1"}, "http://[::1]:11434", None),
        ({"ALL_PROXY": "http://q:1", "NO_PROXY": "cloud.example"}, "https://cloud.example", None),
        ({"ALL_PROXY": "http://q:1", "NO_PROXY": "*"}, "https://cloud.example", None),
        ({"ALL_PROXY": "http://q:1", "NO_PROXY": "[::1],fd00::/8"}, "https://cloud.example", "http://q:1"),
    ],
)
def test_the_proxy_of_an_address(
    variables: dict[str, str], url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(httpx.URL(url)) == proxy


@pytest.mark.parametrize("proxy", ["socks5h://p:1", "http://p:port"])
def test_a_proxy_that_cannot_be_used_is_an_error(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(UnusableProxyError):
        proxy_for(httpx.URL("https://cloud.example"))


def test_certificates_are_checked_and_a_missing_file_of_them_stops_no_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tls_context.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    context = tls_context()
    tls_context.cache_clear()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.cert_store_stats()["x509"] == 0
    monkeypatch.delenv("SSL_CERT_FILE")
    assert tls_context().cert_store_stats()["x509"] > 0
