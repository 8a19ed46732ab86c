"""Keys in files of other programs: which are found, which are left, and what is refused."""

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okr_tui.domain.errors import SettingsError
from okr_tui.settings.import_sources import LARGEST, decoded, keys_in, read_text

PATH = Path("source")
LITELLM = """
# a proxy
model_list:
  - model_name: one
    litellm_params:
      model: "ollama_chat/gpt-oss:20b"
      api_key: key-one   # mine
  - model_name: two
    litellm_params: {model: openai/x, api_base: "https://ollama.com/v1", api_key: 'key-two'}
  - litellm_params:
      model: openai/gpt
      api_key: key-of-another
    note: |
      api_key: not-one
        model: ollama/x
  - litellm_params: &shared
      model: ollama/y
      api_key: os.environ/NAME
"""
PROXY = """---
openai-compatibility:
- name: ollama
  base-url: https://www.ollama.com/v1
  api-keys: [key-a, "key,b", {x: y}]
  api-key-entries:
  -
    api-key: key-c
  - - api-key: key-d
  - plain text
- name: other
  base-url: https://ollama.com.example/v1
  api-keys:
    - key-of-another
"""
LINES = """model_list: [
  {model: ollama/x, api_key: key-one},
  {model: ollama/y,
   api_key: key-two}
]
"""


def keys(text: str, environment: dict[str, str] | None = None) -> list[str]:
    found = keys_in(text, PATH, environment or {})
    return [stored.reference.get_secret_value() for stored in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (LITELLM, ["key-one", "key-two", "$NAME"]),
        (PROXY, ["key-a", "key,b", "key-c", "key-d"]),
        (LINES, ["key-one", "key-two"]),
        ("m:\n  api_base: https://ollama.com\n  api_key:\n", []),
        ("m: [unclosed\n", []),
        ("m: {model: ollama/x, api_key: a]\n", []),
        ("model: ollama/x\napi_keys: key-one\napi_key: [key-two]\n", []),
        ("---\n", []),
    ],
)
def test_a_configuration_has_the_keys_of_ollamas_entries(text: str, found: list[str]) -> None:
    assert keys(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("OLLAMA_API_KEY=one\nexport OLLAMA_KEYS='two, three'\n", ["one", "two", "three"]),
        ('OLLAMA_API_KEY="one # two"\nOLLAMA_KEY_2=three # four\n', ["one # two", "three"]),
        ("export OLLAMA_API_KEY='one' # two\nOLLAMA_KEY_2=\"three\"#four\n", ["one", "three"]),
        ("OPENAI_API_KEY=one\nOLLAMA_HOST=two\nOLLAMA_API_KEY_FILE=three\nOLLAMA_KEY_INDEX=1\n", []),
        ("nothing here\nMY_OLLAMA_KEY=one\n", ["one"]),
    ],
)
def test_an_environment_file_has_the_keys_of_ollamas_variables(text: str, found: list[str]) -> None:
    assert keys(text) == found


def test_a_plain_list_has_a_key_a_word_and_no_command() -> None:
    assert keys("# mine\none, two three # four\n!print-a-key\n$(id)\n`id`\none\n") == ["one", "two", "three"]


def test_pis_file_has_the_keys_of_ollamas_providers() -> None:
    stored = {"ollama-cloud": {"type": "api_key", "key": "one"}, "openai": {"type": "api_key", "key": "two"}}
    assert keys(json.dumps(stored)) == ["one"]
    blank = {"ollama": {"type": "api_key", "key": " "}, "model": "ollama/x", "api_key": "three"}
    assert keys(json.dumps(blank)) == ["three"]


def test_json_may_be_a_configuration_too() -> None:
    entries = [{"base_url": "https://ollama.com/v1", "inner": [{"api_keys": ["one", 2]}]}]
    assert keys(json.dumps(entries)) == ["one"]


@pytest.mark.parametrize("address", ["http://[x", "ollama.com", "https://notollama.com", ""])
def test_an_address_that_is_not_the_clouds_has_no_key_for_it(address: str) -> None:
    assert keys(json.dumps({"api_base": address, "api_key": "one"})) == []
    assert keys(f"m:\n  api_base: '{address}'\n  api_key: one\n") == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a:\n  - b: c\n   d: e\n", 3),
        ("a: b\nno member\n", 2),
        ("a:\n" + "".join(f"{' ' * depth}-\n" for depth in range(1, 60)), 52),
        ("a: b\nc: " + "[" * sys.getrecursionlimit() + "]" * sys.getrecursionlimit() + "\n", 2),
        ("a:\n  - " + "[" * sys.getrecursionlimit() + "]" * sys.getrecursionlimit() + "\n", 2),
    ],
)
def test_what_is_not_a_configuration_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(SettingsError, match=rf"source:{line}: is not a configuration"):
        keys(text)


def test_a_long_value_in_brackets_is_read_in_one_pass() -> None:
    names = [f"key-{number}" for number in range(20_000)]
    assert keys("model: ollama/x\napi_keys: [\n" + "".join(f"{name},\n" for name in names) + "]\n") == names


@given(st.text(st.sampled_from("a:-[]{},\"'#| \n&!$"), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for begin in ("", "a:\n", "a: ["):
        try:
            keys(begin + text)
        except SettingsError as error:
            assert str(error).startswith("source:")  # noqa: PT017 some texts are fine


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_is_read_in_its_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "keys"
    path.write_bytes("one\n".encode(encoding))
    assert read_text(path) == "one\n"


def test_a_file_that_is_missing_too_long_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_text(tmp_path / "none")
    with pytest.raises(SettingsError, match="is not text"):
        decoded(b"a\0b", PATH)
    with pytest.raises(SettingsError, match="larger than 1 MB"):
        decoded(b"a" * (LARGEST + 1), PATH)
    assert decoded(b"a" * LARGEST, PATH) == "a" * LARGEST
