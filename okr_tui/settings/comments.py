"""What some programs take in their JSON beside JSON: `//` comments, and a comma after the last value.

pi does in models.json: `stripJsonComments` in its packages/coding-agent/src/utils/json.ts.
"""

import re

# A text without an end goes on to the end, so that its quotes are not tried one by one.
TEXT = r'"(?:[^"\\]|\\.)*+"?'
COMMENT = re.compile(rf"{TEXT}|(//[^\n]*)")
LAST_COMMA = re.compile(rf'({TEXT}|[^ \t\r\n"{{\[,:]+)(?:([ \t\r\n]*),(?=[ \t\r\n]*[}}\]]))?')
COMMENT_BEHIND = re.compile(r"[ \t]*//[^\n]*")


def plain(text: str) -> str:
    """The strict JSON of a text, with blanks where comments and last commas were: every offset stays."""
    return LAST_COMMA.sub(_without_comma, uncommented(text))


def uncommented(text: str) -> str:
    """The text with blanks where comments were."""
    return COMMENT.sub(lambda found: found[0] if found[1] is None else " " * len(found[1]), text)


def comment_behind(text: str, at: int) -> int:
    """How many characters of a comment, and of blanks before it, follow an offset on its line; 0 for none."""
    found = COMMENT_BEHIND.match(text, at)
    return len(found[0].rstrip(" \t\r")) if found else 0


def _without_comma(found: re.Match[str]) -> str:
    return found[0] if found[2] is None else f"{found[1]}{found[2]} "
