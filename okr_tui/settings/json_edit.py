"""JSON text with positions: where a value is, and how to change one value and no other character.

Text here never carries a byte order mark. Positions for people are lines and columns that start at 1.
What changes a text also takes one with comments and trailing commas, and keeps them.
"""

import hashlib
import json
import re
from bisect import bisect_right
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field
from json.decoder import JSONDecodeError, JSONDecoder
from pathlib import Path
from typing import Final, NamedTuple

from okr_tui.domain.errors import SettingsError
from okr_tui.domain.values import dataclass

# A text without an end reaches to the end, so that its quotes are not tried one by one.
TEXT = r'"(?:[^"\\]|\\.)*+"?'
COMMENT = re.compile(rf"{TEXT}|(//[^\n]*)")
ANY_COMMENT = re.compile(rf"{TEXT}|(//[^\n]*|/\*(?:[^*]|\*(?!/))*+(?:\*/)?)")
LAST_COMMA = re.compile(rf'({TEXT}|[^ \t\r\n"{{\[,:]+)(?:([ \t\r\n]*),(?=[ \t\r\n]*[}}\]]))?')
COMMENT_BEHIND = re.compile(r"(?:[ \t]*/\*(?:[^*\n]|\*(?!/))*+\*/)*+(?:[ \t]*//[^\n]*)?")


def plain(text: str, *, blocks: bool = False) -> str:
    """Return the strict JSON of a text, with blanks for comments and trailing commas: every offset stays.

    blocks: comments may also be between /* and */, as in JSONC; pi reads no such.
    """
    return LAST_COMMA.sub(_without_comma, uncommented(text, blocks=blocks))


def uncommented(text: str, *, blocks: bool = False) -> str:
    """Return the text with blanks where comments were; `blocks` as in `plain`."""
    comment = ANY_COMMENT if blocks else COMMENT
    return comment.sub(lambda found: found[0] if found[1] is None else " " * len(found[1]), text)


def comment_behind(text: str, at: int) -> int:
    """Return the length of a comment, with the blanks before it, that follows on a line; 0 for none."""
    found = COMMENT_BEHIND.match(text, at)
    return len(found[0].rstrip(" \t\r")) if found else 0


def _without_comma(found: re.Match[str]) -> str:
    return found[0] if found[2] is None else f"{found[1]}{found[2]} "


BLANK = " \t\r\n"
UTF_16 = (BOM_UTF16_LE, BOM_UTF16_BE)
DEEPEST = 100
SURROGATE = re.compile("[\ud800-\udfff]")
REFUSED_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*+"|(-?Infinity|NaN|\d{4301,})')


class Span(NamedTuple):
    """Offsets into the text: the first character of a value, and the one after its last."""

    start: int
    end: int


KnownSpans = dict[int, dict[str | int, Span]]
"""The spans of the members of objects and lists, by where each of these begins."""


class Member(NamedTuple):
    """A member of an object by its name, or an item of a list by its position; an item's key is empty."""

    name: str | int
    key: Span
    value: Span


def location(path: str, line: int | None, column: int | None) -> str:
    """Return a position as people and editors write it: `path:line:column`, as far as it is known."""
    return ":".join(str(part) for part in (path, line, column) if part is not None)


def failure(what: str, path: str, line: int | None = None, column: int | None = None) -> SettingsError:
    """Return a SettingsError whose one line starts with the location."""
    return SettingsError(f"{location(path, line, column)}: {what}", path, line, column)


