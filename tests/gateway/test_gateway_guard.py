"""Who gets in: token, host name, no web pages; known paths and methods; bounds on what is sent."""

import asyncio
import base64
import socket
from pathlib import Path

import httpx
import pytest
from starlette.types import Scope

from okr_tui.domain.keys import SecretStr
from okr_tui.domain.scrubber import Scrubber
from okr_tui.gateway.errors import FailureError
from okr_tui.gateway.guard import (
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_TARGET_BYTES,
    TokenGuard,
    cors_headers,
    matches,
    origin_form,
    plain_path,
    preflight,
)
from okr_tui.gateway.headers import head_of, request_headers, response_headers
from okr_tui.gateway.request import NO_CONTENT, request_query
from okr_tui.gateway.tokens import Caller, Tokens, add
from okr_tui.settings.table import GatewayOptions
from tests.gateway.running_gateway import TOKEN, RunningGateway, ScriptedCloud, body, scripted_gateway, stream
from tests.gateway.samples import CLOSINGS, OPENINGS, PIECES
from tests.harness import Harness
from tests.waiting import LIMIT

DIALECTS = ["/api/chat", "/v1/chat/completions", "/v1/messages"]


def bare(gateway: RunningGateway) -> httpx.AsyncClient:
    """A client without the token."""
    return httpx.AsyncClient(base_url=gateway.url, trust_env=False, verify=False, timeout=LIMIT)


@pytest.mark.parametrize(
    "headers",
    [{"authorization": f"Bearer {TOKEN}"}, {"authorization": f"bearer {TOKEN}"}, {"x-api-key": TOKEN}],
)
async def test_the_token_in_a_header(gateway: RunningGateway, headers: dict[str, str]) -> None:
    async with bare(gateway) as client:
        assert (await client.get("/api/version", headers=headers)).status_code == 200


async def test_the_token_as_first_segment(gateway: RunningGateway) -> None:
    async with bare(gateway) as client:
        assert (await client.get(f"/{TOKEN}/api/version")).status_code == 200
        assert (await client.head(f"/{TOKEN}")).status_code == 200
        assert (await client.get(f"/{TOKEN}/")).text == "Ollama is running"
        answer = await client.post(f"/{TOKEN}/v1/messages", json=body("/v1/messages"))
        assert b"message_stop" in answer.content
    assert all(TOKEN not in str(line) for line in await gateway.logged(4))


@pytest.mark.parametrize("path", [*DIALECTS, "/nowhere", "/metrics", "/okr/status", "/"])
async def test_one_answer_to_every_wrong_token(gateway: RunningGateway, path: str) -> None:
    offers = [b"Bearer " + TOKEN.encode() + b"x", TOKEN.encode(), b"Bearer", b""]
    wrong = [{}, {b"x-api-key": b"\xe9"}, *({b"authorization": offer} for offer in offers)]
    async with bare(gateway) as client:
        found = [await client.get(path, headers=headers) for headers in wrong]
        found.append(await client.get(f"/{TOKEN[:-1]}{path}"))
    assert {answer.status_code for answer in found} == {401}
    assert len({answer.content for answer in found}) == 1
    assert {answer.headers["www-authenticate"] for answer in found} == {"Bearer"}
    assert {line["path"] for line in await gateway.logged(7)} == {None}


@pytest.mark.parametrize("name", ["token", "key", "api_key", "x-api-key", "authorization", "access_token"])
async def test_a_token_in_the_query_or_a_cookie_opens_nothing(gateway: RunningGateway, name: str) -> None:
    async with bare(gateway) as client:
        for path in (
            f"/api/version?{name}={TOKEN}",
            f"/{TOKEN[:16]}/{TOKEN[16:]}/api/version",
            f"//{TOKEN}/api/me",
        ):
            assert (await client.get(path)).status_code == 401
        cookie = await client.get("/api/version", headers={"cookie": f"{name}={TOKEN}"})
    assert cookie.status_code == 401
    assert TOKEN not in str(gateway.access)


