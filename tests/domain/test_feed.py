"""The live feed: one line per record that a person wants to see, and lines for what time alone brings."""

from dataclasses import replace

import pytest
from hypothesis import given

from okr_tui.domain.choice import PoolConfig
from okr_tui.domain.faults import FaultKind
from okr_tui.domain.feed import Entry, consequences, entry, entry_fields, history
from okr_tui.domain.feed_groups import grouped
from okr_tui.domain.fold import apply
from okr_tui.domain.quota import Balance
from okr_tui.domain.records import (
    Attempt,
    Disabled,
    Enabled,
    FellBack,
    ModelsRead,
    Record,
    Reset,
    ResetUndone,
    SettingsRead,
    Use,
)
from okr_tui.domain.state import PoolState
from tests.domain.facts import (
    MODEL,
    NOW,
    POLICY,
    A,
    B,
    C,
    D,
    belongs,
    config,
    failed,
    reading,
    refused_reading,
    trial,
    went_well,
    windows,
)
from tests.domain.histories import HISTORIES

POOL = config(3, preferred=A)


def line(record: Record, before: PoolState | None = None) -> Entry | None:
    state = apply(before or PoolState(), record, POLICY)
    return entry(record, state, POOL, POLICY)


def text(record: Record, before: PoolState | None = None) -> str:
    found = line(record, before)
    assert found is not None
    return found.text


def test_quota_fault_names_key_window_return_and_successor() -> None:
    text = "you have reached your weekly usage limit"
    record = replace(failed(FaultKind.SPENT, window="weekly", status=429, text=text), next_fingerprint=C)
    found = line(record)
    assert found is not None
    assert found.text == "#1 week spent, back ~Mon 00:00 UTC → #3"
    assert found.detail == f"cli · {MODEL} · 429"
    assert (found.tone, found.key, found.fingerprint, found.model) == ("warning", 1, A, MODEL)


def test_callers_own_error_is_shown_in_the_clouds_words_without_blame() -> None:
    found = line(failed(FaultKind.REQUEST, status=400, text="prompt too long"))
    assert found is not None
    assert (found.tone, found.text) == ("fault", "#1 prompt too long → the caller")


def test_a_caller_is_called_by_name() -> None:
    for record in (went_well(), failed(FaultKind.SPENT)):
        found = line(replace(record, client="gateway", caller="codex"))
        assert found is not None
        assert found.detail.startswith("codex · ")


def test_success_is_quiet() -> None:
    record = replace(went_well(), output_tokens=50, duration_ms=2010, first_byte_ms=1010)
    found = line(record)
    assert found is not None
    assert (found.tone, found.text, found.detail) == ("quiet", f"#1 {MODEL}", "cli · 50 tok · 2.0 s")
    assert found.more == "50 tok/s · first 1.0 s"


@pytest.mark.parametrize(
    "record",
    [
        went_well(client="probe"),
        replace(failed(FaultKind.TRANSIENT), outcome="cancelled", fault=None),
        reading(NOW, windows(5)),
        belongs(A, "amber"),
        trial(NOW),
        ModelsRead(at=NOW, count=20),
    ],
)
def test_what_needs_no_attention_has_no_line(record: Record) -> None:
    assert line(record) is None


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (Use(at=NOW, fingerprint=B), "#2 chosen as preferred key"),
        (Reset(at=NOW, fingerprint=B), "#2 reset: older faults forgotten"),
        (ResetUndone(at=NOW, fingerprint=B), "#2 reset undone: older faults count again"),
        (Enabled(at=NOW, fingerprint=B), "#2 switched on"),
        (Disabled(at=NOW, fingerprint=B), "#2 switched off"),
        (Use(at=NOW, fingerprint=D), "a removed key chosen as preferred key"),
        (reading(NOW, Balance(understood=False)), "#1 quota format not understood"),
        (SettingsRead(at=NOW, keys=1, cloud_url="u"), "settings read: 1 key"),
        (SettingsRead(at=NOW, keys=3, cloud_url="u"), "settings read: 3 keys"),
        (SettingsRead(at=NOW, keys=3, cloud_url="u", problems=("line 3: no comma",)), "line 3: no comma"),
        (ModelsRead(at=NOW, count=2, added=("a",), removed=("b",)), "2 models"),
        (ModelsRead(at=NOW, count=0, error="refused"), "models not refreshed"),
        (ModelsRead(at=NOW, count=2, error="no details of 1 model"), "2 models, some without details"),
    ],
)
def test_every_other_fact_has_its_words(record: Record, words: str) -> None:
    assert text(record) == words


