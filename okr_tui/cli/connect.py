"""`okr-tui connect`: what each client needs to use the gateway, also in its own file. No token is shown."""

import asyncio
import json
import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from okr_tui.cli import client_files
from okr_tui.cli.client_files import BOM, ClientFile, put_block, take_block
from okr_tui.cli.invocation import Invocation
from okr_tui.cli.output import note, note_text, show, show_text, table
from okr_tui.cloud.endpoints import CHAT_COMPLETIONS
from okr_tui.domain.errors import OkrError, SettingsError
from okr_tui.domain.models import PROVIDER
from okr_tui.domain.values import dataclass
from okr_tui.settings.json_edit import locate, plain, put, take_out, uncommented
from okr_tui.settings.locations import home_folder

if TYPE_CHECKING:
    from okr_tui.domain.models import Model
    from okr_tui.services.pool_service import PoolService
    from okr_tui.settings.layers import Sources
    from okr_tui.settings.table import GatewayOptions

PI = "pi"
OURS = "okr-tui"
"""What the gateway is called in the files of clients."""
NO_GATEWAY = (
    "no gateway is running, so requests fail: run `okr-tui serve`, or set okr-tui.gateway.autostart "
    "to let the dashboard start it"
)

PI_LEVELS: Mapping[str, tuple[str, ...]] = {
    "off": ("off",),
    "minimal": ("minimal", "low"),
    "low": ("low",),
    "medium": ("medium", "on"),
    "high": ("high",),
    "xhigh": ("xhigh", "max"),
}
"""pi's levels of thinking, each with the model's levels that it may stand for, best first.

The `max` of pi 1.5 is left out, so that it becomes `xhigh`, which 0.73 knows too.
"""
EFFORTS: Mapping[str, str] = {"off": "none", "on": "medium"}
"""What `/v1` calls the levels of a model that only thinks or does not."""
USUAL_LEVELS = ("off", "low", "medium", "high", "max")
"""The levels of a model where the cloud does not say which it has."""
LONGEST_ANSWER = 32768
COMPATIBLE = {
    "supportsDeveloperRole": False,
    "supportsStore": False,
    "supportsReasoningEffort": True,
    "supportsUsageInStreaming": True,
    "maxTokensField": "max_tokens",
}

# The gateway recognises pi by this header, since pi retries after other errors than the rest do.
NAMED = {"x-okr-tui-client": "pi"}


@dataclass(frozen=True, slots=True)
class Reach:
    """Where the gateway is: its address, the one for an `ollama` daemon, and whether one runs there now."""

    url: str
    daemon_url: str | None
    runs: bool


@dataclass(frozen=True, slots=True)
class Instructions:
    """How to configure a client: `advice` in one line, `lines` to copy, and notes."""

    advice: str
    lines: Sequence[str]
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Gateway:
    """What is shown: where the gateway is, the file of its token, and the models.

    `token` is a shell expression that reads the token; no text here has the token itself.
    """

    reach: Reach
    token_file: Path
    models: "Sequence[Model]"

    @property
    def token(self) -> str:
        """The token as a shell reads it from its file."""
        return f"$(cat {shlex.quote(str(self.token_file))})"

    @property
    def model(self) -> str:
        """A model to begin with: the first that calls tools."""
        return next((model.id for model in self.models if model.can("tools")), "MODEL")


IN_SHELL = "Run this in the client's shell:"
IN_FILES = (
    "{} keeps the token in its own file: `okr-tui token add NAME` makes one for it alone, which "
    "`okr-tui token revoke NAME` ends"
)


def _ollama(gateway: Gateway) -> Instructions:
    lines = [f'export OLLAMA_HOST="{gateway.reach.url}/{gateway.token}"', "ollama list"]
    return Instructions(IN_SHELL, lines, [IN_FILES.format("`ollama launch`")])


