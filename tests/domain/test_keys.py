"""A key is known by its fingerprint and shown by its mask; its text stays inside."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.choice import PoolConfig
from okr_tui.domain.keys import Key, fingerprint, mask

LONG = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=20, max_size=80)


def test_fingerprint_is_the_beginning_of_the_hash() -> None:
    assert fingerprint("abc") == hashlib.sha256(b"abc").hexdigest()[:12] == "ba7816bf8f01"


@given(LONG, LONG)
def test_different_texts_have_different_fingerprints(first: str, second: str) -> None:
    assert (fingerprint(first) == fingerprint(second)) is (first == second)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("4f2a0000000000000000009c1e", "4f2a…9c1e"),
        ("12345678901234567890", "1234…7890"),
        ("1234567890123456789", "…89"),
        ("abcdef", "…ef"),
        ("ab", "…"),
    ],
)
def test_mask_shows_the_ends_of_a_long_key_and_little_of_a_short_one(text: str, masked: str) -> None:
    assert mask(text) == masked


@given(LONG)
def test_no_representation_shows_the_text(text: str) -> None:
    key = Key.of(text, "project", "mine")
    assert (key.origin, key.label, key.fingerprint) == ("project", "mine", fingerprint(text))
    assert key.secret.get_secret_value() == text
    for shown in (repr(key), str(key), f"{key}", repr(PoolConfig((key,)))):
        assert text not in shown
    assert len(key.masked) <= 9


def test_equal_texts_are_one_key_from_any_source() -> None:
    assert Key.of("x" * 30, "global").fingerprint == Key.of("x" * 30, "environment").fingerprint
