"""Clients as their users run them, told of the gateway by `okr-tui connect`, each in its own environment.

They answer, use the pool without noticing a spent key, and tell what cannot be helped: once, in words, soon.
"""

import os
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.clients.gateway_process import CommandResult, GatewayProcess
from tests.clients.installed import ENVIRONMENTS, environment, node, packaged

MODEL = "gpt-oss:20b"
ANSWER = re.compile(r"I am doing well|A small plan that works well|it depends on what you measure")
"""What the simulated cloud answers to a greeting, also behind much else."""
CHAT, RESPONSES, MESSAGES, NATIVE = "/v1/chat/completions", "/v1/responses", "/v1/messages", "/api/chat"
BACK = "next key free in"
Command = Callable[[GatewayProcess, str], list[str]]


@dataclass(frozen=True)
class Agent:
    """A client: how it is told of the gateway, and how it is asked from a shell.

    `command` makes what the shell runs; `asks` is how often one prompt is sent, titles included. `shows_cut`
    says that it tells of an answer that broke off, `uses_tools` that it has a tool of the test's.
    """

    name: str
    path: str
    command: Command
    connect: tuple[str, ...] = ()
    asks: int = 1
    shows_cut: bool = True
    uses_tools: bool = False

    def __str__(self) -> str:
        return self.name


def _python(code: str, client: str) -> Command:
    def command(_: GatewayProcess, prompt: str) -> list[str]:
        return [str(environment(client) / ".venv/bin/python"), "-c", code, prompt]

    return command


def _codex(_: GatewayProcess, prompt: str) -> list[str]:
    program = packaged(environment("codex"), "@openai/codex-*/vendor/*/bin/codex")
    provider = ("-c", "model_provider=okr-tui", "-m", MODEL)
    return [str(program), "exec", "--skip-git-repo-check", *provider, prompt]


def _opencode(_: GatewayProcess, prompt: str) -> list[str]:
    program = packaged(environment("opencode"), "opencode-linux-x64/bin/opencode")
    return [str(program), "run", "-m", f"okr-tui/{MODEL}", prompt]


def _claude_code(_: GatewayProcess, prompt: str) -> list[str]:
    program = packaged(environment("claude-code"), "@anthropic-ai/claude-code-*/claude")
    return [str(program), "-p", prompt, "--model", MODEL]


def _aider(_: GatewayProcess, prompt: str) -> list[str]:
    quiet = ("--no-git", "--no-check-update", "--no-analytics", "--no-pretty", "--no-fancy-input")
    program = environment("aider") / ".venv/bin/aider"
    mode = ("--chat-mode", "ask", "--yes-always", "--no-show-model-warnings")
    return [str(program), "--model", f"openai/{MODEL}", *quiet, *mode, "--message", prompt]


def _aider_ollama(gateway: GatewayProcess, prompt: str) -> list[str]:
    command = _aider(gateway, prompt)
    command[command.index(f"openai/{MODEL}")] = f"ollama_chat/{MODEL}"
    return ["env", f"OLLAMA_API_BASE={gateway.url}/{gateway.token}", *command]


def _llm(model: str) -> Command:
    def command(_: GatewayProcess, prompt: str) -> list[str]:
        return [str(environment("llm") / ".venv/bin/llm"), "-m", model, prompt]

    return command


def _ai_sdk(provider: str) -> Command:
    def command(gateway: GatewayProcess, prompt: str) -> list[str]:
        script = environment("ai-sdk") / "client.mjs"
        return [node(), str(script), provider, gateway.url, gateway.token, prompt]

    return command


LANGCHAIN = """
import sys
from langchain_{0} import Chat{1} as Client
print(Client(model="gpt-oss:20b").invoke(sys.argv[1]).content)
"""
AGENTS = (
    Agent("codex", RESPONSES, _codex, ("codex", "--write")),
    Agent("opencode", CHAT, _opencode, ("opencode", "--write"), asks=2),
    Agent("claude-code", MESSAGES, _claude_code, ("claude-code",)),
    Agent("aider", CHAT, _aider, ("aider",)),
    Agent("aider-ollama", NATIVE, _aider_ollama),
    Agent("llm", CHAT, _llm(f"okr-tui/{MODEL}"), ("llm", "--write")),
    Agent("llm-ollama", NATIVE, _llm(f"ollama/{MODEL}"), ("ollama",)),
    Agent(
        "langchain-ollama", NATIVE, _python(LANGCHAIN.format("ollama", "Ollama"), "langchain"), ("ollama",)
    ),
    # It asks for a document, which cannot break off halfway.
    Agent(
        "langchain-openai",
        CHAT,
        _python(LANGCHAIN.format("openai", "OpenAI"), "langchain"),
        ("openai",),
        shows_cut=False,
    ),
    Agent("ai-sdk-openai", RESPONSES, _ai_sdk("openai"), uses_tools=True),
    Agent("ai-sdk-compatible", CHAT, _ai_sdk("compatible"), uses_tools=True),
    Agent("ai-sdk-anthropic", MESSAGES, _ai_sdk("anthropic"), uses_tools=True),
    # Its provider for Ollama knows no errors within a stream.
    Agent("ai-sdk-ollama", NATIVE, _ai_sdk("ollama"), uses_tools=True, shows_cut=False),
)
pytestmark = pytest.mark.timeout(120)


