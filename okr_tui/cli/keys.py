"""`okr-tui keys`, and the verbs that change the pool: rotate, use, add, remove, enable, test, reset ..."""

import sys
from collections.abc import Callable, Coroutine
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

import click

from okr_tui.cli.completion import complete_keys
from okr_tui.cli.documents import key_document, keys_document
from okr_tui.cli.invocation import (
    NUMBERED,
    Invocation,
    end_with_code,
    exit_code_option,
    json_option,
    key_number,
    local_zone,
    overview,
    run,
)
from okr_tui.cli.output import cut, note, one_line, show, show_document, show_text, table
from okr_tui.domain.errors import NO_KEY, KeyRefusedError, OkrError, SettingsError
from okr_tui.domain.words import WINDOW_WORDS, moment, sentence

if TYPE_CHECKING:
    from okr_tui.domain.keys import Key, SecretStr
    from okr_tui.domain.quota import Balance
    from okr_tui.services.overview import BalanceLine, KeyLine, PoolLine
    from okr_tui.services.pool_service import PoolService
    from okr_tui.services.quota_poller import Look
    from okr_tui.settings.pi import Stored

AT_ONCE = 16
LABEL = 12
LONGEST = 1024 * 1024
STANDARD_INPUT = "-"


@click.command()
@click.option("--check", is_flag=True, help="Read identity and balance of each account first.")
@exit_code_option
@json_option
@click.pass_obj
def keys(invocation: Invocation, *, check: bool, with_code: bool, as_json: bool) -> None:
    """List the keys with their state, quota and account.

    With --check, the exit code is 1 when a key could not be read or is refused.
    """
    failed = 0

    async def read(service: "PoolService") -> None:
        nonlocal failed
        failed = await _check(service)

    found = overview(invocation, read if check else None)
    if as_json:
        show_document(keys_document(found.pool))
    else:
        for line in _pool_lines(found.pool, found.at, local_zone()):
            show(line)
        if not found.pool.keys:
            note(f"okr-tui: {NO_KEY}")
    if with_code:
        end_with_code(len(found.pool.keys), usable=found.pool.usable)
    if failed:
        raise click.exceptions.Exit(1)


async def _check(service: "PoolService") -> int:
    """Read who each key belongs to, and each account's quota once; a recent reading counts.

    Return how many keys could not be read, or are refused. A refused key is checked again before it is called
    invalid.
    """
    import asyncio

    pool, quota_poller = service.pool, service.quota_poller
    used = pool.config.in_use(pool.state)
    few = asyncio.Semaphore(AT_ONCE)

    async def looked(key: "Key") -> "Look":
        async with few:
            return await quota_poller.look(key)

    looks = await asyncio.gather(*map(looked, used))
    for key, (fresh, fault) in zip(used, looks, strict=True):
        if fault:
            if fresh:
                quota_poller.faulted(key, fault)
            note(f"okr-tui: #{pool.config.index(key.fingerprint)} {key.masked}: {fault.sentence}")
    if young := sum(not look.fresh for look in looks):
        note(f"okr-tui: accounts read less than {pool.policy.poll_gap:g} s ago are not read again: {young}")
    await quota_poller.settle(pool.policy.confirm_at_exit)
    unread = {key.fingerprint for key, (_, fault) in zip(used, looks, strict=True) if fault}
    refused = {row.fingerprint for row in pool.view().keys if row.state.traits.refused}
    return len(unread | refused)


def _pool_lines(pool: "PoolLine", now: float, zone: tzinfo) -> list[str]:
    lines = [
        "🔑 Ollama Cloud Key Pool",
        f"Total: {len(pool.keys)}",
        f"Active: {active_words(pool, now, zone)}",
    ]
    rows = [
        (
            f"{'👉' if row.number == pool.active else '  '} #{row.number}",
            row.masked,
            cut(row.label or row.account or "-", LABEL),
            row.plan or "-",
            f"{row.verdict.glyph} {row.verdict.state}",
            _remark(row, now, zone),
        )
        for row in pool.keys
    ]
    return [*lines, "", *table(rows)] if rows else lines


def active_words(pool: "PoolLine", now: float, zone: tzinfo) -> str:
    """Return which key the next request takes, or when the first one is back."""
    if pool.waits_for_slot:
        return "(none), no key is free"
    if pool.active is None:
        back = f", the first is back {moment(pool.earliest, now, zone)}" if pool.earliest else ""
        return f"(none){back}"
    return f"#{pool.active} {pool.keys[pool.active - 1].masked}"


def _remark(row: "KeyLine", now: float, zone: tzinfo) -> str:
    if not row.verdict.eligible:
        return sentence(row.verdict, now, zone)
    if row.same_as:
        return f"same as #{row.same_as}"
    return quota_words(row.balance)


