"""The terminal driver: Textual's for Linux and macOS, made to survive whatever a terminal sends.

Textual 8.2.8 ends the application on input that is not UTF-8 and on key events with alternates or event
types, and cuts sequences after 32 characters, so that a longer commit of an input method arrives as escape
codes (Textualize/textual#6456). Here a sequence is read to its end by the grammar of ECMA-48; one that is
unknown, malformed or too long is dropped.
"""

import contextlib
import os
import re
import selectors
import signal
from codecs import getincrementaldecoder
from collections.abc import Generator, Iterable
from typing import IO, Any, Final, cast

from textual import constants, events, messages
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._keyboard_protocol import FUNCTIONAL_KEYS
from textual._parser import ParseEOF, ParseTimeout, Peek1, Read1, TokenCallback
from textual._xterm_parser import (
    BRACKETED_PASTE_END,
    BRACKETED_PASTE_START,
    FOCUSIN,
    FOCUSOUT,
    IS_ITERM,
    XTermParser,
)
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from okr_tui.ui.keyboard import learn_layout
from okr_tui.ui.last_screen import OPEN, LastScreen
from okr_tui.ui.output import TerminalFile
from okr_tui.ui.themes import BackgroundReported

ESC: Final = "\x1b"
SEQUENCE_LIMIT: Final = 8192
"""Characters of one sequence; an input method sends a commit as one, seven characters a letter."""
MOUSE_LIMIT: Final = 40
PASTE_LIMIT: Final = 4 * 1024 * 1024
PASTE_SILENCE: Final = 5.0
"""Seconds without input after which a paste that was never ended counts as complete."""
SIZE_LIMIT: Final = 4096
"""Columns or rows that a terminal may report."""

REPORT_ALTERNATE_KEYS: Final = f"{ESC}[=4;2u"
"""Ask for the key of the base layout too (sw.kovidgoyal.net/kitty/keyboard-protocol)."""

ASK_BACKGROUND: Final = f"{ESC}]11;?\x07"
"""Ask for the background's colour (xterm's OSC 11); terminals that do not know it say nothing."""
FOLLOW_SCHEME: Final = f"{ESC}[?2031h"
FORGET_SCHEME: Final = f"{ESC}[?2031l"
"""Subscribe to changes between light and dark, and unsubscribe (contour-terminal.org, mode 2031)."""

_BACKGROUND: Final = re.compile(
    r"\x1b\]11;rgba?:([\da-f]{1,4})/([\da-f]{1,4})/([\da-f]{1,4})(?:/[\da-f]{1,4})?(?:\x07|\x1b\\)",
    re.IGNORECASE,
)
_SCHEME: Final = re.compile(r"\x1b\[\?997;([12])n")
_KEY: Final = re.compile(r"\x1b\[([\d:]*)(?:;([\d:]*))?(?:;([\d:]*))?([u~ABCDEFHPQRS])")
_CURSOR: Final = re.compile(r"\x1b\[(\d{1,5});(\d{1,5})R")
_MOUSE: Final = re.compile(r"\x1b\[<\d{1,3};-?\d{1,6};-?\d{1,6}[Mm]")
_MODE: Final = re.compile(r"\x1b\[\?(\d{1,5});(\d)\$y")
_RESIZE: Final = re.compile(r"\x1b\[48;(\d{1,5})[\d:]*;(\d{1,5})[\d:]*;(\d{1,6})[\d:]*;(\d{1,6})[\d:]*t")
_STRINGS: Final = "]P_^X"
"""What begins a string that ends with BEL or ST: OSC, DCS, APC, PM and SOS."""
_RELEASED: Final = "3"
_OTHER_KEY: Final = "27"
"""Stands before ~ where xterm reports any key with its modifiers."""
_SHIFT: Final = 0b1
_SHORTCUT: Final = 0b11_1110
"""The bits of alt, ctrl, super, hyper and meta; a key with one of them types nothing."""


Reading = Generator[Read1 | Peek1, str, str]


