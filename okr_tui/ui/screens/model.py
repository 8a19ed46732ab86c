"""The details of one model, laid over the dashboard."""

from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from okr_tui.services.service import ModelRow, Snapshot
from okr_tui.ui.actions import borrowed
from okr_tui.ui.keyed import KeyedApp, keys_of
from okr_tui.ui.model_text import model_text
from okr_tui.ui.screens.text import TextScreen


@dataclass
class FavourAsked(Message):
    """A model is to be a favourite, or none."""

    model: str
    wanted: bool


@dataclass
class ChatAsked(Message):
    """A model is to be talked to."""

    model: str


class ModelScreen(TextScreen):
    """Follows the newest snapshot."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *borrowed("choose-model", "chat"),
        *borrowed("favourite", "favour"),
        *borrowed("copy-model", "copy"),
        *borrowed("model-info", "close"),
    ]

    def __init__(self, model: str, snapshot: Snapshot, zone: tzinfo = UTC) -> None:
        self.model = model
        self.snapshot = snapshot
        self.zone = zone
        super().__init__(model, self._said())

    def foot(self) -> str:
        """Which keys do what here."""
        chat, favour, copy = map(keys_of(self.app), ("choose-model", "favourite", "copy-model"))
        return f"{chat} chats · {favour} favourite or none · {copy} copies the name · esc closes"

    def on_mount(self) -> None:
        """Follow the application's snapshot."""
        self.watch(self.app, "snapshot", self._take_over)

    def _take_over(self, snapshot: Snapshot | None) -> None:
        if snapshot is None:
            return
        self.snapshot = snapshot
        text = self._said()
        body = self.query_one_optional("#text-body", Static)
        if text != self.text and body is not None:
            self.text = text
            body.update(text)

    def _said(self) -> Content:
        row = self.row
        if row is None:
            return Content("It is not listed any more.")
        return model_text(row, self.snapshot.pool, self.snapshot.at, self.zone)

    @property
    def row(self) -> ModelRow | None:
        """The model as it is now; None when it is not listed any more."""
        return next((row for row in self.snapshot.models.rows if row.model.id == self.model), None)

    def action_chat(self) -> None:
        """Talk to it."""
        self.app.post_message(ChatAsked(self.model))
        self.dismiss()

    def action_favour(self) -> None:
        """Make it a favourite, or none."""
        if row := self.row:
            self.app.post_message(FavourAsked(self.model, wanted=not row.favourite))

    def action_copy(self) -> None:
        """Copy its name."""
        if isinstance(self.app, KeyedApp):
            self.app.copy(self.model, self.model)
