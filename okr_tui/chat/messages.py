"""A conversation's parts, as the chat pane, the commands and the log speak of them."""

import base64
import re
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from okr_tui.cloud.dialects import Delta, ToolCall
from okr_tui.domain.errors import ChatError
from okr_tui.domain.faults import Hop, Rule
from okr_tui.domain.health import spent_words
from okr_tui.domain.models import Model
from okr_tui.domain.values import dataclass

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
    answered_by: str | None = None
    """The model that answers instead of the one asked for."""


def key_name(index: int | None) -> str:
    """Return what a key is called in a conversation."""
    return f"#{index}" if index else "a removed key"


def hop_lines(hops: Sequence[Hop], index: int | None) -> list[str]:
    """Return a line for each key that was tried before the one at `index`: "#3 5h spent → #1"."""
    lines = []
    for hop, following in zip(hops, [*(hop.index for hop in hops), index][1:], strict=True):
        fault = hop.fault
        if fault.traits.rule is Rule.WINDOW:
            reason = spent_words(fault.window)
        else:
            reason = f"{fault.status or ''} {fault.text or fault.word}".strip()
        lines.append(f"{key_name(hop.index)} {reason} → {key_name(following)}")
    return lines


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


LARGEST: Final = 20 * 1024 * 1024
"""Bytes of one picture."""
MOST: Final = 16
BEGINNINGS: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")
ENDINGS: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp")
LONGEST_PATH: Final = 4096


def read_image(path: Path) -> str:
    """Return the picture in base64. Raises ChatError for a file that is none by its content, or too large.

    Blocks while the file is read.
    """
    try:
        if not path.is_file():
            raise ChatError(f"{path} is not a file")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a path"
        raise ChatError(f"{path} cannot be read: {reason}") from error
    webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    if not (content.startswith(BEGINNINGS) or webp):
        raise ChatError(f"{path} is not a PNG, JPEG, GIF or WebP image")
    if len(content) > LARGEST:
        raise ChatError(f"{path} is larger than {LARGEST // 1024 // 1024} MB")
    return base64.b64encode(content).decode()


def check_sight(model: Model | None, count: int) -> None:
    """Raise ChatError when a model is known to see no pictures, or they are too many."""
    if count > MOST:
        raise ChatError(f"{count} images are too many: at most {MOST} go with one question")
    if count and model is not None and model.capabilities is not None and not model.can("vision"):
        raise ChatError(f"{model.id} takes no images: choose a model with vision")


def pasted_image(text: str) -> Path | None:
    """Return the path that a pasted text is, when it looks like one of a picture; it need not exist.

    Terminals paste a dropped file in quotes, with escaped blanks, or as a file:// address.
    """
    text = text.strip()
    if not text or len(text) > LONGEST_PATH or "\n" in text or "\0" in text:
        return None
    if text[0] in "'\"" and text[-1] == text[0] and len(text) > 1:
        text = text[1:-1]
    elif text.startswith("file://"):
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost"):
            return None
        text = unquote(parts.path)
    else:
        text = re.sub(r"\\(.)", r"\1", text)
    if not text.lower().endswith(ENDINGS) or not text.startswith(("/", "~", "./", "../")):
        return None
    try:
        return Path(text).expanduser()
    except RuntimeError:  # a user without a known home
        return None
