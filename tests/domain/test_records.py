"""Records are written as one line of JSON and read back as they were."""

import json
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from pydantic import ValidationError

from okr_tui.domain.faults import FaultKind
from okr_tui.domain.records import Enabled, Record, SettingsRead, Use
from okr_tui.store.base import decode, encode
from tests.domain.facts import KEYS, NOW, A, after, failed, reading, went_well, windows
from tests.domain.histories import RECORDS


@given(RECORDS)
def test_every_record_survives_being_written_down(record: Record) -> None:
    text = encode(record)
    assert "\n" not in text
    assert decode(text) == record
    assert type(decode(text)) is type(record)


@given(RECORDS)
def test_what_is_unknown_is_not_written(record: Record) -> None:
    assert None not in json.loads(encode(record)).values()
    assert json.loads(encode(record))["kind"] == record.kind


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"kind": "attempt"}',
        '{"kind": "unheard of", "at": 1}',
        '{"kind": "use", "at": "soon", "fingerprint": "a"}',
        '{"kind": "attempt", "at": 1, "started": 0, "client": "cli", "fingerprint": "a", "path": "/",'
        ' "outcome": "fault", "fault": {"kind": "unheard of", "scope": "key"}}',
    ],
)
def test_what_is_not_a_record_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        decode(text)


def test_record_of_a_later_version_with_more_fields_is_read() -> None:
    assert decode('{"kind": "use", "at": 1, "fingerprint": "a", "mood": "good"}') == Use(
        at=1, fingerprint="a"
    )


def test_record_cannot_be_changed() -> None:
    record = Enabled(at=1, fingerprint="a")
    with pytest.raises(FrozenInstanceError):
        setattr(record, "at", 2)  # noqa: B010


def test_nothing_that_is_kept_or_shown_holds_a_key() -> None:
    records: list[Record] = [went_well(), failed(FaultKind.SLOWED), reading(NOW, windows(1))]
    state = after(*records)
    secret = KEYS[0].secret.get_secret_value()
    for shown in (*map(repr, records), *map(encode, records), repr(state), repr(KEYS)):
        assert secret not in shown
    assert A in repr(state)


def test_an_attempt_of_an_earlier_version_is_read() -> None:
    text = encode(went_well())
    assert "cached_tokens" not in text
    assert decode(text) == went_well()


def test_half_a_character_in_a_record_becomes_a_question_mark() -> None:
    record = Use(at=1.0, fingerprint="half \ud800 a character")
    assert decode(encode(record)) == replace(record, fingerprint="half ? a character")


def test_settings_say_the_same_to_every_reader() -> None:
    read = SettingsRead(at=NOW, keys=2, cloud_url="https://ollama.com", client="cli", who="amber")
    assert replace(read, at=NOW + 9, client="gateway", who="birch").says_the_same(read)
    assert not replace(read, keys=3).says_the_same(read)
    assert not replace(read, problems=("line 3",)).says_the_same(read)
