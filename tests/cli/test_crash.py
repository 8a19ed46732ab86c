"""What a crash leaves behind."""

import stat
from pathlib import Path

from okr_tui.cli.crash import KEPT, describe_crash, write_report

SECRET = "4f2a" * 8


def crash() -> BaseException:
    """An error with a secret in its text, its cause and the local variables of its frames."""
    local = SECRET
    try:
        try:
            int(f"no number: {local}")
        except ValueError as error:
            raise LookupError(f"nowhere for someone@example.org {local}") from error
    except LookupError as error:
        return error
    raise AssertionError


def test_a_report_says_where_and_holds_no_value(tmp_path: Path) -> None:
    path = write_report(crash(), tmp_path / "state")
    text = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "builtins.LookupError: nowhere for …" in text
    assert "builtins.ValueError" in text
    assert "test_crash.py:" in text
    assert "in crash" in text
    assert SECRET not in text
    assert "example.org" not in text
    assert str(Path.cwd()) not in text


def test_the_newest_reports_are_kept(tmp_path: Path) -> None:
    for number in range(2 * KEPT):
        (tmp_path / f"crash-2020010{number}-000000-1.txt").touch()
    path = write_report(crash(), tmp_path)
    assert len(list(tmp_path.glob("crash-*"))) == KEPT
    assert path.exists()


def test_a_folder_that_takes_nothing_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    line = describe_crash(crash(), blocked / "state")
    assert line.startswith("unexpected LookupError; no report could be written to ")
    assert SECRET not in line
