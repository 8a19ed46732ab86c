"""Requests that are malformed or can be understood in two ways, and what may become of them."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from tests.gateway.raw_connection import head
from tests.harness import MODEL

Tail = Literal["refused", "declined", "kept", "either", "ended"]
GOOD_WORDS = ("good",)


@dataclass(frozen=True, slots=True)
class Case:
    """Bytes on one connection.

    `words` is what the caller asks in them, in order, with "" for what the cloud is not asked; the first
    `least` are answered in any case, and what is not answered is refused: by an error and the end of the
    connection, or by that end alone. `tail` is what follows when all are answered: that same refusal
    ("refused"), an error on a connection that may go on ("declined"), nothing ("kept"), nothing or an error
    to what comes next ("either"), or nothing and the end ("ended").
    """

    sent: bytes
    words: tuple[str, ...] = ()
    least: int = 0
    tail: Tail = "refused"
    silent: bool = False
    """Whether a server may wait for more, which never comes."""
    query: bytes = b""
    odd: bytes | None = None
    """The value that the header `x-client-request-id` has to have, where it is passed on."""


def question(word: str) -> bytes:
    """A good body; the cloud of these tests answers with the word."""
    messages = [{"role": "user", "content": word}]
    return json.dumps({"model": MODEL, "stream": False, "messages": messages}).encode()


def named(what: str, text: bytes) -> str:
    """The name of a case that is one of many."""
    return f"{what} {text.decode('latin-1')!r}"


def probe(*lines: bytes, method: bytes = b"GET", target: bytes = b"/healthz", **changes: Any) -> bytes:
    """A good request that is answered without the cloud."""
    return head(*lines, method=method, target=target, **changes)


def refused(sent: bytes) -> Case:
    """Nothing of it is carried out, and the connection ends."""
    return Case(sent)


def unfinished(sent: bytes) -> Case:
    """The same, at the latest when the server has waited long enough for the rest."""
    return Case(sent, silent=True)


def declined(sent: bytes) -> Case:
    """Understood and not carried out, so the connection may go on."""
    return Case(sent, tail="declined")


def taken(sent: bytes, *words: str, query: bytes = b"") -> Case:
    """Every word is answered, and there is nothing else."""
    words = words or GOOD_WORDS
    return Case(sent, words, len(words), "kept", query=query)


def either(sent: bytes, *words: str, tail: Tail = "kept", odd: bytes | None = None) -> Case:
    """Answered or refused."""
    return Case(sent, words or GOOD_WORDS, 0, tail, odd=odd)


def spoiled(sent: bytes, *words: str, silent: bool = False) -> Case:
    """Every word is answered, then the rest refused."""
    words = words or GOOD_WORDS
    return Case(sent, words, len(words), silent=silent)


GOOD = question("good")
SECOND = question("second")
HIDDEN = question("hidden")
SIZE = len(GOOD)
