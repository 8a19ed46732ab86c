"""The demo's own settings."""

from pathlib import Path

from okr_tui.cli import demo
from okr_tui.settings.layers import Sources, load


def test_the_demo_has_no_problem_of_its_own_and_its_own_pace(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    demo._write_settings(path, {"url": "http://127.0.0.1:1", "keys": ["x" * 32]})
    settings = load(Sources(path, tmp_path, {}, policy=demo._policy(2.0)))
    assert settings.problems == ()
    assert settings.policy.poll_gap == 1
    assert settings.policy.poll_shown == (4, 6)