async def test_healthz_needs_no_token(gateway: RunningGateway) -> None:
    async with bare(gateway) as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_readyz_says_only_whether_the_pool_can_answer(gateway: RunningGateway) -> None:
    service = gateway.service
    async with bare(gateway) as client:
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
        for index in range(1, 5):
            await service.set_enabled(index, enabled=False)
        blocked = await client.get("/readyz")
        assert (blocked.status_code, blocked.json()) == (503, {"status": "blocked"})
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.post("/readyz")).status_code == 405
        await service.set_enabled(2, enabled=True)
        assert (await client.get("/readyz")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "rebound.example"},
        {"host": "rebound.example:11435"},
        {"host": "10.0.0.1"},
        {"host": "0.0.0.0"},
        {"host": "127.1"},
        {"host": "localhost.."},
        {"host": "localhost@rebound.example"},
        {"host": "localhost.rebound.example"},
        {"host": "rebound.localhost"},
        {"host": "[fe80::1%eth0]:1"},
        {"host": "gateway.internal"},
        {"origin": "https://page.example"},
        {"origin": "null"},
        {"origin": "http://localhost:3000"},
        {"origin": "https://127.0.0.1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none, cross-site"},
    ],
)
async def test_web_pages_stay_outside(gateway: RunningGateway, headers: dict[str, str]) -> None:
    answer = await gateway.client.get("/healthz", headers=headers)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_loopback_names_and_the_own_origin_may_enter(gateway: RunningGateway) -> None:
    port = httpx.URL(gateway.url).port
    odd = ("LOCALHOST.:1", "localhost:", "127.0.0.2", "[0:0:0:0:0:0:0:1]:1", "[::1%lo]:1")
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", "[::1]:1", *odd):
        assert (await gateway.client.get("/healthz", headers={"host": host})).status_code == 200
    own = {"host": f"localhost:{port}", "origin": f"http://localhost:{port}", "sec-fetch-site": "same-origin"}
    assert (await gateway.client.get("/healthz", headers=own)).status_code == 200


def test_an_exposed_gateway_answers_under_addresses_and_its_own_names() -> None:
    guard = TokenGuard(SecretStr(TOKEN), "0.0.0.0")
    names = ("host.docker.internal:1", "Gateway.docker.internal.", "nas.local.:1", socket.gethostname())
    for host in ("192.0.2.1:11435", "[2001:db8::1]:1", "[fe80::1%25eth0]:1", "[fe80::1%eth0]", *names):
        enter(guard, host)
    with pytest.raises(FailureError):
        enter(guard, "rebound.example")


def enter(guard: TokenGuard, host: str, *more: tuple[bytes, bytes], target: bytes = b"/healthz") -> None:
    raw = [(b"host", host.encode()), *more]
    path, _, query = target.partition(b"?")
    scope = {"path": path.decode(), "raw_path": path, "query_string": query, "headers": raw}
    guard.admit(scope, head_of(raw))


@pytest.mark.parametrize("value", ["Bearer {}", "bearer  {} ", "BEARER {}"])
def test_a_token_is_taken_whatever_the_spacing_and_case_of_its_scheme(value: str) -> None:
    guard = TokenGuard(SecretStr(TOKEN), "127.0.0.1")
    enter(guard, "localhost", (b"authorization", value.format(TOKEN).encode()), target=b"/api/chat")


@pytest.mark.parametrize("host", ["[::1]", "[::1]:11435", "LOCALHOST:1", "127.0.0.1", "localhost.:1"])
def test_a_loopback_name_may_be_without_a_port(host: str) -> None:
    enter(TokenGuard(SecretStr(TOKEN), "127.0.0.1"), host)


def test_the_own_origin_is_compared_without_case() -> None:
    guard = TokenGuard(SecretStr(TOKEN), "127.0.0.1")
    enter(guard, "localhost:1", (b"origin", b"HTTP://LocalHost:1"))
    with pytest.raises(FailureError):
        enter(guard, "localhost:1", (b"origin", b"HTTP://LocalHost:2"))


