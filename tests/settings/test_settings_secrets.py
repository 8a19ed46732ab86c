"""References to keys: what each form gives, and that nothing is quoted or run without trust."""

import os
import resource
import signal
import sys
from pathlib import Path
from types import ModuleType

import pytest

from okr_tui.domain.keys import SecretStr
from okr_tui.settings import key_references
from okr_tui.settings.key_references import resolve
from okr_tui.settings.origin import Problem
from tests.system_keyring import Backend
from tests.waiting import LIMIT

SECRET = "hidden-key-0123456789abcdef"
ENVIRONMENT = {"WORK_KEY": f" {SECRET} ", "PATH": os.environ["PATH"]}


def key(reference: str) -> str:
    found = resolve(SecretStr(reference), ENVIRONMENT, True)
    assert isinstance(found, SecretStr)
    return found.get_secret_value()


def message(reference: str, trusted: bool = True) -> str:
    problem = resolve(SecretStr(reference), ENVIRONMENT, trusted)
    assert isinstance(problem, Problem)
    return problem.message


def test_a_key_itself_a_variable_and_a_command() -> None:
    assert key(f" {SECRET}\n") == SECRET
    assert key("$WORK_KEY") == SECRET
    assert key("!printf '%s\\n' \"$WORK_KEY\"") == "$WORK_KEY"  # no shell reads the line
    assert key("!printenv WORK_KEY") == SECRET


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("$OTHER_KEY", "variable OTHER_KEY it names is not set"),
        (f"${SECRET}", "variable it names is not set"),
        ("!false", "exit code 1"),
        (f"!no-such-program {SECRET}", "cannot be run: No such file"),
        ("!true", "printed nothing"),
        ("!printf '\\377'", "not text"),
        ("!printf '", "not a valid command line"),
        ("!", "not a valid command line"),
        ("!a\0b", "not a valid command line"),
    ],
)
def test_what_cannot_be_resolved_is_reported_without_quoting(reference: str, words: str) -> None:
    assert words in message(reference)
    assert SECRET not in message(reference)


@pytest.mark.parametrize("reference", ["$WORK_KEY", "!printenv WORK_KEY", "keyring:work"])
def test_an_untrusted_layer_may_only_hold_literal_keys(reference: str) -> None:
    assert "not trusted" in message(reference, trusted=False)


@pytest.mark.parametrize("command", ["sleep 5", "sh -c 'exec sleep 5 >&-'"])
def test_a_command_that_does_not_end_is_given_up(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_references, "COMMAND_TIMEOUT", 0.5)
    assert "did not end" in message(f"!{command}")


@pytest.mark.parametrize("end", ["sleep 60", "yes"])
def test_a_command_that_is_given_up_takes_all_along_that_it_started(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_references, "COMMAND_TIMEOUT", 1.0)
    started = tmp_path / "started"
    os.mkfifo(started)
    reader = os.open(started, os.O_RDONLY | os.O_NONBLOCK)
    try:
        command = f"sh -c 'sleep 60 >{started} & {end}'"
        assert message(f"!{command}").startswith("its command ")
        os.set_blocking(reader, True)
        assert os.read(reader, 1) == b""  # nobody holds the other end any more
    finally:
        os.close(reader)


@pytest.mark.parametrize("command", ["yes", "cat /dev/zero", "sh -c 'yes >&2'"])
def test_what_a_command_prints_without_end_is_not_kept(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_references, "COMMAND_TIMEOUT", 1.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert message(f"!{command}").startswith("its command ")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_an_agent_that_a_command_leaves_behind_does_not_hold_up_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_references, "COMMAND_TIMEOUT", LIMIT)
    command = f"sh -c 'sleep 1000 & echo $! >{tmp_path}/agent; echo {SECRET}'"
    try:
        assert key(f"!{command}") == SECRET
    finally:
        os.kill(int((tmp_path / "agent").read_text()), signal.SIGKILL)


def test_the_system_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {("okr-tui", "work"): SECRET}
    module = ModuleType("keyring")
    monkeypatch.setattr(
        module, "get_password", lambda service, name: entries.get((service, name)), raising=False
    )
    monkeypatch.setitem(sys.modules, "keyring", module)
    assert key("keyring:work") == SECRET
    assert "no such entry" in message("keyring:home")

    def fail(_service: str, _name: str) -> str:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(module, "get_password", fail)
    assert message("keyring:work") == "the system's secret store failed: RuntimeError"


def test_the_system_keyring_without_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert "install 'keyring>=25'" in message("keyring:work")


def test_a_key_is_kept_in_the_system_keyring_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Backend()
    monkeypatch.setitem(sys.modules, "keyring", backend)
    assert key_references.keep(SecretStr(SECRET), "name") is None
    assert backend.entries == {("okr-tui", "name"): SECRET}
    assert key("keyring:name") == SECRET
    assert key_references.forget("name") is None
    assert backend.entries == {}
    assert key_references.forget("name") == Problem("the system's secret store failed: KeyError")


def test_a_system_keyring_that_does_not_work_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Backend()
    monkeypatch.setitem(sys.modules, "keyring", backend)

    def fail(_service: str, _name: str, text: str) -> None:
        raise RuntimeError(text)

    for put in (fail, lambda *_: None):
        monkeypatch.setattr(backend, "set_password", put)
        problem = key_references.keep(SecretStr(SECRET), "name")
        assert problem
        assert "install a backend" in problem.message
        assert SECRET not in problem.message
    monkeypatch.setitem(sys.modules, "keyring", None)
    for found in (key_references.keep(SecretStr(SECRET), "name"), key_references.forget("name")):
        assert found
        assert "install 'keyring>=25'" in found.message
