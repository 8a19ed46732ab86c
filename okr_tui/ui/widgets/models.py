"""The models of the cloud: what each can do and which keys may use it."""

from collections.abc import Hashable, Sequence
from datetime import UTC, tzinfo
from typing import ClassVar, Final

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.reactive import var
from textual.widgets import Input

from okr_tui.domain.models import Model
from okr_tui.domain.words import span
from okr_tui.services.service import ModelList, ModelRow, Snapshot
from okr_tui.ui.actions import bindings
from okr_tui.ui.lines import (
    FAULT,
    QUIET,
    STRONG,
    WARNING,
    Line,
    Part,
    entitle,
    fit,
    fit_line,
    joined,
    one_line,
)
from okr_tui.ui.widgets.rows import RowList

WORDS: Final = (("vision", "vision"), ("thinking", "think"), ("tools", "tools"))
SIZE, CONTEXT, ABILITIES, KEYS = 6, 5, 18, 5
LAYOUTS: Final = (
    (2, ("size", "context", "abilities", "keys")),
    (1, ("size", "context", "abilities", "keys")),
    (2, ("context", "abilities", "keys")),
    (2, ("abilities", "keys")),
    (2, ("size", "context", "keys")),
    (2, ("context", "keys")),
    (2, ("keys",)),
)
"""The cells between two columns, and the columns after the name: the first that fits is taken."""
WIDTHS: Final = {"size": SIZE, "context": CONTEXT, "abilities": ABILITIES, "keys": KEYS}
TITLES: Final = {"size": "size", "context": "ctx", "abilities": "can", "keys": "keys"}


def abilities(model: Model, *, aligned: bool = True) -> str:
    """The capabilities as words, each in its own place so that they line up."""
    if model.capabilities is None:
        return "-"
    words = [word if model.can(name) else " " * len(word) * aligned for name, word in WORDS]
    return " ".join(words).rstrip() if aligned else " ".join(word for word in words if word)


def keys_text(keys: tuple[int, ...], total: int) -> str:
    """Which keys may use a model: "all", "1 2", "5/9" or "none"."""
    if not keys:
        return "none"
    if len(keys) == total:
        return "all"
    listed = " ".join(map(str, keys))
    return listed if len(listed) <= KEYS else f"{len(keys)}/{total}"


class ModelTable(RowList[ModelRow]):
    """The list itself. ModelRow holds a mapping, so its model's name stands for it."""

    snapshot: var[Snapshot | None] = var(None)

    def __init__(self) -> None:
        super().__init__(id="model-table")
        self.empty = "opening …"
        self.total_keys = 0
        self._longest = 0

    def show_rows(self, rows: Sequence[ModelRow]) -> None:
        """Take over new rows; the longest name decides how many columns fit."""
        self._longest = max((cell_len(row.model.id) for row in rows), default=0)
        super().show_rows(rows)

    def _layout(self, width: int) -> tuple[int, Part, tuple[str, ...]]:
        """The name's width, the gap, and the columns that fit beside it."""
        name = min(max(self._longest, 12), 32)
        for gap, columns in LAYOUTS:
            rest = sum(WIDTHS[column] + gap for column in columns)
            if name + rest <= width:
                return width - rest, (" " * gap, ""), columns
        gap, columns = LAYOUTS[-1]
        return max(8, width - KEYS - gap), (" " * gap, ""), columns

    def header(self, width: int) -> Line:
        """The column titles."""
        name, gap, columns = self._layout(width)
        numbers = ("size", "context")
        cells = [fit(TITLES[each], WIDTHS[each], right=each in numbers) for each in columns]
        return fit_line(((gap[0].join([fit("model", name), *cells]), ""),), width)

    def lines_of(self, row: ModelRow, width: int) -> Sequence[Line]:
        """The one line of a model."""
        name, gap, columns = self._layout(width)
        model = row.model
        if model.status == "gone":
            successor = f"gone → {row.replaced_by}" if row.replaced_by else "gone"
            return (fit_line(((one_line(model.id), QUIET), (f"  † {successor}", WARNING)), width),)
        usable = bool(row.keys)
        cells = {
            "size": ((fit(model.parameters_text or "-", SIZE, right=True), QUIET),),
            "context": ((fit(model.context_text or "-", CONTEXT, right=True), QUIET),),
            "abilities": (((abilities(model)).ljust(ABILITIES), "" if usable else QUIET),),
            "keys": ((fit(keys_text(row.keys, self.total_keys), KEYS), "" if usable else WARNING),),
        }
        first: Line = ((fit(model.id, name), "" if usable else QUIET),)
        return (fit_line(joined([first, *(cells[column] for column in columns)], gap), width),)

    def key_of(self, row: ModelRow) -> Hashable:
        """A model is known by its name."""
        return row.model.id


