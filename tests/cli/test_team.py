"""Several people on one log: what another did is told with their name, and with nothing else of theirs."""

import contextlib
import json
import socket

import pytest
import redis

from okr_tui.domain.keys import mask
from okr_tui.settings.checks import UnusableError, person
from tests.cli.harness import MODEL, CliHarness


class Team:
    """People with settings of their own over one log; amber and birch share their first key."""

    def __init__(self, cli: CliHarness, store: str) -> None:
        self.cli = cli
        document = json.loads(cli.settings_file.read_text())
        document["okr-tui"]["store"] = store
        self.files = {name: cli.folder / f"{name}.json" for name in ("amber", "birch", "nameless")}
        keys = document["pi-ollama"]["apiKeys"]
        for name, own in (("amber", keys[:2]), ("birch", [keys[0], keys[2]]), ("nameless", keys[:1])):
            document["pi-ollama"]["apiKeys"] = own
            document["okr-tui"].pop("name", None)
            if name != "nameless":
                document["okr-tui"]["name"] = name
            self.files[name].write_text(json.dumps(document))

    def run(self, name: str, *arguments: str) -> str:
        """Run a command of one of them."""
        result = self.cli.run_ok("--settings", str(self.files[name]), *arguments)
        assert socket.gethostname() not in result.out
        return result.out


@pytest.fixture
def team(cli: CliHarness, redis_url: str) -> Team:
    return Team(cli, f"{redis_url}?prefix=team")


def test_what_another_did_is_shown_with_their_name(team: Team) -> None:
    team.run("birch", "disable-key", "1")
    row = json.loads(team.run("amber", "keys", "--json"))["keys"][0]
    assert (row["state"], row["reason"]) == ("off", "switched off by birch")
    assert json.loads(team.run("birch", "keys", "--json"))["keys"][0]["reason"] == "switched off by you"
    assert "#1 switched off by birch" in team.run("amber", "events")
    assert "#1 switched off\n" in team.run("birch", "events")
    team.run("amber", "enable-key", "1")
    assert "#1 switched on by amber" in team.run("birch", "events")


def test_a_key_that_this_machine_does_not_hold_is_another_s(team: Team) -> None:
    team.run("birch", "use-key", "2")
    team.run("birch", "disable-key", "1")
    team.run("birch", "chat", MODEL, "hello")
    reported = team.run("amber", "events")
    assert f"a key of birch's {MODEL} ok · birch's cli" in reported
    assert "a key of birch's chosen as preferred key by birch" in reported
    assert "settings read" not in reported
    assert "#?" not in reported
    lines = [json.loads(line) for line in team.run("amber", "events", "--json").splitlines()]
    attempts = [line for line in lines if line["kind"] == "attempt"]
    assert {(line["who"], line["key"]) for line in attempts} == {("birch", None)}
    assert {line["who"] for line in lines if line["kind"] in ("use", "disabled")} == {"birch"}


def test_each_sees_their_own_pool_in_status_bars_and_usage(team: Team, redis_url: str) -> None:
    team.run("birch", "chat", MODEL, "hello")
    for name, shown in (
        ("birch", "#2 birch 1  off"),
        ("amber", "#2 amber 2  "),
        ("birch", "#2 birch 1  off"),
    ):
        if name == "birch":
            team.run("birch", "disable-key", "2")
        else:
            team.run("amber", "keys")
        tooltip = json.loads(team.run(name, "status", "--line", "--json"))["tooltip"]
        assert shown in tooltip, (name, tooltip)
    assert "#1 amber 1" in team.run("amber", "usage", "--by", "key", "--since", "900d")
    server = redis.Redis.from_url(redis_url, decode_responses=True)
    with contextlib.closing(server):
        assert not list(server.scan_iter("*document:status"))


def test_a_person_without_a_name_is_someone(team: Team) -> None:
    team.run("nameless", "disable-key", "1")
    assert "#1 switched off by someone" in team.run("amber", "events")
    result = team.cli.run("--settings", str(team.files["nameless"]), "doctor", "--offline")
    assert "records call you someone" in result.out
    assert "okr-tui config set name NAME" in result.out


def test_the_name_is_asked_for_once_at_a_terminal(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    where = ["--settings", str(team.files["nameless"])]
    monkeypatch.setattr("okr_tui.cli.invocation._at_a_terminal", lambda: True)
    asked = team.cli.run(*where, "disable-key", "1", stdin="dogwood@example.org\ndogwood\n")
    assert asked.code == 0
    assert "What should records call you? [someone]: " in asked.err
    assert "not an e-mail address" in asked.err
    assert json.loads(team.files["nameless"].read_text())["okr-tui"]["name"] == "dogwood"
    assert "#1 switched off by dogwood" in team.run("amber", "events")
    assert "call you" not in team.cli.run(*where, "enable-key", "1").err


def test_who_only_presses_enter_is_someone_and_is_not_asked_again(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ["--settings", str(team.files["nameless"])]
    monkeypatch.setattr("okr_tui.cli.invocation._at_a_terminal", lambda: True)
    assert "call you" in team.cli.run(*where, "keys", stdin="\n").err
    assert "call you" not in team.cli.run(*where, "keys").err
    assert "call you" not in team.cli.run(*where, "doctor", "--offline").out


def test_the_name_is_asked_for_when_a_shared_log_is_chosen(
    cli: CliHarness, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("okr_tui.cli.invocation._at_a_terminal", lambda: True)
    assert "call you" not in cli.run_ok("keys").err
    assert "call you" in cli.run_ok("config", "set", "store", redis_url, stdin="elm\n").err
    assert cli.run_ok("config", "get", "name").out == "elm\n"


def test_a_log_of_one_s_own_bears_no_name(cli: CliHarness) -> None:
    cli.run_ok("config", "set", "name", "amber")
    cli.run_ok("disable-key", "1")
    lines = cli.run_ok("events", "--json").lines
    assert [line["who"] for line in lines if line["kind"] == "disabled"] == [None]
    assert cli.run_ok("keys", "--json").json["keys"][0]["reason"] == "switched off by you"
    assert mask(cli.keys[0][0]) in cli.run_ok("keys").out


@pytest.mark.parametrize("name", ["amber@example.org", "x" * 33, "a\u202eb", 5])
def test_what_is_not_a_name_for_others_is_refused(name: object) -> None:
    with pytest.raises(UnusableError):
        person(name)
