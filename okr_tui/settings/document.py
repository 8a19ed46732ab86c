"""One settings file as it was read: its bytes, its sections, and where each value stands."""

import hashlib
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from okr_tui.settings.json_edit import BLANK, KnownSpans, failure, locate, members_of, parse, plain, position

Position = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class Section:
    """One object of a layer, by its name. `document` is None for values that come from no file."""

    name: str
    values: Mapping[str, object] = field(repr=False)
    document: "Document | None" = None

    def position(self, *path: str | int) -> Position:
        """Line and column of a value of this section, or of the section itself; (None, None) if unknown."""
        return self.document.position(self.name, *path) if self.document else (None, None)


@dataclass(frozen=True, slots=True)
class Document:
    """What a settings file held when it was read. `raw` is None when there is no file.

    strict: `text`, in which blanks stand for comments and last commas of a file that may have them.
    """

    path: Path
    raw: bytes | None = field(repr=False)
    text: str = field(repr=False)
    strict: str = field(repr=False)
    root: Mapping[str, object] = field(repr=False)
    _known: KnownSpans = field(default_factory=dict, repr=False, compare=False)

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
        """Line and column of the value at `path`, or (None, None)."""
        span = locate(self.strict, path, self._known)
        return position(self.text, span.start) if span else (None, None)

    def repeated(self, path: tuple[str, ...] = ()) -> list[tuple[str, Position]]:
        """Return the names that an object has more than once, each with the place of its last value."""
        span = locate(self.strict, path, self._known)
        if span is None or not self.strict.startswith("{", span.start):
            return []
        members = members_of(self.strict, span.start)
        counts = Counter(str(member.name) for member in members)
        last = {str(member.name): member.value.start for member in members}
        twice = (name for name, count in counts.items() if count > 1)
        return [(name, position(self.text, last[name])) for name in twice]

    def section(self, name: str) -> Section:
        """Return the section, empty when absent. Raises SettingsError, with its place, if it is no object."""
        values = self.root.get(name, {})
        if not isinstance(values, dict):
            raise failure(f'"{name}" must be an object {{...}}', str(self.path), *self.position(name))
        return Section(name, values, self)

    def encoded(self, text: str) -> bytes:
        """Another text as the bytes of this file."""
        mark = BOM_UTF8 if (self.raw or b"").startswith(BOM_UTF8) else b""
        return mark + text.encode()


def _decoded(path: Path, raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
    # Raised out here because the decoding error in the chain would carry the whole text, keys included.
    raise failure("not UTF-8 text", str(path), *position(before, len(before)))
