"""What holds for all verbs: exit codes, help, problems, and what is imported when."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
import pytest

from okr_tui import __version__
from okr_tui.cli import dashboard
from okr_tui.cli.main import VERBS, root
from okr_tui.cli.output import cells, cut, one_line, show_document, table
from okr_tui.services.background import Clock
from tests.cli.harness import MODEL, NOW, CliHarness

HEAVY = ("httpx", "pydantic", "watchfiles", "textual", "rich", "starlette", "uvicorn", "asyncio")
SCREEN = ("textual", "okr_tui.ui", "starlette", "uvicorn")
REPORT = """
import atexit, sys
atexit.register(lambda: print(*set({names!r}) & set(sys.modules), file=sys.stderr))
"""


def loaded(code: str, names: tuple[str, ...]) -> list[str]:
    """Which of these modules a process has loaded at its end."""
    program = REPORT.format(names=names) + code
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return result.stderr.splitlines()[-1].split()


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_version_and_help_are_light(option: str) -> None:
    assert loaded(f"from okr_tui.cli import main; main([{option!r}])", HEAVY) == []


@pytest.mark.slow(reason="starts the program as a process again and again")
def test_no_verb_loads_the_screen_or_a_server(cli: CliHarness) -> None:
    verbs = [name for name, (_, words) in VERBS.items() if words]
    runs = [[*cli.where, verb, "--help"] for verb in verbs]
    runs += [[*cli.where, *arguments] for arguments in everything() if arguments[0] != "chat"]
    runs.append([*cli.where, "chat", MODEL, "hello", "--json"])
    code = f"""
from okr_tui.cli import main
for arguments in {runs!r}:
    try:
        main(arguments)
    except SystemExit as ended:
        assert ended.code == 0 or arguments[-1] == "doctor", arguments
