"""Verbs that ask the cloud nothing: what an earlier run kept, and what makes it old."""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from okr_tui.services.configuration import Configuration
from okr_tui.settings.layers import Sources
from okr_tui.store.factory import unsent_folder
from tests.cli.harness import CliHarness

VERBS = [[verb, *options] for verb in ("status", "keys", "models", "explain") for options in ([], ["--json"])]


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often the settings were read and the log folded since the last question."""
    count, real = [0], Configuration.read

    async def counted(sources: Sources) -> Configuration:
        count[0] += 1
        return await real(sources)

    monkeypatch.setattr(Configuration, "read", counted)

    def since() -> int:
        found, count[0] = count[0], 0
        return found

    return since


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_the_second_run_says_the_same_without_the_service(
    cli: CliHarness, folds: Callable[[], int], verb: list[str]
) -> None:
    cli.run_ok("models", "--refresh")
    cli.run_ok("keys", "--check")
    folds()
    known = cli.run_ok(*verb)
    assert folds() == 0
    for path in (cli.folder / ".local/state/okr-tui/overview").iterdir():
        path.unlink()
    reported = cli.run_ok(*verb)
    assert folds() == 1
    assert (known.out, known.err) == (reported.out, reported.err)


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["plain", "json"])
@pytest.mark.parametrize(
    "verb", [["list"], ["get", "gateway.hosts"], ["get", "theme"], ["get", "store"]], ids=str
)
def test_settings_are_reported_without_reading_them_again(
    cli: CliHarness, folds: Callable[[], int], verb: list[str], options: list[str]
) -> None:
    cli.run_ok("config", "set", "gateway.hosts", '["a.example", "b.example"]')
    cli.run_ok("config", "set", "store", "redis://user:hidden-word@host/0")
    folds()
    reported = cli.run_ok("config", *verb, *options)
    assert folds() == 1
    kept = cli.run_ok("config", *verb, *options)
    assert folds() == 0
    assert (kept.out, kept.err) == (reported.out, reported.err)
    for path in (cli.folder / ".local/state/okr-tui/settings").iterdir():
        assert "hidden-word" not in path.read_text()


def test_a_hook_which_may_hold_a_token_is_kept_nowhere_else(cli: CliHarness) -> None:
    cli.run_ok("config", "list")
    kept = cli.folder / ".local/state/okr-tui/settings"
    assert list(kept.iterdir())
    for path in kept.iterdir():
        path.unlink()
    cli.run_ok("config", "set", "hooks.spent", "notify --token hidden-word")
    assert "hidden-word" in cli.run_ok("config", "get", "hooks").out
    assert list(kept.iterdir()) == []


def test_settings_that_change_are_read_again(
    cli: CliHarness, folds: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.run_ok("config", "list")
    cli.run_ok("config", "set", "strategy", "drain")
    assert cli.run_ok("config", "get", "strategy").out == "drain\n"
    assert cli.run_ok("config", "get", "strategy").out == "drain\n"
    folds()
    monkeypatch.setenv("OLLAMA_HOST_CLOUD", "https://cloud.example")
    assert cli.run_ok("config", "get", "cloudUrl").out == "https://cloud.example\n"
    assert folds() == 1
    assert "--store" in cli.run_ok("--store", "memory:", "config", "list").out


def test_problems_of_settings_are_reported_each_time(cli: CliHarness, folds: Callable[[], int]) -> None:
    cli.settings_file.write_text(
        cli.settings_file.read_text().replace('"okr-tui": {', '"okr-tui": {"x": 1, ')
    )
    for _ in range(2):
        assert "x is ignored" in cli.run_ok("config", "list").err
    assert folds() == 2


def test_the_key_of_a_command_is_not_a_reason_to_read_settings_again(
    cli: CliHarness, folds: Callable[[], int]
) -> None:
    cli.settings_file.write_text(json.dumps({"pi-ollama": {"apiKeys": ["!false"]}}))
    cli.run_ok("config", "list")
    folds()
    assert "activeKeyIndex" in cli.run_ok("config", "list").out
    assert folds() == 0


def test_a_damaged_file_is_as_good_as_none(cli: CliHarness) -> None:
    reported = cli.run_ok("config", "list").out
    (path,) = (cli.folder / ".local/state/okr-tui/settings").iterdir()
    digest = json.loads(path.read_text())[0]
    for text in ("", "[]", "null", f'["{digest}", 1]', f'["{digest}", [["strategy"]]]', f'["{digest}", [1]]'):
        path.write_text(text)
        assert cli.run_ok("config", "list").out == reported


def test_a_record_makes_it_old(cli: CliHarness) -> None:
    cli.run_ok("keys")
    cli.run_ok("disable-key", "2")
    assert "off" in cli.run_ok("keys").out
    cli.run_ok("enable-key", "2")
    assert "off" not in cli.run_ok("keys").out


def test_a_changed_file_makes_it_old(cli: CliHarness, folds: Callable[[], int]) -> None:
    cli.run_ok("keys")
    folds()
    cli.settings_file.write_text(cli.settings_file.read_text().replace("amber 1", "cedar 9"))
    assert "cedar 9" in cli.run_ok("keys").out
    assert folds() == 1


def test_a_variable_makes_it_old(cli: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    count = len(cli.run_ok("keys", "--json").json["keys"])
    monkeypatch.setenv("OLLAMA_API_KEY", "synthetic.zzzzzzzzzzzzzzzzzzzzzzzz")
    assert len(cli.run_ok("keys", "--json").json["keys"]) == count + 1
    monkeypatch.delenv("OLLAMA_API_KEY")
    assert len(cli.run_ok("keys", "--json").json["keys"]) == count


def test_the_key_of_a_command_is_asked_for_each_time(cli: CliHarness, folds: Callable[[], int]) -> None:
    text = cli.settings_file.read_text()
    command = f"!{sys.executable} -c 'print(chr(97) * 30)'"
    cli.settings_file.write_text(text.replace(cli.keys[1][0], command))
    for _ in range(2):
        cli.run_ok("keys")
    assert folds() == 2


def test_problems_are_reported_each_time(cli: CliHarness, folds: Callable[[], int]) -> None:
    cli.settings_file.write_text(
        cli.settings_file.read_text().replace('"okr-tui": {', '"okr-tui": {"x": 1, ')
    )
    for _ in range(2):
        assert "x is ignored" in cli.run_ok("keys").err
    assert folds() == 2


def test_the_end_of_a_block_makes_it_old(cli: CliHarness, folds: Callable[[], int]) -> None:
    cli.fault("rate-limit", key="amber 1")
    cli.run("chat", "gpt-oss:20b", "hi")
    before = cli.run_ok("keys").out
    assert "slowed" in before
    folds()
    assert cli.run_ok("keys").out == before
    assert folds() == 0
    cli.clock.now += 400
    assert "slowed" not in cli.run_ok("keys").out
    assert folds() == 1


def test_an_unsent_record_makes_it_old(cli: CliHarness, folds: Callable[[], int]) -> None:
    cli.run_ok("keys")
    folds()
    folder = unsent_folder(f"sqlite:{cli.folder / 'log.db'}")
    folder.mkdir(parents=True)
    (folder / "writer.jsonl").touch()
    cli.run_ok("keys")
    assert folds() == 1


def test_it_loads_neither_pydantic_nor_the_service(cli: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules of a real process, which is what a person waits for."""
    monkeypatch.setenv("LC_CTYPE", "C.UTF-8")  # what Python sets for itself without a locale
    cli.run_ok("models", "--refresh")
    script = (
        "import sys, okr_tui.cli.invocation as i\n"
        f"i.time = lambda: {cli.clock.now}\n"
        "from okr_tui.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print([n for n in ('pydantic', 'httpx', 'asyncio', 'okr_tui.domain.fold') if n in sys.modules])"
    )
    cli.run_ok("config", "list")
    for verb in ("keys", "status", "models", "paths", "usage", "config list", "config get strategy"):
        command = [sys.executable, "-c", script, *cli.where, *verb.split()]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]", verb


def test_no_verb_that_asks_the_cloud_nothing_loads_an_http_client(cli: CliHarness) -> None:
    document = json.loads(cli.settings_file.read_text())
    del document["okr-tui"]["policy"]  # whose numbers pydantic checks
    cli.settings_file.write_text(json.dumps(document))
    script = (
        "import sys\n"
        "from okr_tui.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print([n for n in ('pydantic', 'httpx', 'aiohttp', 'textual') if n in sys.modules])"
    )
    verbs = ("use-key 2", "rotate", "disable-key 2", "enable-key 2", "label-key 1 amber", "reset-key 1",
             "explain --if-fails 1", "explain gpt-oss:20b", "events", "config set strategy drain",
             "doctor --offline --json")  # fmt: skip
    for verb in verbs:
        command = [sys.executable, "-c", script, *cli.where, *verb.split()]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]", verb
