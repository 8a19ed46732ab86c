"""A user's home on a simulated cloud over loopback, where commands are run in this process."""

import asyncio
import contextlib
import io
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx
import pytest

from okr_tui.cli import main
from okr_tui.demo import SCENARIOS, SimulatedCloud, serve
from okr_tui.domain.schedule import ahead_of
from tests.waiting import LIMIT

NOW = 1_791_475_200.0
"""Thursday 2026-10-08, 16:00 UTC."""
MODEL = "gpt-oss:20b"
FAST_POLICY = {"retry_same": [0, 0], "confirm_after": [0, 0], "spent_jitter": [30, 30]}


def verbs_of(command: click.Command, *names: str) -> Iterator[tuple[str, click.Command]]:
    """Yield every verb that can be typed, those below a group by both names."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from verbs_of(inner, *names, name)
    else:
        yield " ".join(names), command


@dataclass
class ManualTime:
    """The clock of cloud and commands; it moves only when a test says so."""

    now: float = NOW
    machine_ahead: float = 0.0
    """Seconds by which the machine that runs the commands has it wrong."""

    def __call__(self) -> float:
        return self.now

    def hear(self, headers: Mapping[str, str]) -> float | None:
        """Stand in for `SystemClock.hear`, which compares with the machine's clock."""
        return ahead_of(headers, self.now + self.machine_ahead)


@dataclass(frozen=True)
class Text:
    """Equal to every text of a form."""

    form: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and re.fullmatch(self.form, other) is not None

    def __hash__(self) -> int:
        return hash(self.form)


class Number:
    """Equal to every whole number."""

    def __eq__(self, other: object) -> bool:
        return type(other) is int

    def __hash__(self) -> int:
        return 0


TIME = Text(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")
COUNT = Number()


def without_version(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document without the version of its schema, which has to be there."""
    assert document.pop("schema") == 1
    return document


@dataclass(frozen=True)
class CommandResult:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on standard output, without the version that each has."""
        return without_version(json.loads(self.out))

    @property
    def lines(self) -> list[Any]:
        """The documents on standard output, one a line, without the version that each has."""
        return [without_version(json.loads(line)) for line in self.out.splitlines()]


@dataclass
class CliHarness:
    """Settings, log and cloud of one user."""

    folder: Path
    url: str
    keys: tuple[tuple[str, str], ...]
    clock: ManualTime
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch

    @property
    def settings_file(self) -> Path:
        """The global settings."""
        return self.folder / "settings.json"

    @property
    def where(self) -> list[str]:
        """The options that lead to this home."""
        return ["--settings", str(self.settings_file), "--project", str(self.folder / "project")]

    def write_settings(
        self, *, keys: int | None = None, policy: Mapping[str, object] | None = None, **section: object
    ) -> None:
        """Write settings with the cloud's keys, or the first of them."""
        entries = [{"key": text, "label": label} for text, label in self.keys[:keys]]
        document = {
            "theme": "kept",
            "pi-ollama": {"cloudUrl": self.url, "apiKeys": entries, "activeKeyIndex": 0, **section},
            "okr-tui": {
                "store": f"sqlite:{self.folder / 'log.db'}",
                "policy": {**FAST_POLICY, **(policy or {})},
                "alerts": {"unusedPercent": 100},  # a week that ends in ten minutes is no news here
            },
        }
        self.settings_file.write_text(json.dumps(document, indent=2))

    def run(self, *arguments: str, stdin: str = "") -> CommandResult:
        """Run a command to its end. What it says never holds a key."""
        self.patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        self.capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*self.where, *arguments])
        out, err = self.capture.readouterr()
        assert not any(text in out + err for text, _ in self.keys)
        assert "Traceback" not in err
        assert isinstance(ended.value.code, int)
        return CommandResult(ended.value.code, out, err)

    def run_ok(self, *arguments: str, stdin: str = "") -> CommandResult:
        """Run a command that does what it is asked."""
        result = self.run(*arguments, stdin=stdin)
        assert result.code == 0, result.err
        return result

    @contextlib.contextmanager
    def process(self, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a command as a process of its own, by the machine's clock."""
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as behind a shell; children inherit it
            signal.signal(signal.SIGINT, signal.default_int_handler)
        command = [sys.executable, "-m", "okr_tui", *self.where, *arguments]
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def fault(self, fault: str, **order: object) -> None:
        """Order a fault of the cloud."""
        self._control("faults", {"fault": fault, **order})

    def change(self, account: str, **values: object) -> None:
        """Change an account of the cloud."""
        self._control(f"accounts/{account}", values)

    def sent(self, path: str) -> list[dict[str, Any]]:
        """The requests the cloud received on a path."""
        found = httpx.get(f"{self.url}/_demo/requests", trust_env=False, verify=False).json()["requests"]
        return [request for request in found if request["path"] == path]

    def _control(self, path: str, document: Mapping[str, object]) -> None:
        httpx.post(
            f"{self.url}/_demo/{path}", json=document, trust_env=False, verify=False
        ).raise_for_status()


@contextlib.contextmanager
def serve_in_thread(cloud: SimulatedCloud) -> Iterator[str]:
    """Serve a cloud from a thread, so that commands can run loops of their own in this one."""
    ready: queue.Queue[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = queue.Queue()

    async def serving() -> None:
        ended = asyncio.Event()
        async with serve(cloud) as url:
            ready.put((url, asyncio.get_running_loop(), ended))
            await ended.wait()

    thread = threading.Thread(target=asyncio.run, args=(serving(),))
    thread.start()
    url, loop, ended = ready.get(timeout=LIMIT)
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()


@contextlib.contextmanager
def open_cli(
    folder: Path,
    capture: pytest.CaptureFixture[str],
    patch: pytest.MonkeyPatch,
    scenario: str = "calm",
    pace: float = 0.0,
) -> Iterator[CliHarness]:
    """A home on a cloud in that scenario."""
    (folder / "project").mkdir()
    clock = ManualTime()
    cloud = SimulatedCloud(SCENARIOS[scenario], clock=clock, pace=pace)
    for name in ("time", "monotonic"):
        patch.setattr(f"okr_tui.services.background.SystemClock.{name}", lambda _: clock())
    patch.setattr("okr_tui.services.background.SystemClock.hear", lambda _, headers: clock.hear(headers))
    patch.setattr("okr_tui.cli.invocation.time", clock)
    with serve_in_thread(cloud) as url:
        cli = CliHarness(folder, url, cloud.keys, clock, capture, patch)
        cli.write_settings()
        yield cli
