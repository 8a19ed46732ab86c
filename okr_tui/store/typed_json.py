"""Values of our types from JSON, without pydantic, which takes a tenth of a second to load and to prepare."""

import contextlib
import json
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cached_property
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")
MOST_ITEMS: Final = 10_000
SHORT: Final = 256 * 1024
"""Letters of a text that is read without pydantic; a longer one takes longer than to load it."""
FEW: Final = 2000
"""Rows that a process reads without pydantic: for more it is worth the time that it takes to load."""
PAGE: Final = 1000
"""Rows that are read at once of a long log; fewer are what others write now, and do not count."""

Read = Callable[[Any], Any]


class TypedReader:
    """Makes values by their types, and raises TypeError, ValueError or LookupError for all else.

    `scalar` reads texts, numbers and truths: it gets the type and what was found. `by_name` says whether
    objects are JSON objects by the names of their fields, or lists of all their fields.
    """

    def __init__(self, scalar: Callable[[Any, Any], Any], *, by_name: bool) -> None:
        self._scalar = scalar
        self._by_name = by_name
        self._known: dict[Any, Read] = {}

    def of(self, hint: Any) -> Read:
        """Return what makes a value of a type."""
        if hint not in self._known:
            self._known[hint] = self._make(hint)
        return self._known[hint]

    def _make(self, hint: Any) -> Read:
        origin, arguments = get_origin(hint), get_args(hint)
        if origin in (Union, types.UnionType):
            return _one_of(tuple(map(self.of, arguments)))
        if origin is Literal:
            return _chosen(arguments)
        if origin is tuple:
            if len(arguments) == 2 and arguments[1] is ...:
                item = self.of(arguments[0])
                return lambda found: tuple(map(item, _items(found)))
            return self._listed(tuple, arguments)
        if origin is not None and issubclass(origin, Mapping):
            name, item = map(self.of, arguments)
            return lambda found: {name(each): item(value) for each, value in _members(found)}
        if isinstance(hint, type) and is_dataclass(hint):
            hints = get_type_hints(hint)
            if self._by_name:
                return self._named(hint, hints)
            return self._listed(
                lambda values: hint(*values), tuple(hints[each.name] for each in fields(hint))
            )
        if isinstance(hint, type) and hasattr(hint, "_fields"):
            return self._listed(lambda values: hint(*values), tuple(get_type_hints(hint).values()))
        if isinstance(hint, type) and issubclass(hint, Enum):
            return hint
        return lambda found: self._scalar(hint, found)

    def _listed(self, make: Callable[[tuple[Any, ...]], Any], hints: tuple[Any, ...]) -> Read:
        readers: list[Read] = []

        def read(found: Any) -> Any:
            if not readers:
                readers.extend(map(self.of, hints))
            return make(tuple(each(value) for each, value in zip(readers, _items(found), strict=True)))

        return read

    def _named(self, of: type[Any], hints: Mapping[str, Any]) -> Read:
        readers: dict[str, Read] = {}

        def read(found: Any) -> Any:
            if not readers:
                readers.update((each.name, self.of(hints[each.name])) for each in fields(of))
            return of(**{name: readers[name](value) for name, value in _members(found)})

        return read


def exact(hint: Any, found: Any) -> Any:
    """Read a text, number or truth that is of the type already; a whole number may stand for a float."""
    if hint is float and type(found) in (int, float) and math.isfinite(found):
        return float(found)
    if type(found) is not hint and hint is not object:
        raise ValueError("of another type")
    return found


def _one_of(readers: tuple[Read, ...]) -> Read:
    def read(found: Any) -> Any:
        for each in readers:
            try:
                return each(found)
            except (TypeError, ValueError):
                continue
        raise ValueError("none of the types")

    return read


def _chosen(allowed: tuple[Any, ...]) -> Read:
    def read(found: Any) -> Any:
        if found not in allowed:
            raise ValueError("none of the values")
        return found

    return read


def _items(found: Any) -> list[Any]:
    if not isinstance(found, list) or len(found) > MOST_ITEMS:
        raise ValueError("no list")
    return found


def _members(found: Any) -> Any:
    if not isinstance(found, dict) or len(found) > MOST_ITEMS:
        raise ValueError("no object")
    return found.items()


EXACT: Final = TypedReader(exact, by_name=True)


def _fields(value: Any) -> dict[str, object]:
    """Return the fields of a dataclass that are not None. Raises AttributeError for anything else."""
    names = value.__dataclass_fields__
    return {name: found for name in names if (found := getattr(value, name)) is not None}


_encode: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_fields
).encode


class StoredJson(Generic[T]):
    """How values of one type are kept as JSON: short texts are read without pydantic.

    Whatever is long, or not of the usual form, is left to it. `tag` is the field by which the types of a
    union are told apart.
    """

    def __init__(self, hint: Any, tag: str = "") -> None:
        self._hint = hint
        self._tag = tag
        self._rows = 0
        members = get_args(hint) if tag else ()
        self._tagged = {each.__dataclass_fields__[tag].default: each for each in members}

    @cached_property
    def adapter(self) -> "TypeAdapter[T]":
        """What pydantic makes of the type."""
        from pydantic import Field, TypeAdapter

        hint: Any = Annotated[self._hint, Field(discriminator=self._tag or None)]
        return TypeAdapter(hint)

    def read(self, text: str) -> T:
        """Return the value of a text. Raises ValueError for any other text."""
        if len(text) < SHORT and "\\u" not in text:  # half a character would be no mistake here
            with contextlib.suppress(TypeError, ValueError, LookupError, RecursionError):
                found = json.loads(text)
                value: T = EXACT.of(self._tagged[found[self._tag]] if self._tag else self._hint)(found)
                return value
        return self.adapter.validate_json(text)

    def reader(self, rows: int) -> Callable[[str], T]:
        """Return what reads so many more texts as `read` does: the first FEW, or pydantic, twice as fast."""
        self._rows += rows if rows >= PAGE else 0
        # Without the layers around it, which cost a tenth.
        many = rows >= PAGE and self._rows > FEW
        return self.adapter.validator.validate_json if many else self.read

    def write(self, value: T) -> str:
        """Return the text of a value, in one line; fields that are None are left out."""
        try:
            text = _encode(value)
        except ValueError:  # for a number that JSON does not have
            text = self.adapter.dump_json(value, exclude_none=True).decode()
        # Halves of characters, as in a name that a client sent, are no text for a store.
        return text if text.isascii() else text.encode(errors="replace").decode()
