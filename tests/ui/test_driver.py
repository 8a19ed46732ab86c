"""What a terminal sends, as messages: anything may come, nothing raises, what is known arrives."""

import random
from codecs import getincrementaldecoder

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.color import Color
from textual.message import Message
from textual.strip import Strip

from okr_tui.ui.driver import SEQUENCE_LIMIT, TerminalParser
from okr_tui.ui.output import DrawableFilter, TerminalFile
from okr_tui.ui.themes import BackgroundReported

ESC = "\x1b"


def read(text: str, parser: TerminalParser | None = None) -> list[Message]:
    """The messages of a text, those of an incomplete sequence at its end included."""
    parser = parser or TerminalParser()
    found = list(parser.feed(text)) if text else []
    if parser._timeout_time is not None:
        parser._timeout_time = 0.0
        found += parser.tick()
    return found


def keys(text: str) -> list[str]:
    """The names of the keys in a text."""
    return [message.key for message in read(text) if isinstance(message, events.Key)]


def typed(text: str) -> str:
    """The characters that a text types."""
    return "".join(each.character or "" for each in read(text) if isinstance(each, events.Key))


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("a", "a"),
        (f"{ESC}[A", "up"),
        (f"{ESC}OP", "f1"),
        (f"{ESC}[[A", "f1"),
        (f"{ESC}[1;5A", "ctrl+up"),
        (f"{ESC}[97;5u", "ctrl+a"),
        (f"{ESC}[97;1:1u", "a"),
        (f"{ESC}[97:65;2;65u", "A"),
        (f"{ESC}[97;2u", "A"),
        (f"{ESC}[1;1:2B", "down"),
        (f"{ESC}x", "alt+x"),
        (ESC, "escape"),
        (f"{ESC}[23$", "f23"),
    ],
)
def test_known_keys_arrive(sent: str, key: str) -> None:
    assert keys(sent) == [key]


@pytest.mark.parametrize(
    "sent",
    [
        f"{ESC}[97;1:3u",
        f"{ESC}[1;1:3A",
        f"{ESC}[99999999999999999999999999u",
        f"{ESC}[55296u",
        f"{ESC}[1114112u",
        f"{ESC}[97;9999999999u",
        f"{ESC}[97;5;1114112u",
        f"{ESC}[<0;99999999999;3M",
        f"{ESC}[M \ufffd\ufffd",
        f"{ESC}[<64;x;3M",
        f"{ESC}[48;0;0;0;0t",
        f"{ESC}[48;99999;99999;1;1t",
        f"{ESC}[?1;2c",
        f"{ESC}]11;rgb:0000/0000/0000{ESC}\\",
        f"{ESC}]0;title\x07",
        f"{ESC}P1$r0m{ESC}\\",
        f"{ESC}[" + "1" * (2 * SEQUENCE_LIMIT) + "u",
        f"{ESC}]52;c;" + "x" * (2 * SEQUENCE_LIMIT) + "\x07",
        f"{ESC}]0;" + "x" * (2 * SEQUENCE_LIMIT) + f"{ESC}\\",
        f"{ESC}P" + f"x{ESC}[A" * SEQUENCE_LIMIT + f"{ESC}\\",
        f"{ESC}_" + "x" * (SEQUENCE_LIMIT - 3) + f"{ESC}\\",
        f"{ESC}]0;" + "x" * (SEQUENCE_LIMIT - 4) + "\x07",
    ],
    ids=lambda sent: repr(sent[:30]),
)
def test_what_means_nothing_is_dropped_and_the_next_key_arrives(sent: str) -> None:
    assert keys(f"{sent}q") == ["q"]


def test_a_key_that_breaks_into_a_long_sequence_arrives() -> None:
    assert keys(f"{ESC}[" + "1" * (2 * SEQUENCE_LIMIT) + f"{ESC}[A") == ["up"]


def test_alternates_and_a_base_layout_key_are_read() -> None:
    assert keys(f"{ESC}[1073::44;;1073u") == ["б"]
    assert keys(f"{ESC}[1081::113;5u") == ["ctrl+q"]