class Filter(Input):
    """The words a model has to contain."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("filter")]

    def __init__(self) -> None:
        super().__init__(placeholder="words of the name", id="filter", compact=True)
        self.cursor_blink = False

    def action_keep_filter(self) -> None:
        """Go on to the list."""
        self.screen.query_one(ModelTable).focus()


class ModelsPane(Vertical):
    """The list under its filter."""

    ALLOW_MAXIMIZE = True

    snapshot: var[Snapshot | None] = var(None)
    now: var[float] = var(0.0)

    def __init__(self, zone: tzinfo = UTC) -> None:
        super().__init__(id="models", classes="pane")
        self.zone = zone
        self.border_title = "Models"

    def compose(self) -> ComposeResult:
        """The filter, hidden until it is asked for, and the list."""
        yield Filter()
        yield ModelTable()

    @property
    def table(self) -> ModelTable:
        """The list of models."""
        return self.query_one(ModelTable)

    @property
    def words(self) -> str:
        """What is filtered by."""
        return self.query_one(Filter).value

    def open_filter(self) -> None:
        """Show the filter and type into it."""
        self.add_class("-filtering")
        self.query_one(Filter).focus()

    def clear_filter(self) -> None:
        """Show all models again."""
        self.query_one(Filter).value = ""
        self.remove_class("-filtering")
        self.table.focus()

    def watch_snapshot(self) -> None:
        """Draw the new list."""
        self._show()

    def watch_now(self) -> None:
        """Let the list's age go on."""
        self._show_titles()

    @on(Input.Changed, "#filter")
    def _filter_changed(self) -> None:
        self._show()

    @on(RowList.Moved)
    def _moved(self) -> None:
        self._show_titles()

    def _show(self) -> None:
        if self.snapshot is None:
            return
        models, table = self.snapshot.models, self.table
        table.total_keys = len(self.snapshot.pool.keys)
        if models.rows:
            table.empty = "no model has these words; esc shows all"
        else:
            table.empty = "reading the list …" if models.refreshing else "no models; R reads the list again"
        table.show_rows([row for row in models.rows if row.model.matches(self.words)])
        self._show_titles()

    def _show_titles(self) -> None:
        if self.snapshot is None:
            return
        models, shown = self.snapshot.models, len(self.table.rows)
        total = len(models.rows)
        count = f" {shown} of {total}" if self.words else f" {total}" if total else ""
        entitle(self, title=(("Models", STRONG), (count + self._age(models), QUIET)))
        if models.error:
            entitle(self, subtitle=((f"not refreshed: {fit(models.error, 60).rstrip()}", FAULT),))
        else:
            row = self.table.selected
            entitle(self, subtitle=((_about(row.model) if row else "", QUIET),))

    def _age(self, models: ModelList) -> str:
        if models.refreshing:
            return " · reading …"
        if models.error and models.refreshed_at is not None:
            return f" · as of {span(self.now - models.refreshed_at)} ago"
        return ""


def _about(model: Model) -> str:
    parts = [model.parameters_text, model.context_text and f"{model.context_text} context"]
    return " · ".join(part for part in [*parts, abilities(model, aligned=False)] if part)
