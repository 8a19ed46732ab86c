"""One item or member put in or taken out of JSON text; the rest stays, character by character."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.settings.json_edit import exchange, put_in, take_out
from tests.settings.test_settings_text import LAYOUTS, VALUES, laid_out

ITEMS = st.lists(st.text(max_size=6) | VALUES, min_size=1, max_size=4)


@given(ITEMS, st.integers(0, 3), LAYOUTS)
def test_an_item_taken_out_and_put_back_leaves_the_meaning(
    items: list[object], at: int, layout: tuple[int | str | None, bool, str, str]
) -> None:
    at %= len(items)
    before = laid_out({"a": 1, "s": {"list": items}, "z": None}, layout)
    without = take_out(before, ("s", "list", at))
    assert json.loads(without)["s"]["list"] == [*items[:at], *items[at + 1 :]]
    again = put_in(without, ("s", "list"), at, json.dumps(items[at]))
    assert json.loads(again) == json.loads(before)


@pytest.mark.parametrize("indent", [None, 2, 4, "\t"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_the_layout_of_a_list_of_texts_comes_back_exactly(indent: int | str | None, at: int) -> None:
    before = json.dumps({"s": {"list": ["one", "two", "three"]}, "t": "é\u2028"}, indent=indent)
    without = take_out(before, ("s", "list", at))
    assert put_in(without, ("s", "list"), at, json.dumps(["one", "two", "three"][at])) == before


@given(st.dictionaries(st.text(max_size=4), VALUES, min_size=1, max_size=4), LAYOUTS, st.data())
def test_a_member_goes_and_the_others_stay(
    members: dict[str, object], layout: tuple[int | str | None, bool, str, str], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(sorted(members)))
    text = take_out(laid_out({"s": members}, layout), ("s", gone))
    del members[gone]
    assert json.loads(text) == {"s": members}


def test_of_members_with_one_name_none_is_left() -> None:
    assert take_out('{"k": 1, "o": 2, "k": 3}', ("k",)) == '{"o": 2}'
    assert take_out('{"o": 2}', ("k",)) == '{"o": 2}'
    assert take_out('{"o": 2}', ("s", "k")) == '{"o": 2}'


def test_one_more_item_continues_the_layout() -> None:
    assert put_in('{"l": []}', ("l",), 0, '"x"') == '{"l": ["x"]}'
    assert put_in('{"l": ["a"]}', ("l",), 5, '"x"') == '{"l": ["a", "x"]}'
    assert (
        put_in('{\n  "l": [\n    "a"\n  ]\n}', ("l",), 1, '"x"') == '{\n  "l": [\n    "a",\n    "x"\n  ]\n}'
    )
    assert exchange('{"l": [ "a" ,2]}', ("l", 0), "null") == '{"l": [ null ,2]}'
    for path in (("l",), ("m",)):
        with pytest.raises(ValueError, match="there is no"):
            put_in('{"l": 1}', path, 0, "1")
    with pytest.raises(ValueError, match="there is no"):
        exchange("{}", ("l",), "1")
