"""Windows fill and reset, credits fall and refill, slots limit, keys and accounts are blocked."""

import asyncio

import httpx
import pytest

from tests.demo.cloud_client import CloudClient, ServeCloud
from tests.waiting import LIMIT


async def used(client: CloudClient, name: str) -> dict[str, float]:
    """Percent used of every window of an account."""
    accounts = (await client.client.get("/_demo/state")).json()["accounts"]
    windows: dict[str, float] = next(account["used"] for account in accounts if account["name"] == name)
    return windows


async def test_window_fills_with_use_refuses_when_full_and_resets_on_its_grid(
    serve_scenario: ServeCloud,
) -> None:
    async with serve_scenario("day") as client:
        before = await used(client, "birch")
        assert (await client.chat("birch 1")).status_code == 200
        after = await used(client, "birch")
        assert after["session"] > before["session"]
        assert after["weekly"] > before["weekly"]
        while (response := await client.chat("birch 1")).status_code == 200:
            pass
        assert "you (birch) have reached your session usage limit" in response.json()["error"]
        assert (await client.get("/api/balance", "birch 1")).json()["included"]["session"][
            "remaining_percent"
        ] == 0
        client.clock.now += 59.9
        assert (await client.chat("birch 1")).status_code == 429
        client.clock.now += 0.1
        assert (await client.chat("birch 1")).status_code == 200


async def test_speed_divides_the_windows(serve_scenario: ServeCloud) -> None:
    async with serve_scenario("day", speed=10) as client:
        included = (await client.get("/api/balance", "amber 1")).json()["included"]
        assert included["session"]["resets_at"] == "2027-01-15T08:00:06Z"


async def test_all_keys_of_an_account_share_its_windows(calm: CloudClient) -> None:
    await calm.control("accounts/amber", weekly=100)
    for label in ("amber 1", "amber 2"):
        assert "weekly usage limit" in (await calm.chat(label)).json()["error"]
    assert (await calm.chat("birch 1")).status_code == 200


async def test_credits_fall_end_and_refill(calm: CloudClient) -> None:
    await calm.control("accounts/cedar", credits=0.001, purchased=0)
    assert (await calm.chat("cedar 1")).status_code == 200
    await calm.control("accounts/cedar", credits=0)
    assert "monthly usage limit" in (await calm.chat("cedar 1")).json()["error"]
    calm.clock.now += 300
    assert (await calm.chat("cedar 1")).status_code == 200
    included = (await calm.get("/api/balance", "cedar 1")).json()["included"]
    assert 59.9 < included["balance_usd"] < 60


async def test_purchased_credit_carries_on_when_a_window_is_full(calm: CloudClient) -> None:
    await calm.control("accounts/amber", session=100, purchased=0.01)
    assert (await calm.chat("amber 1")).status_code == 200
    assert (await calm.get("/api/balance", "amber 1")).json()["purchased"]["balance_usd"] < 0.01
    assert (await calm.chat("amber 1")).status_code == 429


async def test_suspended_account_and_revoked_key(calm: CloudClient) -> None:
    await calm.control("accounts/birch", suspended=True)
    assert (await calm.chat("birch 1")).json() == {"error": "account suspended"}
    assert (await calm.get("/api/balance", "birch 1")).status_code == 403
    await calm.control("accounts/amber", revoke=1)
    assert (await calm.chat("amber 1")).json() == {"error": "Unauthorized"}
    assert (await calm.get("/api/balance", "amber 1")).json() == {"error": "invalid credentials"}
    assert (await calm.chat("amber 2")).status_code == 200
    await calm.control("accounts/amber", restore=1)
    assert (await calm.chat("amber 1")).status_code == 200


async def test_slots_limit_what_runs_at_once_and_come_back(calm: CloudClient) -> None:
    await calm.control("accounts/amber", slots=1)
    await calm.control("faults", fault="stream-stalled")
    body = {"model": "gpt-oss:20b", "messages": []}
    async with calm.client.stream("POST", "/api/chat", headers=calm.bearer("amber 1"), json=body):
        refused = await calm.chat("amber 2")
        assert (refused.status_code, refused.json()) == (429, {"error": "too many concurrent requests"})
        assert refused.headers["retry-after"] == "10"
        assert refused.headers["x-ratelimit-active"] == "1"
        assert refused.headers["x-ratelimit-max-concurrent"] == "1"
        assert refused.headers["x-ratelimit-queued"] == refused.headers["x-ratelimit-queue-limit"] == "15"
        assert (await calm.chat("birch 1")).status_code == 200
    async with asyncio.timeout(LIMIT):
        while (await calm.chat("amber 1")).status_code == 429:
            pass
    await calm.control("accounts/amber", elsewhere=1)
    assert (await calm.chat("amber 1")).status_code == 429


async def test_answer_takes_time_when_it_has_a_pace(serve_scenario: ServeCloud) -> None:
    async with serve_scenario(pace=0.001) as client:
        whole = await client.chat("amber 1", stream=False)
        assert (await client.chat("amber 1")).status_code == whole.status_code == 200


async def test_request_log_says_who_was_asked_what_but_no_key(calm: CloudClient) -> None:
    await calm.chat("amber 2")
    await calm.client.get("/api/tags")
    response = await calm.client.get("/_demo/requests")
    first, second = response.json()["requests"]
    fingerprint = calm.cloud.state.credentials[calm.cloud.keys[1][0]].fingerprint
    assert (first["path"], first["key"], first["account"]) == ("/api/chat", fingerprint, "amber")
    assert (first["model"], first["status"]) == ("gpt-oss:20b", 200)
    assert (second["path"], second["key"], second["status"]) == ("/api/tags", None, 200)
    everything = response.text + (await calm.client.get("/_demo/state")).text
    assert not any(text in everything for text, _ in calm.cloud.keys)
    await calm.client.delete("/_demo/requests")
    assert (await calm.client.get("/_demo/requests")).json() == {"requests": []}


async def test_keys_are_shaped_like_real_ones_and_always_the_same(serve_scenario: ServeCloud) -> None:
    async with serve_scenario("day") as first, serve_scenario("day") as second:
        assert first.cloud.keys == second.cloud.keys
        assert [label for _, label in first.cloud.keys] == ["amber 1", "amber 2", "birch 1", "cedar 1"]
        for text, _ in first.cloud.keys:
            head, tail = text.split(".")
            assert (len(head), len(tail), tail.isalnum()) == (32, 24, True)


@pytest.mark.parametrize("path", ["/api/tags", "/api/chat"])
async def test_outage_meets_every_path_and_ends(calm: CloudClient, path: str) -> None:
    await calm.control("outage", seconds=10, fault="unavailable")
    response = await calm.client.request("GET" if path == "/api/tags" else "POST", path)
    assert (response.status_code, response.json()) == (503, {"error": "Service Temporarily Unavailable"})
    calm.clock.now += 10
    assert (await calm.chat("amber 1")).status_code == 200


async def test_outage_may_drop_connections(calm: CloudClient) -> None:
    await calm.control("outage", seconds=10, fault="connection-dropped")
    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            await calm.chat("amber 1")
