"""Records are read without pydantic as they are with it."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from okr_tui.domain.records import Record
from okr_tui.store.base import decode, encode
from okr_tui.store.typed_json import read_record
from tests.domain.histories import RECORDS

VALUES = st.sampled_from(
    [
        None,
        True,
        0,
        1,
        5.0,
        -1.5,
        "",
        "ok",
        "5",
        "transient",
        [],
        ["a"],
        {},
        {"kind": "path"},
        "\ud800",
        1e308,
    ]
)


def read(text: str, how: Any) -> object:
    try:
        return how(text)
    except ValueError:
        return None


@given(RECORDS)
def test_every_record(record: Record) -> None:
    text = encode(record)
    assert read_record(text) == decode(text)
    assert repr(read_record(text)) == repr(decode(text))


@given(RECORDS, st.data())
def test_what_other_versions_and_other_programs_write(record: Record, data: st.DataObject) -> None:
    document = json.loads(encode(record))
    inner = data.draw(
        st.sampled_from([document, document.get("fault") or document.get("balance") or document])
    )
    name = data.draw(st.sampled_from([*inner, "later"]))
    if data.draw(st.booleans()):
        inner[name] = data.draw(VALUES)
    else:
        inner.pop(name, None)
    text = json.dumps(document)
    assert repr(read(text, read_record)) == repr(read(text, decode))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"kind": []}', '{"kind": "use"}', "[" * 100_000])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        read_record(text)


def test_a_usual_record_needs_no_pydantic() -> None:
    code = """
import sys
from okr_tui.store.typed_json import read_record
fault = '{"kind":"busy","scope":"account","text":"too many","status":429}'
record = read_record(
    '{"at":2,"kind":"attempt","started":1.5,"client":"gateway","fingerprint":"a","path":"/api/chat",'
    '"outcome":"fault","fault":' + fault + ',"duration_ms":5}')
assert record.fault.kind.value == "busy" and "pydantic" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
