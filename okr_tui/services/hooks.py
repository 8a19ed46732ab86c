"""Hooks: a command or an address of the user's that gets an alert, bounded in time and number."""

import asyncio
import contextlib
import json
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from okr_tui.cloud.network import Network, UnusableNetworkError
from okr_tui.domain.alerts import AlertRules
from okr_tui.domain.scrubber import Scrubber
from okr_tui.domain.text import clean_line
from okr_tui.services.background import Clock
from okr_tui.settings.alerts import ANY_EVENT, hook_words, is_address

HOUR: Final = 3600.0
SHELL: Final = "/bin/sh"
KEY_VARIABLES: Final = ("OLLAMA_API_KEY", "OLLAMA_API_KEYS")
GRACE: Final = 1.0
"""Seconds that the end of a process waits for hooks under way, and for killed ones to be gone."""


ENDINGS: Final = {126: ": it cannot be executed", 127: ": there is no such command"}
"""What a shell says with an exit code of its own."""


class HookError(Exception):
    """A hook failed; the text says how."""


class Hooks:
    """Runs the hooks of events. What went wrong with one is a problem until it goes well."""

    def __init__(
        self,
        clock: Clock,
        network: Network,
        scrubber: Scrubber,
        environment: Mapping[str, str],
        announce: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._network = network
        self._scrubber = scrubber
        self._environment = environment
        self._announce = announce
        self.rules = AlertRules()
        self.lines: Mapping[str, str] = {}
        """The hooks by event; "*" is for all events."""
        self._problems: dict[tuple[str, str], str] = {}
        self._started: deque[float] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def problems(self) -> tuple[str, ...]:
        """What went wrong with hooks when they were to run last, a line each; of those that are still set."""
        lines = self.lines.values()
        return tuple(dict.fromkeys(text for (_, line), text in self._problems.items() if line in lines))

    def wants(self, event: str) -> bool:
        """Return whether a hook is set for an event."""
        return event in self.lines or ANY_EVENT in self.lines

    def start(self, event: str, document: Mapping[str, object]) -> None:
        """Start the hooks of an event in the background; report those beyond the bounds, which do not run."""
        body = json.dumps(document, ensure_ascii=False).encode(errors="replace") + b"\n"
        for line in dict.fromkeys(self.lines[name] for name in (event, ANY_EVENT) if name in self.lines):
            now = self._clock.monotonic()
            while self._started and now - self._started[0] >= HOUR:
                self._started.popleft()
            if len(self._started) >= self.rules.hooks_an_hour:
                self._report(event, line, f"was left out: {len(self._started)} ran within an hour")
            elif len(self._tasks) >= self.rules.hooks_at_once:
                self._report(event, line, f"was left out: {len(self._tasks)} are still running")
            else:
                self._started.append(now)
                task = asyncio.create_task(self._run(event, line, body), name=f"hook for {event}")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def settle(self, seconds: float) -> None:
        """Wait up to some seconds for the hooks under way."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def close(self) -> None:
        """End the hooks under way, after a moment."""
        await self.settle(GRACE)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, event: str, line: str, body: bytes) -> None:
        send = self._post if is_address(line) else self._execute
        try:
            async with asyncio.timeout(self.rules.hook_seconds):
                await send(line, body)
        except TimeoutError:
            self._report(event, line, f"did not end within {self.rules.hook_seconds:g} s and was stopped")
        except (HookError, OSError) as error:
            self._report(event, line, f"failed: {str(error) or type(error).__name__}")
        except asyncio.CancelledError:
            self._report(event, line, "had not ended when this process did, and was stopped")
            raise
        else:
            self._report(event, line, None)

    def _report(self, event: str, line: str, problem: str | None) -> None:
        if problem is None:
            self._problems.pop((event, line), None)
        else:
            where = f" ({hook_words(line)})" if is_address(line) else ""
            text = clean_line(f"the hook for {event}{where} {problem}")
            self._problems[event, line] = self._scrubber.scrub(text)
        self._announce()

    async def _execute(self, line: str, body: bytes) -> None:
        process = await asyncio.create_subprocess_exec(
            SHELL,
            "-c",
            line,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._without_keys(),
            start_new_session=True,
        )
        try:
            await process.communicate(body)
        except BaseException:
            # The shell may have started others, which would go on without it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GRACE):
                    await process.wait()
            raise
        if process.returncode:
            raise HookError(_ending(process.returncode))

    def _without_keys(self) -> dict[str, str]:
        """Return the environment without the keys of the pool."""
        return {
            name: value
            for name, value in self._environment.items()
            if name not in KEY_VARIABLES and self._scrubber.mask_keys(value) == value
        }

    async def _post(self, address: str, body: bytes) -> None:
        import httpx

        from okr_tui.cloud.failures import failure
        from okr_tui.cloud.http_policy import HEADERS, HttpxTransport

        headers = {**HEADERS, "content-type": "application/json"}
        transport = HttpxTransport(self._network)
        try:
            request = httpx.Request("POST", address, headers=headers, content=body)
            response = await transport.handle_async_request(request)
            await response.aclose()
        except httpx.InvalidURL as error:
            raise HookError(str(error)) from error
        except (httpx.HTTPError, UnusableNetworkError) as error:
            raise HookError(failure(error, request.url).text) from error
        finally:
            await transport.aclose()
        if not response.is_success:
            raise HookError(f"it answered with HTTP status {response.status_code}")


def _ending(code: int) -> str:
    """Return how a command ended that failed; a negative code is the signal that killed it."""
    if code < 0:
        return f"it was killed by signal {-code}"
    return f"it ended with exit code {code}{ENDINGS.get(code, '')}"
