"""Comments and last commas: where they are, and that a change leaves them where they were."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.errors import SettingsError
from okr_tui.settings.json_edit import parse, plain, put, take_out
from tests.settings.test_settings_text import LAYOUTS, NAMES, VALUES, laid_out

BLOCKS = ("/* a note */", '/* "quoted", { // */', "/**/ // both", "/* ** */")
COMMENTS = ("// a note", '// "quoted", {', "//", "// ends in blanks  ", "// é\u00a0")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, // one\n "b": [1, 2,], }', {"a": 1, "b": [1, 2]}),
        ('{"a": "http://host", "b": "x,}"}', {"a": "http://host", "b": "x,}"}),
        ('{"a": "\\"// no", // "yes"\r\n}', {"a": '"// no'}),
        ('// first\n{"a": {}// x\n\n ,"b": 1}', {"a": {}, "b": 1}),
        ('{"a": [{},\n// x\n],}// end', {"a": [{}]}),
    ],
)
def test_what_pi_reads_is_read(text: str, value: object) -> None:
    assert parse(plain(text)) == value
    assert len(plain(text)) == len(text)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("{,}", 2),
        ("[,]", 2),
        ('{"a":,}', 6),
        ("[1,,]", 4),
        ("[/* x */]", 2),
        ('{"a": 1} ,', 10),
        ("[1 # x\n]", 4),
    ],
)
def test_what_pi_cannot_read_or_we_cannot_keep_is_refused(text: str, column: int) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(plain(text))
    assert (caught.value.line, caught.value.column) == (1, column)


@given(VALUES, LAYOUTS)
def test_strict_json_stays_as_it_is(value: object, layout: tuple[int | str | None, bool, str, str]) -> None:
    text = laid_out(value, layout)
    assert plain(text) == text


@pytest.mark.parametrize(
    "text", ['{"b": "' + '\\"' * 500_000, "//" * 500_000, "," * 1_000_000, '"' * 1_000_000]
)
def test_hostile_text_takes_no_longer_than_other_text(text: str) -> None:
    began = time.process_time()
    assert len(plain(text)) == len(text)
    assert time.process_time() - began < 5


@st.composite
def commented(draw: st.DrawFn, *, blocks: bool = False) -> tuple[str, dict[str, object]]:
    """An object over several lines, with comments at the ends of lines and on lines of their own.

    blocks: also those between /* and */, which pi does not read.
    """
    members: dict[str, object] = draw(st.dictionaries(NAMES, VALUES, max_size=4))
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    remarks = st.sampled_from(["", *COMMENTS, *(BLOCKS if blocks else ())])
    lines = ["{" + draw(remarks)]
    for index, (name, value) in enumerate(members.items()):
        last = index == len(members) - 1
        comma = "," if not last or draw(st.booleans()) else ""
        lines.append(f"  {json.dumps(name)}: {json.dumps(value)}{comma} {draw(remarks)}")
        lines.append("    " + draw(remarks))
    return newline.join([*lines, "}" + draw(remarks)]), members


def remarks_of(text: str) -> list[str]:
    """Everything of a text that is not JSON and not blank."""
    strict = plain(text, blocks=True)
    pairs = zip(text, strict, strict=True)
    hidden = "".join(letter if letter != kept or letter == "\n" else " " for letter, kept in pairs)
    return [part.rstrip() for line in hidden.splitlines() if (part := line.strip(" ,\r"))]


@given(commented(blocks=True), NAMES, VALUES)
def test_a_member_comes_and_goes_between_comments(
    written: tuple[str, dict[str, object]], name: str, value: object
) -> None:
    before, members = written
    after = put(before, (name,), value)
    assert parse(plain(after, blocks=True)) == {**members, name: value}
    assert remarks_of(after) == remarks_of(before)
    without = take_out(after, (name,))
    assert parse(plain(without, blocks=True)) == {other: members[other] for other in members if other != name}
    assert remarks_of(without) == remarks_of(before)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{\n  "a": 1 // one\n}', '{\n  "a": 1 // one\n  , "n": 2\n}'),
        ('{\n  "a": 1, // one\n  // two\n}', '{\n  "a": 1, // one\n  "n": 2,\n  // two\n}'),
        ('{"a": 1,}', '{"a": 1,"n": 2,}'),
        ('{"a": // one\n 1}', '{"a": // one\n 1,"n": 2}'),
        ("{ // none\n}", '{ // none\n  "n": 2\n}'),
        ("// none\n", '// none\n{\n  "n": 2\n}\n'),
        ('{ // one\n"a": 1}', '{ // one\n"a": 1,\n"n": 2}'),
        ("{/* none */}", '{/* none */\n  "n": 2}'),
        (
            '{/* one\n two */\n  "a": 1 /* x */ // y\n}',
            '{/* one\n two */\n  "a": 1 /* x */ // y\n  , "n": 2\n}',
        ),
        ('{"a": 1 /* x */, /* y */ }', '{"a": 1 /* x */, /* y */\n"n": 2, }'),
        ("/* none */", '/* none */\n{\n  "n": 2\n}\n'),
    ],
)
def test_a_comment_stays_on_its_line(before: str, after: str) -> None:
    assert put(before, ("n",), 2) == after


def test_the_end_of_a_comment_stays_its_end() -> None:
    assert take_out('{ // one\n"a": 1 }', ("a",)) == "{ // one\n }"
    assert take_out('{ /* one */ "a": 1 }\n', ("a",)) == "{ /* one */ }\n"
    assert take_out('{"a": 1, // one\n"b": 2}', ("b",)) == '{"a": 1 // one\n}'
