"""Records are read and written without pydantic as they are with it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import Field, fields, is_dataclass
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from okr_tui.domain.faults import BlockCause
from okr_tui.domain.fold import fold
from okr_tui.domain.policy import Policy
from okr_tui.domain.quota import Balance, Window
from okr_tui.domain.records import BalanceRead, IdentityRead, Record
from okr_tui.domain.state import AccountState, Block, PoolState
from okr_tui.services.log_writer import SNAPSHOTS, KeptState
from okr_tui.services.model_catalog import KeptModels
from okr_tui.store.base import _records, decode, decode_rows, encode
from okr_tui.store.typed_json import FEW, PAGE, StoredJson
from tests.domain.histories import RECORDS

slowly = _records.adapter.validate_json

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
    assert json.loads(text) == json.loads(_records.adapter.dump_json(record, exclude_none=True))
    assert decode(text) == slowly(text) == record
    assert repr(decode(text)) == repr(slowly(text))


def test_a_number_that_json_does_not_have_is_left_out() -> None:
    windows = (Window("session", used_percent=float("inf")),)
    record = BalanceRead(at=2.0, started=1.0, fingerprint="a", balance=Balance(windows=windows))
    assert decode(encode(record)) == BalanceRead(
        at=2.0, started=1.0, fingerprint="a", balance=Balance(windows=(Window("session"),))
    )


def test_half_a_character_is_replaced() -> None:
    text = encode(IdentityRead(at=2.0, started=1.0, fingerprint="a", account="\ud83d", plan="é"))
    assert '"account":"?","plan":"é"' in text


@given(st.lists(RECORDS, max_size=20))
def test_every_state(records: list[Record]) -> None:
    kept = KeptState(len(records), fold(records, Policy()))
    text = SNAPSHOTS.write(kept)
    assert json.loads(text) == json.loads(SNAPSHOTS.adapter.dump_json(kept, exclude_none=True))
    assert SNAPSHOTS.read(text) == kept
    assert repr(SNAPSHOTS.read(text)) == repr(SNAPSHOTS.adapter.validate_json(text))


def test_a_state_with_a_block_that_only_a_fact_lifts_is_read_back() -> None:
    block = Block(BlockCause.SUSPENDED, since=2.0, until=None, recheck=9.0)
    kept = KeptState(1, PoolState(accounts={"a": AccountState(blocks={block.cause: block})}))
    assert SNAPSHOTS.read(SNAPSHOTS.write(kept)) == kept


def optional_fields(hint: Any, seen: set[Any]) -> Iterator[tuple[type[Any], Field[Any]]]:
    """The fields that may be None, of all dataclasses that a type is made of."""
    for part in get_args(hint):
        yield from optional_fields(part, seen)
    if not isinstance(hint, type) or not is_dataclass(hint) or hint in seen:
        return
    seen.add(hint)
    hints = get_type_hints(hint)
    for field in fields(hint):
        if type(None) in get_args(hints[field.name]):
            yield hint, field
        yield from optional_fields(hints[field.name], seen)


@pytest.mark.parametrize("kept", [KeptState, KeptModels, Record])
def test_a_field_that_may_be_none_and_is_then_left_out_has_that_default(kept: Any) -> None:
    found = list(optional_fields(kept, set()))
    assert found
    assert [(of.__name__, field.name) for of, field in found if field.default is not None] == []


@pytest.mark.parametrize("count", [1, FEW])
def test_few_and_many_rows_are_read_alike(count: int) -> None:
    use = '{"kind":"use","at":1,"fingerprint":"a"}'
    rows = [
        (1, use, "w", 1),
        (2, "{}", None, None),
        *((index, use, None, None) for index in range(3, count + 2)),
    ]
    found = decode_rows(rows)
    assert [item.sequence for item in found] == [1, *range(3, count + 2)]
    assert {repr(item.record) for item in found} == {repr(decode(use))}


def test_a_process_that_reads_many_rows_reads_them_with_pydantic() -> None:
    kept: StoredJson[Record] = StoredJson(Record, "kind")
    assert kept.reader(FEW) == kept.reader(1) == kept.read
    assert kept.reader(PAGE) == kept.adapter.validator.validate_json
    assert kept.reader(1) == kept.read


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
    assert repr(read(text, decode)) == repr(read(text, slowly))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"kind": []}', '{"kind": "use"}', "[" * 100_000])
def test_what_is_not_a_record_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        decode(text)


def test_a_usual_record_needs_no_pydantic() -> None:
    code = """
import sys
from okr_tui.store.base import decode, encode
fault = '{"kind":"busy","scope":"account","text":"too many","status":429}'
record = decode(
    '{"at":2,"kind":"attempt","started":1.5,"client":"gateway","fingerprint":"a","path":"/api/chat",'
    '"outcome":"fault","fault":' + fault + ',"duration_ms":5}')
assert record.fault.kind.value == "busy" and encode(record) and "pydantic" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
