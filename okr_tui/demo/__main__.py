"""`python -m okr_tui.demo`: serve until standard input ends, so that the server never outlives its parent."""

import argparse
import asyncio
import json
import os
import signal
import sys
import threading

from okr_tui.demo import SCENARIOS, SimulatedCloud, serve


async def run(scenario: str, speed: float) -> None:
    """Serve a scenario; announce it in one line of JSON on standard output."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    cloud = SimulatedCloud(SCENARIOS[scenario], speed)
    async with serve(cloud) as url:
        threading.Thread(target=_await_end_of_input, args=(loop, ended), daemon=True).start()
        ready = {
            "url": url,
            "keys": [{"key": text, "label": label} for text, label in cloud.keys],
            "accounts": [
                {
                    "name": credential.account.name,
                    "id": credential.account.identity()["ID"],
                    "plan": credential.account.plan,
                    "dollars": credential.account.allowance,
                }
                for credential in cloud.state.credentials.values()
            ],
            "scenario": scenario,
            "session_seconds": cloud.state.scenario.session_seconds / speed,
        }
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await ended.wait()


def _await_end_of_input(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    # Unbuffered on purpose: a lock on sys.stdin would trip the interpreter when it ends by a signal.
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass
    try:
        loop.call_soon_threadsafe(ended.set)
    except RuntimeError:
        return


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m okr_tui.demo", description="A simulated Ollama Cloud.")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), default="day")
    parser.add_argument("--speed", type=float, default=1.0)
    options = parser.parse_args()
    if options.speed <= 0:
        parser.error("--speed must be greater than 0")
    asyncio.run(run(options.scenario, options.speed))


if __name__ == "__main__":
    main()
