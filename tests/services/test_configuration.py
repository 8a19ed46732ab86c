"""Trust, modes and provenance through the service: what is asked, what is written, what is never shown."""

import json

import pytest

from okr_tui.cloud.client import Call
from okr_tui.domain.errors import PoolBlockedError, SettingsError
from okr_tui.domain.health import State
from okr_tui.domain.keys import fingerprint, mask
from okr_tui.domain.schedule import due
from tests.harness import Harness


async def test_a_project_is_asked_about_once_and_its_own_index_does_not_undo_the_answer(
    harness: Harness,
) -> None:
    project = harness.home / "project" / ".pi" / "settings.json"
    project.parent.mkdir(parents=True)
    document = {"pi-ollama": {"cloudUrl": f"{harness.url}/other", "activeKeyIndex": 1}}
    project.write_text(json.dumps(document))
    async with harness.open() as service:
        question = service.snapshot.settings.trust
        assert question
        assert question.project_file == project
        assert question.wants == (
            f"send requests, with your own keys too, to {harness.url}/other",
            "set activeKeyIndex to 1",
        )
        assert "Refused" in await service.trust_project(trusted=False)
        assert service.snapshot.settings.trust is None
        assert service.cloud.url == harness.url
        assert "is already refused" in await service.trust_project(trusted=False)
        said = await service.use_key(3)
        assert f"to {harness.settings_file}" in said
        assert service.snapshot.settings.trust is None
        await service.trust_project(trusted=True)
        assert service.cloud.url == f"{harness.url}/other"
        said = await service.use_key(4)
        assert f"to {project}, which decides over global {harness.settings_file}" in said
        assert service.cloud.url == f"{harness.url}/other"
        project.write_text(project.read_text().replace("other", "third"))
        await service.reload()
        assert service.cloud.url == harness.url
        assert service.snapshot.settings.trust
    (answer,) = json.loads(harness.settings_file.read_text())["okr-tui"]["trustedProjects"]
    assert answer["path"] == str(harness.home / "project")


@pytest.mark.parametrize("answer", [None, False])
async def test_a_projects_key_is_off_until_the_project_is_trusted(
    harness: Harness, answer: bool | None
) -> None:
    project = harness.home / "project" / ".pi" / "settings.json"
    project.parent.mkdir(parents=True)
    theirs = harness.cloud.keys[0][0]
    own = [text for text, _ in harness.cloud.keys[1:]]
    harness.write_settings(apiKeys=own)
    project.write_text(json.dumps({"pi-ollama": {"apiKeys": [theirs]}}))
    index = len(own) + 1
    async with harness.open() as service:
        if answer is not None:
            await service.trust_project(trusted=answer)
        row = service.snapshot.pool.keys[-1]
        assert (row.state, row.verdict.eligible, row.verdict.reason) == (State.OFF, False, "not trusted")
        readings, _ = due(service.pool.state, service.pool.config, service.pool.policy, 1e12, {})
        assert {reading.key.secret.get_secret_value() for reading in readings} == set(own)
        for refused in (
            service.use_key(index),
            service.test_key(index),
            service.set_enabled(index, enabled=True),
        ):
            with pytest.raises(SettingsError, match=f"#{index} .* which is not trusted; .* okr-tui trust"):
                await refused
        for _ in range(len(own)):
            await service.rotate()
            assert service.pool.config.preferred != fingerprint(theirs)
        await service.trust_project(trusted=True)
        assert service.snapshot.pool.keys[-1].verdict.eligible
        assert str(index) in await service.use_key(index)


async def test_a_pool_of_untrusted_keys_alone_sends_nothing(harness: Harness) -> None:
    project = harness.home / "project" / ".pi" / "settings.json"
    project.parent.mkdir(parents=True)
    harness.write_settings(apiKeys=[])
    project.write_text(json.dumps({"pi-ollama": {"apiKeys": [harness.cloud.keys[0][0]]}}))
    before = len(harness.cloud.state.requests)
    async with harness.open() as service:
        call = Call("/api/chat", b'{"model": "m"}', "m")
        with pytest.raises(PoolBlockedError, match="#1 not trusted"):
            async with service.dispatcher.send(call, "cli"):
                pass
    assert not [request for request in list(harness.cloud.state.requests)[before:] if request.key]


async def test_without_a_project_there_is_nothing_to_trust(harness: Harness) -> None:
    async with harness.open() as service:
        with pytest.raises(SettingsError, match="no content to trust or refuse"):
            await service.trust_project(trusted=True)


async def test_an_open_file_is_closed_on_order_only(harness: Harness) -> None:
    harness.settings_file.chmod(0o644)
    async with harness.open() as service:
        assert service.snapshot.settings.open_to_others == harness.settings_file
        await service.use_key(2)
        assert harness.settings_file.stat().st_mode & 0o777 == 0o644
        assert str(harness.settings_file) in await service.make_file_private()
        assert harness.settings_file.stat().st_mode & 0o777 == 0o600
        assert service.snapshot.settings.open_to_others is None
        with pytest.raises(SettingsError, match="no settings file"):
            await service.make_file_private()


async def test_what_is_not_used_of_a_section_is_reported_with_its_location(harness: Harness) -> None:
    document = json.loads(harness.settings_file.read_text())
    sections = {"policy": {"nonsense": 1}, "gateway": {"port": "a"}, "chat": {"confirm": {"x": 1}}}
    document["okr-tui"] |= sections
    text = json.dumps(document, indent=1)
    harness.settings_file.write_text(text)
    lines = text.splitlines()

    def location(name: str) -> str:
        line = next(at for at, line in enumerate(lines, 1) if f'"{name}":' in line)
        return f"{harness.settings_file}:{line}:"

    async with harness.open() as service:
        gateway, chat, policy = service.problems
        assert policy.startswith(location("nonsense"))
        assert policy.endswith(": policy.nonsense is ignored: there is no such setting")
        assert chat.startswith(location("x"))
        assert "chat.confirm.x is ignored: " in chat
        assert gateway.startswith(location("port"))
        assert "gateway.port is ignored: it must be a whole number from 0 to 65535" in gateway


async def test_every_line_says_where_its_value_is_from(harness: Harness) -> None:
    secret = "token-0123456789"
    harness.environment |= {
        "OLLAMA_HOST": f"http://127.0.0.1:1/{secret}",
        "OKR_TUI_STORE": f"sqlite:{harness.home / 'log.db'}",
    }
    document = json.loads(harness.settings_file.read_text())
    document["okr-tui"]["policy"] |= {"sends": 4, "note": harness.cloud.keys[0][0]}
    harness.settings_file.write_text(json.dumps(document, indent=2))
    async with harness.open() as service:
        lines = {line.name: line for line in service.snapshot.settings.lines}
    assert lines["cloudUrl"].origin == f"global {harness.settings_file}:4"
    assert lines["activeKeyIndex"].value == f"0, key 1 {mask(harness.cloud.keys[0][0])}"
    assert lines["strategy"].origin == "default"
    assert lines["store"].origin == "environment OKR_TUI_STORE"
    assert lines["store"].shadowed[0].startswith(f"global {harness.settings_file}:")
    assert lines["baseUrl"].value == "http://127.0.0.1:1/…"
    assert lines["policy.sends"].value == "4"
    assert lines["key 4"].value.endswith("cedar 1")
    shown = repr(lines)
    assert secret not in shown
    assert all(text not in shown for text, _ in harness.cloud.keys)