def quota_words(balance: "Balance | BalanceLine | None") -> str:
    """Return how much of each window is used, and the dollars that are left."""
    if balance is None:
        return ""
    parts = [
        f"{WINDOW_WORDS.get(window.name, window.name)} {window.used_percent:.0f}%"
        for window in balance.windows
        if window.used_percent is not None
    ]
    if balance.credits:
        parts.append(f"${balance.credits.balance_usd + balance.purchased_usd:.2f} left")
    return "  ".join(parts)


def _command(
    invocation: Invocation,
    index: int | None,
    command: "Callable[[PoolService], Coroutine[None, None, str]]",
    *,
    as_json: bool,
) -> None:
    """Run one command and show its message with key `index`, or with the preferred key."""

    async def work(service: "PoolService") -> None:
        message = await command(service)
        if not as_json:
            show_text(message)
            return
        pool = service.overview.pool
        number = index or pool.preferred
        show_document({"message": message, "key": number and key_document(pool.keys[number - 1])})

    run(invocation, work)


async def _saved(service: "PoolService", choice: "Callable[[], Coroutine[None, None, str]]") -> str:
    """Choose the preferred key. Raises SettingsError when the choice cannot be saved."""
    if shadow := service.configuration.settings.index_shadow:
        raise SettingsError(f"the active key stays as it is: {shadow}")
    return await choice()


@click.command()
@json_option
@click.pass_obj
def rotate(invocation: Invocation, *, as_json: bool) -> None:
    """Prefer the next key that is not blocked.

    The choice is written to the settings.
    """
    _command(invocation, None, lambda service: _saved(service, service.rotate), as_json=as_json)


@click.command(context_settings=NUMBERED)
@click.argument("number", type=key_number, metavar="N", shell_complete=complete_keys)
@json_option
@click.pass_obj
def use_key(invocation: Invocation, number: int, *, as_json: bool) -> None:
    """Prefer key N.

    Keys count from 1; the choice is written to the settings.
    """
    _command(
        invocation,
        number,
        lambda service: _saved(service, lambda: service.use_key(number)),
        as_json=as_json,
    )


@click.command(context_settings=NUMBERED)
@click.argument("number", type=key_number, metavar="N", shell_complete=complete_keys)
@json_option
@click.pass_obj
def enable_key(invocation: Invocation, number: int, *, as_json: bool) -> None:
    """Put key N back into the pool."""
    _command(invocation, number, lambda service: service.set_enabled(number, enabled=True), as_json=as_json)


@click.command(context_settings=NUMBERED)
@click.argument("number", type=key_number, metavar="N", shell_complete=complete_keys)
@json_option
@click.pass_obj
def disable_key(invocation: Invocation, number: int, *, as_json: bool) -> None:
    """Take key N out of the pool until it is enabled again."""
    _command(invocation, number, lambda service: service.set_enabled(number, enabled=False), as_json=as_json)


@click.command(context_settings=NUMBERED)
@click.argument("number", type=key_number, metavar="N", shell_complete=complete_keys)
@json_option
@click.pass_obj
def test_key(invocation: Invocation, number: int, *, as_json: bool) -> None:
    """Read identity and quota of key N; this costs no quota."""
    _command(invocation, number, lambda service: service.test_key(number), as_json=as_json)


@click.command(context_settings=NUMBERED)
@click.argument("number", type=key_number, metavar="N", shell_complete=complete_keys)
@json_option
@click.pass_obj
def reset_key(invocation: Invocation, number: int, *, as_json: bool) -> None:
    """Forget all earlier faults of key N and its account."""
    _command(invocation, number, lambda service: service.reset_key(number), as_json=as_json)


@click.command(context_settings=NUMBERED)
@click.option("--label", help="A label for the key.")
@click.option("--keyring", "in_keyring", is_flag=True, help="Store the key in the system's secret store.")
@click.option("--check/--no-check", default=True, help="Ask the cloud about the key first  [default: yes]")
@click.argument("given", nargs=-1, metavar="")
@json_option
@click.pass_obj
def add_key(
    invocation: Invocation,
    label: str | None,
    given: tuple[str, ...],
    *,
    in_keyring: bool,
    check: bool,
    as_json: bool,
) -> None:
    """Add a key, typed at a hidden prompt or piped in.

    It goes to the global settings file, or with --keyring to the system's secret store. The cloud is asked
    about it first, which costs no quota; a key that it refuses is not added, one that could not be tested is.
    """
    if given:
        # Named here so that the usual message about an unexpected argument does not repeat it.
        raise click.UsageError(
            "a key is never an argument, where other users could see it; type it at the prompt or pipe it in"
        )
    secret = _read_key()

    async def work(service: "PoolService") -> None:
        before = {key.fingerprint for key in service.pool.config.keys}
        try:
            tested = f"; {await service.try_key(secret, label)}" if check else ""
        except KeyRefusedError as error:
            raise KeyRefusedError(f"{error}; --no-check adds it anyway") from None
        added_words = await service.add_key(secret, label=label, keep="keyring" if in_keyring else "file")
        message = f"{added_words}{tested}"
        added = [row for row in service.overview.pool.keys if row.fingerprint not in before]
        if as_json:
            show_document({"message": message, "key": key_document(added[0])})
        else:
            show_text(message)

    run(invocation, work)


