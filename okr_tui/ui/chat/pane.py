"""The chat pane: the conversations, and the composer of the next question under them."""

from dataclasses import replace
from typing import ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.reactive import var
from textual.widgets import Static

from okr_tui.chat.conversation import Began, Conversation, ConversationEvent, Draft, Ended, gauge
from okr_tui.chat.messages import pasted_image
from okr_tui.chat.options import think_levels
from okr_tui.chat.slash import complete, is_command, question_of
from okr_tui.domain.models import Model
from okr_tui.services.service import Snapshot
from okr_tui.ui.actions import FooterContext, bindings
from okr_tui.ui.chat.composer import Composer, Prompt
from okr_tui.ui.chat.conversation_views import ConversationView, ConversationViews, Rival
from okr_tui.ui.chat.labels import (
    comparison_line,
    editing_line,
    empty_text,
    model_named,
    options_line,
    short,
    title_line,
)
from okr_tui.ui.chat.messages import (
    AnswerRequested,
    ChatChanged,
    CommandEntered,
    ComparisonRequested,
    ConversationConfigured,
    How,
    ModelMissing,
    PromptReady,
    StopRequested,
)
from okr_tui.ui.chat.transcript import Transcript
from okr_tui.ui.chat.turn import TurnView
from okr_tui.ui.keymap import KeyOf
from okr_tui.ui.lines import QUIET, WARNING, Line, content, entitle, show_line

COLUMNS: Final = 100
"""Cells from which two conversations are shown side by side."""


