"""The provider in pi's models.json: what else is there stays, and undoing gives back what was there."""

import json
import os
import shutil
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from okr_tui.domain.errors import SettingsError
from okr_tui.domain.models import PROVIDER
from okr_tui.settings.file import read
from okr_tui.settings.lock import Lock
from okr_tui.settings.pi import RENAMED, Outcome, models_file, undo, was_edited, write
from tests.settings.test_settings_comments import commented
from tests.settings.test_settings_text import LAYOUTS, NAMES, VALUES, laid_out

OURS: dict[str, object] = {"baseUrl": "http://127.0.0.1:11435/v1", "models": [{"id": "a"}, {"id": "b"}]}
LATER: dict[str, object] = {
    "baseUrl": "http://127.0.0.1:11435/v1",
    "models": [{"id": "ü", "reasoning": True}],
}
SECRET = "hidden-key-0123456789abcdef"
THEIRS = {"baseUrl": "https://ollama.example/v1", "apiKey": SECRET}
PRINTED = """\
{
  // mine
  "providers": {
    // the one at home
    "home": {
      "baseUrl": "http://192.0.2.1/v1", // "wired", }
      "models": [],
    }, // end of home
    // "old": {"apiKey": "!pass old"},
  },
}
"""
FILES = {
    "missing": None,
    "empty": "",
    "blank": " \r\n",
    "an object": "{}",
    "no providers": '{\n  "providers": {\n  }\n}',
    "other providers": '{"providers":{"a":{"models":[]}},"$schema":"x"}',
    "other providers over lines": json.dumps({"providers": {"a": {}, "b": {"c": 1}}}, indent=4),
    "comments and last commas": PRINTED,
    "Windows": "\ufeff" + PRINTED.replace("\n", "\r\n"),
    "only a comment": "// later",
    "a provider of the name": json.dumps({"providers": {"a": {}, PROVIDER: THEIRS, "b": {}}}, indent=2),
    "that alone": json.dumps({"providers": {PROVIDER: THEIRS}}),
}


class ModelsFile:
    """A folder of pi's, and ours where changes are remembered."""

    def __init__(self, folder: Path, text: str | None) -> None:
        self.path = folder / "agent" / "models.json"
        self.state = folder / "state"
        if text is not None:
            self.path.parent.mkdir(exist_ok=True)
            self.path.write_bytes(text.encode())
        self.before = self.raw

    @property
    def raw(self) -> bytes | None:
        return self.path.read_bytes() if self.path.exists() else None

    @property
    def providers(self) -> Any:
        return read(self.path, commented=True).root["providers"]

    def write(self, provider: dict[str, object] = OURS) -> Outcome:
        return write(self.path, provider, self.state)

    def undo(self) -> Outcome | None:
        return undo(self.path, self.state)


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_it_is_written_refreshed_and_undone(tmp_path: Path, text: str | None) -> None:
    models = ModelsFile(tmp_path, text)
    others = dict(models.providers) if text and "{" in text and "providers" in text else {}
    if PROVIDER in others:
        others[RENAMED] = others.pop(PROVIDER)
    done = models.write()
    assert (done.changed, done.kept, done.moved) == (True, True, RENAMED if RENAMED in others else None)
    assert models.providers == {**others, PROVIDER: OURS}
    assert models.write(LATER).changed
    assert models.providers == {**others, PROVIDER: LATER}
    undone = models.undo()
    assert undone
    assert (undone.changed, undone.gone, undone.restored) == (True, text is None, RENAMED in others)
    assert models.raw == models.before
    assert models.undo() is None


@pytest.mark.parametrize("text", [PRINTED, FILES["Windows"]])
def test_comments_are_where_they_were(tmp_path: Path, text: str) -> None:
    models = ModelsFile(tmp_path, text)
    models.write()
    assert models.raw
    lines = models.raw.decode().splitlines()
    for line in text.splitlines():
        if "//" in line:
            assert line in lines


def test_what_is_up_to_date_is_not_written(tmp_path: Path) -> None:
    models = ModelsFile(tmp_path, PRINTED)
    models.write()
    status = models.path.stat()
    assert not models.write(dict(reversed(OURS.items()))).changed
    assert models.path.stat() == status


