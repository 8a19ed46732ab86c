"""The watch on settings files: every way of changing one is told soon, and nothing else is."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from watchfiles import Change

from okr_tui.settings import watch as watch_module
from okr_tui.settings.file import edit
from okr_tui.settings.watch import changes
from tests.waiting import LIMIT

SILENCE = 0.25


class Watch:
    """A watch that is armed before anything is changed."""

    def __init__(self, *paths: Path) -> None:
        self.events = changes(paths)

    async def arm(self) -> None:
        await anext(self.events)
        self.next = asyncio.ensure_future(anext(self.events))
        await asyncio.sleep(0)

    async def reported(self) -> None:
        await asyncio.wait_for(self.next, LIMIT)
        self.next = asyncio.ensure_future(anext(self.events))
        await asyncio.sleep(0)

    async def silent(self) -> bool:
        done, _ = await asyncio.wait([self.next], timeout=SILENCE)
        return not done


@asynccontextmanager
async def watching(*paths: Path) -> AsyncIterator[Watch]:
    watch = Watch(*paths)
    await watch.arm()
    try:
        yield watch
    finally:
        watch.next.cancel()
        await asyncio.gather(watch.next, return_exceptions=True)
        await watch.events.aclose()


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_text("replaced")
    os.replace(other, path)


@pytest.mark.parametrize(
    "act",
    [
        lambda path: path.write_text("changed"),
        replace,
        lambda path: path.unlink(),
        lambda path: edit(path, "pi-ollama", "activeKeyIndex", 1),
    ],
    ids=["in place", "replaced", "deleted", "edited"],
)
async def test_a_change_is_reported_soon(tmp_path: Path, act: Callable[[Path], object]) -> None:
    path = tmp_path / "settings.json"
    path.write_text("{}")
    async with watching(path) as watch:
        act(path)
        await watch.reported()


async def test_replacement_after_replacement_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text("{}")
    async with watching(path) as watch:
        for _ in range(3):
            replace(path)
            await watch.reported()
        path.unlink()
        await watch.reported()
        path.write_text("{}")
        await watch.reported()


async def test_only_the_named_files_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text("{}")
    async with watching(path) as watch:
        (tmp_path / "other.json").write_text("{}")
        (tmp_path / "settings.json.lock").mkdir()
        (tmp_path / "settings.json.lock").rmdir()
        path.read_text()
        assert await watch.silent()


async def test_a_directory_that_appears_later(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "settings.json"
    async with watching(path) as watch:
        path.parent.parent.mkdir()
        assert await watch.silent()
        path.parent.mkdir()
        path.write_text("{}")
        await watch.reported()
        path.write_text("changed")
        await watch.reported()


async def test_a_directory_that_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "a" / "settings.json"
    path.parent.mkdir()
    path.write_text("{}")
    async with watching(path) as watch:
        path.unlink()
        path.parent.rmdir()
        await watch.reported()
        assert await watch.silent()
        path.parent.mkdir()
        path.write_text("{}")
        await watch.reported()


async def test_a_linked_file_is_watched_where_it_is(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles" / "pi.json", tmp_path / "agent" / "settings.json"
    for path in (real, link):
        path.parent.mkdir()
    real.write_text("{}")
    link.symlink_to(real)
    async with watching(link) as watch:
        real.write_text("changed")
        await watch.reported()
        replace(real)
        await watch.reported()
        link.unlink()
        link.write_text("{}")
        await watch.reported()


@pytest.mark.parametrize("error", [FileNotFoundError, RuntimeError])
async def test_a_system_without_watches_is_looked_at_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    async def refuse(*_: object, **__: object) -> AsyncIterator[None]:
        raise error
        yield

    monkeypatch.setattr(watch_module, "awatch", refuse)
    path = tmp_path / "settings.json"
    async with watching(path) as watch:
        path.write_text("{}")
        await watch.reported()
        assert await watch.silent()


async def test_a_folder_with_a_name_in_another_encoding_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9") / "settings.json"
    path.parent.mkdir()
    path.write_text("{}")
    async with watching(path) as watch:
        path.write_text("changed")
        await watch.reported()


async def test_stopping_ends_the_watch(tmp_path: Path) -> None:
    stop = asyncio.Event()
    events = changes([tmp_path / "settings.json"], stop)
    await anext(events)
    following = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    stop.set()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(following, LIMIT)


async def test_cancelling_ends_the_watch_at_once_and_leaves_the_event_alone(tmp_path: Path) -> None:
    stop = asyncio.Event()

    async def follow() -> None:
        async with aclosing(changes([tmp_path / "settings.json"], stop)) as events:
            await anext(events)
            async for _ in events:
                pytest.fail("nothing changed")

    task = asyncio.create_task(follow())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, LIMIT)
    assert not stop.is_set()


async def test_changes_of_other_files_in_the_directory_are_not_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "settings.json"
    path.write_text("{}")
    passed: list[str] = []

    async def events(*_: object, **__: object) -> AsyncIterator[set[tuple[Change, str]]]:
        for name in ("other.json", "settings.json"):
            yield {(Change.modified, str(tmp_path / name))}
            passed.append(name)

    monkeypatch.setattr(watch_module, "awatch", events)
    async with aclosing(changes([path])) as reported:
        await anext(reported)
        await anext(reported)
        assert passed == ["other.json"]
