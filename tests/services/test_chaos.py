"""A short run of the chaos; `python -m tests.chaos` is the long one."""

from pathlib import Path

import pytest

from tests import chaos

pytestmark = pytest.mark.slow


@pytest.mark.timeout(180)
async def test_nobody_notices_what_happens_to_the_keys(tmp_path: Path) -> None:
    findings = await chaos.run(tmp_path, requests=600, processes=3, seed=7)
    assert findings.hold, findings.describe()
    assert len(findings.faults) >= 2
