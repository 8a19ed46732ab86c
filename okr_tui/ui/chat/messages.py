"""What the chat requests of the application, as Textual messages."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from textual.message import Message

from okr_tui.chat.conversation import Conversation, Draft

How = Literal["ask", "edit", "again", "other", "continue"]


@dataclass
class AnswerRequested(Message):
    """A conversation is to be answered on a side; `place` is the question that is edited.

    `only` is the index of the one key to use; `images` are base64.
    """

    side: int
    conversation: Conversation
    how: How = "ask"
    text: str = ""
    images: tuple[str, ...] = ()
    place: int = 0
    only: int | None = None


@dataclass
class ComparisonRequested(Message):
    """A branch of the conversation is needed for each model."""

    conversation: Conversation
    models: tuple[str, ...]


@dataclass
class StopRequested(Message):
    """The running answers are to be stopped."""


@dataclass
class ChatChanged(Message):
    """Other keys apply: an answer or an edit began or ended, or two conversations are compared."""


@dataclass
class ModelMissing(Message):
    """A question was sent before a model was chosen."""


@dataclass
class CommandEntered(Message):
    """A slash command was sent."""

    text: str


@dataclass
class ConversationConfigured(Message):
    """The conversation has another model or other options from now on."""

    conversation: Conversation


@dataclass
class PicturePasted(Message):
    """What was pasted may be a picture; `text` is what was, None for a path that was typed as a command."""

    path: Path
    text: str | None = None


@dataclass
class PicturesRestored(Message):
    """A conversation's draft came back; its pictures are to be read again from these paths."""

    conversation: str
    paths: tuple[str, ...]


@dataclass
class PromptReady(Message):
    """The prompt can be filled with the draft that was kept."""


@dataclass
class DraftChanged(Message):
    """Another draft is typed for a conversation; `conversation` is "" for the new one."""

    conversation: str
    draft: Draft


@dataclass
class PasteTruncated(Message):
    """A paste was too long; `dropped` characters of it were left out."""

    dropped: int


@dataclass
class LinkChosen(Message):
    """A link in an answer was clicked."""

    address: str
