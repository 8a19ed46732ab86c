"""What goes into the next question: the prompt, a question that is edited, pictures."""

from textual import on
from textual.widgets import TextArea

from okr_tui.chat.conversation import Conversation, Draft, joined
from okr_tui.chat.images import pasted_image
from okr_tui.chat.slash import as_typed, question_of
from okr_tui.ui.chat.conversation_views import ConversationViews
from okr_tui.ui.chat.messages import Drafted, How, PasteCut, PictureNamed, PicturesKept
from okr_tui.ui.chat.prompt import Prompt
from okr_tui.ui.chat.turn import Turn
from okr_tui.ui.chat.words import Picture


class Composer(ConversationViews):
    """Nothing that was typed is lost before it is stored: every change is told, for someone to keep it.

    What stands in the prompt belongs to a conversation. It goes along into a branch, and stays behind when
    another conversation is shown.
    """

    pictures: tuple[Picture, ...] = ()
    editing: int | None = None
    """The place of the question that is asked anew."""
    sent: str = ""
    """The question on its way into the store."""
    commanded: str = ""
    """The command that is being carried out."""
    home: str = ""
    """The conversation that the prompt belongs to; "" for the new one."""
    unasked: Draft = Draft()
    """The draft of the new conversation, while another one is shown."""
    _draft: str = ""
    _question: str = ""
    _last_pictures: tuple[Picture, ...] = ()
    _told: Draft = Draft()

    @property
    def prompt(self) -> Prompt:
        """The prompt."""
        return self.query_one(Prompt)

    @property
    def draft(self) -> Draft:
        """What was typed and neither sent nor taken from an earlier question as it was."""
        text = self.prompt.typed
        if self.commanded and text.strip() == self.commanded:
            text = ""
        paths = tuple(str(picture.path) for picture in self.pictures)
        if self.editing is None:
            return Draft(text, pictures=paths)
        if text == self._question:
            return Draft(self._draft, pictures=paths)
        return Draft(text, self.editing, self._draft, paths)

    def untold(self) -> Drafted | None:
        """The draft, unless that was told already."""
        draft = self.draft
        if draft == self._told:
            return None
        self._told = draft
        return Drafted(self.home, draft)

    @on(TextArea.Changed, "#prompt")
    def tell_draft(self) -> None:
        """Have the draft kept, when it is another than before."""
        if changed := self.untold():
            self.post_message(changed)

    def goes_on_as(self, identifier: str) -> None:
        """The prompt goes along; of two side by side, it stays with the conversation before them."""
        if self.rivals or identifier == self.home:
            return
        if self._told:
            self.post_message(Drafted(self.home, Draft()))
        if not self.home:
            self.unasked = Draft()
        self.home, self._told = identifier, Draft()
        self.tell_draft()

    def change_draft(self, conversation: Conversation, draft: Draft) -> None:
        """What was typed stays with the conversation that is left; `draft` stands in the prompt."""
        self.tell_draft()
        if not self.home:
            self.unasked = self.draft
        self.home, self._told = conversation.id, draft
        self.sent, self.pictures, self._last_pictures = "", (), ()
        questions = {turn.place for turn in conversation.turns if turn.message.role == "user"}
        self.editing = draft.place if draft.place in questions else None
        self._draft, self._question = draft.held if self.editing else "", ""
        self.prompt.begin(draft.text if self.editing else joined(draft.text, draft.held))
        self._ask_for_pictures(draft)

    def bring_back(self, draft: Draft) -> None:
        """The new conversation's draft was found at the start; what was typed meanwhile stands behind it."""
        if self.home:
            self.unasked = draft
            return
        self._told = draft
        self.prompt.begin(joined(draft.text, self.prompt.typed))
        self._ask_for_pictures(draft)

    def _ask_for_pictures(self, draft: Draft) -> None:
        if draft.pictures:
            self.post_message(PicturesKept(self.home, draft.pictures))

    def ask_all(self) -> None:
        """Send what was typed to every side."""
        text = question_of(self.sent)
        images = tuple(picture.data for picture in self.pictures)
        for talk in self.talks:
            how: How = "edit" if self.editing else "ask"
            self.ask(talk, how, text, images=images, place=self.editing or 0)

    def accepted(self) -> None:
        """The prompt lets go of what is stored; what was typed before an edit comes back."""
        if not self.sent:
            return
        self.prompt.let_go(self.sent)
        self._last_pictures = self.pictures
        self.sent, self.pictures = "", ()
        if self.editing is not None:
            self.editing = None
            self.prompt.begin(joined(self._draft, self.prompt.typed))
            self._draft = ""

    def give_back(self, question: str) -> None:
        """The question returns to the prompt with its pictures, unless something new stands there."""
        if not self.prompt.text:
            self.prompt.put(as_typed(question))
            self.pictures = self.pictures or self._last_pictures

    def withdraw(self, question: str) -> None:
        """A question that returned goes out another way."""
        if self.prompt.text == as_typed(question) and not self.running:
            self.prompt.put("")
            if self.pictures == self._last_pictures:
                self.pictures = ()

    def edit(self, turn: Turn) -> None:
        """Fill the prompt with a question; sending it asks it in a branch."""
        if self.rivals or turn.place is None:
            return
        self._draft = self.prompt.typed if self.editing is None else self._with_edit()
        self.editing = turn.place
        self.prompt.begin(as_typed(turn.exchange.question))
        self._question = self.prompt.text
        self.prompt.focus()
        self.settle()

    def leave_editing(self) -> None:
        """Back to what stood in the prompt before."""
        if self.editing is not None:
            self.editing = None
            self.prompt.begin(self._draft)
            self._draft = ""
            self.settle()

    def end_editing(self) -> None:
        """What was edited is a question like others from now on, above what stood in the prompt before."""
        if self.editing is not None:
            self.editing = None
            self.prompt.begin(self._with_edit())
            self._draft = ""

    def _with_edit(self) -> str:
        typed = self.prompt.typed
        return self._draft if typed == self._question else joined(typed, self._draft)

    def attach(self, picture: Picture) -> None:
        """Send this along with the next question."""
        self.pictures = (*self.pictures, picture)
        self.draw()

    @on(Prompt.Emptied)
    def _drop_picture(self, event: Prompt.Emptied) -> None:
        event.stop()
        self.pictures = self.pictures[:-1]
        self.draw()

    @on(Prompt.Pasted)
    def _pasted(self, event: Prompt.Pasted) -> None:
        event.stop()
        if path := pasted_image(event.text):
            self.post_message(PictureNamed(path, event.text))
        else:
            self.post_message(PasteCut(event.dropped))