"""
    assert loaded(code, SCREEN) == []


def everything() -> list[list[str]]:
    """A good run of every verb."""
    return [
        ["status"],
        ["status", "--line"],
        ["usage"],
        ["keys", "--check"],
        ["models"],
        ["refresh"],
        ["info", MODEL],
        ["chat", MODEL, "hello"],
        ["explain", "--if-fails", "1"],
        ["rotate"],
        ["use-key", "1"],
        ["disable-key", "2"],
        ["enable-key", "2"],
        ["test-key", "1"],
        ["reset-key", "1"],
        ["events"],
        ["paths"],
        ["doctor"],
    ]


def test_no_output_and_no_log_holds_a_key(cli: CliHarness) -> None:
    cli.change("birch", revoke=1)
    cli.fault("weekly", account="amber")
    # What a run says is looked through as it runs; here everything is made to speak, with and without faults.
    for arguments in everything():
        for more in ((), ("--json",)):
            result = cli.run(*arguments, *more)
            assert result.out or result.code
            refused = {"keys": {1}, "doctor": {1}, "test-key": {0, 1}}
            assert result.code in refused.get(arguments[0], {0}), result.err
    files = {path for path in cli.folder.rglob("*") if path.is_file()} - {cli.settings_file}
    assert {path.parent.name for path in files} == {cli.folder.name, "overview", "events"}
    written = b"".join(path.read_bytes() for path in files)
    assert not any(text.encode() in written for text, _ in cli.keys)


def test_every_verb_is_listed_and_says_what_it_does(cli: CliHarness) -> None:
    shown = cli.run_ok("--help").out
    for name, (_, words) in VERBS.items():
        command = root.get_command(click.Context(root), name)
        assert command is not None
        assert command.help
        assert command.help.splitlines()[0] == words or not words
        assert (f"  {name} " in shown) is bool(words)
    assert cli.run("nonsense").code == 2


def test_version(cli: CliHarness) -> None:
    assert cli.run_ok("--version").out == f"okr-tui {__version__}\n"


def test_status_as_json_in_full(cli: CliHarness) -> None:
    cli.run_ok("keys", "--check")
    cli.run_ok("models")
    cli.run_ok("disable-key", "2")
    files = [str(cli.settings_file), str(cli.folder / "project" / ".pi" / "settings.json")]
    assert cli.run_ok("status", "--json").json == {
        "cloud_url": cli.url,
        "active": 1,
        "preferred": 1,
        "keys": {"total": 4, "ready": 3, "off": 1},
        "models": 16,
        "refreshed_at": "2026-10-08T16:00:00Z",
        "store": f"sqlite:{cli.folder / 'log.db'}",
        "gateway": {"url": None},
        "settings": {"files": files, "problems": []},
        "forecast": {"empty_at": None},
    }


def test_status_for_people(cli: CliHarness) -> None:
    lines = cli.run_ok("status").out.splitlines()
    assert lines[:3] == [
        "🦙 Ollama Cloud Status",
        "Keys        ✅ 4 configured: 4 unverified",
        f"Active key  #1 {cli.keys[0][0][:4]}…{cli.keys[0][0][-4:]}",
    ]
    assert lines[3:5] == ["Models      0, not read yet", f"URL         {cli.url}"]
    cli.write_settings(keys=0)
    assert cli.run_ok("status").out.splitlines()[1:3] == [
        "Keys        ❌ none configured",
        "Active key  (none)",
    ]


def test_problems_of_the_settings_are_reported(cli: CliHarness) -> None:
    cli.settings_file.write_text("{")
    result = cli.run("chat", MODEL, "hello")
    assert result.code == 1
    assert "settings.json:1:" in result.err.splitlines()[0]
    status = cli.run_ok("status", "--json")
    assert len(status.json["settings"]["problems"]) == 1
    assert status.err == ""
    assert "\nProblem     " in cli.run_ok("status").out


@pytest.mark.parametrize("verb", ["status", "chat"])
@pytest.mark.parametrize("url", ["nonsense", "http://cloud.example"])
def test_a_cloud_that_cannot_be_used_is_not_replaced_by_another(cli: CliHarness, url: str, verb: str) -> None:
    result = cli.run("--cloud-url", url, verb, *([MODEL, "hello"] if verb == "chat" else []))
    assert (result.code, result.out) == (2, "")
    assert "--cloud-url cannot be used: it " in result.err


def test_a_verb_that_is_not_there_leads_to_the_nearest(cli: CliHarness) -> None:
    result = cli.run("statsu")
    assert result.code == 2
    assert "No such command 'statsu'. Did you mean 'status'?" in result.err
    assert "Did you mean" not in cli.run("frobnicate").err


KEY = "4f2a9c1e77b002fdc3de41aa19aae007.XyzQpwErTyUiOpAsDfGhJkLz"


@pytest.mark.parametrize(
    "arguments",
    [
        (KEY,),
        ("use-key", KEY),
        ("remove-key", f"--{KEY}"),
        ("config", "get", KEY),
        ("config", "set", "store", KEY),
        ("events", "--since", KEY),
    ],
)
def test_key_that_is_given_where_it_does_not_belong_is_not_repeated(
    cli: CliHarness, arguments: tuple[str, ...]
) -> None:
    result = cli.run(*arguments)
    assert result.code == 2
    assert "JkLz" in result.err
    assert KEY[:8] not in result.err


def test_an_option_of_the_program_after_a_verb_is_pointed_before_it(cli: CliHarness) -> None:
    result = cli.run("status", "--store", "memory:")
    assert result.code == 2
    assert "No such option '--store'; write it before the verb: okr-tui --store … status" in result.err


def test_a_model_that_the_cloud_does_not_have(cli: CliHarness) -> None:
    result = cli.run("chat", "nonesuch", "hello")
    assert result.code == 1
    assert result.err.endswith("404 model 'nonesuch' not found; okr-tui models lists the known ones\n")


@pytest.mark.parametrize("verb", ["status", "keys", "models", "explain"])
def test_a_store_that_cannot_be_used_is_reported_and_stops_no_reading_verb(
    cli: CliHarness, verb: str
) -> None:
    result = cli.run("--store", f"sqlite:{cli.settings_file}/log.db", verb)
    assert result.code == 0
    assert result.out
    said = [line for line in (result.out + result.err).splitlines() if "cannot open the log " in line]
    assert len(said) == 1
    assert "this process has worked alone since" in said[0]


def test_an_unexpected_error_is_one_line(cli: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise LookupError("nowhere")

    monkeypatch.setattr("okr_tui.settings.layers.load", broken)
    result = cli.run("doctor")
    assert (result.code, result.out) == (1, "")
    line = result.err.removesuffix("\n")
    assert line.startswith("okr-tui: unexpected LookupError; ")
    assert "\n" not in line
    report = next(Path(word) for word in line.split() if "crash-" in word)
    assert "builtins.LookupError: nowhere" in report.read_text()


def test_paths(cli: CliHarness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    state = tmp_path / "state" / "okr-tui"
    document = cli.run_ok("paths", "--json").json
    assert document == {
        "settings": str(cli.settings_file),
        "project_settings": str(cli.folder / "project" / ".pi" / "settings.json"),
        "store": f"sqlite:{cli.folder / 'log.db'}",
        "state": str(state),
        "gateway_token": str(state / "gateway-token"),
    }
    assert cli.run_ok("paths").out.splitlines()[0] == f"settings          {cli.settings_file}"
    assert not state.exists()
    cli.settings_file.write_text(json.dumps({}))
    assert cli.run_ok("paths", "--json").json["store"] == f"sqlite:{state / 'log.db'}"
    secret = cli.run_ok("--store", "redis://amber:pass@host:6379/0?password=word", "paths").out
    assert "redis://host:6379/0\n" in secret
    assert "pass" not in secret


def test_text_in_cells() -> None:
    assert table([("a", "b"), ("日本", "c")]) == ["a     b", "日本  c"]
    assert cut("日本語", 5) == "日本…"
    assert cells(cut("日本語", 4)) <= 4
    assert one_line("a\x1b[2Jb\x9bc\u202ed\te\n") == "a[2Jbcd e"
    assert one_line("one\nforged\u2028row") == "one forged row"


def test_a_clock_behind_the_log_is_a_problem_of_status(cli: CliHarness) -> None:
    cli.clock.now = NOW + 3600
    cli.run_ok("disable-key", "2")
    cli.clock.now = NOW
    (problem,) = cli.run_ok("status", "--json").json["settings"]["problems"]
    assert problem.startswith("the log has entries from 1h 00m in the future; set the clock of this machine")
    assert f"Problem     {problem}" in cli.run_ok("status").out


def test_screen_and_service_have_one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []

    class App:
        return_code = 0

        def __init__(self, opened: Callable[[], object], **options: Any) -> None:
            made.append({"opened": opened(), **options})

        def run(self) -> None:
            pass

    monkeypatch.setattr("okr_tui.ui.app.OkrApp", App)
    given: list[Clock] = []

    def opened(clock: Clock) -> Any:
        given.append(clock)
        return nullcontext()

    dashboard.run(opened, demo=False)
    assert made[0]["clock"] == given[0].time


@pytest.mark.parametrize("count", [0, 3, 100, 101])
def test_a_document_is_the_same_whatever_its_layout(count: int, capsys: pytest.CaptureFixture[str]) -> None:
    keys = [{"label": f'"{number}"\n', "uses": [number]} for number in range(count)]
    show_document({"none": None, "keys": keys})
    printed = capsys.readouterr().out
    whole = {"schema": 1, "none": None, "keys": keys}
    assert json.loads(printed) == whole
    if count <= 100:
        assert printed == json.dumps(whole, indent=2) + "\n"
    else:
        assert printed.count("\n") == count + 6
