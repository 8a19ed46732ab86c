"""The client of the cloud: who gets a key, what comes back as a fault, what is never followed."""

from collections.abc import Mapping

import httpx
import pytest

from okr_tui.cloud.client import Call, Cloud
from okr_tui.domain.errors import CloudError
from okr_tui.domain.faults import FaultKind
from okr_tui.domain.keys import Key
from okr_tui.domain.models import Model
from okr_tui.domain.policy import Policy

KEY = Key.of("a synthetic key text", "global")
URL = "https://cloud.example"


def cloud(*answers: httpx.Response, heard: list[httpx.Request] | None = None) -> Cloud:
    following = iter(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        if heard is not None:
            heard.append(request)
        return next(following)

    return Cloud(URL, Policy(), transport=httpx.MockTransport(handle))


async def test_only_authenticated_endpoints_are_sent_the_key() -> None:
    heard: list[httpx.Request] = []
    answers = [{"models": []}, {"capabilities": []}, {"included": {}}, {"ID": "1", "Plan": "pro"}]
    async with cloud(*(httpx.Response(200, json=answer) for answer in answers), heard=heard) as client:
        await client.models()
        await client.details(Model("gpt-oss:20b"))
        await client.balance(KEY)
        await client.identity(KEY)
    sent = {request.url.path: request.headers.get("authorization") for request in heard}
    bearer = f"Bearer {KEY.secret.get_secret_value()}"
    assert sent == {"/api/tags": None, "/api/show": None, "/api/balance": bearer, "/api/me": bearer}


async def test_a_page_on_the_way_is_not_a_clock() -> None:
    noted: list[Mapping[str, str]] = []
    date = {"date": "Wed, 01 Jan 2025 00:00:00 GMT"}
    answers = [httpx.Response(200, html="<html>", headers=date), httpx.Response(200, json={}, headers=date)]
    transport = httpx.MockTransport(lambda _: answers.pop(0))
    async with Cloud(URL, Policy(), transport=transport, on_headers=noted.append) as client:
        with pytest.raises(CloudError):
            await client.balance(KEY)
        assert noted == []
        await client.balance(KEY)
    assert [headers["date"] for headers in noted] == [date["date"]]


async def test_a_redirect_is_a_fault_and_is_not_followed() -> None:
    heard: list[httpx.Request] = []
    answer = httpx.Response(302, headers={"location": "https://thief.example/api/balance"})
    async with cloud(answer, heard=heard) as client:
        with pytest.raises(CloudError, match="redirects"):
            await client.balance(KEY)
    assert [request.url.host for request in heard] == ["cloud.example"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(200, html="<html>"), FaultKind.PATH),
        (httpx.Response(200, json=[]), FaultKind.TRANSIENT),
        (httpx.Response(200, json={"ID": "", "Plan": ""}), FaultKind.TRANSIENT),
        (httpx.Response(401, json={"error": "invalid credentials"}), FaultKind.UNAUTHORIZED),
        (httpx.Response(429, json={"error": "rate limit exceeded"}), FaultKind.SLOWED),
    ],
)
async def test_an_identity_that_cannot_be_read_is_a_fault(answer: httpx.Response, kind: FaultKind) -> None:
    async with cloud(answer) as client:
        with pytest.raises(CloudError) as caught:
            await client.identity(KEY)
    assert caught.value.fault.kind is kind


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError("secret address"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x")],
)
async def test_no_answer_is_a_passing_fault_in_our_own_words(error: httpx.HTTPError) -> None:
    def handle(_request: httpx.Request) -> httpx.Response:
        raise error

    async with Cloud(URL, Policy(), transport=httpx.MockTransport(handle)) as client:
        with pytest.raises(CloudError) as caught:
            await client.send(Call("/api/chat", b"{}"), KEY)
    assert caught.value.fault.kind is FaultKind.TRANSIENT
    assert "secret" not in str(caught.value)


async def test_a_list_of_odd_entries_keeps_what_can_be_read() -> None:
    odd = [{"name": "a"}, {"model": "b", "size": "7"}, {"name": 3}, None, {"name": "a"}, {"name": ""}]
    async with cloud(httpx.Response(200, json={"models": odd})) as client:
        found = await client.models()
    assert [(model.id, model.size) for model in found.models] == [("a", None), ("b", 7)]


async def test_what_the_cloud_does_not_say_stays_unknown() -> None:
    shown = {"details": {"parameter_size": "0"}, "model_info": {"x.context_length": 0}}
    async with cloud(httpx.Response(200, json=shown)) as client:
        model = await client.details(Model("a"))
    assert (model.parameters, model.context_length, model.capabilities) == (None, None, None)