@pytest.mark.parametrize("length", [1, 5, 40, 800])
def test_a_commit_of_an_input_method_arrives_whole(length: int) -> None:
    text = "有很大差别日本語"[:5] * (length // 5 + 1)
    sent = ":".join(str(ord(letter)) for letter in text[:length])
    assert typed(f"{ESC}[32;;{sent}u") == text[:length]


def test_a_paste_is_one_message_with_its_sequences_as_text() -> None:
    pasted, key = read(f"{ESC}[200~file://[/a.png {ESC}[A\n{ESC}[201~x")
    assert isinstance(pasted, events.Paste)
    assert pasted.text == f"file://[/a.png {ESC}[A\n"
    assert isinstance(key, events.Key)


def test_a_paste_without_an_end_is_delivered_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("okr_tui.ui.driver.PASTE_LIMIT", 10_000)
    (pasted,) = read(f"{ESC}[200~" + "x" * 10_010)
    assert isinstance(pasted, events.Paste)
    assert len(pasted.text) == 10_000


@pytest.mark.parametrize("sequence", ["[201~", "[65~", "[228~", "[199;5~", "[97A", "[8364~"])
def test_number_that_is_not_a_key_types_nothing(sequence: str) -> None:
    assert keys(f"a{ESC}{sequence}b") == ["a", "b"]


def test_keys_with_modifiers_as_xterm_reports_them_are_read() -> None:
    assert keys(f"{ESC}[27;5;97~{ESC}[1;5A{ESC}[3~{ESC}[24~") == ["ctrl+a", "ctrl+up", "delete", "f12"]


def test_mouse_and_size_reports_are_read() -> None:
    down, resize = read(f"{ESC}[<0;3;4M{ESC}[48;10:0;20:0;100;200t")
    assert isinstance(down, events.MouseDown)
    assert isinstance(resize, events.Resize)
    assert resize.size == (20, 10)


@given(st.lists(st.binary(max_size=60), max_size=20))
@example([b"\xe4x"])
@example([b"\xc4\xe3\xba\xc3"])
@example([b"\x1b[M \xf0\xf0"])
def test_no_bytes_end_the_reading(chunks: list[bytes]) -> None:
    decode = getincrementaldecoder("utf-8")(errors="replace").decode
    parser = TerminalParser()
    for chunk in chunks:
        read(decode(chunk), parser)
    read(f"{ESC}[201~", parser)
    assert "q" in [each.key for each in read("qq", parser) if isinstance(each, events.Key)]


FRAGMENTS = st.sampled_from(
    [
        ESC,
        "[",
        "O",
        "]",
        "P",
        "M",
        "<",
        ";",
        ":",
        "u",
        "~",
        "200~",
        "201~",
        "1",
        "97",
        "99999999999",
        "t",
        "48",
        "R",
    ]
)


@given(st.lists(FRAGMENTS, max_size=40))
def test_no_sequence_ends_the_reading(fragments: list[str]) -> None:
    parser = TerminalParser()
    read("".join(fragments), parser)
    read(f"{ESC}[201~", parser)
    assert "q" in [each.key for each in read("qq", parser) if isinstance(each, events.Key)]


@given(st.text(st.characters(exclude_categories=()), max_size=80))
def test_cells_steer_nothing_and_keep_their_width(text: str) -> None:
    (drawn,) = DrawableFilter().apply([Segment(text)], Color(0, 0, 0))
    assert not any(letter in drawn.text for letter in "\x1b\x9b\x07\u202e\ud800\r\n")
    assert cell_len(drawn.text) <= max(cell_len(text), len(text))


class Gone:
    """A terminal that was closed."""

    def write(self, text: str) -> int:
        """Fail as a closed terminal does."""
        raise OSError(5, "Input/output error", text)

    def flush(self) -> None:
        """Fail likewise."""
        raise OSError(5, "Input/output error")


def test_a_terminal_that_is_gone_stops_nothing() -> None:
    file = TerminalFile(Gone())  # type: ignore[arg-type]
    assert file.write("abc") == 3
    file.flush()


def test_text_without_a_style_gets_a_plain_one() -> None:
    """Textual's filter for NO_COLOR ends the application otherwise."""
    (drawn,) = DrawableFilter().apply([Segment("x")], Color(0, 0, 0))
    assert drawn.style == Style()


@pytest.mark.parametrize(
    "address", ["https://a.example/\x1b\\\x1b]52;c;eA==\x07", "https://a.example/\x9b\u202e\n"]
)
def test_no_address_of_a_link_ends_its_own_sequence(address: str) -> None:
    (drawn,) = DrawableFilter().apply([Segment("a link", Style(link=address, bold=True))], Color(0, 0, 0))
    assert drawn.style is not None
    assert (drawn.style.link or "").isprintable()
    assert drawn.style.bold
    assert Strip.render_style(drawn.style, drawn.text, ColorSystem.TRUECOLOR).count("\x1b]") == 2


@pytest.mark.slow(reason="reads fifty thousand random inputs")
def test_fifty_thousand_random_strings_are_lived_through() -> None:
    randomly = random.Random(8)
    decode = getincrementaldecoder("utf-8")(errors="replace").decode
    parser = TerminalParser()
    starts = [
        b"",
        b"\x1b",
        b"\x1b[",
        b"\x1b[<",
        b"\x1bO",
        b"\x1b]",
        b"\x1bP",
        b"\x1b[200~",
        b"\x1b[M",
        b"\x9b",
    ]
    for _ in range(50_000):
        ending = randomly.choice([b"", b"u", b"~", b"M", b"\x1b\\", b"\x1b[201~"])
        data = randomly.choice(starts) + randomly.randbytes(randomly.randrange(12)) + ending
        read(decode(data), parser)
    read(f"{ESC}[201~", parser)
    assert "q" in [each.key for each in read("qq", parser) if isinstance(each, events.Key)]


@pytest.mark.parametrize(
    ("sent", "dark"),
    [
        (f"{ESC}]11;rgb:0000/2b2b/3636{ESC}\\", True),
        (f"{ESC}]11;rgb:fdfd/f6f6/e3e3\x07", False),
        (f"{ESC}]11;rgb:ff/FF/ff\x07", False),
        (f"{ESC}]11;rgba:1111/1111/1111/ffff\x07", True),
        (f"{ESC}[?997;1n", True),
        (f"{ESC}[?997;2n", False),
    ],
)
def test_the_background_of_the_terminal_is_understood(sent: str, dark: bool) -> None:
    assert [each.dark for each in read(f"a{sent}b") if isinstance(each, BackgroundReported)] == [dark]
    assert typed(f"a{sent}b") == "ab"


@pytest.mark.parametrize("sent", [f"{ESC}]11;rgb:zz/0/0\x07", f"{ESC}]11;?\x07", f"{ESC}[?997;3n"])
def test_what_is_not_a_colour_says_nothing(sent: str) -> None:
    assert not any(isinstance(each, BackgroundReported) for each in read(sent))
    assert typed(f"a{sent}b") == "ab"