AMONG_OTHERS: list[tuple[Record, str]] = [
    (replace(went_well(NOW, D), who="amber"), f"a key of amber's {MODEL}"),
    (replace(went_well(NOW, D), who="birch"), f"a removed key {MODEL}"),
    (
        replace(failed(FaultKind.SLOWED, key=D, status=429), who="amber", next_fingerprint="e"),
        "a key of amber's rate limited, back → a key of amber's",
    ),
    (replace(reading(NOW, Balance(understood=False), key=D), who="amber"), "a key of amber's quota format"),
    (Disabled(at=NOW, fingerprint=A, who="amber"), "#1 switched off by amber"),
    (Disabled(at=NOW, fingerprint=A, who="birch"), "#1 switched off"),
    (Use(at=NOW, fingerprint=D, who="amber"), "a key of amber's chosen as preferred key by amber"),
]


@pytest.mark.parametrize(("record", "words"), AMONG_OTHERS)
def test_what_another_did_is_shown_with_their_name(record: Record, words: str) -> None:
    config = replace(POOL, person="birch")
    found = entry(record, apply(PoolState(), record, POLICY), config, POLICY)
    assert found is not None
    assert found.text.partition(", back")[0].startswith(words.partition(", back")[0])
    assert found.text.endswith(words.rpartition(" → ")[2]) or " → " not in words
    named = dict(entry_fields(replace(found, record=record), str, NOW))
    assert named["who"] == getattr(record, "who", None)


def test_who_switched_a_key_off_themselves_reads_no_name() -> None:
    config = replace(POOL, person="birch")
    state = apply(PoolState(), Disabled(at=NOW, fingerprint=A, who="birch"), POLICY)
    refused = failed(FaultKind.UNAUTHORIZED, status=401, text="unauthorized")
    found = entry(refused, apply(state, refused, POLICY), config, POLICY)
    assert found is not None
    assert "birch" not in found.text


def test_another_s_fallback_names_their_gateway() -> None:
    fell = FellBack(at=NOW, client="gateway", who="amber", model="kimi-k3", answered_by="glm-5.2")
    found = entry(fell, PoolState(), replace(POOL, person="birch"), POLICY)
    assert found is not None
    assert found.detail.startswith("amber's gateway")


def test_changes_of_the_model_list_are_named() -> None:
    found = line(ModelsRead(at=NOW, count=2, added=("a", "b"), removed=("c",)))
    assert found is not None
    assert found.detail == "+a +b -c"


@given(HISTORIES)
def test_every_line_is_one_line(records: list[Record]) -> None:
    state = PoolState()
    for record in records:
        state = apply(state, record, POLICY)
        found = entry(record, state, POOL, POLICY)
        assert found is None or (found.text and found.at == record.at)


def news(*records: Record, pool: PoolConfig = POOL) -> list[tuple[str, str]]:
    """The tone and text of each line of a log."""
    reported = history(enumerate(records, 1), PoolState(), pool, POLICY)
    return [(line.tone, line.text) for _, lines in reported for line in lines]


def test_a_key_is_back_once_a_request_proves_it_and_not_before() -> None:
    slowed = failed(FaultKind.SLOWED, status=429)
    assert news(slowed, went_well(NOW + 20, B))[1:] == [("quiet", f"#2 {MODEL}")]
    assert news(slowed, went_well(NOW + 20))[1:] == [
        ("quiet", f"#1 {MODEL}"),
        ("good", "#1 back after 20s: was rate limited"),
    ]


def test_a_request_that_began_before_the_block_proves_nothing() -> None:
    slowed = failed(FaultKind.SLOWED, status=429)
    assert news(slowed, went_well(NOW + 1, started=NOW - 5))[1:] == [("quiet", f"#1 {MODEL}")]


