"""The chat pane: its conversations, and the prompt with all that goes along with the next question."""

from dataclasses import replace
from typing import ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.reactive import var
from textual.widgets import Static

from okr_tui.chat.conversation import Conversation, Draft, gauge
from okr_tui.chat.images import pasted_image
from okr_tui.chat.options import think_levels
from okr_tui.chat.slash import complete, is_command
from okr_tui.domain.models import Model
from okr_tui.services.service import Snapshot
from okr_tui.ui.actions import Place, bindings
from okr_tui.ui.base_app import keys_of
from okr_tui.ui.chat.composer import Composer
from okr_tui.ui.chat.conversation_view import ConversationView
from okr_tui.ui.chat.conversation_views import Rival
from okr_tui.ui.chat.messages import Commanded, NoModel, PromptReady, SidesAsked
from okr_tui.ui.chat.prompt import Completion, Prompt
from okr_tui.ui.chat.words import (
    both_line,
    editing_line,
    empty_words,
    model_named,
    options_line,
    pictures_line,
    short,
    title_line,
)
from okr_tui.ui.lines import QUIET, WARNING, Line, content, entitle

COLUMNS: Final = 100
"""Cells from which two conversations stand side by side."""


class ChatPane(Composer):
    """Asks upward with messages and is told what comes of them. What was typed stays until it is stored."""

    ALLOW_MAXIMIZE = True
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("chat")]

    snapshot: var[Snapshot | None] = var(None)
    notice: var[str] = var("")
    """Why nothing is saved."""

    def __init__(self) -> None:
        super().__init__(id="chat", classes="pane")

    def compose(self) -> ComposeResult:
        """The turns, or what to do while there are none, above the prompt and what belongs to it."""
        yield Static(content(()), id="chat-empty")
        with Container(id="talks"):
            yield ConversationView(Conversation(""))
        yield Static(id="chat-note")
        yield Static(id="pictures")
        yield Completion()
        yield Prompt()

    def on_mount(self) -> None:
        """Say what to do first, and that a draft may come."""
        self.prompt.completions = self._completions
        self.prompt.takes = lambda text: pasted_image(text) is not None
        self.draw()
        self.post_message(PromptReady())

    @property
    def models(self) -> list[Model]:
        """The models of the newest list."""
        return [row.model for row in self.snapshot.models.rows] if self.snapshot else []

    def place(self, focused: Place) -> Place:
        """What the footer is to offer where the focus is."""
        if focused == "prompt" and self.rivals:
            return "compare"
        return "cut" if focused == "prompt" and self.talk.can_ask_again else focused

    def choose(self, model: str) -> None:
        """Talk to this model from now on; the conversation goes on."""
        self.configure(replace(self.conversation, model=model))
        self.prompt.focus()

    async def show(self, conversation: Conversation, draft: Draft | None = None) -> None:
        """Another conversation, alone, with its draft; without one, what stands in the prompt goes along."""
        self.stop()
        changes = draft is not None and conversation.id != self.home
        if draft is not None and changes:
            self.change_draft(conversation, draft)
        await self.leave_sides()
        if not changes:
            self.end_editing()
            self.goes_on_as(conversation.id)
        await self.talks[0].show(conversation)
        question = conversation.question
        if question is not None and conversation.unanswered and not question.message.images:
            self.give_back(question.message.content)
        self.settle()

    async def begin_anew(self) -> None:
        """The new conversation with what was typed for it; the model and its options stay."""
        before = self.conversation
        await self.show(Conversation("", model=before.model, options=before.options), self.unasked)

    async def say(self, text: str, style: str = QUIET) -> None:
        """A quiet block under the turns that belongs to the screen alone."""
        await self.talk.transcript.say(text, style)
        self.draw()

    @on(Prompt.Sent)
    def _send(self, event: Prompt.Sent) -> None:
        event.stop()
        if is_command(event.text):
            self.post_message(Commanded(event.text))
        elif self.running:
            return
        elif self.model is None and not self.rivals:
            self.post_message(NoModel())
        else:
            self.sent = event.text
            if self.rivals and len(self.talks) == 1:
                models = tuple(model for model, _ in self.rivals)
                # Until both are there, nothing else is asked.
                self.talk.pending = True
                self.post_message(SidesAsked(self.conversation, models))
            else:
                self.ask_all()

    async def compare(self, rivals: tuple[Rival, ...]) -> None:
        """Ask these side by side, from the next question on."""
        await self.leave_sides()
        self.leave_editing()
        self.rivals = rivals
        self.settle()

    async def back(self) -> bool:
        """One step back within the chat; False when there is none."""
        if self.running:
            self.stop()
        elif self.editing is not None:
            self.leave_editing()
        elif self.rivals:
            await self.leave_sides()
        else:
            return False
        return True

    @on(Prompt.Completing)
    def _show_completions(self, event: Prompt.Completing) -> None:
        event.stop()
        self.query_one(Completion).show(event.candidates, event.marked)

    def _completions(self, text: str) -> tuple[str, ...]:
        models = [model.id for model in self.models if model.status == "listed"]
        keys = len(self.snapshot.pool.keys) if self.snapshot else 0
        return complete(text, models, keys, think_levels(model_named(self.model, self.models)))

    def on_resize(self, event: events.Resize) -> None:
        """Two conversations stand side by side where there is room."""
        self.set_class(event.size.width >= COLUMNS, "-columns")

    def watch_snapshot(self) -> None:
        """The key and the models may be others."""
        if self.is_mounted:
            self.draw()

    def watch_notice(self) -> None:
        """Say that nothing is saved."""
        if self.is_mounted:
            self.draw()

    def draw(self) -> None:
        """Title, options, notes and what the last answer offers."""
        self.tell_draft()
        talks, conversation = self.talks, self.conversation
        known = model_named(conversation.model, self.models)
        via = self.talk.via or (self.snapshot.pool.active if self.snapshot else None)
        rivals = [f"{model} #{only}" if only else model for model, only in self.rivals]
        entitle(self, title=title_line(conversation, via, rivals), subtitle=options_line(conversation, known))
        self.set_class(len(talks) > 1, "-sides")
        self.set_class(any(not talk.empty for talk in talks), "-talking")
        for talk in talks:
            talk.name_it(talk.heading() if len(talks) > 1 else ())
            talk.offer(self._offers(talk))
        self.prompt.earlier = [each.question for each in talks[0].transcript.exchanges if each.question]
        if conversation.model:
            self.prompt.placeholder = content(
                ((f"ask {short(' and '.join(rivals) or conversation.model, 60)}", QUIET),)
            )
        words = empty_words(conversation, rivals, self._key)
        self.query_one("#chat-empty", Static).update(content(((words, QUIET),)))
        for selector, line in (
            ("#chat-note", self._note(gauge(conversation, known).warning)),
            ("#pictures", pictures_line(self.pictures)),
        ):
            self.query_one(selector, Static).update(content(line))
            self.query_one(selector).display = bool(line)

    def _note(self, warning: str | None) -> Line:
        if self.editing is not None:
            return editing_line(self._key)
        if self.rivals:
            return both_line(self._key, asked=len(self.talks) > 1)
        words = warning or self.notice
        return ((f"▲ {words}", WARNING),) if words else ()

    def _offers(self, talk: ConversationView) -> str:
        again = f"{self._key('again-elsewhere')} again on another key"
        if talk.can_continue:
            return f"{self._key('continue-answer')} continue · {again}"
        if not talk.can_ask_again:
            return ""
        return f"enter sends it again · {again}" if self.prompt.text else again

    def _key(self, action: str) -> str:
        return keys_of(self.app)(action)
