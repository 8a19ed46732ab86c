"""The prompt under the conversation: several lines, earlier questions, commands that complete."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from textual import events, on
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Static, TextArea

from okr_tui.chat.conversation import joined
from okr_tui.chat.slash import BY_NAME, as_typed, parse
from okr_tui.ui.actions import bindings
from okr_tui.ui.lines import QUIET, Line, content, fit

PASTE_LONGEST: Final = 100_000
"""Characters of one paste that are taken; more would make typing slow."""

LEAST_WIDTH: Final = 4


class Prompt(TextArea):
    """Grows as needed; enter sends, ctrl+j or shift+enter begins a new line.

    `earlier` are the questions that `up` on the first line brings back. `completions` answers what a text
    may go on to. Nothing that was typed is lost on the way: `down` leads back to it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("prompt")]

    @dataclass
    class Sent(Message):
        """The person sent this text; the prompt keeps it until `let_go`."""

        text: str

    @dataclass
    class Completing(Message):
        """The completions of the text, and which one is marked."""

        candidates: tuple[str, ...]
        marked: int

    @dataclass
    class Pasted(Message):
        """A text was pasted; `dropped` characters of it were too many."""

        text: str
        dropped: int

    @dataclass
    class Emptied(Message):
        """Backspace was pressed in an empty prompt."""

    def render_line(self, y: int) -> Strip:
        """Return a line as drawn; nothing where there is no room, which Textual cannot wrap a text in."""
        width = self.content_size.width
        return super().render_line(y) if width >= LEAST_WIDTH else Strip.blank(width)

    def __init__(self) -> None:
        super().__init__(
            id="prompt",
            compact=True,
            highlight_cursor_line=False,
            placeholder="choose a model, then ask here",
        )
        self.cursor_blink = False
        self.earlier: Sequence[str] = ()
        self.completions: Callable[[str], tuple[str, ...]] = lambda _: ()
        self.takes: Callable[[str], bool] = lambda _: False
        self._back = 0
        self._draft = ""
        self._recalled = ""
        self._marked: int | None = None
        self._closed_at: str | None = None

    @property
    def candidates(self) -> tuple[str, ...]:
        """The completions of the text; none once they were dismissed."""
        if self._closed_at == self.text or self.cursor_location != self.document.end:
            return ()
        return tuple(each for each in self.completions(self.text) if each != self.text)

    def put(self, text: str) -> None:
        """Fill in a text, the cursor behind it."""
        self.text = text
        self.move_cursor(self.document.end)

    @property
    def typed(self) -> str:
        """The user's own text: a recalled question counts once it was changed."""
        if not self._back:
            return self.text
        return self._draft if self.text == self._recalled else joined(self.text, self._draft)

    def begin(self, text: str) -> None:
        """Replace everything that was typed with a text."""
        self._back, self._draft = 0, ""
        self.put(text)

    def let_go(self, sent: str) -> None:
        """Remove the sent text; text typed after it since then, or before an earlier question, stays."""
        text, draft = self.text, self._draft if self._back else ""
        if text.lstrip().startswith(sent):
            text = _behind(sent, text)
        else:
            draft = _behind(sent, draft)
        self.begin(joined(text, draft))

    def on_key(self, event: events.Key) -> None:
        """Handle keys that mean something else here than in a text."""
        if self._handled(event.key):
            event.prevent_default().stop()

    def _handled(self, key: str) -> bool:
        candidates = self.candidates if self.text.startswith("/") else ()
        match key:
            case "enter":
                self._enter(candidates)
            case "tab" if candidates:
                self.put(candidates[self._marked or 0])
            case "up" | "down" if candidates:
                self._mark(candidates, -1 if key == "up" else 1)
            case "escape" if candidates:
                self._closed_at = self.text
                self._say_candidates()
            case "up" if self.cursor_at_first_line and self._back < len(self.earlier):
                self._recall(self._back + 1)
            case "down" if self.cursor_at_last_line and self._back:
                self._recall(self._back - 1)
            case "backspace" if not self.text:
                self.post_message(self.Emptied())
            case _:
                return False
        return True

    def _enter(self, candidates: tuple[str, ...]) -> None:
        """Take the marked completion, or the first one of a name that is incomplete; else send."""
        known = parse(self.text)[0] in BY_NAME
        if candidates and (self._marked is not None or not known):
            self.put(candidates[self._marked or 0])
        else:
            self.action_send()

    def _mark(self, candidates: tuple[str, ...], direction: int) -> None:
        before = -1 if self._marked is None and direction > 0 else self._marked or 0
        self._marked = (before + direction) % len(candidates)
        self._say_candidates()

    def _recall(self, back: int) -> None:
        self._draft = self.typed
        # Another conversation may have fewer.
        self._back = min(back, len(self.earlier))
        self.put(as_typed(self.earlier[-self._back]) if self._back else self._draft)
        self._recalled = self.text

    @on(TextArea.Changed)
    def _text_changed(self) -> None:
        self._marked = None
        self._say_candidates()

    def _say_candidates(self) -> None:
        candidates = self.candidates if self.text.startswith("/") else ()
        self.post_message(self.Completing(candidates, self._marked or 0))

    def on_paste(self, event: events.Paste) -> None:
        """Insert a paste, unless it is the path of a picture; cut one that is too long."""
        event.prevent_default().stop()
        text = event.text[:PASTE_LONGEST]
        dropped = len(event.text) - len(text)
        if dropped or self.takes(text):
            self.post_message(self.Pasted(text, dropped))
        if not self.takes(text):
            self.put_in(text)

    def put_in(self, text: str) -> None:
        """Insert a text at the cursor, replacing the selection."""
        result = self.replace(text, *self.selection, maintain_selection_offset=False)
        self.move_cursor(result.end_location)

    def action_send(self) -> None:
        """Send what was typed."""
        if text := self.text.strip():
            self.post_message(self.Sent(text))

    def action_new_line(self) -> None:
        """Begin a new line."""
        self.insert("\n")


def _behind(sent: str, text: str) -> str:
    rest = text.lstrip()
    return rest[len(sent) :].lstrip() if rest.startswith(sent) else text


SHOWN: Final = 6


class Completion(Static):
    """A window of the candidates around the marked one, each command with its help."""

    def __init__(self) -> None:
        super().__init__(id="completion")

    def show(self, candidates: tuple[str, ...], marked: int) -> None:
        """Draw them; without any there is no list."""
        self.display = bool(candidates)
        if not candidates:
            return
        first = min(max(0, marked - SHOWN + 2), max(0, len(candidates) - SHOWN))
        lines: list[Line] = []
        for place, text in enumerate(candidates[first : first + SHOWN], first):
            lines.append(self._line(text, marked=place == marked))
        hidden = len(candidates) - first - len(lines)
        keys = "tab completes · ↑↓ choose · enter runs"
        lines.append(((f"{f'{hidden} more · ' if hidden else ''}{keys}", QUIET),))
        self.update(Content("\n").join([content(line) for line in lines]))

    def _line(self, text: str, *, marked: bool) -> Line:
        name, blank, argument = text.removeprefix("/").partition(" ")
        command = BY_NAME.get(name)
        style = "bold $text-accent" if marked else "$text-primary"
        mark = ("▸ " if marked else "  ", style)
        if command is None or (blank and argument):
            return (mark, (text, style))
        return (mark, (fit(command.line, 24), style), (f" {command.help}", QUIET))
