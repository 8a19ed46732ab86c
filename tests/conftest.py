"""What holds for every test: no home, no keys of the developer's, no network beyond loopback."""

import ipaddress
import itertools
import os
import socket
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.house import House, living
from tests.redis_server import RedisServer

hypothesis.settings.register_profile("steady", deadline=None)
hypothesis.settings.load_profile("steady")

NO_SKIPS = "OKR_TUI_NO_SKIPS"
"""Set, it makes a skipped test a failed one: what a whole run is to have is missing."""
MAY_SKIP = "OKR_TUI_MAY_SKIP"
"""Words of a reason that stays allowed even then, for what could not be installed."""
NOT_ON_THIS_PLATFORM = ("no package brings one for this platform",)
Reports = Generator[None, pytest.TestReport, pytest.TestReport]
Collections = Generator[None, pytest.CollectReport, pytest.CollectReport]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Reports:
    """A test that was skipped."""
    report = yield
    if not hasattr(report, "wasxfail"):
        _judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Collections:
    """A file that was skipped."""
    report = yield
    _judge(report)
    return report


def _judge(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Make a skip a failure, where none is expected."""
    if not report.skipped or not os.environ.get(NO_SKIPS):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    allowed = (*NOT_ON_THIS_PLATFORM, *filter(None, [os.environ.get(MAY_SKIP)]))
    if not any(words in reason for words in allowed):
        report.outcome = "failed"
        report.longrepr = f"{reason}\n{NO_SKIPS} is set: no test may be skipped for this reason"


@pytest.fixture(autouse=True)
def apart(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, and an environment that names no key, host or folder of the developer."""
    home = tmp_path_factory.mktemp("home")
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(home))
    for name in ("API_KEY", "API_KEYS", "HOST", "HOST_CLOUD", "ACTIVE_KEY_INDEX"):
        monkeypatch.delenv(f"OLLAMA_{name}", raising=False)
    for name in ("OKR_TUI_SETTINGS", "OKR_TUI_STORE", "PI_CODING_AGENT_DIR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any other address is a mistake in the test."""
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
    """One server for all tests, that keeps nothing on disk."""
    server = RedisServer(tmp_path_factory.mktemp("redis"), "--appendonly", "no")
    yield server
    server.kill()


@pytest.fixture(scope="session")
def databases() -> Iterator[int]:
    """The numbers of databases that no test has used."""
    return itertools.count(1)


@pytest.fixture
def redis_url(redis_server: RedisServer, databases: Iterator[int]) -> str:
    """The address of an empty database."""
    return f"redis://127.0.0.1:{redis_server.port}/{next(databases)}"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Four keys of three known accounts on a cloud where nothing fails by itself."""
    async with living(tmp_path) as made:
        async with made.open() as service:
            for key in service.pool.config.keys:
                await service.quota_poller.identity(key)
        yield made
