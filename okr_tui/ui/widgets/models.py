"""The models of the cloud: what each can do and which keys may use it."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import var
from textual.widgets import Input

from okr_tui.domain.models import Model
from okr_tui.domain.words import span
from okr_tui.services.service import ModelList, ModelRow, Snapshot
from okr_tui.ui.actions import bindings, borrowed
from okr_tui.ui.keymap import KeyOf
from okr_tui.ui.lines import (
    FAULT,
    NOTICE,
    QUIET,
    STAR,
    STRONG,
    WARNING,
    Line,
    Part,
    cell_width,
    entitle,
    fit,
    fit_line,
    joined,
)
from okr_tui.ui.widgets.live import Filter
from okr_tui.ui.widgets.rows import RowList

Order = Literal["", "model", "size", "context", "abilities", "keys"]
"""A column; "" is favourites first, then as the cloud lists them."""
LARGEST_FIRST: Final = frozenset({"size", "context", "abilities", "keys"})
WORDS: Final = (("vision", "vision"), ("thinking", "think"), ("tools", "tools"))
KEYS: Final = 5
"""The cells of the column that says which keys may use a model."""


def abilities(model: Model, *, aligned: bool = True) -> str:
    """Return the capabilities as words, each in its own column so that they line up."""
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


def mark(row: ModelRow) -> Part:
    """Return the mark before a name."""
    if row.model.status == "gone" or row.replaced_by:
        return ("† ", WARNING)
    return (f"{STAR} ", NOTICE) if row.favourite else ("  ", "")


def fate(row: ModelRow) -> str:
    """Return whether a model is gone or retiring; "" as a rule."""
    if row.model.status == "gone":
        return f"gone, use {row.replaced_by}" if row.replaced_by else "gone"
    return f"retiring, use {row.replaced_by}" if row.replaced_by else ""


def usable_with(keys: tuple[int, ...], total: int) -> str:
    """Say which keys may use a model; nothing where all may."""
    if len(keys) == total:
        return ""
    if not keys:
        return "no key may use it"
    return f"only #{keys[0]} may use it" if len(keys) == 1 else f"{len(keys)} of {total} keys may use it"


def about(row: ModelRow, total: int) -> str:
    """Return what becomes of a model, who may use it, its size, its context and what it can do.

    `total` is the number of keys in the pool.
    """
    model = row.model
    usable = "" if model.status == "gone" else usable_with(row.keys, total)
    parts = [fate(row), usable, model.parameters_text, model.context_text and f"{model.context_text} context"]
    return " · ".join(part for part in [*parts, abilities(model, aligned=False)] if part)


def matches(row: ModelRow, words: str) -> bool:
    """Whether every word is in the model's name, family, capabilities or marks: "fav" finds favourites."""
    marks = f"{'favourite' if row.favourite else ''} {fate(row).partition(',')[0]}"
    return all(word in marks or row.model.matches(word) for word in words.lower().split())


def ordered(rows: Iterable[ModelRow], order: Order, *, falling: bool) -> list[ModelRow]:
    """Return the rows sorted; unknown values come last in both directions, then models that are gone."""
    if not order:
        found = sorted(rows, key=lambda row: not row.favourite)
    else:
        values = [(_value(row, order), row) for row in rows]
        known = [(value, row) for value, row in values if value is not None]
        known.sort(key=lambda pair: pair[0], reverse=falling)
        found = [row for _, row in known] + [row for value, row in values if value is None]
    return sorted(found, key=lambda row: row.model.status == "gone")


def _value(row: ModelRow, order: Order) -> tuple[float | str, ...] | None:
    model = row.model
    match order:
        case "size":
            return None if model.parameters is None else (model.parameters,)
        case "context":
            return None if model.context_length is None else (model.context_length,)
        case "abilities":
            able = [model.can(name) for name, _ in WORDS]
            return None if model.capabilities is None else (sum(able), *able)
        case "keys":
            return (len(row.keys),)
        case _:
            return (model.id.lower(),)


MARK, SIZE, CONTEXT, ABILITIES = 2, 6, 5, 18
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


