"""The slash commands that need no screen, carried out."""

from collections.abc import AsyncIterator

import pytest

from okr_tui.chat.slash import CommandResult, ScreenRequest, carry_out
from okr_tui.services.pool_service import PoolService
from tests.harness import MODEL, Harness, open_harness


@pytest.fixture
async def service(harness: Harness) -> AsyncIterator[PoolService]:
    """A service with a model list."""
    async with harness.open() as opened:
        await opened.refresh_models()
        yield opened


async def said(service: PoolService, text: str) -> CommandResult:
    """What a command says."""
    outcome = await carry_out(service, text)
    assert isinstance(outcome, CommandResult)
    return outcome


async def test_status_and_keys(service: PoolService, harness: Harness) -> None:
    masked = service.pool.config.keys[0].masked
    status = (await said(service, "/ollama-status")).text.splitlines()
    assert status[0] == "🦙 Ollama Cloud Status"
    assert status[1].startswith("Keys: ✅ 4 configured")
    assert status[2].startswith(f"Active key: #1 {masked}")
    assert status[4] == f"URL: {harness.url}"
    keys = (await said(service, "/ollama keys")).text.splitlines()
    assert keys[:2] == ["🔑 Ollama Cloud Key Pool", "Total: 4"]
    assert keys[3].startswith(f"👉 #1 {masked}")
    assert keys[7:] == [service.snapshot.pool.why]


async def test_models_and_info(service: PoolService) -> None:
    models = await said(service, "/ollama-models gpt")
    assert models.text.startswith("☁️ Cloud (2) — active key #1")
    info = (await said(service, f"/ollama-info {MODEL}")).text.splitlines()
    assert info[1:5] == [
        "Source: ☁️ Ollama Cloud",
        "Parameters: 20.9B",
        "Context: 131,072 tokens",
        "Vision: ❌",
    ]
    assert await said(service, "/ollama-info") == CommandResult("Usage: /ollama-info MODEL", "error")
    unknown = await said(service, "/ollama-info no-such")
    assert unknown.text.startswith("Model not found: no-such")
    assert unknown.level == "error"
    assert (await said(service, "/ollama-models no-such")).text == "No model matches."


async def test_refresh(service: PoolService, harness: Harness) -> None:
    assert await said(service, "/ollama-refresh") == CommandResult(
        f"Loaded {len(service.catalog.models)} cloud Ollama models", "success"
    )
    await harness.fault("unavailable", path="/api/tags", times=None)
    failed = await said(service, "/ollama-refresh")
    assert failed.level == "error"
    assert "the last list is kept" in failed.text


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("", "Usage: /ollama-use-key N"),
        ("abc", "Usage: /ollama-use-key N"),
        ("2 3", "Usage: /ollama-use-key N"),
        ("1.5", "Usage: /ollama-use-key N"),
        ("0x2", "Usage: /ollama-use-key N"),
        ("٢", "Usage: /ollama-use-key N"),
        ("0", "Invalid key index: 0"),
        ("5", "Invalid key index: 5"),
        ("-1", "Invalid key index: -1"),
        ("9" * 30, f"Invalid key index: {'9' * 30}"),
    ],
)
async def test_a_wrong_key_number_changes_nothing(
    service: PoolService, harness: Harness, argument: str, text: str
) -> None:
    before = harness.settings_file.read_bytes()
    assert await said(service, f"/ollama-use-key {argument}") == CommandResult(text, "error")
    assert harness.settings_file.read_bytes() == before


async def test_a_key_is_chosen_and_rotated(service: PoolService) -> None:
    chosen = await said(service, "/ollama-use-key  3 ")
    assert chosen.level == "success"
    assert chosen.text.startswith("Active Ollama cloud key → #3")
    assert "Persisted activeKeyIndex to " in chosen.text
    rotated = await said(service, "/ollama rotate whatever")
    assert rotated.text.startswith("Rotated Ollama cloud key → #4")


async def test_without_keys(harness: Harness) -> None:
    harness.write_settings(apiKeys=[])
    async with harness.open() as service:
        assert "Keys: ❌ none configured\nActive key: (none)" in (await said(service, "/ollama-status")).text
        assert (await said(service, "/ollama-rotate")).level == "error"
        assert (await said(service, "/ollama-models")).text == "No cloud models are currently available."


async def test_help_unknown_and_those_for_the_screen(service: PoolService) -> None:
    assert "/ollama-use-key N" in (await said(service, "/help")).text
    for text in ("/ollama", "/ollama nothing", "/ollama STATUS"):
        assert "/ollama use-key N" in (await said(service, text)).text
    assert (await said(service, "/nothing")).level == "error"
    assert await carry_out(service, "/rename A [b]title") == ScreenRequest("rename", "A [b]title")


async def test_no_key_is_ever_shown(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with open_harness(tmp_path_factory.mktemp("home"), "spent") as harness, harness.open() as service:
        for command in ("status", "keys", "models", "rotate", "use-key 2"):
            text = (await said(service, f"/ollama-{command}")).text
            assert not any(secret in text for secret, _ in harness.cloud.keys)