def test_a_reading_proves_that_a_refused_key_is_accepted() -> None:
    refused = failed(FaultKind.UNAUTHORIZED, status=401, text="unauthorized")
    assert news(refused, refused_reading(FaultKind.UNAUTHORIZED, NOW + 2), reading(NOW + 300, windows(5)))[
        -1
    ] == (
        "good",
        "#1 back after 5m 00s: was key refused",
    )


def test_all_keys_of_an_account_are_back_at_once() -> None:
    known = (belongs(A, "amber"), belongs(B, "amber"))
    spent = failed(FaultKind.SPENT, window="hourly", status=429)
    assert news(*known, spent, went_well(NOW + 7200, B))[-1] == (
        "good",
        "#1 #2 back after 2h 00m: was hour spent",
    )


def test_an_outage_is_reported_when_it_begins_and_once_a_request_proves_that_it_is_over() -> None:
    first, second = failed(FaultKind.TRANSIENT), failed(FaultKind.TRANSIENT, NOW + 1, B)
    reported = news(first, second, went_well(NOW + 30))
    assert reported[2] == ("warning", "the cloud does not answer, next try 16:00:11")
    assert reported[-1] == ("good", "the cloud answers again after 29s")


def test_what_follows_from_a_request_is_a_line_of_its_own() -> None:
    sends = [
        replace(failed(FaultKind.TRANSIENT, NOW + index, key), next_fingerprint=C)
        for index, key in enumerate((A, B))
    ]
    lines = [each for _, found in history(enumerate(sends), PoolState(), POOL, POLICY) for each in found]
    shown = [group.text for group in grouped(lines)]
    assert "the cloud does not answer, next try 16:00:11" in shown
    assert not [text for text in shown if "a removed key" in text]


def test_what_refuses_all_accounts_is_reported_as_an_outage() -> None:
    refused = [failed(FaultKind.FORBIDDEN, NOW, key, status=403, text="forbidden") for key in (A, B)]
    reported = news(*refused, went_well(NOW + 30), pool=config(2))
    assert [text for _, text in reported if "next try" in text] == ["forbidden, next try 16:00:10"]
    assert reported[-1] == ("good", "the cloud answers again after 30s")


def test_key_switched_on_by_hand_is_not_announced_twice() -> None:
    reported = news(Disabled(at=NOW, fingerprint=A), Enabled(at=NOW + 1, fingerprint=A))
    assert reported == [("info", "#1 switched off"), ("info", "#1 switched on")]


@pytest.mark.parametrize(
    ("record", "tone", "words"),
    [
        (failed(FaultKind.SLOWED, status=429), "quiet", "#1 rate limited, back 16:00:15 UTC → #2"),
        (failed(FaultKind.BUSY, status=429, text="too many"), "quiet", "#1 all request slots taken"),
        (failed(FaultKind.TRANSIENT, status=502, text="Bad Gateway"), "quiet", "#1 Bad Gateway → #2"),
        (failed(FaultKind.SPENT, status=429, window="weekly"), "warning", "#1 week spent"),
        (failed(FaultKind.NO_PLAN, status=403), "warning", "#1 the plan does not include this model"),
        (failed(FaultKind.UNAUTHORIZED, status=401, text="no"), "warning", "#1 401 no, being confirmed → #2"),
    ],
)
def test_what_moved_on_is_as_grave_as_what_it_means_for_the_key(
    record: Attempt, tone: str, words: str
) -> None:
    found = line(replace(record, next_fingerprint=B))
    assert found is not None
    assert found.tone == tone
    assert found.text.startswith(words)


@pytest.mark.parametrize("kind", [FaultKind.TRANSIENT, FaultKind.SPENT, FaultKind.REQUEST, FaultKind.GONE])
def test_an_error_that_reached_the_caller_is_grave(kind: FaultKind) -> None:
    found = line(failed(kind, status=500, text="it broke"))
    assert found is not None
    assert found.tone == "fault"
    assert found.text.endswith(" → no other key" if kind is FaultKind.SPENT else " → the caller")


