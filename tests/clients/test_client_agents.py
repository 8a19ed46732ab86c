"""Clients as their users run them, told of the gateway by `okr-tui connect`, each in its own environment.

They answer, use the pool without noticing a spent key, and tell what cannot be helped: once, in words, soon.
"""

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from okr_tui.demo import inference
from okr_tui.demo.answers import ScriptedAnswer, ScriptedToolCall, compose
from tests.clients.gateway_process import CommandResult, GatewayProcess
from tests.clients.installed import ENVIRONMENTS, HERE, environment, node, packaged
from tests.clients.samples import IMPATIENT, hurry

MODEL = "gpt-oss:20b"
ANSWER = re.compile(r"I am doing well|A small plan that works well|it depends on what you measure")
"""What the simulated cloud answers to a greeting, also behind much else."""
CHAT, RESPONSES, MESSAGES, NATIVE = "/v1/chat/completions", "/v1/responses", "/v1/messages", "/api/chat"
BACK = "next key free in"
Command = Callable[[GatewayProcess, str], list[str]]


@dataclass(frozen=True)
class Agent:
    """A client: how it is told of the gateway, and how it is asked from a shell.

    `command` makes what the shell runs; `asks` is how often one prompt is sent, titles included, and `tries`
    how often at most where that fails for a moment; None where it goes on for minutes. `cut` is what it says
    of an answer that broke off, None where it takes no stream. `tool` is a tool that it has, to be called
    with `arguments`, empty where its user has to add one; `allowed` are the words by which a user allows that
    beforehand.
    """

    name: str
    path: str
    command: Command
    connect: tuple[str, ...] = ()
    asks: int = 1
    tries: int | None = 3
    cut: str | None = "ran out in the middle"
    tool: str = "get_weather"
    arguments: Mapping[str, object] = field(default_factory=lambda: {"city": "Oslo"})
    allowed: tuple[str, ...] = ()

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


def _open_webui(_: GatewayProcess, prompt: str) -> list[str]:
    python = environment("open-webui") / ".venv/bin/python"
    return [str(python), str(HERE / "open_webui_client.py"), prompt]


def _continue(gateway: GatewayProcess, prompt: str) -> list[str]:
    """Ask with the core of Continue for VS Code, which takes its settings from a file."""
    script = environment("continue") / "node_modules/@continuedev/cli/dist/cn.js"
    model = {"name": "a", "provider": "openai", "model": MODEL, "apiBase": f"{gateway.url}/v1"}
    model |= {"apiKey": gateway.token}
    settings = gateway.agent.parent / "continue.yaml"
    settings.write_text(json.dumps({"name": "a", "version": "1.0.0", "schema": "v1", "models": [model]}))
    return [node(), str(script), "--config", str(settings), "-p", prompt]


def _cline(gateway: GatewayProcess, prompt: str) -> list[str]:
    """Ask with the core of Cline for VS Code."""
    program = shlex.quote(str(packaged(environment("cline"), "@cline/cli-linux-x64/bin/cline")))
    given = f"-k {gateway.token} -m {MODEL} -b {gateway.url}/v1"
    ask = f'{program} -P openai-compatible "$0" "$@"'
    several = prompt if " " in prompt else f"{prompt} there"  # it takes one word for a command
    return ["sh", "-c", f"{program} auth -p openai-compatible {given} >&2 && exec {ask}", several]


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
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_{0} import Chat{1}

@tool
def get_weather(city: str) -> str:
    'The weather of a city'
    return "rain"

client = Chat{1}(model="gpt-oss:20b")
said = [HumanMessage(sys.argv[1])]
if "weather" in sys.argv[1]:
    said.append(client.bind_tools([get_weather]).invoke(said))
    said += [get_weather.invoke(call) for call in said[-1].tool_calls]
