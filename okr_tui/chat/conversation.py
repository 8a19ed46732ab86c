"""A conversation: its turns, how each was answered, and what follows from them; and as a document."""

import asyncio
import json
import os
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from okr_tui.chat.messages import Finished, Message, Routed, ToolResult
from okr_tui.chat.options import ChatOptions
from okr_tui.cloud.dialects import Delta, ToolCall
from okr_tui.domain.errors import ChatError
from okr_tui.domain.faults import Hop
from okr_tui.domain.models import Model, short_context
from okr_tui.domain.schedule import has_date
from okr_tui.domain.text import clean_line, has_hidden
from okr_tui.domain.values import dataclass

if TYPE_CHECKING:
    from pydantic import TypeAdapter

TITLE_LONGEST: Final = 60
UNTITLED: Final = "New conversation"
NOT_RUN: Final = "The call was not run."
WARN_SHARE: Final = 0.8
FULL_SHARE: Final = 0.95
LINKS: Final = re.compile(r"https?://[^\s<>\"'`)\]]+")
FENCE: Final = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*([^\n`]*)$")


@dataclass(frozen=True, slots=True)
class Answered:
    """How an answer came about. Times are milliseconds; `index` was the key's at that time."""

    model: str
    fingerprint: str = ""
    index: int | None = None
    hops: tuple[Hop, ...] = ()
    input_tokens: int | None = None
    output_tokens: int | None = None
    first_token_ms: int | None = None
    duration_ms: int | None = None
    thinking_ms: int | None = None
    done_reason: str | None = None
    error: str | None = None
    """Why it was cut off, one line; "stopped" when the person did it."""

    def finished(self, end: Finished) -> "Answered":
        """Return it with the figures of its end."""
        return replace(
            self,
            fingerprint=end.fingerprint or self.fingerprint,
            index=end.index or self.index,
            hops=end.hops or self.hops,
            input_tokens=end.input_tokens,
            output_tokens=end.output_tokens,
            first_token_ms=end.first_token_ms,
            duration_ms=end.duration_ms,
            done_reason=end.done_reason,
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation at its place, from 1; `at` is epoch seconds."""

    place: int
    message: Message
    at: float
    answered: Answered | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation. Times are epoch seconds; `branched_at` is the place up to which turns were copied."""

    id: str
    title: str = UNTITLED
    model: str | None = None
    options: ChatOptions = field(default_factory=ChatOptions)
    created: float = 0.0
    updated: float = 0.0
    branched_from: str | None = None
    branched_at: int | None = None
    turns: tuple[Turn, ...] = field(default=(), repr=False)

    @property
    def question(self) -> Turn | None:
        """The last question."""
        return next((turn for turn in reversed(self.turns) if turn.message.role == "user"), None)

    @property
    def next_place(self) -> int:
        """The place of the turn that comes next."""
        return self.turns[-1].place + 1 if self.turns else 1

    @property
    def unanswered(self) -> bool:
        """Whether the last turn is a question that got no word of an answer."""
        return bool(self.turns) and self.turns[-1].message.role == "user"

    @property
    def incomplete(self) -> Turn | None:
        """The last turn when it is an answer that was cut off, by an error, the person or its length."""
        if not self.turns or self.turns[-1].message.role != "assistant":
            return None
        last = self.turns[-1]
        short = last.answered is not None and last.answered.done_reason == "length"
        return last if last.message.incomplete or short else None

    @property
    def unfinished(self) -> bool:
        """Whether the answer was left while it waited for tools, or for what the model makes of them."""
        last = self.turns[-1].message if self.turns else None
        return last is not None and (last.role == "tool" or bool(last.tool_calls))

    def messages(self) -> tuple[Message, ...]:
        """Return what is sent to the model: the system prompt, then every turn; a call not run says so."""
        sent = [Message("system", self.options.system)] if self.options.system else []
        waiting: list[ToolCall] = []
        for message in (*(turn.message for turn in self.turns), None):
            if message is not None and message.role == "tool":
                del waiting[:1]
            else:
                sent += [Message("tool", NOT_RUN, tool_name=call.name, failed=True) for call in waiting]
                waiting = list(message.tool_calls) if message else []
            if message is not None:
                sent.append(message)
        return tuple(sent)

    def before(self, place: int) -> "Conversation":
        """Return the conversation without the turn at a place and all after it."""
        return replace(self, turns=tuple(turn for turn in self.turns if turn.place < place))


@dataclass(frozen=True, slots=True)
class Found:
    """A conversation in a list: without its turns, with their number and a line of what was searched."""

    conversation: Conversation
    turns: int
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Gauge:
    """How much of the model's context the conversation fills, in tokens; None where it is not known."""

    used: int
    length: int | None

    @property
    def share(self) -> float | None:
        """The filled part, 0 to 1 and above."""
        return self.used / self.length if self.length else None

    @property
    def warning(self) -> str | None:
        """One line before it overflows."""
        if self.share is None or self.length is None or self.share < WARN_SHARE:
            return None
        tokens = f"{short_context(self.used)} of {short_context(self.length)} tokens"
        if self.share >= FULL_SHARE:
            return f"context nearly full, {tokens}: /new starts over, editing an earlier question branches"
        return f"context {self.share:.0%} full, {tokens}"


def gauge(conversation: Conversation, model: Model | None) -> Gauge:
    """Return the context as the cloud counted it for the last answer with figures."""
    used = 0
    for turn in reversed(conversation.turns):
        if turn.answered and turn.answered.input_tokens is not None:
            used = turn.answered.input_tokens + (turn.answered.output_tokens or 0)
            break
    return Gauge(used, model.context_length if model else None)


def title(question: str) -> str:
    """Return a title of at most TITLE_LONGEST characters from the first question, cut at a word."""
    words = clean_line(question, 20 * TITLE_LONGEST)
    if len(words) <= TITLE_LONGEST:
        return words or UNTITLED
    cut = words[: TITLE_LONGEST - 1]
    head, blank, _ = cut.rpartition(" ")
    return f"{head if blank and len(head) > TITLE_LONGEST // 2 else cut}…"


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """A fenced block: the word after the fence, and its text without the fence."""

    language: str
    text: str


def code_blocks(text: str) -> tuple[CodeBlock, ...]:
    """Return the fenced code blocks of a Markdown text; one still open runs to the end."""
    found: list[CodeBlock] = []
    opened: str | None = None
    language = ""
    lines: list[str] = []
    for line in text.split("\n"):
        fence = FENCE.match(line)
        if opened is None:
            if fence:
                opened, language, lines = fence[1], fence[2].strip().partition(" ")[0], []
        elif _closes(line, opened):
            found.append(CodeBlock(language, "\n".join(lines)))
            opened = None
        else:
            lines.append(line)
    if opened is not None:
        found.append(CodeBlock(language, "\n".join(lines)))
    return tuple(found)


def _closes(line: str, opened: str) -> bool:
    mark = line.strip()
    return len(mark) >= len(opened) and set(mark) == {opened[0]} and not line.startswith("    ")


def longest_fence(texts: Sequence[str]) -> str:
    """Return a fence that none of the texts can close."""
    longest = max((len(run) for text in texts for run in re.findall(r"`+", text)), default=0)
    return "`" * max(3, longest + 1)


@dataclass(frozen=True, slots=True)
class Draft:
    """What was typed. `place` is the question it is to replace, None for the next one.

    `held` was in the prompt before that question was edited; `pictures` are the paths of image files.
    """

    text: str = ""
    place: int | None = None
    held: str = ""
    pictures: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to lose."""
        return bool(self.text or self.held or self.pictures)


def joined(*texts: str) -> str:
    """Return texts below each other, without empty ones and repetitions."""
    return "\n".join(dict.fromkeys(text for text in texts if text))


VERSION: Final = 1
FORMAT: Final = "okr-tui.conversation"
NAMES: Final = {"user": "You", "assistant": "Answer", "tool": "Tool", "system": "System"}


@cache
def conversation_adapter() -> "TypeAdapter[Conversation]":
    """Return what reads and writes whole conversations; made on first use, since that takes a while."""
    from pydantic import TypeAdapter

    return TypeAdapter(Conversation)


@cache
def turn_adapter() -> "TypeAdapter[Turn]":
    """Return what reads and writes single turns."""
    from pydantic import TypeAdapter

    return TypeAdapter(Turn)


def write_file(path: Path, text: str, *, over: bool = False) -> Path:
    """Write an exported conversation to a file that its user alone can read; return its absolute path.

    Raises FileExistsError for a file that is there already unless it may be written over, OSError, and
    ValueError for what is not a path.
    """
    whole = Path(os.path.expanduser(path)).absolute()
    create = os.O_TRUNC if over else os.O_EXCL
    with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | create, 0o600), "w", encoding="utf-8") as file:
        os.chmod(whole, 0o600)  # one that was there already keeps its mode otherwise
        file.write(text)
    return whole


def to_json(conversation: Conversation) -> str:
    """Return a JSON document with everything known of a conversation; `from_json` reads it."""
    body: Any = conversation_adapter().dump_python(conversation, mode="json")
    return _clean(json.dumps({"format": FORMAT, "version": VERSION, **body}, ensure_ascii=False, indent=2))


def from_json(text: str) -> Conversation:
    """Return the conversation of a document of `to_json`. Raises ChatError for any other text."""
    try:
        document = json.loads(text)
        if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
            raise ChatError("this is not an exported conversation")
        if document.pop("version", None) != VERSION:
            raise ChatError("this conversation was exported by another version of okr-tui")
        conversation = conversation_adapter().validate_python(document)
    except (ValueError, RecursionError) as error:
        raise ChatError("this exported conversation is damaged") from error
    times = (conversation.created, conversation.updated, *(turn.at for turn in conversation.turns))
    if not all(map(has_date, times)):
        raise ChatError("this exported conversation has invalid dates")
    places = [0, *(turn.place for turn in conversation.turns)]
    if places != sorted(set(places)) or has_hidden(conversation.model or ""):
        raise ChatError("this exported conversation is damaged")
    conversation.options.check()
    return conversation


def to_markdown(conversation: Conversation) -> str:
    """Return a conversation as Markdown: questions, answers, folded thoughts, tools with their results."""
    heading = " ".join(conversation.title.split()).replace("#", r"\#")
    parts = [f"# {heading}"]
    if conversation.model:
        parts.append(f"Model: {conversation.model}")
    if conversation.options.system:
        parts += ["## System", conversation.options.system]
    for turn in conversation.turns:
        parts += _turn(turn)
    return _clean("\n\n".join(parts) + "\n")


def _clean(text: str) -> str:
    """Without halves of characters, which a model may send and no file takes."""
    return text.encode(errors="replace").decode()


def _turn(turn: Turn) -> Iterator[str]:
    message, answered = turn.message, turn.answered
    name = answered.model if answered else NAMES[message.role]
    yield f"## {name}{' (cut off)' if message.incomplete else ''}"
    if message.thinking:
        yield f"<details><summary>Thoughts</summary>\n\n{message.thinking.strip()}\n\n</details>"
    if message.role == "tool":
        mark = "failed" if message.failed else "answered"
        fence = longest_fence([message.content])
        yield f"{message.tool_name or 'tool'} {mark}:\n\n{fence}\n{message.content}\n{fence}"
    elif message.content:
        yield message.content.rstrip("\n")
    for call in message.tool_calls:
        yield f"Calls `{call.name}` with `{json.dumps(dict(call.arguments), ensure_ascii=False)}`"
    if message.images:
        count = len(message.images)
        yield f"*{count} image{'' if count == 1 else 's'} attached*"


Decision = Literal["allow", "refuse", "refuse-all"]


@dataclass(frozen=True, slots=True)
class Began:
    """The question is stored and about to be sent; `turn` is None where no new question is asked."""

    conversation: Conversation
    turn: Turn | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """Something the person should know, one line; the answer continues."""

    text: str


@dataclass(frozen=True, slots=True)
class ConsentRequested:
    """The model calls a tool that needs consent; nothing continues until `decide` is called.

    `server` is the tool server it is of, None for a built-in tool. `address` is one that the model made up: a
    tool that otherwise runs unasked is asked about then, each time.
    """

    call: ToolCall
    server: str | None
    decision: asyncio.Future[Decision] = field(repr=False, compare=False)
    always: set[str] = field(repr=False, compare=False)
    address: str | None = None

    def decide(self, *, allow: bool, always: bool = False, rest: bool = False) -> None:
        """Allow or refuse the call.

        `always` allows the tool for the rest of this conversation's run; `rest` refuses also what else the
        model calls at once.
        """
        if allow and always and self.address is None:
            self.always.add(self.call.name)
        if not self.decision.done():
            self.decision.set_result("allow" if allow else "refuse-all" if rest else "refuse")


@dataclass(frozen=True, slots=True)
class ToolRan:
    """A call has its result; `seconds` are 0 for one that was not run."""

    call: ToolCall
    result: ToolResult
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Ended:
    """All is stored: the conversation with its turns as they now are."""

    conversation: Conversation
    gauge: Gauge


RoundEvent = Routed | Delta | Finished | ConsentRequested | ToolRan | Noted
ConversationEvent = Began | RoundEvent | Ended


Form = Literal["markdown", "json"]
Answering = AsyncGenerator[ConversationEvent, None]


def links_of(text: str) -> tuple[str, ...]:
    """Return the addresses of the web in a text, each once, in their order."""
    return tuple(dict.fromkeys(found.rstrip(".,;:!?") for found in LINKS.findall(text)))


def is_plain(address: str) -> bool:
    """Return whether an address leads where it seems to: plain letters, and no user name."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return False
    visible = all("!" <= letter <= "~" for letter in address)
    return parts.scheme in ("http", "https") and bool(host) and visible and "@" not in parts.netloc
