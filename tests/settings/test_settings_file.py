"""Reading and changing one settings file: nothing is lost, nothing is half, nothing is leaked."""

import errno
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from okr_tui.domain.errors import SettingsError
from okr_tui.settings import file as file_module
from okr_tui.settings import lock as lock_module
from okr_tui.settings.file import change, edit, is_blank, read, rewrite
from okr_tui.settings.json_edit import Document
from okr_tui.settings.locations import NO_HOME
from okr_tui.settings.lock import locked

SECRET = "hidden-key-0123456789abcdef"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "settings.json"


def age(directory: Path, seconds: float) -> None:
    now = directory.stat().st_mtime
    os.utime(directory, (now - seconds, now - seconds))


def test_no_file_and_an_empty_file_are_an_empty_object(path: Path) -> None:
    assert read(path).root == {}
    assert read(path).fingerprint == ""
    path.write_bytes(b"")
    assert read(path).root == {}
    assert len(read(path).fingerprint) == 64


def test_a_byte_order_mark_is_accepted_and_kept(path: Path) -> None:
    path.write_bytes(b'\xef\xbb\xbf{"pi-ollama": {"activeKeyIndex": 0}}')
    assert read(path).root == {"pi-ollama": {"activeKeyIndex": 0}}
    edit(path, "pi-ollama", "activeKeyIndex", 1)
    assert path.read_bytes() == b'\xef\xbb\xbf{"pi-ollama": {"activeKeyIndex": 1}}'


@pytest.mark.parametrize(
    ("content", "line", "column"),
    [
        (b"[1]", 1, 1),
        (b'\n "text"', 2, 2),
        (b'{\n "a": }', 2, 7),
        (b'{\n "a": "\xff"}', 2, 8),
        (b'{"pi-ollama": 1}', 1, 15),
        (b'{"pi-ollama": null}', 1, 15),
        ("{\u00a0}".encode(), 1, 2),
        ("\u00a0".encode(), 1, 1),
    ],
)
def test_a_file_of_the_wrong_shape_is_refused_and_left_alone(
    path: Path, content: bytes, line: int, column: int
) -> None:
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        edit(path, "pi-ollama", "activeKeyIndex", 1)
    assert str(caught.value).startswith(f"{path}:{line}:{column}: ")
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == [path.name]


def test_a_huge_file_and_a_directory_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="is not a file"):
        read(path.parent)
    monkeypatch.setattr(file_module, "LARGEST", 10)
    path.write_text(f'{{"a": "{SECRET}"}}')
    with pytest.raises(SettingsError, match="too large"):
        read(path)


def test_neither_a_document_nor_an_error_shows_content(path: Path) -> None:
    path.write_text(f'{{"pi-ollama": {{"apiKey": "{SECRET}"}}}}')
    assert SECRET not in repr(read(path))
    assert SECRET not in repr(read(path).section("pi-ollama"))
    path.write_bytes(f'{{"pi-ollama": {{"apiKey": "{SECRET}"}}, "\xff"}}'.encode("latin-1"))
    with pytest.raises(SettingsError) as caught:
        read(path)
    assert caught.value.__context__ is None
    assert SECRET not in str(caught.value)


def test_a_half_written_file_is_read_again_under_the_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text('{"a": 1}')
    contents = iter([b'{"a"', b'{"a": 1}', b"", b'{"a": 2}'])
    monkeypatch.setattr(file_module, "_bytes", lambda _: next(contents))
    assert read(path).root == {"a": 1}
    assert read(path).root == {"a": 2}