class TerminalParser(XTermParser):
    """Turns characters into messages. Nothing that is fed to it raises."""

    def parse(self, token_callback: TokenCallback[Message]) -> Generator[Read1 | Peek1, str, None]:
        """Read characters forever; messages go to the callback."""
        with contextlib.suppress(ParseEOF):
            pending = ""
            while True:
                character = pending or (yield self.read1())
                pending = ""
                if character != ESC:
                    self._emit(self._sequence_to_key_events(character), token_callback)
                    continue
                sequence = yield from self._read_sequence()
                if len(sequence) > 1 and sequence[-1] == ESC:
                    # Another sequence begins within this one, which is dropped unless it is the escape key.
                    pending, sequence = ESC, ESC if sequence == ESC + ESC else ""
                if sequence == BRACKETED_PASTE_START:
                    token_callback(events.Paste((yield from self._read_paste())))
                elif sequence:
                    with contextlib.suppress(ValueError, OverflowError, IndexError, TypeError):
                        self._emit(self._messages(sequence), token_callback)

    def _emit(self, found: Iterable[Message], token_callback: TokenCallback[Message]) -> None:
        for message in found:
            if not (isinstance(message, events.Key) and message.key == "<ignore>"):
                token_callback(message)

    def _read_sequence(self) -> Reading:
        """Read what follows an escape. An incomplete sequence ends when nothing more comes for a moment."""
        sequence = ESC
        try:
            while len(sequence) < SEQUENCE_LIMIT:
                character = yield self.read1(constants.ESCAPE_DELAY)
                sequence += character
                if character == ESC and not self._is_string(sequence):
                    return sequence
                if self._is_complete(sequence):
                    return sequence
            ending = sequence[-2:]
            while not self._ends_too_long(sequence[1], ending):  # its rest is dropped with it
                ending = ending[-1] + (yield self.read1(constants.ESCAPE_DELAY))
            return ending if ending[-1] == ESC else ""
        except ParseTimeout:
            return sequence if len(sequence) <= 2 else ""

    @staticmethod
    def _ends_too_long(kind: str, ending: str) -> bool:
        """Return whether a sequence that was too long is over, by its last two characters."""
        if kind in _STRINGS:
            return ending[-1] == "\x07" or ending == f"{ESC}\\"
        return "\x40" <= ending[-1] <= "\x7e" or ending[-1] in (ESC, "\x07")

    @staticmethod
    def _is_string(sequence: str) -> bool:
        return len(sequence) > 2 and sequence[1] in _STRINGS

    @staticmethod
    def _is_complete(sequence: str) -> bool:
        kind, last = sequence[1], sequence[-1]
        if sequence in ANSI_SEQUENCES_KEYS:
            return True
        if kind == "[":
            if sequence == f"{ESC}[[":  # a function key of the Linux console, of one more letter
                return False
            if sequence.startswith(f"{ESC}[M"):  # the oldest mouse report: three bytes follow
                return len(sequence) == 6
            if sequence.startswith(f"{ESC}[<"):  # a mouse report, which may hold anything when it is broken
                return last in "Mm" or len(sequence) > MOUSE_LIMIT
            return len(sequence) > 2 and not "\x20" <= last <= "\x3f"
        if kind == "O":
            return len(sequence) > 2 and not last.isdecimal()
        if kind in _STRINGS:
            return len(sequence) > 2 and (last == "\x07" or sequence.endswith(f"{ESC}\\"))
        return True

    def _read_paste(self) -> Reading:
        """Read a bracketed paste to its end, or until nothing came for PASTE_SILENCE seconds."""
        pieces: list[str] = []
        length, tail = 0, ""
        try:
            while tail != BRACKETED_PASTE_END:
                character = yield self.read1(PASTE_SILENCE)
                tail = (tail + character)[-len(BRACKETED_PASTE_END) :]
                if length < PASTE_LIMIT:
                    pieces.append(character)
                    length += 1
        except ParseTimeout:
            pass
        return "".join(pieces).removesuffix(BRACKETED_PASTE_END).replace("\x00", "")

    def _messages(self, sequence: str) -> Iterable[Message]:
        """Yield what a complete sequence means; nothing when it means nothing known."""
        if sequence == FOCUSIN:
            yield events.AppFocus()
        elif sequence == FOCUSOUT:
            yield events.AppBlur()
        elif found := _CURSOR.fullmatch(sequence):
            yield events.CursorPosition(int(found[2]) - 1, int(found[1]) - 1)
        elif _MOUSE.fullmatch(sequence):
            if (mouse := self.parse_mouse_code(sequence)) is not None:
                yield mouse
        elif found := _MODE.fullmatch(sequence):
            yield from self._mode_report(found[1], int(found[2]))
        elif found := _BACKGROUND.fullmatch(sequence):
            yield BackgroundReported(_is_dark(*found.groups()))
        elif found := _SCHEME.fullmatch(sequence):
            yield BackgroundReported(found[1] == "1")
        elif found := _RESIZE.fullmatch(sequence):
            yield from self._resized(*map(int, found.groups()))
        elif sequence in ANSI_SEQUENCES_KEYS:
            yield from self._sequence_to_key_events(sequence)
        elif found := _KEY.fullmatch(sequence):
            if plain := _plain_key(*(group or "" for group in found.groups())):
                yield from self._sequence_to_key_events(plain)
        elif len(sequence) == 2 and sequence[1].isprintable():
            yield from self._sequence_to_key_events(sequence[1], alt=True)

    def _mode_report(self, mode: str, setting: int) -> Iterable[Message]:
        if mode == "2026" and setting > 0:
            yield messages.TerminalSupportsSynchronizedOutput()
        elif mode == "2048" and constants.SMOOTH_SCROLL and not IS_ITERM:
            yield messages.InBandWindowResize.from_setting_parameter(setting)

    def _resized(self, height: int, width: int, pixel_height: int, pixel_width: int) -> Iterable[Message]:
        if not (0 < height <= SIZE_LIMIT and 0 < width <= SIZE_LIMIT):
            return
        resize = events.Resize.from_dimensions((width, height), (pixel_width, pixel_height))
        self.terminal_size, self.terminal_pixel_size = resize.size, resize.pixel_size
        self.mouse_pixels = bool(pixel_width and pixel_height)
        yield resize