def _ollama_daemon(gateway: Gateway) -> Instructions:
    reach = gateway.reach
    if reach.daemon_url is None:
        again = f"the gateway at {reach.url}" if reach.runs else "the gateway"
        raise OkrError(
            f"{again} has no port for an ollama daemon: start it with `okr-tui serve --daemon-port PORT`, "
            "or set okr-tui.gateway.daemonPort"
        )
    return Instructions(
        "`ollama serve` reads this once, at its start; for a service: `sudo systemctl edit ollama`, under "
        f'[Service] Environment="OLLAMA_CLOUD_BASE_URL={reach.daemon_url}", `sudo systemctl restart ollama`',
        [f"export OLLAMA_CLOUD_BASE_URL={reach.daemon_url}", "ollama serve"],
        [
            "`ollama run MODEL-cloud` without a prompt asks ollama.com for an account and fails without one "
            "(`ollama signin`); with a prompt, or as `okr-tui connect ollama` says, it needs none"
        ],
    )


def _openai(gateway: Gateway) -> Instructions:
    lines = [
        f'export OPENAI_BASE_URL="{gateway.reach.url}/v1"',
        f'export OPENAI_API_KEY="{gateway.token}"',
    ]
    return Instructions(
        IN_SHELL,
        lines,
        ["Codex does not read OPENAI_BASE_URL and would send this token to OpenAI: `okr-tui connect codex`"],
    )


def _anthropic(gateway: Gateway) -> Instructions:
    return Instructions(
        IN_SHELL,
        [
            f'export ANTHROPIC_BASE_URL="{gateway.reach.url}"',
            f'export ANTHROPIC_AUTH_TOKEN="{gateway.token}"',
            f"export ANTHROPIC_MODEL={shlex.quote(gateway.model)}",
        ],
    )


def _claude_code(gateway: Gateway) -> Instructions:
    instructions = _anthropic(gateway)
    small = f"export ANTHROPIC_DEFAULT_HAIKU_MODEL={shlex.quote(gateway.model)}"
    # Without it an answer that breaks off is asked for, and paid for, once more as one document.
    once = "export CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK=1"
    # Otherwise it asks eleven times, for minutes, while the cloud is out.
    fewer_retries = "export CLAUDE_CODE_MAX_RETRIES=3"
    return Instructions(instructions.advice, [*instructions.lines, small, once, fewer_retries, "claude"])


def _codex(gateway: Gateway) -> Instructions:
    return Instructions(
        "Add this to ~/.codex/config.toml, or use --write:",
        _codex_block(gateway).splitlines(),
        [f"then: codex -c model_provider={OURS} -m {gateway.model}"],
    )


def _codex_block(gateway: Gateway) -> str:
    """Return the gateway as a provider of Codex, which runs a command for the token.

    Its variable OPENAI_BASE_URL is not read, and one that is exported reaches every shell it starts.
    """
    return "\n".join(
        [
            f"[model_providers.{OURS}]",
            f'name = "{OURS}"',
            f"base_url = {json.dumps(gateway.reach.url + '/v1')}",
            'wire_api = "responses"',
            f'auth = {{ command = "cat", args = [{json.dumps(str(gateway.token_file))}] }}',
        ]
    )


def _opencode(gateway: Gateway) -> Instructions:
    document = json.dumps({"provider": {OURS: _opencode_provider(gateway)}}, ensure_ascii=False, indent=2)
    return Instructions(
        "Add this to ~/.config/opencode/opencode.json, or use --write:",
        document.splitlines(),
        [f"then: opencode -m {OURS}/{gateway.model}"],
    )


def _opencode_provider(gateway: Gateway) -> dict[str, object]:
    """Return the gateway as a provider of opencode, which reads the token from its file."""
    return {
        "npm": "@ai-sdk/openai-compatible",
        "name": OURS,
        "options": {"baseURL": f"{gateway.reach.url}/v1", "apiKey": f"{{file:{gateway.token_file}}}"},
        "models": {model.id: _opencode_model(model) for model in gateway.models},
    }


def _opencode_model(model: "Model") -> dict[str, object]:
    document: dict[str, object] = {"name": model.id}
    if model.capabilities is not None:
        document |= {"tool_call": model.can("tools"), "attachment": model.can("vision")}
    if model.context_length:
        output = _longest_answer(model.context_length)
        document["limit"] = {"context": model.context_length, "output": output}
    return document


