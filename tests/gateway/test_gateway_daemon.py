"""The port for an `ollama` daemon: what this machine's daemon signed is served, all else is one 401."""

import base64
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pytest

from okr_tui.domain.keys import SecretStr
from okr_tui.gateway.app import Gateway
from okr_tui.gateway.daemon import HOST, WINDOW, DaemonGuard, identity_files
from tests.gateway.running_gateway import TOKEN, RunningGateway, ScriptedCloud, body, scripted_gateway, stream
from tests.gateway.samples import CLOSINGS, OPENINGS, PIECES
from tests.gateway.signing import VERSION, Daemon, opened
from tests.harness import MODEL, START, Harness


@pytest.fixture
def daemon() -> Daemon:
    """This machine's daemon."""
    return Daemon()


@pytest.fixture
def files(daemon: Daemon, tmp_path: Path) -> list[Path]:
    """Where its public key is."""
    return [daemon.write(identity_files({"HOME": str(tmp_path / "home")})[0])]


@pytest.fixture
async def port(gateway: RunningGateway, files: list[Path]) -> AsyncIterator[RunningGateway]:
    """The daemon's port before the simulated cloud."""
    async with opened(gateway, files) as made:
        yield made


async def refused(port: RunningGateway, *requests: httpx.Request) -> list[httpx.Response]:
    """The answers to requests, of which each has to be the same refusal."""
    found = [await port.client.send(request) for request in requests]
    assert {answer.status_code for answer in found} == {401}
    assert len({answer.content for answer in found}) == 1
    assert len({tuple(sorted(answer.headers.items())) for answer in found}) == 1
    return found


async def test_a_daemon_is_served(port: RunningGateway, daemon: Daemon) -> None:
    chat = daemon.request(port, "POST", "/api/chat", body("/api/chat"))
    answer = await port.client.send(chat, stream=True)
    lines = [line async for line in answer.aiter_lines()]
    assert answer.status_code == 200
    assert len(lines) > 2
    assert '"done":true' in lines[-1].replace(" ", "")

    show = await port.client.send(daemon.request(port, "POST", "/api/show", {"model": MODEL}))
    assert show.json()["capabilities"]
    tags = await port.client.send(daemon.request(port, "GET", "/api/tags"))
    assert MODEL in {model["name"] for model in tags.json()["models"]}
    one = await port.client.send(daemon.request(port, "GET", f"/v1/models/{MODEL}"))
    assert one.json()["id"] == MODEL
    path = "/v1/chat/completions"
    v1 = await port.client.send(daemon.request(port, "POST", path, body(path)))
    assert v1.text.endswith("data: [DONE]\n\n")
    paths = {"/api/chat", "/api/show", "/api/tags", f"/v1/models/{MODEL}", path}
    assert {line["path"] for line in await port.logged(5)} == paths
    assert not port.reported


@pytest.mark.parametrize("path", ["/okr/status", "/metrics"])
async def test_what_is_the_gateways_own_wants_a_signature_too(
    port: RunningGateway, daemon: Daemon, path: str
) -> None:
    assert (await port.client.send(daemon.request(port, "GET", path))).status_code == 200
    assert (await port.client.get(path)).status_code == 401


async def test_healthz_is_open(port: RunningGateway) -> None:
    assert (await port.client.get("/healthz")).json() == {"status": "ok"}


async def test_one_refusal_for_everything_that_the_daemon_did_not_sign(
    port: RunningGateway, daemon: Daemon
) -> None:
    path, fields = "/api/chat", body("/api/chat")
    good = daemon.request(port, "POST", path, fields).headers["authorization"]
    public, _, signature = good.partition(":")
    later = daemon.request(port, "POST", path, fields, at=START + 1).headers["authorization"]
    target = f"{path}?ts={int(START)}"

    def showing(text: str | bytes | None, target: str = target, **others: str) -> httpx.Request:
        headers: list[tuple[str, str | bytes]] = [*others.items()]
        headers += [] if text is None else [("authorization", text)]
        url = httpx.URL(port.url).copy_with(raw_path=target.encode())
        return port.client.build_request("POST", url, headers=headers, json=fields)  # type: ignore[arg-type]

    def signed(target: str) -> httpx.Request:
        return showing(daemon.signature(f"POST,{target}"), target)

    assert (await port.client.send(showing(good))).status_code == 200
    wrong = [
        showing(None),
        showing(""),
        showing(":"),
        showing(public),
        showing(f"{public}:"),
        showing(f":{signature}"),
        showing(f"Bearer {good}"),
        showing(f"Bearer {TOKEN}"),
        showing(None, **{"x-api-key": TOKEN}),
        showing(f"{public}:{'!' * 88}"),
        showing(f"{public}:{signature[:-4]}"),
        showing(f"{public}:{base64.b64encode(bytes(64)).decode()}"),
        showing(f"{public.swapcase()}:{signature}"),
        showing(b"\xe9:\xff"),
        showing(f"{public}:".encode() + b"\xff"),
        showing(Daemon().signature(f"POST,{target}"), target),
        showing(f"{public}:{Daemon().signature(f'POST,{target}').partition(':')[2]}"),
        showing(later),
        showing(daemon.signature(f"GET,{target}")),
        showing(daemon.signature(f"POST,/api/generate?ts={int(START)}")),
        showing(daemon.signature(f"POST,{path}")),
        showing(good, f"{target}&beta=true"),
        showing(good, f"/%61pi/chat?ts={int(START)}"),
        showing(good, path),
        signed(path),
        signed(f"{path}?beta=true"),
        signed(f"{path}?ts="),
        signed(f"{path}?ts=now"),
        signed(f"{path}?ts=-{int(START)}"),
        signed(f"{path}?ts={'9' * 5000}"),
        signed(f"{path}?ts={int(START)}&ts={int(START)}"),
        signed(f"{path}?ts={int(START - WINDOW) - 1}"),
        signed(f"{path}?ts={int(START + WINDOW) + 1}"),
    ]
    answers = await refused(port, *wrong)
    assert answers[0].json().keys() == {"error"}
    paths = [line["path"] for line in await port.logged(len(wrong) + 1)]
    assert sorted(filter(None, paths)) == [path]
    assert len(await port.settled(1)) == 1
    assert not port.reported


