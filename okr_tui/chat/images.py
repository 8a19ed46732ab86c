"""Pictures for a prompt: recognised in what was pasted, read from files, refused where none can be seen."""

import base64
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from okr_tui.domain.errors import ChatError
from okr_tui.domain.models import Model

LARGEST: Final = 20 * 1024 * 1024
"""Bytes of one picture."""
MOST: Final = 16
BEGINNINGS: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")
ENDINGS: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp")
LONGEST_PATH: Final = 4096


def read_image(path: Path) -> str:
    """Return the picture in base64. Raises ChatError for a file that is none by its content, or too large.

    Blocks while the file is read.
    """
    try:
        if not path.is_file():
            raise ChatError(f"{path} is not a file")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no path"
        raise ChatError(f"{path} cannot be read: {reason}") from error
    webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    if not (content.startswith(BEGINNINGS) or webp):
        raise ChatError(f"{path} is not a PNG, JPEG, GIF or WebP image")
    if len(content) > LARGEST:
        raise ChatError(f"{path} is larger than {LARGEST // 1024 // 1024} MB")
    return base64.b64encode(content).decode()


def check_sight(model: Model | None, count: int) -> None:
    """Raise ChatError when a model is known to see no pictures, or they are too many."""
    if count > MOST:
        raise ChatError(f"{count} images are too many: at most {MOST} go with one question")
    if count and model is not None and model.capabilities is not None and not model.can("vision"):
        raise ChatError(f"{model.id} takes no images: choose a model with vision")


def pasted_image(text: str) -> Path | None:
    """Return the path that a pasted text is, when it looks like one of a picture; it need not exist.

    Terminals paste a dropped file in quotes, with escaped blanks, or as a file:// address.
    """
    text = text.strip()
    if not text or len(text) > LONGEST_PATH or "\n" in text or "\0" in text:
        return None
    if text[0] in "'\"" and text[-1] == text[0] and len(text) > 1:
        text = text[1:-1]
    elif text.startswith("file://"):
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost"):
            return None
        text = unquote(parts.path)
    else:
        text = re.sub(r"\\(.)", r"\1", text)
    if not text.lower().endswith(ENDINGS) or not text.startswith(("/", "~", "./", "../")):
        return None
    try:
        return Path(text).expanduser()
    except RuntimeError:  # a user without a known home
        return None
