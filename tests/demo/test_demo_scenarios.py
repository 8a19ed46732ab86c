"""Each scenario tells the story it promises, under a plain client and a clock moved by hand."""

import pytest

from okr_tui.demo import SCENARIOS
from tests.demo.cloud_client import CloudClient, ServeCloud

LABELS = ("amber 1", "amber 2", "birch 1", "cedar 1")
SECONDS_BETWEEN_CHATS = 1.5


async def statuses(client: CloudClient) -> dict[str, int]:
    """What every key gets for a chat now."""
    return {label: (await client.chat(label)).status_code for _, label in client.cloud.keys}


async def play(client: CloudClient, seconds: float) -> list[tuple[float, str, int]]:
    """Send a chat every 1.5 seconds to the first key that takes it; return every answer with its time."""
    begun, answers = client.clock.now, []
    while client.clock.now < begun + seconds:
        for label in LABELS:
            status = (await client.chat(label, "why is the sky blue", stream=False)).status_code
            answers.append((client.clock.now - client.cloud.state.started, label, status))
            if status == 200:
                break
        client.clock.now += SECONDS_BETWEEN_CHATS
    return answers


async def test_day_spends_returns_revokes_and_refills(serve_scenario: ServeCloud) -> None:
    async with serve_scenario("day") as client:
        answers = await play(client, 210)
    amber = [(moment, status) for moment, label, status in answers if label == "amber 1"]
    second = [(moment, status) for moment, label, status in answers if label == "amber 2"]
    birch = [(moment, status) for moment, label, status in answers if label == "birch 1"]
    cedar = [(moment, status) for moment, label, status in answers if label == "cedar 1"]
    assert min(moment for moment, status in amber if status == 429) <= 10
    assert min(moment for moment, status in birch if status == 429) <= 20
    assert any(status == 200 for moment, status in second if 60 <= moment < 62)
    revoked = [moment for moment, status in amber if status == 401]
    assert 45 <= min(revoked) < 47
    assert 97 < max(revoked) < 100
    empty = [moment for moment, status in cedar if status == 429]
    assert 20 < min(empty) < 60
    assert max(empty) < 120
    assert any(status == 200 for moment, status in cedar if moment >= 120)


async def test_calm_never_fails(serve_scenario: ServeCloud) -> None:
    async with serve_scenario("calm") as client:
        assert {status for _, _, status in await play(client, 90)} == {200}


async def test_spent_has_nothing_until_the_first_return(serve_scenario: ServeCloud) -> None:
    async with serve_scenario("spent") as client:
        assert set((await statuses(client)).values()) == {429}
        client.clock.now += 30
        after = await statuses(client)
        assert (after["amber 1"], after["birch 1"], after["cedar 1"]) == (200, 429, 429)
        client.clock.now += 45
        assert (await statuses(client))["cedar 1"] == 200


@pytest.mark.parametrize("elapsed", [0, 60, 600])
async def test_outage_comes_again_and_again(serve_scenario: ServeCloud, elapsed: float) -> None:
    async with serve_scenario("outage") as client:
        client.clock.now += elapsed
        assert set((await statuses(client)).values()) == {200}
        client.clock.now += 9
        assert set((await statuses(client)).values()) == {503}
        client.clock.now += 10
        assert set((await statuses(client)).values()) == {200}


async def test_crowded_has_no_free_slot_for_a_while(serve_scenario: ServeCloud) -> None:
    async with serve_scenario("crowded") as client:
        assert set((await statuses(client)).values()) == {200}
        client.clock.now += 11
        assert (await statuses(client))["amber 1"] == 429
        client.clock.now += 20
        assert (await statuses(client))["amber 1"] == 200


async def test_revoked_leaves_some_keys_alive(serve_scenario: ServeCloud) -> None:
    async with serve_scenario("revoked") as client:
        assert await statuses(client) == {
            "amber 1": 401,
            "amber 2": 200,
            "birch 1": 401,
            "cedar 1": 200,
            "dogwood 1": 403,
        }


@pytest.mark.parametrize("name", SCENARIOS)
async def test_every_scenario_starts_and_names_itself(serve_scenario: ServeCloud, name: str) -> None:
    async with serve_scenario(name) as client:
        assert (await client.client.get("/_demo/state")).json()["scenario"] == name
