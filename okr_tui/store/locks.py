"""Locks of the operating system on open files: they end with the process, however that ends."""

from typing import IO, Final

try:
    import fcntl
except ModuleNotFoundError:  # a system without such locks
    fcntl = None  # type: ignore[assignment]

HAVE_LOCKS: Final = fcntl is not None


def try_lock(file: IO[bytes] | IO[str] | int, *, shared: bool = False) -> bool:
    """Lock an open file until it is closed; False while another process holds it. Raises OSError.

    Where nothing can be locked, everyone may have it.
    """
    if fcntl is not None:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