LAID_OUT = st.tuples(st.dictionaries(NAMES, VALUES, max_size=3), LAYOUTS, st.booleans())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(LAID_OUT, commented(), st.booleans())
def test_any_file_comes_back_byte_by_byte(
    tmp_path: Path,
    written: tuple[dict[str, object], tuple[int | str | None, bool, str, str], bool],
    with_comments: tuple[str, dict[str, object]],
    inside: bool,
) -> None:
    providers, layout, named = written
    if inside:
        text = '{"providers":' + with_comments[0] + "\n}"
    else:
        text = laid_out({"providers": {**providers, **({PROVIDER: 1} if named else {})}, "z": 1}, layout)
    models = ModelsFile(tmp_path, text)
    models.write()
    models.write(LATER)
    assert models.providers[PROVIDER] == LATER
    models.undo()
    assert models.raw == models.before


def test_what_was_edited_around_it_stays(tmp_path: Path) -> None:
    models = ModelsFile(tmp_path, PRINTED)
    models.write()
    text = models.path.read_text()
    models.path.write_text(
        text.replace('    // "old"', '    "new": {}, // "old"').replace("// mine", "// our")
    )
    done = models.undo()
    assert done
    assert done.changed
    assert set(models.providers) == {"home", "new"}
    assert '"new": {}, // "old"' in models.path.read_text()
    assert "// our" in models.path.read_text()
    assert "end of home" in models.path.read_text()


def test_a_file_made_for_it_stays_when_more_is_in_it(tmp_path: Path) -> None:
    models = ModelsFile(tmp_path, None)
    models.write()
    root = read(models.path).root
    models.path.write_text(json.dumps({**root, "providers": {**models.providers, "mine": {}}}))
    done = models.undo()
    assert done
    assert not done.gone
    assert models.providers == {"mine": {}}


def test_a_provider_edited_by_hand_is_not_lost(tmp_path: Path) -> None:
    models = ModelsFile(tmp_path, FILES["that alone"])
    models.write()
    edited = {**OURS, "name": "My pool"}
    models.path.write_text(json.dumps({"providers": {**models.providers, PROVIDER: edited}}, indent=2))
    raw = models.raw
    with pytest.raises(SettingsError, match="was edited since") as caught:
        models.undo()
    assert str(caught.value).startswith(f"{models.path}:7:")
    assert models.raw == raw
    assert models.write().moved == f"{RENAMED}-2"
    assert models.providers == {RENAMED: THEIRS, f"{RENAMED}-2": edited, PROVIDER: OURS}
    models.undo()
    assert models.raw == raw


def test_a_provider_taken_out_by_hand(tmp_path: Path) -> None:
    models = ModelsFile(tmp_path, FILES["that alone"])
    models.write()
    models.path.write_text(json.dumps({"providers": {RENAMED: THEIRS}}))
    done = models.undo()
    assert done
    assert done.restored
    assert models.raw == models.before
    models.write()
    models.path.write_text("{}")
    done = models.undo()
    assert done
    assert (done.changed, models.raw) == (False, b"{}")


def test_a_key_of_the_earlier_provider_is_in_no_other_file(tmp_path: Path) -> None:
    models = ModelsFile(tmp_path, FILES["a provider of the name"])
    models.write()
    (memory,) = models.state.iterdir()
    assert SECRET not in memory.read_text()
    assert stat.S_IMODE(memory.stat().st_mode) == 0o600
    assert SECRET in models.path.read_text()