@dataclass(frozen=True)
class Session:
    """A client that has been told of a gateway."""

    agent: Agent
    gateway: GatewayProcess
    exports: str

    async def ask(self, prompt: str = "Hello") -> CommandResult:
        """Ask as from a shell."""
        command = shlex.join(self.agent.command(self.gateway, prompt))
        return await self.gateway.run("sh", "-c", f"{self.exports}\nexec {command}", **home_of(self.gateway))

    async def asked(self) -> list[int]:
        """End the gateway; return the statuses of the requests for answers."""
        return [record["status"] for record in await self.gateway.access_log(self.agent.path)]


def home_of(gateway: GatewayProcess) -> dict[str, str]:
    """The variables of a new user's home."""
    home = gateway.agent.parent
    kept = {"OKR_TUI_SETTINGS": str(gateway.agent / "settings.json"), "CI": "1"}
    state = os.environ.get("XDG_STATE_HOME")
    return {"HOME": str(home), **kept, **({"XDG_STATE_HOME": state} if state else {})}


def words(result: CommandResult) -> str:
    """What a person reads, without the breaks that a narrow screen makes."""
    return " ".join((result.out + result.err).split())


@pytest.fixture(params=AGENTS, ids=str)
async def session(request: pytest.FixtureRequest, gateway_process: GatewayProcess) -> Session:
    """Each client, connected as `okr-tui connect` says."""
    agent: Agent = request.param
    agent.command(gateway_process, "")  # skips where it is not installed
    exports = ""
    if agent.connect:
        okr_tui = (sys.executable, "-m", "okr_tui", "connect", *agent.connect)
        connected = await gateway_process.run(*okr_tui, **home_of(gateway_process))
        assert connected.code == 0, connected.err
        assert gateway_process.token not in connected.out + connected.err
        exports = "\n".join(line for line in connected.out.splitlines() if line.startswith("export "))
        if agent.name == "llm":
            (line,) = (line for line in connected.err.splitlines() if "llm keys set" in line)
            keys_set = line.partition("then: llm ")[2].partition(";")[0]
            exports = f"{environment('llm') / '.venv/bin/llm'} {keys_set}"
    return Session(agent, gateway_process, exports)


async def test_it_is_answered(session: Session) -> None:
    result = await session.ask()
    assert result.code == 0, words(result)
    assert ANSWER.search(words(result))
    assert set(await session.asked()) == {200}


async def test_a_spent_key_is_not_noticed(session: Session) -> None:
    await session.gateway.fault("session", account="amber", path=session.agent.path, times=None)
    result = await session.ask()
    assert result.code == 0, words(result)
    assert ANSWER.search(words(result))
    assert set(await session.asked()) == {200}


async def test_all_spent_is_told_once_and_at_once(session: Session) -> None:
    await session.gateway.spend(session.agent.path)
    result = await session.ask()
    assert BACK in words(result)
    statuses = await session.asked()
    assert len(statuses) <= 2
    assert set(statuses) <= {400, 402}


async def test_no_valid_key_is_told_once(session: Session) -> None:
    await session.gateway.fault("unauthorized", path=session.agent.path, times=None)
    result = await session.ask()
    assert "no key can take this request" in words(result)
    statuses = await session.asked()
    assert len(statuses) <= 2
    assert set(statuses) <= {400, 403}


async def test_a_cut_answer_is_told_and_not_asked_for_again(session: Session) -> None:
    path, asks = session.agent.path, session.agent.asks
    await session.gateway.fault("session", in_stream=True, after=12, path=path, times=asks)
    result = await session.ask()
    if session.agent.shows_cut:
        assert "ran out in the middle" in words(result)
    assert len(await session.asked()) == asks


async def test_a_tool_is_called_and_its_result_answered(session: Session) -> None:
    if not session.agent.uses_tools:
        return
    result = await session.ask("What is the weather in Oslo?")
    assert result.code == 0, words(result)
    assert "rain" in words(result)
    assert await session.asked() == [200, 200]


def test_each_environment_has_an_agent() -> None:
    folders = {folder.name for folder in ENVIRONMENTS.iterdir() if folder.is_dir()}
    assert folders == {"codex", "opencode", "claude-code", "ai-sdk", "aider", "llm", "langchain"}
