"""Values that are made faster are as those of the standard library."""

import copy
import dataclasses
import inspect
import pickle
from dataclasses import FrozenInstanceError, field, fields, replace
from typing import Any

import pytest

from okr_tui.domain import values


def described(dataclass: Any) -> tuple[Any, Any]:
    """A base and a class derived from it, with every kind of field that the program has."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Base:
        at: float
        who: str | None = None

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Derived(Base):
        names: tuple[str, ...] = ()
        more: dict[str, int] = field(default_factory=dict)
        note: str = field(default="", compare=False, repr=False)
        doubled: float = field(init=False, compare=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "doubled", 2 * self.at)

    return Base, Derived


def parameters(of: Any) -> list[tuple[str, Any, Any]]:
    return [(each.name, each.kind, each.annotation) for each in inspect.signature(of).parameters.values()]


OURS, THEIRS = described(values.dataclass), described(dataclasses.dataclass)


@values.dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 2


@values.dataclass(frozen=True, slots=True)
class Nothing:
    pass


@values.dataclass(frozen=True, slots=True)
class Own:
    """A value with an equality of its own."""

    name: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Own) and self.name.lower() == other.name.lower()

    def __hash__(self) -> int:
        return hash(self.name.lower())

    def __repr__(self) -> str:
        return "Own"


@pytest.mark.parametrize("place", [0, 1])
def test_like_the_standard_librarys(place: int) -> None:
    ours, theirs = OURS[place], THEIRS[place]
    assert repr(ours(at=1.0, who="a")) == repr(theirs(at=1.0, who="a"))
    assert parameters(ours) == parameters(theirs)
    assert ours.__slots__ == theirs.__slots__
    assert ours.__match_args__ == theirs.__match_args__
    assert [(each.name, each.kw_only) for each in fields(ours)] == [
        (each.name, each.kw_only) for each in fields(theirs)
    ]


def test_equality_and_hash() -> None:
    _, derived = OURS
    one = derived(at=1.0, names=("a",), note="n")
    assert one == derived(at=1.0, names=("a",), note="another")
    assert one != derived(at=1.0, names=("b",))
    assert one != THEIRS[1](at=1.0, names=("a",))
    assert hash(Point(1)) == hash(Point(1, 2))
    assert Point(1) != Point(1, 3)
    assert Nothing() == Nothing()
    assert (Own("A"), hash(Own("A")), repr(Own("A"))) == (Own("a"), hash(Own("a")), "Own")


def test_nothing_of_it_changes() -> None:
    point = Point(1)
    with pytest.raises(FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del point.x
    with pytest.raises(FrozenInstanceError):
        point.z = 2  # type: ignore[attr-defined]
    assert not hasattr(point, "__dict__")


def test_copies() -> None:
    point = Point(1, 3)
    assert replace(point, x=5) == Point(5, 3)
    assert copy.deepcopy(point) == copy.copy(point) == pickle.loads(pickle.dumps(point)) == point
    assert dataclasses.asdict(point) == {"x": 1, "y": 3}


def test_each_has_a_default_of_its_own() -> None:
    _, derived = OURS
    assert derived(at=1.0).more is not derived(at=1.0).more
    assert (derived(at=2.0).doubled, derived(at=1.0).note) == (4.0, "")
    with pytest.raises(TypeError, match="at"):
        derived()


def test_a_match_takes_it_apart() -> None:
    match Point(1, 3):
        case Point(x, y=3):
            assert x == 1
        case _:
            pytest.fail("not taken apart")