def test_the_second_reading_is_made_while_the_lock_is_held(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("{")
    held: list[bool] = []
    read_bytes = file_module._bytes

    def watched(read: Path) -> bytes | None:
        held.append(Path(f"{path}.lock").is_dir())
        return read_bytes(read)

    monkeypatch.setattr(file_module, "_bytes", watched)
    with pytest.raises(SettingsError):
        read(path)
    assert held == [False, True]


def test_the_rest_of_the_file_stays_as_it_is(path: Path) -> None:
    content = '{\r\n\t"theme": "é\\u00e9",\r\n\t"pi-ollama": {"activeKeyIndex": 0},\r\n\t"big": 1.0\r\n}'
    path.write_bytes(content.encode())
    assert edit(path, "pi-ollama", "activeKeyIndex", 12).changed
    assert path.read_bytes() == content.replace('Index": 0', 'Index": 12').encode()


def test_the_same_value_is_not_written(path: Path) -> None:
    path.write_text('{"pi-ollama": {"activeKeyIndex": 1}}')
    before = path.stat()
    assert not edit(path, "pi-ollama", "activeKeyIndex", 1).changed
    assert path.stat() == before
    assert edit(path, "pi-ollama", "activeKeyIndex", True).changed


def test_a_new_file_is_private_and_so_are_its_directories(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "settings.json"
    assert edit(path, "pi-ollama", "activeKeyIndex", 1).kept
    assert json.loads(path.read_text()) == {"pi-ollama": {"activeKeyIndex": 1}}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [stat.S_IMODE(directory.stat().st_mode) for directory in (path.parent, path.parent.parent)] == [
        0o700
    ] * 2
    assert os.listdir(path.parent) == ["settings.json"]


def test_the_mode_and_a_symbolic_link_are_kept(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "pi.json"
    real.parent.mkdir()
    real.write_text("{}")
    real.chmod(0o640)
    link = tmp_path / "settings.json"
    link.symlink_to(real)
    edit(link, "okr-tui", "theme", "nord")
    assert link.is_symlink()
    assert json.loads(real.read_text()) == {"okr-tui": {"theme": "nord"}}
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_a_read_only_file_is_not_replaced(path: Path) -> None:
    path.write_text("{}")
    path.chmod(0o400)
    with pytest.raises(SettingsError, match="read-only") as caught:
        edit(path, "okr-tui", "theme", "nord")
    assert str(path) in str(caught.value)
    assert path.read_text() == "{}"
    assert os.listdir(path.parent) == [path.name]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=str(tmp_path / "file")):
        edit(tmp_path / "file" / "settings.json", "okr-tui", "theme", "nord")

    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "settings.json"
    path.write_text("{}")
    monkeypatch.setattr("tempfile.mkstemp", deny)
    with pytest.raises(SettingsError, match="Permission denied") as caught:
        edit(path, "okr-tui", "theme", "nord")
    assert str(path) in str(caught.value)


def refuse_to_replace(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Behave as the system does for a file that is a mount point of its own."""

    unlink = os.unlink

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    def unlink_others(path: Path, *, dir_fd: int | None = None) -> None:
        refuse() if Path(path).name == "settings.json" and dir_fd is None else unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(os, "unlink", unlink_others)


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV])
@pytest.mark.parametrize("value", ["x" * 20, 1])
def test_a_file_mounted_by_itself_is_written_in_place(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int, value: object
) -> None:
    path.write_text('{"other": "kept, and longer than what is written", "s": {"n": "yyyyyy"}}')
    path.chmod(0o640)
    refuse_to_replace(monkeypatch, number)
    before = path.stat()
    assert edit(path, "s", "n", value).changed
    assert json.loads(path.read_bytes()) == {
        "other": "kept, and longer than what is written",
        "s": {"n": value},
    }
    assert (path.stat().st_ino, path.stat().st_mode) == (before.st_ino, before.st_mode)
    assert os.listdir(path.parent) == [path.name]


def test_a_mounted_file_is_emptied_where_it_would_be_removed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("{}")
    refuse_to_replace(monkeypatch, errno.EBUSY)
    assert rewrite(path, (), lambda _: None).changed
    assert path.read_bytes() == b""


def test_a_copy_stays_private_while_a_mounted_file_is_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b'{"s": {"n": 1}}'
    path.write_bytes(content)
    path.chmod(0o644)
    refuse_to_replace(monkeypatch, errno.EXDEV)
    fsync, seen = os.fsync, []

    def watched(descriptor: int) -> None:
        copy = path.with_name(f"{path.name}.okr-tui-copy")
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            seen.append(
                (
                    copy.read_bytes(),
                    stat.S_IMODE(copy.stat().st_mode),
                    path.with_name("settings.json.lock").is_dir(),
                )
            )
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    edit(path, "s", "n", 2)
    assert seen == [(content, 0o600, True)]


@pytest.mark.parametrize("failures", [1, 2])
def test_a_mounted_file_that_cannot_be_written_whole_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    content = b'{"s": {"n": 1}}'
    path.write_bytes(content)
    refuse_to_replace(monkeypatch, errno.EBUSY)
    fsync, left = os.fsync, [failures]

    def full(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == path.stat().st_ino and left[0]:
            left[0] -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SettingsError, match="No space left") as caught:
        edit(path, "s", "n", 2)
    copy = path.with_name(f"{path.name}.okr-tui-copy")
    if failures == 1:
        assert path.read_bytes() == content
        assert not copy.exists()
    else:
        assert str(copy) in str(caught.value)
        assert copy.read_bytes() == content


def test_a_change_made_meanwhile_is_kept(path: Path) -> None:
    path.write_text('{"pi-ollama": {}}')
    calls: list[object] = []

    def append(present: object) -> object:
        if not calls:
            path.write_text('{"pi-ollama": {"apiKeys": ["other"]}, "theme": "x"}')
        calls.append(present)
        return [*(present if isinstance(present, list) else []), "mine"]

    assert change(path, "pi-ollama", "apiKeys", append).kept
    assert calls == [None, ["other"]]
    assert json.loads(path.read_text()) == {"pi-ollama": {"apiKeys": ["other", "mine"]}, "theme": "x"}

    def empty(_: object) -> object:
        path.write_text("")
        return 1

    with pytest.raises(SettingsError, match="rewriting"):
        change(path, "pi-ollama", "activeKeyIndex", empty)
    assert path.read_text() == ""


def test_a_change_that_vanishes_right_after_is_reported(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("{}")
    replace = os.replace

    def overwritten(source: str, target: Path) -> None:
        replace(source, target)
        target.write_text("{}")

    monkeypatch.setattr(os, "replace", overwritten)
    written = edit(path, "pi-ollama", "activeKeyIndex", 1)
    assert written.changed
    assert not written.kept


def test_writers_at_once_lose_no_update(path: Path) -> None:
    def increment(value: object) -> object:
        return value + 1 if isinstance(value, int) else 1

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: change(path, "s", f"n{n % 2}", increment), range(40)))
    assert json.loads(path.read_text()) == {"s": {"n0": 20, "n1": 20}}
    assert os.listdir(path.parent) == [path.name]


def test_an_abandoned_lock_is_broken_and_a_future_one_is_not(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module, "PATIENCE", 0)
    directory = Path(f"{path}.lock")
    directory.mkdir()
    age(directory, 11)
    assert edit(path, "s", "n", 1).changed
    assert not directory.exists()
    for seconds in (9, 0, -1):
        directory.mkdir()
        age(directory, seconds)
        with pytest.raises(SettingsError, match="locked by another program") as caught:
            edit(path, "s", "n", 2)
        assert str(directory) in str(caught.value)
        directory.rmdir()
    assert json.loads(path.read_text()) == {"s": {"n": 1}}


def test_a_lock_of_a_clock_far_ahead_is_not_broken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "PATIENCE", 0.02)
    directory = Path(f"{path}.lock")
    directory.mkdir()
    age(directory, -60)
    with pytest.raises(SettingsError, match="locked by another program"):
        edit(path, "s", "n", 1)
    assert directory.exists()


def test_only_drafts_of_writers_that_died_are_removed(path: Path) -> None:
    path.write_text("{}")
    young, old = (path.with_name(f".{path.name}.okr-tui-{name}.tmp") for name in ("young", "old"))
    for draft, seconds in ((young, 1), (old, 61)):
        draft.write_text("")
        age(draft, seconds)
    assert edit(path, "s", "n", 1).changed
    assert (young.exists(), old.exists()) == (True, False)


def test_a_change_that_another_breaks_right_after_is_reported(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("{}")
    replace = os.replace

    def broken(source: str, target: Path) -> None:
        replace(source, target)
        target.write_text("{")

    monkeypatch.setattr(os, "replace", broken)
    written = edit(path, "s", "n", 1)
    assert (written.changed, written.kept) == (True, False)


def test_an_abandoned_lock_that_cannot_be_removed_is_named(path: Path) -> None:
    directory = Path(f"{path}.lock")
    directory.write_text("")
    age(directory, 11)
    with pytest.raises(SettingsError, match="remove ") as caught, locked(path):
        pytest.fail("locked")
    assert str(directory) in str(caught.value)


def test_a_lock_taken_over_is_neither_used_nor_released(path: Path) -> None:
    path.write_text("{}")
    directory = Path(f"{path}.lock")
    with locked(path) as lock:
        assert lock.is_ours()
        directory.rmdir()
        assert not lock.is_ours()
        directory.mkdir()
        age(directory, 1)
        with pytest.raises(SettingsError, match="took over"):
            lock.verify()
    assert directory.exists()


def test_a_lock_lost_while_the_change_is_made_leaves_the_file_as_it_was(path: Path) -> None:
    path.write_text('{"s": {"n": 1}}')

    def slow(document: Document) -> str:
        if json.loads(document.text)["s"]["n"] == 2:
            # Called again under the lock, since another wrote; one that took this long finds it broken.
            directory = Path(f"{path}.lock")
            directory.rmdir()
            directory.mkdir()
            age(directory, 1)
        else:
            path.write_text('{"s": {"n": 2}}')
        return '{"s": {"n": 3}}'

    with pytest.raises(SettingsError, match="took over the lock; nothing was written"):
        rewrite(path, (("s", "n"),), slow)
    assert path.read_text() == '{"s": {"n": 2}}'
    assert sorted(os.listdir(path.parent)) == [path.name, f"{path.name}.lock"]


def test_the_lock_is_named_by_the_path_as_given(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with locked(tmp_path / "link" / "settings.json"):
        assert (tmp_path / "link" / "settings.json.lock").is_dir()
    with pytest.raises(SettingsError, match="cannot be locked"), locked(tmp_path / "none" / "settings.json"):
        pytest.fail("locked")


VALID = json.dumps({"a": [1, {"b": "é"}], "pi-ollama": {"apiKeys": [SECRET], "activeKeyIndex": 0}}, indent=2)
CUT = st.integers(0, len(VALID.encode())).map(lambda end: VALID.encode()[:end])
SPLICED = st.tuples(CUT, st.binary(max_size=3), st.integers(0, 200)).map(
    lambda parts: parts[0] + parts[1] + VALID.encode()[parts[2] :]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=CUT | SPLICED | st.binary())
def test_broken_content_is_refused_untouched_and_never_quoted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    message = ""
    try:
        edit(path, "pi-ollama", "activeKeyIndex", 7)
    except SettingsError as error:
        message = str(error)
    if message:
        assert path.read_bytes() == content
        assert SECRET not in message
        assert "\n" not in message
    else:
        assert json.loads(path.read_bytes())["pi-ollama"]["activeKeyIndex"] == 7
    assert os.listdir(tmp_path) == ["settings.json"]


def test_a_file_without_content_is_blank_and_one_that_cannot_be_read_is_not(path: Path) -> None:
    assert is_blank(path)
    for content, blank in ((b"", True), (b"\xef\xbb\xbf \r\n", True), (b"{}", False)):
        path.write_bytes(content)
        assert is_blank(path) is blank
    path.unlink()
    path.mkdir()
    assert not is_blank(path)


def test_a_value_that_another_program_wrote_meanwhile_is_not_written_again(path: Path) -> None:
    path.write_text('{"pi-ollama": {}}')
    wanted = '{"pi-ollama": {"activeKeyIndex": 1}}'

    def choose(_: object) -> object:
        path.write_text(wanted)
        return 1

    done = change(path, "pi-ollama", "activeKeyIndex", choose)
    assert (done.changed, done.before == done.after, path.read_text()) == (False, True, wanted)


def test_without_a_home_there_is_no_file_to_change() -> None:
    with pytest.raises(SettingsError, match="nothing was changed"):
        edit(NO_HOME / "settings.json", "pi-ollama", "activeKeyIndex", 1)


def test_a_stale_lock_that_is_released_meanwhile_is_not_a_fault(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = path.with_name("settings.json.lock")
    directory.mkdir()
    age(directory, 60)
    identity = lock_module._identity

    def release(found: Path) -> tuple[int, int]:
        seen = identity(found)
        found.rmdir()
        return seen

    monkeypatch.setattr(lock_module, "_identity", release)
    lock_module._break_if_stale(path, directory)
    assert not directory.exists()
