"""Settings files that are broken, hostile or enormous, and what must hold for each of them."""

import json
import re
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import strategies as st

from okr_tui.domain.errors import SettingsError
from okr_tui.settings.file import edit
from okr_tui.settings.locations import LARGEST
from okr_tui.settings.table import SECTIONS
from tests.settings.settings_home import Home

SECRET = "hidden-key-0123456789abcdef"
NAMES = (
    *("apiKey", "apiKeys", "activeKeyIndex", "cloudUrl", "baseUrl", "strategy", "store", "theme"),
    *("keymap", "policy", "gateway", "trustedProjects"),
)
VALID = json.dumps(
    {"a": [1, {"b": "é"}], "pi-ollama": {"apiKeys": [SECRET], "activeKeyIndex": 0}, "okr-tui": {}},
    ensure_ascii=False,
    indent=2,
).encode()
CORPUS = {
    "cut short": VALID[:-3],
    "cut inside a letter": VALID[: VALID.index("é".encode()) + 1],
    "empty": b"",
    "blank": b" \r\n\t",
    "a byte order mark": b"\xef\xbb\xbf",
    "two byte order marks": b"\xef\xbb\xbf\xef\xbb\xbf{}",
    "a name twice": b'{"pi-ollama": {"apiKey": "a", "apiKey": "b"}, "pi-ollama": {"apiKey": "c"}}',
    "deep lists": b"[" * 1_000_000,
    "deep objects": b'{"pi-ollama":' * 300_000,
    "deep and closed": b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "deep in a key": b'{"pi-ollama": {"apiKeys": ' + b"[" * 90 + b"]" * 90 + b"}}",
    "only zeros": b"\0" * 5_000,
    "a zero in a text": b'{"pi-ollama": {"apiKey": "a\0b"}}',
    "an escaped zero": b'{"pi-ollama": {"apiKey": "a\\u0000b", "store": "\\u0000"}}',
    "not UTF-8": b'{"pi-ollama": {"apiKey": "\xff\xfe"}}',
    "UTF-16": VALID.decode().encode("utf-16"),
    "UTF-32": VALID.decode().encode("utf-32"),
    "an encoded surrogate": b'{"theme": "\xed\xa0\x80"}',
    "a lone surrogate": b'{"\\ud800": "\\udfff", "okr-tui": {"theme": "\\ud800", "keymap": {"\\udc80": ""}}}',
    "a lone surrogate as key": b'{"pi-ollama": {"apiKey": "\\ud800", "apiKeys": ["$\\udfff", "!\\ud800"]}}',
    "a huge integer": b'{"pi-ollama": {"activeKeyIndex": ' + b"9" * 4_300 + b"}}",
    "an endless integer": b'{"pi-ollama": {"activeKeyIndex": ' + b"9" * 1_000_000 + b"}}",
    "beyond all floats": b'{"pi-ollama": {"activeKeyIndex": 1e999}, "okr-tui": {"policy": -1e999}}',
    "not a number": b'{"pi-ollama": {"activeKeyIndex": NaN}}',
    "infinite": b'{"pi-ollama": {"activeKeyIndex": -Infinity}}',
    "a comment": b'{\n  // a note\n  "theme": "x"\n}',
    "a comma too many": b'{"a": 1,}',
    "two documents": b"{}\n{}",
    "a list": b"[]",
    "a text": b'"pi-ollama"',
    "null": b"null",
    "sections of the wrong kind": b'{"pi-ollama": [], "ollama": "text", "okr-tui": null}',
    "many quotes": b'{"a": NaN, "b": "' + b'\\"' * 1_000_000,
    "many names": json.dumps({f"name-{number}": number for number in range(20_000)}).encode(),
    "one byte too many": b'{"a": "' + b"x" * LARGEST,
}
SCALARS = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        1e308,
        10**400,
        "",
        " ",
        "x",
        "\0",
        "\ud800",
        "a\nb",
        "\x1b[2J",
        "é" * 9,
    ),
    *(
        "1",
        "sticky",
        "//",
        "::",
        "a:99999999",
        "http://h:b",
        "https://a@b",
        "file:///a",
        "redis://",
        "http://\\",
    ),
    *("$", "$\0", "!", "!'", "!\0", "!/", SECRET, "x" * 10_000, "/" + "x" * 5_000, "/", "../..", "~"),
)
VALUES = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("key", "label", "", "\ud800", *NAMES)), inner, max_size=3)
    ),
    max_leaves=5,
)
MISTAKEN = st.dictionaries(
    st.sampled_from(SECTIONS), VALUES | st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6)
).map(lambda root: json.dumps(root).encode())
CUT = st.integers(0, len(VALID)).map(lambda end: VALID[:end])
SPLICED = st.tuples(CUT, st.binary(max_size=3), st.integers(0, len(VALID))).map(
    lambda parts: parts[0] + parts[1] + VALID[parts[2] :]
)


def fuzz(folder: Path, examples: int) -> None:
    """Check this many files of mistaken values, of damaged JSON and of any bytes at all."""
    home = Home(folder)
    limits = hypothesis.settings(max_examples=examples, database=None, deadline=None)
    for kind in (MISTAKEN, SPLICED, st.binary()):
        limits(hypothesis.given(kind)(lambda content: check(home, content)))()


def check(home: Home, content: bytes) -> None:
    """Both files hold this: a load reports what is wrong and touches nothing, nor does an edit that fails."""
    home.file.write_bytes(content)
    home.project_file.write_bytes(content)
    reported = loaded(home)
    is_broken = len(content) > LARGEST or _is_broken(content)
    if is_broken and len(content) <= LARGEST:
        for path in (home.file, home.project_file):
            assert any(re.match(rf"{re.escape(str(path))}:\d+:\d+: ", text) for text in reported), reported
    refused = ""
    try:
        edit(home.file, "pi-ollama", "activeKeyIndex", 7)
    except SettingsError as error:
        refused = str(error)
    if refused:
        assert home.file.read_bytes() == content
        assert SECRET not in refused
        assert any(refused in text for text in reported)
    else:
        assert not is_broken
        expected = _value(content)
        expected["pi-ollama"] = {**expected.get("pi-ollama", {}), "activeKeyIndex": 7}
        assert _value(home.file.read_bytes()) == expected
    assert list(home.file.parent.iterdir()) == [home.file]


def loaded(home: Home) -> list[str]:
    """Everything a load reports, each in one printable line that quotes no key. Nothing on disk changes."""
    before = _everything(home)
    settings = home.load()
    again = home.load(settings)
    assert _everything(home) == before
    reported = [problem.describe() for problem in settings.problems]
    for text in (*reported, *(problem.describe() for problem in again.problems)):
        assert text.isprintable()
        assert SECRET not in text
    return reported


def _everything(home: Home) -> dict[Path, tuple[int, ...]]:
    found: dict[Path, tuple[int, ...]] = {}
    for path in sorted(home.file.parents[1].rglob("*")):
        status = path.lstat()
        # A lock that came and went shows in the time of its directory.
        changed = 0 if path.is_dir() else status.st_mtime_ns
        found[path] = (status.st_mode, status.st_ino, status.st_size, changed)
    return found


def _is_broken(content: bytes) -> bool:
    try:
        return not isinstance(_value(content), dict)
    except (ValueError, RecursionError):
        return True


def _value(content: bytes) -> Any:
    text = content.removeprefix(BOM_UTF8).decode()
    return json.loads(text, parse_constant=_refuse) if text.strip(" \t\r\n") else {}


def _refuse(constant: str) -> None:
    raise ValueError(constant)
