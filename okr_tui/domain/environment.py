"""Variables of the environment as people set them, with blanks and quotes around what they mean.

`docker --env-file` and systemd keep quotes that a shell would take off.
"""

from collections.abc import Mapping
from typing import Final

QUOTES: Final = "\"'"


def unquoted(text: str) -> str:
    """Return a text without surrounding blanks and one pair of quotes around all of it."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in QUOTES and text[0] not in text[1:-1]:
        return text[1:-1].strip()
    return text


def variable(environment: Mapping[str, str], name: str) -> str:
    """Return the value of a variable without blanks and quotes around it; "" where it is not set."""
    return unquoted(environment.get(name, ""))
