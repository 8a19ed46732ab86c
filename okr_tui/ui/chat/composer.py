"""The next question: the prompt, an edited question, pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Static, TextArea

from okr_tui.chat.conversation import Conversation, Draft, joined
from okr_tui.chat.messages import pasted_image
from okr_tui.chat.slash import BY_NAME, as_typed, parse
from okr_tui.ui.actions import bindings
from okr_tui.ui.chat.labels import Picture, pictures_line
from okr_tui.ui.chat.messages import DraftChanged, PasteTruncated, PicturePasted, PicturesRestored
from okr_tui.ui.lines import QUIET, Line, content, fit, show_line

PASTE_LONGEST: Final = 100_000
"""Characters of one paste that are taken; more would make typing slow."""

LEAST_WIDTH: Final = 4


class Prompt(TextArea):
    """Grows as needed; enter sends, ctrl+j or shift+enter begins a new line.

    `earlier` are the questions that `up` on the first line brings back. `completions` answers what a text
    may go on to. Nothing that was typed is lost on the way: `down` leads back to it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("prompt")]

    @dataclass
    class Sent(Message):
        """The person sent this text; the prompt keeps it until `let_go`."""

        text: str

    @dataclass
    class Completing(Message):
        """The completions of the text, and which one is marked."""

        candidates: tuple[str, ...]
        marked: int

    @dataclass
    class Pasted(Message):
        """A text was pasted; `dropped` characters of it were too many."""

        text: str
        dropped: int

    @dataclass
    class Emptied(Message):
        """Backspace was pressed in an empty prompt."""

    def render_line(self, y: int) -> Strip:
        """Return a line as drawn; nothing where there is no room, which Textual cannot wrap a text in."""
        width = self.content_size.width
        return super().render_line(y) if width >= LEAST_WIDTH else Strip.blank(width)

    def __init__(self) -> None:
        super().__init__(
            id="prompt",
            compact=True,
            highlight_cursor_line=False,
            placeholder="choose a model, then ask here",
        )
        self.cursor_blink = False
        self.earlier: Sequence[str] = ()
        self.completions: Callable[[str], tuple[str, ...]] = lambda _: ()
        self.takes: Callable[[str], bool] = lambda _: False
        self.stays = False
        """Whether the next escape changes nothing: it was meant for an answer that had just ended."""
        self._back = 0
        self._draft = ""
        self._recalled = ""
        self._marked: int | None = None
        self._closed_at: str | None = None

    @property
    def candidates(self) -> tuple[str, ...]:
        """The completions of the text; none once they were dismissed."""
        if self._closed_at == self.text or self.cursor_location != self.document.end:
            return ()
        return tuple(each for each in self.completions(self.text) if each != self.text)

    def put(self, text: str) -> None:
        """Fill in a text, the cursor after it."""
        self.text = text
        self.move_cursor(self.document.end)

    @property
    def typed(self) -> str:
        """The user's own text: a recalled question counts once it was changed."""
        if not self._back:
            return self.text
        return self._draft if self.text == self._recalled else joined(self.text, self._draft)

    def begin(self, text: str) -> None:
        """Replace everything that was typed with a text."""
        self._back, self._draft = 0, ""
        self.put(text)

    def let_go(self, sent: str) -> None:
        """Remove the sent text; text typed after it since then, or before an earlier question, stays."""
        text, draft = self.text, self._draft if self._back else ""
        if text.lstrip().startswith(sent):
            text = _behind(sent, text)
        else:
            draft = _behind(sent, draft)
        self.begin(joined(text, draft))

    def on_blur(self) -> None:
        """Let escape leave again: a person who went elsewhere has seen that the answer ended."""
        self.stays = False

    def on_key(self, event: events.Key) -> None:
        """Handle keys that mean something else here than in a text."""
        self.stays = self.stays and event.key == "escape"
        if self._handled(event.key):
            event.prevent_default().stop()

    def _handled(self, key: str) -> bool:
        candidates = self.candidates if self.text.startswith("/") else ()
        match key:
            case "enter":
                self._enter(candidates)
            case "tab" if candidates:
                self.put(candidates[self._marked or 0])
            case "up" | "down" if candidates:
                self._mark(candidates, -1 if key == "up" else 1)
            case "escape" if candidates:
                self._closed_at = self.text
                self._say_candidates()
            case "up" if self.cursor_at_first_line and self._back < len(self.earlier):
                self._recall(self._back + 1)
            case "down" if self.cursor_at_last_line and self._back:
                self._recall(self._back - 1)
            case "backspace" if not self.text:
                self.post_message(self.Emptied())
            case _:
                return False
        return True

    def _enter(self, candidates: tuple[str, ...]) -> None:
        """Take the marked completion, or the first one of a name that is incomplete; else send."""
        known = parse(self.text)[0] in BY_NAME
        if candidates and (self._marked is not None or not known):
            self.put(candidates[self._marked or 0])
        else:
            self.action_send()

    def _mark(self, candidates: tuple[str, ...], direction: int) -> None:
        before = -1 if self._marked is None and direction > 0 else self._marked or 0
        self._marked = (before + direction) % len(candidates)
        self._say_candidates()

    def _recall(self, back: int) -> None:
        self._draft = self.typed
        # Another conversation may have fewer.
        self._back = min(back, len(self.earlier))
        self.put(as_typed(self.earlier[-self._back]) if self._back else self._draft)
        self._recalled = self.text

    @on(TextArea.Changed)
    def _text_changed(self) -> None:
        self._marked = None
        self._say_candidates()

    def _say_candidates(self) -> None:
        candidates = self.candidates if self.text.startswith("/") else ()
        self.post_message(self.Completing(candidates, self._marked or 0))

    def on_paste(self, event: events.Paste) -> None:
        """Insert a paste, unless it is the path of a picture; cut one that is too long."""
        event.prevent_default().stop()
        text = event.text[:PASTE_LONGEST]
        dropped = len(event.text) - len(text)
        if dropped or self.takes(text):
            self.post_message(self.Pasted(text, dropped))
        if not self.takes(text):
            self.put_in(text)

    def put_in(self, text: str) -> None:
        """Insert a text at the cursor, replacing the selection."""
        result = self.replace(text, *self.selection, maintain_selection_offset=False)
        self.move_cursor(result.end_location)

    def action_send(self) -> None:
        """Send what was typed."""
        if text := self.text.strip():
            self.post_message(self.Sent(text))

    def action_new_line(self) -> None:
        """Begin a new line."""
        self.insert("\n")


