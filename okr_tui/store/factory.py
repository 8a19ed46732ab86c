"""From a store's address to the store."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs

from okr_tui.domain.errors import StoreError

if TYPE_CHECKING:
    from okr_tui.store.base import Store


NO_FOLDER: Final = (
    "there is no home folder, and so no place for the log and the gateway's token: "
    "set HOME or XDG_STATE_HOME, or name a log with --store"
)


def state_folder() -> Path:
    """Return where the program keeps what it remembers, by the platform's custom.

    Raises StoreError for a user without a home folder.
    """
    try:
        folder = platformdirs.user_state_path("okr-tui", appauthor=False)
    except RuntimeError:
        raise StoreError(NO_FOLDER) from None
    if not folder.is_absolute():  # what older releases of platformdirs return then
        raise StoreError(NO_FOLDER)
    return folder


def default_log() -> Path:
    """Return the log of a user who configured none."""
    return state_folder() / "log.db"


def default_address() -> str:
    """Return the address of that log for people; "-" where it has no place."""
    try:
        return f"sqlite:{default_log()}"
    except StoreError:
        return "-"


def _path(place: str) -> Path:
    return Path(os.path.expanduser(place))


def locate_store(url: str | None) -> "Store":
    """Return the store at an address, which its first call opens. Raises StoreError for no such address.

    Addresses are `sqlite:PATH` (the default, in the state folder), `redis://`, `rediss://`, `valkey://`,
    `valkeys://`, `unix://SOCKET` and `memory:`.
    """
    if url is None:
        url = f"sqlite:{default_log()}"
    scheme, _, place = url.partition(":")
    if scheme == "memory":
        from okr_tui.store.memory import MemoryStore

        return MemoryStore()
    if scheme == "sqlite" and place:
        from okr_tui.store.sqlite import SqliteStore

        return SqliteStore(_path(place))
    if "sentinel" in scheme or "cluster" in scheme:
        raise StoreError(
            f"a log cannot be kept at {scheme}:// addresses: give the address of one server, redis://HOST"
        )
    if scheme in ("redis", "rediss", "valkey", "valkeys", "unix"):
        return _redis(url)
    raise StoreError(
        f"unknown store {scheme}: use sqlite:PATH, redis://HOST, rediss://HOST, unix://SOCKET or memory:"
    )


async def open_store(url: str | None) -> "Store":
    """Open the store at an address. Raises StoreError when it cannot be used now."""
    store = locate_store(url)
    try:
        await store.ready()
    except BaseException:
        await store.close()
        raise
    return store


def _redis(url: str) -> "Store":
    try:
        from okr_tui.store.redis import RedisStore
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        raise StoreError("a log on a server needs the redis package: pip install 'okr-tui[redis]'") from error
    return RedisStore(url)
