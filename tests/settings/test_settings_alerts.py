"""Alerts, hooks and budgets in the settings: what is taken, what is refused and how it is shown."""

import json
from pathlib import Path
from typing import Any

import pytest

from okr_tui.domain.alerts import AlertRules, QuietHours
from okr_tui.domain.usage import Budget
from okr_tui.services.configuration import setting_lines
from okr_tui.settings.alerts import hook_words
from okr_tui.settings.table import BY_NAME
from tests.settings.settings_home import Home, messages


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_thresholds_are_settings(home: Home) -> None:
    home.user(ours={"alerts": {"lowPercent": 60, "quietHours": "22:30-7:00", "events": ["spent"]}})
    rules = home.load().alerts
    assert rules == AlertRules(low_percent=60, quiet_hours=QuietHours(1350, 420), events=("spent",))


@pytest.mark.parametrize(
    ("alerts", "message"),
    [
        ({"quietHours": "22-7"}, "two times of the day"),
        ({"quietHours": "24:00-07:00"}, "two times of the day"),
        ({"quietHours": "07:00-07:00"}, "two times of the day"),
        ({"events": ["spend"]}, "there is no event spend; did you mean spent?"),
        ({"lowPercent": 0}, "a number from 1 to 100"),
        ({"lowPercent": True}, "a number from 1 to 100"),
        ({"terminal": "osc8"}, "one of auto"),
        ({"lowPercents": 5}, "did you mean lowPercent?"),
        ({"hooksAtOnce": 0}, "a whole number from 1 to 50"),
    ],
)
def test_what_cannot_be_used_is_reported_and_the_default_holds(
    home: Home, alerts: dict[str, Any], message: str
) -> None:
    home.user(ours={"alerts": alerts})
    settings = home.load()
    assert settings.alerts == AlertRules()
    assert any(message in line for line in messages(settings))


def test_a_hook_is_a_command_or_an_address(home: Home) -> None:
    hooks = {"spent": "notify-send it", "*": "https://hooks.example/secret", "back": "http://127.0.0.1:9/x"}
    home.user(ours={"hooks": hooks})
    settings = home.load()
    assert settings.hooks.value == hooks
    assert messages(settings) == []
    line = next(line for line in setting_lines(settings) if line.name == "hooks")
    assert "notify-send it" in line.value
    assert "hooks.example/…" in line.value
    assert "secret" not in line.value


@pytest.mark.parametrize(
    ("event", "hook", "message"),
    [
        ("spend", "true", "there is no event spend; did you mean spent?"),
        ("spent", "", "a command line or an https address"),
        ("spent", ["true"], "a command line or an https address"),
        ("spent", "http://hooks.example/x", "https://..., or http:// on this machine"),
        ("spent", "https://user:password@hooks.example/x", "not a plain web address"),
        ("spent", "https://", "not a plain web address"),
        ("spent", "true\0", "none of them NUL"),
    ],
)
def test_a_hook_that_cannot_be_used_is_left_out_alone(
    home: Home, event: str, hook: object, message: str
) -> None:
    home.user(ours={"hooks": {event: hook, "back": "true"}})
    settings = home.load()
    assert settings.hooks.value == {"back": "true"}
    assert any(message in line for line in messages(settings))
    assert not any("password" in line for line in messages(settings))


def test_an_untrusted_project_brings_no_hook_alert_or_budget(home: Home) -> None:
    home.checkout(
        ours={
            "hooks": {"*": "touch owned"},
            "alerts": {"lowPercent": 1},
            "budgets": {"x": {"tokensPerDay": 0, "hard": True}},
        }
    )
    settings = home.load()
    assert settings.hooks.value == {}
    assert settings.budgets.value == {}
    assert settings.alerts == AlertRules()
    assert "run the command `touch owned` on the alert *" in settings.project_wants


def test_budgets(home: Home) -> None:
    home.user(
        ours={
            "budgets": {
                "laptop": {"tokensPerDay": 1000},
                "kimi-k3": {"tokensPerDay": 0, "hard": True},
                "wrong": {"tokensPerDay": "many"},
                "odd": {"tokensPerDay": 5, "hart": True},
                "empty": {"hard": True},
                "text": {"tokensPerDay": 5, "hard": "yes"},
            }
        }
    )
    settings = home.load()
    assert settings.budgets.value == {
        "laptop": Budget("laptop", 1000),
        "kimi-k3": Budget("kimi-k3", 0, hard=True),
    }
    reported = "\n".join(messages(settings))
    assert "budgets.wrong is ignored: tokensPerDay: it must be a whole number" in reported
    assert "budgets.odd is ignored: hart is not a setting of a budget; did you mean hard?" in reported
    assert "budgets.empty is ignored: tokensPerDay is missing" in reported
    assert "budgets.text is ignored: hard: it must be true or false" in reported


def test_what_is_set_is_shown_as_it_is_written(home: Home) -> None:
    home.user(
        ours={
            "alerts": {"quietHours": " 7:05-22:30 "},
            "budgets": {"laptop": {"tokensPerDay": 5}, "codex": {"tokensPerDay": 7, "hard": True}},
        }
    )
    lines = {line.name: line.value for line in setting_lines(home.load())}
    assert lines["alerts.quietHours"] == "07:05-22:30"
    assert BY_NAME["alerts.quietHours"].check.shown("7:05-22:30") == "7:05-22:30"
    assert json.loads(lines["budgets"]) == {"laptop": "5 a day", "codex": "7 a day, hard"}


@pytest.mark.parametrize(
    "address", ["https://[hooks", "https://", "https://hooks.example:99999", "http://a b"]
)
def test_an_address_that_cannot_be_read_is_not_a_hook(home: Home, address: str) -> None:
    home.user(ours={"hooks": {"spent": address}})
    settings = home.load()
    assert settings.hooks.value == {}
    assert messages(settings) == ["hooks.spent is ignored: it is not a plain web address"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("notify-send x", "notify-send x"),
        ("HTTPS://hooks.example:1/a/b?c", "https://hooks.example/…"),
        ("https://[hooks/a", "https:…"),
    ],
)
def test_a_hook_is_shown_without_the_path_of_its_address(line: str, words: str) -> None:
    assert hook_words(line) == words
