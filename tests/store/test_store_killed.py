"""A process killed while it writes the log: nothing it was told is written is lost, and others go on."""

import asyncio
import random
import sys
from pathlib import Path

import pytest

from okr_tui.store.sqlite import SqliteStore

pytestmark = pytest.mark.slow(reason="kills processes for a while")

WRITER = """
import asyncio, sys
from pathlib import Path
from okr_tui.domain.records import Use
from okr_tui.store.sqlite import SqliteStore

async def write():
    store = await SqliteStore.open(Path(sys.argv[1]))
    for number in range(1_000_000):
        await store.append([Use(at=number, fingerprint="a"), Use(at=number, fingerprint="b")])
        print(number + 1, flush=True)

asyncio.run(write())
"""
ROUNDS = 5


async def killed_writer(path: Path, lines: int) -> int:
    """Let a process write until it has said so that many times, kill it; how many writes it told of."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    reported = 0
    while reported < lines:
        reported = int(await process.stdout.readline())
    process.kill()
    rest = await process.stdout.read()
    await process.wait()
    return max([reported, *(int(line) for line in rest.split(b"\n")[:-1])])


async def test_what_was_written_survives_a_killed_process(tmp_path: Path) -> None:
    path, dice = tmp_path / "log.db", random.Random(4)
    reported = 0
    reader = await SqliteStore.open(path)
    for _ in range(ROUNDS):
        reported += await killed_writer(path, dice.randint(1, 60))
    logged = await reader.read()
    await reader.close()
    assert 2 * reported <= len(logged) <= 2 * (reported + ROUNDS)
    assert len(logged) % 2 == 0
    again = await SqliteStore.open(path)
    assert again.notice is None
    assert [item.sequence for item in await again.read()] == [item.sequence for item in logged]
    await again.close()
