"""Values as other programs and files of variables have them: quotes, braces, separators, endings."""

from pathlib import Path

import pytest

from okr_tui.domain.text import unquoted
from tests.settings.settings_home import Home, messages

ONE, TWO = "hidden-key-0123456789abcdef", "other-key-0123456789abcdef0"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def texts(home: Home) -> list[str]:
    return [key.secret.get_secret_value() for key in home.load().keys]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('"a"', "a"),
        ("'a'", "a"),
        (' " a " ', "a"),
        ('""', ""),
        ('"', '"'),
        ("\"a'", "\"a'"),
        ('"a","b"', '"a","b"'),
        ("'a\"b'", 'a"b'),
        ("", ""),
    ],
)
def test_one_pair_of_quotes_around_a_text_is_taken_off(text: str, plain: str) -> None:
    assert unquoted(text) == plain


@pytest.mark.parametrize(
    "written", [ONE, f'"{ONE}"', f"' {ONE} '", "$WORK", "${WORK}", "'${WORK}'", '"$WORK"']
)
@pytest.mark.parametrize("held", [ONE, f'"{ONE}"', f" '{ONE}'\r\n"])
def test_a_key_is_taken_out_of_its_quotes_wherever_it_is(written: str, held: str, home: Home) -> None:
    home.environment["WORK"] = held
    home.environment["OLLAMA_API_KEY"] = written
    assert texts(home) == [ONE]
    del home.environment["OLLAMA_API_KEY"]
    home.user({"apiKeys": [written, {"key": TWO, "label": "amber"}]})
    assert texts(home) == [ONE, TWO]
    assert messages(home.load()) == []


@pytest.mark.parametrize(
    "written", [f"{ONE},{TWO}", f'"{ONE},{TWO}"', f'"{ONE}","{TWO}"', f"'{ONE}', '{TWO}',"]
)
def test_keys_between_commas_may_have_quotes_together_or_each(written: str, home: Home) -> None:
    home.environment["OLLAMA_API_KEYS"] = written
    assert texts(home) == [ONE, TWO]


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (f"{ONE};{TWO}", "a key has no comma or semicolon in it"),
        (f"{ONE} {TWO}", "a key is printable ASCII without spaces"),
        (f"{ONE}\n{TWO}", "a key is printable ASCII without spaces"),
        (f"{ONE}\t{TWO}", "a key is printable ASCII without spaces"),
        (f'"{ONE}', "there is a quote inside it"),
        (f"{ONE}'", "there is a quote inside it"),
    ],
)
def test_what_no_key_holds_is_refused_with_its_location(written: str, why: str, home: Home) -> None:
    home.environment["OLLAMA_API_KEYS"] = f"{TWO},{written}"
    assert texts(home) == [TWO]
    (message,) = messages(home.load())
    assert message.startswith("environment OLLAMA_API_KEYS: apiKeys entry 2 is ignored: ")
    assert why in message
    home.environment = {"WORK": written}
    home.user({"apiKeys": ["$WORK", TWO]})
    assert texts(home) == ["", TWO]
    (problem,) = home.load().problems
    assert (problem.path, problem.line is not None) == (home.file, True)
    assert why in problem.message
    assert ONE not in problem.describe()


def test_a_comma_in_an_entry_of_a_list_is_refused(home: Home) -> None:
    home.user({"apiKeys": [f"{ONE},{TWO}"]})
    assert texts(home) == []
    assert "commas separate keys in a text, entries in a list" in messages(home.load())[0]


def test_other_variables_may_have_quotes_too(home: Home) -> None:
    home.environment |= {
        "OLLAMA_HOST_CLOUD": '"https://cloud.example"',
        "OLLAMA_ACTIVE_KEY_INDEX": "'1'",
        "OLLAMA_HOST": "'daemon:1'",
        "OLLAMA_API_KEYS": f"{ONE},{TWO}",
    }
    settings = home.load()
    assert settings.cloud_url.value == "https://cloud.example"
    assert settings.active_index.value == 1
    assert settings.base_url.value == "http://daemon:1"
    assert messages(settings) == []


@pytest.mark.parametrize(
    ("written", "address", "ending"),
    [
        ("https://cloud.example/v1", "https://cloud.example", "/v1"),
        ("https://cloud.example/v1/", "https://cloud.example", "/v1"),
        ("https://cloud.example/api", "https://cloud.example", "/api"),
        ("https://cloud.example/API//", "https://cloud.example", "/API"),
        ("https://cloud.example/api/v1", "https://cloud.example", "/api/v1"),
        ("https://cloud.example/api/chat", "https://cloud.example", "/api/chat"),
        ("https://cloud.example/v1/chat/completions", "https://cloud.example", "/v1/chat/completions"),
        ("https://cloud.example/base/v1", "https://cloud.example/base", "/v1"),
        ("http://127.0.0.1:1/v1", "http://127.0.0.1:1", "/v1"),
    ],
)
def test_an_address_loses_the_ending_that_requests_add(
    written: str, address: str, ending: str, home: Home
) -> None:
    home.user({"cloudUrl": written})
    settings = home.load()
    assert settings.cloud_url.value == address
    (problem,) = settings.problems
    assert problem.message == f"cloudUrl: its ending {ending} is left out: each request adds its own"
    assert (problem.path, problem.line) == (home.file, 3)
    home.user()
    home.options = {"cloud_url": written}
    assert home.load().cloud_url.value == address
    assert messages(home.load()) == [f"option --cloud-url: {problem.message}"]


@pytest.mark.parametrize(
    "address",
    [
        "https://api",
        "https://v1",
        "https://api.example",
        "https://cloud.example/api2",
        "https://cloud.example/my-api",
        "https://cloud.example/api/ollama",
        "https://cloud.example/v10",
    ],
)
def test_another_path_stays(address: str, home: Home) -> None:
    home.user({"cloudUrl": address})
    settings = home.load()
    assert settings.cloud_url.value == address
    assert messages(settings) == []
