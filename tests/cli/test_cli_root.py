"""What holds for all verbs: exit codes, help, problems, and what is imported when."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from okr_tui import __version__
from okr_tui.cli.main import VERBS, root
from okr_tui.cli.text import cells, cut, safe, table
from tests.cli.home import MODEL, Home

HEAVY = ("httpx", "pydantic", "watchfiles", "textual", "rich", "starlette", "uvicorn", "asyncio")
SCREEN = ("textual", "okr_tui.ui", "starlette", "uvicorn")
REPORT = """
import atexit, sys
atexit.register(lambda: print(*set({names!r}) & set(sys.modules), file=sys.stderr))
"""


def loaded(code: str, names: tuple[str, ...]) -> list[str]:
    """Which of these modules a process has loaded at its end."""
    program = REPORT.format(names=names) + code
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return ran.stderr.splitlines()[-1].split()


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_version_and_help_are_light(option: str) -> None:
    assert loaded(f"from okr_tui.cli import main; main([{option!r}])", HEAVY) == []


def test_no_verb_loads_the_screen_or_a_server(home: Home) -> None:
    verbs = [name for name, (_, words) in VERBS.items() if words]
    runs = [[*home.where, verb, "--help"] for verb in verbs]
    runs += [[*home.where, *arguments] for arguments in everything() if arguments[0] != "chat"]
    runs.append([*home.where, "chat", MODEL, "hello", "--json"])
    code = f"""
from okr_tui.cli import main
for arguments in {runs!r}:
    try:
        main(arguments)
    except SystemExit as ended:
        assert ended.code == 0, arguments
"""
    assert loaded(code, SCREEN) == []


def everything() -> list[list[str]]:
    """A good run of every verb."""
    return [
        ["status"],
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


def test_no_output_and_no_log_holds_a_key(home: Home) -> None:
    home.change("birch", revoke=1)
    home.fault("weekly", account="amber")
    # What a run says is looked through as it runs; here everything is made to speak, with and without faults.
    for arguments in everything():
        assert home.good(*arguments).out
        assert home.good(*arguments, "--json").out
    log = b"".join(path.read_bytes() for path in home.folder.glob("log.db*"))
    assert not any(text.encode() in log for text, _ in home.keys)


def test_every_verb_is_listed_and_says_what_it_does(home: Home) -> None:
    shown = home.good("--help").out
    for name, (_, words) in VERBS.items():
        command = root.get_command(click.Context(root), name)
        assert command is not None
        assert command.help
        assert (f"  {name} " in shown) is bool(words)
    assert home.run("nonsense").code == 2


def test_version(home: Home) -> None:
    assert home.good("--version").out == f"okr-tui {__version__}\n"


def test_status_as_json_in_full(home: Home) -> None:
    home.good("keys", "--check")
    home.good("models")
    home.good("disable-key", "2")
    files = [str(home.settings_file), str(home.folder / "project" / ".pi" / "settings.json")]
    assert home.good("status", "--json").json == {
        "cloud_url": home.url,
        "active": 1,
        "preferred": 1,
        "keys": {"total": 4, "ready": 3, "off": 1},
        "models": 16,
        "refreshed_at": "2026-10-08T16:00:00Z",
        "store": f"sqlite:{home.folder / 'log.db'}",
        "gateway": {"url": None},
        "settings": {"files": files, "problems": []},
        "forecast": {"empty_at": None},
    }


def test_status_for_people(home: Home) -> None:
    lines = home.good("status").out.splitlines()
    assert lines[:3] == [
        "🦙 Ollama Cloud Status",
        "Keys        ✅ 4 configured: 4 unverified",
        f"Active key  #1 {home.keys[0][0][:4]}…{home.keys[0][0][-4:]}",
    ]
    assert lines[3:5] == ["Models      0, not read yet", f"URL         {home.url}"]
    home.write_settings(keys=0)
    assert home.good("status").out.splitlines()[1:3] == [
        "Keys        ❌ none configured",
        "Active key  (none)",
    ]


def test_problems_of_the_settings_are_said(home: Home) -> None:
    home.settings_file.write_text("{")
    ran = home.run("chat", MODEL, "hello")
    assert ran.code == 3
    assert "settings.json:1:" in ran.err.splitlines()[0]
    status = home.good("status", "--json")
    assert len(status.json["settings"]["problems"]) == 1
    assert status.err == ""
    assert "\nProblem     " in home.good("status").out


@pytest.mark.parametrize("verb", ["status", "chat"])
@pytest.mark.parametrize("url", ["nonsense", "http://cloud.example"])
def test_a_cloud_that_cannot_be_used_is_not_replaced_by_another(home: Home, url: str, verb: str) -> None:
    ran = home.run("--cloud-url", url, verb, *([MODEL, "hello"] if verb == "chat" else []))
    assert (ran.code, ran.out) == (2, "")
    assert "--cloud-url cannot be used: it " in ran.err


def test_a_verb_that_is_not_there_leads_to_the_nearest(home: Home) -> None:
    ran = home.run("statsu")
    assert ran.code == 2
    assert "No such command 'statsu'. Did you mean 'status'?" in ran.err
    assert "Did you mean" not in home.run("frobnicate").err


def test_a_model_that_the_cloud_does_not_have(home: Home) -> None:
    ran = home.run("chat", "nonesuch", "hello")
    assert ran.code == 1
    assert ran.err.endswith("404 model 'nonesuch' not found; okr-tui models lists those there are\n")


def test_a_store_that_cannot_be_used(home: Home) -> None:
    ran = home.run("--store", f"sqlite:{home.settings_file}/log.db", "keys")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("okr-tui: cannot open the log ")
    assert len(ran.err.splitlines()) == 1


def test_what_nobody_expected_is_one_line(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise LookupError("nowhere")

    monkeypatch.setattr("okr_tui.settings.layers.load", broken)
    ran = home.run("paths")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "okr-tui: unexpected LookupError: nowhere; okr-tui --debug shows where\n"


def test_paths(home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    state = tmp_path / "state" / "okr-tui"
    document = home.good("paths", "--json").json
    assert document == {
        "settings": str(home.settings_file),
        "project_settings": str(home.folder / "project" / ".pi" / "settings.json"),
        "store": f"sqlite:{home.folder / 'log.db'}",
        "state": str(state),
        "gateway_token": str(state / "gateway-token"),
    }
    assert home.good("paths").out.splitlines()[0] == f"settings          {home.settings_file}"
    assert not state.exists()
    home.settings_file.write_text(json.dumps({}))
    assert home.good("paths", "--json").json["store"] == f"sqlite:{state / 'log.db'}"
    secret = home.good("--store", "redis://amber:pass@host:6379/0?password=word", "paths").out
    assert "redis://host:6379/0\n" in secret
    assert "pass" not in secret


def test_text_in_cells() -> None:
    assert table([("a", "b"), ("日本", "c")]) == ["a     b", "日本  c"]
    assert cut("日本語", 5) == "日本…"
    assert cells(cut("日本語", 4)) <= 4
    assert safe("a\x1b[2Jb\x9bc\u202ed\te\n") == "a[2Jbcd\te\n"
