"""The feed as it is read: filtered, grouped, in windows that move along the log, record by record."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.faults import FaultKind
from okr_tui.domain.feed import Entry, FeedFilter, entries, entry_fields, history
from okr_tui.domain.feed_groups import Group, grouped
from okr_tui.domain.feed_pages import FeedWindow, Page
from okr_tui.domain.fold import apply
from okr_tui.domain.records import Alert, Attempt, FellBack, ModelsRead, Record, SettingsRead, Use
from okr_tui.domain.state import PoolState
from okr_tui.domain.traffic import RunningRequest
from tests.domain.facts import MODEL, NOW, POLICY, A, C, config, failed, went_well
from tests.domain.histories import HISTORIES

POOL = config(3, preferred=A)


def reported(*records: Record) -> list[Entry]:
    """The lines of a log that begins with these records."""
    logged = enumerate(records, 1)
    return [line for _, lines in history(logged, PoolState(), POOL, POLICY) for line in lines]


def spent(at: float = NOW, **more: Any) -> Attempt:
    fault = failed(FaultKind.SPENT, at, window="session", status=429, text="session usage limit")
    return replace(fault, next_fingerprint=C, **more)


def test_every_word_has_to_be_in_the_line() -> None:
    (line,) = reported(spent())
    for words in ("429", "#1", "GPT-OSS cli", "429 #1 cli gpt", "!ok", "fault", "usage limit", "  "):
        assert FeedFilter(words=words).matches(line), words
    for words in ("429 #3", "#11", "gateway", "!429", "!#1", "kimi gpt"):
        assert not FeedFilter(words=words).matches(line), words


def test_faults_and_one_key_only() -> None:
    fault, fine = reported(spent(), went_well(NOW + 1, C))
    assert [FeedFilter(faults_only=True).matches(line) for line in (fault, fine)] == [True, False]
    assert [FeedFilter(fingerprint=C).matches(line) for line in (fault, fine)] == [False, True]
    assert FeedFilter(words=" ").everything
    assert not FeedFilter(words="a").everything


def test_equal_faults_are_one_line_with_a_count() -> None:
    times = [(0, "Bad Gateway"), (1, "Bad Gateway"), (2, "Bad Gateway"), (4, "Unavailable")]
    failures = [failed(FaultKind.TRANSIENT, NOW + n, status=502, text=text) for n, text in times]
    first, last = grouped(reported(*(replace(each, request="the same") for each in failures)))
    assert len(first.entries) == 3
    assert first.text.endswith("×3")
    assert first.detail == f"in 2s · cli · {MODEL} · 502"
    assert first.at == NOW + 2
    assert len(last.entries) == 1


def test_requests_that_went_well_are_one_line_from_the_third_on() -> None:
    two = reported(went_well(NOW), went_well(NOW + 1))
    assert [group.text for group in grouped(two)] == [f"#1 {MODEL}"] * 2
    (three,) = grouped(reported(went_well(NOW), went_well(NOW + 1), went_well(NOW + 7, C)))
    assert (three.text, three.detail) == ("3 requests ok", "#1 ×2 #3 ×1 · in 7s")


@given(HISTORIES)
def test_grouping_loses_and_reorders_nothing(records: list[Record]) -> None:
    lines = reported(*records)
    assert [line for group in grouped(lines) for line in group.entries] == lines
    assert all(isinstance(group, Group) and group.text for group in grouped(lines))


def test_faults_that_say_the_same_are_one_line_though_keys_alternate() -> None:
    taken = [failed(FaultKind.BUSY, NOW + n, key, status=429) for n, key in enumerate((A, C, A, C))]
    moved = [replace(record, next_fingerprint=C) for record in taken]
    (group,) = grouped(reported(*moved))
    assert group.text.startswith("#1 #3 all request slots taken")
    assert group.text.endswith("×4")
    assert (group.tone, group.healed) == ("quiet", True)


def test_requests_that_met_the_same_are_one_line_for_any_caller() -> None:
    requests: list[Record] = []
    for number, (client, model) in enumerate([("pi", "kimi-k3"), ("codex", "glm-5.2"), ("pi", "glm-5.2")]):
        named: dict[str, Any] = {"trace": f"r{number}", "caller": client, "model": model}
        requests += [spent(NOW + number, **named), replace(went_well(NOW + number + 0.5, C), **named)]
    (group,) = grouped(reported(*requests))
    assert group.text == "#1 5h spent, back ~19:00 UTC → #3 ×3"
    assert group.detail == "in 2s · pi codex · kimi-k3 glm-5.2"
    gone = [failed(FaultKind.GONE, NOW, key, status=410, model=name) for key, name in ((A, "a"), (C, "b"))]
    assert len(list(grouped(reported(*gone)))) == 2


def test_the_sends_of_a_request_are_one_line_though_others_come_between() -> None:
    hop = replace(spent(), trace="r1")
    answer = replace(went_well(NOW + 3, C), trace="r1", output_tokens=40, duration_ms=1200)
    other, whole = grouped(reported(hop, replace(went_well(NOW + 1, C), client="gateway"), answer))
    assert other.text == f"#3 {MODEL}"
    assert whole.text == "#1 5h spent, back ~19:00 UTC → #3"
    assert whole.detail == f"{MODEL} · cli · 40 tok · 1.2 s"
    assert (whole.tone, whole.at) == ("warning", NOW + 3)


def test_hops_that_met_the_same_are_grouped_and_a_repeat_is_counted() -> None:
    sends = [
        replace(failed(FaultKind.TRANSIENT, NOW + n, key, status=502, text="HTTP 502"), trace="r1")
        for n, key in enumerate((A, A, C))
    ]
    moved = [
        replace(each, next_fingerprint=then, request="the same")
        for each, then in zip(sends, (A, C, None), strict=True)
    ]
    (whole,) = grouped(reported(*moved))
    assert whole.text == "#1 #3 HTTP 502 ×3 → the caller"
    assert whole.tone == "fault"


def test_groups_that_have_not_changed_are_used_again() -> None:
    entries = reported(*(went_well(NOW + n) for n in range(4)), spent(NOW + 9))
    first = list(grouped(entries))
    more = [*entries, *reported(failed(FaultKind.GONE, NOW + 12, status=410))]
    second = list(grouped(more, known=first))
    assert [one is other for one, other in zip(first, second, strict=False)] == [True, True]
    longer = list(grouped([*entries[:4], *reported(went_well(NOW + 8)), *entries[4:]], known=second))
    assert longer[0].text == "5 requests ok"
    assert longer[1] is first[1]


def test_a_request_is_born_running_and_becomes_its_result() -> None:
    run = RunningRequest("r1", "pi", MODEL, 3, C, NOW + 1, NOW + 2, 90)
    (born,) = grouped((), [run])
    assert (born.text, born.detail, born.tone) == (f"#3 {MODEL}", "pi", "info")
    hop = replace(spent(), trace="r1")
    (moved,) = grouped(reported(hop), [run])
    assert (moved.text, moved.detail) == ("#1 5h spent, back ~19:00 UTC → #3", f"pi · {MODEL}")
    (waiting,) = grouped(reported(hop), [replace(run, key=None)])
    assert waiting.text == "#1 5h spent, back ~19:00 UTC → waits for a key"
    (result,) = grouped(reported(hop, replace(went_well(NOW + 9, C), trace="r1")))
    assert result.text == moved.text


def test_the_client_and_the_record_come_with_the_line() -> None:
    use = Use(at=NOW, fingerprint=A, client="dashboard")
    (line,) = entries(use, PoolState(), apply(PoolState(), use, POLICY), POOL, POLICY, sequence=7)
    assert (line.client, line.sequence, line.record) == ("dashboard", 7, use)


def lines(first: int, last: int) -> tuple[Entry, ...]:
    return tuple(Entry(float(n), "info", f"line {n}", sequence=n) for n in range(first, last + 1))


def page(first: int, last: int, *, ends: bool = False) -> Page:
    return Page(lines(first, last), first, last, last - first + 1, ends)


def test_news_join_on_and_keep_what_was_read() -> None:
    window = FeedWindow(lines(5, 9)).with_news(lines(7, 12))
    assert window.entries == lines(5, 12)
    assert window.latest
    assert window.unseen(lines(7, 14)) == 2


def test_news_that_do_not_join_on_or_do_not_fit_are_held_back() -> None:
    assert not FeedWindow(lines(1, 3)).with_news(lines(5, 9)).latest
    held = FeedWindow(lines(1, 9)).with_news(lines(8, 12), most=10)
    assert (held.entries, held.latest) == (lines(1, 9), False)
    assert held.with_news(lines(8, 20)) == held
    assert held.unseen(lines(8, 12)) == 3


@given(st.integers(3, 40), st.integers(1, 30))
def test_a_window_is_read_to_the_beginning_and_back_without_a_gap(most: int, size: int) -> None:
    log = 60
    news = lines(55, log)
    window = FeedWindow(news)
    while not window.whole:
        before = window.before
        assert before is not None
        first = max(1, before - size)
        window = window.with_older(page(first, before - 1, ends=first == 1), most)
        assert len(window.entries) <= max(most, len(news))
    assert window.entries[0].sequence == 1
    while not window.latest:
        after = window.after
        assert after is not None
        window = window.with_newer(page(after + 1, min(log, after + size)), news, max(most, len(news)))
        numbers = [line.sequence for line in window.entries]
        assert numbers == list(range(numbers[0] or 0, (numbers[-1] or 0) + 1))
    assert window.entries[-1] == news[-1]


def test_lines_that_are_not_wanted_are_counted() -> None:
    window = FeedWindow(lines(9, 9)).with_older(Page(lines(2, 3), 2, 8, 7, ends=True))
    assert window.left_out == 5
    assert window.whole


def named(fingerprint: str) -> str:
    return f"#{POOL.index(fingerprint)}"


def fields(line: Entry) -> dict[str, str]:
    return dict(entry_fields(line, named, NOW + 60))


def test_a_fault_is_shown_with_its_response_and_what_followed() -> None:
    (line,) = reported(spent(first_byte_ms=None, duration_ms=1250, input_tokens=17))
    shown = fields(line)
    assert shown["when"] == "Thu 2026-10-08 16:00:00 UTC, 1m 00s ago"
    assert (shown["key"], shown["continued"], shown["model"], shown["client"]) == ("#1", "#3", MODEL, "cli")
    assert (shown["status"], shown["response"]) == ("429", "session usage limit")
    assert shown["fault"] == "spent, session window"
    assert shown["took"] == "1.25 s"
    assert shown["tokens"] == "17 in, 0 out"


def test_other_records_are_shown_too() -> None:
    read = SettingsRead(
        at=NOW, keys=2, cloud_url="https://ollama.com", problems=("line 3",), client="gateway"
    )
    models = ModelsRead(at=NOW, count=2, added=("a",), error=None)
    use = Use(at=NOW, fingerprint=C)
    shown = [fields(line) for line in reported(read, models, use)]
    assert (shown[0]["client"], shown[0]["problem"], shown[0]["cloud"]) == (
        "gateway",
        "line 3",
        "https://ollama.com",
    )
    assert (shown[1]["added"], shown[2]["key"]) == ("a", "#3")


@given(HISTORIES)
def test_no_record_is_without_words(records: list[Record]) -> None:
    for line in reported(*records):
        assert all(name and value for name, value in entry_fields(line, named, NOW))


def test_a_fallback_is_shown_with_both_models() -> None:
    fell = FellBack(at=NOW, client="gateway", caller="pi", model="kimi-k3", answered_by="glm-5.2")
    (line,) = reported(fell)
    shown = fields(line)
    assert (shown["asked for"], shown["answered by"]) == ("kimi-k3", "glm-5.2")


def test_a_request_that_only_runs_can_be_looked_at() -> None:
    run = RunningRequest("r1", "pi", MODEL, 3, C, NOW + 1, NOW + 2, 90)
    (born,) = grouped((), [run])
    assert fields(born.newest) == {
        "what": f"#3 {MODEL}",
        "when": "Thu 2026-10-08 16:00:01 UTC, 59s ago",
        "about": "pi",
    }
    assert (born.at, born.more) == (NOW + 1, "")
    assert "about" not in fields(replace(born.newest, detail=""))


def test_more_is_shown_of_one_answer_and_not_of_a_run() -> None:
    answer = replace(went_well(NOW, C), first_byte_ms=500, duration_ms=1500, output_tokens=40)
    (one,) = grouped(reported(answer))
    assert one.more == "40 tok/s · first 0.5 s"
    (run,) = grouped(reported(*(replace(answer, at=NOW + n) for n in range(3))))
    assert run.more == ""


def test_a_run_of_faults_without_a_model_names_its_senders() -> None:
    refused = [
        replace(failed(FaultKind.ENDPOINT, NOW + n, status=401, model=None, path=path), caller=caller)
        for n, (caller, path) in enumerate([("pi", "/api/ps"), ("codex", "/api/embed")])
    ]
    (group,) = grouped(reported(*refused))
    assert group.detail == "in 1s · pi codex"


def test_an_empty_window_has_seen_no_line() -> None:
    assert FeedWindow().unseen(lines(1, 3)) == 3


def test_what_a_fault_says_of_waits_slots_and_limits_is_shown() -> None:
    (line,) = reported(failed(FaultKind.BUSY, status=429, retry_after=5.0, max_concurrent=3))
    shown = fields(line)
    assert (shown["retry after"], shown["slots"], "longest" in shown) == ("5s", "3 at once", False)
    (line,) = reported(failed(FaultKind.REQUEST, status=400, max_output=4096))
    shown = fields(line)
    assert shown["longest"] == "4096 tokens"
    assert not {"retry after", "slots"} & shown.keys()


def test_an_alert_is_shown_with_what_is_known_of_its_window() -> None:
    alert = Alert(at=NOW, event="window-80", fingerprint=C, window="weekly", percent=82.0, until=NOW + 3600)
    (line,) = reported(alert)
    shown = fields(line)
    assert (shown["alert"], shown["key"]) == ("window-80", "#3")
    assert (shown["window"], shown["used"]) == ("weekly", "82%")
    assert shown["until"] == "Thu 2026-10-08 17:00:00 UTC"
    (line,) = reported(Alert(at=NOW, event="last-key"))
    assert not {"key", "window", "used", "until"} & fields(line).keys()
