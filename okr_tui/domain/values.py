"""The standard library's `dataclass`, whose methods are made when one of them is first called.

A start defines 110 to 190 frozen classes of values, and makes objects of a third of them. For each, the
standard library writes and compiles six methods at once: 0.7 ms, two fifths of what all imports of a command
take. Here it does so for a class that is used; one that is only defined costs a tenth.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(bare: type | None = None, /, **options: bool) -> Any:
        """Return a class as a dataclass, or the decorator that the standard library has for these options."""
        if options.get("frozen") and options.get("slots"):
            return partial(_frozen, options)
        return dataclasses.dataclass(bare, **options)


LATER: Final = {"init": False, "repr": False, "eq": False, "frozen": False}
METHODS: Final = ("__init__", "__repr__", "__eq__", "__hash__")


def _frozen(options: dict[str, bool], defined: type[Any]) -> type[Any]:
    """Return a class as a frozen dataclass with slots."""
    # An equality of its own leaves no hash behind.
    missing = [name for name in METHODS if vars(defined).get(name) is None]
    made: type[Any] = dataclasses.dataclass(**options | LATER)(defined)

    methods = SHARED | {name: _first_call(made, name) for name in missing}
    for name, method in methods.items():
        setattr(made, name, method)
    return made


def _first_call(made: type[Any], name: str) -> Callable[..., Any]:
    """Return what stands for a method until its first call."""

    def method(self: Any, *arguments: Any, **named: Any) -> Any:
        found = _method(made, name)
        setattr(made, name, found)
        return found(self, *arguments, **named)

    return method


def _method(made: type[Any], name: str) -> Callable[..., Any]:
    """Return a method as the standard library makes it, and makes no other one that can be left out."""
    members: dict[str, Any] = {each.name: each for each in dataclasses.fields(made)}
    members["__annotations__"] = {name: each.type for name, each in members.items()}
    members["__qualname__"] = made.__qualname__
    if hasattr(made, "__post_init__"):
        members["__post_init__"] = made.__post_init__
    whole: type[Any] = dataclasses.dataclass(
        init=name == "__init__", repr=name == "__repr__", eq=name in ("__eq__", "__hash__"), frozen=True
    )(type(made.__name__, (), members))
    found: Callable[..., Any] = vars(whole)[name]
    return found


def _refuse_assignment(_: Any, name: str, _value: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deletion(_: Any, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(value: Any) -> list[Any]:
    """Return what copying and pickling keep of a value."""
    return [getattr(value, each.name) for each in dataclasses.fields(value)]


def _set_state(value: Any, state: list[Any]) -> None:
    for each, found in zip(dataclasses.fields(value), state, strict=True):
        object.__setattr__(value, each.name, found)


SHARED: Final[dict[str, Callable[..., Any]]] = {
    "__setattr__": _refuse_assignment,
    "__delattr__": _refuse_deletion,
    "__getstate__": _state,
    "__setstate__": _set_state,
}
