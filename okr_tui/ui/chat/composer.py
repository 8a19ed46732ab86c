"""The next question: the prompt, an edited question, pictures."""

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static, TextArea

from okr_tui.chat.conversation import Conversation, Draft, joined
from okr_tui.chat.images import pasted_image
from okr_tui.chat.slash import as_typed
from okr_tui.ui.chat.labels import Picture, pictures_line
from okr_tui.ui.chat.messages import DraftChanged, PasteTruncated, PicturePasted, PicturesRestored
from okr_tui.ui.chat.prompt import Completion, Prompt
from okr_tui.ui.lines import Line, content


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
        widget.update(content(line))
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
        """Put an unanswered question and its pictures back, unless something new was typed."""
        if not self.prompt.text:
            self.prompt.put(as_typed(question))
            self.pictures = self.pictures or self._sent_pictures

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
        """Send a picture along with the next question."""
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
