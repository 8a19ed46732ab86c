"""The slash commands of the chat that need the screen."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from okr_tui.chat.messages import pasted_image
from okr_tui.chat.options import think_levels
from okr_tui.chat.slash import FORMS
from okr_tui.domain.errors import ChatError
from okr_tui.domain.models import bare_name
from okr_tui.ui.chat.conversation_views import Rival
from okr_tui.ui.chat.labels import model_named
from okr_tui.ui.chat.messages import CommandEntered
from okr_tui.ui.controllers.application import Application, open_conversations, open_service
from okr_tui.ui.controllers.chat import ChatController
from okr_tui.ui.controllers.conversations import ConversationsController, DraftController
from okr_tui.ui.lines import FAULT, QUIET

if TYPE_CHECKING:
    from okr_tui.ui.chat.pane import ChatPane

NO_OPTIONS = "Nothing is set: the model uses its defaults. /set temperature 0.2 sets an option."


class SlashController:
    """One method per slash command that needs the screen; a rejected command stays in the prompt."""

    def __init__(
        self,
        app: Application,
        chat: ChatController,
        drafts: DraftController,
        conversations: ConversationsController,
    ) -> None:
        self.app = app
        self.chat = chat
        self.drafts = drafts
        self.conversations = conversations

    @property
    def pane(self) -> "ChatPane":
        """The chat pane."""
        return self.chat.pane

    def run(self, event: CommandEntered) -> None:
        """Carry out what was typed; the prompt keeps it until that is done."""
        self.pane.composer.command = event.text
        self.app.start(self._run(event.text))

    async def _run(self, text: str) -> None:
        try:
            await self._carry_out(text)
        finally:
            self.pane.composer.command = ""
            self.pane.composer.post_draft()

    async def _carry_out(self, text: str) -> None:
        from okr_tui.chat.slash import CommandResult, carry_out

        outcome = await carry_out(open_service(self.app), text, self.app.zone)
        if isinstance(outcome, CommandResult):
            await self.pane.show_notice(outcome.text, FAULT if outcome.level == "error" else QUIET)
            if outcome.level == "error":
                return
        else:
            await self._screen_commands()[outcome.name](outcome.argument)
        if self.pane.prompt.text.strip() == text:
            self.pane.prompt.let_go(text)

    def _screen_commands(self) -> dict[str, Callable[[str], Awaitable[None]]]:
        return {
            "new": self._do_new,
            "open": self._do_open,
            "rename": self._do_rename,
            "delete": self._do_delete,
            "undo": self._do_undo,
            "export": self._do_export,
            "model": self._do_model,
            "compare": self._do_compare,
            "again": self._do_again,
            "other": self._do_other,
            "continue": self._do_continue,
            "edit": self._do_edit,
            "copy": self._do_copy,
            "image": self._do_image,
            "system": self._do_system,
            "set": self._do_set,
            "think": self._do_think,
            "tools": self._do_tools,
        }

    async def _do_new(self, _: str) -> None:
        await self.pane.start_over()

    async def _do_open(self, words: str) -> None:
        self.conversations.list(words)

    async def _do_rename(self, title: str) -> None:
        conversation = self.conversations.current
        if title:
            self.pane.configure(await open_conversations(self.app).rename(conversation, title))
        else:
            from okr_tui.ui.chat.dialogs import RenameConversation

            name = self.pane.conversation.title
            rename = partial(self.conversations.rename, conversation)
            self.app.push_screen(RenameConversation(name, rename))

    async def _do_delete(self, _: str) -> None:
        done = await self.conversations.delete(self.conversations.current)
        self.app.notify(done, markup=False)

    async def _do_undo(self, _: str) -> None:
        self.app.notify(await self.conversations.undo_delete(), markup=False)

    async def _do_export(self, argument: str) -> None:
        form, _, path = argument.partition(" ")
        if form and form not in FORMS:
            form, path = "", argument
        title = self.pane.conversation.title
        self.conversations.export(self.conversations.current, title, form, path.strip())

    async def _do_model(self, name: str) -> None:
        if not name:
            raise ChatError("/model needs a model's name; tab completes it")
        self.pane.choose(self._listed(name))

    def _listed(self, name: str) -> str:
        """Return the name as listed. Raises ChatError if a list is known and does not contain it."""
        models = self.pane.models
        found = model_named(name, models)
        if found is None and models:
            raise ChatError(f"there is no model {name[:60]!r} in the list; /ollama-models shows it")
        return found.id if found else bare_name(name)

    async def _do_compare(self, argument: str) -> None:
        words, model = argument.split(), self.pane.model
        if words and all(word.startswith("#") and word[1:].isdecimal() for word in words) and len(words) == 2:
            if model is None:
                raise ChatError("choose a model before comparing its keys")
            rivals: tuple[Rival, ...] = tuple((model, self._key(word[1:])) for word in words)
        elif len(words) == 1 and model is not None:
            rivals = ((model, None), (self._listed(words[0]), None))
        elif len(words) == 2:
            rivals = ((self._listed(words[0]), None), (self._listed(words[1]), None))
        else:
            raise ChatError("/compare needs MODEL, MODEL MODEL or #KEY #KEY")
        await self.pane.compare(rivals)

    def _key(self, text: str) -> int:
        count = len(self.app.snapshot.pool.keys) if self.app.snapshot else 0
        if not 1 <= int(text[:9]) <= count:
            raise ChatError(f"there is no key #{text[:9]}; the pool has {count}")
        return int(text)

    async def _do_again(self, argument: str) -> None:
        if argument and not argument.removeprefix("#").isdecimal():
            raise ChatError("/again takes a key's number, or nothing")
        self.chat.ask_again("again", self._key(argument.removeprefix("#")) if argument else None)

    async def _do_other(self, _: str) -> None:
        self.chat.ask_again("other")

    async def _do_continue(self, _: str) -> None:
        self.chat.ask_again("continue")

    async def _do_edit(self, _: str) -> None:
        if (turn := self.pane.view.transcript.last) is None:
            raise ChatError("there is no question to edit")
        self.pane.prompt.put("")
        self.pane.edit(turn)

    async def _do_copy(self, argument: str) -> None:
        if argument and not argument.isdecimal():
            raise ChatError("/copy takes a code block's number, or nothing")
        self.pane.transcript.selected = self.pane.transcript.last
        self.chat.copy_code(int(argument[:9]) if argument else None)

    async def _do_system(self, text: str) -> None:
        if not text and not self.pane.conversation.options.system:
            raise ChatError("no system prompt is set; /system TEXT sets one, /system none clears it")
        if text:
            self.chat.set_option("system", "" if text == "none" else text)
            return
        await self.pane.show_notice(f"system: {self.pane.conversation.options.system}")

    async def _do_set(self, argument: str) -> None:
        name, _, value = argument.partition(" ")
        if "=" in name:  # as the command line wants it
            name, _, value = argument.partition("=")
        if name:
            self.chat.set_option(name, value)
        await self.pane.show_notice("\n".join(self.pane.conversation.options.lines()) or NO_OPTIONS)

    async def _do_think(self, level: str) -> None:
        known = model_named(self.pane.model, self.pane.models)
        levels = think_levels(known)
        if level not in ("", "auto", *levels):
            takes = f"takes think {', '.join(levels)}" if levels else "does not think"
            raise ChatError(f"{known.id if known else 'the model'} {takes}")
        self.chat.set_option("think", "" if level == "auto" else level)

    async def _do_tools(self, argument: str) -> None:
        on = self.pane.conversation.options.tools
        self.chat.set_option("tools", argument or ("off" if on else "on"))

    async def _do_image(self, argument: str) -> None:
        path = pasted_image(argument) or _path(argument)
        if path is None:
            raise ChatError("/image needs the path of a picture")
        await self.drafts.attach(path)


def _path(text: str) -> Path | None:
    try:
        return Path(text).expanduser() if text else None
    except RuntimeError:  # a user without a known home
        return None
