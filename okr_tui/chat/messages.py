"""A conversation's parts, as the chat pane, the commands and the log speak of them."""

from dataclasses import dataclass, field
from typing import Final, Literal

from okr_tui.cloud.dialects import Delta, ToolCall
from okr_tui.domain.faults import Hop

Role = Literal["system", "user", "assistant", "tool"]

TOOL_FAILED: Final = "Error: "
"""What tells the model that a tool failed: the API has no mark of its own for it."""


RESULT_LONGEST: Final = 65536
"""Characters of a tool's result that the model is given."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `images` are base64 texts; `incomplete` marks an answer that was cut off.

    `failed` marks the result of a tool that could not do its work.
    """

    role: Role
    content: str
    thinking: str = ""
    images: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_name: str | None = None
    incomplete: bool = False
    failed: bool = False

    def wire(self) -> dict[str, object]:
        """Return the message as the native API takes it."""
        content = f"{TOOL_FAILED}{self.content}" if self.failed else self.content
        document: dict[str, object] = {"role": self.role, "content": content}
        if self.thinking:
            document["thinking"] = self.thinking
        if self.images:
            document["images"] = list(self.images)
        if self.tool_calls:
            document["tool_calls"] = [
                {"function": {"name": call.name, "arguments": dict(call.arguments)}}
                for call in self.tool_calls
            ]
        if self.tool_name:
            document["tool_name"] = self.tool_name
        return document


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call returns to the model. `failed` marks a failure, `cut` a result that was too long."""

    text: str
    failed: bool = False
    cut: bool = False

    @classmethod
    def of(cls, text: str, *, failed: bool = False) -> "ToolResult":
        """Return a result of at most RESULT_LONGEST characters, with a note when it was cut."""
        if len(text) <= RESULT_LONGEST:
            return cls(text or "(no text result)", failed)
        note = f"\n[cut: {len(text)} characters, the first {RESULT_LONGEST} are shown]"
        return cls(text[:RESULT_LONGEST] + note, failed, cut=True)


@dataclass(frozen=True, slots=True)
class Routed:
    """The request reached a key that answers."""

    fingerprint: str
    index: int | None
    hops: tuple[Hop, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer ended. Durations are milliseconds of our own clock.

    `lack` says what is missing of it, in one line; "" when it is whole.
    """

    done_reason: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    first_token_ms: int | None = None
    duration_ms: int = 0
    hops: tuple[Hop, ...] = field(default=())
    fingerprint: str = ""
    index: int | None = None
    lack: str = ""

    @property
    def tokens_per_second(self) -> float | None:
        """The pace of the answer once it had begun; None when it is not known."""
        span = self.duration_ms - (self.first_token_ms or 0)
        if not self.output_tokens or span <= 0 or self.first_token_ms is None:
            return None
        return 1000 * self.output_tokens / span


ChatEvent = Routed | Delta | Finished
