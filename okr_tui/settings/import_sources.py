"""Keys for Ollama in files of other programs: auth.json, a `.env`, LiteLLM's and CLIProxyAPI's, plain lists.

Sources: https://docs.litellm.ai/docs/proxy/configs (`model_list`, `os.environ/NAME`), and CLIProxyAPI's
config.example.yaml (`openai-compatibility`, `api-key-entries`).
"""

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from okr_tui.domain.errors import SettingsError
from okr_tui.domain.keys import SecretStr
from okr_tui.domain.text import unquoted
from okr_tui.settings.json_edit import failure, parse
from okr_tui.settings.key_references import COMMAND, VARIABLE
from okr_tui.settings.pi import Stored, keys_of_providers, reference_words

LARGEST: Final = 1024 * 1024
DEEPEST: Final = 50
IN_QUOTES: Final = re.compile(r"""(["'])(.*?)\1\s*(?:#.*)?""")
ASSIGNMENT: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*")
YAML_MEMBER: Final = re.compile(
    r"(\"[^\"]*\"|'[^']*'|[^\s:#\[\]{},\"'-][^:#]*?|-[^\s:#][^:#]*?)\s*:(?:\s+(.*))?"
)
ANCHOR: Final = re.compile(r"\A(?:&[\w-]+|!![\w-]+)\s*")
BRACKETS: Final = {"[": "]", "{": "}"}
QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'")
SHELL: Final = ("$(", "`")
KEY_NAMES: Final = ("api_key", "api-key")
LIST_NAMES: Final = ("api_keys", "api-keys")
BASES: Final = ("api_base", "base_url", "base-url")
LITELLM_VARIABLE: Final = "os.environ/"
CLOUD: Final = "ollama.com"


def keys_in(text: str, path: Path, environment: Mapping[str, str]) -> list[Stored]:
    """Return the keys for Ollama in the text of a file, or of standard input, whose format is found out.

    Raises SettingsError where the text cannot be read.
    """
    if text.lstrip().startswith(("{", "[")):
        document = parse(text, str(path))
        if isinstance(document, dict) and (stored := keys_of_providers(document, environment)):
            return stored
        return _stored(_in_configuration(document, ours=False))
    lines = text.splitlines()
    first = next((line for line in lines if line.strip() and not line.lstrip().startswith("#")), "")
    if re.match(r"[\w-]+:(\s|$)|---", first):
        return _stored(_in_configuration(_Yaml(text, path).read(), ours=False))
    if any(ASSIGNMENT.fullmatch(line) for line in lines):
        return _stored(_in_assignments(lines))
    plain = (line.partition("#")[0] for line in lines if not line.lstrip().startswith((COMMAND, *SHELL)))
    words = (word for line in plain for word in line.replace(",", " ").split())
    return _stored(("key", word) for word in words)


def _stored(found: Iterable[tuple[str, str]]) -> list[Stored]:
    """Return each key once. A command is left out: what another program wrote is never run."""
    unique: dict[str, str] = {}
    for name, written in found:
        text = unquoted(written)
        if text and not text.startswith((COMMAND, *SHELL)):
            unique.setdefault(text, name)
    references = [(name, SecretStr(_reference(written))) for written, name in unique.items()]
    return [Stored(name, reference, reference_words(reference)) for name, reference in references]


def read_text(path: Path) -> str:
    """Return the text of a file. Raises SettingsError when it cannot be read."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        raise failure(f"cannot be read: {error.strerror}", str(path)) from error
    return decoded(raw, path)


def decoded(raw: bytes, path: Path) -> str:
    """Return the text of some bytes. Raises SettingsError for what is too long, or no text."""
    if len(raw) > LARGEST:
        raise failure("is larger than 1 MB, too large for a list of keys", str(path))
    if raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raw = raw.decode("utf-16", errors="replace").encode()
    if b"\0" in raw:
        raise failure("is not text", str(path))
    return raw.decode("utf-8-sig", errors="replace")


def _reference(written: str) -> str:
    if written.startswith(LITELLM_VARIABLE):
        return VARIABLE + written.removeprefix(LITELLM_VARIABLE)
    return written


def _in_assignments(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the keys of a `.env`: of variables that name Ollama and a key, several between commas."""
    for line in lines:
        found = ASSIGNMENT.fullmatch(line)
        if found is None or not {"OLLAMA", "KEY"} <= {*re.findall("OLLAMA|KEY", found[1].upper())}:
            continue
        quoted = IN_QUOTES.fullmatch(found[2])
        value = quoted[2] if quoted else found[2].partition(" #")[0]
        if not found[1].upper().endswith(("INDEX", "FILE", "PATH")):
            yield from ((found[1], part.strip()) for part in unquoted(value).split(","))


def _in_configuration(value: object, *, ours: bool) -> Iterator[tuple[str, str]]:
    """Yield the keys of a LiteLLM or CLIProxyAPI configuration that are for Ollama's cloud."""
    if isinstance(value, list):
        for item in value:
            yield from _in_configuration(item, ours=ours)
    if not isinstance(value, dict):
        return
    base = next((value[name] for name in BASES if isinstance(value.get(name), str)), None)
    if base is not None:
        ours = _is_cloud(str(base))
    elif str(value.get("model", "")).startswith("ollama"):
        ours = True
    if ours:
        yield from ((name, value[name]) for name in KEY_NAMES if isinstance(value.get(name), str))
        for name in LIST_NAMES:
            listed = value.get(name)
            yield from (
                ((name, item) for item in listed if isinstance(item, str)) if isinstance(listed, list) else ()
            )
    for item in value.values():
        yield from _in_configuration(item, ours=ours)


