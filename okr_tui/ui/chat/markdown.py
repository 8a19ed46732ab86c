"""A finished block of Markdown as parts to lay out. Parsed once; it is data, never console markup."""

from functools import cache
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from textual.content import Content, Span
from textual.highlight import highlight
from textual.style import Style

from okr_tui.ui.chat.document import EMPTY, Part, Piece, Table, plain, safe
from okr_tui.ui.chat.markdown_blocks import Block

LINK: Final = "okr_link"
"""The name under which a drawn link carries its address."""
_STYLES: Final = {"em_open": "italic", "strong_open": "bold", "s_open": "strike"}
_CODE_SPAN: Final = "$text-warning on $surface"
_BULLETS: Final = "•◦▪"


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("gfm-like", {"html": False})
    # A definition would vanish from the screen, and the blocks that refer to it are parsed apart.
    parser.disable("reference")
    if parser.linkify is not None:
        parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
    return parser


def parts_of(block: Block) -> list[Part]:
    """How a block looks."""
    if block.kind == "fence":
        return [_code(block.code, block.language)]
    tokens = _parser().parse(safe(block.text))
    return _Reader().read(tokens)


def _code(code: str, language: str) -> Piece:
    body = highlight(safe(code), language=language.lower() or "text")
    return Piece(body, Content(" "), Content(" "), code=True)


class _Reader:
    """Goes through a block's tokens; `leads` are the marks that stand before a line at this depth."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.leads: list[tuple[Content, Content]] = []
        self.fresh: set[int] = set()
        self.ordered: list[bool] = []

    def read(self, tokens: list[Token]) -> list[Part]:
        """The parts of a block."""
        heading = ""
        table: list[list[Content]] = []
        for token in tokens:
            match token.type:
                case "heading_open":
                    heading = "bold $text-accent" + (" underline" if token.tag == "h1" else "")
                case "heading_close":
                    heading = ""
                case "paragraph_open" if not token.hidden:
                    self._part_from_last()
                case "bullet_list_open" | "ordered_list_open":
                    self.ordered.append(token.type == "ordered_list_open")
                case "bullet_list_close" | "ordered_list_close":
                    self.ordered.pop()
                case "list_item_open":
                    self._begin_item(token)
                case "blockquote_open":
                    bar = Content.styled("▌ ", "$text-muted")
                    self._push(bar, bar)
                case "list_item_close" | "blockquote_close":
                    self.fresh.discard(len(self.leads) - 1)
                    self.leads.pop()
                case "table_open":
                    self._part_from_last()
                    table = []
                case "tr_open":
                    table.append([])
                case "table_close":
                    self.parts.append(Table(tuple(map(tuple, table)), *self._lead()))
                    table = []
                case "inline":
                    body = inline(token.children or [])
                    if table:
                        style = "bold" if len(table) == 1 else ""
                        table[-1].append(body.stylize(style) if style else body)
                    else:
                        self.parts.append(Piece(body.stylize(heading) if heading else body, *self._lead()))
                case "fence" | "code_block":
                    self._part_from_last()
                    code = _code(token.content.rstrip("\n"), token.info.partition(" ")[0])
                    first, rest = self._lead()
                    self.parts.append(Piece(code.body, first + " ", rest + " ", code=True))
                case "hr":
                    self.parts.append(Piece(Content.styled("─" * 24, "$text-muted"), *self._lead()))
        return self.parts

    def _begin_item(self, token: Token) -> None:
        depth = sum(not ordered for ordered in self.ordered) - 1
        mark = f"{token.info}{token.markup} " if self.ordered[-1] else f"{_BULLETS[depth % len(_BULLETS)]} "
        self._push(Content.styled(mark, "$text-accent"), Content(" " * len(mark)))

    def _push(self, first: Content, rest: Content) -> None:
        self.leads.append((first, rest))
        self.fresh.add(len(self.leads) - 1)

    def _lead(self) -> tuple[Content, Content]:
        """What stands before the first line and before the others; a mark is drawn once."""
        first = [mark if place in self.fresh else rest for place, (mark, rest) in enumerate(self.leads)]
        self.fresh.clear()
        return EMPTY.join(first), EMPTY.join([rest for _, rest in self.leads])

    def _part_from_last(self) -> None:
        """A blank line, unless a mark has just been set that waits for its line."""
        if self.parts and not self.fresh:
            rest = EMPTY.join([rest for _, rest in self.leads])
            self.parts.append(Piece(EMPTY, rest, rest))


def inline(tokens: list[Token]) -> Content:
    """Text with its styles; links to http and https carry their address."""
    texts: list[str] = []
    spans: list[Span] = []
    opened: list[tuple[int, str | Style]] = []
    place = 0

    def add(text: str, *styles: str | Style) -> None:
        nonlocal place
        texts.append(text)
        spans.extend(Span(place, place + len(text), style) for style in styles)
        place += len(text)

    for token in tokens:
        match token.type:
            case "em_open" | "strong_open" | "s_open":
                opened.append((place, _STYLES[token.type]))
            case "link_open":
                opened.append((place, _link(str(token.attrs.get("href", "")))))
            case "em_close" | "strong_close" | "s_close" | "link_close":
                start, style = opened.pop()
                spans.append(Span(start, place, style))
                if isinstance(style, Style):
                    spans.append(Span(start, place, "$text-accent underline"))
            case "code_inline":
                add(token.content, _CODE_SPAN)
            case "image":
                add(f"[image: {token.content}]", _link(str(token.attrs.get("src", ""))), "$text-accent")
            case "softbreak" | "hardbreak":
                add("\n")
            case _:
                add(token.content)
    return Content("".join(texts), spans)


def _link(address: str) -> str | Style:
    return Style.from_meta({LINK: address}) if address.startswith(("https://", "http://")) else "underline"


def open_parts(block: Block) -> list[Part]:
    """How a block looks while it grows: as plain text, which costs next to nothing."""
    if block.kind == "fence":
        return [plain(block.code, code=True)] if block.code else []
    return [plain(block.text.strip("\n"))] if block.text.strip() else []
