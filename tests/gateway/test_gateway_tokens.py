"""Tokens by name: who may come, with which models, how much a day; changes count at once."""

import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from okr_tui.domain.errors import OkrError
from okr_tui.domain.scrubber import Scrubber
from okr_tui.gateway import tokens
from okr_tui.gateway.tokens import ANYBODY, NAMED, Caller, Tokens, load_token
from okr_tui.services.pool_service import PoolService
from okr_tui.settings.layers import Sources
from tests.gateway.running_gateway import RunningGateway, body, run_gateway
from tests.harness import MODEL, Harness

CHAT = "/v1/chat/completions"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder with a shared token."""
    load_token(tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
async def guarded(harness: Harness, folder: Path) -> AsyncIterator[RunningGateway]:
    """A gateway with the tokens of a folder."""
    sources = Sources(harness.settings_file, harness.home / "project", harness.environment)
    async with (
        PoolService.open(sources, client="gateway", watching=False, clock=harness.clock) as service,
        run_gateway(
            service, token=Tokens(folder, service.scrubber, service.budgets.limit_callers)
        ) as gateway,
    ):
        yield gateway


async def ask(gateway: RunningGateway, token: str, **changes: object) -> httpx.Response:
    """Ask with a token."""
    return await gateway.client.post(
        CHAT, json=body(CHAT, **changes), headers={"authorization": f"Bearer {token}"}
    )


def test_a_token_is_kept_as_a_digest(folder: Path) -> None:
    made = tokens.add(folder, Caller("laptop", ("gpt-oss*",), 1000), 0).get_secret_value()
    path = folder / NAMED
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert made not in path.read_text()
    here = Tokens(folder, Scrubber())
    assert here.caller(made) == Caller("laptop", ("gpt-oss*",), 1000, "1970-01-01T00:00:00Z")
    assert here.caller(load_token(folder).get_secret_value()) == ANYBODY
    assert here.caller("") is here.caller(made[:-1]) is here.caller("\ud800é") is None


def test_changes_count_at_once_in_every_process(folder: Path) -> None:
    here, there = Tokens(folder, Scrubber()), Tokens(folder, Scrubber())
    first = tokens.add(folder, Caller("laptop"), 0).get_secret_value()
    shared = load_token(folder).get_secret_value()
    for each in (here, there):
        assert each.caller(first)
        assert each.caller(shared)
    second = tokens.rotate(folder, "laptop").get_secret_value()
    tokens.rotate_shared(folder)
    for each in (here, there):
        assert each.caller(first) is each.caller(shared) is None
        assert each.caller(second)
        assert each.caller(load_token(folder).get_secret_value()) == ANYBODY
    tokens.revoke(folder, "laptop")
    assert here.caller(second) is there.caller(second) is None


@pytest.mark.parametrize("name", ["", "a b", "-x", "x" * 33, "é", "a/b", "a\nb"])
def test_a_name_is_plain(folder: Path, name: str) -> None:
    with pytest.raises(OkrError, match="cannot name a token"):
        tokens.add(folder, Caller(name), 0)


def test_what_cannot_be_changed_is_reported(folder: Path) -> None:
    tokens.add(folder, Caller("laptop"), 0)
    with pytest.raises(OkrError, match="laptop already has a token"):
        tokens.add(folder, Caller("laptop"), 0)
    with pytest.raises(OkrError, match="there is no token for phone"):
        tokens.rotate(folder, "phone")
    with pytest.raises(OkrError, match="there is no token for phone"):
        tokens.revoke(folder, "phone")


@pytest.mark.parametrize("content", ["", "[]", '{"tokens": {"a": {}}}', '{"tokens": 1}'])
def test_a_damaged_file_opens_nothing_and_keeps_the_shared_token(folder: Path, content: str) -> None:
    (folder / NAMED).write_text(content)
    here = Tokens(folder, Scrubber())
    assert here.caller(load_token(folder).get_secret_value()) == ANYBODY
    with pytest.raises(OkrError, match="is damaged"):
        here.caller("x" * 48)


async def test_the_log_says_who_asked(guarded: RunningGateway, folder: Path) -> None:
    made = tokens.add(folder, Caller("laptop"), 0).get_secret_value()
    shared = load_token(folder).get_secret_value()
    assert (await ask(guarded, made)).status_code == 200
    assert (await ask(guarded, shared)).status_code == 200
    headers = {"x-api-key": shared, "user-agent": "codex_exec/0.171.0"}
    await guarded.client.post(CHAT, json=body(CHAT), headers=headers)
    assert [attempt.caller for attempt in await guarded.settled(3)] == ["laptop", None, "codex"]


async def test_a_token_may_be_for_some_models(
    guarded: RunningGateway, folder: Path, harness: Harness
) -> None:
    made = tokens.add(folder, Caller("laptop", ("GPT-oss*",)), 0).get_secret_value()
    assert (await ask(guarded, made)).status_code == 200
    refused = await ask(guarded, made, model="kimi-k2.6")
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "model_not_allowed"
    assert "the token of laptop is not for kimi-k2.6" in refused.text
    assert len(await harness.sent(CHAT)) == 1
    headers = {"x-api-key": made}
    listed = (await guarded.client.get("/v1/models", headers=headers)).json()["data"]
    assert {entry["id"].partition(":")[0] for entry in listed} == {"gpt-oss"}
    tagged = (await guarded.client.get("/api/tags", headers=headers)).json()["models"]
    assert {entry["name"].partition(":")[0] for entry in tagged} == {"gpt-oss"}
    assert (await guarded.client.get("/v1/models/kimi-k2.6", headers=headers)).status_code == 404


async def test_a_token_may_be_for_so_much_a_day(
    guarded: RunningGateway, folder: Path, harness: Harness
) -> None:
    made = tokens.add(folder, Caller("laptop", (), 1), 0).get_secret_value()
    assert (await ask(guarded, made)).status_code == 200
    await guarded.settled(1)
    refused = await ask(guarded, made)
    assert refused.status_code == 402
    assert refused.json()["error"]["code"] == "budget_exceeded"
    assert "laptop has used its budget of 1 tokens a day" in refused.text
    assert refused.headers["x-okr-tui-error"] == "gateway"
    assert refused.headers["x-should-retry"] == "false"
    assert len(await harness.sent(CHAT)) == 1
    assert (await ask(guarded, load_token(folder).get_secret_value())).status_code == 200


async def test_a_budget_of_the_settings_is_kept_too(harness: Harness, gateway: RunningGateway) -> None:
    document = json.loads(harness.settings_file.read_text())
    document["okr-tui"]["budgets"] = {MODEL: {"tokensPerDay": 1, "hard": True}}
    harness.settings_file.write_text(json.dumps(document))
    await gateway.service.reload()
    assert (await gateway.post("/api/chat")).status_code == 200
    await gateway.settled(1)
    refused = await gateway.post("/api/chat")
    assert (refused.status_code, "budget" in refused.json()["error"]) == (402, True)


async def test_a_damaged_file_shuts_out_named_callers_alone(guarded: RunningGateway, folder: Path) -> None:
    made = tokens.add(folder, Caller("laptop"), 0).get_secret_value()
    (folder / NAMED).write_text("{")
    assert (await ask(guarded, load_token(folder).get_secret_value())).status_code == 200
    refused = await ask(guarded, made)
    assert (refused.status_code, "is damaged" in refused.text) == (500, True)


async def test_a_token_is_nowhere_in_what_goes_out(guarded: RunningGateway, folder: Path) -> None:
    made = tokens.add(folder, Caller("laptop"), 0).get_secret_value()
    assert (await ask(guarded, made)).status_code == 200
    assert guarded.service.scrubber.scrub(f"x {made}") != f"x {made}"
    assert made not in str(await guarded.logged(1))
