"""The style sheet selects what exists: a renamed widget would lose its rules without a word."""

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from textual.color import Color
from textual.css.model import SelectorType
from textual.css.parse import parse
from textual.css.stylesheet import StylesheetParseError
from textual.dom import DOMNode

import okr_tui.ui
from okr_tui.ui.stylesheet import CachedStylesheet
from tests.ui.driver import run_app
from tests.ui.scripted_service import ScriptedService


def subclasses(of: type[Any]) -> Iterator[type[Any]]:
    """All classes that derive from one."""
    for each in of.__subclasses__():
        yield each
        yield from subclasses(each)


async def test_every_type_in_the_style_sheet_is_a_widget() -> None:
    for module in pkgutil.walk_packages(okr_tui.ui.__path__, "okr_tui.ui."):
        importlib.import_module(module.name)
    async with run_app(ScriptedService()) as driver:
        selected = {
            selector.name
            for rule in driver.app.stylesheet.rules
            if not rule.is_default_rules
            for chain in rule.selector_set
            for selector in chain.selectors
            if selector.type is SelectorType.TYPE
        }
    assert selected
    assert selected - {each.__name__ for each in subclasses(DOMNode)} == set()


def test_each_source_is_parsed_once_for_the_same_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []

    def count(scope: str, css: str, *arguments: Any, **options: Any) -> Iterable[Any]:
        parsed.append(css)
        return parse(scope, css, *arguments, **options)

    monkeypatch.setattr("textual.css.stylesheet.parse", count)
    sheet = CachedStylesheet({"colour": "red"})
    for number in range(100):  # more than Textual keeps
        sheet.add_source(f"#cached-{number} {{ color: $colour; }}", ("cached", str(number)))
    assert len(sheet.rules) == len(parsed) == 100
    sheet.set_variables({"colour": "red"})
    sheet.reparse()
    sheet.add_source("#cached-100 { color: $colour; }", ("cached", "100"))
    assert len(sheet.rules) == len(parsed) == 101
    sheet.set_variables({"colour": "blue"})
    sheet.reparse()
    assert len(parsed) == 202
    assert sheet.rules[0].styles.color == Color.parse("blue")
    sheet.add_source("#cached-101 { color: nothing; }", ("cached", "101"))
    with pytest.raises(StylesheetParseError):
        sheet.reparse()
    assert sheet._rules is not None
    assert len(sheet._rules) == 101
