"""The tables of the README are those of the code."""

import pytest

from okr_tui.settings.table import GROUPS, TABLE
from okr_tui.ui.actions import ACTIONS
from screenshots import readme


def test_the_readme_is_up_to_date() -> None:
    text = readme.README.read_text(encoding="utf-8")
    assert readme.written(text) == text, "run python -m screenshots.readme"


def test_the_table_has_every_action_once() -> None:
    shown = sorted(line.split(" | ")[-1].removesuffix(" |") for line in list(readme.keys_table())[2:])
    assert shown == sorted(action.tooltip for action in ACTIONS)


def test_the_tables_have_every_setting_with_words_once() -> None:
    tables = [table for name, table in readme.TABLES.items() if name.startswith("settings")]
    names = [line.split("`")[1].removeprefix("okr-tui.") for table in tables for line in list(table())[2:]]
    assert sorted(names) == sorted([*GROUPS, *(row.name for row in TABLE if row.words)])


def test_a_readme_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="<!-- keys -->"):
        readme.written("nothing here")
