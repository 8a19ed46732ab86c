"""Changing one value in JSON text changes nothing else, however the text is laid out."""

import json
from itertools import takewhile
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from okr_tui.domain.errors import SettingsError
from okr_tui.settings import json_edit
from okr_tui.settings.json_edit import Document, locate, members_of, parse, position, put

NAMES = st.text(max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
SECTIONS = st.dictionaries(NAMES | st.just("apiKeys"), VALUES, max_size=4)
LAYOUTS = st.tuples(
    st.sampled_from([None, 0, 2, 4, "\t"]),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\n"]),
)


def laid_out(root: object, layout: tuple[int | str | None, bool, str, str]) -> str:
    indent, escaped, newline, end = layout
    text = json.dumps(root, indent=indent, ensure_ascii=escaped)
    return (text + end).replace("\n", newline)


def shared(left: str, right: str) -> int:
    pairs = zip(left, right, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


@given(st.dictionaries(NAMES, VALUES, max_size=3), st.none() | SECTIONS, LAYOUTS, NAMES, VALUES)
def test_put_sets_one_value_and_keeps_every_other_character(
    root: dict[str, object],
    section: dict[str, object] | None,
    layout: tuple[int | str | None, bool, str, str],
    name: str,
    value: object,
) -> None:
    assume("pi-ollama" not in root)
    if section is not None:
        root = {"first": 1, "pi-ollama": section, **root}
    before = laid_out(root, layout)
    span = locate(before, ("pi-ollama", name))

    after = put(before, ("pi-ollama", name), value)

    assert parse(after) == {**root, "pi-ollama": {**(section or {}), name: value}}
    assert list(json.loads(after)) == list({**root, "pi-ollama": 0})
    if span:
        assert after.startswith(before[: span.start])
        assert after.endswith(before[span.end :])
    else:
        assert shared(before, after) + shared(before[::-1], after[::-1]) >= len(before)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '{\n  "s": {\n    "n": 2\n  }\n}\n'),
        (" \r\n", '{\r\n  "s": {\r\n    "n": 2\r\n  }\r\n}\r\n'),
        ("{}", '{\n  "s": {\n    "n": 2\n  }\n}'),
        ('{"a":1}', '{"a":1,"s":{"n": 2}}'),
        ('{\n\t"a": 1\n}\n', '{\n\t"a": 1,\n\t"s": {\n\t\t"n": 2\n\t}\n}\n'),
        ('{\n  "s": {}\n}', '{\n  "s": {\n    "n": 2\n  }\n}'),
        ('{\n  "s": { "a" : 1 }\n}', '{\n  "s": { "a" : 1, "n" : 2 }\n}'),
        ('{\n    "s": {\n        "n": 1\n    }\n}', '{\n    "s": {\n        "n": 2\n    }\n}'),
        ('{"s": {"n": 0}, "s": {"n": 0, "n": 1}}', '{"s": {"n": 0}, "s": {"n": 0, "n": 2}}'),
        ('{"s": {"n": "\\u00e9\u2028"}, "x": "\\u00e9"}', '{"s": {"n": 2}, "x": "\\u00e9"}'),
        ('{"\\u0073": {"n": 1}}', '{"\\u0073": {"n": 2}}'),
    ],
)
def test_the_layout_of_the_surroundings_is_continued(before: str, after: str) -> None:
    assert put(before, ("s", "n"), 2) == after


def test_a_list_stays_on_one_line_or_on_many() -> None:
    assert put('{\n  "s": {\n    "n": ["a"]\n  }\n}', ("s", "n"), ["b", "c"]) == (
        '{\n  "s": {\n    "n": ["b", "c"]\n  }\n}'
    )
    assert put('{\n  "s": {\n    "n": [\n      "a"\n    ]\n  }\n}', ("s", "n"), ["b", "c"]) == (
        '{\n  "s": {\n    "n": [\n      "b",\n      "c"\n    ]\n  }\n}'
    )


def test_text_outside_ascii_is_written_raw_and_half_a_pair_escaped() -> None:
    assert put("{}", ("s",), "é") == '{\n  "s": "é"\n}'
    assert put("{}", ("s",), "\ud800") == '{\n  "s": "\\ud800"\n}'


def test_a_value_without_an_object_to_be_in_is_refused() -> None:
    with pytest.raises(ValueError, match="no object"):
        put('{"s": 1}', ("s", "n"), 2)


def test_a_value_is_located_by_names_and_list_positions() -> None:
    text = '{\n  "s": {"list": [1, {"key": "x"}]}\n}'
    span = locate(text, ("s", "list", 1, "key"))
    assert span is not None
    assert text[span.start : span.end] == '"x"'
    assert position(text, span.start) == (2, 29)
    assert locate(text, ("s", "list", 2)) is None
    assert locate(text, ("t",)) is None
    assert locate("", ("t",)) is None


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('{"a": 1,}', 1, 8),
        ('{"a": [1,\n2 ,\n] }', 2, 3),
        ('{\n  "a": 1\n  "b": 2\n}', 3, 3),
        ("{\r\n  // note\r\n}", 2, 3),
        ('{"a": "NaN", "b":\n NaN}', 2, 2),
        ('{"a": -Infinity}', 1, 7),
        ('{"a": 1' + "0" * 5000 + "}", 1, 7),
        ("[" * 100_000, 1, 1),
        ("[" * 150 + "]" * 150, 1, 1),
        ("{} {}", 1, 4),
    ],
)
def test_what_is_not_strict_json_is_refused_with_its_location(text: str, line: int, column: int) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text, "f.json")
    assert (caught.value.path, caught.value.line, caught.value.column) == ("f.json", line, column)
    assert str(caught.value).startswith(f"f.json:{line}:{column}: not valid JSON: ")


def test_an_error_carries_no_text_of_the_file() -> None:
    with pytest.raises(SettingsError) as caught:
        parse('{"apiKey": "hidden" "x"}', "f.json")
    assert caught.value.__context__ is None
    assert "hidden" not in repr(caught.value)


def test_the_items_of_a_list_are_located_in_one_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    walks: list[int] = []

    def counted(text: str, start: int) -> list[json_edit.Member]:
        walks.append(start)
        return members_of(text, start)

    monkeypatch.setattr(json_edit, "members_of", counted)
    document = Document.of(
        Path("settings.json"), b'{"a": {"keys": ["x", "y", "z"]}, "a": {"keys": [1, 2, 3]}}'
    )
    positions = [document.position("a", "keys", at) for at in range(3)]
    assert positions == [(1, 49), (1, 52), (1, 55)]
    assert len(walks) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": "b}', "a string has no closing quote"),
        ('{"a": "b\n"}', "a line break or another control character inside a string"),
        ('{"a": "\\d"}', "a backslash inside a string has to be doubled"),
        ('{"a": [1,\n2 ,\n] }', "a comma before the end of a list or an object"),
        ('{"a": 1, ', "a comma before the end of a list or an object"),
        ('{"a": [1,, 2]}', "there is no value"),
        ('{"a":,}', "there is no value"),
        ("{} {}", "there is more text after the end of the object"),
        ("{\0}", "it contains null bytes, as UTF-16 does; save it as UTF-8"),
    ],
)
def test_a_mistake_in_a_text_is_named(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        parse(text)
