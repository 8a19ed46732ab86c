"""What is ours goes, and nothing else does."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from okr_tui.services.gateway_registry import Presence, announced
from okr_tui.store.sqlite import SqliteStore
from tests.cli.harness import MODEL, CliHarness


def state(cli: CliHarness) -> Path:
    return cli.folder / ".local" / "state" / "okr-tui"


def test_everything_of_ours_is_removed_after_a_question(cli: CliHarness) -> None:
    models = cli.folder / "models.json"
    before = '{\n  "providers": {"mine": {"models": []}}\n}\n'
    models.write_text(before)
    cli.run_ok("connect", "pi", "--write")
    cli.run_ok("chat", MODEL, "hello")
    assert models.read_text() != before
    assert (state(cli) / "gateway-token").exists()
    settings = cli.settings_file.read_bytes()
    refused = cli.run("purge")
    assert (refused.code, state(cli).exists()) == (2, True)
    assert f"remove {state(cli)}" in refused.err
    result = cli.run_ok("purge", "--yes", "--json")
    assert result.json["removed"][0] == str(state(cli))
    assert not state(cli).exists()
    assert not list(cli.folder.glob("log.db*"))
    assert models.read_text() == before
    assert cli.settings_file.read_bytes() == settings
    assert "purge --keys removes them" in result.json["kept"][0]
    assert cli.run_ok("purge", "--yes").code == 0


def test_files_of_other_clients_are_put_back_too(cli: CliHarness) -> None:
    config = cli.folder / ".codex" / "config.toml"
    config.parent.mkdir()
    config.write_text('model = "mine"\n')
    cli.run_ok("refresh")
    cli.run_ok("connect", "codex", "--write")
    assert config.read_text() != 'model = "mine"\n'
    cli.run_ok("purge", "--yes")
    assert config.read_text() == 'model = "mine"\n'


def test_what_killed_writers_left_goes_and_what_a_person_made_is_named(cli: CliHarness) -> None:
    half = cli.settings_file.with_name(".settings.json.okr-tui-x1y2.tmp")
    half.write_text(cli.keys[0][0])
    copy = cli.settings_file.with_name("settings.json.okr-tui-copy")
    copy.write_text("{}")
    unit = cli.folder / ".config" / "systemd" / "user" / "okr-tui.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("")
    document = cli.run_ok("purge", "--yes", "--json").json
    assert str(half) in document["removed"]
    assert (half.exists(), copy.exists(), unit.exists()) == (False, True, True)
    kept = "\n".join(document["kept"])
    assert f"{copy}, an earlier version of {cli.settings_file}" in kept
    assert f"{unit}, which you made; systemctl --user disable --now okr-tui, then rm {unit}" in kept


def test_keys_go_only_when_that_is_asked_for(cli: CliHarness) -> None:
    document = json.loads(cli.settings_file.read_text())
    document["ollama"] = {"apiKey": cli.keys[3][0]}
    document["okr-tui"]["strategy"] = "drain"
    cli.settings_file.write_text(json.dumps(document))
    cli.run_ok("purge", "--yes", "--keys")
    left = json.loads(cli.settings_file.read_text())
    assert left == {"theme": "kept", "pi-ollama": {"cloudUrl": cli.url}}


def test_it_is_refused_while_a_gateway_runs(cli: CliHarness) -> None:
    with announced(state(cli), Presence("http://127.0.0.1:4", None, os.getpid())):
        result = cli.run("purge", "--yes")
    assert result.code == 1
    assert f"a gateway is running in process {os.getpid()}" in result.err
    assert state(cli).exists()


def test_it_is_refused_while_a_process_has_the_log_open(cli: CliHarness) -> None:
    cli.run_ok("disable-key", "1")
    opened = asyncio.new_event_loop()
    store = opened.run_until_complete(SqliteStore.open(cli.folder / "log.db"))
    try:
        result = cli.run("purge", "--yes")
        assert result.code == 1
        assert "okr-tui is running" in result.err
        assert (cli.folder / "log.db").exists()
    finally:
        opened.run_until_complete(store.close())
        opened.close()
    cli.run_ok("purge", "--yes")
    assert not (cli.folder / "log.db").exists()


def test_what_cannot_be_removed_is_named(cli: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.run_ok("disable-key", "1")

    unlink = Path.unlink

    def forbidden(path: Path, **how: bool) -> None:
        if path.name == "log.db":
            raise PermissionError(13, "Permission denied")
        unlink(path, **how)

    monkeypatch.setattr(Path, "unlink", forbidden)
    result = cli.run("purge", "--yes")
    assert result.code == 1
    assert "log.db cannot be removed: Permission denied; remove it by hand" in result.err
