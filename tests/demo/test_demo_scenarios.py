"""Each scenario tells the story it promises, under a plain client and a clock moved by hand."""

import pytest

from okr_tui.demo import SCENARIOS
from tests.demo.visitor import GatewayRequest, Visitor

LABELS = ("amber 1", "amber 2", "birch 1", "cedar 1")
SECONDS_BETWEEN_CHATS = 1.5


async def statuses(visitor: Visitor) -> dict[str, int]:
    """What every key gets for a chat now."""
    return {label: (await visitor.chat(label)).status_code for _, label in visitor.cloud.keys}


async def play(visitor: Visitor, seconds: float) -> list[tuple[float, str, int]]:
    """Send a chat every 1.5 seconds to the first key that takes it; return every answer with its time."""
    begun, answers = visitor.clock.now, []
    while visitor.clock.now < begun + seconds:
        for label in LABELS:
            status = (await visitor.chat(label, "why is the sky blue", stream=False)).status_code
            answers.append((visitor.clock.now - visitor.cloud.state.started, label, status))
            if status == 200:
                break
        visitor.clock.now += SECONDS_BETWEEN_CHATS
    return answers


async def test_day_spends_returns_revokes_and_refills(visit: GatewayRequest) -> None:
    async with visit("day") as visitor:
        answers = await play(visitor, 210)
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


async def test_calm_never_fails(visit: GatewayRequest) -> None:
    async with visit("calm") as visitor:
        assert {status for _, _, status in await play(visitor, 90)} == {200}


async def test_spent_has_nothing_until_the_first_return(visit: GatewayRequest) -> None:
    async with visit("spent") as visitor:
        assert set((await statuses(visitor)).values()) == {429}
        visitor.clock.now += 30
        after = await statuses(visitor)
        assert (after["amber 1"], after["birch 1"], after["cedar 1"]) == (200, 429, 429)
        visitor.clock.now += 45
        assert (await statuses(visitor))["cedar 1"] == 200


@pytest.mark.parametrize("elapsed", [0, 60, 600])
async def test_outage_comes_again_and_again(visit: GatewayRequest, elapsed: float) -> None:
    async with visit("outage") as visitor:
        visitor.clock.now += elapsed
        assert set((await statuses(visitor)).values()) == {200}
        visitor.clock.now += 9
        assert set((await statuses(visitor)).values()) == {503}
        visitor.clock.now += 10
        assert set((await statuses(visitor)).values()) == {200}


async def test_crowded_has_no_free_slot_for_a_while(visit: GatewayRequest) -> None:
    async with visit("crowded") as visitor:
        assert set((await statuses(visitor)).values()) == {200}
        visitor.clock.now += 11
        assert (await statuses(visitor))["amber 1"] == 429
        visitor.clock.now += 20
        assert (await statuses(visitor))["amber 1"] == 200


async def test_revoked_leaves_some_keys_alive(visit: GatewayRequest) -> None:
    async with visit("revoked") as visitor:
        assert await statuses(visitor) == {
            "amber 1": 401,
            "amber 2": 200,
            "birch 1": 401,
            "cedar 1": 200,
            "dogwood 1": 403,
        }


@pytest.mark.parametrize("name", SCENARIOS)
async def test_every_scenario_starts_and_names_itself(visit: GatewayRequest, name: str) -> None:
    async with visit(name) as visitor:
        assert (await visitor.client.get("/_demo/state")).json()["scenario"] == name
