"""What is kept for the verbs between runs says the same as the log, for as long as it counts."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.choice import SelectionRequest
from okr_tui.domain.explain import explain
from okr_tui.domain.fold import fold
from okr_tui.domain.models import Model
from okr_tui.domain.records import Record
from okr_tui.domain.view import view
from okr_tui.services.overview import FILES, Basis, Choice, Inputs, Overview, keep, kept, unchanged_until
from okr_tui.services.service import ModelList, ModelRow, SettingsView, Snapshot
from okr_tui.store.kept_files import MOST_BYTES, MOST_FILES
from tests.domain.facts import NOW, POLICY, config
from tests.domain.histories import HISTORIES

MODEL = Model("gpt-oss:20b", capabilities=("tools", "thinking"), thinking=("low", "high"), context_length=9)
SETTINGS = SettingsView("https://ollama.com", Path("/home/settings.json"), (Path("/home/settings.json"),))
END = ("a log", 7)


def overview(records: list[Record], at: float) -> Overview:
    """What the verbs show after some records."""
    state = fold(records, POLICY)
    pool = view(state, config(), POLICY, at)
    models = ModelList((ModelRow(MODEL, (1, 2), "glm-5.2", favourite=True),), at - 60)
    choice = Choice.of(explain(state, config(), SelectionRequest(at), POLICY))
    return Overview.of(Snapshot(at, pool, models, SETTINGS), "sqlite:log.db", choice)


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inputs:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    files = (tmp_path / "settings.json", tmp_path / "project.json")
    files[0].write_text('{"okr-tui": {}, "pi-ollama": {"apiKeys": ["$PWD"]}}')
    return Inputs(files, {"PWD": "one", "SHLVL": "1", "OLLAMA_API_KEY": "k"}, {"cloud_url": None}, {})


def remember(inputs: Inputs, until: float = NOW + 60) -> Overview:
    """Keep an overview."""
    found = overview([], NOW)
    keep(found, inputs, Basis(inputs.digest, *END), until)
    return found


def file_of(inputs: Inputs, folder: Path) -> Path:
    return folder / "okr-tui" / "overview" / inputs.name


@given(HISTORIES, st.floats(0, 1))
def test_time_alone_changes_nothing_before_the_end(records: list[Record], part: float) -> None:
    at = max((record.at for record in records), default=NOW)
    found = overview(records, at)
    end = min(unchanged_until(fold(records, POLICY), POLICY, found), at + 90_000)
    later = at + (end - at) * part * 0.999_999
    now, then = overview(records, later), found.later(later)
    assert (now.pool.empty_at is None) == (then.pool.empty_at is None)
    if now.pool.empty_at is not None:
        assert then.pool.empty_at == pytest.approx(now.pool.empty_at, abs=0.01)
    same = now.pool._replace(empty_at=then.pool.empty_at)
    assert then.pool == same
    assert then.choice == now.choice


@given(HISTORIES)
def test_nothing_is_lost_in_the_file(records: list[Record]) -> None:
    found = overview(records, NOW)
    text = json.dumps(found._replace(models=()))
    assert Overview.read(json.loads(text))._replace(models=found.models) == found


def test_what_was_kept_is_found(inputs: Inputs, tmp_path: Path) -> None:
    found = remember(inputs)
    assert kept(inputs, lambda: END, NOW + 5) == found.later(NOW + 5)
    path = file_of(inputs, tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("now", [NOW - 1, NOW + 60])
def test_it_counts_at_no_other_time(inputs: Inputs, now: float) -> None:
    remember(inputs)
    assert kept(inputs, lambda: END, now) is None


@pytest.mark.parametrize("end", [("a log", 8), ("another", 7), None])
def test_it_counts_for_no_other_log(inputs: Inputs, end: tuple[str, int] | None) -> None:
    remember(inputs)
    assert kept(inputs, lambda: end, NOW) is None


def test_it_counts_for_no_other_settings(inputs: Inputs) -> None:
    remember(inputs)
    other = {"PWD": "two", "SHLVL": "1", "OLLAMA_API_KEY": "k"}
    assert kept(inputs._replace(environment=other), lambda: END, NOW) is None, "a key is in that variable"
    deeper = {"PWD": "one", "SHLVL": "2", "OLLAMA_API_KEY": "k"}
    assert kept(inputs._replace(environment=deeper), lambda: END, NOW), "nothing reads that variable"
    assert kept(inputs._replace(options={"cloud_url": "http://localhost"}), lambda: END, NOW) is None
    inputs.files[1].write_text("{}")
    assert kept(inputs, lambda: END, NOW) is None


@pytest.mark.parametrize(
    "text",
    ["", "null", "{", "[]", "[1,2,3]", '["a","b",1,2,3,{}]', "[" * 100_000, '"\\ud800"', "[1e999]"],
    ids=range(9),
)
def test_a_damaged_file_is_none(inputs: Inputs, tmp_path: Path, text: str) -> None:
    remember(inputs)
    file_of(inputs, tmp_path).write_text(text)
    assert kept(inputs, lambda: END, NOW) is None


@given(st.data())
def test_a_file_with_any_value_replaced_does_no_harm(data: st.DataObject) -> None:
    document = json.loads(json.dumps(overview([], NOW)._replace(models=())))

    def spoiled(value: object) -> object:
        if isinstance(value, list) and value and data.draw(st.booleans()):
            index = data.draw(st.integers(0, len(value) - 1))
            return [spoiled(each) if at == index else each for at, each in enumerate(value)]
        return data.draw(st.sampled_from([None, 7, "x", [], {}, -1.5, True, [[]]]))

    try:
        Overview.read(spoiled(document))
    except (TypeError, ValueError, LookupError, AttributeError):
        return


def test_files_are_bounded_and_only_the_newest_stay(inputs: Inputs, tmp_path: Path) -> None:
    remember(inputs)
    path = file_of(inputs, tmp_path)
    path.write_bytes(b" " * (MOST_BYTES + 1))
    assert FILES.read(inputs.name) is None
    path.unlink()
    path.symlink_to(inputs.files[0])
    assert FILES.read(inputs.name) is None
    for number in range(MOST_FILES + 3):
        FILES.write(f"{number}", "text")
    assert len(list(path.parent.iterdir())) == MOST_FILES


def test_where_nothing_can_be_written_nothing_is_kept(inputs: Inputs, tmp_path: Path) -> None:
    (tmp_path / "okr-tui").write_text("no folder")
    remember(inputs)
    assert kept(inputs, lambda: END, NOW) is None
