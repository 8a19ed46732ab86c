"""Pictures for a prompt, read from files."""

import base64
from pathlib import Path

import click

LARGEST = 20 * 1024 * 1024
BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")


def read_image(path: Path) -> str:
    """The picture in base64. What is no picture, or too large for one, is a usage error."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}") from error
    webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    if not (content.startswith(BEGINNINGS) or webp):
        raise click.UsageError(f"{path} is not a PNG, JPEG, GIF or WebP image")
    if len(content) > LARGEST:
        raise click.UsageError(f"{path} is larger than {LARGEST // 1024 // 1024} MB")
    return base64.b64encode(content).decode()
