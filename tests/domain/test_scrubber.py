"""What a scrubber hides, in every form in which a key may come back, and what it leaves alone."""

import base64
import json
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.keys import mask
from okr_tui.domain.scrubber import EMAIL, RUN, Scrubber, _forms

KEY = "5e3b9c1e77b002fdc3de41aa19aae007.Xy+z/Qp_w-ErTyUiOpAsDfGh"
SCRUBBER = Scrubber([KEY])
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "upper case": str.upper,
    "URL-encoded": lambda text: quote(text, safe=""),
    "wholly URL-encoded": lambda text: "".join(f"%{ord(letter):02X}" for letter in text),
    "URL-encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "JSON escapes": lambda text: "".join(f"\\u{ord(letter):04X}" for letter in text),
    "JSON, slashes escaped": lambda text: text.replace("/", "\\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text.replace("/", "\\/"))),
    "HTML, decimal": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "HTML, hexadecimal": lambda text: "".join(f"&#x{ord(letter):x};" for letter in text),
}
ENCODED: dict[str, Callable[[bytes], bytes]] = {
    "base64": base64.b64encode,
    "base64 for addresses": base64.urlsafe_b64encode,
    "base64, URL-encoded": lambda raw: quote(base64.b64encode(raw), safe="").encode(),
}


def test_a_secret_of_one_letter_is_learnt_in_time_that_grows_with_its_length() -> None:
    def took(length: int) -> float:
        started = time.process_time()
        assert Scrubber(["k" * length]).scrub("k" * 100) == "kkkk…kkkk"
        return time.process_time() - started

    short = min(took(4_000) for _ in range(3))
    assert min(took(16_000) for _ in range(3)) < 8 * max(short, 0.01)


def runs(text: str) -> list[str]:
    return [text[at : at + RUN] for at in range(len(text) - RUN + 1)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "around", ['{"error":"bad token Bearer %s","code":1}', "Bearer %s is wrong", "x=%s&y=1"]
)
def test_no_run_of_a_key_is_left(form: str, around: str) -> None:
    text = around % FORMS[form](KEY)
    shown = SCRUBBER.scrub(text)
    assert mask(KEY) in shown
    assert not [run for run in runs(FORMS[form](KEY)) if run in shown]
    assert SCRUBBER.scrub_bytes(text.encode()) == shown.encode()


@pytest.mark.parametrize("form", ENCODED)
@pytest.mark.parametrize("before", [b"", b":", b"Bearer ", b'{"authorization": "Bearer '])
def test_no_run_of_a_key_in_base64_is_left(form: str, before: bytes) -> None:
    encoded = ENCODED[form](before + KEY.encode() + b'"}').decode()
    shown = SCRUBBER.scrub(f"got {encoded} instead")
    assert mask(KEY) in shown
    # The first characters hold what stands before the key, the last ones what stands behind it.
    whole = ENCODED[form](KEY.encode()).decode()
    assert not [run for run in runs(whole) if run in shown]
    assert len(shown) < len(before) * 2 + 40


@given(st.integers(0, len(KEY)), st.integers(0, len(KEY)), st.text(), st.text())
def test_a_part_of_a_key_is_hidden_from_a_run_on(start: int, end: int, before: str, after: str) -> None:
    part = KEY[start:end]
    shown = SCRUBBER.scrub(f"{before} {part} {after}")
    if len(part) >= RUN:
        assert not [run for run in runs(KEY) if run in shown]
    elif EMAIL not in shown:
        assert part in shown


@given(st.binary(), st.binary())
def test_bytes_of_any_encoding_stay_as_they_are_around_a_key(before: bytes, after: bytes) -> None:
    before, after = before.replace(b"@", b"").replace(b"%", b"").replace(b"&", b""), after.replace(b"@", b"")
    masked = mask(KEY).encode()
    if b"40" not in before + after:
        assert SCRUBBER.scrub_bytes(before + b" " + KEY.encode() + b" " + after) == (
            before + b" " + masked + b" " + after
        )


