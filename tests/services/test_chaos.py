"""Short runs of the chaos; `python -m tests.chaos` is the long one."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.chaos import slots
from tests.chaos.run import run

pytestmark = [pytest.mark.slow(reason="kills processes for a while"), pytest.mark.timeout(600)]
LOUD = 2.0
"""Seconds within which processes agree even on a machine that has much else to do."""


@pytest.mark.parametrize(
    ("options", "outages"),
    [
        pytest.param({"redis": False}, {"locked", "full"}, id="file"),
        pytest.param({"redis": True}, {"cut", "partition"}, id="server", marks=pytest.mark.redis),
    ],
)
async def test_no_client_notices_what_happens(
    tmp_path: Path, options: Mapping[str, bool], outages: set[str]
) -> None:
    findings = await run(tmp_path, requests=240, processes=3, seed=7, pause=1.6, agree_within=LOUD, **options)
    assert not findings.breaches, findings.describe()
    assert findings.requests >= 240
    assert findings.mishaps.keys() >= {"kill -9", "SIGSTOP", "clock", *outages}


@pytest.mark.redis
async def test_machines_that_share_an_account_send_no_more_than_it_allows(tmp_path: Path) -> None:
    findings = await slots.run(tmp_path, requests=120, machines=3, seed=7, late=LOUD)
    assert not findings.breaches, findings.describe()
    assert findings.requests >= 120
    assert findings.mishaps.keys() >= {"SIGSTOP", "clock"}
