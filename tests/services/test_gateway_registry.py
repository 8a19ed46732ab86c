"""A gateway is known to others exactly as long as its process lives."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from okr_tui.domain.errors import OkrError
from okr_tui.services import gateway_registry
from okr_tui.services.gateway_registry import FOLDER, Presence, announced, running_gateway, running_gateways
from tests.services.processes import announcing
from tests.waiting import LIMIT, until

HERE = Presence("http://127.0.0.1:11435", "http://127.0.0.1:11436", 1)


def test_there_is_no_gateway_at_first(tmp_path: Path) -> None:
    assert running_gateway(tmp_path) is None


def test_it_is_seen_while_the_block_lasts(tmp_path: Path) -> None:
    with announced(tmp_path, HERE):
        assert running_gateway(tmp_path) == HERE
        assert (tmp_path / FOLDER).stat().st_mode & 0o077 == 0
    assert running_gateway(tmp_path) is None
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_the_newest_of_several_comes_first(tmp_path: Path) -> None:
    with announced(tmp_path, HERE), announcing(tmp_path) as process:
        for number, path in enumerate(
            sorted((tmp_path / FOLDER).iterdir(), key=lambda path: path.stat().st_mtime)
        ):
            os.utime(path, (number, number))
        assert [each.pid for each in running_gateways(tmp_path)] == [process.pid, 1]


def test_a_killed_process_leaves_no_lie(tmp_path: Path) -> None:
    with announcing(tmp_path) as process:
        assert running_gateway(tmp_path) == Presence("http://127.0.0.1:4711", None, process.pid)
        process.kill()
        process.wait()
        assert running_gateway(tmp_path) is None
        assert len(list((tmp_path / FOLDER).iterdir())) == 1
        with announced(tmp_path, HERE):
            assert len(list((tmp_path / FOLDER).iterdir())) == 1


@pytest.mark.parametrize("text", ["", "{", "null", "{}", '{"url": 1, "port": 2}', "[1]"])
def test_a_file_of_something_else_announces_no_gateway(tmp_path: Path, text: str) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "1.json").write_text(text)
    assert running_gateway(tmp_path) is None
    with announced(tmp_path, HERE):
        assert running_gateway(tmp_path) == HERE


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    with (
        pytest.raises(OkrError, match=r"cannot announce the gateway in .*gateways: "),
        announced(tmp_path, HERE),
    ):
        pass


def test_an_error_of_the_block_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), announced(tmp_path, HERE):
        raise ConnectionResetError
    assert running_gateway(tmp_path) is None


def test_without_locks_an_address_that_answers_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_registry, "HAVE_LOCKS", False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = Presence(f"http://127.0.0.1:{server.getsockname()[1]}", None, 1)
        with announced(tmp_path, there):
            assert running_gateway(tmp_path) == there
            server.close()
            assert running_gateway(tmp_path) is None


async def test_a_start_and_an_end_are_noticed(tmp_path: Path) -> None:
    async with asyncio.timeout(LIMIT):
        changes = gateway_registry.changes(tmp_path)
        await anext(changes)
        following = asyncio.ensure_future(anext(changes))
        await until(lambda: (tmp_path / FOLDER).exists())
        with announced(tmp_path, HERE):
            while running_gateway(tmp_path) is None:
                await following
                following = asyncio.ensure_future(anext(changes))
        while running_gateway(tmp_path) is not None:
            await following
            following = asyncio.ensure_future(anext(changes))
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await changes.aclose()
