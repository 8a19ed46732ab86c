"""What pi keeps for itself, read as pi reads it."""

import json
from pathlib import Path

import pytest

from okr_tui.domain.keys import SecretStr, mask
from okr_tui.settings.key_references import resolve
from okr_tui.settings.pi import auth_file, extension_lists, stored_keys

KEY = "hidden-key-0123456789abcdef"
ENVIRONMENT = {"WORK": KEY, "PATH": "/usr/bin:/bin"}


def stored(tmp_path: Path, entry: object) -> list[tuple[str, str]]:
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"ollama-cloud": entry, "openai": {"type": "api_key", "key": "x"}}))
    found = stored_keys(path, ENVIRONMENT)
    assert all(KEY not in item.words and KEY not in repr(item) for item in found)
    return [(item.reference.get_secret_value(), item.words) for item in found]


@pytest.mark.parametrize(
    ("value", "reference", "words"),
    [
        (KEY, KEY, f"the key {mask(KEY)}"),
        ("$WORK", "$WORK", "the key in the variable WORK"),
        ("${WORK}", "$WORK", "the key in the variable WORK"),
        ("WORK", "$WORK", "the key in the variable WORK"),
        ("a$$b", "a$b", "the key …"),
        ("pre-${WORK}", f"pre-{KEY}", f"the key {mask(f'pre-{KEY}')}"),
        ("!printf abc", "!printf abc", "the key that the command `printf abc` prints"),
        (
            "!printf abc | tr a-c x",
            "!sh -c 'printf abc | tr a-c x'",
            "the key that the command `sh -c 'printf abc | tr a-c x'` prints",
        ),
    ],
)
def test_a_value_becomes_a_reference(tmp_path: Path, value: str, reference: str, words: str) -> None:
    assert stored(tmp_path, {"type": "api_key", "key": value}) == [(reference, words)]


def test_a_command_that_needs_a_shell_gives_the_same_key(tmp_path: Path) -> None:
    ((reference, _),) = stored(tmp_path, {"type": "api_key", "key": "!printf abc | tr a-c x"})
    found = resolve(SecretStr(reference), ENVIRONMENT, trusted=True)
    assert isinstance(found, SecretStr)
    assert found.get_secret_value() == "xxx"


def test_a_variable_of_the_entry_s_own_is_not_a_variable_here(tmp_path: Path) -> None:
    entry = {"type": "api_key", "key": "$WORK", "env": {"WORK": "inner"}}
    assert stored(tmp_path, entry) == [("inner", "the key …er")]


@pytest.mark.parametrize(
    "entry", [{"type": "oauth", "access": KEY}, {"type": "api_key", "key": 5}, KEY, None]
)
def test_what_is_not_a_key_is_left(tmp_path: Path, entry: object) -> None:
    assert stored(tmp_path, entry) == []
    assert stored_keys(tmp_path / "none.json", ENVIRONMENT) == []


def test_the_original_extension_is_seen_however_it_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(
        json.dumps(
            {
                "packages": ["npm:other", {"source": "npm:pi-ollama-keyring@1.0.0"}],
                "extensions": ["/opt/pi-ollama-keyring/src/index.ts", 5],
            }
        )
    )
    assert list(extension_lists(path)) == ["packages", "extensions"]
    path.write_text('{"packages": "pi-ollama-keyring", "extensions": ["other"]}')
    assert list(extension_lists(path)) == []


def test_a_reference_that_gives_nothing_is_not_a_key(tmp_path: Path) -> None:
    assert stored(tmp_path, {"type": "api_key", "key": "${NOWHERE} "}) == [
        ("$NOWHERE", "the key in the variable NOWHERE")
    ]
    assert stored(tmp_path, {"type": "api_key", "key": "${A}${B}"}) == []


def test_keys_are_kept_in_the_agents_folder(tmp_path: Path) -> None:
    assert auth_file(tmp_path) == tmp_path / "auth.json"