async def test_neither_token_nor_path_prefix_opens_this_port(port: RunningGateway, daemon: Daemon) -> None:
    prefixed = f"/{TOKEN}/api/version"
    assert (await port.client.get(prefixed)).status_code == 401
    assert (await port.client.send(daemon.request(port, "GET", prefixed))).status_code == 404


async def test_a_signature_lasts_a_few_minutes(
    harness: Harness, port: RunningGateway, daemon: Daemon
) -> None:
    request = daemon.request(port, "GET", "/api/version")
    await harness.clock.advance(WINDOW)
    assert (await port.client.send(request)).status_code == 200
    await harness.clock.advance(1)
    await refused(port, request)


async def test_two_requests_of_one_second_carry_one_signature(port: RunningGateway, daemon: Daemon) -> None:
    models = [MODEL, "gpt-oss:120b"]
    requests = [daemon.request(port, "POST", "/api/show", {"model": model}) for model in models]
    assert len({request.headers["authorization"] for request in requests}) == 1
    assert [(await port.client.send(request)).status_code for request in requests] == [200, 200]


@pytest.mark.parametrize("host", ["rebound.example", "10.0.0.1"])
async def test_foreign_host_names_stay_outside_even_signed(
    port: RunningGateway, daemon: Daemon, host: str
) -> None:
    request = daemon.request(port, "GET", "/api/tags")
    request.headers["host"] = host
    assert (await port.client.send(request)).status_code == 403


async def test_a_page_that_the_daemon_serves_comes_in_under_its_signature(
    port: RunningGateway, daemon: Daemon
) -> None:
    """The daemon passes on its caller's headers; no page can sign."""
    page = {"origin": "https://page.example", "sec-fetch-site": "cross-site"}
    request = daemon.request(port, "GET", "/api/tags")
    request.headers.update(page)
    assert (await port.client.send(request)).status_code == 200
    await refused(port, port.client.build_request("GET", "/api/tags", headers=page))


async def test_heads_have_the_same_bounds(port: RunningGateway, daemon: Daemon) -> None:
    request = daemon.request(port, "GET", "/api/tags")
    request.headers.update({f"x-{number}": "1" for number in range(120)})
    assert (await port.client.send(request)).status_code == 431


async def test_the_cloud_sees_neither_signature_nor_time_stamp(
    harness: Harness, daemon: Daemon, files: list[Path]
) -> None:
    path = "/v1/messages"
    script = ScriptedCloud(stream(*OPENINGS[path], *PIECES[path], *CLOSINGS[path]))
    async with scripted_gateway(harness, script) as gateway, opened(gateway, files) as port:
        query = "beta=true&foo=a%2Bb&zone=x"
        request = daemon.request(port, "POST", path, body(path), query=query)
        assert b"&ts=" in request.url.query
        answer = await port.client.send(request)
        assert answer.status_code == 200
        sent = await port.settled(1)
    (received,) = script.requests
    assert received.url.query == query
    assert received.headers["authorization"] == f"Bearer {harness.cloud.keys[0][0]}"
    assert received.headers["x-ollama-client-version"] == VERSION
    public, _, signature = request.headers["authorization"].partition(":")
    for text in (public, signature):
        assert text not in str(received.headers)
        assert text not in str(port.access)
        assert text not in str(sent)


async def test_fail_over_through_this_port(harness: Harness, port: RunningGateway, daemon: Daemon) -> None:
    await harness.fault("session", account="amber", times=None)
    answer = await port.client.send(daemon.request(port, "POST", "/api/chat", body("/api/chat")))
    assert answer.status_code == 200
    sent = await harness.sent()
    assert sent[0] == 1
    assert sent[-1] != 1
    assert [attempt.outcome for attempt in await port.settled(2)] == ["fault", "ok"]


async def test_one_gateway_serves_both_ports(
    gateway: RunningGateway, daemon: Daemon, files: list[Path]
) -> None:
    received: list[Mapping[str, object]] = []
    application = Gateway(
        gateway.service,
        SecretStr(TOKEN),
        HOST,
        status=dict,
        access=received.append,
        report=gateway.reported.append,
    )
    behind = application.behind(DaemonGuard.open(files, gateway.service.clock))
    bearer = {"authorization": f"Bearer {TOKEN}"}
    signed = daemon.request(gateway, "GET", "/metrics")
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url=gateway.url) as main,
        httpx.AsyncClient(transport=httpx.ASGITransport(behind), base_url=gateway.url) as second,
    ):
        assert (await main.send(signed)).status_code == 401
        assert (await second.get("/metrics", headers=bearer)).status_code == 401
        first = await main.get("/metrics", headers=bearer)
        assert (await second.send(signed)).text == first.text
    assert [line["status"] for line in received] == [401, 401, 200, 200]


async def test_a_service_of_this_machine_is_known_too(
    gateway: RunningGateway, files: list[Path], tmp_path: Path
) -> None:
    service = Daemon()
    both = [*files, service.write(tmp_path / "service" / ".ollama" / "id_ed25519.pub")]
    async with opened(gateway, both) as port:
        assert (await port.client.send(service.request(port, "GET", "/api/tags"))).status_code == 200
    async with opened(gateway, files) as port:
        await refused(port, service.request(port, "GET", "/api/tags"))
