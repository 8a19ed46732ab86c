"""What the chat asks of the conversations: answers, their ends, and what a person does with turns."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

from textual import on
from textual.worker import Worker, WorkerState

from okr_tui.chat.conversation import Conversation
from okr_tui.domain.errors import OkrError
from okr_tui.ui import bridge
from okr_tui.ui.chat.dialogs import ConfirmTool
from okr_tui.ui.chat.messages import (
    AnswerRequested,
    ComparisonRequested,
    ConversationConfigured,
    How,
    ModelMissing,
    StopRequested,
)
from okr_tui.ui.controllers.pool import LONG
from okr_tui.ui.controllers.settings import SettingsCommands

if TYPE_CHECKING:
    from okr_tui.chat.events import Answering, ConversationService
    from okr_tui.ui.chat.conversation_views import ConversationView
    from okr_tui.ui.chat.pane import ChatPane


NOT_READY = "the service is still being opened; try again"


class ChatCommands(SettingsCommands):
    """The only place that talks to the conversations; what they say reaches the pane as messages."""

    def __init__(self, zone: tzinfo = UTC, clock: Callable[[], float] = time.time) -> None:
        super().__init__(zone, clock)
        self.conversations: ConversationService | None = None
        self._answers: dict[Worker[None], AnswerRequested] = {}
        # A question and a change of its conversation would overwrite each other.
        self._in_turn = asyncio.Lock()

    @property
    def chat(self) -> "ChatPane":
        """The pane."""
        return self.dashboard.chat

    @property
    def saved(self) -> "ConversationService":
        """The conversations; raises OkrError while they are not open."""
        if self.conversations is None:
            raise OkrError(self.failure_words())
        return self.conversations

    def failure_words(self) -> str:
        """Why nothing can be asked yet."""
        return NOT_READY

    def act(self, work: Coroutine[None, None, None]) -> None:
        """Run a coroutine whose failure is shown as a command's is."""
        self.run_worker(work, group="command", exit_on_error=False)

    @on(AnswerRequested)
    def _asked(self, event: AnswerRequested) -> None:
        worker = self.run_worker(
            bridge.answer(self._answering(event), event.side, self.post_message, self.clock),
            group=f"answer {event.side}",
            exit_on_error=False,
        )
        self._answers[worker] = event

    async def _answering(self, event: AnswerRequested) -> "Answering":
        saved, wanted = self.saved, event.conversation
        async with self._in_turn:
            conversation = await self._stored(wanted)
            name = conversation.id
            match event.how:
                case "ask":
                    return await saved.ask(name, event.text, event.images, only=event.only)
                case "edit":
                    return await saved.edit(name, event.place, event.text, event.images)
                case "continue":
                    return await saved.resume(name)
                case _:
                    return await saved.again(name, other_key=event.how == "other", only=event.only)

    async def _stored(self, wanted: Conversation) -> Conversation:
        """The service's conversation, with the model and the options that the pane shows."""
        if not wanted.id:
            return self.saved.new(wanted.model, wanted.options)
        known = await self.saved.get(wanted.id)
        if (known.model, known.options) == (wanted.model, wanted.options):
            return known
        return await self.saved.configure(wanted.id, model=wanted.model, options=wanted.options)

    @on(ConversationConfigured)
    def _configured(self, event: ConversationConfigured) -> None:
        async def keep() -> None:
            async with self._in_turn:
                await self._stored(event.conversation)

        if event.conversation.id:
            self.act(keep())

    @on(ComparisonRequested)
    def _sides_asked(self, event: ComparisonRequested) -> None:
        async def begin() -> None:
            wanted, side = event.conversation, self.chat.views.all[0].number
            try:
                async with self._in_turn:
                    origin = (await self._stored(wanted)).id if wanted.id else None
                    sides = await self.saved.compare(origin, event.models, wanted.options)
            except OkrError:
                self.chat.ended(side)
                raise
            if self.chat.views.of(side) is None or not self.chat.views.rivals:
                return
            await self.chat.ask_side_by_side(sides)

        self.act(begin())

    @on(bridge.AnswerArrived)
    async def _answer_arrived(self, event: bridge.AnswerArrived) -> None:
        from okr_tui.chat.events import ConsentRequested

        if not self.is_running:  # the screen is being taken down
            return
        await self.chat.show_event(event.side, event.event, event.at)
        if isinstance(event.event, ConsentRequested):
            self.push_screen(ConfirmTool(event.event))

    @on(StopRequested)
    def _stop_asked(self) -> None:
        for worker in self._answers:
            worker.cancel()

    @on(ModelMissing)
    def _no_model(self) -> None:
        key = self.key_of("choose-model")
        self.notify(f"Choose a model first: {key} on a line of Models", severity="warning")

    def answer_ended(self, worker: Worker[None], reason: str) -> bool:
        """Whether this worker was an answer; its end is shown, and what is stored of it read again."""
        event = self._answers.get(worker)
        if event is None or worker.state in (WorkerState.PENDING, WorkerState.RUNNING):
            return event is not None
        del self._answers[worker]
        chat, side = self.chat, event.side
        if worker.state is WorkerState.ERROR and not chat.fail(side, reason):
            self.notify(reason, title="Not asked", severity="error", timeout=LONG, markup=False)
        for screen in self.screen_stack:
            if isinstance(screen, ConfirmTool) and screen.gone:
                screen.dismiss()
        chat.ended(side)
        self.say_notice()
        view = chat.views.of(side)
        if worker.state is not WorkerState.SUCCESS and view is not None and view.conversation.id:
            self.run_worker(
                self._look_again(side, view.conversation.id), group="command", exit_on_error=False
            )
        return True

    def say_notice(self) -> None:
        """Say in the pane that nothing is saved any more, if so."""
        if self.conversations is not None:
            self.chat.notice = self.conversations.notice or ""

    async def _look_again(self, side: int, name: str) -> None:
        self.chat.updated(side, await self.saved.get(name))

    async def end_answers(self) -> None:
        """Stop what is coming and wait until it is stored."""
        workers = list(self._answers)
        for worker in workers:
            if not worker.is_cancelled:
                worker.cancel()
        await asyncio.gather(*(worker.wait() for worker in workers), return_exceptions=True)

    def action_continue_answer(self) -> None:
        """Let a cut-off answer go on."""
        self.once_more("continue")

    def action_again_elsewhere(self) -> None:
        """Ask the last question again with another account's key."""
        self.once_more("other")

    def once_more(self, how: How, only: int | None = None) -> None:
        """Have the last question answered once more; `only` is the place of the one key to use."""
        view = self.chat.view
        if view.busy:
            self.notify(f"An answer is still coming: {self.key_of('back')} stops it", severity="warning")
        elif how == "continue" and not view.can_continue:
            self.notify("The last answer is complete: there is nothing to continue", severity="warning")
        elif view.conversation.question is None:
            self.notify("There is no question to ask again", severity="warning")
        else:
            self.chat.ask_again(view, how, only)

    def action_keep_side(self, place: int) -> None:
        """Of two conversations, go on with one; what still comes on either stops and is kept."""
        views = self.chat.views.all
        if len(views) > place and self.chat.views.rivals:
            self.act(self._keep_side(views[place]))

    async def _keep_side(self, view: "ConversationView") -> None:
        await self.end_answers()
        if view in self.chat.views.all and self.chat.views.rivals:
            if view.conversation.id:
                view.conversation = await self.saved.get(view.conversation.id)
            await self.chat.leave_comparison(view)
            self.chat.prompt.focus()

    def action_conversations(self, words: str = "") -> None:
        """Earlier conversations."""
        from okr_tui.ui.chat.conversations_screen import ConversationsScreen

        self.push_screen(ConversationsScreen(words))