def test_each_file_is_undone_by_itself(tmp_path: Path) -> None:
    models, other = ModelsFile(tmp_path, PRINTED), ModelsFile(tmp_path, PRINTED)
    other.path = tmp_path / "other" / "models.json"
    models.write()
    other.write()
    other.undo()
    assert not other.path.exists()
    assert PROVIDER in models.providers
    models.undo()
    assert models.raw == models.before


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ('{"providers": {', ":1:16: "),
        ('{\n  /* no */ "providers": {}\n}', ":2:3: "),
        ('{"providers": [], }', ":1:15: "),
        ("[] // x", ":1:1: "),
        (f'{{"providers": {{"{PROVIDER}": 1, "{PROVIDER}": 2}}}}', ":1:51: "),
        ('{"providers": {}, "providers": {}}', ":1:32: "),
    ],
)
def test_what_cannot_be_edited_faithfully_is_left_alone(tmp_path: Path, text: str, location: str) -> None:
    models = ModelsFile(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        models.write()
    assert str(caught.value).startswith(f"{models.path}{location}")
    assert models.raw == models.before
    assert os.listdir(models.path.parent) == ["models.json"]
    assert models.undo() is None


def test_a_read_only_file_is_left_alone(tmp_path: Path) -> None:
    models = ModelsFile(tmp_path, PRINTED)
    models.path.chmod(0o400)
    with pytest.raises(SettingsError, match="read-only"):
        models.write()
    assert models.raw == models.before


def test_a_link_stays_one_and_a_new_file_is_private(tmp_path: Path) -> None:
    models = ModelsFile(tmp_path, None)
    models.write()
    assert stat.S_IMODE(models.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(models.path.parent.stat().st_mode) == 0o700
    models.undo()
    real = tmp_path / "dotfiles.json"
    real.write_text(PRINTED)
    models.path.symlink_to(real)
    models.write()
    assert models.path.is_symlink()
    assert PROVIDER in real.read_text()
    models.undo()
    assert (models.path.is_symlink(), real.read_text()) == (True, PRINTED)


def test_many_at_once_are_as_one_after_the_other(tmp_path: Path) -> None:
    models = ModelsFile(tmp_path, FILES["a provider of the name"])
    versions = [{**OURS, "models": [{"id": str(number)}]} for number in range(8)]
    with ThreadPoolExecutor(len(versions)) as pool:
        done = list(pool.map(models.write, versions))
    assert [outcome.moved for outcome in done if outcome.moved] == [RENAMED]
    assert models.providers[PROVIDER] in versions
    assert set(models.providers) == {"a", "b", RENAMED, PROVIDER}
    models.undo()
    assert models.raw == models.before


@pytest.mark.parametrize("text", [PRINTED, FILES["that alone"], None])
@pytest.mark.parametrize("turn", ["write", "refresh", "undo"])
def test_a_death_before_the_rename_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, turn: str
) -> None:
    models = ModelsFile(tmp_path, text)
    if turn != "write":
        models.write()
    raw, verify = models.raw, Lock.verify

    class KilledError(BaseException):
        pass

    def killed(lock: Lock) -> None:
        if (models.path.parent / "models.json.lock").exists():
            raise KilledError
        verify(lock)

    with monkeypatch.context() as patch:
        patch.setattr(Lock, "verify", killed)
        with pytest.raises(KilledError):
            _ = models.undo() if turn == "undo" else models.write(LATER)
    assert models.raw == raw
    models.write(LATER)
    assert models.providers[PROVIDER] == LATER
    models.undo()
    assert models.raw == models.before


def test_damaged_memory_is_named(tmp_path: Path) -> None:
    models = ModelsFile(tmp_path, PRINTED)
    models.write()
    raw = models.raw
    (memory,) = models.state.iterdir()
    memory.write_text(json.dumps({"files": {str(models.path): {"written": 1}}}))
    for turn in (models.write, models.undo):
        with pytest.raises(SettingsError, match="damaged") as caught:
            turn()
        assert str(memory) in str(caught.value)
    assert models.raw == raw


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_javascript_reads_the_same(tmp_path: Path, text: str | None) -> None:
    models = ModelsFile(tmp_path, text)
    models.write()
    reader = ["node", str(Path(__file__).with_name("pi_reader.mjs"))]
    with models.path.open("rb") as file:
        done = subprocess.run(reader, stdin=file, capture_output=True, check=True)
    assert json.loads(done.stdout) == read(models.path, commented=True).root


def test_it_is_next_to_the_settings(tmp_path: Path) -> None:
    assert models_file(tmp_path / "agent" / "settings.json") == tmp_path / "agent" / "models.json"


def test_a_provider_added_after_ours_stays_when_ours_is_taken_out(tmp_path: Path) -> None:
    """What stood around it cannot be put back as it was: a comma would be left over."""
    models = ModelsFile(tmp_path, '{"providers":{}}')
    models.write()
    assert models.raw
    text = models.raw.decode()
    assert text.endswith("}}")
    models.path.write_text(text.removesuffix("}}") + ',"new":{}}}')
    assert models.undo()
    assert models.providers == {"new": {}}


def test_an_edit_by_hand_is_noticed_before_anything_is_undone(tmp_path: Path) -> None:
    models = ModelsFile(tmp_path, PRINTED)
    assert not was_edited(models.path, models.state)
    models.write()
    assert not was_edited(models.path, models.state)
    models.write(LATER)
    assert not was_edited(models.path, models.state)
    models.path.write_text(json.dumps({"providers": {PROVIDER: {**LATER, "name": "mine"}}}))
    assert was_edited(models.path, models.state)
    models.path.write_text("{}")
    assert was_edited(models.path, models.state)


def test_without_a_state_folder_nothing_is_changed(tmp_path: Path) -> None:
    models = ModelsFile(tmp_path, PRINTED)
    models.state.write_text("a file")
    with pytest.raises(SettingsError, match="cannot be made: File exists; nothing was changed"):
        models.write()
    assert models.raw == models.before
