"""What a person does with the turns of a conversation, and how much its model thinks."""

from dataclasses import replace
from typing import TYPE_CHECKING

from textual import on

from okr_tui.chat.conversation import code_blocks
from okr_tui.chat.options import think_levels
from okr_tui.ui.chat.dialogs import PickCode
from okr_tui.ui.chat.labels import model_named
from okr_tui.ui.chat.transcript import Transcript
from okr_tui.ui.controllers.drafts import DraftCommands

if TYPE_CHECKING:
    from okr_tui.ui.chat.turn import Turn


class TurnCommands(DraftCommands):
    """Acts on the selected turn; without a selection on the last one."""

    def action_think_level(self) -> None:
        """The next level of the model, after the last one whatever the model likes."""
        conversation = self.chat.conversation
        levels = (None, *think_levels(model_named(conversation.model, self.chat.models)))
        if conversation.model is None or len(levels) == 1:
            self.notify(
                f"{conversation.model or 'No model'} does not think", severity="warning", markup=False
            )
            return
        now = conversation.options.think
        following = levels[(levels.index(now) + 1) % len(levels)] if now in levels else None
        self.set_option("think", following or "")

    def set_option(self, name: str, text: str) -> None:
        """Set an option of the conversation; raises ChatError for what cannot be."""
        conversation = self.chat.conversation
        self.chat.configure(replace(conversation, options=conversation.options.changed(name, text)))

    @on(Transcript.Chosen)
    def _turn_chosen(self) -> None:
        self.action_edit_turn()

    def _turn(self) -> "Turn | None":
        turn = self.chat.transcript.chosen
        if turn is None:
            self.notify("There is no turn yet", severity="warning")
        return turn

    def action_edit_turn(self) -> None:
        """Ask the selected question in other words."""
        if turn := self._turn():
            self.chat.edit(turn)

    def action_copy_turn(self) -> None:
        """Copy the selected answer, or the question that has none."""
        if turn := self._turn():
            self.copy(turn.text or turn.exchange.question, "the answer" if turn.text else "the question")

    def action_copy_code(self, number: int | None = None) -> None:
        """Copy a code block of the selected answer; ask which one where there are several."""
        turn = self._turn()
        blocks = code_blocks(turn.text) if turn else ()
        if turn is None:
            return
        if not blocks:
            self.notify("There is no code in this answer", severity="warning")
        elif number is not None and not 1 <= number <= len(blocks):
            self.notify(f"There are {len(blocks)} code blocks in this answer", severity="warning")
        elif number is not None or len(blocks) == 1:
            self.copy(blocks[(number or 1) - 1].text, "the code")
        else:
            self.push_screen(PickCode(blocks, self.copy))

    def action_branch_turn(self) -> None:
        """Go on behind the selected turn in a new conversation."""
        turn, conversation = self._turn(), self.chat.conversation
        if turn is None or turn.place is None or not conversation.id or self.chat.running:
            return
        later = [each.place for each in self.chat.transcript.exchanges if (each.place or 0) > turn.place]
        end = min((place for place in later if place), default=conversation.next_place)

        async def branch() -> None:
            await self.chat.show(await self.saved.branch(conversation.id, end))
            self.notify("Branched: the conversation before is kept as it was")

        self.act(branch())
