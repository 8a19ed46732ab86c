"""`okr-tui connect`: how to point a client at the gateway. The token itself is not printed."""

import asyncio
import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from okr_tui.cli.invocation import Invocation
from okr_tui.cli.text import note, show

if TYPE_CHECKING:
    from okr_tui.domain.models import Model

THINKING = {"off": "none", "minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": None}
LONGEST_ANSWER = 32768
COMPATIBLE = {
    "supportsDeveloperRole": False,
    "supportsStore": False,
    "supportsReasoningEffort": True,
    "supportsUsageInStreaming": True,
    "maxTokensField": "max_tokens",
}


def _ollama(url: str, token: str, _: "Sequence[Model]") -> list[str]:
    return [f'export OLLAMA_HOST="{url}/{token}"', "ollama list"]


def _openai(url: str, token: str, _: "Sequence[Model]") -> list[str]:
    return [f'export OPENAI_BASE_URL="{url}/v1"', f'export OPENAI_API_KEY="{token}"']


def _anthropic(url: str, token: str, models: "Sequence[Model]") -> list[str]:
    model = next((model.id for model in models if model.can("tools")), "MODEL")
    return [
        f'export ANTHROPIC_BASE_URL="{url}"',
        f'export ANTHROPIC_AUTH_TOKEN="{token}"',
        f"export ANTHROPIC_MODEL={shlex.quote(model)}",
    ]


CLIENTS: dict[str, Callable[[str, str, "Sequence[Model]"], list[str]]] = {
    "ollama": _ollama,
    "openai": _openai,
    "anthropic": _anthropic,
}


@click.command()
@click.argument("client", type=click.Choice(["pi", *CLIENTS]))
@click.pass_obj
def connect(invocation: Invocation, client: str) -> None:
    """Show how to point a client at the gateway: pi, ollama, openai or anthropic (Claude Code too)."""
    asyncio.run(_connect(invocation, client))


async def _connect(invocation: Invocation, client: str) -> None:
    from okr_tui.gateway.options import Options
    from okr_tui.gateway.token import NAME, load_token
    from okr_tui.store.locate import state_folder

    load_token(state_folder())
    place = state_folder() / NAME
    async with invocation.keyring("cli", watching=False) as keyring:
        options, problems = Options.read(keyring.configuration.settings.gateway)
        for problem in (*keyring.problems, *problems):
            note(f"okr-tui: {problem}")
        if not keyring.inventory.models:
            await keyring.inventory.refresh()
        if keyring.inventory.error:
            note(f"okr-tui: models not read: {keyring.inventory.error}")
        models = [model for model in keyring.inventory.models if model.status == "listed"]
    if client == "pi":
        note("Put this into models.json beside pi's settings.json; it works while `okr-tui serve` runs:")
        show(json.dumps(pi_document(options.url, place, models), ensure_ascii=False, indent=2))
        return
    note("Run this in the client's shell, while `okr-tui serve` runs elsewhere:")
    for line in CLIENTS[client](options.url, f"$(cat {shlex.quote(str(place))})", models):
        show(line)


def pi_document(url: str, token: Path, models: "Sequence[Model]") -> dict[str, object]:
    """The gateway as a provider of pi, which runs what stands behind an exclamation mark."""
    return {
        "providers": {
            "ollama-cloud": {
                "baseUrl": f"{url}/v1",
                "api": "openai-completions",
                "apiKey": f"!cat {shlex.quote(str(token))}",
                "compat": COMPATIBLE,
                "models": [_pi_model(model) for model in models],
            }
        }
    }


def _pi_model(model: "Model") -> dict[str, object]:
    document: dict[str, object] = {
        "id": model.id,
        "name": model.display,
        "reasoning": model.can("thinking"),
        "input": ["text", "image"] if model.can("vision") else ["text"],
    }
    if model.context_length:  # pi has defaults of its own; a zero would make it drop the provider
        document["contextWindow"] = model.context_length
        document["maxTokens"] = max(1, min(LONGEST_ANSWER, model.context_length // 4))
    if model.can("thinking"):
        document["thinkingLevelMap"] = THINKING
    return document
