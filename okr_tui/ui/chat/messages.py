"""What the chat asks of the application."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from textual.message import Message

from okr_tui.chat.conversation import Conversation, Draft

How = Literal["ask", "edit", "again", "other", "continue"]


@dataclass
class Asked(Message):
    """A conversation is to be answered on a side; `place` is the question that is edited.

    `only` is the place of the one key to use; `images` are base64.
    """

    side: int
    conversation: Conversation
    how: How = "ask"
    text: str = ""
    images: tuple[str, ...] = ()
    place: int = 0
    only: int | None = None


@dataclass
class SidesAsked(Message):
    """A branch of the conversation is needed for each model."""

    conversation: Conversation
    models: tuple[str, ...]


@dataclass
class StopAsked(Message):
    """The running answers are to be stopped."""


@dataclass
class ChatChanged(Message):
    """Other keys apply: an answer began or ended, or two conversations stand side by side."""


@dataclass
class NoModel(Message):
    """A question was sent before a model was chosen."""


@dataclass
class Commanded(Message):
    """A slash command was typed."""

    text: str


@dataclass
class Configured(Message):
    """The conversation has another model or other options from now on."""

    conversation: Conversation


@dataclass
class PictureNamed(Message):
    """What was pasted may be a picture; `text` is what was, None for a path that was typed as a command."""

    path: Path
    text: str | None = None


@dataclass
class PicturesKept(Message):
    """The pictures of a conversation's draft that came back are to be read again from these paths."""

    conversation: str
    paths: tuple[str, ...]


@dataclass
class PromptReady(Message):
    """The prompt is there, for the draft that was kept."""


@dataclass
class Drafted(Message):
    """What is typed for a conversation is another now; `conversation` is "" for the new one."""

    conversation: str
    draft: Draft


@dataclass
class PasteCut(Message):
    """So many characters of what was pasted were too many."""

    dropped: int