def test_a_key_that_was_cut_or_wrapped_is_hidden() -> None:
    wrapped = f"{KEY[:30]}\n{KEY[30:]}"
    for text in (f"token {KEY[:-1]}", f"token {KEY[3:20]}…", wrapped, f"{KEY}{KEY}"):
        assert not [run for run in runs(KEY) if run in SCRUBBER.scrub(text)], text


def test_every_secret_is_hidden_also_after_others_were_added() -> None:
    scrubber = Scrubber(["first-secret-0123456789"])
    scrubber.add("second-secret-9876543210", "third-secret-5555500000")
    text = "first-secret-0123456789 third-secret-5555500000 second-secret-9876543210"
    assert scrubber.scrub(text) == "firs…6789 thir…0000 seco…3210"


@pytest.mark.parametrize(
    "address", ["jane.doe@example.com", "j+x@mail.example.co.uk", "jane%40example.com", "jürgen@exämple.de"]
)
def test_an_e_mail_address_is_hidden(address: str) -> None:
    assert SCRUBBER.scrub(f"the limit of {address}, reached") == f"the limit of {EMAIL}, reached"
    assert SCRUBBER.scrub_bytes(f'{{"to":"{address}"}}'.encode()) == f'{{"to":"{EMAIL}"}}'.encode()
    assert SCRUBBER.mask_keys(address) == address


@pytest.mark.parametrize(
    "text",
    [
        "model 'kimi-k2.6:1t' not found, try pulling it first",
        "https://ollama.com/settings?tab=keys#new (ref: 0f8e9a2c-77b1-4c1e-9aae-0075e3b9c1e7)",
        "@ home, 40 % of 140 requests; name@host",
        '{"error": {"message": "max_tokens (70000) exceeds the limit (65536)", "type": "invalid_request"}}',
        "\udc80 …\u202e",
        "",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert SCRUBBER.scrub(text) == text


LONG = {
    "a word": "a" * 65536,
    "signs": "a@" * 32768,
    "a word before a sign": "a" * 65536 + "@",
    "escapes": "%41" * 21845,
    "percent": "%25" * 21845,
    "backslashes": "\\" * 65536,
    "entities": "&#0" * 21845,
    "almost a key": KEY[:9] * 7281,
}


@pytest.mark.parametrize("kind", LONG)
def test_a_long_text_costs_little(kind: str) -> None:
    began = time.process_time()
    SCRUBBER.scrub(LONG[kind])
    assert time.process_time() - began < 2


@given(st.lists(st.text("abAB+/.", min_size=RUN, max_size=40), min_size=1, max_size=5), st.data())
def test_exactly_the_runs_of_secrets_are_hidden(secrets: list[str], data: st.DataObject) -> None:
    scrubber = Scrubber(secrets[:2])
    scrubber.mask_keys("a word long enough to be looked into")
    scrubber.add(*secrets[2:])
    forms = [(form, mask(secret)) for secret in dict.fromkeys(secrets) for form in _forms(secret)]
    whole = data.draw(st.sampled_from([form for form, _ in forms]))
    cut = data.draw(st.integers(0, len(whole)))
    text = data.draw(st.text("abAB+/.", max_size=8)) + whole[cut : cut + data.draw(st.integers(0, 40))]
    text += data.draw(st.text("abAB+/.", max_size=20))
    known = {run: shown for form, shown in reversed(forms) for run in runs(form)}
    expected, index = "", 0
    while index < len(text):
        if (shown := known.get(text[index : index + RUN].lower())) is None:
            expected, index = expected + text[index], index + 1
            continue
        while text[index + 1 : index + 1 + RUN].lower() in known:
            index += 1
        expected, index = expected + shown, index + RUN
    assert scrubber.mask_keys(text) == expected
