"""A whole run is not green by leaving tests out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import MAY_SKIP, NO_SKIPS, NOT_ON_THIS_PLATFORM

REASON = "the moon is missing"
FILES = {
    "test_mark.py": f"import pytest\n@pytest.mark.skipif(True, reason='{REASON}')\ndef test(): pass\n",
    "test_call.py": f"import pytest\ndef test(): pytest.skip('{REASON}')\n",
    "test_file.py": f"import pytest\npytest.importorskip('no_such', reason='{REASON}')\n",
    "test_platform.py": f"import pytest\ndef test(): pytest.skip('{NOT_ON_THIS_PLATFORM[0]}')\n",
}
OPTIONS = ("-p", "tests.conftest", "-p", "no:cacheprovider", "--continue-on-collection-errors")


@pytest.mark.slow(reason="runs pytest in pytest")
@pytest.mark.parametrize(
    ("environment", "ended"),
    [
        ({}, "4 skipped"),
        ({NO_SKIPS: "1"}, "1 failed, 1 skipped, 2 errors"),
        ({NO_SKIPS: "1", MAY_SKIP: "the moon"}, "4 skipped"),
    ],
)
def test_a_skip_fails_where_its_reason_is_not_allowed(
    tmp_path: Path, environment: dict[str, str], ended: str
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    kept = {name: value for name, value in os.environ.items() if name not in (NO_SKIPS, MAY_SKIP)}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, "-c", os.devnull, "--rootdir", tmp_path, tmp_path],
        env={**kept, **environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"= {ended} in " in ran.stdout
    assert (ran.returncode == 0) is (NO_SKIPS not in environment or MAY_SKIP in environment)
