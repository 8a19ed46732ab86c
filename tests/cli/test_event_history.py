"""Events from a fold of the whole log, and from what an earlier fold left and the records themselves."""

import json
from collections.abc import Callable
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from okr_tui.cli.documents import Document
from okr_tui.cli.event_history import History
from okr_tui.cli.events import recorded
from okr_tui.domain.choice import PoolConfig
from okr_tui.domain.faults import FaultKind
from okr_tui.domain.records import Record, Reset, ResetUndone, Use
from okr_tui.services import kept_events
from okr_tui.store.base import LogEntry, encode
from okr_tui.store.factory import stretch
from okr_tui.store.sqlite import SqliteStore
from tests.cli.harness import MODEL, NOW, CliHarness
from tests.cli.test_cli_kept import folds  # noqa: F401
from tests.domain.facts import KEYS, POLICY, A, B, failed, went_well
from tests.domain.histories import FINGERPRINTS, RECORDS

CONFIG = PoolConfig((*KEYS, KEYS[0]))
SOON = st.floats(NOW, NOW + 20)
OUTAGES: st.SearchStrategy[Record] = st.one_of(
    st.builds(failed, st.sampled_from([FaultKind.TRANSIENT, FaultKind.PATH]), SOON, FINGERPRINTS),
    st.builds(failed, st.just(FaultKind.TRANSIENT), SOON, FINGERPRINTS),
    st.builds(went_well, SOON, FINGERPRINTS),
    st.builds(Reset, at=SOON, fingerprint=FINGERPRINTS),
    st.builds(ResetUndone, at=SOON, fingerprint=FINGERPRINTS),
)
LOGS = st.lists(RECORDS, max_size=12) | st.lists(OUTAGES, max_size=12)


def history_of(records: list[Record], *, passed: bool = False) -> tuple[History, list[tuple[Document, bool]]]:
    history = History(CONFIG, POLICY, UTC)
    found: list[tuple[Document, bool]] = []
    for item in (LogEntry(index, record) for index, record in enumerate(records, 1)):
        if passed:
            history.pass_over(item)
        else:
            events = history.take(item)
            found += [(each.document, each.is_fault) for each in events if each.document is not None]
    return history, found


OUT: list[Record] = [failed(FaultKind.TRANSIENT, NOW, A), failed(FaultKind.TRANSIENT, NOW + 1, B)]


@example([*OUT, Reset(at=NOW + 2, fingerprint=A)], [ResetUndone(at=NOW + 3, fingerprint=A)])
@example([], OUT)
@given(LOGS, LOGS)
def test_records_and_what_a_fold_left_say_the_same_as_a_fold_of_all(
    before: list[Record], later: list[Record]
) -> None:
    history, _ = history_of(before, passed=True)
    kept = history.kept(NOW)
    texts = list(map(encode, before + later))
    has_news = any(news in text for text in texts[len(before) :] for news in kept_events.NEWS)
    if not has_news and not (kept.is_out and later):
        assert list(recorded(kept, enumerate(texts, 1))) == history_of(before + later)[1]


@given(LOGS)
def test_records_that_are_skipped_leave_the_same(records: list[Record]) -> None:
    assert history_of(records, passed=True)[0].kept(NOW) == history_of(records)[0].kept(NOW)


def events(cli: CliHarness, *options: str) -> str:
    return cli.run_ok("events", "--json", *options).out


def without_kept(cli: CliHarness, *options: str) -> str:
    for path in (cli.folder / ".local/state/okr-tui/events").iterdir():
        path.unlink()
    return events(cli, *options)


@pytest.mark.parametrize("options", [(), ("--since", "5s"), ("--faults",), ("--faults", "--since", "3h")])
def test_the_second_run_prints_the_same_without_the_service(
    cli: CliHarness,
    folds: Callable[[], int],  # noqa: F811
    options: tuple[str, ...],
) -> None:
    cli.run_ok("keys", "--check")
    cli.fault("session", account="amber")
    cli.run_ok("chat", MODEL, "hello")
    events(cli)
    cli.clock.now = NOW + 10
    cli.run_ok("chat", MODEL, "hello")
    cli.run_ok("disable-key", "2")
    folds()
    known = events(cli, *options)
    assert folds() == 0
    assert known == without_kept(cli, *options)
    assert known.count("\n") > 0
    assert folds() == 1


def test_an_outage_and_a_change_of_the_settings_are_folded_again(
    cli: CliHarness,
    folds: Callable[[], int],  # noqa: F811
) -> None:
    cli.write_settings(policy={"slowed_wait": 0})
    events(cli)
    cli.fault("unavailable", times=7)
    for words in ("hello", "hello", "something else"):
        assert cli.run("chat", MODEL, words).code
    folds()
    assert '"phase": "begin"' in events(cli)
    assert folds() == 1
    assert '"phase": "begin"' in events(cli)
    assert folds() == 0
    cli.clock.now = NOW + 20
    cli.run_ok("chat", MODEL, "hello")
    assert '"phase": "end"' in events(cli)
    cli.run_ok("use-key", "3")
    cli.write_settings(keys=1)
    assert json.loads(events(cli).splitlines()[-1])["key"] is None


async def test_records_since_a_moment_are_found_wherever_they_are_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    log = tmp_path / "log.db"
    store = await SqliteStore.open(log)
    for at in (5.0, 9.0, 1.0, 8.5, 20.0, 2.0):
        await store.append([Use(at=at, fingerprint="a")])
    found = stretch(log, 8.5, 4, ('"kind":"use"',))
    assert found is not None
    assert [index for index, _ in found.records] == [2, 4, 5]
    assert (found.last, found.has_news) == (6, True)
    quiet = stretch(log, 100.0, 6, ('"kind":"use"',))
    assert quiet is not None
    assert (quiet.records, quiet.has_news, quiet.identity) == ([], False, found.identity)
    await store.close()
