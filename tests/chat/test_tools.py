"""Tools: called, consented to, bounded, failing; the web through the pool, and servers of tools."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from okr_tui.chat import session, tools
from okr_tui.chat.answer import PoolClient
from okr_tui.chat.conversation import ConsentRequested, Conversation, Ended, Noted, ToolRan
from okr_tui.chat.mcp import McpServer, _reason
from okr_tui.chat.messages import RESULT_LONGEST, ToolResult
from okr_tui.chat.options import ChatOptions
from okr_tui.chat.service import ConversationService
from okr_tui.chat.tools import Tool, Toolbox, ToolServers, run
from okr_tui.cloud.dialects import ToolCall
from okr_tui.domain.errors import ChatError
from okr_tui.domain.keys import SecretStr
from okr_tui.settings.table import ChatSettings, ToolServer
from tests.harness import MODEL, Harness
from tests.waiting import until

SERVER = Path(__file__).parent / "tool_server.py"
ON = ChatOptions(tools=True)


def server_entry(*arguments: str, **env: str) -> dict[str, object]:
    """The tool server as settings name it."""
    return {"command": sys.executable, "args": [str(SERVER), *arguments], "env": env}


def with_chat(harness: Harness, **section: object) -> None:
    """Write settings with a chat section."""
    harness.write_settings()
    document = json.loads(harness.settings_file.read_text())
    document["okr-tui"]["chat"] = section
    harness.settings_file.write_text(json.dumps(document))


@pytest.fixture
async def chat(harness: Harness) -> AsyncIterator[ConversationService]:
    """Conversations whose settings were written before."""
    async with (
        harness.open() as service,
        ConversationService.open(PoolClient(service), harness.home) as opened,
    ):
        yield opened


class Person:
    """Answers what is asked of a person, and remembers what was seen."""

    def __init__(self, *answers: bool, always: bool = False) -> None:
        self.answers = list(answers)
        self.always = always
        self.asked: list[ConsentRequested] = []
        self.ran: list[ToolRan] = []
        self.notes: list[str] = []
        self.conversation: Conversation | None = None

    async def ask(self, chat: ConversationService, text: str, identifier: str | None = None) -> list[str]:
        """Ask, and tell the texts of all turns."""
        answering = await chat.ask(identifier or chat.new(MODEL, ON).id, text)
        async for event in answering:
            match event:
                case ConsentRequested():
                    self.asked.append(event)
                    event.decide(allow=self.answers.pop(0), always=self.always)
                case ToolRan():
                    self.ran.append(event)
                case Noted():
                    self.notes.append(event.text)
                case Ended():
                    self.conversation = event.conversation
        assert self.conversation is not None
        return [turn.message.content for turn in self.conversation.turns]


async def test_a_model_searches_the_web_with_the_pool(chat: ConversationService, harness: Harness) -> None:
    person = Person()
    question, call, result, answer = await person.ask(chat, "search for London")
    assert (question, call) == ("search for London", "")
    assert '"url": "https://example.com/1"' in result
    assert answer.startswith("The tool reports: **{")
    assert person.asked == []
    assert len(await harness.sent("/api/web_search")) == 1
    assert len(await harness.sent()) == 2
    assert person.conversation is not None
    roles = [turn.message.role for turn in person.conversation.turns]
    assert roles == ["user", "assistant", "tool", "assistant"]


async def test_a_page_is_fetched_and_calls_are_answered_in_order(
    chat: ConversationService, harness: Harness
) -> None:
    person = Person(True)
    texts = await person.ask(chat, "use web_fetch and web_search now")
    assert [ran.call.name for ran in person.ran] == ["web_search", "web_fetch"]
    assert "Example Domain" in texts[3]
    assert len(await harness.sent("/api/web_fetch")) == 1


async def test_no_tools_unless_asked_for(chat: ConversationService, harness: Harness) -> None:
    answering = await chat.ask(chat.new(MODEL).id, "search for London")
    assert not any(isinstance(event, ToolRan) for event in [event async for event in answering])
    assert await harness.sent("/api/web_search") == []


async def test_a_failure_goes_back_to_the_model(chat: ConversationService, harness: Harness) -> None:
    await harness.fault("bad-request", path="/api/web_search")
    person = Person()
    texts = await person.ask(chat, "search for London")
    assert person.ran[0].result.failed
    assert "400" in texts[2]
    assert texts[3].startswith("The tool reports: **Error: ")


async def test_a_person_may_refuse_and_allow_for_good(harness: Harness) -> None:
    with_chat(harness, confirm={"web_search": "ask"}, tools=True)
    async with harness.open() as service, ConversationService.open(PoolClient(service), harness.home) as chat:
        conversation = chat.new(MODEL).id
        person = Person(False)
        texts = await person.ask(chat, "search for London", conversation)
        assert "refused" in texts[2]
        assert await harness.sent("/api/web_search") == []
        person = Person(True, always=True)
        await person.ask(chat, "search for Paris", conversation)
        assert person.asked[0].call.name == "web_search"
        await person.ask(chat, "search for Rome", conversation)
        assert len(person.asked) == 1
        assert len(await harness.sent("/api/web_search")) == 2


async def test_a_tool_that_is_never_to_be_called_is_not_offered(harness: Harness) -> None:
    with_chat(harness, confirm={"web_search": "never"}, tools=True)
    async with harness.open() as service, ConversationService.open(PoolClient(service), harness.home) as chat:
        person = Person()
        assert len(await person.ask(chat, "search for London")) == 2


async def test_rounds_end(harness: Harness) -> None:
    with_chat(harness, maxToolRounds=2, tools=True)
    async with harness.open() as service, ConversationService.open(PoolClient(service), harness.home) as chat:
        person = Person()
        texts = await person.ask(chat, "search without end")
        assert len(person.ran) == 2
        assert len(await harness.sent()) == 3
        assert person.notes == ["2 rounds of tool calls were run; the model answers without more"]
        assert texts[-1]


async def test_a_stopped_question_runs_no_tool(harness: Harness) -> None:
    with_chat(harness, confirm={"web_search": "ask"}, tools=True)
    async with harness.open() as service, ConversationService.open(PoolClient(service), harness.home) as chat:
        identifier = chat.new(MODEL).id
        answering = await chat.ask(identifier, "search for London")
        async for event in answering:
            if isinstance(event, ConsentRequested):
                break
        await answering.aclose()
        assert await harness.sent("/api/web_search") == []
        ended = [event async for event in await chat.resume(identifier)][-1]
        assert isinstance(ended, Ended)
        assert (
            ended.conversation.turns[-1].message.content
            == "The tool reports: **Error: The call was not run.**\n"
        )


async def test_results_are_bounded_and_slow_tools_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "TOOL_SECONDS", 0.05)

    async def never(_: object) -> ToolResult:
        await asyncio.Event().wait()
        raise AssertionError

    result = await run(Tool("slow", "", {}, "always", never), ToolCall("slow", {}))
    assert result.failed
    assert result.text.startswith("slow did not answer")
    cut = ToolResult.of("x" * (RESULT_LONGEST + 1))
    assert cut.cut
    assert cut.text.endswith(f"[cut: {RESULT_LONGEST + 1} characters, the first {RESULT_LONGEST} are shown]")


@pytest.mark.slow(reason="starts tool servers as processes")
async def test_a_tool_server_in_a_conversation(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEYS", "never-shown-to-a-server")
    harness.environment["SOME_TOKEN"] = "four"
    with_chat(harness, tools=True, mcpServers={"t": server_entry(TOKEN="$SOME_TOKEN")})
    async with harness.open() as service, ConversationService.open(PoolClient(service), harness.home) as chat:
        person = Person(True, True, True, True)
        texts = await person.ask(chat, "t_add and t_fail and t_long and t_secret")
        assert [asked.server for asked in person.asked] == ["t"] * 4
        results = {ran.call.name: ran.result for ran in person.ran}
        assert results["t_add"].text == "2"
        assert results["t_fail"].failed
        assert "fail" in results["t_fail"].text
        assert results["t_long"].cut
        assert results["t_secret"].text == "4 False"
        assert len(texts) == 7
    assert capfd.readouterr() == ("", "")


def served(*arguments: str, **values: object) -> McpServer:
    """A tool server alone."""
    values = {"command": sys.executable, "arguments": (str(SERVER), *arguments), **values}
    return McpServer(ToolServer("t", **values), {})  # type: ignore[arg-type]


@pytest.mark.slow(reason="starts tool servers as processes")
@pytest.mark.parametrize(
    ("server", "words"),
    [
        (lambda: served(command="/no/such/program"), "tool server t: .*/no/such/program"),
        (lambda: served("--crash", env=secrets(TOKEN="hidden-token")), "it printed: cannot start with …"),
        (lambda: served(env=secrets(TOKEN="$NOT_SET")), "TOKEN: the environment variable NOT_SET"),
        (lambda: served(command="", url="http://127.0.0.1:9/mcp"), "tool server t: "),
    ],
)
async def test_a_server_that_cannot_be_used_is_one_line(server: object, words: str) -> None:
    made: McpServer = server()  # type: ignore[operator]
    with pytest.raises(ChatError, match=words) as raised:
        await made.tools(ChatSettings())
    assert "\n" not in str(raised.value)
    assert "hidden-token" not in str(raised.value)
    await made.close()


def secrets(**values: str) -> dict[str, object]:
    """References as settings hold them."""
    return {name: SecretStr(text) for name, text in values.items()}


def test_an_answer_that_is_none_of_the_protocol_is_reported_in_one_line() -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(dict[str, list[int]]).validate_python({"tools": ["x"]})
    words = _reason(ExceptionGroup("all", [refused.value]))
    assert words.startswith("its answer is not as the protocol has it: tools.0: Input ")
    assert "http" not in words


async def test_the_other_tools_continue_without_a_broken_server(harness: Harness) -> None:
    with_chat(harness, tools=True, mcpServers={"t": server_entry("--crash")})
    async with harness.open() as service, ConversationService.open(PoolClient(service), harness.home) as chat:
        person = Person()
        assert len(await person.ask(chat, "search for London")) == 4
        assert len(person.notes) == 1
        assert person.notes[0].startswith("tool server t: ")


async def test_a_server_over_http() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SERVER),
        "--http",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout
    try:
        port = int(await process.stdout.readline())
        server = served(command="", url=f"http://127.0.0.1:{port}/mcp")
        found = {tool.name: tool for tool in await server.tools(ChatSettings())}
        assert (await run(found["t_add"], ToolCall("t_add", {"a": 2, "b": 3}))).text == "5"
        await server.close()
    finally:
        process.kill()
        await process.wait()


@pytest.mark.slow(reason="starts tool servers as processes")
async def test_closing_ends_the_process_and_a_later_use_starts_it_again() -> None:
    server = served()
    first = {tool.name: tool for tool in await server.tools(ChatSettings())}
    assert (await run(first["t_add"], ToolCall("t_add", {"a": 1, "b": 1}))).text == "2"
    await server.close()
    closed = await run(first["t_add"], ToolCall("t_add", {"a": 1, "b": 1}))
    assert closed.failed
    again = {tool.name: tool for tool in await server.tools(ChatSettings())}
    assert (await run(again["t_add"], ToolCall("t_add", {"a": 1, "b": 1}))).text == "2"
    await server.close()


async def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(ChatError, match="install 'mcp>=2,<3'"):
        await served().tools(ChatSettings())


async def test_problems_of_the_settings_are_reported_and_changes_count_at_once(harness: Harness) -> None:
    with_chat(harness, tools="yes")
    async with harness.open() as service, ConversationService.open(PoolClient(service), harness.home) as chat:
        assert any("chat.tools is ignored" in problem for problem in service.problems)
        conversation = chat.new(MODEL).id
        assert len(await Person().ask(chat, "search for London", conversation)) == 2
        with_chat(harness, tools=True)
        await service.reload()
        assert len(await Person().ask(chat, "search for London", conversation)) == 6


class CountedServer:
    """A tool server that does nothing but count how often one was started and closed."""

    started = 0
    closed = 0

    def __init__(self, *_: object) -> None:
        type(self).started += 1

    async def tools(self, *_: object) -> tuple[Tool, ...]:
        """Return no tools."""
        return ()

    async def close(self) -> None:
        """Count the end."""
        type(self).closed += 1


async def test_a_tool_server_ends_with_its_settings_and_outlives_other_changes(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Server(CountedServer):
        pass

    monkeypatch.setattr(session, "McpServer", Server)
    servers = {"t": server_entry()}
    with_chat(harness, tools=True, mcpServers=servers)
    async with harness.open() as service, ConversationService.open(PoolClient(service), harness.home) as chat:
        conversation = chat.new(MODEL).id
        await Person().ask(chat, "hello", conversation)
        for rounds in (2, 3, 4):
            with_chat(harness, tools=True, mcpServers=servers, maxToolRounds=rounds)
            await service.reload()
            await Person().ask(chat, "hello", conversation)
        assert (Server.started, Server.closed) == (1, 0)
        with_chat(harness, tools=True, mcpServers={"t": server_entry("--other")})
        await service.reload()
        await asyncio.sleep(0)
        assert (Server.started, Server.closed) == (1, 1)
        await Person().ask(chat, "hello", conversation)
        with_chat(harness, tools=False, mcpServers={"t": server_entry("--other")})
        await service.reload()
        await asyncio.sleep(0)
        assert (Server.started, Server.closed) == (2, 2)


async def test_a_tool_server_that_is_used_ends_after_its_last_answer(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Server(CountedServer):
        pass

    monkeypatch.setattr(session, "McpServer", Server)
    with_chat(harness, tools=True, mcpServers={"t": server_entry()}, confirm={"web_search": "ask"})
    async with harness.open() as service, ConversationService.open(PoolClient(service), harness.home) as chat:
        answering = await chat.ask(chat.new(MODEL).id, "search for London")
        async for event in answering:
            if isinstance(event, ConsentRequested):
                with_chat(harness)
                await service.reload()
                await asyncio.sleep(0)
                assert (Server.started, Server.closed) == (1, 0)
                event.decide(allow=False)
        await asyncio.sleep(0)
        assert (Server.started, Server.closed) == (1, 1)


async def test_closing_does_not_wait_for_a_server_that_is_starting() -> None:
    silent = "import sys, time; print('up', file=sys.stderr, flush=True); time.sleep(60)"
    server = McpServer(ToolServer("t", sys.executable, ("-c", silent)), {})
    starting = asyncio.ensure_future(server.tools(ChatSettings()))
    await until(lambda: server._printed)
    began = asyncio.get_running_loop().time()
    await server.close()
    assert asyncio.get_running_loop().time() - began < 4
    with pytest.raises(ChatError, match="closed"):
        await starting


async def test_of_two_tools_of_one_name_the_second_is_left_out_and_named() -> None:
    class Server(CountedServer):
        async def tools(self, *_: object) -> tuple[Tool, ...]:
            async def never(_: object) -> ToolResult:
                raise AssertionError

            return (Tool("x_y_z", "", {}, "ask", never, "x_y"),)

    settings = ChatSettings(tools=True, servers={"x": ToolServer("x", "a"), "x_y": ToolServer("x_y", "b")})
    servers = ToolServers(lambda _: Server())

    async def post(*_: object) -> object:
        raise AssertionError

    with servers.used(settings) as used:
        found, problems = await Toolbox(settings, post, used).tools()
    assert [tool.name for tool in found].count("x_y_z") == 1
    assert problems == ("tool server x_y: x_y_z is left out: another tool has that name",)
    await servers.close()
