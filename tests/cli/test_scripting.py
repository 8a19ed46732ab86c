"""What scripts rely on: versions of documents, exit codes, pipes, and questions on a terminal alone."""

import io
import json
import os
import shlex
import subprocess
import sys

import pytest

from okr_tui.domain.keys import mask
from tests.cli.harness import MODEL, CliHarness
from tests.cli.test_cli_configure import Terminal, in_file

DOCUMENTS = (
    ("status",),
    ("status", "--line"),
    ("keys",),
    ("models", "--refresh"),
    ("refresh",),
    ("info", MODEL),
    ("explain",),
    ("usage",),
    ("doctor", "--offline"),
    ("paths",),
    ("rotate",),
    ("use-key", "2"),
    ("test-key", "1"),
    ("reset-key", "1"),
    ("label-key", "1", "plum"),
    ("conversations", "list"),
)


@pytest.mark.parametrize("arguments", DOCUMENTS, ids=" ".join)
def test_every_document_has_the_version_of_its_schema(cli: CliHarness, arguments: tuple[str, ...]) -> None:
    cli.run_ok("refresh")
    result = cli.run(*arguments, "--json")
    assert json.loads(result.out)["schema"] == 1


def test_every_line_of_a_stream_has_the_version_of_its_schema(cli: CliHarness) -> None:
    chat = cli.run_ok("chat", MODEL, "hello", "--json")
    events = cli.run_ok("events", "--json")
    assert chat.lines
    assert events.lines
    for line in (*chat.out.splitlines(), *events.out.splitlines()):
        assert json.loads(line)["schema"] == 1


@pytest.mark.parametrize("verb", [("status",), ("status", "--line"), ("keys",), ("explain",)], ids=" ".join)
def test_exit_codes_on_request(cli: CliHarness, verb: tuple[str, ...]) -> None:
    assert cli.run_ok(*verb, "--exit-code")
    for number in "1234":
        cli.run_ok("disable-key", number)
    assert cli.run(*verb, "--exit-code").code == 4
    assert cli.run(*verb, "--exit-code", "--json").code == 4
    cli.run_ok(*verb)
    cli.write_settings(keys=0)
    for way in ((*verb, "--exit-code"), (*verb, "--json", "--exit-code")):
        assert cli.run(*way).code == (3 if "--line" not in way else 4)
    cli.run_ok(*verb)


def test_a_check_that_failed_has_an_exit_code(cli: CliHarness) -> None:
    cli.run_ok("keys", "--check")
    document = json.loads(cli.settings_file.read_text())
    document["pi-ollama"]["apiKeys"].append("dead-key-0123456789abcdef")
    cli.settings_file.write_text(json.dumps(document))
    result = cli.run("keys", "--check")
    assert result.code == 1
    assert "#5 dead…cdef: 401" in result.err
    cli.write_settings(cloudUrl="http://127.0.0.1:1")
    cli.clock.now += 60
    result = cli.run("keys", "--check", "--json")
    assert (result.code, len(result.json["keys"])) == (1, 4)
    cli.run_ok("keys")


def test_nothing_to_rotate_to_is_not_the_same_as_nothing_at_all(cli: CliHarness) -> None:
    for number in "234":
        cli.run_ok("disable-key", number)
    assert cli.run("rotate").code == 1
    cli.run_ok("disable-key", "1")
    blocked = cli.run("rotate")
    assert blocked.code == 4
    assert "every key is blocked" in blocked.err


def test_a_key_gets_a_label_and_loses_it(cli: CliHarness) -> None:
    document = cli.run_ok("label-key", "3", "plum jam", "--json").json
    assert (document["key"]["index"], document["key"]["label"]) == (3, "plum jam")
    assert cli.run_ok("label-key", "3").out == f"#3 {mask(cli.keys[2][0])} is now without a label\n"
    assert in_file(cli)[2] == cli.keys[2][0]
    assert cli.run("label-key", "3", cli.keys[2][0][:20]).code == 1
    assert cli.run("label-key", "9", "plum").code == 1


@pytest.mark.parametrize(("answer", "left"), [("n\n", 4), ("y\n", 3)])
def test_a_terminal_is_asked_before_a_key_is_removed(
    cli: CliHarness, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    monkeypatch.setattr(io, "TextIOWrapper", Terminal)
    result = cli.run("remove-key", "2", stdin=answer)
    masked, label = mask(cli.keys[1][0]), cli.keys[1][1]
    assert f"Remove #2 {masked} {label} of global ~/settings.json:" in result.err
    assert (result.code, len(in_file(cli))) == (0 if left == 3 else 130, left)
    cli.run_ok("remove-key", "1", "--yes")
    assert len(in_file(cli)) == left - 1


VERBS_AS_PROCESSES = (
    "status",
    "keys --json",
    "usage --csv",
    "paths",
    "config schema",
    "help",
    "--help",
    "--version",
)


def shell(cli: CliHarness, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash, in which `okr` is the program."""
    command = shlex.join([sys.executable, "-m", "okr_tui", *cli.where])
    environment = {"PATH": os.environ["PATH"], "HOME": str(cli.folder), "LANG": "C.UTF-8"}
    script = f'okr() {{ {command} "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.slow(reason="starts the program as a process again and again")
@pytest.mark.parametrize("verb", VERBS_AS_PROCESSES)
def test_a_full_disk_under_the_output_is_one_line(cli: CliHarness, verb: str) -> None:
    done = shell(cli, f"okr {verb} > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "okr-tui: standard output cannot be written: no space left on device\n"
    assert not list((cli.folder / ".local").rglob("crash-*"))


@pytest.mark.slow(reason="starts the program as a process again and again")
@pytest.mark.parametrize("verb", VERBS_AS_PROCESSES)
def test_a_reader_that_went_away_is_not_a_failure(cli: CliHarness, verb: str) -> None:
    done = shell(cli, f"exec 3> >(true); wait $!; okr {verb} >&3")
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.slow(reason="starts the program as a process again and again")
def test_messages_that_cannot_be_written_fail_nothing(cli: CliHarness) -> None:
    done = shell(cli, "okr refresh 2> /dev/full")
    assert (done.returncode, done.stdout) == (0, "Loaded 16 cloud Ollama models\n")
    assert shell(cli, "okr info no-such 2> /dev/full").returncode == 1
