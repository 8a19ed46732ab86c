"""The style sheet selects what exists: a renamed widget would lose its rules without a word."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

from textual.css.model import SelectorType
from textual.dom import DOMNode

import okr_tui.ui
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
