"""One rule for every outgoing byte, on both stacks: proxies, certificates, cookies, causes, sizes."""

import asyncio
import base64
import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from okr_tui.cloud import client as client_module
from okr_tui.cloud import http_policy
from okr_tui.cloud.aiohttp_transport import Transport
from okr_tui.cloud.client import Call, Cloud
from okr_tui.cloud.http_policy import HttpxTransport, client_options
from okr_tui.cloud.network import Network
from okr_tui.domain.errors import CloudError
from okr_tui.domain.faults import ConnectionFailure, Fault, FaultKind
from okr_tui.domain.keys import Key
from okr_tui.domain.models import Model
from okr_tui.domain.policy import Policy
from tests.cloud.network_servers import answering, certificate, connect_proxy, http, socks_proxy
from tests.loopback import Reader, Writer, listening
from tests.waiting import let_pass

KEY = Key.of("a synthetic key text", "global")
OTHER = Key.of("another synthetic key text", "global")
BEARER = f"Bearer {KEY.secret.get_secret_value()}"
ME = http("200 OK", "set-cookie: visitor=1; Path=/", body=b'{"id": "1"}')
Stack = Callable[[Network], httpx.AsyncBaseTransport]
STACKS: dict[str, Stack] = {"httpx": HttpxTransport, "aiohttp": Transport}
TWO_LENGTHS = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"
BOTH = pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)


def cloud(url: str, stack: Stack, **environment: str) -> Cloud:
    return cloud_with(Policy(), url, stack, **environment)


def cloud_with(policy: Policy, url: str, stack: Stack, **environment: str) -> Cloud:
    network = Network(environment)
    return Cloud(url, policy, transport=stack(network), network=network)


async def exchanged(client: Cloud) -> bytes:
    """The body of a call, sent with a key after a document was."""
    async with client:
        await client.identity(KEY)
        response = await client.send(Call("/api/chat", b"{}"), KEY)
        assert response.status_code == 200
        assert isinstance(response.stream, httpx.AsyncByteStream)
        body = b"".join([chunk async for chunk in response.stream])
        await response.aclose()
    return body


async def fault_of(client: Cloud) -> Fault:
    """The fault of a call and of a document, which agree."""
    async with client:
        with pytest.raises(CloudError) as document:
            await client.identity(KEY)
        with pytest.raises(CloudError) as call:
            await client.send(Call("/api/chat", b"{}"), KEY)
    assert call.value.fault == document.value.fault
    assert call.value.fault.text in str(call.value)
    return call.value.fault


