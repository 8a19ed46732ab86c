"""Hooks: a command or an address gets the alert, within bounds of time and number, and without keys."""

import asyncio
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from okr_tui.cloud.network import Network
from okr_tui.domain.alerts import AlertRules
from okr_tui.domain.scrubber import Scrubber
from okr_tui.services.hooks import Hooks
from tests.harness import ManualClock
from tests.loopback import listening
from tests.waiting import LIMIT, until

KEY = "synthetic.0123456789abcdefghijklmn"
DOCUMENT = {"event": "spent", "key": 1, "window": "session", "percent": 100, "text": "#1: 5h spent ☁"}


class Rig:
    """Hooks, the folder that they write to, and a clock."""

    def __init__(self, folder: Path, rules: AlertRules, **lines: str) -> None:
        self.folder = folder
        self.clock = ManualClock()
        environment = {**os.environ, "OLLAMA_API_KEYS": KEY, "MINE": f"Bearer {KEY}", "KEPT": "kept"}
        self.hooks = Hooks(self.clock, Network({}), Scrubber([KEY]), environment, lambda: None)
        self.hooks.rules = rules
        self.hooks.lines = {name.replace("_", "-").replace("all", "*"): line for name, line in lines.items()}

    def file(self, name: str) -> str:
        return (self.folder / name).read_text()

    @property
    def problem(self) -> str | None:
        """The only problem; None without one."""
        return (
            self.hooks.problems[0]
            if len(self.hooks.problems) == 1
            else "\n".join(self.hooks.problems) or None
        )

    async def run(self, event: str = "spent") -> None:
        self.hooks.start(event, DOCUMENT)
        await self.hooks.settle(LIMIT)


def into(path: Path) -> str:
    return f"cat > {shlex.quote(str(path))}"


async def test_a_command_gets_the_record_on_standard_input(tmp_path: Path) -> None:
    rig = Rig(tmp_path, AlertRules(), spent=into(tmp_path / "got"))
    await rig.run()
    assert json.loads(rig.file("got")) == DOCUMENT
    assert rig.problem is None


async def test_an_event_runs_its_own_hook_and_the_one_for_all(tmp_path: Path) -> None:
    rig = Rig(tmp_path, AlertRules(), spent=into(tmp_path / "own"), all=into(tmp_path / "all"), back="exit 9")
    await rig.run()
    assert rig.file("own") == rig.file("all")
    assert rig.problem is None
    await rig.run("back")
    assert rig.problem == "the hook for back failed: it ended with exit code 9"


async def test_one_hook_for_the_event_and_for_all_runs_once(tmp_path: Path) -> None:
    line = f"echo ran >> {shlex.quote(str(tmp_path / 'runs'))}"
    rig = Rig(tmp_path, AlertRules(), spent=line, all=line)
    await rig.run()
    assert rig.file("runs") == "ran\n"


async def test_a_command_gets_no_key_in_its_environment(tmp_path: Path) -> None:
    rig = Rig(tmp_path, AlertRules(), spent=f"env > {shlex.quote(str(tmp_path / 'env'))}")
    await rig.run()
    assert KEY not in rig.file("env")
    assert "KEPT=kept" in rig.file("env")


async def test_a_command_that_does_not_end_is_killed_with_all_it_started(tmp_path: Path) -> None:
    child = f"import os,time;open({str(tmp_path / 'pid')!r},'w').write(str(os.getpid()));time.sleep(600)"
    line = f"{shlex.quote(sys.executable)} -c {shlex.quote(child)}; true"
    rig = Rig(tmp_path, AlertRules(hook_seconds=2), spent=line)
    await rig.run()
    assert rig.problem == "the hook for spent did not end within 2 s and was stopped"
    pid = int(rig.file("pid"))
    await until(lambda: not _lives(pid))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().split()[2] != "Z"


async def test_a_command_that_reads_nothing_is_fine(tmp_path: Path) -> None:
    rig = Rig(tmp_path, AlertRules(), spent="exec <&-; true")
    await rig.run()
    assert rig.problem is None


async def test_only_so_many_run_at_once_and_the_rest_is_reported(tmp_path: Path) -> None:
    line = f"echo ran >> {shlex.quote(str(tmp_path / 'runs'))}; sleep 0.2"
    rig = Rig(tmp_path, AlertRules(hooks_at_once=2), spent=line)
    for _ in range(5):
        rig.hooks.start("spent", DOCUMENT)
    assert rig.problem == "the hook for spent was left out: 2 are still running"
    await rig.hooks.settle(LIMIT)
    assert rig.file("runs") == "ran\n" * 2


