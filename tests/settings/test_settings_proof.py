"""Short runs of the proof, and the same for full disks; `python -m tests.settings.proof` is the long one."""

import asyncio
import errno
import io
import json
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from okr_tui.domain.errors import SettingsError
from okr_tui.settings import file as file_module
from okr_tui.settings.file import change, edit
from okr_tui.settings.watch import changes
from tests.settings import hostile, proof
from tests.settings.settings_home import Home
from tests.waiting import LIMIT

pytestmark = pytest.mark.slow(reason="kills processes for a while")

BEFORE = b'{"okr-tui": {"theme": "nord"}}'
MEANWHILE = b'{"okr-tui": {"theme": "nord"}, "lastChangelogVersion": "1"}'
AFTER = b'{"okr-tui": {"theme": "dark"}, "lastChangelogVersion": "1"}'


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.mark.skipif(bool(proof.missing()), reason=proof.missing())
def test_writers_of_ours_and_of_pi_lose_no_update_and_a_reader_sees_whole_files(tmp_path: Path) -> None:
    found = proof.share(tmp_path, writers=3, edits=40)
    assert not found.wrong, found.describe()
    assert found.committed_by_pi
    assert found.reads


def test_a_killed_writer_leaves_the_old_or_the_new_file_and_no_lasting_lock(tmp_path: Path) -> None:
    found = proof.kill(tmp_path, kills=30, seed=7)
    assert not found.wrong, found.describe()


def test_what_killed_writers_left_goes_after_a_minute_and_nothing_else_does(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    old, young, other = (f".settings.json.{name}.tmp" for name in ("okr-tui-a", "okr-tui-b", "backup"))
    ages = {old: 61, young: 50, other: 61}
    for name, age in ages.items():
        (tmp_path / name).write_bytes(BEFORE)
        proof.age(tmp_path / name, age)
    edit(path, "okr-tui", "theme", "dark")
    assert sorted(os.listdir(tmp_path)) == sorted([young, other, path.name])


def test_mistaken_and_damaged_files_are_reported_and_left_alone(tmp_path: Path) -> None:
    hostile.fuzz(tmp_path, 60)


@pytest.mark.parametrize("content", hostile.CORPUS.values(), ids=hostile.CORPUS)
def test_a_hostile_file_is_reported_and_left_alone(home: Home, content: bytes) -> None:
    hostile.check(home, content)


def test_an_enormous_file_is_refused_at_a_glance(home: Home) -> None:
    with home.file.open("wb") as enormous:
        enormous.truncate(50 * 1024 * 1024)
    assert "too large" in hostile.loaded(home)[0]
    with pytest.raises(SettingsError, match="too large"):
        edit(home.file, "okr-tui", "theme", "dark")


@pytest.mark.parametrize(
    "obstruct",
    [
        Path.mkdir,
        os.mkfifo,
        lambda path: path.symlink_to(path),
        lambda path: path.symlink_to("/dev/zero" if "agent" in path.parts else "/dev/random"),
        lambda path: path.symlink_to(path / "beneath"),
        lambda path: path.parent.rmdir() or path.parent.write_bytes(b""),
        lambda path: path.write_bytes(b"{") and path.chmod(0),
    ],
    ids=["directory", "pipe", "loop", "device", "loop beneath", "file as directory", "unreadable"],
)
def test_what_is_not_a_readable_file_is_reported_and_left_alone(
    home: Home, obstruct: Callable[[Path], object]
) -> None:
    for path in (home.file, home.project_file):
        obstruct(path)
    reported = hostile.loaded(home)
    for path in (home.file, home.project_file):
        assert any(str(path) in text for text in reported)
        with pytest.raises(SettingsError):
            edit(path, "okr-tui", "theme", "dark")
    hostile.loaded(home)


class FullDisk:
    """A disk that is full from a certain step of an edit on."""

    STEPS = ("open", "close", "fchmod", "fchown", "fsync", "mkdir", "replace")

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 0
        self.taken: list[str] = []
        for name in self.STEPS:
            monkeypatch.setattr(os, name, self._limited(name, getattr(os, name)))
        monkeypatch.setattr(file_module, "open", self._opened, raising=False)

    def take(self, name: str) -> None:
        self.taken.append(name)
        if len(self.taken) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _limited(self, name: str, function: Callable[..., object]) -> Callable[..., object]:
        def limited(*arguments: Any, **options: object) -> object:
            if name == "open" and not arguments[1] & os.O_CREAT:  # to read needs no room
                return function(*arguments, **options)
            if name == "close":
                function(*arguments)
            self.take(name)
            return None if name == "close" else function(*arguments, **options)

        return limited

    def _opened(self, path: str, mode: str) -> io.FileIO:
        disk = self

        class Limited(io.FileIO):
            def write(self, content: bytes, /) -> int:  # type: ignore[override]
                half = super().write(content[: len(content) // 2])
                disk.take("write")
                return half + super().write(content[half:])

        return Limited(path, mode)


def test_a_full_disk_at_any_step_changes_nothing_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "settings.json"

    def dark(_: object) -> str:
        path.write_bytes(MEANWHILE)
        return "dark"

    disk = FullDisk(monkeypatch)
    for disk.room in count():
        path.write_bytes(BEFORE)
        disk.taken.clear()
        refused = ""
        try:
            change(path, "okr-tui", "theme", dark)
        except SettingsError as error:
            refused = str(error)
        assert os.listdir(tmp_path) == [path.name], disk.taken[-1]
        if not refused:
            break
        assert "No space left on device" in refused
        assert path.read_bytes() == MEANWHILE
    assert path.read_bytes() == AFTER
    fill = ["write", "fchmod", "fchown", "fsync"]
    assert disk.taken == ["open", "close", *fill, "mkdir", *fill, "replace"]


async def test_a_folder_that_cannot_be_looked_at_does_not_end_a_watch(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    watching = changes([tmp_path / ("n" * 300) / "settings.json", path])
    await anext(watching)
    path.write_bytes(BEFORE)
    await asyncio.wait_for(anext(watching), LIMIT)
    await watching.aclose()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("baseUrl", "["),
        ("store", "redis://["),
        ("trustedProjects", ["/a\0b"]),
        ("trustedProjects", ["/\ud800"]),
    ],
    ids=["an open bracket in an address", "the same in a store", "a zero in a path", "a surrogate in a path"],
)
def test_text_that_the_system_refuses_is_reported(home: Home, name: str, value: object) -> None:
    hostile.check(home, json.dumps({"pi-ollama": {name: value}, "okr-tui": {name: value}}).encode())
