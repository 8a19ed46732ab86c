"""What goes into the next question: the prompt, a question that is edited, pictures."""

from textual import on

from okr_tui.services.images import pasted_image
from okr_tui.ui.widgets.chat_messages import How, PasteCut, PictureNamed
from okr_tui.ui.widgets.chat_words import Picture
from okr_tui.ui.widgets.prompt import Prompt
from okr_tui.ui.widgets.talks import Talks
from okr_tui.ui.widgets.turn import Turn


class Drafting(Talks):
    """Nothing that was typed is lost before it is stored. `sent` is what is on its way there."""

    pictures: tuple[Picture, ...] = ()
    editing: int | None = None
    """The place of the question that is asked anew."""
    sent: str = ""
    _draft: str = ""

    @property
    def prompt(self) -> Prompt:
        """The prompt."""
        return self.query_one(Prompt)

    def ask_all(self) -> None:
        """Send what was typed to every side."""
        text = self.sent[1:] if self.sent.startswith("//") else self.sent
        images = tuple(picture.data for picture in self.pictures)
        for talk in self.talks:
            how: How = "edit" if self.editing else "ask"
            self.ask(talk, how, text, images=images, place=self.editing or 0)

    def accepted(self) -> None:
        """The prompt lets go of what is stored; what was typed before an edit comes back."""
        if not self.sent:
            return
        self.prompt.let_go(self.sent)
        self.sent, self.pictures = "", ()
        self.leave_editing()

    def give_back(self, question: str) -> None:
        """The question returns to the prompt, unless something new stands there."""
        if not self.prompt.text:
            self.prompt.put(question)

    def edit(self, turn: Turn) -> None:
        """Fill the prompt with a question; sending it asks it in a branch."""
        if self.rivals or turn.place is None:
            return
        if self.editing is None:
            self._draft = self.prompt.text
        self.editing = turn.place
        self.prompt.put(turn.exchange.question)
        self.prompt.focus()
        self.draw()

    def leave_editing(self) -> None:
        """Back to what stood in the prompt before."""
        if self.editing is not None:
            self.editing = None
            self.prompt.put(self._draft)
            self._draft = ""
            self.draw()

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
