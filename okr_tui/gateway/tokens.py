"""The gateway's token: made once, kept in a file that only its owner reads."""

import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

from okr_tui.domain.errors import OkrError
from okr_tui.domain.keys import SecretStr

NAME: Final = "gateway-token"
SHORTEST: Final = 16


def load_token(folder: Path) -> SecretStr:
    """Return the token in a folder, made at the first call; of several made at once, the first counts."""
    path = folder / NAME
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not text"
        raise OkrError(f"cannot use the gateway's token {path}: {words}") from None
    if len(text) < SHORTEST or not text.isalnum():
        raise OkrError(f"the gateway's token {path} is damaged: delete the file, a new one will be made")
    return SecretStr(text)


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f"{NAME}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(24) + "\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        os.unlink(draft)