def position(text: str, offset: int) -> tuple[int, int]:
    """Return line and column of an offset, both from 1."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def parse(text: str, path: str = "") -> object:
    """Return the value of strict JSON. Raises SettingsError with its location; the message quotes nothing."""
    try:
        value = _DECODER.decode(text)
    except JSONDecodeError as error:
        what, offset = _reason(error)
    except ValueError:
        what, offset = "NaN, Infinity and endless numbers are not allowed", _refused_number(text)
    except RecursionError:
        what, offset = "it is nested too deeply", 0
    else:
        if _depth_within(value, DEEPEST):
            return value
        what, offset = "it is nested too deeply", 0
    # Raised out here because a decoding error in the chain would carry the whole text, keys included.
    raise failure(f"not valid JSON: {what}", path, *position(text, offset))


_COMMA_TOO_MANY: Final = "a comma before the end of a list or an object"


def _reason(error: JSONDecodeError) -> tuple[str, int]:
    """Return why a text is no JSON, by the mistakes that people make and without its words, and where."""
    message, text, at = error.msg, error.doc, error.pos
    # Python 3.13 gives the place of the comma, older ones that of what follows it.
    named = message.startswith("Illegal trailing comma")
    comma = at if named else len(text[:at].rstrip(BLANK)) - 1
    if text[comma : comma + 1] == "," and text[comma + 1 :].lstrip(BLANK)[:1] in ("}", "]", ""):
        return _COMMA_TOO_MANY, comma
    return _mistake(message, text, at), at


def _mistake(message: str, text: str, at: int) -> str:
    here = text[at : at + 1]
    if message.startswith("Unterminated string"):
        return "a string has no closing quote"
    if message.startswith("Invalid control character"):
        return "a line break or another control character inside a string"
    if message.startswith("Invalid \\"):
        return "a backslash inside a string has to be doubled"
    if message.startswith("Extra data"):
        return "there is more text after the end of the object"
    if "\0" in text:
        return "it contains null bytes, as UTF-16 does; save it as UTF-8"
    if here in ("/", "#"):
        return "comments are not allowed here"
    if not text[at:].strip(BLANK):
        return "it ends before the last bracket is closed"
    if message.startswith("Expecting property name") or here == "'":
        return "names and strings have to be in double quotes"
    if message.startswith("Expecting ',' delimiter"):
        return "a comma or a closing bracket is missing before this point"
    if message.startswith("Expecting ':' delimiter"):
        return "a colon is missing before this point"
    return "there is no value, such as a string in double quotes, a number, true, false or null"


def locate(text: str, path: Sequence[str | int], known: KnownSpans | None = None) -> Span | None:
    """Return where the value at `path` (names and list positions, outermost first) is, or None.

    Of members with the same name the last counts, as in every JSON reader here. `known` keeps the spans that
    were found, for the next value of the same text: else each item of a list walks the list again.
    """
    known = {} if known is None else known
    start = _skip(text, 0)
    if start == len(text):
        return None
    span = Span(start, len(text.rstrip(BLANK)))
    for name in path:
        if span.start not in known:
            known[span.start] = {member.name: member.value for member in members_of(text, span.start)}
        if name not in known[span.start]:
            return None
        span = known[span.start][name]
    return span


def put(text: str, path: Sequence[str], value: object) -> str:
    """Return `text` with the value at `path` replaced, or inserted with the objects it needs.

    `text` is valid JSONC or blank; `value` is anything JSON can hold. The layout of the surroundings is
    continued. Raises ValueError when a value on the way is not an object.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    strict = plain(text, blocks=True)
    start = _skip(strict, 0)
    if start == len(strict):
        comments = text.rstrip(BLANK)
        return (comments and comments + newline) + render(_nested(path, value), "  ", newline) + newline
    indent = _indent(strict, start)
    span = Span(start, len(text))
    for depth, name in enumerate(path):
        if strict[span.start] != "{":
            raise ValueError(f"{name} has no object to stand in")
        members = members_of(strict, span.start)
        found = [member for member in members if member.name == name]
        if not found:
            inner = _nested(path[depth + 1 :], value)
            if members:
                return _append(text, strict, members[-1], name, inner, indent, newline)
            return _fill(text, strict, span.start, name, inner, indent, newline)
        span = found[-1].value
    old = text[span.start : span.end]
    inline = old[0] in "[{" and len(old) > len("[]") and "\n" not in old
    new = render(value, None if inline else indent, newline, _lead(text, span.start))
    return text[: span.start] + new + text[span.end :]


def _append(
    text: str, strict: str, last: Member, name: str, value: object, indent: str | None, newline: str
) -> str:
    gap = text[len(text[: last.key.start].rstrip(BLANK)) : last.key.start]
    colon = text[last.key.end : last.value.start]
    if colon != strict[last.key.end : last.value.start]:
        colon = ": "
    # What follows the last value on its line, a comma and a comment, stays with it.
    comma = uncommented(text[last.value.end : _skip(strict, last.value.end)], blocks=True).find(",") + 1
    comment = comment_behind(text, last.value.end + comma)
    at = last.value.end + comma + comment
    if comment and "\n" not in gap:
        gap = newline + _lead(text, last.key.start)
    base = gap.rpartition("\n")[2] if "\n" in gap else _lead(text, last.key.start)
    new = render(value, indent if "\n" in gap else None, newline, base)
    member = f"{render(name)}{colon}{new}"
    if comma:
        return f"{text[:at]}{gap}{member},{text[at:]}"
    return text[:at] + (f"{gap}, {member}" if comment else f",{gap}{member}") + text[at:]


