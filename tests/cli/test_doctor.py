"""What is wrong is found, wherever it is: with its place, cause and remedy, and an honest exit code."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from okr_tui import __version__
from okr_tui.domain.keys import mask
from okr_tui.services.gateway_registry import Presence, announced
from okr_tui.services.port_holder import holder
from tests.cli.conftest import MakeCli
from tests.cli.harness import CliHarness
from tests.cli.test_cli_configure import NEW, auth, project
from tests.harness import set_log_patience

Found = list[tuple[str, str, str]]


@pytest.fixture
def home(make_cli: MakeCli) -> CliHarness:
    """Return a home in which nothing is wrong: the second key of an account is left out."""
    cli = make_cli()
    cli.clock.now = time.time()
    change(cli, lambda settings: settings["pi-ollama"]["apiKeys"].pop(1))
    change(cli, lambda settings: settings["okr-tui"].update(gateway={"port": 0}))
    cli.settings_file.chmod(0o600)
    return cli


def change(cli: CliHarness, edit: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(cli.settings_file.read_text())
    edit(document)
    cli.settings_file.write_text(json.dumps(document, indent=2))


def doctor(cli: CliHarness, *options: str, before: tuple[str, ...] = ()) -> Found:
    """Return the findings; the exit code agrees with them, and so does the text."""
    result = cli.run(*before, "doctor", *options, "--json")
    found = [(each["severity"], each["what"], each["remedy"]) for each in result.json["findings"]]
    left = [each for each in result.json["findings"] if not each["fixed"]]
    assert result.code == int(any(each["severity"] == "error" for each in left))
    assert all(remedy for _, _, remedy in found)
    return found


def has(found: Found, severity: str, words: str, remedy: str = "") -> bool:
    return any(level == severity and words in what and remedy in todo for level, what, todo in found)


def test_nothing_is_wrong(home: CliHarness) -> None:
    result = home.run_ok("doctor")
    assert result.out.splitlines()[0].split() == ["cloudUrl", home.url, "global", "~/settings.json:4"]
    assert result.out.splitlines()[-1] == "No problems found."


def test_offline_sends_nothing(home: CliHarness) -> None:
    assert doctor(home, "--offline") == []
    assert [home.sent(path) for path in ("/api/tags", "/api/me", "/api/balance")] == [[], [], []]


def test_what_is_wrong_and_what_to_do(home: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(document: dict[str, Any]) -> None:
        document["packages"] = ["npm:pi-ollama-keyring"]
        document["ollama"] = {"apiKey": home.keys[0][0], "activeKeyIndex": "one"}
        document["okr-tui"]["policy"]["nonsense"] = 1
        document["okr-tui"]["store"] = f"sqlite:{home.settings_file}/log.db"

    change(home, broken)
    home.settings_file.chmod(0o644)
    asked = project(home, {"apiKeys": ["!touch marker"]})
    auth(home, ollama_cloud={"type": "api_key", "key": NEW})
    left = Path(f"{home.settings_file}.lock")
    left.mkdir()
    os.utime(left, (1, 1))
    Path(f"{asked}.lock").write_text("")
    monkeypatch.setenv("OLLAMA_ACTIVE_KEY_INDEX", "1")
    result = home.run("doctor", "--json")
    assert result.code == 1
    document = result.json
    assert document["store"] == {"address": f"sqlite:{home.settings_file}/log.db", "writable": False}
    assert set(document["versions"]) == {"python", "okr-tui", "textual", "httpx", "keyring"}
    assert {"path": str(home.settings_file), "mode": "0644"} in document["files"]
    (index,) = [line for line in document["settings"] if line["name"] == "activeKeyIndex"]
    assert index["origin"] == "environment OLLAMA_ACTIVE_KEY_INDEX"
    assert [source.partition(":")[0] for source in index["shadowed"]] == ["global ~/settings.json"]
    found = doctor(home)
    for severity, words in (
        ("error", "activeKeyIndex is ignored: it must be a whole number"),
        ("error", "policy.nonsense is ignored"),
        ("warning", "may hold only literal keys"),
        ("warning", "(mode 0644)"),
        ("note", f"key 1 {mask(home.keys[0][0])}"),
        ("note", "it wants to run the command `touch marker`"),
        ("note", "OLLAMA_ACTIVE_KEY_INDEX decides the active key"),
        ("warning", 'has both "pi-ollama" and "ollama"'),
        ("warning", "was left behind by a program that died"),
        ("error", "is a file, which blocks pi"),
        ("warning", "loads pi-ollama-keyring in packages"),
        ("note", f"has the key {mask(NEW)} for ollama-cloud"),
        ("error", "cannot be written"),
    ):
        assert has(found, severity, words), words
    text = home.run("doctor").out
    assert NEW not in text + json.dumps(document)
    assert not (home.folder / "marker").exists()


def test_files_that_cannot_be_read(home: CliHarness) -> None:
    home.settings_file.write_text("{")
    (home.folder / ".pi" / "agent").mkdir(parents=True)
    (home.folder / ".pi" / "agent" / "auth.json").write_text("[")
    (home.folder / ".pi" / "agent" / "settings.json").write_text("[")
    found = doctor(home, "--offline")
    assert has(found, "error", "not valid JSON", "correct it")
    assert has(found, "error", "no key is configured")
    assert [level for level, _, _ in found].count("warning") == 2


SETTINGS: Mapping[str, tuple[Callable[[dict[str, Any]], object], str, str, str]] = {
    "unknown name": (
        lambda document: document["okr-tui"].update(stratgy="drain"),
        "error",
        "stratgy is ignored: there is no such setting",
        "write strategy there",
    ),
    "unknown name of the original's": (
        lambda document: document["pi-ollama"].update(cloudURL="x"),
        "error",
        "cloudURL is ignored",
        "write cloudUrl there",
    ),
    "unknown field of a key": (
        lambda document: document["pi-ollama"]["apiKeys"][0].update(lable="x"),
        "error",
        "apiKeys.1.lable is ignored",
        "write label there",
    ),
    "theme": (
        lambda document: document["okr-tui"].update(theme="nord-ish"),
        "error",
        "theme nord-ish is ignored",
        "write nord there",
    ),
    "keymap action": (
        lambda document: document["okr-tui"].update(keymap={"rotat": "z"}),
        "error",
        "keymap.rotat is ignored: there is no such action; rotate is one",
        "correct it",
    ),
    "keymap key": (
        lambda document: document["okr-tui"].update(keymap={"rotate": "hyper+z"}),
        "error",
        "keymap.rotate is ignored",
        "correct it",
    ),
    "missing variable": (
        lambda document: document["pi-ollama"]["apiKeys"].append("$WORK_KEY"),
        "error",
        "the environment variable WORK_KEY it names is not set",
        "set WORK_KEY where okr-tui runs",
    ),
    "failing command": (
        lambda document: document["pi-ollama"]["apiKeys"].append("!false"),
        "error",
        "its command ended with exit code 1",
        "run the command by hand",
    ),
    "store": (
        lambda document: document["okr-tui"].update(store="mysql://x"),
        "error",
        "unknown store mysql",
        "okr-tui.store",
    ),
    "no cloud there": (
        lambda document: document["pi-ollama"].update(cloudUrl="http://127.0.0.1:1"),
        "error",
        "connection refused by 127.0.0.1:1",
        "check that a server listens there",
    ),
    "refused cloud": (
        lambda document: document["pi-ollama"].update(cloudUrl="http://cloud.example"),
        "error",
        "cloudUrl cannot be used",
        "correct it",
    ),
    "exposed host": (
        lambda document: document["okr-tui"].update(gateway={"port": 0, "host": "0.0.0.0"}),
        "warning",
        "gateway.host 0.0.0.0 can be reached by other machines",
        "serve --expose",
    ),
    "exposed host, started by itself": (
        lambda document: document["okr-tui"].update(gateway={"port": 0, "host": "::", "autostart": True}),
        "error",
        "the dashboard starts no gateway",
        "serve --expose",
    ),
    "no host": (
        lambda document: document["okr-tui"].update(gateway={"port": 9, "host": "not a host"}),
        "error",
        "not a host port 9 cannot be used",
        "gateway.port",
    ),
}


@pytest.mark.parametrize("address", ["sqlite:", "sqlite:/", "sqlite:."])
def test_a_log_without_a_file_name_ends_nothing(home: CliHarness, address: str) -> None:
    found = home.run("--store", address, "doctor")
    assert "unexpected" not in found.err
    assert found.code == 1


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_do_not_work(home: CliHarness, name: str) -> None:
    edit, severity, what, remedy = SETTINGS[name]
    change(home, edit)
    assert has(doctor(home), severity, what, remedy)


def state_of(home: CliHarness) -> Path:
    return home.folder / ".local" / "state" / "okr-tui"


def put(path: Path, content: bytes = b"", mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def replaced(home: CliHarness, old: str, new: str) -> None:
    home.settings_file.write_text(home.settings_file.read_text().replace(old, new))


def aged(path: Path, at: float) -> None:
    path.mkdir(exist_ok=True)
    os.utime(path, (at, at))


def encoded(home: CliHarness, encoding: str) -> None:
    put(home.settings_file, home.settings_file.read_text().encode(encoding))


def moved(home: CliHarness, to: str) -> None:
    """Leave a link to a file that is not there."""
    home.settings_file.unlink()
    home.settings_file.symlink_to(to)


def pipe(home: CliHarness) -> None:
    home.settings_file.unlink()
    os.mkfifo(home.settings_file)


# What is set up, the severity, what is found with its place and cause, and the remedy. {S} is the settings
# file as doctor names it, {P} its path, {T} the state folder.
FILES: Mapping[str, tuple[Callable[[CliHarness], object], str, str, str]] = {
    "a comment": (
        lambda home: replaced(home, "{", "// mine\n{"),
        "error",
        "{S}:1:1: not valid JSON: comments are not allowed here",
        "correct it there",
    ),
    "a comma too many": (
        lambda home: replaced(home, '"activeKeyIndex": 0', '"activeKeyIndex": 0,'),
        "error",
        "not valid JSON: a comma before the end of a list or an object",
        "correct it there",
    ),
    "a comma too few": (
        lambda home: replaced(home, '"kept",', '"kept"'),
        "error",
        "{S}:3:3: not valid JSON: a comma or a closing bracket is missing",
        "correct it there",
    ),
    "single quotes": (
        lambda home: replaced(home, '"theme"', "'theme'"),
        "error",
        "{S}:2:3: not valid JSON: names and strings have to be in double quotes",
        "correct it there",
    ),
    "half a file": (
        lambda home: put(home.settings_file, home.settings_file.read_bytes()[:-20]),
        "error",
        "not valid JSON",
        "correct it there",
    ),
    "an empty list": (
        lambda home: put(home.settings_file, b"[]"),
        "error",
        "must hold one JSON object",
        '{"pi-ollama": {"apiKeys": [...]}}',
    ),
    "UTF-16": (
        lambda home: encoded(home, "utf-16"),
        "error",
        "{S}:1:1: it is UTF-16 text",
        "save it as UTF-8",
    ),
    "UTF-16 without a mark": (
        lambda home: encoded(home, "utf-16-le"),
        "error",
        "not valid JSON: it contains null bytes, as UTF-16 does",
        "correct it there",
    ),
    "Latin-1": (
        lambda home: put(home.settings_file, b'{"theme": "\xe4"}'),
        "error",
        "{S}:1:12: not UTF-8 text",
        "save it as UTF-8",
    ),
    "a section twice": (
        lambda home: replaced(home, '"okr-tui": {', '"okr-tui": {},\n "okr-tui": {'),
        "error",
        '"okr-tui" appears there twice; only the last one counts',
        "merge the two into one",
    ),
    "a name twice in a section": (
        lambda home: replaced(home, '"activeKeyIndex": 0', '"activeKeyIndex": 1, "activeKeyIndex": 0'),
        "error",
        '"activeKeyIndex" appears there twice in "pi-ollama"',
        "merge the two into one",
    ),
    "a section with another spelling": (
        lambda home: replaced(home, '"okr-tui"', '"okr_tui"'),
        "error",
        '"okr_tui" is ignored: there is no such section',
        "write okr-tui there",
    ),
    "a section with a letter too few": (
        lambda home: replaced(home, '"pi-ollama"', '"pi-olama"'),
        "error",
        "{S}:3:",
        "write pi-ollama there",
    ),
    "keys outside of a section": (
        lambda home: put(home.settings_file, b'{"apiKeys": ["k"]}'),
        "error",
        "{S}:1:13: apiKeys is ignored: it belongs in pi-ollama",
        "move it there",
    ),
    "a port that is text": (
        lambda home: change(home, lambda document: document["okr-tui"].update(gateway={"port": "11435"})),
        "error",
        "gateway.port is ignored: it must be a whole number from 0 to 65535",
        "correct it there",
    ),
    "a pipe": (pipe, "error", "{S}: is not a file", "move it away"),
    "a link to nothing": (
        lambda home: moved(home, "gone.json"),
        "error",
        "{P} is a link to gone.json, which does not exist",
        "rm {P}",
    ),
    "a link to itself": (
        lambda home: moved(home, "settings.json"),
        "error",
        "{S}: cannot be read: ",
        "make it readable",
    ),
    "settings for all": (
        lambda home: home.settings_file.chmod(0o644),
        "warning",
        "(mode 0644)",
        "chmod 600 {P}",
    ),
    "a folder for all": (
        lambda home: home.folder.chmod(0o777),
        "warning",
        "other users may replace the files in",
        "chmod o-w",
    ),
    "an old lock": (
        lambda home: aged(Path(f"{home.settings_file}.lock"), 1),
        "warning",
        "{P}.lock was left behind by a program that died",
        "rmdir {P}.lock",
    ),
    "an old lock with something in it": (
        lambda home: aged(put(Path(f"{home.settings_file}.lock/x")).parent, 1),
        "error",
        "{P}.lock was left behind by a program that died",
        "rm -r {P}.lock",
    ),
    "a lock from the future": (
        lambda home: aged(Path(f"{home.settings_file}.lock"), time.time() + 3600),
        "error",
        "{P}.lock is dated in the future",
        "rmdir {P}.lock",
    ),
    "a lock that is a file": (
        lambda home: put(Path(f"{home.settings_file}.lock")),
        "error",
        "{P}.lock is a file, which blocks pi",
        "rm {P}.lock",
    ),
    "a state folder that is a file": (
        lambda home: put(state_of(home)),
        "error",
        "{T} is a file, not a folder",
        "mv {T} {T}.old",
    ),
    "a state folder for all": (
        lambda home: put(state_of(home) / "x").parent.chmod(0o777),
        "warning",
        "other users may replace the files in {T} (mode 0777)",
        "chmod o-w {T}",
    ),
    "no token in its file": (
        lambda home: put(state_of(home) / "gateway-token"),
        "error",
        "{T}/gateway-token contains no token",
        "okr-tui token rotate",
    ),
    "a token for all": (
        lambda home: put(state_of(home) / "gateway-token", b"0" * 43, 0o644),
        "warning",
        "other users may read or write {T}/gateway-token (mode 0644)",
        "chmod 600 {T}/gateway-token",
    ),
    "damaged conversations": (
        lambda home: put(state_of(home) / "conversations.db", b"junk" * 500),
        "error",
        "the conversations in {T}/conversations.db are damaged: file is not a database",
        "mv {T}/conversations.db",
    ),
    "a gateway that was killed": (
        lambda home: put(
            state_of(home) / "gateways" / "9.json",
            b'{"url": "http://127.0.0.1:9", "daemon_url": null, "pid": 9, "version": ""}',
        ),
        "warning",
        "{T}/gateways/9.json was left behind by a gateway that was killed",
        "rm {T}/gateways/9.json",
    ),
    "half an announcement": (
        lambda home: put(state_of(home) / "gateways" / "9.json", b'{"url": '),
        "warning",
        "{T}/gateways/9.json was left behind",
        "rm {T}/gateways/9.json",
    ),
    "a log that is a folder": (
        lambda home: (home.folder / "log.db").mkdir(),
        "error",
        "log.db: is a directory",
        "move away what is there instead",
    ),
    "a theme with a letter wrong": (
        lambda home: change(home, lambda document: document["okr-tui"].update(theme="okr-ligth")),
        "error",
        "theme okr-ligth is ignored: there is no such theme",
        "write okr-light there",
    ),
    "an address of another machine": (
        lambda home: change(
            home, lambda document: document["okr-tui"].update(gateway={"port": 9, "host": "192.0.2.1"})
        ),
        "error",
        "gateway.port: 192.0.2.1 port 9 cannot be used: cannot assign",
        "set gateway.host to an address of this machine",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_wrong_with_files_has_location_cause_and_remedy(home: CliHarness, name: str) -> None:
    setup, severity, what, remedy = FILES[name]
    setup(home)
    names = {"S": "~/settings.json", "P": str(home.settings_file), "T": str(state_of(home))}
    found = doctor(home, "--offline")
    for mark, text in names.items():
        what, remedy = what.replace(f"{{{mark}}}", text), remedy.replace(f"{{{mark}}}", text)
    assert has(found, severity, what, remedy), found
    marks = [level for level, _, _ in found]
    assert marks == sorted(marks, key=("error", "warning", "note").index)


@pytest.mark.parametrize("name", FILES)
def test_no_verb_is_held_up_or_crashes_over_it(home: CliHarness, name: str) -> None:
    FILES[name][0](home)
    for verb in (("status",), ("keys",), ("config", "list"), ("usage",)):
        assert "unexpected" not in home.run(*verb).err


@pytest.mark.parametrize(
    "name", ["an old lock", "a lock from the future", "a gateway that was killed", "a token for all"]
)
def test_a_safe_remedy_is_done(home: CliHarness, name: str) -> None:
    FILES[name][0](home)
    home.run_ok("doctor", "--offline", "--fix")
    assert doctor(home, "--offline") == []


def test_a_port_for_root_alone(home: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    why = "127.0.0.1 port 80 cannot be used: permission denied"
    monkeypatch.setattr("okr_tui.services.doctor._taken", lambda *_: why)
    change(home, lambda document: document["okr-tui"].update(gateway={"port": 80}))
    assert has(
        doctor(home, "--offline"), "error", f"gateway.port: {why}", "only root can use ports below 1024"
    )


def test_a_file_of_another_user_is_reported(home: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    if home.settings_file.stat().st_uid:
        assert has(doctor(home, "--offline"), "warning", "belongs to another user", "chown 54321")


def test_a_full_disk_under_the_log_is_reported(home: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    size = os.statvfs(home.folder)
    full = type("Full", (), {"f_bavail": 3, "f_frsize": size.f_frsize, "f_blocks": size.f_blocks})
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    assert has(doctor(home, "--offline"), "error", "the disk of the log", "make room")


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("HTTPS_PORXY", "HTTPS_PROXY"),
        ("http_prxy", "HTTP_PROXY"),
        ("OLLAMA_APIKEY", "OLLAMA_API_KEY"),
        ("OKR_TUI_SETINGS", "OKR_TUI_SETTINGS"),
        ("SSL_CERT_FLIE", "SSL_CERT_FILE"),
        ("OKR_TUI_THEME", None),
    ],
)
def test_a_variable_that_is_nearly_one_is_reported_without_its_value(
    home: CliHarness, monkeypatch: pytest.MonkeyPatch, variable: str, meant: str | None
) -> None:
    for known in ("FTP_PROXY", "OLLAMA_MODELS", "OLLAMA_KEEP_ALIVE", "no_proxy"):
        monkeypatch.setenv(known, "x")
    monkeypatch.setenv(variable, "secret-of-mine")
    found = doctor(home, "--offline")
    hint = f"; did you mean {meant}?" if meant else ""
    assert [(level, what) for level, what, _ in found] == [
        ("warning", f"the environment variable {variable} is not read{hint}")
    ]


def test_a_reading_that_the_cloud_puts_off_makes_no_key_bad(home: CliHarness) -> None:
    home.fault("overloaded", times=9, path="/api/balance")
    found = doctor(home)
    assert [level for level, what, _ in found if "could not be checked" in what] == 3 * ["warning"]


def test_a_server_of_the_log_that_is_away_is_reported_at_once(
    home: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("redis")
    monkeypatch.setattr("okr_tui.store.redis.PATIENCE", 60.0)
    set_log_patience(monkeypatch, 0.2)
    change(home, lambda document: document["okr-tui"].update(store="redis://127.0.0.1:1", name="birch"))
    began = time.monotonic()
    found = doctor(home)
    assert time.monotonic() - began < 30, "each way to the server was waited for"
    assert has(
        found, "error", "cannot open the log at redis://127.0.0.1:1: connection refused", "check the server"
    )


def test_an_ending_of_the_cloud_s_address_is_only_unwise(home: CliHarness) -> None:
    change(home, lambda document: document["pi-ollama"].update(cloudUrl=f"{home.url}/v1"))
    assert has(doctor(home), "warning", "its ending /v1 is left out")
    home.run_ok("doctor")


@pytest.mark.parametrize(
    ("variable", "value", "what"),
    [
        ("ALL_PROXY", "quic://proxy.example", "ALL_PROXY cannot be used"),
        ("HTTPS_PROXY", "http://", "HTTPS_PROXY cannot be used"),
        ("SSL_CERT_FILE", "/nonexistent/ca.pem", "SSL_CERT_FILE"),
    ],
)
def test_an_environment_that_does_not_work(
    home: CliHarness, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, what: str
) -> None:
    monkeypatch.setenv(variable, value)
    change(home, lambda document: document["pi-ollama"].update(cloudUrl="https://cloud.example"))
    assert has(doctor(home), "error", what)


def test_what_the_command_line_names_must_be_there(home: CliHarness) -> None:
    missing = home.folder / "no" / "such.json"
    found = doctor(home, before=("--settings", str(missing), "--project", str(home.folder / "gone")))
    assert has(found, "error", f"{missing}: there is no such file", "correct the path")
    assert has(found, "error", f"there is no folder {home.folder / 'gone'}", "--project")
    result = home.run("--settings", str(missing), "keys")
    assert f"{missing}: there is no such file, though --settings or OKR_TUI_SETTINGS names it" in result.err


def test_a_log_on_a_server_that_is_away(home: CliHarness) -> None:
    found = doctor(home, "--offline", before=("--store", "redis://user:hidden-word@127.0.0.1:1/0"))
    assert has(found, "error", "127.0.0.1:1", "check the server")
    assert "hidden-word" not in str(found)


def test_an_extra_that_is_missing(home: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "okr_tui.store.redis", None)
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "okr_tui.store.redis")
    found = doctor(home, before=("--store", "redis://127.0.0.1:1"))
    assert has(found, "error", "needs the extra redis", "pip")


def test_a_dead_key_and_two_keys_of_one_account(make_cli: MakeCli) -> None:
    cli = make_cli()
    change(cli, lambda settings: settings["okr-tui"].update(gateway={"port": 0}))
    change(cli, lambda settings: settings["pi-ollama"]["apiKeys"].append("dead-key-0123456789abcdef"))
    cli.settings_file.chmod(0o600)
    found = doctor(cli)
    assert has(found, "error", "key 5 dead…cdef is invalid: 401", "replace it")
    assert has(found, "warning", "key 2", "okr-tui remove-key 2")
    assert "belongs to the same account as key 1" in str(found)
    assert has(doctor(cli, "--offline"), "error", "key 5 dead…cdef is invalid: 401")


def test_a_clock_that_is_wrong(home: CliHarness) -> None:
    home.clock.machine_ahead = 7200
    assert has(doctor(home), "warning", "the clock of this machine is 2h 00m ahead of the cloud's", "set it")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


def test_a_port_that_another_program_has(home: CliHarness, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    change(home, lambda document: document["okr-tui"].update(gateway={"port": port}))
    found = doctor(home)
    assert has(found, "error", f"127.0.0.1 port {port} cannot be used: ", "choose another gateway.port")
    assert f"(process {os.getpid()}) listens there" in str(found)
    refused = home.run("serve")
    assert refused.code == 1
    assert f"(process {os.getpid()}) listens there" in refused.err


def test_who_holds_a_port_of_a_child(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    code = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[listener.fileno()],
    ) as child:
        assert child.stdout
        child.stdout.readline()
        listener.close()
        assert f"(process {child.pid})" in (holder(port) or "")
        child.communicate()
    assert holder(port) is None


def test_a_gateway_of_another_version_and_other_settings(home: CliHarness) -> None:
    state = home.folder / ".local" / "state" / "okr-tui"
    with announced(state, Presence("http://127.0.0.1:4", None, os.getpid(), "0.0.1")):
        change(home, lambda document: document["okr-tui"].update(gateway={"port": 4}))
        found = doctor(home)
        assert has(found, "warning", f"runs 0.0.1, this is {__version__}", "start it again")
        assert not has(found, "error", "port 4")
    with announced(state, Presence("http://127.0.0.1:4", None, os.getpid(), __version__)):
        assert doctor(home) == []
        change(home, lambda document: document["okr-tui"].update(gateway={"port": 5}))
        found = doctor(home)
        assert has(found, "warning", "the gateway runs at http://127.0.0.1:4, while the settings say")


def test_a_log_that_is_damaged(home: CliHarness) -> None:
    home.run_ok("keys", "--check")
    log = home.folder / "log.db"
    with sqlite3.connect(log) as database:
        database.execute("create table filler (body text)")
        database.executemany("insert into filler values (?)", [("x" * 3000,)] * 50)
        database.execute("create index fillers on filler (body)")
    database.close()
    raw = bytearray(log.read_bytes())
    raw[len(raw) - 40 * 4096 : len(raw) - 38 * 4096] = b"\xff" * 8192
    log.write_bytes(raw)
    assert has(doctor(home, "--offline"), "error", f"the log {log} is damaged", "a new one is started")


def test_a_log_whose_journal_has_no_room_is_not_damaged(
    home: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.run_ok("keys", "--check")
    connect = sqlite3.connect

    def refuse(address: str, **options: Any) -> sqlite3.Connection:
        if address.endswith("mode=ro"):  # as on a full disk
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
        opened: sqlite3.Connection = connect(address, **options)
        return opened

    monkeypatch.setattr("okr_tui.services.doctor.sqlite3.connect", refuse)
    assert not has(doctor(home, "--offline"), "error", "is damaged")


def test_a_log_that_was_set_aside_and_one_that_grows(
    home: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = home.folder / "log.db"
    log.write_bytes(b"no log at all" * 1000)
    log.chmod(0o600)
    found = doctor(home, "--offline")
    assert has(found, "warning", "was not a readable log")
    assert has(found, "note", "damaged logs were set aside", "rm ")
    monkeypatch.setattr("okr_tui.services.doctor.LARGEST_LOG", 1000)
    assert has(doctor(home, "--offline"), "warning", "keeps growing")
    home.run_ok("doctor", "--offline")


def test_files_that_cannot_be_watched(home: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise OSError("inotify instances reached")

    monkeypatch.setattr("watchfiles._rust_notify.RustNotify", exhausted)
    assert has(doctor(home), "warning", "cannot be watched", "fs.inotify.max_user_instances")


def test_a_copy_that_was_left_behind(home: CliHarness) -> None:
    copy = home.settings_file.with_name("settings.json.okr-tui-copy")
    copy.write_text("{}")
    assert has(doctor(home), "warning", str(copy), "compare the two")


def test_a_client_whose_connection_was_changed_by_hand(home: CliHarness) -> None:
    change(home, lambda document: document["okr-tui"].pop("gateway"))
    home.run_ok("connect", "pi", "--write")
    change(home, lambda document: document["okr-tui"].update(gateway={"port": 0}))
    models = home.folder / "models.json"
    assert doctor(home) == []
    document = json.loads(models.read_text())
    document["providers"]["ollama-cloud"]["baseUrl"] = "http://127.0.0.1:9/v1"
    models.write_text(json.dumps(document))
    assert has(doctor(home), "warning", f"ollama-cloud in {models} was changed since", "connect pi --write")


def test_a_file_of_another_client_that_was_changed_by_hand(home: CliHarness) -> None:
    change(home, lambda document: document["okr-tui"].pop("gateway"))
    config = home.folder / ".codex" / "config.toml"
    home.run_ok("refresh")
    home.run_ok("connect", "codex", "--write")
    change(home, lambda document: document["okr-tui"].update(gateway={"port": 0}))
    assert doctor(home) == []
    config.write_text(config.read_text() + "# mine\n")
    assert has(doctor(home), "warning", f"{config} was changed since connect codex", "connect codex --undo")


def test_safe_remedies_are_done(home: CliHarness) -> None:
    home.settings_file.chmod(0o644)
    left = Path(f"{home.settings_file}.lock")
    left.mkdir()
    os.utime(left, (1, 1))
    token = home.folder / ".local" / "state" / "okr-tui" / "gateway-token"
    token.parent.mkdir(parents=True)
    token.write_text("0" * 43)
    token.chmod(0o640)
    change(home, lambda document: document["okr-tui"].update(nonsense=1))
    document = home.run("doctor", "--fix", "--json").json
    fixed = {each["what"] for each in document["findings"] if each["fixed"]}
    assert len(fixed) == 3
    assert [each["severity"] for each in document["findings"] if not each["fixed"]] == ["error"]
    assert (home.settings_file.stat().st_mode & 0o777, token.stat().st_mode & 0o777) == (0o600, 0o600)
    assert not left.exists()
    change(home, lambda document: document["okr-tui"].pop("nonsense"))
    home.settings_file.chmod(0o644)
    assert "✔ " in home.run_ok("doctor", "--fix").out


def test_what_replaces_a_model_is_looked_for(home: CliHarness) -> None:
    others = ["no-such:1b", "ollama/gpt-oss:20b", "local:gpt-oss:20b", "local:llama9"]
    models = {"fallback": {"*": others}, "aliases": {"fast": "gone:1b"}, "local": home.url}
    change(home, lambda settings: settings["okr-tui"].update(models=models))
    home.run_ok("refresh")
    found = doctor(home)
    assert has(found, "warning", "no-such:1b, which the cloud does not list", "okr-tui models")
    assert has(found, "warning", "gone:1b, which the cloud does not list", "okr-tui models")
    assert has(found, "warning", "the local Ollama has no llama9", "ollama pull llama9")
    assert not any("gpt-oss:20b" in what for _, what, _ in found)
    change(home, lambda settings: settings["okr-tui"]["models"].update(local="http://127.0.0.1:1"))
    assert has(doctor(home), "warning", "the local Ollama http://127.0.0.1:1 does not answer", "ollama serve")
    assert not any("local Ollama" in what for _, what, _ in doctor(home, "--offline"))
