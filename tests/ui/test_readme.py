"""The README's table of keys is the table of actions."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from okr_tui.ui.actions import ACTIONS

HERE = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def readme() -> ModuleType:
    """The command that writes the table."""
    specification = importlib.util.spec_from_file_location("readme", HERE / "screenshots" / "readme.py")
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_readme_is_up_to_date(readme: ModuleType) -> None:
    text = readme.README.read_text(encoding="utf-8")
    assert readme.written(text) == text, "run python screenshots/readme.py"


def test_the_table_has_every_action_once(readme: ModuleType) -> None:
    said = sorted(line.split(" | ")[-1].removesuffix(" |") for line in readme.table().splitlines()[2:])
    assert said == sorted(action.tooltip for action in ACTIONS)


def test_a_readme_without_marks_is_refused(readme: ModuleType) -> None:
    with pytest.raises(ValueError, match="<!-- keys -->"):
        readme.written("nothing here")