class ChatPane(Vertical):
    """Connects views and composer. It requests with messages; controllers call it with the results.

    Typed text stays until it is stored.
    """

    ALLOW_MAXIMIZE = True
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("chat")]

    snapshot: var[Snapshot | None] = var(None)
    unfolded: var[bool] = var(False)
    notice: var[str] = var("")
    """Why nothing is being saved."""

    def __init__(self, key_of: KeyOf) -> None:
        super().__init__(id="chat", classes="pane")
        # Kept, since a query for every token of an answer would be slow.
        self.views = ConversationViews()
        self.composer = Composer()
        self._key = key_of

    def compose(self) -> ComposeResult:
        """Yield the conversations, or what to do while there are none, above the composer."""
        yield Static(content(()), id="chat-empty")
        yield self.views.data_bind(ChatPane.unfolded)
        yield self.composer

    def on_mount(self) -> None:
        """Show what to do first, and post that a draft may come."""
        self.prompt.completions = self._completions
        self.prompt.takes = lambda text: pasted_image(text) is not None
        self.draw()
        self.post_message(PromptReady())

    @property
    def prompt(self) -> Prompt:
        """The prompt."""
        return self.composer.prompt

    @property
    def view(self) -> ConversationView:
        """The conversation that commands apply to."""
        return self.views.current

    @property
    def transcript(self) -> Transcript:
        """The transcript of that view."""
        return self.view.transcript

    @property
    def conversation(self) -> Conversation:
        """The conversation of that view."""
        return self.view.conversation

    @property
    def model(self) -> str | None:
        """The model that is asked next."""
        return self.conversation.model

    @property
    def running(self) -> bool:
        """Whether an answer comes or is about to."""
        return self.views.running

    @property
    def models(self) -> list[Model]:
        """The models of the newest list."""
        return [row.model for row in self.snapshot.models.rows] if self.snapshot else []

    def footer_context(self, focused: FooterContext) -> FooterContext:
        """Return what the footer is to offer where the focus is."""
        if focused == "prompt" and self.views.rivals:
            return "compare"
        return "cut" if focused == "prompt" and self.view.can_ask_again else focused

    def _settle(self) -> None:
        """Draw, and post that other keys apply."""
        self.draw()
        self.post_message(ChatChanged())

    def configure(self, conversation: Conversation) -> None:
        """Take over another model, other options or another title of the conversation that is shown."""
        self.view.conversation = conversation
        self.post_message(ConversationConfigured(conversation))
        self.draw()

    def choose(self, model: str) -> None:
        """Ask this model from now on; the conversation continues."""
        self.configure(replace(self.conversation, model=model))

    async def show(self, conversation: Conversation, draft: Draft | None = None) -> None:
        """Show a conversation, alone, with its draft; without one, the prompt stays as it is."""
        self.stop()
        composer = self.composer
        changes = draft is not None and conversation.id != composer.conversation_id
        if draft is not None and changes:
            composer.change_conversation(conversation, draft)
        await self.leave_comparison()
        if not changes:
            composer.end_editing()
            composer.follow(conversation.id)
        await self.views.all[0].show(conversation)
        question = conversation.question
        if question is not None and conversation.unanswered and not question.message.images:
            composer.give_back(question.message.content)
        self._settle()

    async def start_over(self) -> None:
        """Show the new conversation with its draft; model and options stay."""
        before = self.conversation
        empty = Conversation("", model=before.model, options=before.options)
        await self.show(empty, self.composer.new_draft)

    async def show_notice(self, text: str, style: str = QUIET) -> None:
        """Show a block under the turns that belongs to the screen alone."""
        await self.transcript.show_notice(text, style)
        self.draw()
        self.post_message(ChatChanged())

    @on(Prompt.Sent)
    def _send(self, event: Prompt.Sent) -> None:
        event.stop()
        if is_command(event.text):
            self.post_message(CommandEntered(event.text))
        elif self.running:
            return
        elif self.model is None and not self.views.rivals:
            self.post_message(ModelMissing())
        else:
            self.composer.sent = event.text
            if self.views.rivals and len(self.views.all) == 1:
                models = tuple(model for model, _ in self.views.rivals)
                # Until both are there, nothing else is asked.
                self.view.pending = True
                self.post_message(ComparisonRequested(self.conversation, models))
            else:
                self._ask_all()

    def _ask_all(self) -> None:
        """Send what was typed to every side."""
        composer = self.composer
        images = tuple(picture.data for picture in composer.pictures)
        how: How = "edit" if composer.editing else "ask"
        for view in self.views.all:
            self._ask(view, how, question_of(composer.sent), images, composer.editing or 0)

    def ask_again(self, view: ConversationView, how: How, only: int | None = None) -> None:
        """Ask the last question of a view again; `only` is the 1-based index of the only key to use."""
        question = view.conversation.question
        if question is not None and not self.running:
            self.composer.withdraw(question.message.content)
        self._ask(view, how, only=only)

    def _ask(
        self,
        view: ConversationView,
        how: How,
        text: str = "",
        images: tuple[str, ...] = (),
        place: int = 0,
        only: int | None = None,
    ) -> None:
        """Request an answer, unless one is still coming; the arguments are those of AnswerRequested."""
        if view.busy:
            return
        view.pending = True
        conversation, key = view.conversation, only or view.only
        self.post_message(AnswerRequested(view.number, conversation, how, text, images, place, key))
        self.post_message(ChatChanged())

    async def show_event(self, side: int, event: ConversationEvent, at: float) -> None:
        """Draw a part of an answer, which came at `at` (epoch seconds)."""
        view = self.views.of(side)
        if view is None:
            return
        if isinstance(event, Began):
            await view.begin(event.conversation)
            if event.turn is not None:
                self.composer.question_stored()
            # Of two side by side, the prompt stays with the conversation before them.
            if not self.views.rivals:
                self.composer.follow(event.conversation.id)
            self.draw()
        elif isinstance(event, Ended):
            view.finish(event.conversation)
            self.prompt.stays = True
        elif view.show_event(event, at):
            self.draw()

    def stop(self) -> None:
        """Stop the running answers, at once on the screen; the text so far stays."""
        if self.running:
            self.post_message(StopRequested())
            for question in self.views.stop():
                self.composer.give_back(question)

    def fail(self, side: int, reason: str) -> bool:
        """Show the error that broke an answer; return False if the question was rejected, without a turn."""
        view = self.views.of(side)
        self.prompt.stays = True
        if view is None or view.running is None:
            self.composer.keep_refused()
            return False
        if question := view.fail(reason):
            self.composer.give_back(question)
        return True

    def ended(self, side: int) -> None:
        """Accept the next question on a side, whose answer has ended one way or another."""
        if view := self.views.of(side):
            view.pending = False
            if question := view.stop():
                self.composer.give_back(question)
            self._settle()

    def updated(self, side: int, conversation: Conversation) -> None:
        """Update the view from the stored conversation after an answer was cut off."""
        view = self.views.of(side)
        if view is not None and view.conversation.id == conversation.id and not view.busy:
            view.conversation = conversation
            self._settle()

    def edit(self, turn: TurnView) -> None:
        """Fill the prompt with a turn's question; sending it asks it in a branch."""
        if not self.views.rivals and turn.place is not None:
            self.composer.edit(turn.place, turn.state.question)
            self._settle()

    def _leave_editing(self) -> None:
        if self.composer.editing is not None:
            self.composer.leave_editing()
            self._settle()

    async def compare(self, rivals: tuple[Rival, ...]) -> None:
        """Ask these side by side, from the next question on."""
        await self.leave_comparison()
        self._leave_editing()
        self.views.rivals = rivals
        self._settle()

    async def ask_side_by_side(self, conversations: tuple[Conversation, ...]) -> None:
        """Show conversations side by side, and ask each of them what was typed."""
        await self.views.compare(conversations)
        self.draw()
        self._ask_all()

    async def leave_comparison(self, keep: ConversationView | None = None) -> None:
        """Go on with one side alone; None goes back to the conversation before the two."""
        if not self.views.rivals:
            return
        self.stop()
        kept = keep.conversation.id if keep is not None else None
        await self.views.leave_comparison(keep)
        if kept is not None:
            self.composer.follow(kept)
        self._settle()

    async def back(self) -> bool:
        """Go one step back within the chat; return False when there is none."""
        if self.running:
            self.stop()
        elif await self.transcript.close_notice():
            self.draw()
        elif self.composer.editing is not None:
            self._leave_editing()
        elif self.views.rivals:
            await self.leave_comparison()
        else:
            return False
        return True

    def _completions(self, text: str) -> tuple[str, ...]:
        models = [model.id for model in self.models if model.status == "listed"]
        keys = len(self.snapshot.pool.keys) if self.snapshot else 0
        return complete(text, models, keys, think_levels(model_named(self.model, self.models)))

    def on_resize(self, event: events.Resize) -> None:
        """Show two conversations side by side where there is room."""
        self.set_class(event.size.width >= COLUMNS, "-columns")

    def watch_snapshot(self) -> None:
        """Draw with the newest key and models."""
        if self.is_mounted:
            self.draw()

    def watch_notice(self) -> None:
        """Show that nothing is saved."""
        if self.is_mounted:
            self.draw()

    def draw(self) -> None:
        """Draw title, options, notes and what can be done about the last answer."""
        views, conversation = self.views.all, self.conversation
        known = model_named(conversation.model, self.models)
        via = self.view.via or (self.snapshot.pool.active if self.snapshot else None)
        rivals = [f"{model} #{only}" if only else model for model, only in self.views.rivals]
        entitle(self, title=title_line(conversation, via, rivals), subtitle=options_line(conversation, known))
        self.set_class(len(views) > 1, "-sides")
        self.set_class(any(not view.empty for view in views), "-talking")
        for view in views:
            view.show_heading(shown=len(views) > 1)
            view.offer(self._offers(view))
        self.prompt.earlier = [each.question for each in views[0].transcript.states if each.question]
        if conversation.model:
            self.prompt.placeholder = content(
                ((f"ask {short(' and '.join(rivals) or conversation.model, 60)}", QUIET),)
            )
        empty = empty_text(conversation, rivals, self._key)
        show_line(self.query_one("#chat-empty", Static), ((empty, QUIET),))
        self.composer.draw(self._note(gauge(conversation, known).warning))

    def _note(self, warning: str | None) -> Line:
        if self.composer.editing is not None:
            return editing_line(self._key)
        if self.views.rivals:
            return comparison_line(self._key, begun=len(self.views.all) > 1)
        words = warning or self.notice
        return ((f"▲ {words}", WARNING),) if words else ()

    def _offers(self, view: ConversationView) -> str:
        again = f"{self._key('again-elsewhere')} again on another key"
        if view.can_continue:
            return f"{self._key('continue-answer')} continue · {again}"
        if not view.can_ask_again:
            return ""
        return f"enter sends it again · {again}" if self.prompt.text else again
