"""A frozen dataclass whose methods are made late behaves as the standard library's."""

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import field, fields, replace
from typing import Any

import pytest

from okr_tui.domain import values

Decorator = Callable[..., Callable[[type], type]]


def classes(dataclass: Decorator) -> dict[str, Any]:
    """Classes with defaults, with named arguments, with a base, with a check and methods of their own."""

    @dataclass(frozen=True, slots=True)
    class Plain:
        """A value."""

        a: int
        b: str = "b"
        c: list[int] = field(default_factory=list, compare=False)
        d: str = field(default="secret", repr=False)

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Base:
        """A value by names."""

        at: float
        who: str | None = None

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Derived(Base):
        """A value with a base."""

        kind: str = "derived"
        number: int

    @dataclass(frozen=True, slots=True)
    class Checked:
        """A value that is checked, shown and compared in a way of its own."""

        a: int

        def __post_init__(self) -> None:
            if self.a < 0:
                raise ValueError("negative")

        def __repr__(self) -> str:
            return "checked"

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Checked)

    return {"Plain": Plain, "Derived": Derived, "Checked": Checked}


THEIRS = classes(dataclasses.dataclass)
CALLS: list[Callable[[dict[str, Any]], object]] = [
    lambda made: made["Plain"](1),
    lambda made: made["Plain"](1, "x", [2], d="y"),
    lambda made: made["Plain"](),
    lambda made: made["Plain"](1, z=2),
    lambda made: made["Plain"](1) == made["Plain"](1, c=[5]),
    lambda made: made["Plain"](1) == made["Plain"](2),
    lambda made: made["Plain"](1) == (1, "b"),
    lambda made: hash(made["Plain"](1, "x")),
    lambda made: {made["Plain"](1), made["Plain"](1)},
    lambda made: made["Plain"](1).c is made["Plain"](1).c,
    lambda made: replace(made["Plain"](1), b="z"),
    lambda made: setattr(made["Plain"](1), "a", 2),
    lambda made: delattr(made["Plain"](1), "a"),
    lambda made: copy.copy(made["Plain"](1, "x")),
    lambda made: copy.deepcopy(made["Plain"](1, c=[1])),
    lambda made: made["Plain"].__match_args__,
    lambda made: made["Plain"].__slots__,
    lambda made: [(each.name, each.type, each.kw_only) for each in fields(made["Derived"])],
    lambda made: made["Derived"](at=1, number=2),
    lambda made: made["Derived"](number=2, at=1, who="w") == made["Derived"](at=1, number=2),
    lambda made: made["Derived"](1, 2),
    lambda made: made["Derived"](at=1),
    lambda made: dataclasses.asdict(made["Derived"](at=1, number=2)),
    lambda made: made["Checked"](-1),
    lambda made: made["Checked"](1),
    lambda made: made["Checked"](1) == made["Checked"](2),
    lambda made: hash(made["Checked"](1)),
]


def outcome(call: Callable[[dict[str, Any]], object], made: dict[str, Any]) -> str:
    try:
        return repr(call(made))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("used", [False, True], ids=["first", "later"])
def test_it_does_what_the_standard_library_does(call: Callable[[dict[str, Any]], object], used: bool) -> None:
    ours = classes(values.dataclass)
    if used:
        outcome(call, ours)
        ours["Plain"](1), ours["Derived"](at=1, number=2), ours["Checked"](1)
    assert outcome(call, ours) == outcome(call, THEIRS)


@values.dataclass(frozen=True, slots=True)
class Kept:
    """A value that is pickled: its class has to be found by name."""

    a: int
    b: tuple[str, ...] = ()


def test_a_value_comes_back_from_another_process() -> None:
    assert pickle.loads(pickle.dumps(Kept(1, ("x",)))) == Kept(1, ("x",))


def test_a_class_that_is_only_defined_costs_no_code() -> None:
    before = classes(values.dataclass)["Plain"]
    first = vars(before)["__init__"]
    assert before(1) == before(1)
    assert vars(before)["__init__"] is not first
    assert vars(before)["__init__"].__code__.co_varnames[:2] == ("self", "a")


def test_other_dataclasses_are_left_to_the_standard_library() -> None:
    @values.dataclass(slots=True)
    class Changing:
        a: int

    @values.dataclass
    class Bare:
        a: int

    for made in (Changing, Bare):
        value = made(1)
        value.a = 2
        assert value == made(2)