def _read_key() -> "SecretStr":
    from okr_tui.domain.keys import SecretStr

    if sys.stdin.isatty():
        return SecretStr(click.prompt("Key", hide_input=True, err=True).strip())
    return SecretStr(sys.stdin.buffer.read(LONGEST).decode(errors="replace").strip())


@click.command(context_settings=NUMBERED)
@click.argument("number", type=key_number, metavar="N", shell_complete=complete_keys)
@click.option("--forget", is_flag=True, help="Delete it from the system's secret store too.")
@click.option("--yes", is_flag=True, help="Remove without confirmation.")
@json_option
@click.pass_obj
def remove_key(invocation: Invocation, number: int, *, forget: bool, yes: bool, as_json: bool) -> None:
    """Remove key N from the settings.

    It shows which key that is and, on a terminal, asks first.
    """

    async def work(service: "PoolService") -> None:
        key = service.key(number)
        gone = service.overview.pool.keys[number - 1]
        if not yes and sys.stdin.isatty():
            where = service.configuration.settings.key_sources[number - 1].origin.describe()
            label = f" {key.label}" if key.label else ""
            click.confirm(one_line(f"Remove #{number} {key.masked}{label} of {where}?"), abort=True, err=True)
        message = await service.remove_key(number, forget=forget)
        if as_json:
            show_document({"message": message, "key": key_document(gone)})
        else:
            show_text(message)

    run(invocation, work)


@click.command(context_settings=NUMBERED)
@click.argument("number", type=key_number, metavar="N", shell_complete=complete_keys)
@click.argument("text", required=False)
@json_option
@click.pass_obj
def label_key(invocation: Invocation, number: int, text: str | None, *, as_json: bool) -> None:
    """Give key N a label; without TEXT, take its label away."""
    _command(invocation, number, lambda service: service.label_key(number, text), as_json=as_json)


@click.command()
@click.argument("source", required=False)
@click.option("--yes", is_flag=True, help="Add without confirmation.")
@json_option
@click.pass_obj
def import_keys(invocation: Invocation, source: str | None, *, yes: bool, as_json: bool) -> None:
    """Add the keys for Ollama that another program holds.

    SOURCE is pi's auth.json (the default), a .env, a configuration of LiteLLM or CLIProxyAPI, a file with a
    key on each line, or - for standard input. Of a configuration, only keys for ollama.com are taken.
    """
    from okr_tui.settings.keys import kind

    where, found = _stored(invocation, source)
    if not found:
        raise OkrError(f"{where} has no API key for Ollama; nothing was added")
    for stored in found:
        note(f"{stored.provider}: {stored.words}")
    runs_commands = any(kind(stored.reference) == "command" for stored in found)
    if not yes and (source != STANDARD_INPUT or runs_commands):
        if not sys.stdin.isatty():
            raise click.UsageError("there is no terminal to confirm on; use --yes")
        click.confirm("Add to the pool?", abort=True, err=True)

    async def work(service: "PoolService") -> None:
        done = [await _imported(service, stored) for stored in found]
        if as_json:
            show_document(
                {"message": f"{sum(ok for ok, _ in done)} added", "keys": [message for _, message in done]}
            )
        for _, message in () if as_json else done:
            show_text(message)
        if not any(ok for ok, _ in done):
            raise OkrError(f"no key of {where} was added")

    run(invocation, work)


def _stored(invocation: Invocation, source: str | None) -> "tuple[str, list[Stored]]":
    """Return where keys are taken from, for people, and the keys."""
    from okr_tui.settings.import_sources import decoded, keys_in, read_text
    from okr_tui.settings.locations import agent_folder
    from okr_tui.settings.pi import auth_file, stored_keys

    environment = invocation.sources().environment
    if source is None:
        path = auth_file(agent_folder(environment))
        return str(path), stored_keys(path, environment)
    if source == STANDARD_INPUT:
        path = Path("-")
        return "standard input", keys_in(decoded(sys.stdin.buffer.read(LONGEST + 1), path), path, environment)
    path = Path(source)
    return str(path), keys_in(read_text(path), path, environment)


async def _imported(service: "PoolService", stored: "Stored") -> tuple[bool, str]:
    try:
        return True, f"{stored.provider}: {await service.take_key(stored.reference)}"
    except SettingsError as error:
        return False, f"{stored.provider}: {error}"