def _behind(sent: str, text: str) -> str:
    rest = text.lstrip()
    return rest[len(sent) :].lstrip() if rest.startswith(sent) else text


SHOWN: Final = 6


class Completion(Static):
    """A window of the candidates around the marked one, each command with its help."""

    def __init__(self) -> None:
        super().__init__(id="completion")

    def show(self, candidates: tuple[str, ...], marked: int) -> None:
        """Draw them; without any there is no list."""
        self.display = bool(candidates)
        if not candidates:
            return
        first = min(max(0, marked - SHOWN + 2), max(0, len(candidates) - SHOWN))
        lines: list[Line] = []
        for index, text in enumerate(candidates[first : first + SHOWN], first):
            lines.append(self._line(text, marked=index == marked))
        hidden = len(candidates) - first - len(lines)
        keys = "tab completes · ↑↓ choose · enter runs"
        lines.append(((f"{f'{hidden} more · ' if hidden else ''}{keys}", QUIET),))
        self.update(Content("\n").join([content(line) for line in lines]))

    def _line(self, text: str, *, marked: bool) -> Line:
        name, blank, argument = text.removeprefix("/").partition(" ")
        command = BY_NAME.get(name)
        style = "bold $text-accent" if marked else "$text-primary"
        mark = ("▸ " if marked else "  ", style)
        if command is None or (blank and argument):
            return (mark, (text, style))
        return (mark, (fit(command.line, 24), style), (f" {command.help}", QUIET))