OWN = (b"origin", b"http://localhost:1")


@pytest.mark.parametrize(
    "headers",
    [
        [(b"origin", b"http://page.example"), OWN],
        [OWN, (b"origin", b"http://page.example")],
        [OWN, (b"origin", b"null")],
        [(b"origin", b"https://localhost:1")],
        [(b"origin", b"file://localhost:1")],
        [(b"origin", b"localhost:1")],
        [(b"sec-fetch-site", b"cross-site"), (b"sec-fetch-site", b"none")],
        [(b"sec-fetch-site", b"none"), (b"sec-fetch-site", b"Cross-Site")],
        [(b"sec-fetch-site", b"same-origin,cross-site")],
    ],
)
def test_every_header_that_names_a_page_is_checked(headers: list[tuple[bytes, bytes]]) -> None:
    assert refusal(TokenGuard(SecretStr(TOKEN), "127.0.0.1"), *headers, host="localhost:1") == 403


def test_the_own_page_may_say_so_twice() -> None:
    site = (b"sec-fetch-site", b"same-origin")
    assert (
        refusal(TokenGuard(SecretStr(TOKEN), "127.0.0.1"), OWN, OWN, site, site, host="localhost:1") is None
    )


def test_a_head_may_be_as_large_as_the_bounds_and_no_larger() -> None:
    guard = TokenGuard(SecretStr(TOKEN), "127.0.0.1")
    name = b"host" + b"localhost"
    for count, status in ((MAX_HEADERS - 1, None), (MAX_HEADERS, 431)):
        assert refusal(guard, *[(b"x", b"")] * count) == status
    for size, status in ((MAX_HEAD_BYTES - len(name) - 1, None), (MAX_HEAD_BYTES - len(name), 431)):
        assert refusal(guard, (b"x", b"y" * size)) == status
    for size, status in ((MAX_TARGET_BYTES - len(b"/healthz"), None), (MAX_TARGET_BYTES, 414)):
        assert refusal(guard, target=b"/healthz?" + b"q" * size) == status


def refusal(
    guard: TokenGuard, *more: tuple[bytes, bytes], target: bytes = b"/healthz", host: str = "localhost"
) -> int | None:
    """The status that a head is refused with, None where it is not."""
    try:
        enter(guard, host, *more, target=target)
    except FailureError as error:
        return error.failure.status
    return None


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/chat", 405),
        ("DELETE", "/v1/models/x", 405),
        ("OPTIONS", "/v1/messages", 405),
        ("GET", "/api/pull", 405),
        ("POST", "/api/balance", 405),
        ("GET", "/v1/models/x/y", 404),
        ("POST", "/v1/files", 404),
        ("POST", "//api/chats", 404),
    ],
)
async def test_known_paths_and_methods_only(
    gateway: RunningGateway, method: str, path: str, status: int
) -> None:
    url = httpx.URL(gateway.url).copy_with(raw_path=path.encode())
    answer = await gateway.client.request(method, url)
    assert answer.status_code == status
    assert ("allow" in answer.headers) is (status == 405)
    shape = answer.json()["error"]
    assert isinstance(shape, str if path.startswith(("/api", "//")) else dict)


async def test_a_head_that_never_ends_is_cut(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("okr_tui.gateway.connection.HEAD_SECONDS", 0.01)
    async with scripted_gateway(harness, ScriptedCloud()) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(gateway.url).port)
        writer.write(b"POST /api/chat HTTP/1.1\r\nhost: local")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()


async def test_heads_have_bounds(gateway: RunningGateway) -> None:
    many = {f"x-{number}": "1" for number in range(120)}
    assert (await gateway.client.get("/healthz", headers=many)).status_code == 431
    large = {"x-large": "x" * 70_000}
    assert (await gateway.client.get("/healthz", headers=large)).status_code in (400, 431)


