"""The extras that messages name are those of the package."""

import sys
import tomllib
from pathlib import Path

import pytest

from okr_tui.domain.extras import EXTRAS, how_to_add

PROJECT = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]


def test_messages_install_what_the_package_declares() -> None:
    declared = PROJECT["optional-dependencies"]
    assert {extra: [needed] for extra, needed in EXTRAS.items()} == {
        extra: declared[extra] for extra in EXTRAS
    }


def test_an_extra_is_added_to_the_environment_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/with blanks/python")
    assert how_to_add("redis") == (
        "python3 -m pip --python '/opt/with blanks/python' install 'redis[hiredis]>=8'"
    )