class Composer(Vertical):
    """Holds the next question until it is stored, and posts every change of it, so that nothing is lost.

    The text in the prompt belongs to a conversation. It moves along into a branch, and stays behind when
    another conversation is shown. Drafts are posted to the application itself: a message of the pane through
    its child would end at the pane.
    """

    def __init__(self) -> None:
        super().__init__(id="composer")
        self.prompt = Prompt()
        self.pictures: tuple[Picture, ...] = ()
        self.editing: int | None = None
        """The place of the question that is edited."""
        self.sent = ""
        """The question on its way into the store."""
        self.command = ""
        """The command that is being carried out."""
        self.conversation_id = ""
        """The conversation that the prompt belongs to; "" for the new one."""
        self.new_draft = Draft()
        """The draft of the new conversation, while another one is shown."""
        self._held = ""
        """The text in the prompt before a question was edited."""
        self._edited = ""
        """The question that is edited, as it was."""
        self._sent_pictures: tuple[Picture, ...] = ()
        self._posted = Draft()

    def compose(self) -> ComposeResult:
        """Yield the note, the pictures, completions and the prompt."""
        yield Static(id="chat-note")
        yield Static(id="pictures")
        yield Completion()
        yield self.prompt

    @property
    def draft(self) -> Draft:
        """What was typed and neither sent nor taken from an earlier question as it was."""
        text = self.prompt.typed
        if self.command and text.strip() == self.command:
            text = ""
        paths = tuple(str(picture.path) for picture in self.pictures)
        if self.editing is None:
            return Draft(text, pictures=paths)
        if text == self._edited:
            return Draft(self._held, pictures=paths)
        return Draft(text, self.editing, self._held, paths)

    def draw(self, note: Line) -> None:
        """Show a note above the prompt, and the pictures."""
        self._show("#chat-note", note)
        self._pictures_changed()

    def _show(self, selector: str, line: Line) -> None:
        widget = self.query_one(selector, Static)
        show_line(widget, line)
        widget.display = bool(line)

    def _pictures_changed(self) -> None:
        self._show("#pictures", pictures_line(self.pictures))
        self.post_draft()

    def unposted_draft(self) -> DraftChanged | None:
        """Return the message about the draft, unless that was posted already."""
        draft = self.draft
        if draft == self._posted:
            return None
        self._posted = draft
        return DraftChanged(self.conversation_id, draft)

    @on(TextArea.Changed, "#prompt")
    def post_draft(self) -> None:
        """Post the draft if it has changed."""
        if changed := self.unposted_draft():
            self.app.post_message(changed)

    def follow(self, identifier: str) -> None:
        """Move the prompt to a conversation: the shown one was stored or branched."""
        if identifier == self.conversation_id:
            return
        if self._posted:
            self.app.post_message(DraftChanged(self.conversation_id, Draft()))
        if not self.conversation_id:
            self.new_draft = Draft()
        self.conversation_id, self._posted = identifier, Draft()
        self.post_draft()

    def change_conversation(self, conversation: Conversation, draft: Draft) -> None:
        """Leave the draft with the previous conversation and restore that of the next."""
        self.post_draft()
        if not self.conversation_id:
            self.new_draft = self.draft
        self.conversation_id, self._posted = conversation.id, draft
        self.sent, self.pictures, self._sent_pictures = "", (), ()
        questions = {turn.place for turn in conversation.turns if turn.message.role == "user"}
        self.editing = draft.place if draft.place in questions else None
        self._held, self._edited = draft.held if self.editing else "", ""
        self.prompt.begin(draft.text if self.editing else joined(draft.text, draft.held))
        self._restore_pictures(draft)

    def restore_new(self, draft: Draft) -> None:
        """Fill in the new conversation's draft of an earlier run, above what was typed meanwhile."""
        if self.conversation_id:
            self.new_draft = draft
            return
        self._posted = draft
        self.prompt.begin(joined(draft.text, self.prompt.typed))
        self._restore_pictures(draft)

    def _restore_pictures(self, draft: Draft) -> None:
        if draft.pictures:
            self.app.post_message(PicturesRestored(self.conversation_id, draft.pictures))

    def question_stored(self) -> None:
        """Drop the sent question; text typed before an edit comes back."""
        if not self.sent:
            return
        self.prompt.let_go(self.sent)
        self._sent_pictures = self.pictures
        self.sent, self.pictures = "", ()
        if self.editing is not None:
            self.editing = None
            self.prompt.begin(joined(self._held, self.prompt.typed))
            self._held = ""

    def give_back(self, question: str) -> None:
        """Put an unanswered question and its pictures back, unless something new was typed.

        It is selected: enter sends it again, and the next question that is typed replaces it.
        """
        if not self.prompt.text:
            self.prompt.put(as_typed(question))
            self.prompt.select_all()
            self.pictures = self.pictures or self._sent_pictures

    def keep_refused(self) -> None:
        """Select a question that was not taken, unless it was changed since."""
        if self.sent and self.prompt.text.strip() == self.sent:
            self.prompt.select_all()
        self.sent = ""

    def withdraw(self, question: str) -> None:
        """Empty the prompt if it still holds a returned question that is now asked another way."""
        if self.prompt.text == as_typed(question):
            self.prompt.put("")
            if self.pictures == self._sent_pictures:
                self.pictures = ()

    def edit(self, place: int, question: str) -> None:
        """Fill in the question at a place; sending it asks it in a branch."""
        self._held = self.prompt.typed if self.editing is None else self._with_edit()
        self.editing = place
        self.prompt.begin(as_typed(question))
        self._edited = self.prompt.text
        self.prompt.focus()

    def leave_editing(self) -> None:
        """Restore the text that was in the prompt before the edit."""
        if self.editing is not None:
            self.editing = None
            self.prompt.begin(self._held)
            self._held = ""

    def end_editing(self) -> None:
        """Turn the edited text into a new question, above the earlier text of the prompt."""
        if self.editing is not None:
            self.editing = None
            self.prompt.begin(self._with_edit())
            self._held = ""

    def _with_edit(self) -> str:
        typed = self.prompt.typed
        return self._held if typed == self._edited else joined(typed, self._held)

    def attach(self, picture: Picture) -> None:
        """Attach a picture to the next question."""
        self.pictures = (*self.pictures, picture)
        self._pictures_changed()

    @on(Prompt.Emptied)
    def _drop_picture(self, event: Prompt.Emptied) -> None:
        event.stop()
        self.pictures = self.pictures[:-1]
        self._pictures_changed()

    @on(Prompt.Completing)
    def _show_completions(self, event: Prompt.Completing) -> None:
        event.stop()
        self.query_one(Completion).show(event.candidates, event.marked)

    @on(Prompt.Pasted)
    def _pasted(self, event: Prompt.Pasted) -> None:
        event.stop()
        if path := pasted_image(event.text):
            self.post_message(PicturePasted(path, event.text))
        else:
            self.post_message(PasteTruncated(event.dropped))