class ModelTable(RowList[ModelRow]):
    """The list itself. A ModelRow is not hashable, so it is identified by its model's name."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("models"), *borrowed("undo", "app.undo")]
    ONE_LINE = True

    snapshot: var[Snapshot | None] = var(None)

    @dataclass
    class HeaderPicked(Message):
        """A column's title was clicked."""

        order: Order

    def __init__(self) -> None:
        super().__init__(id="model-table")
        self.empty = "opening …"
        self.total_keys = 0
        self.order: Order = ""
        self.falling = False
        self._longest = 0

    def show_rows(self, rows: Sequence[ModelRow]) -> None:
        """Take over new rows; the longest name decides how many columns fit."""
        self._longest = max((cell_width(row.model.id) for row in rows), default=0)
        super().show_rows(rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are shown after the name."""
        return self._layout(self.scrollable_content_region.width)[2]

    def header_clicked(self, x: int) -> None:
        """Ask for the order of the column there."""
        name, (gap, _), columns = self._layout(self.scrollable_content_region.width)
        order, left = "model", name
        for column in columns:
            if x >= left:
                order = column
            left += len(gap) + WIDTHS[column]
        self.post_message(self.HeaderPicked(cast(Order, order)))

    def _layout(self, width: int) -> tuple[int, Part, tuple[str, ...]]:
        """Return the width of mark and name, the gap, and the columns that fit next to them."""
        name = MARK + min(max(self._longest, 12), 32)
        for gap, columns in LAYOUTS:
            rest = sum(WIDTHS[column] + gap for column in columns)
            if name + rest <= width:
                return width - rest, (" " * gap, ""), columns
        gap, columns = LAYOUTS[-1]
        return max(8, width - KEYS - gap), (" " * gap, ""), columns

    def header(self, width: int) -> Line:
        """Return the column titles, the sorted one with its direction."""
        name, gap, columns = self._layout(width)
        arrow = "▼" if self.falling else "▲"
        cells: list[Line] = [((" " * MARK, ""), *self._title("model", "model", name - MARK, arrow))]
        cells += [self._title(each, TITLES[each], WIDTHS[each], arrow) for each in columns]
        return fit_line(joined(cells, gap), width)

    def _title(self, order: str, title: str, width: int, arrow: str) -> Line:
        numbers = order in ("size", "context")
        if order != self.order:
            return ((fit(title, width, right=numbers), ""),)
        return ((fit(title + arrow, width, right=numbers), "$text-accent"),)

    def lines_of(self, row: ModelRow, width: int) -> Sequence[Line]:
        """Return the one line of a model."""
        name, gap, columns = self._layout(width)
        model, usable = row.model, bool(row.keys)
        cells: dict[str, Line] = {
            "size": ((fit(model.parameters_text or "-", SIZE, right=True), QUIET),),
            "context": ((fit(model.context_text or "-", CONTEXT, right=True), QUIET),),
            "abilities": ((abilities(model).ljust(ABILITIES), "" if usable else QUIET),),
            "keys": ((fit(keys_text(row.keys, self.total_keys), KEYS), "" if usable else WARNING),),
        }
        first: Line = (mark(row), (fit(model.id, name - MARK), "" if usable else QUIET))
        if model.status == "gone":
            return (fit_line((*first, gap, (fate(row), WARNING)), width),)
        return (fit_line(joined([first, *(cells[column] for column in columns)], gap), width),)

    def key_of(self, row: ModelRow) -> Hashable:
        """Return the name, which a model keeps."""
        return row.model.id


class ModelsPane(Vertical):
    """The list under its filter."""

    ALLOW_MAXIMIZE = True

    snapshot: var[Snapshot | None] = var(None)
    now: var[float] = var(0.0)

    def __init__(self, key_of: KeyOf) -> None:
        super().__init__(id="models", classes="pane")
        self._key_of = key_of
        self._shown: tuple[object, ...] = (None,)
        """What the list was made from: an equal list of models is the same one."""
        self.border_title = "Models"

    def compose(self) -> ComposeResult:
        """Yield the filter, hidden until it is opened, and the list."""
        yield Filter()
        yield ModelTable()

    @property
    def table(self) -> ModelTable:
        """The list of models."""
        return self.query_one(ModelTable)

    @property
    def words(self) -> str:
        """The words of the filter."""
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

    def sort_by_next(self) -> None:
        """Sort by the next column that is shown, after the last by none."""
        shown = ["", "model", *self.table.columns]
        at = shown.index(self.table.order) if self.table.order in shown else 0
        self.sort(cast(Order, shown[(at + 1) % len(shown)]))

    def sort_reverse(self) -> None:
        """Sort the other way round."""
        self.sort(self.table.order or "model")

    @on(ModelTable.HeaderPicked)
    def _header_picked(self, event: ModelTable.HeaderPicked) -> None:
        self.sort(event.order)

    def sort(self, order: Order) -> None:
        """Sort by a column; by the same one again, the other way round."""
        table = self.table
        again = bool(order) and order == table.order
        table.falling = not table.falling if again else order in LARGEST_FIRST
        table.order = order
        self._show()
        table.keep_in_sight()

    def watch_snapshot(self) -> None:
        """Draw the new list."""
        self._show()

    def watch_now(self) -> None:
        """Update the list's age."""
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
        models, table, key_of = self.snapshot.models, self.table, self._key_of
        table.total_keys = len(self.snapshot.pool.keys)
        if models.rows:
            table.empty = f"no model matches; {key_of('back')} shows all"
        elif models.refreshing:
            table.empty = "reading the list…"
        else:
            table.empty = f"no models; {key_of('refresh-models')} reads the list again"
        shown = (models.rows, self.words, table.order, table.falling, table.total_keys, table.empty)
        if shown[0] is not self._shown[0] or shown[1:] != self._shown[1:]:
            self._shown = shown
            rows = [row for row in models.rows if matches(row, self.words)]
            table.show_rows(ordered(rows, table.order, falling=table.falling))
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
            entitle(self, subtitle=((about(row, self.table.total_keys) if row else "", QUIET),))

    def _age(self, models: ModelList) -> str:
        if models.refreshing:
            return " · reading …"
        if models.error and models.refreshed_at is not None:
            return f" · as of {span(self.now - models.refreshed_at)} ago"
        lacking = " · some without details" if models.lacking else ""
        return (f" · {models.skipped} not shown" if models.skipped else "") + lacking