async def test_the_cloud_sees_nothing_of_the_caller_but_its_request(harness: Harness) -> None:
    path = "/v1/messages"
    script = ScriptedCloud(stream(*OPENINGS[path], *PIECES[path], *CLOSINGS[path]))
    callers = {
        "cookie": "a=b",
        "x-forwarded-for": "192.0.2.7",
        "forwarded": "for=192.0.2.7",
        "via": "1.1 x",
        "x-api-key": TOKEN,
        "x-auth-token": "secret",
        "connection": "keep-alive, x-hop",
        "x-hop": "1",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "b",
    }
    async with scripted_gateway(harness, script) as gateway:
        query = {"beta": "true", "ts": "1"}
        answer = await gateway.client.post(path, params=query, json=body(path), headers=callers)
    assert answer.status_code == 200
    (requests,) = script.requests
    assert requests.url.query == "beta=true"
    sent = dict(requests.headers)
    assert sent["authorization"] == f"Bearer {harness.cloud.keys[0][0]}"
    assert sent["anthropic-version"] == "2023-06-01"
    assert sent["anthropic-beta"] == "b"
    assert not set(sent) & (set(callers) - {"anthropic-version", "anthropic-beta", "connection"})
    assert TOKEN not in str(requests.headers)
    assert sent["accept-encoding"] == "identity"


PRIVATE = (
    *(
        "authorization",
        "proxy-authorization",
        "cookie",
        "x-api-key",
        "api-key",
        "x-jwt",
        "x-key",
        "x-password",
    ),
    *(
        "x-credential",
        "x-litellm-key",
        "x-portkey-config",
        "remote-user",
        "from",
        "client-ip",
        "true-client-ip",
    ),
    *("x-real-ip", "x-forwarded-for", "forwarded", "via", "x-hostname", "openai-organization", "baggage"),
    *("openai-project", "range", "if-none-match", "x-http-method-override", "x-original-url", "traceparent"),
    *("user-agent", "referer", "origin", "host", "content-length", "content-encoding", "accept-encoding"),
    *("te", "upgrade", "expect", "sec-fetch-mode", "x-okr-tui-client", "anthropic-api-key", "anthropic-auth"),
    *("x-stainless-token", "x-anything", "x-odd-session-id"),
)
FORWARDED = (
    *("accept", "content-type", "openai-beta", "anthropic-version", "anthropic-beta", "x-stainless-lang"),
    *("x-session-id", "session_id", "x-claude-code-session-id", "idempotency-key", "x-client-request-id"),
)


def test_only_headers_on_the_list_go_to_the_cloud() -> None:
    raw = [(name.encode(), b"v") for name in (*PRIVATE, *FORWARDED)]
    assert request_headers(raw) == [(name.encode(), b"v") for name in FORWARDED]
    assert request_headers(
        [(b"Accept", b"x"), (b"Openai-Beta", b"y"), (b"Connection", b"close, OpenAI-Beta")]
    ) == [(b"accept", b"x")]


INSIDE = (
    *(
        "x-internal-host",
        "clear-site-data",
        "refresh",
        "link",
        "set-cookie",
        "location",
        "server",
        "via",
        "alt-svc",
    ),
    *(
        "strict-transport-security",
        "access-control-allow-origin",
        "content-encoding",
        "content-length",
        "date",
    ),
    *(
        "www-authenticate",
        "x-debug-authorization",
        "content-disposition",
        "cf-ray",
        "x-envoy-upstream",
        "etag",
    ),
    *("transfer-encoding", "keep-alive", "upgrade", "trailer"),
)
RETURNED = (
    *(
        "content-type",
        "retry-after",
        "x-request-id",
        "request-id",
        "x-should-retry",
        "x-ratelimit-limit-requests",
    ),
    *("x-ratelimit-max-concurrent", "anthropic-ratelimit-tokens-reset", "openai-processing-ms"),
)