async def test_only_so_many_run_in_an_hour(tmp_path: Path) -> None:
    line = f"echo ran >> {shlex.quote(str(tmp_path / 'runs'))}"
    rig = Rig(tmp_path, AlertRules(hooks_an_hour=2), spent=line)
    for _ in range(3):
        await rig.run()
    assert rig.file("runs") == "ran\n" * 2
    assert rig.problem == "the hook for spent was left out: 2 ran within an hour"
    await rig.clock.advance(3600)
    await rig.run()
    assert rig.file("runs") == "ran\n" * 3
    assert rig.problem is None


async def test_a_problem_quotes_no_key(tmp_path: Path) -> None:
    rig = Rig(tmp_path, AlertRules(), spent=f"https://127.0.0.1:1/{KEY}")
    await rig.run()
    assert rig.problem
    assert KEY not in rig.problem
    assert "https://127.0.0.1/…" in rig.problem


async def test_closing_ends_what_still_runs(tmp_path: Path) -> None:
    rig = Rig(tmp_path, AlertRules(), spent="sleep 600")
    rig.hooks.start("spent", DOCUMENT)
    async with asyncio.timeout(LIMIT):
        await rig.hooks.close()
    assert rig.problem == "the hook for spent had not ended when this process did, and was stopped"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/no/such/program x", "exit code 127: there is no such command"),
        ("/etc/passwd", "exit code 126: it cannot be executed"),
        ("kill -9 $$", "it was killed by signal 9"),
        ("exit 3", "it ended with exit code 3"),
        (
            "http://127.0.0.1:1/x?token=SECRET",
            "connection refused by 127.0.0.1:1; check that a server listens there",
        ),
    ],
)
async def test_a_hook_that_fails_says_how(tmp_path: Path, line: str, words: str) -> None:
    rig = Rig(tmp_path, AlertRules(), spent=line)
    await rig.run()
    assert rig.problem
    assert " failed: " in rig.problem
    assert rig.problem.endswith(words)
    assert "SECRET" not in rig.problem


class Receiver:
    """A web server that keeps what it is sent and answers with a status."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.received: list[tuple[dict[bytes, bytes], Any]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.split(b"\r\n")[1:-2]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        body = await reader.readexactly(int(headers[b"content-length"]))
        self.received.append((headers, json.loads(body)))
        location = b"location: http://127.0.0.1:1/\r\n" if self.status == 302 else b""
        writer.write(b"HTTP/1.1 %d X\r\n%bcontent-length: 0\r\n\r\n" % (self.status, location))
        await writer.drain()


@pytest.mark.parametrize(
    ("status", "problem"), [(200, None), (204, None), (302, "HTTP status 302"), (500, "HTTP status 500")]
)
async def test_an_address_gets_the_record_as_the_body(
    tmp_path: Path, status: int, problem: str | None
) -> None:
    receiver = Receiver(status)
    async with listening(receiver.serve) as port:
        rig = Rig(tmp_path, AlertRules(), spent=f"http://127.0.0.1:{port}/x?y=1")
        await rig.run()
    [(headers, body)] = receiver.received
    assert body == DOCUMENT
    assert headers[b"content-type"] == b"application/json"
    assert b"authorization" not in headers
    assert (rig.problem or "").endswith(problem or "")
    assert (rig.problem is None) is (problem is None)


async def test_an_address_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(silent) as port:
        rig = Rig(tmp_path, AlertRules(hook_seconds=0.2), spent=f"http://127.0.0.1:{port}/")
        await rig.run()
    assert rig.problem
    assert rig.problem.endswith("did not end within 0.2 s and was stopped")


async def test_a_hook_that_was_taken_out_is_not_a_problem_any_more(tmp_path: Path) -> None:
    rig = Rig(tmp_path, AlertRules(), spent="exit 3", all="exit 4")
    await rig.run()
    assert len(rig.hooks.problems) == 2
    rig.hooks.lines = {"*": "exit 4"}
    assert rig.problem == "the hook for spent failed: it ended with exit code 4"
    rig.hooks.lines = {"spent": "true"}
    assert rig.problem is None