def _fill(
    text: str, strict: str, start: int, name: str, value: object, indent: str | None, newline: str
) -> str:
    end = strict.index("}", start) + 1
    base = _lead(text, start)
    if comments := text[start + 1 : end - 1].rstrip(BLANK):
        at = start + 1 + len(comments)
        step = "  " if indent is None else indent
        member = f"{render(name)}: {render(value, step, newline, base + step)}"
        return f"{text[:at]}{newline}{base}{step}{member}{text[at:]}"
    new = render({name: value}, indent, newline, base)
    return text[:start] + new + text[end:]


def _indent(text: str, start: int) -> str | None:
    """Return one step of indentation as the document has it; None when it is on one line."""
    members = members_of(text, start)
    if not members:
        return "  "
    gap = text[start + 1 : members[0].key.start]
    return gap.rpartition("\n")[2] if "\n" in gap else None


def _lead(text: str, offset: int) -> str:
    line = text[text.rfind("\n", 0, offset) + 1 : offset]
    return line[: len(line) - len(line.lstrip(BLANK))]


def _nested(path: Sequence[str], value: object) -> object:
    for name in reversed(path):
        value = {name: value}
    return value


def render(value: object, indent: str | None = None, newline: str = "\n", base: str = "") -> str:
    """Return JSON of a value: on one line without `indent`, else with `base` before each further line."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    if SURROGATE.search(text):
        # Half a surrogate pair has no UTF-8; only its escape can be stored.
        text = json.dumps(value, indent=indent, allow_nan=False)
    return text.replace("\n", newline + base)


def members_of(text: str, start: int) -> list[Member]:
    """Return what the object or list at an offset of valid JSON holds; nothing for any other value."""
    opening, at = text[start], _skip(text, start + 1)
    found: list[Member] = []
    while opening in "{[" and text[at] not in "}]":
        name: str | int = len(found)
        key = Span(at, at)
        if opening == "{":
            name, end = _DECODER.raw_decode(text, at)
            key = Span(at, end)
            at = _skip(text, _skip(text, end) + 1)
        value = Span(at, _DECODER.raw_decode(text, at)[1])
        found.append(Member(name, key, value))
        at = _skip(text, value.end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in BLANK:
        at += 1
    return at


def _depth_within(value: object, limit: int) -> bool:
    level = [value]
    for _ in range(limit + 1):
        lists = [item for item in level if isinstance(item, list)]
        objects = [item.values() for item in level if isinstance(item, dict)]
        level = [child for children in (*lists, *objects) for child in children]
        if not level:
            return True
    return False


def _refused_number(text: str) -> int:
    return next((match.start() for match in REFUSED_NUMBER.finditer(text) if match.lastindex), 0)


def _refuse(constant: str) -> object:
    raise ValueError(constant)


_DECODER = JSONDecoder(parse_constant=_refuse)


JsonPath = Sequence[str | int]


def put_in(text: str, path: Sequence[str], position: int, raw: str) -> str:
    """Insert an item, given as JSON, at `position` of the list at `path`, or at its end if it is shorter.

    The layout of its neighbours is continued. Raises ValueError when there is no list.
    """
    span = locate(text, path)
    if span is None or text[span.start] != "[":
        raise ValueError("there is no list to put an item in")
    items = members_of(text, span.start)
    if not items:
        marked = put(text, path, [None])
        return exchange(marked, (*path, 0), raw)
    gap = _gap(text, items)
    if position >= len(items):
        end = items[-1].value.end
        return f"{text[:end]},{gap}{raw}{text[end:]}"
    start = items[position].value.start
    return f"{text[:start]}{raw},{gap}{text[start:]}"


def exchange(text: str, path: JsonPath, raw: str) -> str:
    """Replace the value at `path` by another, given as JSON. Raises ValueError when there is none."""
    span = locate(text, path)
    if span is None:
        raise ValueError("there is no value to exchange")
    return text[: span.start] + raw + text[span.end :]


def take_out(text: str, path: JsonPath) -> str:
    """Remove the item or member at `path`, and earlier members of that name; the text if there is none.

    Comments around it stay.
    """
    *above, name = path
    strict = plain(text, blocks=True)
    holder = locate(strict, above)
    if holder is None:
        return text
    members = members_of(strict, holder.start)
    found = [index for index, member in enumerate(members) if member.name == name]
    for index in reversed(found):
        strict = plain(text, blocks=True)
        members = members_of(strict, holder.start)
        if strict == text:
            text = _without(text, holder.start, members, index)
        else:
            text = _without_but_comments(text, members, index)
    return text


def _without(text: str, start: int, members: list[Member], index: int) -> str:
    if index:
        return text[: members[index - 1].value.end] + text[members[index].value.end :]
    if len(members) > 1:
        return text[: members[0].key.start] + text[members[1].key.start :]
    end = members[0].value.end
    return text[: start + 1] + text[end:].lstrip(BLANK)


def _without_but_comments(text: str, members: list[Member], index: int) -> str:
    _, key, value = members[index]
    bare = uncommented(text, blocks=True)
    before, after = text[: key.start].rstrip(BLANK), text[value.end :]
    if len(bare[: key.start].rstrip(BLANK)) < len(before) and not after.lstrip(" \t\r").startswith("\n"):
        before = text[: text.find("\n", len(before), key.start) + 1] or before  # which ends a comment
    comma = bare.index(",", members[index - 1].value.end) if index else None
    if bare[value.end :].lstrip(BLANK).startswith(","):
        own = bare.index(",", value.end) - value.end
        after = after[:own] + after[own + 1 :]
    elif comma is not None:
        before = before[:comma] + before[comma + 1 :]
    return before + after


def _gap(text: str, items: list[Member]) -> str:
    before = text[: items[-1].value.start]
    gap = before[len(before.rstrip(BLANK)) :]
    return gap if len(items) > 1 or "\n" in gap else " "


Position = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class Section:
    """One object of a layer, by its name. `document` is None for values that come from no file."""

    name: str
    values: Mapping[str, object] = field(repr=False)
    document: "Document | None" = None

    def position(self, *path: str | int) -> Position:
        """Return line and column of a value of this section, or of the section; (None, None) if unknown."""
        return self.document.position(self.name, *path) if self.document else (None, None)


@dataclass(frozen=True, slots=True)
class Document:
    """What a settings file held when it was read. `raw` is None when there is no file.

    strict: `text`, in which blanks replace comments and last commas of a file that may have them.
    """

    path: Path
    raw: bytes | None = field(repr=False)
    text: str = field(repr=False)
    strict: str = field(repr=False)
    root: Mapping[str, object] = field(repr=False)
    _known: KnownSpans = field(default_factory=dict, repr=False, compare=False)
    _lines: list[int] = field(default_factory=list, repr=False, compare=False)
    """Where each line begins, once a position was looked for."""

    @classmethod
    def of(cls, path: Path, raw: bytes | None, *, commented: bool = False) -> "Document":
        """Parse the bytes of a file. Raises SettingsError, with line and column where there is one.

        commented: the file may have comments and trailing commas.
        """
        text = _decoded(path, (raw or b"").removeprefix(BOM_UTF8))
        strict = plain(text) if commented else text
        root = parse(strict, str(path)) if strict.strip(BLANK) else {}
        document = cls(path, raw, text, strict, root if isinstance(root, dict) else {})
        if not isinstance(root, dict):
            raise failure("must hold one JSON object {...}", str(path), *document.position())
        return document

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the bytes in hexadecimal; "" when there is no file."""
        return "" if self.raw is None else hashlib.sha256(self.raw).hexdigest()

    def position(self, *path: str | int) -> Position:
        """Return line and column of the value at `path`, or (None, None)."""
        span = locate(self.strict, path, self._known)
        return self._position(span.start) if span else (None, None)

    def _position(self, offset: int) -> tuple[int, int]:
        if not self._lines:
            self._lines.extend((0, *(found.end() for found in re.finditer("\n", self.text))))
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1

    def repeated(self, path: "JsonPath" = ()) -> list[tuple[str, Position]]:
        """Return the names that an object has more than once, each with the location of its last value."""
        span = locate(self.strict, path, self._known)
        if span is None or not self.strict.startswith("{", span.start):
            return []
        members = members_of(self.strict, span.start)
        counts = Counter(str(member.name) for member in members)
        last = {str(member.name): member.value.start for member in members}
        twice = (name for name, count in counts.items() if count > 1)
        return [(name, self._position(last[name])) for name in twice]

    def section(self, name: str) -> Section:
        """Return the section, empty when absent. Raises SettingsError, with its location, for no object."""
        values = self.root.get(name, {})
        if not isinstance(values, dict):
            raise failure(f'"{name}" must be an object {{...}}', str(self.path), *self.position(name))
        return Section(name, values, self)

    def encoded(self, text: str) -> bytes:
        """Return another text as the bytes of this file."""
        mark = BOM_UTF8 if (self.raw or b"").startswith(BOM_UTF8) else b""
        return mark + text.encode()


def _decoded(path: Path, raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
    # Raised out here because the decoding error in the chain would carry the whole text, keys included.
    what = "it is UTF-16 text; save it as UTF-8" if raw.startswith(UTF_16) else "not UTF-8 text"
    raise failure(what, str(path), *position(before, len(before)))
