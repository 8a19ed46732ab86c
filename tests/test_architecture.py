"""The shape of the package: no circle of imports, no class that inherits through another class of ours."""

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType
from typing import Protocol

from textual.message import Message

import okr_tui

ROOT = Path(okr_tui.__path__[0])
CIRCLES: frozenset[str] = frozenset()
"""Modules whose circle is still to be opened; empty in the end."""


def sources() -> dict[str, Path]:
    """Return the file of every module by its dotted name."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = (okr_tui.__name__, *path.relative_to(ROOT).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(source: str, modules: dict[str, Path]) -> Iterator[str]:
    """Yield the modules of ours that a source imports, wherever in it: in functions and for types too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in modules:
            for name in node.names:
                member = f"{node.module}.{name.name}"
                yield member if member in modules else node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in modules)


def first_circle(graph: dict[str, set[str]]) -> list[str]:
    """Return a circle of a graph, [] where it has none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [str(module) for module in error.args[1]]
    return []


def test_no_imports_go_in_a_circle() -> None:
    modules = sources()
    assert len(modules) > 100
    graph = {name: set(imports(path.read_text(), modules)) - {name} for name, path in modules.items()}
    rest = {name: found - CIRCLES for name, found in graph.items() if name not in CIRCLES}
    assert first_circle(rest) == []
    for name in CIRCLES:
        again = {**rest, name: graph[name]}
        again.update({each: graph[each] - (CIRCLES - {name}) for each in rest})
        assert first_circle(again), f"{name} is in no circle any more: take it out of CIRCLES"


def test_a_circle_is_found() -> None:
    modules = {name: Path() for name in ("okr_tui.a", "okr_tui.b")}
    late = "def run():\n    from okr_tui import b\n"
    graph = {"okr_tui.a": set(imports(late, {**modules, "okr_tui": Path()})), "okr_tui.b": {"okr_tui.a"}}
    assert graph["okr_tui.a"] == {"okr_tui.b"}
    assert first_circle(graph)


def loaded() -> Iterator[ModuleType]:
    """Import every module; one whose optional dependency is missing is left out."""
    for found in pkgutil.walk_packages(okr_tui.__path__, "okr_tui."):
        if not found.name.endswith("__main__"):
            try:
                yield importlib.import_module(found.name)
            except ModuleNotFoundError as error:
                if (error.name or "").startswith("okr_tui"):
                    raise


def own_bases(of: type) -> list[type]:
    """Return the classes of ours above a class; protocols say what something is like and do not count."""
    bases = [base for base in of.__mro__[1:] if base.__module__.startswith("okr_tui")]
    return [base for base in bases if not getattr(base, "_is_protocol", False)]


def chains() -> set[str]:
    """Return the classes that inherit from a class of ours which inherits from a class of ours."""
    return {
        f"{each.__module__}.{each.__qualname__}"
        for module in loaded()
        for each in vars(module).values()
        if isinstance(each, type)
        and each.__module__ == module.__name__
        and not issubclass(each, (Message, BaseException))
        and any(own_bases(base) for base in own_bases(each))
    }


def test_no_class_inherits_through_another_class_of_ours() -> None:
    found = chains()
    assert found == set()


def test_a_chain_is_found() -> None:
    class Like(Protocol):
        pass

    class First(Like):
        pass

    class Second(First):
        pass

    class Third(Second):
        pass

    for each in (Like, First, Second, Third):
        each.__module__ = "okr_tui.example"
    assert [any(own_bases(base) for base in own_bases(each)) for each in (First, Second, Third)] == [
        False,
        False,
        True,
    ]


def test_the_application_inherits_only_its_terminal_side() -> None:
    app = importlib.import_module("okr_tui.ui.app").OkrApp
    assert [base.__name__ for base in own_bases(app)] == ["TerminalApp"]
