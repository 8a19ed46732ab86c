"""A process that appends attempts, sums and trims without end; it tells of what it has appended."""

import asyncio
import sys
import time

from okr_tui.domain.records import Attempt
from okr_tui.store.factory import open_store
from okr_tui.store.usage import sum_up, summed_through


async def write(url: str, most: int) -> None:
    """Append up to `most` attempts to the log at an address."""
    store = await open_store(url)
    for number in range(most):
        at = time.time() - number % 3 * 86400
        one = Attempt(
            at=at,
            started=at,
            client="gateway",
            fingerprint=f"{number % 2}",
            path="/api/chat",
            outcome="ok",
            output_tokens=1,
        )
        await store.append([one] * 3)
        print(3 * (number + 1), flush=True)  # noqa: T201 for the test that started this
        await sum_up(store, time.time(), behind=0)
        await store.trim(await summed_through(store), float("inf"), 0)
    await store.close()


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], int(sys.argv[2])))