def _plain_key(codes: str, modifiers: str, text: str, end: str) -> str:
    """Return a key event of the kitty protocol with one number a field, as Textual reads it; "" for none.

    Releases are dropped. A shortcut typed in another script becomes the key at its position, and a key that
    comes without its text gets it.
    """
    code, shifted, base = (*codes.split(":"), "", "")[:3]
    modifier, event_type = (*modifiers.split(":"), "")[:2]
    bits = int(modifier or 1) - 1
    if event_type == _RELEASED or not 0 <= bits < 256:
        return ""
    if end != "u" and code != _OTHER_KEY and f"{code or 1}{end}" not in FUNCTIONAL_KEYS:
        return ""  # the number is none of a character, as that of a paste's end that lost its beginning
    if end == "u":
        letter = _character(code)
        if letter is None:
            return ""
        if base and (latin := _character(base)):
            learn_layout(letter, latin)
            if bits & _SHORTCUT:
                code = base
        if not text and not bits & _SHORTCUT and letter.isprintable():
            upper = letter.upper()
            typed = upper if bits & _SHIFT and len(upper) == 1 else letter
            text = shifted if bits & _SHIFT and shifted else str(ord(typed))
    letters = [letter for each in text.split(":") if (letter := _character(each))]
    plain = ":".join(str(ord(letter)) for letter in letters if letter.isprintable() or letter.isspace())
    return "" if text and not plain else f"{ESC}[{code or 1};{modifier};{plain}{end}"


def _is_dark(*parts: str) -> bool:
    """Return whether a colour is dark, from the hexadecimal digits of red, green and blue."""
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in parts)
    return bool(0.299 * red + 0.587 * green + 0.114 * blue < 0.5)


def _character(code: str) -> str | None:
    """Return the character of a decimal code point; None for one that no text has."""
    value = int(code) if code.isdecimal() and len(code) <= 7 else -1
    return chr(value) if 0 < value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF else None


class TerminalDriver(LinuxDriver):
    """Reads input in a thread that no input can end, and writes to a terminal that may be gone."""

    def __init__(
        self, app: Any, *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._file = cast(Any, TerminalFile(cast(IO[str], self._file)))
        self._wake_read, self._wake_write = os.pipe()

    def start_application_mode(self) -> None:
        """Take the terminal over."""
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._writer_thread is not None and os.environ.get("TERM") != "linux":
            self.write(ASK_BACKGROUND + FOLLOW_SCHEME)
            self.flush()
        if self._writer_thread is not None and not constants.DISABLE_KITTY_KEY:
            self.write(REPORT_ALTERNATE_KEYS)
            self.flush()

    def write(self, data: str) -> None:
        """Write to the terminal. One that shows the last run's screen is not cleared by opening another."""
        shown: LastScreen | None = getattr(self._app, "last_screen", None)
        if data != OPEN or shown is None or not shown.hand_over():
            super().write(data)

    def stop_application_mode(self) -> None:
        """Give the terminal back."""
        if self._writer_thread is not None and os.environ.get("TERM") != "linux":
            self.write(FORGET_SCHEME)
        super().stop_application_mode()

    def disable_input(self) -> None:
        """Stop reading; returns when the input thread has ended."""
        os.write(self._wake_write, b"\0")
        super().disable_input()
        os.read(self._wake_read, 1)

    def run_input_thread(self) -> None:
        """Read until stopped. Waits without a timeout while no sequence is half read."""
        parser = TerminalParser(self._debug)
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        with selectors.DefaultSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                waits = parser._timeout_time is not None
                ready = {key.fd for key, _ in selector.select(constants.ESCAPE_DELAY / 2 if waits else None)}
                if self._wake_read in ready:
                    self.exit_event.wait(1)
                elif self.fileno in ready:
                    try:
                        data = os.read(self.fileno, 64 * 1024)
                    except OSError:
                        data = b""
                    if not data:
                        # The terminal is gone, and not every one says so by the signal.
                        os.kill(os.getpid(), signal.SIGHUP)
                        return
                    # An empty text, which half a character gives, would be the end of input.
                    for message in parser.feed(text) if (text := decode(data)) else ():
                        self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)
