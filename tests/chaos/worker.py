"""One process of the chaos: it makes requests, and says how each ended, which keys it takes for blocked, and
when it goes on without the log.

It writes a document a line, reads orders a line (`clock SECONDS`: its clock is wrong by so much from now on),
and ends with its input.
"""

import asyncio
import contextlib
import json
import random
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from okr_tui.domain.errors import OkrError, StoreError
from okr_tui.domain.health import State
from okr_tui.services import quota_poller
from okr_tui.services.background import SystemClock
from okr_tui.services.pool_service import PoolService
from okr_tui.settings.layers import Sources
from tests.harness import stream_answer

TOGETHER: Final = 6
LONGEST: Final = 15.0
"""Seconds after which a client gives up: something is stuck."""
GAP: Final = 0.5
"""Seconds between two readings of an account, and thrice as many after which another process reads instead
of one that was killed. Settings cannot make them so short, as the real cloud would refuse it."""
BLOCKED: Final = (State.SPENT, State.INVALID, State.SUSPENDED, State.OFF)


def say(**line: object) -> None:
    """Write a line, with the time of the machine's clock."""
    sys.stdout.write(json.dumps({"at": time.time(), **line}) + "\n")
    sys.stdout.flush()


async def work(settings: Path, number: int, requests: int, pause: float) -> None:
    """Make requests, a few together.

    `number` names this process in them, `pause` is how long a client rests before each, in seconds, at most.
    """
    wrong_by = 0.0
    left = iter(range(requests))

    async def obey() -> None:
        nonlocal wrong_by
        orders = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
        )
        async for order in orders:
            wrong_by = float(order.split()[1])

    async def ask(service: PoolService) -> None:
        for turn in left:
            await asyncio.sleep(random.uniform(0, pause))
            name, began, error = f"{number}/{turn}", time.monotonic(), None
            try:
                async with asyncio.timeout(LONGEST):
                    async for _ in stream_answer(service, name, name, caller=name):
                        pass
            except (OkrError, TimeoutError) as failed:
                error = str(failed) or f"no answer within {LONGEST:g} s"
            say(request=name, took=time.monotonic() - began, error=error)

    async def watch(service: PoolService) -> None:
        last = None
        async for _ in service.pool.changes():
            states = [row.state.value if row.state in BLOCKED else "" for row in service.pool.view().keys]
            if states != last:
                say(states=states)
                last = states

    def watch_log(service: PoolService) -> None:
        writer = service.pool._writer
        lose = writer.lose
        waiting: set[asyncio.Task[None]] = set()

        async def wait() -> None:
            await writer.back.wait()
            say(alone=False)

        def lost(error: StoreError | None) -> None:
            lose(error)
            if not waiting:
                say(alone=True)
                task = asyncio.create_task(wait())
                waiting.add(task)
                task.add_done_callback(waiting.discard)

        writer.lose = lost  # type: ignore[method-assign]

    sources = Sources(settings, settings.parent / "project", {})
    clock = SystemClock(lambda: time.time() + wrong_by)
    quota_poller.LEASE_SECONDS = 3 * GAP
    async with PoolService.open(sources, client="cli", clock=clock) as service:
        service.pool.policy = replace(service.pool.policy, poll_gap=GAP)
        watch_log(service)
        obeying, watching = asyncio.create_task(obey()), asyncio.create_task(watch(service))
        await asyncio.gather(*(ask(service) for _ in range(TOGETHER)))
        say(finished=True)
        await obeying
        await service.quota_poller.settle(3)
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
