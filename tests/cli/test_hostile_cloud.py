"""Every command on a cloud that repeats keys in its errors, and on one that sends what steers a terminal."""

import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from okr_tui.cli import main
from okr_tui.domain.scrubber import RUN
from tests.hostile_cloud import KEYS, MODEL, HostileCloud, forms, hostile_cloud, leaks, settings

STATUSES = (200, 307, 400, 401, 402, 403, 404, 405, 408, 410, 413, 422, 429, 500, 502, 503)
FORMS = len(forms("Bearer x"))
ASKING = (
    ["keys", "--check"],
    ["keys", "--check", "--json"],
    ["test-key", "1"],
    ["--debug", "test-key", "2", "--json"],
    ["refresh"],
    ["models", "--refresh", "--json"],
    ["chat", MODEL, "hello"],
    ["chat", MODEL, "hello", "--json"],
)
TELLING = (
    ["status"],
    ["keys"],
    ["models"],
    ["explain", MODEL],
    ["explain", "--json"],
    ["events"],
    ["events", "--json"],
    ["doctor"],
    ["usage"],
)
ALL = (
    *ASKING,
    *TELLING,
    ["info", MODEL],
    ["info", MODEL, "--json"],
    ["models", "--json"],
    ["keys", "--json"],
    ["status", "--json"],
    ["status", "--line"],
    ["usage", "--json"],
    ["rotate"],
    ["use-key", "2"],
    ["disable-key", "1"],
    ["enable-key", "1"],
    ["reset-key", "1"],
    ["connect", "pi"],
    ["connect", "openai"],
    ["conversations", "list"],
    ["paths"],
)
STEERING = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e0fff]"
)


@pytest.fixture
def cloud() -> Iterator[HostileCloud]:
    with hostile_cloud() as served:
        yield served


class Home:
    """A user of a hostile cloud, who types commands at a terminal."""

    def __init__(
        self,
        folder: Path,
        cloud: HostileCloud,
        capture: pytest.CaptureFixture[str],
        patch: pytest.MonkeyPatch,
    ) -> None:
        self.log = folder / "log.db"
        self.file = folder / "settings.json"
        self.file.write_text(settings(cloud.url, f"sqlite:{self.log}"))
        self.folder = folder
        self.capture = capture
        self.patch = patch

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command; returns its exit code and what it wrote."""
        self.capture.readouterr()
        self.patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
        for stream in (sys.stdout, sys.stderr):
            self.patch.setattr(stream, "isatty", lambda: True)
        where = ["--settings", str(self.file), "--project", str(self.folder / "project")]
        with pytest.raises(SystemExit) as ended:
            main([*where, *arguments])
        out, err = self.capture.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    @property
    def logged(self) -> str:
        """All bytes of the log, with what is not in its tables yet."""
        return "".join(path.read_bytes().decode("latin-1") for path in self.folder.glob("log.db*"))


@pytest.fixture
def home(
    tmp_path: Path,
    cloud: HostileCloud,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    _bare_environment: None,
) -> Home:
    return Home(tmp_path, cloud, capsys, monkeypatch)


@pytest.mark.parametrize("status", STATUSES)
def test_no_part_of_a_key_is_shown_or_logged(status: int, home: Home, cloud: HostileCloud) -> None:
    cloud.heard = f"Bearer {KEYS[0]}"
    cloud.status = status
    for form, arguments in enumerate(ASKING):
        cloud.form = form + status
        _, out, err = home.run(*arguments)
        assert leaks(out + err) == [], arguments
        assert "unexpected" not in err, arguments
    for arguments in TELLING:
        _, out, err = home.run(*arguments)
        assert leaks(out + err) == [], arguments
    assert leaks(home.logged) == []


@pytest.mark.parametrize("form", range(FORMS))
def test_no_form_of_a_key_is_shown_or_logged(form: int, home: Home, cloud: HostileCloud) -> None:
    cloud.heard = f"Bearer {KEYS[0]}"
    for cloud.status in (400, 401, 500):
        cloud.form = form
        for arguments in (["test-key", "1"], ["chat", MODEL, "hello"], ["events", "--json"], ["refresh"]):
            _, out, err = home.run(*arguments)
            assert leaks(out + err) == [], arguments
    assert leaks(home.logged) == []


@pytest.mark.parametrize("kind", ["html", "plain", "odd"])
def test_errors_of_any_kind_show_no_key_and_steer_nothing(kind: str, home: Home, cloud: HostileCloud) -> None:
    cloud.heard, cloud.kind = f"Bearer {KEYS[0]}", kind
    for cloud.status in (200, 400, 401, 403, 500):
        for arguments in (
            ["keys", "--check"],
            ["chat", MODEL, "hello"],
            ["refresh"],
            ["explain"],
            ["events"],
        ):
            _, out, err = home.run(*arguments)
            assert leaks(out + err) == [], arguments
            assert STEERING.search(out + err) is None, (arguments, out + err)
            assert "unexpected" not in err, (arguments, err)
            assert not [line for line in (out + err).splitlines() if line.startswith("forged")], arguments
    assert leaks(home.logged) == []


def test_a_cloud_that_repeats_keys_is_heard() -> None:
    """Guard the tests above: what they look for is what this cloud says."""
    assert all(leaks(form) for form in forms(f"Bearer {KEYS[0]}"))
    assert not leaks(KEYS[0][: RUN - 1])


def test_no_command_writes_what_steers_a_terminal(home: Home, cloud: HostileCloud) -> None:
    for arguments in ALL:
        code, out, err = home.run(*arguments)
        assert code in (0, 1, 3, 4), (arguments, err)
        assert "unexpected" not in err, (arguments, err)
        assert STEERING.search(out + err) is None, (arguments, out + err)
        forged = [line for line in (out + err).splitlines() if line.startswith("forged")]
        assert not forged or arguments[0] == "chat", arguments
        if "--json" in arguments and "chat" not in arguments:
            assert out.isascii(), arguments
            json.loads(out) if arguments[0] != "events" else [json.loads(line) for line in out.splitlines()]
    cloud.status = 500
    for arguments in (["test-key", "1"], ["refresh"], ["events"]):
        _, out, err = home.run(*arguments)
        assert STEERING.search(out + err) is None, (arguments, out + err)


def test_one_good_model_is_listed_and_the_others_are_counted(home: Home) -> None:
    code, out, err = home.run("models", "--refresh")
    assert code == 0
    assert MODEL in out
    assert len(out.splitlines()) == 2
    assert re.search(r"\d+ models have names that cannot be shown", err)
