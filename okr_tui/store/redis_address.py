"""The address of a Redis or Valkey server: checked, and named without its secrets."""

from urllib.parse import SplitResult, urlsplit

from okr_tui.domain.errors import StoreError


def public_name(url: str) -> str:
    """The address without user, password and options; one that could hide a part of them is refused."""
    try:
        parts = urlsplit(url)
        usable = _usable(parts)
    except ValueError:
        usable = False
    if not usable:
        # Without the cause, which may quote a part of the password.
        raise StoreError(
            "the store's address is not usable: write redis://[USER:PASSWORD@]HOST[:PORT][/NUMBER], "
            "with %-escapes for special characters in the password"
        ) from None
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _usable(parts: SplitResult) -> bool:
    number = parts.path.strip("/")
    return bool(
        parts.hostname and parts.port != 0 and not parts.fragment and (not number or number.isdecimal())
    )
