"""The conversations of the chat, one or two side by side, and their answers as they come."""

from dataclasses import replace
from typing import TYPE_CHECKING

from textual.containers import Container, Vertical
from textual.reactive import var

from okr_tui.chat.conversation import Conversation
from okr_tui.ui.chat.conversation_view import ConversationView
from okr_tui.ui.chat.messages import Asked, ChatChanged, Configured, How, StopAsked
from okr_tui.ui.chat.transcript import Transcript

if TYPE_CHECKING:
    from okr_tui.chat.events import ConversationEvent

Rival = tuple[str, int | None]
"""A model, and the place of the one key it is asked with; None for the pool's choice."""


class ConversationViews(Vertical):
    """Holds them and has them answered; the pane around it has the prompt."""

    unfolded: var[bool] = var(False)

    rivals: tuple[Rival, ...] = ()
    """What is asked side by side, from the next question on; () for one conversation."""
    _before: Conversation | None = None

    @property
    def talks(self) -> list[ConversationView]:
        """The conversations that are shown, one or two."""
        return list(self.query(ConversationView))

    @property
    def talk(self) -> ConversationView:
        """The conversation that is meant: the focused one, else the first that can go on, else the first."""
        talks = self.talks
        focused = self.screen.focused
        mine = [talk for talk in talks if focused is not None and talk in focused.ancestors]
        return (mine + [talk for talk in talks if talk.can_ask_again] + talks)[0]

    @property
    def transcript(self) -> Transcript:
        """The turns of that conversation."""
        return self.talk.transcript

    @property
    def conversation(self) -> Conversation:
        """That conversation as it stands."""
        return self.talk.conversation

    @property
    def model(self) -> str | None:
        """The model that is asked next."""
        return self.conversation.model

    @property
    def running(self) -> bool:
        """Whether an answer comes or is about to."""
        return any(talk.busy for talk in self.talks)

    def of(self, side: int) -> ConversationView | None:
        """The conversation of that number, unless it is gone."""
        return next((talk for talk in self.talks if talk.number == side), None)

    def draw(self) -> None:
        """Say anew what the state is."""

    def accepted(self) -> None:
        """A question is stored."""

    def give_back(self, question: str) -> None:
        """A question got no word of an answer."""

    def goes_on_as(self, identifier: str) -> None:
        """What is shown is stored from now on, or goes on in a branch, under that identifier."""

    def settle(self) -> None:
        """Other keys apply: nothing comes any more on some side, or an edit began or ended."""
        self.draw()
        self.post_message(ChatChanged())

    def configure(self, conversation: Conversation) -> None:
        """The same conversation with another model, other options or another title."""
        self.talk.conversation = conversation
        self.post_message(Configured(conversation))
        self.draw()

    def ask(
        self,
        talk: ConversationView,
        how: How,
        text: str = "",
        images: tuple[str, ...] = (),
        place: int = 0,
        only: int | None = None,
    ) -> None:
        """Have a conversation answered, unless an answer is still coming; see Asked."""
        if talk.busy:
            return
        talk.pending = True
        conversation, key = talk.conversation, only or talk.only
        self.post_message(Asked(talk.number, conversation, how, text, images, place, key))
        self.post_message(ChatChanged())

    async def show_event(self, side: int, event: "ConversationEvent", at: float) -> None:
        """Draw a part of an answer. Its beginning says that the question is stored."""
        from okr_tui.chat.events import Began, Ended

        talk = self.of(side)
        if talk is None:
            return
        if isinstance(event, Began):
            await talk.began(event.conversation)
            if event.turn is not None:
                self.accepted()
            self.goes_on_as(event.conversation.id)
            self.draw()
        elif isinstance(event, Ended):
            # Model, options and title may have been changed meanwhile.
            ended = event.conversation
            talk.conversation = replace(talk.conversation, turns=ended.turns, updated=ended.updated)
            talk.finish()
        else:
            via = talk.via
            talk.show_event(event, at)
            if talk.via != via:
                self.draw()

    def stop(self) -> None:
        """End what is coming, at once on the screen; what came is kept."""
        if not self.running:
            return
        self.post_message(StopAsked())
        for talk in self.talks:
            if talk.running:
                self._returned(talk)
                talk.stop()
                # Until the service has let go of it, it takes no other question.
                talk.pending = True

    def fail(self, side: int, reason: str) -> bool:
        """The answer broke; False when there is no turn to say it in, so the question was refused."""
        talk = self.of(side)
        if talk is None or talk.running is None:
            return False
        self._returned(talk)
        talk.fail(reason)
        return True

    def _returned(self, talk: ConversationView) -> None:
        turn = talk.running
        if turn and not turn.exchange.steps:
            self.give_back(turn.exchange.question)

    def ended(self, side: int) -> None:
        """No more comes on that side, however it ended."""
        if talk := self.of(side):
            talk.pending = False
            self._returned(talk)
            talk.stop()
            self.settle()

    def updated(self, side: int, conversation: Conversation) -> None:
        """What is stored after an answer was cut off."""
        talk = self.of(side)
        if talk is not None and talk.conversation.id == conversation.id and not talk.busy:
            talk.conversation = conversation
            self.settle()

    async def show_sides(self, conversations: tuple[Conversation, ...]) -> None:
        """Two conversations side by side from now on, each with its rival's key."""
        first, *others = conversations
        self._before = self.talk.conversation
        await self.talks[0].show(first)
        for conversation in others:
            talk = ConversationView(conversation)
            talk.unfolded = self.unfolded
            await self.query_one("#talks", Container).mount(talk)
            await talk.show(conversation)
        for talk, (_, only) in zip(self.talks, self.rivals, strict=False):
            talk.only = only
        self.draw()

    async def leave_sides(self, keep: ConversationView | None = None) -> None:
        """Go on with one side alone; None goes back to the conversation before the two."""
        if not self.rivals:
            return
        self.stop()
        self.rivals = ()
        first, *others = self.talks
        kept = keep.conversation if keep is not None else self._before
        for talk in others:
            await talk.remove()
        first.only, self._before = None, None
        if keep is not None:
            self.goes_on_as(keep.conversation.id)
        if kept is not None and others:
            await first.show(kept)
        self.settle()

    def next_side(self, direction: int) -> bool:
        """Focus the other of two conversations, where it comes next."""
        talks = self.talks
        focused = [place for place, talk in enumerate(talks) if talk.transcript is self.screen.focused]
        following = focused[0] + direction if focused else -1
        if not 0 <= following < len(talks):
            return False
        talks[following].transcript.focus()
        return True

    def watch_unfolded(self) -> None:
        """Show or fold the thoughts on every side."""
        for talk in self.talks:
            talk.unfolded = self.unfolded
