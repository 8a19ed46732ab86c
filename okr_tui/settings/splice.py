"""JSON text with one list item or member put in, exchanged or taken out; every other character is kept."""

from collections.abc import Sequence

from okr_tui.settings.comments import plain, uncommented
from okr_tui.settings.text import BLANK, Member, locate, members_of, put

Path = Sequence[str | int]


def put_in(text: str, path: Sequence[str], position: int, raw: str) -> str:
    """One more item, given as JSON text, at `position` of the list at `path`, or at its end if it is shorter.

    The layout of its neighbours is continued. Raises ValueError when there is no list.
    """
    span = locate(text, path)
    if span is None or text[span.start] != "[":
        raise ValueError("there is no list to put an item in")
    items = members_of(text, span.start)
    if not items:
        marked = put(text, path, [None])
        return exchange(marked, (*path, 0), raw)
    gap = _gap(text, items)
    if position >= len(items):
        end = items[-1].value.end
        return f"{text[:end]},{gap}{raw}{text[end:]}"
    start = items[position].value.start
    return f"{text[:start]}{raw},{gap}{text[start:]}"


def exchange(text: str, path: Path, raw: str) -> str:
    """Another value, given as JSON text, at `path`. Raises ValueError when there is none to exchange."""
    span = locate(text, path)
    if span is None:
        raise ValueError("there is no value to exchange")
    return text[: span.start] + raw + text[span.end :]


def take_out(text: str, path: Path) -> str:
    """Without the item or member at `path`, nor an earlier member of that name. Nothing there: as it was.

    Comments around it stay (comments.py).
    """
    *above, name = path
    holder = locate(plain(text), above)
    if holder is None:
        return text
    members = members_of(plain(text), holder.start)
    found = [place for place, member in enumerate(members) if member.name == name]
    for place in reversed(found):
        strict = plain(text)
        members = members_of(strict, holder.start)
        if strict == text:
            text = _without(text, holder.start, members, place)
        else:
            text = _without_but_comments(text, members, place)
    return text


def _without(text: str, start: int, members: list[Member], place: int) -> str:
    if place:
        return text[: members[place - 1].value.end] + text[members[place].value.end :]
    if len(members) > 1:
        return text[: members[0].key.start] + text[members[1].key.start :]
    end = members[0].value.end
    return text[: start + 1] + text[end:].lstrip(BLANK)


def _without_but_comments(text: str, members: list[Member], place: int) -> str:
    _, key, value = members[place]
    bare = uncommented(text)
    before, after = text[: key.start].rstrip(BLANK), text[value.end :]
    if len(bare[: key.start].rstrip(BLANK)) < len(before) and not after.lstrip(" \t\r").startswith("\n"):
        before = text[: text.index("\n", len(before)) + 1]  # which ends a comment
    comma = bare.index(",", members[place - 1].value.end) if place else None
    if bare[value.end :].lstrip(BLANK).startswith(","):
        own = bare.index(",", value.end) - value.end
        after = after[:own] + after[own + 1 :]
    elif comma is not None:
        before = before[:comma] + before[comma + 1 :]
    return before + after


def _gap(text: str, items: list[Member]) -> str:
    before = text[: items[-1].value.start]
    gap = before[len(before.rstrip(BLANK)) :]
    return gap if len(items) > 1 or "\n" in gap else " "