def test_a_cut_in_the_middle_says_that_the_caller_has_a_part() -> None:
    cut = replace(failed(FaultKind.TRANSIENT, text="connection cut"), begun=True)
    assert text(cut) == "#1 connection cut in the middle of the answer → the caller has a part of it"


def test_a_key_that_is_refused_for_certain_needs_a_person() -> None:
    refused = failed(FaultKind.UNAUTHORIZED, status=401, text="unauthorized")
    found = line(refused_reading(FaultKind.UNAUTHORIZED, NOW + 2), apply(PoolState(), refused, POLICY))
    assert found is not None
    assert (found.tone, found.text) == ("fault", "#1 key refused")


def test_a_reading_that_knows_the_return_of_a_spent_account_better_is_reported() -> None:
    spent = apply(
        apply(PoolState(), belongs(A, "one"), POLICY), failed(FaultKind.SPENT, window="session"), POLICY
    )
    spent = apply(spent, belongs(B, "one"), POLICY)
    found = reading(NOW + 10, windows(session=100, end=NOW + 5400))
    after = apply(spent, found, POLICY)
    lines = [each.text for each in consequences(found, spent, after, POOL, POLICY)]
    assert lines == ["#1 #2 5h spent, back 17:30 UTC"]
    again = replace(found, at=NOW + 60, started=NOW + 59)
    assert not list(consequences(again, after, apply(after, again, POLICY), POOL, POLICY))


def test_lines_that_are_one_name_the_keys_of_others() -> None:
    config = replace(POOL, person="birch")
    state, lines = PoolState(), []
    for index, key in enumerate((A, D, D, D)):
        record = replace(went_well(NOW + index, key), who="birch" if key == A else "amber")
        state = apply(state, record, POLICY)
        found = entry(record, state, config, POLICY)
        assert found is not None
        lines.append(replace(found, record=record))
    [group] = grouped(lines)
    assert group.detail.startswith("a key of amber's ×3 #1 ×1")
    sends = [
        replace(failed(FaultKind.SPENT, key=D, status=429), who="amber", trace="t", next_fingerprint=A),
        replace(went_well(NOW + 1, A), who="amber", trace="t"),
    ]
    reported = [entry(each, apply(PoolState(), each, POLICY), config, POLICY) for each in sends]
    [group] = grouped(
        [replace(line, record=each) for line, each in zip(reported, sends, strict=True) if line]
    )
    assert "?" not in group.text
    assert group.text.startswith("a key of amber's quota spent")


def test_settings_of_another_person_are_not_news() -> None:
    read = SettingsRead(at=NOW, keys=2, cloud_url="https://ollama.com", who="birch")
    assert line(read) is None
    assert line(replace(read, who=None)) is not None


def test_a_model_that_was_asked_for_by_its_own_name_is_not_a_warning() -> None:
    fell = FellBack(at=NOW, client="gateway", model="local:llama3.2", answered_by="local:llama3.2")
    found = line(fell)
    assert found is not None
    assert (found.tone, found.text, found.detail) == ("info", "local:llama3.2 answers", "gateway")


def test_the_return_of_a_spent_account_that_this_machine_does_not_hold_is_not_news() -> None:
    spent = apply(PoolState(), failed(FaultKind.SPENT, key=D, window="session"), POLICY)
    found = reading(NOW + 10, windows(session=100, end=NOW + 5400), D)
    assert not list(consequences(found, spent, apply(spent, found, POLICY), POOL, POLICY))


def test_a_key_that_is_accepted_again_but_switched_off_is_not_back() -> None:
    spent = apply(PoolState(), failed(FaultKind.SPENT, window="session"), POLICY)
    proof = went_well(NOW + 7200, started=NOW + 7199)
    assert [each.text for each in consequences(proof, spent, apply(spent, proof, POLICY), POOL, POLICY)] == [
        "#1 back after 2h 00m: was 5h spent"
    ]
    off = apply(spent, Disabled(at=NOW + 1, fingerprint=A), POLICY)
    assert not list(consequences(proof, off, apply(off, proof, POLICY), POOL, POLICY))
