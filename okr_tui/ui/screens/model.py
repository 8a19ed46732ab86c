"""The details of one model, laid over the dashboard."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from okr_tui.domain.models import Model
from okr_tui.domain.view import KeyView, PoolView
from okr_tui.domain.words import sentence
from okr_tui.services.service import ModelRow, Snapshot
from okr_tui.ui.actions import borrowed
from okr_tui.ui.keymap import KeyOf
from okr_tui.ui.lines import NOTICE, QUIET, STAR, STRONG, WARNING, Line, content, one_line
from okr_tui.ui.screens.text import TextScreen

NAME = 14


def model_text(row: ModelRow, pool: PoolView, now: float, zone: tzinfo = UTC) -> Content:
    """Return the original's line, what the cloud says, and each key or why it may not be used."""
    model = row.model
    lines: list[Line] = [((model.display, STRONG),), ()]
    lines += [_fact(name, value) for name, value in _facts(row)]
    if notice := _retirement(row):
        lines.append(_fact("Retirement", notice, WARNING))
    star = f"{STAR} yes, pi cycles through it too" if row.favourite else "no"
    lines.append(_fact("Favourite", star, NOTICE if row.favourite else ""))
    lines += [(), (("Keys", STRONG),)]
    lines += [_key_line(key, row, now, zone) for key in pool.keys]
    if not pool.keys:
        lines.append((("  none is configured", QUIET),))
    return Content("\n").join(content(line) for line in lines)


def _facts(row: ModelRow) -> list[tuple[str, str]]:
    model = row.model
    able = model.capabilities
    return [
        ("Source", f"Ollama Cloud, {model.provider_id}"),
        ("Parameters", model.parameters_text or "unknown"),
        ("Context", f"{model.context_length:,} tokens" if model.context_length else "unknown"),
        ("Vision", _vision(model)),
        ("Thinking", model.thinking_text),
        ("Family", model.family or "unknown"),
        ("Quantization", model.quantization or "unknown"),
        ("Capabilities", "unknown" if able is None else ", ".join(able) or "none"),
        ("Modified", _day(model.modified_at)),
        ("Size", f"{model.size / 1e9:,.1f} GB" if model.size else "unknown"),
    ]


def _fact(name: str, value: str, style: str = "") -> Line:
    return ((f"{name:<{NAME}}", QUIET), (one_line(value), style))


def _vision(model: Model) -> str:
    if model.capabilities is None:
        return "unknown"
    return "✅" if model.can("vision") else "❌"


def _day(written: str | None) -> str:
    """Return a date as the cloud writes it, without its time of day; "unknown" if it is not a date."""
    try:
        return f"{datetime.fromisoformat(written or ''):%Y-%m-%d}"
    except ValueError:
        return "unknown"


def _retirement(row: ModelRow) -> str:
    if row.model.status == "gone":
        successor = f"use {row.replaced_by}" if row.replaced_by else "no successor is known"
        return f"the cloud no longer lists it; {successor}"
    if row.replaced_by:
        return f"Ollama names {row.replaced_by} as its successor; it may disappear"
    return ""


def _key_line(key: KeyView, row: ModelRow, now: float, zone: tzinfo) -> Line:
    name = f"  #{key.index:<3}{key.masked:<11}{one_line(key.label or ''):<10.10} "
    state = sentence(key.verdict, now, zone)
    if key.index in row.keys:
        return (
            (name, ""),
            ("may use it", "") if key.verdict.eligible else (f"may use it; now {state}", WARNING),
        )
    if row.model.id in key.blocked_models:
        reason = "refused it: its plan has no access, or it is gone"
    elif key.state.traits.needs_person:
        reason = state
    else:
        reason = "the cloud answered that the model is gone"
    return ((name, QUIET), (f"may not: {reason}", QUIET))


@dataclass
class FavouriteRequested(Message):
    """Add a model to the favourites, or remove it."""

    model: str
    wanted: bool


@dataclass
class ChatRequested(Message):
    """Start chatting with a model."""

    model: str


class ModelScreen(TextScreen):
    """Follows the newest snapshot."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *borrowed("choose-model", "chat"),
        *borrowed("favourite", "toggle_favourite"),
        *borrowed("copy-model", "copy"),
        *borrowed("model-info", "close"),
    ]

    def __init__(
        self,
        model: str,
        snapshot: Snapshot,
        zone: tzinfo,
        key_of: KeyOf,
        copy: Callable[[str, str], None],
    ) -> None:
        self._key_of = key_of
        self._copy = copy
        self.model = model
        self.snapshot = snapshot
        self.zone = zone
        super().__init__(model, self._text())

    def foot(self) -> str:
        """Return the line of keys under the text."""
        chat, favour, copy = map(self._key_of, ("choose-model", "favourite", "copy-model"))
        return f"{chat} chats · {favour} toggles favourite · {copy} copies the name · esc closes"

    def on_mount(self) -> None:
        """Follow the application's snapshot."""
        self.watch(self.app, "snapshot", self._take_over)

    def _take_over(self, snapshot: Snapshot | None) -> None:
        if snapshot is None:
            return
        self.snapshot = snapshot
        text = self._text()
        body = self.query_one_optional("#text-body", Static)
        if text != self.text and body is not None:
            self.text = text
            body.update(text)

    def _text(self) -> Content:
        row = self.row
        if row is None:
            return Content("The cloud no longer lists it.")
        return model_text(row, self.snapshot.pool, self.snapshot.at, self.zone)

    @property
    def row(self) -> ModelRow | None:
        """The model as it is now; None when it is not listed any more."""
        return next((row for row in self.snapshot.models.rows if row.model.id == self.model), None)

    def action_chat(self) -> None:
        """Chat with the model."""
        self.app.post_message(ChatRequested(self.model))
        self.dismiss()

    def action_toggle_favourite(self) -> None:
        """Add the model to the favourites, or remove it."""
        if row := self.row:
            self.app.post_message(FavouriteRequested(self.model, wanted=not row.favourite))

    def action_copy(self) -> None:
        """Copy the model's name."""
        self._copy(self.model, self.model)
