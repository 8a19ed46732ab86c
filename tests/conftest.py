"""Fixtures for every test: an isolated home, no keys of the developer, no network but loopback."""

import gc
import ipaddress
import itertools
import os
import socket
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from okr_tui.services import log_writer
from tests.harness import Harness, open_harness, set_log_patience
from tests.redis_server import RedisServer
from tests.waiting import LIMIT

# A run starts hundreds of processes: where compiled code is not kept, each would compile the program again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

hypothesis.settings.register_profile("whole", deadline=None)
hypothesis.settings.register_profile("quick", deadline=None, max_examples=25)
hypothesis.settings.load_profile("whole" if os.environ.get("CI") else "quick")

NO_SKIPS = "OKR_TUI_NO_SKIPS"
"""Environment variable: when set, a skipped test fails, because a complete run must skip nothing."""
MAY_SKIP = "OKR_TUI_MAY_SKIP"
"""Environment variable: parts of skip reasons that stay allowed in a complete run, one a line."""
NOT_ON_THIS_PLATFORM = ("no package brings one for this platform",)
CLIENTS = Path(__file__).parent / "clients"
SLOW = "\npytestmark = pytest.mark.slow("
"""What marks a whole file."""
Reports = Generator[None, pytest.TestReport, pytest.TestReport]
Collections = Generator[None, pytest.CollectReport, pytest.CollectReport]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave alone what is not wanted as a whole: clients, whose libraries take seconds, and slow files."""
    unwanted = config.option.markexpr
    if collection_path == CLIENTS:
        return "not clients" in unwanted or None
    if collection_path.suffix != ".py" or "not slow" not in unwanted:
        return None
    return SLOW in collection_path.read_text(encoding="utf-8") or None


def pytest_collection_finish() -> None:
    """Keep what was loaded out of the garbage collector's way, which would look at it again and again."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need real clients, by their folder, and a Redis server, by fixture or parameter."""
    for item in items:
        if CLIENTS in item.path.parents:
            item.add_marker(pytest.mark.clients)
        chosen = getattr(item, "callspec", None)
        if "redis_server" in getattr(item, "fixturenames", ()) or (chosen and chosen._idlist == ["redis"]):
            item.add_marker(pytest.mark.redis)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Reports:
    """Judge a skipped test."""
    report = yield
    if not hasattr(report, "wasxfail"):
        _judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Collections:
    """Judge a skipped file."""
    report = yield
    _judge(report)
    return report


def _judge(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure when every test has to run."""
    if not report.skipped or not os.environ.get(NO_SKIPS):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    allowed = (*NOT_ON_THIS_PLATFORM, *filter(None, os.environ.get(MAY_SKIP, "").splitlines()))
    if not any(words in reason for words in allowed):
        report.outcome = "failed"
        report.longrepr = f"{reason}\n{NO_SKIPS} is set: no test may be skipped for this reason"


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make empty folders. For each of its own pytest lists all that are there: a quarter of a run."""
    top = tmp_path_factory.mktemp("t", numbered=False)

    def made() -> Iterator[Path]:
        for number in itertools.count(1):
            folder = top / str(number)
            folder.mkdir(mode=0o700)
            yield folder

    return made()


@pytest.fixture
def tmp_path(folders: Iterator[Path]) -> Path:
    """Return an empty folder of the test's own."""
    return next(folders)


@pytest.fixture(autouse=True)
def isolated_home(folders: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test an empty home and an environment without keys, hosts or folders of the developer."""
    home = next(folders)
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(home))
    for name in ("API_KEY", "API_KEYS", "HOST", "HOST_CLOUD", "ACTIVE_KEY_INDEX"):
        monkeypatch.delenv(f"OLLAMA_{name}", raising=False)
    for name in ("OKR_TUI_SETTINGS", "OKR_TUI_STORE", "PI_CODING_AGENT_DIR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture(autouse=True)
def patient_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let requests wait for the log: on a busy machine it would seem away, and its processes disagree."""
    set_log_patience(monkeypatch, LIMIT)
    monkeypatch.setattr(log_writer, "CLOSING", LIMIT)


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test that connects to anything but loopback."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0])
            if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
                pytest.fail(f"a test reached for {host}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Run one Redis server for all tests, without persistence."""
    server = RedisServer(tmp_path_factory.mktemp("redis"), "--appendonly", "no")
    yield server
    server.kill()


@pytest.fixture(scope="session")
def databases() -> Iterator[int]:
    """Count the databases that no test has used yet."""
    return itertools.count(1)


@pytest.fixture
def redis_url(redis_server: RedisServer, databases: Iterator[int]) -> str:
    """Return the URL of an empty database."""
    return f"redis://127.0.0.1:{redis_server.port}/{next(databases)}"


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    """Open a harness with four keys of three known accounts on a cloud that does not fail by itself."""
    async with open_harness(tmp_path) as opened:
        await opened.note_accounts()
        yield opened