def test_only_headers_on_the_list_come_back() -> None:
    none = Scrubber()
    raw = [(name.encode(), b"v") for name in (*INSIDE, *RETURNED)]
    assert response_headers(raw, none) == [(name.encode(), b"v") for name in RETURNED]
    hop = [(b"Connection", b"keep-alive, X-Request-Id"), (b"X-Request-ID", b"1"), (b"Request-Id", b"2")]
    assert response_headers(hop, none) == [(b"request-id", b"2")]


def test_headers_and_query_of_the_forwarded_request() -> None:
    assert request_headers(
        [(b"Accept", b"x"), (b"Proxy-Authorization", b"y"), (b"Sec-Fetch-Mode", b"z")]
    ) == [(b"accept", b"x")]
    assert request_query(b"ts=1") == ""
    assert request_query(b"a=1&ts=2&b=%20") == "a=1&b=%20"


def test_a_head_with_control_characters_is_refused() -> None:
    guard = TokenGuard(SecretStr(TOKEN), "127.0.0.1")
    assert refusal(guard, (b"x", b"a\x00b")) == 400
    assert refusal(guard, (b"x", b"a\tb")) is None


@pytest.mark.parametrize("value", [b"chunked", b""])
def test_a_request_whose_end_two_headers_state_is_refused(value: bytes) -> None:
    guard = TokenGuard(SecretStr(TOKEN), "127.0.0.1")
    both = [(b"content-length", b"3"), (b"transfer-encoding", value)]
    assert refusal(guard, *both) == 400
    assert [refusal(guard, each) for each in both] == [None, None]


@pytest.mark.parametrize(
    ("credentials", "enters"),
    [(f"{TOKEN}:", True), (f"ollama:{TOKEN}", True), (f"a:b{TOKEN}", False), (TOKEN[1:], False), ("", False)],
)
def test_a_token_may_be_the_user_or_the_password_of_an_address(credentials: str, enters: bool) -> None:
    guard = TokenGuard(SecretStr(TOKEN), "127.0.0.1")
    encoded = base64.b64encode(credentials.encode())
    found = refusal(guard, (b"authorization", b"Basic " + encoded), target=b"/api/chat")
    assert found == (None if enters else 401)


@pytest.mark.parametrize("encoded", [b"!!!", b"/w==", b"\xe9"])
def test_credentials_that_cannot_be_read_are_none(encoded: bytes) -> None:
    guard = TokenGuard(SecretStr(TOKEN), "127.0.0.1")
    assert refusal(guard, (b"authorization", b"Basic " + encoded), target=b"/api/chat") == 401


def test_a_named_token_names_the_caller(tmp_path: Path) -> None:
    given = add(tmp_path, Caller("laptop"), 0.0).get_secret_value()
    guard = TokenGuard(Tokens(tmp_path, Scrubber()), "127.0.0.1")
    raw = [(b"host", b"localhost"), (b"x-api-key", given.encode())]
    scope: Scope = {"path": "/api/chat", "raw_path": b"/api/chat", "query_string": b"", "headers": raw}
    guard.admit(scope, head_of(raw))
    assert scope["user"].name == "laptop"
    assert refusal(guard, (b"x-api-key", given[:-1].encode()), target=b"/api/chat") == 401


def test_a_request_to_a_whole_address_is_one_to_its_path_on_that_host() -> None:
    headers = [(b"host", b"other"), (b"x", b"1")]

    def given(target: bytes) -> tuple[bytes, str, list[tuple[bytes, bytes]]]:
        found = origin_form({"raw_path": target, "path": target.decode(), "headers": headers})
        return found["raw_path"], found["path"], found["headers"]

    sent = [(b"host", b"localhost:1"), (b"x", b"1")]
    assert given(b"HTTP://localhost:1/a%20b") == (b"/a%20b", "/a b", sent)
    assert given(b"http://localhost:1") == (b"/", "/", sent)
    assert given(b"/a") == (b"/a", "/a", headers)


