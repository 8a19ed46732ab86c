"""`okr-tui purge`: remove everything that okr-tui keeps, so that nothing stays behind after uninstalling."""

import contextlib
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from okr_tui.cli.invocation import Invocation, json_option
from okr_tui.cli.output import note, show, show_document
from okr_tui.domain.errors import OkrError, StoreError

if TYPE_CHECKING:
    from okr_tui.settings.json_edit import Document
    from okr_tui.settings.schema import Settings

DATABASES = ("", "-wal", "-shm")
SET_UP_BY_HAND: Final = {
    "~/.config/systemd/user/okr-tui.service": "systemctl --user disable --now okr-tui, then ",
    "~/Library/LaunchAgents/okr-tui.plist": "launchctl bootout gui/$UID/okr-tui, then ",
    "~/.config/fish/completions/okr-tui.fish": "",
}
"""Files that a person made of what we print, and what to do before they are removed."""
KEYS = ("apiKeys", "apiKey", "activeKeyIndex")


@click.command()
@click.option("--yes", is_flag=True, help="Remove without confirmation.")
@click.option("--keys", "with_keys", is_flag=True, help="Remove keys and okr-tui's settings too.")
@json_option
@click.pass_obj
def purge(invocation: Invocation, *, yes: bool, with_keys: bool, as_json: bool) -> None:
    """Remove everything okr-tui keeps: log, conversations, token, and what connect wrote.

    What connect wrote is undone first. Keys and settings stay, in settings.json and in the system's secret
    store, unless --keys is given. It refuses while okr-tui is running.
    """
    from okr_tui.settings.layers import load
    from okr_tui.store.factory import sqlite_path

    settings = load(invocation.sources(asks=False))
    try:
        state: Path | None = invocation.state_folder
    except StoreError:
        state = None
    log = sqlite_path(settings.store.value) if state or settings.store.value else None
    _refuse_while_running(state, log)
    paths = [*_paths(state, log), *_copies(settings)]
    entries = _secret_names(settings) if with_keys else ()
    for line in (
        *(f"remove {path}" for path in paths),
        *(["undo what connect wrote"] if state else ()),
        *([f"remove keys and okr-tui's settings from {settings.global_file}"] if with_keys else ()),
        *(f"remove the entry {name} of the secret store" for name in entries),
    ):
        note(line)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("there is no terminal to confirm on; use --yes")
        click.confirm("Remove all of that?", abort=True, err=True)
    if state and state.exists():
        _undo_connections(invocation, settings, state)
    for path in paths:
        _remove(path)
    if with_keys:
        _forget(settings, entries)
    kept = [*_kept(settings, with_keys=with_keys)]
    if as_json:
        show_document({"removed": [str(path) for path in paths], "kept": kept})
        return
    for path in paths:
        show(f"Removed {path}")
    for line in kept:
        show(f"Kept: {line}")


def _paths(state: Path | None, log: Path | None) -> Iterator[Path]:
    """Yield what okr-tui keeps: the state folder, and a log that is elsewhere."""
    if state and state.exists():
        yield state
    if log and state not in (None, *log.parents):
        yield from (path for end in DATABASES if (path := log.with_name(log.name + end)).exists())
        yield from sorted(log.parent.glob(f"{log.name}.broken-*"))


def _copies(settings: "Settings") -> Iterator[Path]:
    """Yield half-made copies of settings files, keys included, that a writer which was killed left behind."""
    from glob import escape

    for path in settings.files:
        yield from sorted(path.parent.glob(f".{escape(path.name)}.okr-tui-*.tmp"))


def _refuse_while_running(state: Path | None, log: Path | None) -> None:
    """Raise OkrError while a gateway runs, or a process has the log or the conversations open."""
    from okr_tui.services.gateway_registry import running_gateways

    for presence in running_gateways(state) if state else ():
        raise OkrError(f"a gateway is running in process {presence.pid}, at {presence.url}; end it first")
    for database in filter(None, (log, state and state / "conversations.db")):
        if _is_open(database):
            raise OkrError(f"okr-tui is running: a process has {database} open; end it first")


def _is_open(database: Path) -> bool:
    """Return whether another process has a database open: leaving write-ahead mode needs it alone.

    Source: https://www.sqlite.org/wal.html, section 3.3.
    """
    if not database.is_file():
        return False
    try:
        with closing(sqlite3.connect(database, timeout=0)) as connection:
            connection.execute("pragma journal_mode = delete").fetchone()
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    except sqlite3.DatabaseError:
        return False  # it is damaged, and goes like the rest
    return False


def _undo_connections(invocation: Invocation, settings: "Settings", state: Path) -> None:
    """Put back what connect wrote to files of clients. Raises SettingsError before anything is removed."""
    from okr_tui.cli import client_files
    from okr_tui.cli.connect import client_file
    from okr_tui.settings import pi

    done = pi.undo(pi.models_file(settings.global_file), state)
    if done and done.changed:
        note(f"Undid connect in {done.path}")
    for client in client_files.written(state):
        file = client_file(client, invocation.sources().environment, None)
        if file and client_files.undo(client, file, state) != "nothing":
            note(f"Undid connect in {file.path}")


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise OkrError(f"{path} cannot be removed: {error.strerror}; remove it by hand") from None


def _secret_names(settings: "Settings") -> tuple[str, ...]:
    """Return the entries of the secret store that the settings name."""
    from okr_tui.settings.key_references import KEYRING
    from okr_tui.settings.keys import kind

    references = (source.reference for source in settings.key_sources)
    names = (each.get_secret_value().strip() for each in references if kind(each) == "keyring")
    return tuple(name.removeprefix(KEYRING) for name in names)


def _forget(settings: "Settings", entries: tuple[str, ...]) -> None:
    """Take keys and the section okr-tui out of the user's file, and the entries out of the secret store."""
    from okr_tui.settings import file
    from okr_tui.settings.json_edit import take_out
    from okr_tui.settings.key_references import forget
    from okr_tui.settings.table import ORIGINAL, OURS, SHORT

    for name in entries:
        if problem := forget(name):
            note(f"okr-tui: the entry {name} stays in the secret store: {problem.message}")

    def without(document: "Document") -> str:
        text = take_out(document.text, (OURS,))
        for section in (ORIGINAL, SHORT):
            values = document.root.get(section)
            left = [name for name in values if name not in KEYS] if isinstance(values, dict) else []
            paths = [(section, name) for name in KEYS] if left else [(section,)]
            for path in paths:
                text = take_out(text, path)
        return text

    with contextlib.suppress(FileNotFoundError):
        file.rewrite(settings.global_file, (), without)


def _kept(settings: "Settings", *, with_keys: bool) -> Iterator[str]:
    from okr_tui.domain.addresses import without_password
    from okr_tui.settings.file import COPY
    from okr_tui.store.factory import is_shared

    if not with_keys and settings.global_file.exists():
        yield f"keys and settings in {settings.global_file}; purge --keys removes them"
    address = settings.store.value or ""
    if is_shared(address):
        yield f"the log on {without_password(address)}, which others may share"
    if settings.project_file.exists():
        yield f"the project's own {settings.project_file}"
    for path in settings.files:
        if (copy := path.with_name(path.name + COPY)).exists():
            yield f"{copy}, an earlier version of {path}; compare the two, then rm {copy}"
    for unit, stop in SET_UP_BY_HAND.items():
        if (path := Path(unit).expanduser()).exists():
            yield f"{path}, which you made; {stop}rm {path}"
