"""Verbs that ask the cloud nothing: what an earlier run kept, and what makes it old."""

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
    told = cli.run_ok(*verb)
    assert folds() == 1
    assert (known.out, known.err) == (told.out, told.err)


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
    for verb in ("keys", "status", "models", "paths", "usage"):
        command = [sys.executable, "-c", script, *cli.where, verb]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]", verb
