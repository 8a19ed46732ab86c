"""What the last run showed: it comes back as it was, or not at all."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.fold import fold
from okr_tui.domain.records import Record
from okr_tui.domain.view import view
from okr_tui.services.last_snapshot import MOST_KEYS, MOST_MODELS, READER, LastSnapshot, _plain, _reduced
from okr_tui.services.overview import Inputs
from okr_tui.services.service import GatewayView, Snapshot
from okr_tui.store.kept_files import KeptFiles
from tests.domain.facts import NOW, POLICY, config
from tests.domain.histories import HISTORIES
from tests.ui import examples

KEY = "synthetic.0123456789abcdef0123456789"


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inputs:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    files = (tmp_path / "settings.json", tmp_path / "project.json")
    text = {"pi-ollama": {"cloudUrl": "https://ollama.com", "apiKeys": [KEY, "$AMBER"]}, "theme": "dark"}
    files[0].write_text(json.dumps(text))
    return Inputs(files, {"AMBER": KEY[::-1], "OTHER": "1"}, {"cloud_url": None}, {})


def file_of(inputs: Inputs, folder: Path) -> Path:
    return folder / "okr-tui" / "snapshot" / inputs.name


@given(HISTORIES)
def test_every_pool_comes_back(records: list[Record]) -> None:
    pool = view(fold(records, POLICY), config(), POLICY, NOW)
    before = _reduced(examples.snapshot(pool=pool))
    found = READER.of(Snapshot)(json.loads(json.dumps(_plain(before))))
    assert [row.state for row in found.pool.keys] == [row.state for row in pool.keys]
    assert found.pool.counts == before.pool.counts
    # Faults of the cloud may have any text, which is cleaned; nothing else changes.
    assert READER.of(Snapshot)(json.loads(json.dumps(_plain(found)))) == found


def test_keys_models_and_lines_come_back_and_nothing_of_the_moment(inputs: Inputs) -> None:
    shown = examples.snapshot()
    shown = replace(shown, gateway=GatewayView("http://127.0.0.1:1"), log=("the log is away",))
    LastSnapshot(inputs).save(shown)
    found = LastSnapshot(inputs).load()
    assert found
    assert found.remembered
    assert [row.masked for row in found.pool.keys] == [row.masked for row in shown.pool.keys]
    assert [row.verdict for row in found.pool.keys] == [row.verdict for row in shown.pool.keys]
    assert [row.model.id for row in found.models.rows] == [row.model.id for row in shown.models.rows]
    assert found.entries[-1].text == shown.entries[-1].text
    assert found.at == shown.at
    assert (found.gateway, found.log) == (GatewayView(), ())


def test_the_file_is_private_small_and_has_no_key(inputs: Inputs, tmp_path: Path) -> None:
    LastSnapshot(inputs).save(examples.snapshot())
    path = file_of(inputs, tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert KEY not in path.read_text()
    keys = tuple(examples.key(at, account_keys=(at, at + 1)) for at in range(1, 3001))
    rows = examples.MODELS * 1000
    large = examples.snapshot(pool=examples.pool(*keys, active=2000))
    LastSnapshot(inputs).save(replace(large, models=replace(large.models, rows=rows)))
    found = LastSnapshot(inputs).load()
    assert found
    assert (len(found.pool.keys), len(found.models.rows)) == (MOST_KEYS, MOST_MODELS)
    assert path.stat().st_size < 200_000


def test_it_counts_for_other_settings_never(inputs: Inputs) -> None:
    LastSnapshot(inputs).save(examples.snapshot())

    def found(**changes: Any) -> bool:
        return LastSnapshot(inputs._replace(**changes)).load() is not None

    assert found()
    assert found(environment={"AMBER": KEY[::-1], "OTHER": "2"})
    assert not found(environment={"AMBER": "another"})
    assert not found(environment={"AMBER": KEY[::-1], "OLLAMA_API_KEY": "k"})
    assert not found(options={"cloud_url": "http://localhost:1"})
    assert not found(files=(inputs.files[1], inputs.files[1]))
    text = json.loads(inputs.files[0].read_text())
    for section in ({"activeKeyIndex": 1}, {"theme": "light"}):
        inputs.files[0].write_text(json.dumps({**text, "pi-ollama": {**text["pi-ollama"]}} | section))
        assert found(), "what pi keeps there as well changes nothing"
    inputs.files[0].write_text(json.dumps(text | {"pi-ollama": {**text["pi-ollama"], "activeKeyIndex": 1}}))
    assert found()
    inputs.files[0].write_text(json.dumps(text | {"pi-ollama": {"cloudUrl": "https://example.com"}}))
    assert not found()
    inputs.files[0].write_text("{")
    assert not found()


TEXTS = ["", "null", "{", "[]", "[1, 2]", "[" * 50_000, '"x"', '["a", {"at": 1}]', "\x00", "[null, []]"]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_damaged_file_is_none(inputs: Inputs, tmp_path: Path, text: str) -> None:
    LastSnapshot(inputs).save(examples.snapshot())
    file_of(inputs, tmp_path).write_text(text)
    assert LastSnapshot(inputs).load() is None


HOSTILE: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        7,
        10**30,
        1e300,
        -1e300,
        float("nan"),
        "",
        "x" * 5000,
        "\x1b[2J\u202e\u200b",
        [],
        {},
        [[]],
    ]
)


@given(st.data())
def test_any_value_replaced_is_refused_or_harmless(data: st.DataObject) -> None:
    """What still counts can be drawn: places are places, moments have dates, texts are clean lines."""

    def spoiled(value: Any) -> Any:
        if isinstance(value, list) and value and data.draw(st.integers(0, 4)):
            number = data.draw(st.integers(0, len(value) - 1))
            return [spoiled(each) if at == number else each for at, each in enumerate(value)]
        return data.draw(HOSTILE)

    plain = json.loads(json.dumps(_plain(_reduced(examples.snapshot()))))
    text = json.dumps(("digest", spoiled(plain)))
    patch = pytest.MonkeyPatch()
    patch.setattr(KeptFiles, "read", lambda *_: text)
    patch.setattr(Inputs, "pool_digest", "digest")
    found = LastSnapshot(Inputs((Path("a"), Path("b")), {}, {}, {})).load()
    patch.undo()
    if found is None:
        return
    texts = [entry.text for entry in found.entries] + [row.masked for row in found.pool.keys]
    texts += [row.model.id for row in found.models.rows] + [found.settings.cloud_url]
    assert all(len(each) <= 240 and each.isprintable() for each in texts)
    times = [found.at, *(entry.at for entry in found.entries)]
    times += [row.verdict.until for row in found.pool.keys if row.verdict.until is not None]
    for at in times:
        datetime.fromtimestamp(at, UTC)
    assert all(found.pool.keys[at - 1].index == at for row in found.models.rows for at in row.keys)


def test_settings_that_were_never_read_have_none(inputs: Inputs) -> None:
    assert LastSnapshot(inputs).load() is None
    LastSnapshot(inputs).save(examples.snapshot(pool=examples.pool(active=None)))
    assert LastSnapshot(inputs).load() is None, "a pool without keys is not worth it"
