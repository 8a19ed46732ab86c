"""The chat's controller: answers from start to end, and actions on turns."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from textual.worker import Worker, WorkerState

from okr_tui.chat.conversation import Conversation, code_blocks, is_plain, links_of
from okr_tui.chat.options import think_levels
from okr_tui.domain.errors import OkrError
from okr_tui.ui import bridge
from okr_tui.ui.chat.labels import model_named
from okr_tui.ui.chat.messages import AnswerRequested, ComparisonRequested, ConversationConfigured, How
from okr_tui.ui.controllers.application import LONG, Application, open_conversations
from okr_tui.ui.lines import one_line

if TYPE_CHECKING:
    from okr_tui.chat.conversation import Answering
    from okr_tui.ui.chat.conversation_views import ConversationView
    from okr_tui.ui.chat.dialogs import ConfirmTool
    from okr_tui.ui.chat.pane import ChatPane
    from okr_tui.ui.chat.turn import TurnView


class ChatController:
    """Runs answers and shows them in the pane that `pane` returns."""

    def __init__(self, app: Application, pane: "Callable[[], ChatPane]") -> None:
        self.app = app
        self._pane = pane
        self._answers: dict[Worker[None], AnswerRequested] = {}
        self._confirming: list[ConfirmTool] = []
        # A question and a change of its conversation would overwrite each other.
        self._in_turn = asyncio.Lock()
        self._found = ""
        """The words that were looked for last."""

    @property
    def pane(self) -> "ChatPane":
        """The chat pane."""
        return self._pane()

    def ask(self, event: AnswerRequested) -> None:
        """Start an answer in a conversation."""
        answer = bridge.answer(self._answering(event), event.side, self.app.post_message, self.app.clock)
        self._answers[self.app.start(answer, group=f"answer {event.side}")] = event

    async def _answering(self, event: AnswerRequested) -> "Answering":
        conversations, wanted = open_conversations(self.app), event.conversation
        async with self._in_turn:
            conversation = await self._stored(wanted)
            name = conversation.id
            match event.how:
                case "ask":
                    return await conversations.ask(name, event.text, event.images, only=event.only)
                case "edit":
                    return await conversations.edit(name, event.place, event.text, event.images)
                case "continue":
                    return await conversations.resume(name)
                case _:
                    other = event.how == "other"
                    return await conversations.again(name, other_key=other, only=event.only)

    async def _stored(self, wanted: Conversation) -> Conversation:
        """Return the stored conversation, with the model and the options that the pane shows."""
        conversations = open_conversations(self.app)
        if not wanted.id:
            return conversations.new(wanted.model, wanted.options)
        known = await conversations.get(wanted.id)
        if (known.model, known.options) == (wanted.model, wanted.options):
            return known
        return await conversations.configure(wanted.id, model=wanted.model, options=wanted.options)

    def configure(self, event: ConversationConfigured) -> None:
        """Store the new model and options of a conversation."""

        async def keep() -> None:
            async with self._in_turn:
                await self._stored(event.conversation)

        if event.conversation.id:
            self.app.start(keep())

    def begin_sides(self, event: ComparisonRequested) -> None:
        """Branch the conversation for each model, then ask both."""

        async def begin() -> None:
            wanted, side = event.conversation, self.pane.views.all[0].number
            try:
                async with self._in_turn:
                    origin = (await self._stored(wanted)).id if wanted.id else None
                    conversations = open_conversations(self.app)
                    sides = await conversations.compare(origin, event.models, wanted.options)
            except OkrError:
                self.pane.ended(side)
                raise
            if self.pane.views.of(side) is None or not self.pane.views.rivals:
                return
            await self.pane.ask_side_by_side(sides)

        self.app.start(begin())

    async def show_answer(self, event: bridge.AnswerArrived) -> None:
        """Draw a part of an answer; where the model wants to use a tool, ask for consent."""
        from okr_tui.chat.conversation import ConsentRequested

        await self.pane.show_event(event.side, event.event, event.at)
        if isinstance(event.event, ConsentRequested):
            from okr_tui.ui.chat.dialogs import ConfirmTool

            self._confirming.append(ConfirmTool(event.event))
            self.app.push_screen(self._confirming[-1])

    def stop(self) -> None:
        """Stop the running answers."""
        for worker in self._answers:
            worker.cancel()

    def explain_no_model(self) -> None:
        """Say how to choose a model."""
        key = self.app.keymap.key_of("choose-model")
        words = f"Choose a model for your question: {key} takes the selected line"
        self.app.notify(words, severity="warning")

    def answer_ended(self, worker: Worker[None], reason: str) -> bool:
        """Show the end of an answer and reload its conversation; return False for any other worker."""
        event = self._answers.get(worker)
        if event is None or worker.state in (WorkerState.PENDING, WorkerState.RUNNING):
            return event is not None
        del self._answers[worker]
        pane, side = self.pane, event.side
        if worker.state is WorkerState.ERROR and not pane.fail(side, reason):
            self.app.notify(reason, title="Not sent", severity="error", timeout=LONG, markup=False)
        for screen in [each for each in self._confirming if each.gone]:
            self._confirming.remove(screen)
            if screen.is_attached:
                screen.dismiss()
        pane.ended(side)
        self.show_notice()
        view = pane.views.of(side)
        if worker.state is not WorkerState.SUCCESS and view is not None and view.conversation.id:
            self.app.start(self._read_again(side, view.conversation.id))
        return True

    def show_notice(self) -> None:
        """Show in the pane why nothing is being saved, if so."""
        if self.app.conversations is not None:
            self.pane.notice = self.app.conversations.notice or ""

    async def _read_again(self, side: int, identifier: str) -> None:
        self.pane.updated(side, await open_conversations(self.app).get(identifier))

    async def end_answers(self) -> None:
        """Stop the running answers and wait until they are stored."""
        workers = list(self._answers)
        for worker in workers:
            if not worker.is_cancelled:
                worker.cancel()
        await asyncio.gather(*(worker.wait() for worker in workers), return_exceptions=True)

    def ask_again(self, how: How, only: int | None = None) -> None:
        """Ask the last question again; `only` is the 1-based index of the only key to use."""
        view = self.pane.view
        if view.busy:
            key = self.app.keymap.key_of("back")
            self.app.notify(f"An answer is still coming: {key} stops it", severity="warning")
        elif how == "continue" and not view.can_continue:
            words = "The last answer is complete: there is nothing to continue"
            self.app.notify(words, severity="warning")
        elif view.conversation.question is None:
            self.app.notify("There is no question to ask again", severity="warning")
        else:
            self.pane.ask_again(view, how, only)

    def keep_side(self, index: int) -> None:
        """Keep one of two conversations; running answers on both stop and are stored."""
        views = self.pane.views.all
        if len(views) > index and self.pane.views.rivals:
            self.app.start(self._keep_side(views[index]))

    async def _keep_side(self, view: "ConversationView") -> None:
        await self.end_answers()
        if view in self.pane.views.all and self.pane.views.rivals:
            if view.conversation.id:
                view.conversation = await open_conversations(self.app).get(view.conversation.id)
            await self.pane.leave_comparison(view)
            self.pane.prompt.focus()

    def next_think_level(self) -> None:
        """Set the model's next think level; after the last one, its default."""
        conversation = self.pane.conversation
        levels = (None, *think_levels(model_named(conversation.model, self.pane.models)))
        if conversation.model is None or len(levels) == 1:
            words = f"{conversation.model or 'No model'} does not think"
            self.app.notify(words, severity="warning", markup=False)
            return
        now = conversation.options.think
        following = levels[(levels.index(now) + 1) % len(levels)] if now in levels else None
        self.set_option("think", following or "")

    def set_option(self, name: str, text: str) -> None:
        """Set an option of the conversation. Raises ChatError for an invalid value."""
        conversation = self.pane.conversation
        self.pane.configure(replace(conversation, options=conversation.options.changed(name, text)))

    def edit_turn(self) -> None:
        """Edit the selected question; sending it branches the conversation."""
        if turn := self._turn():
            self.pane.edit(turn)

    def copy_turn(self) -> None:
        """Copy the selected answer, or the question that has none."""
        if turn := self._turn():
            self.app.copy(turn.text or turn.state.question, "the answer" if turn.text else "the question")

    def copy_conversation(self) -> None:
        """Copy the whole conversation as Markdown."""
        name = self.pane.conversation.id
        if not name:
            self.app.notify("There is no turn yet", severity="warning")
            return

        async def copy() -> None:
            self.app.copy(await open_conversations(self.app).export(name), "the conversation")

        self.app.start(copy())

    def open_link(self) -> None:
        """Show where the links of the selected answer lead."""
        if turn := self._turn():
            self.open_links(links_of(turn.text))

    def open_links(self, addresses: Sequence[str]) -> None:
        """Ask which of some addresses to open; those that may mislead are left out."""
        safe = [address for address in addresses if is_plain(address)]
        if safe:
            from okr_tui.ui.chat.dialogs import OpenLink

            self.app.push_screen(OpenLink(safe, self.app.open_url, self.app.copy))
        elif addresses:
            words = f"Not opened, as it may not lead where it seems to: {one_line(addresses[0])}"
            self.app.notify(words, severity="warning", timeout=LONG, markup=False)
        else:
            self.app.notify("There is no link in this answer", severity="warning")

    def ask_what_to_find(self) -> None:
        """Ask for words, and show one turn after another that has them."""
        from okr_tui.ui.chat.dialogs import FindWords

        self.app.push_screen(FindWords(self._found, self.find))

    def find(self, words: str) -> str:
        """Show the next turn, upwards, that has all the words; return which of how many it is, in words."""
        self._found = words
        transcript = self.pane.transcript
        number, total = transcript.find(words)
        if not total:
            return f"no turn has {one_line(words)[:40]!r}"
        return f"turn {number} of {total} with these words"

    def copy_code(self, number: int | None = None) -> None:
        """Copy a code block of the selected answer; ask which one where there are several."""
        if (turn := self._turn()) is None:
            return
        blocks = code_blocks(turn.text)
        if not blocks:
            self.app.notify("There is no code in this answer", severity="warning")
        elif number is not None and not 1 <= number <= len(blocks):
            self.app.notify(f"There are {len(blocks)} code blocks in this answer", severity="warning")
        elif number is not None or len(blocks) == 1:
            self.app.copy(blocks[(number or 1) - 1].text, "the code")
        else:
            from okr_tui.ui.chat.dialogs import PickCode

            self.app.push_screen(PickCode(blocks, self.app.copy))

    def branch(self) -> None:
        """Start a new conversation from the selected turn."""
        turn, conversation = self._turn(), self.pane.conversation
        if turn is None or turn.place is None or not conversation.id or self.pane.running:
            return
        later = [each.place for each in self.pane.transcript.states if (each.place or 0) > turn.place]
        end = min((place for place in later if place), default=conversation.next_place)

        async def branch() -> None:
            await self.pane.show(await open_conversations(self.app).branch(conversation.id, end))
            self.app.notify("Branched: the original conversation is unchanged")

        self.app.start(branch())

    def _turn(self) -> "TurnView | None":
        """Return the selected turn, else the last one."""
        turn = self.pane.transcript.chosen
        if turn is None:
            self.app.notify("There is no turn yet", severity="warning")
        return turn