@BOTH
async def test_the_way_leads_through_the_proxy_and_takes_no_password_of_netrc(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    heads: list[bytes] = []
    async with listening(answering(ME, heads)) as port:
        await exchanged(cloud("http://cloud.example", stack, ALL_PROXY=f"http://127.0.0.1:{port}"))
    assert [head.split()[1] for head in heads] == [
        b"http://cloud.example/api/me",
        b"http://cloud.example/api/chat",
    ]
    for head in heads:
        fields = [line for line in head.decode().split("\r\n") if "authorization" in line.lower()]
        assert [line.partition(": ")[2] for line in fields] == [BEARER]


@BOTH
async def test_a_proxy_that_is_encrypted_itself_has_its_certificate_checked(
    stack: Stack, tmp_path: Path
) -> None:
    file, context = certificate(tmp_path, "localhost", "127.0.0.1")
    async with listening(answering(ME), context) as port:
        address = f"https://127.0.0.1:{port}"
        await exchanged(cloud("http://cloud.example", stack, ALL_PROXY=address, SSL_CERT_FILE=str(file)))
        fault = await fault_of(cloud("http://cloud.example", stack, ALL_PROXY=address))
    assert fault.connection is ConnectionFailure.CERTIFICATE


def test_aiohttp_reads_no_certificates_of_its_own() -> None:
    code = """
import ssl
import subprocess
import sys
reads = ssl.SSLContext.set_default_verify_paths
import okr_tui.cloud.aiohttp_transport, aiohttp.connector
assert aiohttp.connector._SSL_CONTEXT_VERIFIED.cert_store_stats()["x509"] == 0
assert aiohttp.connector._SSL_CONTEXT_VERIFIED.verify_mode is ssl.CERT_REQUIRED
assert ssl.SSLContext.set_default_verify_paths is reads
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@BOTH
@pytest.mark.parametrize("kind", ["http", "socks5"])
async def test_a_proxy_leads_to_an_encrypted_cloud_whose_certificate_is_checked(
    kind: str, stack: Stack, tmp_path: Path
) -> None:
    file, context = certificate(tmp_path, "cloud.example")
    asked: list[str] = []
    make = connect_proxy if kind == "http" else socks_proxy
    if kind == "socks5":
        pytest.importorskip("socksio", reason="pip install 'okr-tui[socks]'")
    async with listening(answering(ME), context) as port, listening(make(asked, port)) as proxy:
        address = f"{kind}://127.0.0.1:{proxy}"
        way = {"ALL_PROXY": address, "SSL_CERT_FILE": str(file)}
        await exchanged(cloud("https://cloud.example", stack, **way))
        assert asked
        assert all("cloud.example:443" in line for line in asked)
        fault = await fault_of(cloud("https://other.example", stack, **way))
        assert fault.connection is ConnectionFailure.CERTIFICATE
        fault = await fault_of(cloud("https://cloud.example", stack, ALL_PROXY=address))
    assert fault.connection is ConnectionFailure.CERTIFICATE
    assert fault.text.startswith("certificate not trusted: ")
    assert "set SSL_CERT_FILE" in fault.text


@BOTH
@pytest.mark.parametrize(("days", "words"), [(1, None), (-1, "expired; check the date of this machine")])
async def test_a_certificate_of_ones_own_is_trusted_on_this_machine_too(
    days: int, words: str | None, stack: Stack, tmp_path: Path
) -> None:
    file, context = certificate(tmp_path, "localhost", "127.0.0.1", days=days)
    async with listening(answering(ME), context) as port:
        client = cloud(f"https://127.0.0.1:{port}", stack, SSL_CERT_FILE=str(file))
        if words is None:
            await exchanged(client)
        else:
            assert words in (await fault_of(client)).text


@BOTH
@pytest.mark.parametrize(
    ("environment", "cause", "words"),
    [
        ({"ALL_PROXY": "socks4://user:secret@127.0.0.1:1"}, "proxy", "ALL_PROXY cannot be used: socks4"),
        ({"SSL_CERT_FILE": "/missing/ca.pem"}, "certificate", "SSL_CERT_FILE=/missing/ca.pem cannot be used"),
        (
            {"HTTPS_PROXY": "http://amber:secret@127.0.0.1:1"},
            "proxy",
            "refused by the proxy http://127.0.0.1:1",
        ),
    ],
)
async def test_an_environment_that_leads_nowhere_is_the_cause(
    environment: dict[str, str], cause: str, words: str, stack: Stack
) -> None:
    fault = await fault_of(cloud("https://cloud.example", stack, **environment))
    assert fault.kind is FaultKind.TRANSIENT
    assert (fault.connection, "secret" in fault.text) == (cause, False)
    assert words in fault.text


@BOTH
async def test_a_proxy_that_refuses_is_the_cause(stack: Stack) -> None:
    for status, words in (
        ("407 No", "asks for a user name"),
        ("403 Forbidden", "refused to connect: HTTP 403"),
    ):
        refusal = http(status, "connection: close", body=b"")
        async with listening(connect_proxy([], 0, refusal)) as port:
            address = f"http://amber:secret@127.0.0.1:{port}"
            fault = await fault_of(cloud("https://cloud.example", stack, HTTPS_PROXY=address))
        assert fault.connection is ConnectionFailure.PROXY
        assert fault.text.startswith(f"the proxy http://127.0.0.1:{port} (HTTPS_PROXY) ")
        assert words in fault.text


@BOTH
async def test_a_proxy_that_speaks_no_http_is_named_once(stack: Stack) -> None:
    async with listening(connect_proxy([], 0, b"\x05\xff\r\n\r\n")) as port:
        fault = await fault_of(cloud("https://cloud.example", stack, HTTPS_PROXY=f"http://127.0.0.1:{port}"))
    words = f"the answer of the proxy http://127.0.0.1:{port} (HTTPS_PROXY) is not valid HTTP"
    assert fault.text == f"{words}; check the address"


@BOTH
async def test_a_proxys_password_goes_to_the_proxy_alone(stack: Stack, tmp_path: Path) -> None:
    file, context = certificate(tmp_path, "cloud.example")
    asked: list[str] = []
    heads: list[bytes] = []
    async with (
        listening(answering(ME, heads), context) as port,
        listening(connect_proxy(asked, port)) as proxy,
    ):
        address = f"http://amber:pass%40word@127.0.0.1:{proxy}"
        await exchanged(cloud("https://cloud.example", stack, ALL_PROXY=address, SSL_CERT_FILE=str(file)))
    basic = base64.b64encode(b"amber:pass@word").decode()
    for head in asked:
        assert f"proxy-authorization: basic {basic}".lower() in head.lower()
        assert KEY.secret.get_secret_value() not in head
    assert len(heads) == 2
    assert not any(b"proxy-" in head.lower() for head in heads)


@BOTH
async def test_a_refused_connection_names_the_address(stack: Stack) -> None:
    async with listening(answering(ME)) as port:
        pass
    fault = await fault_of(cloud(f"http://127.0.0.1:{port}", stack))
    assert fault.connection is ConnectionFailure.REFUSED
    assert fault.text == f"connection refused by 127.0.0.1:{port}; check that a server listens there"


@BOTH
async def test_a_name_that_is_not_found_names_the_host(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    fault = await fault_of(cloud("https://cloud.example", stack))
    assert fault.connection is ConnectionFailure.NAME
    assert fault.text == "name not found: cloud.example; check the address and the network"


@BOTH
@pytest.mark.parametrize("hanging", ["name", "handshake", "proxy", "answer"])
async def test_whatever_hangs_is_given_up_in_time(
    hanging: str, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    policy = Policy(connect=0.2, idle=0.2)
    monkeypatch.setattr(http_policy, "DOCUMENT_SECONDS", 0.5)
    if hanging == "name":
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    async with listening(never) as port:
        url = f"{'http' if hanging == 'answer' else 'https'}://127.0.0.1:{port}"
        if hanging in ("name", "proxy"):
            url = "https://cloud.example"
        environment = {"HTTPS_PROXY": f"http://127.0.0.1:{port}"} if hanging == "proxy" else {}
        network = Network(environment)
        fault = await fault_of(Cloud(url, policy, transport=stack(network), network=network))
    if hanging == "proxy":
        assert fault.text.startswith(("no connection to the proxy", "no answer from cloud.example in time, "))
        assert f"the proxy http://127.0.0.1:{port} (HTTPS_PROXY)" in fault.text
        assert fault.connection in (ConnectionFailure.PROXY, ConnectionFailure.TIMEOUT)
    else:
        start = "no answer from " if hanging == "answer" else "no connection to "
        assert fault.text.startswith(start)
        assert fault.connection is ConnectionFailure.TIMEOUT


@BOTH
@pytest.mark.parametrize("value", [b"x\r\nauthorization: Bearer y", b"x\ny", b"x\x00"])
async def test_a_header_of_more_than_one_line_is_not_sent(value: bytes, stack: Stack) -> None:
    heads: list[bytes] = []
    async with listening(answering(ME, heads)) as port, cloud(f"http://127.0.0.1:{port}", stack) as client:
        with pytest.raises(CloudError):
            await client.send(Call("/api/chat", b"{}", headers=[(b"accept", value)]), KEY)
        await client.send(Call("/api/chat", b"{}", headers=[(b"accept", b"x")]), KEY)
    assert len(heads) == 1


@BOTH
@pytest.mark.parametrize("size", [0, 100, 1024 * 1024])
async def test_a_call_of_any_size_arrives_whole(size: int, stack: Stack) -> None:
    """A small one goes the short way on aiohttp, a large one in pieces."""
    came: list[bytes] = []

    async def serve(reader: Reader, writer: Writer) -> None:
        came.append(await reader.readuntil(b"\r\n\r\n"))
        came.append(await reader.readexactly(size))
        writer.write(ME)
        await writer.drain()

    async with listening(serve) as port, cloud(f"http://127.0.0.1:{port}", stack) as client:
        response = await client.send(Call("/api/chat", b"x" * size, query="a=%20b"), KEY)
        assert response.status_code == 200
        await response.aclose()
    line, *lines = came[0].decode().lower().removesuffix("\r\n\r\n").split("\r\n")
    assert line == "post /api/chat?a=%20b http/1.1"
    assert sorted(name for name, _, _ in (each.partition(": ") for each in lines)) == [
        "accept",
        "accept-encoding",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "user-agent",
    ]
    assert f"content-length: {size}" in lines
    assert came[1] == b"x" * size


@BOTH
async def test_an_answer_may_take_long_but_not_stand_still(stack: Stack) -> None:
    """Each piece renews the patience, which is that of this request and not of a longer one before it."""

    async def dripping(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(ME)
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
        for _ in range(6):
            writer.write(b".")
            await let_pass(0.1)
        await asyncio.Event().wait()

    pieces: list[bytes] = []

    async def read(response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        async for piece in response.stream:
            pieces.append(piece)

    async with (
        listening(dripping) as port,
        cloud_with(Policy(idle=0.4, document=60), f"http://127.0.0.1:{port}", stack) as client,
    ):
        whole = await client.send(Call("/api/chat", b"{}", streams=False), KEY)
        await read(whole)
        await whole.aclose()
        response = await client.send(Call("/api/chat", b"{}"), KEY)
        with pytest.raises(httpx.ReadTimeout):
            await read(response)
        await response.aclose()
    assert b"".join(pieces) == b'{"id": "1"}......'


@BOTH
async def test_a_server_that_speaks_no_tls_is_the_cause(stack: Stack) -> None:
    async def plain(_reader: Reader, writer: Writer) -> None:
        writer.write(http("400 Bad Request"))
        await writer.drain()

    async with listening(plain) as port:
        fault = await fault_of(cloud(f"https://127.0.0.1:{port}", stack))
    assert fault.connection is ConnectionFailure.TLS
    assert "is that an https server?" in fault.text


@BOTH
@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH_9\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n", TWO_LENGTHS]
)
async def test_what_is_not_http_is_not_called_cut(answer: bytes, stack: Stack) -> None:
    async def other(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    async with listening(other) as port:
        fault = await fault_of(cloud(f"http://127.0.0.1:{port}", stack))
    assert fault.connection is ConnectionFailure.UNREADABLE
    assert fault.text == f"the answer of 127.0.0.1:{port} is not valid HTTP; check the address"


@BOTH
async def test_a_cut_connection_is_the_cause_and_is_not_tried_again(stack: Stack) -> None:
    heads: list[bytes] = []

    async def cut(reader: Reader, _writer: Writer) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))

    async with listening(cut) as port:
        fault = await fault_of(cloud(f"http://127.0.0.1:{port}", stack))
    assert fault.connection is ConnectionFailure.CUT
    assert len(heads) == 2


@BOTH
async def test_a_document_that_takes_too_long_is_given_up_however_steadily_it_comes(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "DOCUMENT_SECONDS", 0.2)

    async def dripping(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await let_pass(0.01)

    async with listening(dripping) as port, cloud(f"http://127.0.0.1:{port}", stack) as client:
        with pytest.raises(CloudError, match=r"no answer from 127\.0\.0\.1 in time") as caught:
            await client.identity(KEY)
    assert caught.value.fault.connection is ConnectionFailure.TIMEOUT


@BOTH
async def test_no_redirect_is_followed(stack: Stack) -> None:
    stolen: list[bytes] = []
    async with AsyncExitStack() as servers:
        thief = await servers.enter_async_context(listening(answering(ME, stolen)))
        answer = http("307 Temporary Redirect", f"location: http://127.0.0.1:{thief}")
        port = await servers.enter_async_context(listening(answering(answer)))
        async with cloud(f"http://127.0.0.1:{port}", stack) as client:
            with pytest.raises(CloudError, match="redirects"):
                await client.identity(KEY)
            assert (await client.send(Call("/api/chat", b"{}"), KEY)).status_code == 307
    assert stolen == []


@BOTH
async def test_an_answer_to_one_key_is_not_given_to_another(stack: Stack) -> None:
    """Under a name, as aiohttp's own jar takes no cookie of a bare address."""
    heads: list[bytes] = []
    async with (
        listening(answering(ME, heads)) as port,
        cloud("http://cloud.example", stack, ALL_PROXY=f"http://127.0.0.1:{port}") as client,
    ):
        await client.identity(KEY)
        await client.identity(OTHER)
        await client.send(Call("/api/chat", b"{}"), OTHER)
    assert len(heads) == 3
    assert not any(b"cookie" in head.lower() for head in heads)


@BOTH
@pytest.mark.parametrize(("idle", "soon"), [(True, True), (False, True), (True, False)])
async def test_a_connection_that_was_closed_while_idle_costs_no_fault(
    idle: bool, soon: bool, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server cuts each connection at its second request.

    Only one that was idle is excused, and only at once: a server that had the request for a while may have
    charged for it.
    """
    monkeypatch.setattr(http_policy, "STALE_AFTER", 0.0 if idle else 60.0)
    monkeypatch.setattr(http_policy, "SHOWN_WITHIN", 60.0 if soon else 0.0)
    received = 0

    async def forgetful(reader: Reader, writer: Writer) -> None:
        nonlocal received
        for last in (False, True):
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2 if b"/api/chat" in head else 0)
            received += 1
            if last:
                return
            writer.write(ME)
            await writer.drain()

    async with listening(forgetful) as port:
        client = cloud(f"http://127.0.0.1:{port}", stack)
        if idle and soon:
            await exchanged(client)
            assert received == 3
        else:
            with pytest.raises(CloudError) as caught:
                await exchanged(client)
            assert caught.value.fault.connection is ConnectionFailure.CUT
            assert received == 2


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate, gzip": lambda data: gzip.compress(zlib.compress(data)),
}


@BOTH
@pytest.mark.parametrize("encoding", COMPRESSED)
async def test_an_answer_that_comes_compressed_all_the_same_is_read(encoding: str, stack: Stack) -> None:
    heads: list[bytes] = []
    pack = COMPRESSED[encoding]
    answer = http("200 OK", f"content-encoding: {encoding}", body=pack(b'{"id": "1"}'))
    async with listening(answering(answer, heads)) as port:
        assert await exchanged(cloud(f"http://127.0.0.1:{port}", stack)) == b'{"id": "1"}'
    assert all(b"accept-encoding: identity" in head.lower() for head in heads)
    limit = json.dumps({"error": "you have reached your weekly usage limit"}).encode()
    answer = http("429 Too Many", f"content-encoding: {encoding}", body=pack(limit))
    async with listening(answering(answer)) as port, cloud(f"http://127.0.0.1:{port}", stack) as client:
        with pytest.raises(CloudError) as caught:
            await client.identity(KEY)
    assert (caught.value.fault.kind, caught.value.fault.window) == (FaultKind.SPENT, "weekly")


@BOTH
@pytest.mark.parametrize(
    ("endpoint", "most"), [(Cloud.models, 8), (lambda c: c.identity(KEY), 1), (lambda c: c.show(b"{}"), 1)]
)
@pytest.mark.parametrize("packed", [True, False])
async def test_a_document_is_read_up_to_a_bound(
    endpoint: Callable[[Cloud], Any], most: int, packed: bool, stack: Stack
) -> None:
    body = b" " * (64 if packed else 9) * 1024 * 1024
    headers = ["content-encoding: gzip"] if packed else []
    answer = http("200 OK", *headers, body=gzip.compress(body) if packed else body)
    async with listening(answering(answer)) as port, cloud(f"http://127.0.0.1:{port}", stack) as client:
        with pytest.raises(CloudError, match=f"longer than {most} MB"):
            await endpoint(client)


async def test_an_endless_document_is_left_at_its_bound() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1024 * 1024 // 65536 + 2):
            yield b" " * 65536
        raise AssertionError

    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=endless()))
    async with Cloud("https://cloud.example", Policy(), transport=transport) as client:
        with pytest.raises(CloudError, match="longer than 1 MB"):
            await client.details(Model("a"))


def test_other_clients_get_the_same_rules() -> None:
    network = Network({"HTTPS_PROXY": "http://p:1", "ALL_PROXY": "http://q:1"})
    options = client_options(network, "https://tools.example/mcp")
    assert (options["proxy"], options["trust_env"], options["follow_redirects"]) == (
        "http://p:1",
        False,
        False,
    )
    assert options["verify"] is network.certificates.context
    assert client_options(network, "http://127.0.0.1:1/mcp")["proxy"] is None
