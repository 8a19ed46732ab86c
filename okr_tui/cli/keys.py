"""The pool by hand: `keys`, `rotate`, `use-key` and their like."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import tzinfo
from typing import TYPE_CHECKING

import click

from okr_tui.cli.documents import key_document, keys_document
from okr_tui.cli.invocation import NUMBERED, Invocation, json_option, key_number, local_zone, run
from okr_tui.cli.text import cut, note, show, show_document, table
from okr_tui.domain.errors import NO_KEY, SettingsError
from okr_tui.domain.health import WINDOW_WORDS
from okr_tui.domain.keys import Key
from okr_tui.domain.quota import Balance
from okr_tui.domain.state import PoolState
from okr_tui.domain.view import KeyView, PoolView
from okr_tui.domain.words import GLYPHS, moment, sentence

if TYPE_CHECKING:
    from okr_tui.services.pool_service import PoolService

LABEL = 12


@click.command()
@click.option("--check", is_flag=True, help="Read identity and balance of each account first.")
@json_option
@click.pass_obj
def keys(invocation: Invocation, *, check: bool, as_json: bool) -> None:
    """The pool: each key's state, quota and account."""

    async def work(service: "PoolService") -> None:
        if check:
            await _check(service)
        snapshot = service.snapshot
        if as_json:
            show_document(keys_document(snapshot.pool))
            return
        for line in _pool_lines(snapshot.pool, snapshot.at, local_zone()):
            show(line)
        if not snapshot.pool.keys:
            note(f"okr-tui: {NO_KEY}")

    run(invocation, work)


async def _check(service: "PoolService") -> None:
    """Read who each key belongs to, then each account's quota through its first key that is not refused.

    A refused key is looked at once more before it is called invalid.
    """
    pool, quota_poller = service.pool, service.quota_poller
    used = [key for key in pool.config.keys if not pool.state.key(key.fingerprint).disabled]
    refusals = await asyncio.gather(*map(quota_poller.identity, used))
    accepted = [key for key, fault in zip(used, refusals, strict=True) if fault is None]
    speakers = _speakers(pool.state, accepted)
    refusals += await asyncio.gather(*map(quota_poller.balance, speakers))
    for key, fault in zip([*used, *speakers], refusals, strict=True):
        if fault:
            quota_poller.faulted(key, fault)
            status = f"{fault.status} " if fault.status else ""
            note(f"okr-tui: #{pool.config.index(key.fingerprint)} {key.masked}: {status}{fault.text}")
    await quota_poller.settle(pool.policy.confirm_at_exit)


def _speakers(state: PoolState, accepted: list[Key]) -> list[Key]:
    first: dict[str, Key] = {}
    for key in accepted:
        first.setdefault(state.account_of(key.fingerprint), key)
    return list(first.values())


def _pool_lines(pool: PoolView, now: float, zone: tzinfo) -> list[str]:
    lines = [
        "🔑 Ollama Cloud Key Pool",
        f"Total: {len(pool.keys)}",
        f"Active: {active_words(pool, now, zone)}",
    ]
    rows = [
        (
            f"{'👉' if row.index == pool.active else '  '} #{row.index}",
            row.masked,
            cut(row.label or row.account or "-", LABEL),
            row.plan or "-",
            f"{GLYPHS[row.state]} {row.state.value}",
            _remark(row, now, zone),
        )
        for row in pool.keys
    ]
    return [*lines, "", *table(rows)] if rows else lines


def active_words(pool: PoolView, now: float, zone: tzinfo) -> str:
    """The key that the next request takes, or when the first one is back."""
    if pool.active is None:
        back = f", the first is back {moment(pool.earliest, now, zone)}" if pool.earliest else ""
        return f"(none){back}"
    return f"#{pool.active} {pool.keys[pool.active - 1].masked}"


def _remark(row: KeyView, now: float, zone: tzinfo) -> str:
    if not row.verdict.eligible:
        return sentence(row.verdict, now, zone)
    if row.same_as:
        return f"same as #{row.same_as}"
    return quota_words(row.balance)


def quota_words(balance: Balance | None) -> str:
    """How much of each window is used, and the dollars that are left."""
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
    """Do one thing to the pool and say so; without an index it concerns the preferred key."""

    async def work(service: "PoolService") -> None:
        said = await command(service)
        pool = service.snapshot.pool
        place = index or pool.preferred
        if as_json:
            show_document({"message": said, "key": place and key_document(pool.keys[place - 1])})
        else:
            show(said)

    run(invocation, work)


async def _saved(service: "PoolService", choice: "Callable[[], Coroutine[None, None, str]]") -> str:
    """A choice of the preferred key, which is of no use unless it can be written."""
    if shadow := service.configuration.settings.index_shadow:
        raise SettingsError(f"the active key stays as it is: {shadow}")
    return await choice()


@click.command()
@json_option
@click.pass_obj
def rotate(invocation: Invocation, *, as_json: bool) -> None:
    """Prefer the next key that is not known to be blocked, and write the choice."""
    _command(invocation, None, lambda service: _saved(service, service.rotate), as_json=as_json)


@click.command(context_settings=NUMBERED)
@click.argument("number", type=key_number, metavar="N")
@json_option
@click.pass_obj
def use_key(invocation: Invocation, number: int, *, as_json: bool) -> None:
    """Prefer key N, counted from 1, and write the choice."""
    _command(
        invocation,
        number,
        lambda service: _saved(service, lambda: service.use_key(number)),
        as_json=as_json,
    )


@click.command(context_settings=NUMBERED)
@click.argument("number", type=key_number, metavar="N")
@json_option
@click.pass_obj
def enable_key(invocation: Invocation, number: int, *, as_json: bool) -> None:
    """Put key N, counted from 1, back into the pool."""
    _command(invocation, number, lambda service: service.set_enabled(number, enabled=True), as_json=as_json)


@click.command(context_settings=NUMBERED)
@click.argument("number", type=key_number, metavar="N")
@json_option
@click.pass_obj
def disable_key(invocation: Invocation, number: int, *, as_json: bool) -> None:
    """Take key N, counted from 1, out of the pool until it is enabled again."""
    _command(invocation, number, lambda service: service.set_enabled(number, enabled=False), as_json=as_json)


@click.command(context_settings=NUMBERED)
@click.argument("number", type=key_number, metavar="N")
@json_option
@click.pass_obj
def test_key(invocation: Invocation, number: int, *, as_json: bool) -> None:
    """Read identity and balance of key N, counted from 1. It costs no quota."""
    _command(invocation, number, lambda service: service.test_key(number), as_json=as_json)


@click.command(context_settings=NUMBERED)
@click.argument("number", type=key_number, metavar="N")
@json_option
@click.pass_obj
def reset_key(invocation: Invocation, number: int, *, as_json: bool) -> None:
    """Forget every older fault of key N, counted from 1, and of its account."""
    _command(invocation, number, lambda service: service.reset_key(number), as_json=as_json)