@pytest.mark.parametrize(
    ("path", "plain"),
    [("/a/b", "/a/b"), ("/a/b/", "/a/b"), ("//a///b", "/a/b"), ("/", "/"), ("//", "/"), ("", "")],
)
def test_slashes_that_base_urls_add_do_not_count(path: str, plain: str) -> None:
    assert plain_path(path) == plain


LISTED = ("https://app.example", "http://*.lan:3000")


def listed() -> TokenGuard:
    """A guard that lets pages of some origins in."""
    return TokenGuard(SecretStr(TOKEN), "127.0.0.1", lambda: GatewayOptions(origins=LISTED))


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (b"https://app.example", None),
        (b"HTTPS://App.Example", None),
        (b"http://desk.lan:3000", None),
        (b"http://app.example", 403),
        (b"https://app.example.evil", 403),
        (b"http://desk.lan:3001", 403),
    ],
)
def test_pages_of_listed_origins_may_enter_from_another_site(origin: bytes, status: int | None) -> None:
    site = (b"sec-fetch-site", b"cross-site")
    assert refusal(listed(), (b"origin", origin), site) == status


def test_a_listed_origin_does_not_vouch_for_another() -> None:
    other = (b"origin", b"https://page.example")
    assert refusal(listed(), (b"origin", LISTED[0].encode()), other) == 403


@pytest.mark.parametrize(
    ("text", "found"), [("a.lan", True), ("lan", False), ("", False), ("a\n.lan", False), ("ä.lan", False)]
)
def test_a_pattern_matches_plain_text_only(text: str, found: bool) -> None:
    assert matches(text, ["*.lan"]) is found
    assert matches(text, ["*"]) is (text in ("a.lan", "lan"))


def test_an_answer_names_the_origin_that_may_read_it() -> None:
    assert cors_headers("https://app.example") == [
        (b"access-control-allow-origin", b"https://app.example"),
        (b"access-control-expose-headers", b"*"),
        (b"vary", b"origin"),
    ]


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ({}, "authorization, *"),
        ({"access-control-request-headers": "x-a, x-b"}, "x-a, x-b"),
        ({"access-control-request-headers": "x-a, x-b\r\nx: y"}, "authorization, *"),
    ],
)
def test_a_preflight_allows_the_headers_that_are_asked_for(asked: dict[str, str], allowed: str) -> None:
    answer = preflight(asked)
    found = dict(answer.headers)
    assert answer.status == NO_CONTENT
    assert found[b"access-control-allow-headers"] == allowed.encode()
    assert found[b"access-control-allow-methods"] == b"GET, HEAD, POST"
    assert b"access-control-allow-private-network" not in found


@pytest.mark.parametrize(("asked", "reported"), [("true", b"true"), ("false", None)])
def test_a_page_of_the_web_may_reach_a_private_network_if_it_asks(asked: str, reported: bytes | None) -> None:
    answer = preflight({"access-control-request-private-network": asked})
    assert dict(answer.headers).get(b"access-control-allow-private-network") == reported


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("HEAD", "/", None), ("GET", "/", 401), ("HEAD", "/api/chat", 401), ("HEAD", "//", 401),
     ("GET", "/healthz", None), ("GET", "//readyz/", None)],
)  # fmt: skip
def test_without_a_token_only_signs_of_life_are_answered(method: str, path: str, status: int | None) -> None:
    raw = [(b"host", b"localhost")]
    scope: Scope = {
        "method": method, "path": path, "raw_path": path.encode(), "query_string": b"", "headers": raw
    }  # fmt: skip
    guard = TokenGuard(SecretStr(TOKEN), "127.0.0.1")
    if status is None:
        assert guard.admit(scope, head_of(raw)) == path
    else:
        with pytest.raises(FailureError) as refused:
            guard.admit(scope, head_of(raw))
        assert refused.value.failure.status == status
