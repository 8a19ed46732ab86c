"""Which addresses a model may have fetched unasked: those that it did not make up.

A page that the model has read may tell it to fetch an address with the person's words in it, and so send them
away. An address that the person wrote, or that an earlier result named, carries nothing new.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from okr_tui.chat.messages import Message

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_END: Final = r"(?![\w%&=?#@:~+*$-])(?![./,;!\\][\w%?])"
_DEEPEST: Final = 20


def addresses(arguments: Mapping[str, object], fetched: str | None) -> tuple[str, ...]:
    """Return the addresses that a call names; `fetched` is the argument that is one however it is written."""
    found = list(_addresses(arguments, _DEEPEST))
    if fetched and fetched in arguments:
        found.append(str(arguments[fetched]))
    return tuple(dict.fromkeys(found))


def is_known(address: str, messages: Sequence[Message]) -> bool:
    """Return whether the person wrote an address, or a result named it before a call of the model did."""
    bare = _bare(address)
    if not bare:
        return False
    whole = re.compile(rf"(?<![\w.@-]){re.escape(bare)}{_END}", re.IGNORECASE)
    if any(message.role in ("user", "system") and whole.search(message.content) for message in messages):
        return True
    for message in messages:
        if any(whole.search(_text(call.arguments)) for call in message.tool_calls):
            return False  # what a tool repeats of its arguments is the model's own
        if message.role == "tool" and not message.failed and whole.search(message.content):
            return True
    return False


def _addresses(value: object, deepest: int) -> Iterator[str]:
    if isinstance(value, str):
        if _SCHEME.match(value.strip()) and len(value.split()) == 1:
            yield value
    elif deepest and isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _addresses(inner, deepest - 1)


def _bare(address: str) -> str:
    """Return an address without its scheme and a last slash: people leave out both."""
    return _SCHEME.sub("", address.strip(), count=1).rstrip("/")


def _text(arguments: Mapping[str, object]) -> str:
    return json.dumps(dict(arguments), ensure_ascii=False)
