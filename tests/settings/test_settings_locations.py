"""The address of the log is found without the rest of the settings, and is the one that they have."""

import json
import os
import stat
from functools import partial
from itertools import product
from pathlib import Path

import pytest

from okr_tui.settings.layers import Sources, load
from okr_tui.settings.locations import file_content, store_address

PLAIN = "sqlite:/somewhere/log.db"
GLOBAL = [
    None,
    {},
    {"okr-tui": {"store": PLAIN}},
    {"okr-tui": {"store": " memory: "}},
    {"okr-tui": {"store": "sqlite:/with a blank/log.db"}},
    {"okr-tui": {"store": None}},
    {"okr-tui": {"store": 7}},
    {"okr-tui": {"store": ""}},
    {"okr-tui": ["store"]},
    {"okr-tui": {}, "another": {"store": "sqlite:/not/ours"}},
    {"okr-tui": {"store": PLAIN}, "another": {"store": "sqlite:/not/ours"}},
    '{"okr-tui": {"\\u0073tore": "sqlite:/written/oddly"}}',
    '// a comment\n{"okr-tui": {"store": "sqlite:/behind/a/comment",}}',
    '{"okr-tui": {"store": "memory:", "store": "sqlite:/the/second"}}',
    '{"okr-tui": {"store": ',
    "[1]",
    '["store"]',
]


def write(path: Path, content: object) -> None:
    if content is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))


def address(sources: Sources) -> str | None:
    return load(sources).store.value


@pytest.mark.parametrize("content", GLOBAL, ids=str)
def test_it_is_the_address_that_the_settings_have(tmp_path: Path, content: object) -> None:
    projects: list[object] = [None, {"okr-tui": {"store": "sqlite:/of/a/project"}}, {"other": 1}]
    environments: list[dict[str, str]] = [
        {},
        {"OKR_TUI_STORE": "sqlite:/from/environment"},
        {"OKR_TUI_STORE": " "},
    ]
    options = [None, "memory:", "sqlite:/from an/option"]
    for number, (project, trusted) in enumerate(product(projects, [False, True])):
        folder, settings = tmp_path / str(number) / "project", tmp_path / str(number) / "settings.json"
        section = content.get("okr-tui") if isinstance(content, dict) else None
        if trusted and isinstance(content, dict) and isinstance(section, dict):
            write(settings, {**content, "okr-tui": {**section, "trustedProjects": [str(folder)]}})
        else:
            write(settings, content)
        write(folder / ".pi" / "settings.json", project)
        for environment, option in product(environments, options):
            sources = Sources(settings, folder, environment, {"store": option})
            found = store_address(option, environment, settings, folder, partial(address, sources))
            assert found == address(sources), (project, trusted, environment, option)


def test_a_plain_address_is_found_without_resolving_a_key(tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    write(settings, {"pi-ollama": {"apiKeys": ["!touch asked"]}, "okr-tui": {"store": PLAIN}})

    def refuse() -> str | None:
        raise AssertionError("all settings were read")

    assert store_address(None, {}, settings, tmp_path, refuse) == PLAIN
    assert store_address("memory:", {}, settings, tmp_path, refuse) == "memory:"
    write(settings, {"pi-ollama": {"apiKeys": ["!touch asked"]}})
    assert store_address(None, {}, settings, tmp_path, refuse) is None


def test_a_settings_file_that_is_nested_too_deeply_is_left_to_the_whole_reader(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"okr-tui": {"store": ' + "[" * 100_000 + "]" * 100_000 + "}}")
    assert store_address(None, {}, path, tmp_path, lambda: "asked") == "asked"


def test_a_file_that_gives_nothing_now_holds_up_no_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/proc/kmsg is such a file for root; a pipe that is taken for a file stands in for it."""
    path = tmp_path / "settings.json"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    monkeypatch.setattr(stat, "S_ISREG", lambda _: True)
    try:
        with pytest.raises(BlockingIOError):
            file_content(path)
    finally:
        os.close(writer)