def _longest_answer(context_length: int) -> int:
    return max(1, min(LONGEST_ANSWER, context_length // 4))


def _aider(gateway: Gateway) -> Instructions:
    lines = [
        f'export OPENAI_API_BASE="{gateway.reach.url}/v1"',
        f'export OPENAI_API_KEY="{gateway.token}"',
        f"aider --model {shlex.quote('openai/' + gateway.model)} --no-show-model-warnings",
    ]
    return Instructions(IN_SHELL, lines)


def _llm(gateway: Gateway) -> Instructions:
    return Instructions(
        "Add this to extra-openai-models.yaml in the folder of `llm logs path`, or use --write:",
        _llm_block(gateway).splitlines(),
        [
            f'then: llm keys set {OURS} --value "{gateway.token}"; llm -m {OURS}/{gateway.model} hello',
            IN_FILES.format("llm"),
        ],
    )


def _llm_block(gateway: Gateway) -> str:
    """Return the models as llm's own file lists them; it is YAML, of which JSON texts are a part."""
    lines = []
    for model in gateway.models:
        lines += [
            f"- model_id: {json.dumps(f'{OURS}/{model.id}')}",
            f"  model_name: {json.dumps(model.id)}",
            f"  api_base: {json.dumps(gateway.reach.url + '/v1')}",
            f"  api_key_name: {OURS}",
        ]
        lines += ["  supports_tools: true"] * model.can("tools") + ["  vision: true"] * model.can("vision")
    return "\n".join(lines)


def _vscode(gateway: Gateway) -> Instructions:
    """Return how to add the gateway as a custom endpoint.

    code.visualstudio.com/docs/agent-customization/language-models; the provider for Ollama that VS Code
    brings itself is deprecated there.
    """
    models = [_vscode_model(model, gateway.reach.url + CHAT_COMPLETIONS.path) for model in gateway.models]
    older = json.dumps({"github.copilot.chat.byok.ollamaEndpoint": f"{gateway.reach.url}/TOKEN"})[1:-1]
    return Instructions(
        "In VS Code, run the command `Chat: Manage Language Models`, choose Add Models and Custom Endpoint, "
        f"name it {OURS}, enter the token as API key and choose Chat Completions; then replace the models in "
        "the file that opens:",
        ('"models": ' + json.dumps(models, ensure_ascii=False, indent=2)).splitlines(),
        [
            f"the token is in {gateway.token_file}; VS Code keeps it in its secret storage",
            f"VS Code before 1.122 takes {older} in settings.json instead, with the token in place of TOKEN; "
            "then: Chat, Manage Models, Ollama",
            IN_FILES.format("An older VS Code"),
        ],
    )


def _vscode_model(model: "Model", url: str) -> dict[str, object]:
    document: dict[str, object] = {"id": model.id, "name": model.id, "url": url}
    document |= {"toolCalling": model.can("tools"), "vision": model.can("vision")}
    if model.context_length:
        output = _longest_answer(model.context_length)
        document |= {"maxInputTokens": model.context_length - output, "maxOutputTokens": output}
    return document


def _open_webui(gateway: Gateway) -> Instructions:
    inside = gateway.reach.url.replace("127.0.0.1", "host.docker.internal").replace(
        "localhost", "host.docker.internal"
    )
    return Instructions(
        "Run this in a shell, with your IMAGE; containers reach the gateway after "
        "`okr-tui serve --host 0.0.0.0 --expose`:",
        [
            "docker run -d -p 3000:8080 --add-host=host.docker.internal:host-gateway \\",
            f'  -e OPENAI_API_BASE_URL="{inside}/v1" -e OPENAI_API_KEY="{gateway.token}" \\',
            "  -e ENABLE_OLLAMA_API=false -v open-webui:/app/backend/data IMAGE",
        ],
        [
            "without a container, the same two variables with this address instead: "
            f"{gateway.reach.url}/v1, and `open-webui serve`",
            "Open WebUI reads them at its first start and keeps them: later, change them in its Admin "
            "Settings, under Connections",
            IN_FILES.format("Open WebUI"),
        ],
    )


CLIENTS: Mapping[str, Callable[[Gateway], Instructions]] = {
    "ollama": _ollama,
    "ollama-daemon": _ollama_daemon,
    "openai": _openai,
    "anthropic": _anthropic,
    "claude-code": _claude_code,
    "codex": _codex,
    "opencode": _opencode,
    "aider": _aider,
    "llm": _llm,
    "vscode": _vscode,
    "open-webui": _open_webui,
}
WORDS: Mapping[str, str] = {
    PI: "pi's models.json, with --write and --undo",
    "ollama": "Ollama's command and libraries, by OLLAMA_HOST",
    "ollama-daemon": "`ollama serve`, for its cloud models",
    "openai": "OpenAI's libraries, and most programs that take a base URL",
    "anthropic": "Anthropic's libraries",
    "claude-code": "Claude Code",
    "codex": "Codex's config.toml, with --write and --undo",
    "opencode": "opencode.json, with --write and --undo",
    "aider": "aider",
    "llm": "llm's extra-openai-models.yaml, with --write and --undo",
    "vscode": "VS Code's Copilot chat",
    "open-webui": "Open WebUI, in a container",
}
NEEDS_MODELS = (PI, "anthropic", "claude-code", "codex", "opencode", "aider", "llm", "vscode")


def client_file(client: str, environment: Mapping[str, str], gateway: Gateway | None) -> ClientFile | None:
    """Return the file that a client reads, and how to configure it; None for a client without one."""
    home = home_folder(environment)
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    match client:
        case "codex":
            folder = Path(environment.get("CODEX_HOME") or home / ".codex")
            block = _codex_block(gateway) if gateway else ""
            return ClientFile(
                folder / "config.toml",
                lambda text: _toml(put_block(text, block, OTHER_TABLES)),
                lambda text, _: take_block(text, OTHER_TABLES),
                _toml,
            )
        case "opencode":
            json_file, with_comments = (config / "opencode" / f"opencode.{end}" for end in ("json", "jsonc"))
            path = with_comments if with_comments.exists() and not json_file.exists() else json_file
            provider = _opencode_provider(gateway) if gateway else {}
            return ClientFile(
                path,
                lambda text: put(_json(text), ("provider", OURS), provider),
                _without_provider,
                lambda text: json.loads(uncommented(text, blocks=True)),
            )
        case "llm":
            folder = Path(environment.get("LLM_USER_PATH") or config / "io.datasette.llm")
            block = _llm_block(gateway) if gateway else ""
            path = folder / "extra-openai-models.yaml"
            return ClientFile(
                path,
                lambda text: put_block(_yaml_list(text), block, OTHER_MODELS),
                lambda text, _: take_block(text, OTHER_MODELS),
                _yaml_list,
            )
    return None


OTHER_TABLES = rf"\[(?!model_providers\.{OURS}[\].])"
OTHER_MODELS = rf"- (?!model_id: \"{OURS}/)"
"""How what is not ours begins, as patterns, in config.toml and in llm's list of models."""


def _without_provider(text: str, before: str) -> str:
    """Return the text of opencode's file without the gateway, and without an object that was made for it."""
    text = take_out(_json(text), ("provider", OURS))
    strict = plain(text, blocks=True)
    is_empty = (span := locate(strict, ("provider",))) and json.loads(strict[span.start : span.end]) == {}
    had = locate(plain(before.removeprefix(BOM), blocks=True), ("provider",))
    return take_out(text, ("provider",)) if is_empty and not had else text


def _toml(text: str) -> str:
    """Return the text; raise ValueError where it is no TOML any more."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(
            f"it would not be valid TOML with [model_providers.{OURS}] in it ({error})"
        ) from None
    return text


def _json(text: str) -> str:
    if text.strip() and not isinstance(json.loads(plain(text, blocks=True)), dict):
        raise ValueError("it is not a JSON object")
    return text


def _yaml_list(text: str) -> str:
    """Return the text; raise ValueError where it is not a list whose items begin at the start of the line."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if lines and (lines[0] != "---" and not lines[0].startswith("- ")):
        raise ValueError("it is not the list of models that llm expects, each beginning with `- `")
    return text


def pi_provider(url: str, token: Path, models: "Sequence[Model]") -> dict[str, object]:
    """Return the gateway as a provider in pi's models.json.

    pi runs an apiKey that begins with an exclamation mark in `sh`, at each request and for at most 10 s, and
    strips its output: `resolveConfigValueUncached` in packages/coding-agent/src/core/
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
        "reasoning": model.thinks,
        "input": ["text", "image"] if model.can("vision") else ["text"],
    }
    if model.context_length:  # pi has defaults of its own; a zero would make it drop the provider
        document["contextWindow"] = model.context_length
        document["maxTokens"] = _longest_answer(model.context_length)
    if model.thinks:
        document["thinkingLevelMap"] = _pi_thinking(model)
    return document


def _pi_thinking(model: "Model") -> dict[str, str | None]:
    """Return what `/v1` takes for each of pi's levels of thinking; None hides one the model has not."""
    levels = USUAL_LEVELS if model.thinking is None else model.thinking
    found = {
        name: next((level for level in wanted if level in levels), None) for name, wanted in PI_LEVELS.items()
    }
    return {name: level and EFFORTS.get(level, level) for name, level in found.items()}


class MistakenError(click.ClickException):
    """A mistake in the command line, reported in one line."""

    exit_code = 2


@click.command()
@click.argument("client", metavar="[CLIENT]", required=False, type=click.Choice([PI, *CLIENTS]))
@click.option("--write", is_flag=True, help="Write it into the client's own file (pi, codex, opencode, llm).")
@click.option("--undo", is_flag=True, help="Undo what --write changed.")
@click.pass_obj
def connect(invocation: Invocation, client: str | None, *, write: bool, undo: bool) -> None:
    """Show how to point a client at the gateway.

    Without CLIENT, list the clients. ollama-daemon is for `ollama serve`, which then uses the pool for its
    cloud models.
    """
    if client is None:
        if write or undo:
            raise MistakenError("--write and --undo need a client")
        for line in table(WORDS.items()):
            show(line)
        return
    has_file = client == PI or client_file(client, invocation.sources().environment, None) is not None
    if (write or undo) and not has_file:
        raise MistakenError(f"{client} has no --write and --undo: it is configured in its shell")
    if write and undo:
        raise MistakenError("--write and --undo exclude each other")
    if undo and client == PI:
        _undo(invocation)
    elif undo:
        _undo_file(invocation, client)
    else:
        asyncio.run(_connect(invocation, client, write=write))


async def _connect(invocation: Invocation, client: str, *, write: bool) -> None:
    from okr_tui.gateway.tokens import SHARED, load_token

    state = invocation.state_folder
    load_token(state)
    async with invocation.open_service("cli", watching=False) as service:
        for problem in service.problems:
            note(f"okr-tui: {problem}")
        reach = _reach(service.configuration.settings.gateway, state)
        models = await _models(service) if client in NEEDS_MODELS else ()
    gateway = Gateway(reach, state / SHARED, models)
    if client == PI:
        _pi(invocation, pi_provider(reach.url, state / SHARED, models), write=write)
    elif write:
        _write_file(invocation, client, gateway)
    else:
        instructions = CLIENTS[client](gateway)
        note_text(instructions.advice)
        for line in instructions.lines:
            show(line)
        for line in instructions.notes:
            note(f"okr-tui: {line}")
    if not reach.runs:
        note(f"okr-tui: {NO_GATEWAY}")


def _write_file(invocation: Invocation, client: str, gateway: Gateway) -> None:
    file = client_file(client, invocation.sources().environment, gateway)
    assert file is not None
    if not gateway.models and client != "codex":
        raise OkrError(f"no models are known, so nothing was written to {file.path}; try again")
    instructions = CLIENTS[client](gateway)
    try:
        written = client_files.write(client, file, invocation.state_folder)
    except SettingsError:
        note(f"Not written; add this to {file.path}:")
        show_text("\n".join(instructions.lines))
        raise
    if written:
        show(f"Wrote the gateway to {file.path}; `okr-tui connect {client} --undo` removes it again")
    else:
        show(f"{file.path} is up to date; nothing was written")
    for line in instructions.notes:
        note(f"okr-tui: {line}")


def _undo_file(invocation: Invocation, client: str) -> None:
    file = client_file(client, invocation.sources().environment, None)
    assert file is not None
    words = {
        "nothing": f"Nothing to undo: the gateway is not in {file.path}",
        "restored": f"{file.path} is as it was before",
        "removed": f"Removed {file.path}, which was created for the gateway",
        "taken out": f"Removed the gateway from {file.path}; other changes made there since are kept",
    }
    show(words[client_files.undo(client, file, invocation.state_folder)])


def _reach(options: "GatewayOptions", state: Path) -> Reach:
    from okr_tui.domain.addresses import url
    from okr_tui.gateway.daemon import HOST
    from okr_tui.services.gateway_registry import running_gateway

    if running := running_gateway(state):
        return Reach(running.url, running.daemon_url, runs=True)
    for name, port in (("port", options.port), ("daemonPort", options.daemon_port)):
        if port == 0:
            raise OkrError(
                f"okr-tui.gateway.{name} is 0, a different port at each start; run `okr-tui serve` first, "
                "or set a fixed port"
            )
    return Reach(options.url, url(HOST, options.daemon_port) if options.daemon_port else None, runs=False)


async def _models(service: "PoolService") -> "tuple[Model, ...]":
    """Return the models that are listed now, or the last known ones when they cannot be read."""
    await service.catalog.refresh()
    if service.catalog.error:
        note(f"okr-tui: models not read: {service.catalog.error}")
    return tuple(model for model in service.catalog.models if model.status == "listed")


def _pi(invocation: Invocation, provider: dict[str, object], *, write: bool) -> None:
    from okr_tui.settings import pi

    sources = invocation.sources()
    path = pi.models_file(sources.global_file)
    whole = {pi.PROVIDERS_KEY: {PROVIDER: provider}}
    document = json.dumps(whole, ensure_ascii=False, indent=2)
    if write:
        _write(path, provider, invocation.state_folder, document)
    else:
        note(f"Add this to {path}, or use --write:")
        show_text(document)
    for warning in _warnings(sources, path.parent):
        note(f"okr-tui: {warning}")


def _write(path: Path, provider: dict[str, object], state: Path, document: str) -> None:
    from okr_tui.settings import pi

    if not provider["models"]:
        raise OkrError(f"no models are known, so nothing was written to {path}; try again")
    try:
        done = pi.write(path, provider, state)
    except SettingsError:
        note(f"Not written; add this to {path}:")
        show_text(document)
        raise
    if not done.changed:
        show(f"{path} is up to date; nothing was written")
        return
    show(f"Wrote the provider {PROVIDER} to {path}")
    if done.moved:
        note(
            f"okr-tui: the provider {PROVIDER} that was there is {done.moved} now, and bypasses "
            "the gateway; --undo restores its name"
        )
    if not done.kept:
        note(f"okr-tui: another program changed {path} right after; check it and try again")


def _undo(invocation: Invocation) -> None:
    from okr_tui.settings import pi

    path = pi.models_file(invocation.sources().global_file)
    done = pi.undo(path, invocation.state_folder)
    if done is None:
        show(f"Nothing to undo: no provider was written to {path}")
    elif not done.changed:
        show(f"Nothing to undo: the provider is gone from {path} already")
    elif done.gone:
        show(f"Removed {path}, which was created for the provider {PROVIDER}")
    else:
        restored = "; the earlier provider has its name back" if done.restored else ""
        show(f"Removed the provider {PROVIDER} from {path}{restored}")
    if done and not done.kept:
        note(f"okr-tui: another program changed {path} right after; check it and try again")


def _warnings(sources: "Sources", agent: Path) -> Iterator[str]:
    """Yield what keeps pi from using the gateway; `agent` is the folder of its models.json.

    The only environment variable that matters is the one that moves that folder: pi reads keys of its
    built-in providers alone from the environment.
    """
    from okr_tui.settings import pi
    from okr_tui.settings.locations import agent_folder

    if agent != agent_folder(sources.environment):
        yield f"pi reads this models.json only with PI_CODING_AGENT_DIR={shlex.quote(str(agent))}"
    for path in dict.fromkeys((sources.global_file, agent / "settings.json", sources.project_file)):
        try:
            names = list(pi.extension_lists(path))
        except SettingsError as error:
            yield f"{error}; pi may load {pi.EXTENSION} from there, which would replace the provider"
            continue
        for name in names:
            yield (
                f"{path} loads {pi.EXTENSION} in {name}, which replaces the provider, so requests bypass "
                f"the gateway: remove it there, or `pi remove npm:{pi.EXTENSION}`"
            )
    auth = pi.auth_file(agent)
    try:
        providers = [found.provider for found in pi.stored_keys(auth, sources.environment)]
    except SettingsError as error:
        yield f"{error}; an entry {PROVIDER} there would be sent in place of the gateway's token"
        return
    if PROVIDER in providers:
        yield (
            f"{auth} has a key for {PROVIDER}, which pi sends in place of the gateway's token: "
            f"`okr-tui import-keys` adds it to the pool; then /logout in pi, and choose {PROVIDER}"
        )