def _is_cloud(address: str) -> bool:
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return False
    return host == CLOUD or host.endswith(f".{CLOUD}")


class _Yaml:
    """Reads as much of YAML as such configurations use: mappings, lists, quotes, comments, brackets.

    What it does not know stays text; names of anchors are skipped.
    """

    def __init__(self, text: str, path: Path) -> None:
        self._path = path
        self._lines = [
            (number, len(line) - len(line.lstrip(" ")), line.strip())
            for number, line in enumerate((_uncommented(line) for line in text.splitlines()), 1)
            if line.strip() and line.strip() != "---"
        ]
        self._at = 0

    def read(self) -> object:
        """Return the document: objects, lists and texts. Raises SettingsError with the line."""
        value = self._block(0, 0)
        if self._at < len(self._lines):
            raise self._error()
        return value

    def _block(self, indent: int, depth: int) -> object:
        if depth > DEEPEST:
            raise self._error()
        if self._at >= len(self._lines):
            return None
        here = self._lines[self._at][1]
        if here < indent:
            return None
        return self._list(here, depth) if self._is_item() else self._mapping(here, depth)

    def _is_item(self) -> bool:
        text = self._lines[self._at][2]
        return text == "-" or text.startswith("- ")

    def _list(self, indent: int, depth: int) -> list[object]:
        items: list[object] = []
        while self._at < len(self._lines) and self._lines[self._at][1] == indent and self._is_item():
            number, _, text = self._lines[self._at]
            rest = text[1:].lstrip()
            if not rest:
                self._at += 1
                items.append(self._block(indent + 1, depth + 1))
            elif rest == "-" or rest.startswith("- ") or YAML_MEMBER.fullmatch(rest):
                self._lines[self._at] = (number, indent + len(text) - len(rest), rest)
                items.append(self._block(indent + 1, depth + 1))
            else:
                items.append(self._scalar(rest))
                self._at += 1
        return items

    def _mapping(self, indent: int, depth: int) -> dict[str, object]:
        members: dict[str, object] = {}
        while self._at < len(self._lines) and self._lines[self._at][1] == indent and not self._is_item():
            found = YAML_MEMBER.fullmatch(self._lines[self._at][2])
            if found is None:
                raise self._error()
            name, text = unquoted(found[1]), ANCHOR.sub("", found[2] or "")
            if text[:1] in BRACKETS:
                text = self._bracketed(text)
            value = self._scalar(text)
            self._at += 1
            if text[:1] in ("|", ">"):
                members[name] = self._skipped(indent)
            elif text:
                members[name] = value
            elif self._at < len(self._lines) and self._lines[self._at][1] == indent and self._is_item():
                members[name] = self._list(indent, depth + 1)
            else:
                members[name] = self._block(indent + 1, depth + 1)
        return members

    def _bracketed(self, text: str) -> str:
        """Return a value in brackets with the lines in which it continues, up to the last of them."""
        lines, open_brackets = [text], _open_brackets(text)
        while open_brackets > 0 and self._at + 1 < len(self._lines):
            self._at += 1
            lines.append(self._lines[self._at][2])
            open_brackets += _open_brackets(lines[-1])
        return " ".join(lines)

    def _scalar(self, text: str) -> object:
        """Return the value on the current line: a text, or in brackets a list or a mapping of such."""
        try:
            return _scalar(text)
        except RecursionError:
            raise self._error() from None

    def _skipped(self, indent: int) -> str:
        while self._at < len(self._lines) and self._lines[self._at][1] > indent:
            self._at += 1
        return ""

    def _error(self) -> SettingsError:
        line = self._lines[min(self._at, len(self._lines) - 1)][0] if self._lines else 1
        return failure(
            "is not a configuration that okr-tui can read; pipe the keys in", str(self._path), line
        )


def _uncommented(line: str) -> str:
    """Return a line without its comment: a `#` at its start or after a blank, outside quotes."""
    quote = ""
    for at, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'" and (at == 0 or line[at - 1] in " [,:"):
            quote = letter
        elif letter == "#" and (at == 0 or line[at - 1] in " \t"):
            return line[:at].rstrip()
    return line.rstrip()


def _open_brackets(text: str) -> int:
    """Return how many brackets of a text are still open at its end; below 0, how many it closes."""
    bare = QUOTED.sub("", text)
    return sum(bare.count(opening) - bare.count(closing) for opening, closing in BRACKETS.items())


def _scalar(text: str) -> object:
    """Return a value on one line: a text, or in brackets a list or a mapping of such."""
    opening, inner = text[:1], text[1:-1]
    if BRACKETS.get(opening) != text[-1:] or _open_brackets(text) > 0:
        return unquoted(text)
    parts = [part.strip() for part in _parts(inner) if part.strip()]
    if opening == "[":
        return [_scalar(part) for part in parts]
    members = (part.partition(":") for part in parts)
    return {unquoted(name): _scalar(value.strip()) for name, _, value in members}


def _parts(text: str) -> Iterator[str]:
    """Yield what is between commas outside quotes and inner brackets."""
    start = depth = 0
    quote = ""
    for at, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "," and not depth:
            yield text[start:at]
            start = at + 1
    yield text[start:]