print(client.invoke(said).content)
"""
SHELL = {"command": "echo ra''in", "description": "Tell the weather"}
LLM_TOOL = "def get_weather(city: str) -> str: return 'rain'"
AGENTS = (
    Agent(
        "codex",
        RESPONSES,
        _codex,
        ("codex", "--write"),
        tries=6,
        tool="exec_command",
        arguments={"cmd": "echo ra''in"},
        allowed=("--dangerously-bypass-approvals-and-sandbox",),
    ),
    Agent(
        "opencode", CHAT, _opencode, ("opencode", "--write"), asks=2, tries=9, tool="bash", arguments=SHELL
    ),
    Agent(
        "claude-code",
        MESSAGES,
        _claude_code,
        ("claude-code",),
        tries=4,
        tool="Bash",
        arguments=SHELL,
        allowed=("--allowedTools", "Bash"),
    ),
    Agent("aider", CHAT, _aider, ("aider",), tries=9),
    Agent("aider-ollama", NATIVE, _aider_ollama, tries=9),
    Agent("llm", CHAT, _llm(f"okr-tui/{MODEL}"), ("llm", "--write"), allowed=("--functions", LLM_TOOL)),
    Agent(
        "llm-ollama", NATIVE, _llm(f"ollama/{MODEL}"), ("ollama",), tries=1, allowed=("--functions", LLM_TOOL)
    ),
    Agent(
        "langchain-ollama",
        NATIVE,
        _python(LANGCHAIN.format("ollama", "Ollama"), "langchain"),
        ("ollama",),
        tries=1,
    ),
    # It asks for a document, which cannot break off halfway.
    Agent(
        "langchain-openai",
        CHAT,
        _python(LANGCHAIN.format("openai", "OpenAI"), "langchain"),
        ("openai",),
        cut=None,
    ),
    # It asks for a title as well.
    Agent("open-webui", CHAT, _open_webui, ("open-webui",), asks=2, tries=2, tool=""),
    Agent(
        "continue",
        CHAT,
        _continue,
        tries=None,
        tool="Bash",
        arguments={"command": "echo ra''in"},
        allowed=("--allow", "Bash"),
    ),
    Agent("cline", CHAT, _cline, tries=6, tool="run_commands", arguments={"commands": ["echo ra''in"]}),
    Agent("ai-sdk-openai", RESPONSES, _ai_sdk("openai")),
    Agent("ai-sdk-compatible", CHAT, _ai_sdk("compatible")),
    Agent("ai-sdk-anthropic", MESSAGES, _ai_sdk("anthropic")),
    # Its provider for Ollama knows no errors within a stream, and tells of a cut connection.
    Agent("ai-sdk-ollama", NATIVE, _ai_sdk("ollama"), cut="terminated"),
)
pytestmark = pytest.mark.timeout(240)


@dataclass(frozen=True)
class Session:
    """A client that has been told of a gateway."""

    agent: Agent
    gateway: GatewayProcess
    exports: str

    async def ask(self, prompt: str = "Hello", *more: str) -> CommandResult:
        """Ask as from a shell; `more` is for the command."""
        command = shlex.join([*self.agent.command(self.gateway, prompt), *more])
        return await self.gateway.run("sh", "-c", f"{self.exports}\nexec {command}", **home_of(self.gateway))

    async def asked(self, result: CommandResult | None = None) -> list[int]:
        """End the gateway; return the statuses of the requests for answers.

        With a result, it is one that came to its end soon after the first was answered.
        """
        records = await self.gateway.access_log(self.agent.path)
        assert result is None or result.ended_soon(records), "its end was long in coming"
        return [record["status"] for record in records]


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
        if agent.name == "open-webui":  # without its container, as a note says
            (key,) = re.findall(r'OPENAI_API_KEY="[^"]+"', connected.out)
            (address,) = re.findall(r"this address instead: (\S+/v1)", connected.err)
            exports = f"export {key} OPENAI_API_BASE_URL={address}"
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


async def test_all_spent_is_reported_once_and_at_once(session: Session) -> None:
    await session.gateway.spend(session.agent.path)
    result = await session.ask()
    assert BACK in words(result)
    statuses = await session.asked(result)
    assert len(statuses) <= 2
    assert set(statuses) <= {400, 402}


async def test_no_valid_key_is_reported_once(session: Session) -> None:
    await session.gateway.fault("unauthorized", path=session.agent.path, times=None)
    result = await session.ask()
    assert "no key can take this request" in words(result)
    statuses = await session.asked(result)
    assert len(statuses) <= 2
    assert set(statuses) <= {400, 403}


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        ("subscription", "the plan does not include this model"),
        ("context-too-long", "prompt too long"),
        ("too-large", "too large"),
    ],
)
async def test_what_else_cannot_be_helped_is_reported_once(session: Session, fault: str, shown: str) -> None:
    await session.gateway.fault(fault, path=session.agent.path, times=None)
    result = await session.ask()
    found = words(result).lower()
    assert shown.lower() in found or (fault == "too-large" and "request entity too large" in found)
    statuses = await session.asked(result)
    assert len(statuses) <= session.agent.asks + 1


@pytest.mark.parametrize("gateway_process", [IMPATIENT], indirect=True)
@pytest.mark.parametrize("fault", ["rate-limit", "concurrency"])
async def test_what_passes_soon_is_reported_as_that_and_never_as_quota(
    session: Session, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if session.agent.tries is None:
        return
    hurry(fault, monkeypatch)
    await session.gateway.fault(fault, path=session.agent.path, times=None)
    result = await session.ask()
    assert BACK in words(result)
    assert "insufficient_quota" not in words(result)  # aider speaks of quotas itself
    statuses = await session.asked()
    # Codex finds it in a stream.
    assert set(statuses) == {200 if session.agent.name == "codex" else 429}
    assert len(statuses) <= session.agent.tries


@pytest.mark.parametrize("gateway_process", [IMPATIENT], indirect=True)
async def test_an_outage_is_reported_in_words_after_a_few_requests(session: Session) -> None:
    if session.agent.tries is None:
        return
    await session.gateway.fault("unavailable", path=session.agent.path, times=None)
    result = await session.ask()
    assert "Service Temporarily Unavailable" in words(result) or "does not answer" in words(result)
    statuses = await session.asked()
    assert set(statuses) <= {200, 400, 503}
    assert len(statuses) <= session.agent.tries


async def test_a_cut_answer_is_reported_and_not_asked_for_again(session: Session) -> None:
    path, asks = session.agent.path, session.agent.asks
    await session.gateway.fault("session", in_stream=True, after=12, path=path, times=asks)
    result = await session.ask()
    if session.agent.cut:
        assert session.agent.cut in words(result)
    assert len(await session.asked()) == asks


EDIT = "plan.txt\n<<<<<<< SEARCH\n=======\nrain\n>>>>>>> REPLACE\n"


async def test_a_tool_is_called_and_its_result_answered(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, prompt = session.agent, "What is the weather in Oslo?"
    if not agent.tool:
        return

    def answer(
        asked: str, tools: Sequence[Mapping[str, object]] = (), result: str | None = None
    ) -> ScriptedAnswer:
        """What a model says that calls the client's tool."""
        if result is None and tools and prompt in asked:
            return ScriptedAnswer(
                "Look.", "", (ScriptedToolCall(agent.tool, dict(agent.arguments), "call_1"),)
            )
        return ScriptedAnswer("", EDIT) if "plan.txt" in asked else compose(asked, (), result)

    monkeypatch.setattr(inference, "compose", answer)
    if agent.name.startswith("aider"):  # which has none: it edits files as the answer says
        result = await session.ask("Write a plan.txt", "--edit-format", "diff")
        assert result.code == 0, words(result)
        assert (session.gateway.agent.parent / "plan.txt").read_text() == "rain\n"
        return
    result = await session.ask(prompt, *agent.allowed)
    assert result.code == 0, words(result)
    assert "The tool reports: " in words(result)
    assert "rain" in words(result).partition("The tool reports: ")[2]
    statuses = await session.asked()
    assert set(statuses) == {200}
    assert len(statuses) in (agent.asks + 1, agent.asks + 2)  # a title may be asked for as well


async def test_what_codex_adds_to_its_file_outlives_undo(gateway_process: GatewayProcess) -> None:
    codex = _codex(gateway_process, "")[0]
    home = home_of(gateway_process)
    file = gateway_process.agent.parent / ".codex/config.toml"
    file.parent.mkdir()
    before = '# mine\nmodel = "a"\n\n[tui]\n'
    file.write_text(before)
    connect = (sys.executable, "-m", "okr_tui", "connect", "codex")
    added = (codex, "mcp", "add", "other", "--", "echo")
    for command in ((*connect, "--write"), added, (*connect, "--write"), (*connect, "--undo")):
        result = await gateway_process.run(*command, **home)
        assert result.code == 0, words(result)
    assert file.read_text().startswith(before)
    assert "[mcp_servers.other]" in file.read_text()
    assert "okr-tui" not in file.read_text()


def test_each_environment_has_an_agent() -> None:
    folders = {folder.name for folder in ENVIRONMENTS.iterdir() if folder.is_dir()}
    assert folders == {
        "codex",
        "opencode",
        "claude-code",
        "ai-sdk",
        "aider",
        "llm",
        "langchain",
        "open-webui",
        "continue",
        "cline",
    }
