"""What each client is told to use the gateway. The token's text is in none of it, only its file's name."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from okr_tui.domain.errors import OkrError

if TYPE_CHECKING:
    from okr_tui.domain.models import Model

# pi's levels to Ollama's: its `/v1` takes none, low, medium, high and max. The `max` of pi 1.5 is left out,
# so that it becomes `xhigh`, which 0.73 knows too; null hides a level.
THINKING: Mapping[str, str | None] = {
    "off": "none",
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "max",
}
# gpt-oss always thinks, at one of three levels.
GPT_OSS = "gpt-oss"
GPT_OSS_THINKING = {**THINKING, "off": None, "xhigh": None}
LONGEST_ANSWER = 32768
COMPATIBLE = {
    "supportsDeveloperRole": False,
    "supportsStore": False,
    "supportsReasoningEffort": True,
    "supportsUsageInStreaming": True,
    "maxTokensField": "max_tokens",
}

# By this the gateway knows pi, which repeats a turn at other errors than the rest: gateway/dialects.py.
NAMED = {"x-okr-tui-client": "pi"}


@dataclass(frozen=True, slots=True)
class Reach:
    """Where the gateway is: its address, the one for an `ollama` daemon, and whether one runs there now."""

    url: str
    daemon_url: str | None
    runs: bool


Lines = Callable[[Reach, str, "Sequence[Model]"], list[str]]
"""The lines for a shell, from where the gateway is, what stands for the token in a shell, and the models."""


def _ollama(reach: Reach, token: str, _: "Sequence[Model]") -> list[str]:
    return [f'export OLLAMA_HOST="{reach.url}/{token}"', "ollama list"]


def _ollama_daemon(reach: Reach, _: str, __: "Sequence[Model]") -> list[str]:
    if reach.daemon_url is None:
        again = f"the gateway at {reach.url}" if reach.runs else "the gateway"
        raise OkrError(
            f"{again} has no port for an ollama daemon: start it with `okr-tui serve --daemon-port PORT`, "
            "or set okr-tui.gateway.daemonPort"
        )
    return [f"export OLLAMA_CLOUD_BASE_URL={reach.daemon_url}", "ollama serve"]


def _openai(reach: Reach, token: str, _: "Sequence[Model]") -> list[str]:
    return [f'export OPENAI_BASE_URL="{reach.url}/v1"', f'export OPENAI_API_KEY="{token}"']


def _anthropic(reach: Reach, token: str, models: "Sequence[Model]") -> list[str]:
    model = next((model.id for model in models if model.can("tools")), "MODEL")
    return [
        f'export ANTHROPIC_BASE_URL="{reach.url}"',
        f'export ANTHROPIC_AUTH_TOKEN="{token}"',
        f"export ANTHROPIC_MODEL={shlex.quote(model)}",
    ]


CLIENTS: Mapping[str, Lines] = {
    "ollama": _ollama,
    "ollama-daemon": _ollama_daemon,
    "openai": _openai,
    "anthropic": _anthropic,
}


def advice(client: str, reach: Reach) -> str:
    """What to do with the lines of a client, in a line."""
    if client != "ollama-daemon":
        return "Run this in the client's shell:"
    return (
        "`ollama serve` reads this once, at its start; for a service: `sudo systemctl edit ollama`, under "
        f'[Service] Environment="OLLAMA_CLOUD_BASE_URL={reach.daemon_url}", `sudo systemctl restart ollama`'
    )


def pi_provider(url: str, token: Path, models: "Sequence[Model]") -> dict[str, object]:
    """The gateway as a provider of pi.

    What stands behind an exclamation mark in apiKey is run by `sh`, at each request and for at most 10 s;
    blanks around its output are dropped: `resolveConfigValueUncached` in packages/coding-agent/src/core/
    resolve-config-value.ts, the same in 0.73.1 and 1.5.2. No other indirection works in both.
    """
    return {
        "baseUrl": f"{url}/v1",
        "api": "openai-completions",
        "apiKey": f"!cat {shlex.quote(str(token))}",
        "headers": NAMED,
        "compat": COMPATIBLE,
        "models": [_pi_model(model) for model in models],
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
        document["thinkingLevelMap"] = GPT_OSS_THINKING if model.id.startswith(GPT_OSS) else THINKING
    return document
