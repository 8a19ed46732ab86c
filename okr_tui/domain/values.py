"""Immutable values: the `dataclass` of the standard library, made in a third of the time.

The program has more than a hundred kinds of them, and making their classes is a good part of a start: the
standard library compiles six functions for each, one by one. Here three are compiled at once, and the others
are shared.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, fields
from typing import TYPE_CHECKING, Any, Final

ABSENT: Final = object()

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(of=None, /, *, frozen=False, slots=False, kw_only=False, **options):
        """Return the class as a dataclass.

        A frozen one with slots can be the base only of others that are made here.
        """
        if not (frozen and slots) or options:
            return dataclasses.dataclass(of, frozen=frozen, slots=slots, kw_only=kw_only, **options)
        return (lambda of: _frozen(of, kw_only)) if of is None else _frozen(of, kw_only)


def _frozen(of: type[Any], kw_only: bool) -> type[Any]:
    make = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)
    made: type[Any] = make(of)
    own = vars(made)
    for name, method in (*_compiled(made), *SHARED):
        if own.get(name) is None:
            setattr(made, name, method)
    return made


def _compiled(of: type[Any]) -> list[tuple[str, Any]]:
    """Compile `__init__`, `__eq__` and `__hash__`: as for a named tuple, of the names of the fields."""
    known: dict[str, Any] = {"ABSENT": ABSENT}
    positional, named, lines = ["self"], list[str](), list[str]()
    for each in fields(of):
        name = each.name
        if not each.init:
            continue  # `__post_init__` sets it
        known[f"set_{name}"] = getattr(of, name).__set__
        parameter, value = name, name
        if each.default is not MISSING:
            known[f"default_{name}"], parameter = each.default, f"{name}=default_{name}"
        elif each.default_factory is not MISSING:
            known[f"make_{name}"], parameter = each.default_factory, f"{name}=ABSENT"
            value = f"make_{name}() if {name} is ABSENT else {name}"
        lines.append(f"    set_{name}(self, {value})")
        (named if each.kw_only else positional).append(parameter)
    if hasattr(of, "__post_init__"):
        lines.append("    self.__post_init__()")
    parameters = ", ".join((*positional, *(("*", *named) if named else ())))
    compared = [each.name for each in fields(of) if each.compare]
    mine, others = ("".join(f"{who}.{name}, " for name in compared) for who in ("self", "other"))
    code = (
        f"def __init__({parameters}):",
        *(lines or ["    pass"]),
        "def __eq__(self, other):",
        f"    return ({mine}) == ({others}) if other.__class__ is self.__class__ else NotImplemented",
        "def __hash__(self):",
        f"    return hash(({mine}))",
    )
    exec("\n".join(code), known)  # noqa: S102
    known["__init__"].__annotations__ = {**{each.name: each.type for each in fields(of)}, "return": None}
    return [(name, known[name]) for name in ("__init__", "__eq__", "__hash__")]


class _Value:
    """The methods that all of them share."""

    def __repr__(self: Any) -> str:
        shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __getstate__(self: Any) -> list[Any]:
        return [getattr(self, each.name) for each in fields(self)]

    def __setstate__(self: Any, state: list[Any]) -> None:
        for each, value in zip(fields(self), state, strict=True):
            object.__setattr__(self, each.name, value)


SHARED: Final[list[tuple[str, Callable[..., Any]]]] = [
    (name, method) for name, method in vars(_Value).items() if callable(method)
]
