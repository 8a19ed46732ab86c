"""Each single setting: which layer decides it, what it accepts, and what is said of the rest."""

from pathlib import Path

import pytest

from okr_tui.domain.addresses import NO_CLOUD
from okr_tui.settings.file import edit
from tests.settings.settings_home import Home, messages

SECRET = "hidden-key-0123456789abcdef"
THREE = ["aaa", "bbb", "ccc"]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_every_scalar_follows_the_same_precedence(home: Home) -> None:
    home.trust(
        {
            "cloudUrl": "https://global.example",
            "baseUrl": "http://global:1",
            "activeKeyIndex": 1,
            "apiKeys": THREE,
        }
    )
    settings = home.load()
    assert settings.cloud_url.value == "https://global.example"
    assert settings.base_url.value == "http://global:1"
    assert settings.active_index.value == 1
    home.checkout(
        {"cloudUrl": "https://project.example/", "baseUrl": "http://project:1", "activeKeyIndex": 2}
    )
    settings = home.load()
    assert settings.cloud_url.value == "https://project.example"
    assert settings.base_url.value == "http://project:1"
    assert settings.active_index.value == 2
    home.runtime = {"cloudUrl": "https://runtime.example", "baseUrl": "http://runtime:1", "activeKeyIndex": 0}
    assert home.load().cloud_url.value == "https://runtime.example"
    assert home.load().active_index.value == 0
    home.environment = {
        "OLLAMA_HOST_CLOUD": "https://environment.example",
        "OLLAMA_HOST": "environment:1",
        "OLLAMA_ACTIVE_KEY_INDEX": " 1 ",
    }
    settings = home.load()
    assert settings.cloud_url.value == "https://environment.example"
    assert settings.base_url.value == "http://environment:1"
    assert settings.active_index.value == 1
    home.options = {"cloud_url": "https://option.example", "store": None}
    cloud = home.load().cloud_url
    assert cloud.value == "https://option.example"
    assert [origin.describe() for origin in (cloud.origin, *cloud.shadowed)] == [
        "option --cloud-url",
        "environment OLLAMA_HOST_CLOUD",
        "runtime",
        f"project {home.project_file}:3",
        f"global {home.file}:3",
    ]
    assert home.load().problems == ()


def test_our_own_scalars(home: Home) -> None:
    home.user(ours={"strategy": "drain", "store": "sqlite:/tmp/log.db", "theme": "nord"})
    home.checkout(ours={"strategy": "fastest", "theme": "gruvbox"})
    settings = home.load()
    assert (settings.strategy.value, settings.store.value, settings.theme.value) == (
        "drain",
        "sqlite:/tmp/log.db",
        "gruvbox",
    )
    assert messages(settings) == [
        "strategy is ignored: it must be one of sticky, drain, headroom, round-robin, pinned"
    ]
    home.environment["OKR_TUI_STORE"] = "memory:"
    assert home.load().store.value == "memory:"


@pytest.mark.parametrize("bad", [-1, "2", None, True, 1.5, 1e999, [], {}])
def test_an_index_that_is_none_counts_as_not_set(home: Home, bad: object) -> None:
    home.user({"apiKeys": THREE, "activeKeyIndex": 2})
    home.checkout({"activeKeyIndex": bad})
    if bad == 1e999:
        home.project_file.write_text('{"pi-ollama": {"activeKeyIndex": 1e999}}')
    settings = home.load()
    assert settings.active_index.value == 2
    assert settings.index_target == home.file
    assert messages(settings) == ["activeKeyIndex is ignored: it must be a whole number from 0"]
    home.user({"apiKeys": THREE})
    assert home.load().active_index.value == 0


@pytest.mark.parametrize(
    ("text", "used", "warnings"),
    [
        ("", 0, 0),
        ("  ", 0, 0),
        ("abc", 0, 1),
        ("1.5", 0, 1),
        ("-1", 0, 1),
        ("0x2", 0, 1),
        ("²", 0, 1),
        (" 1 ", 1, 0),
    ],
)
def test_the_index_of_the_environment(home: Home, text: str, used: int, warnings: int) -> None:
    home.user({"apiKeys": THREE})
    home.environment["OLLAMA_ACTIVE_KEY_INDEX"] = text
    settings = home.load()
    assert settings.active_index.value == used
    assert len(settings.problems) == warnings
    assert all("OLLAMA_ACTIVE_KEY_INDEX" in message for message in messages(settings))


@pytest.mark.parametrize(("index", "used"), [(3, 0), (4, 1), (7, 1), (2.0, 2)])
def test_an_index_beyond_the_pool_wraps_around(home: Home, index: float, used: int) -> None:
    home.user({"apiKeys": THREE, "activeKeyIndex": index})
    settings = home.load()
    assert settings.active_index.value == used
    wrapped = [f"activeKeyIndex {index} is beyond the 3 keys; {used} (key {used + 1}) is used"]
    assert messages(settings) == (wrapped if index > 2 else [])


def test_of_two_sections_in_one_file_the_short_one_wins_and_that_is_reported(home: Home) -> None:
    home.user({"apiKeys": THREE, "activeKeyIndex": 1}, short={"activeKeyIndex": 2})
    settings = home.load()
    assert settings.active_index.value == 2
    assert settings.index_section == "ollama"
    assert messages(settings) == ['"ollama" sets another activeKeyIndex than "pi-ollama"; "ollama" wins']
    edit(settings.index_target, settings.index_section, "activeKeyIndex", 0)
    assert home.load().active_index.value == 0


def test_a_new_index_goes_where_it_takes_effect(home: Home) -> None:
    home.user({"apiKeys": THREE, "activeKeyIndex": 1})
    assert home.load().index_target == home.file
    home.checkout({"activeKeyIndex": 2})
    assert home.load().index_target == home.file
    home.trust({"apiKeys": THREE, "activeKeyIndex": 1})
    assert home.load().index_target == home.project_file
    home.environment["OLLAMA_ACTIVE_KEY_INDEX"] = "0"
    settings = home.load()
    assert settings.index_target == home.file
    assert settings.index_shadow is not None
    assert "environment OLLAMA_ACTIVE_KEY_INDEX" in settings.index_shadow


@pytest.mark.parametrize(
    ("address", "used"),
    [
        ("https://example.com/", "https://example.com"),
        (" https://example.com:8443/path// ", "https://example.com:8443/path"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://[::1]:9000/", "http://[::1]:9000"),
        ("http://localhost", "http://localhost"),
        ("", None),
        (None, None),
    ],
)
def test_cloud_addresses_that_are_used(home: Home, address: str | None, used: str | None) -> None:
    home.user({"cloudUrl": address})
    settings = home.load()
    assert settings.cloud_url.value == (used or "https://ollama.com")
    assert settings.problems == ()


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com",
        "http://127.0.0.1.example.com",
        "http://0.0.0.0",
        "ollama.com",
        f"https://user:{SECRET}@example.com",
        f"https://ollama.com\\@{SECRET}.example",
        f"https://ollama.com?{SECRET}",
        "https://exam\nple.com",
        "https://exam ple.com",
        "https://example.com:99999",
        "https://[::1",
        "https://",
        "file:///etc/passwd",
        5,
        SECRET,
    ],
)
def test_cloud_addresses_that_are_refused(home: Home, address: object) -> None:
    home.user({"cloudUrl": "https://next.example"})
    home.environment["OTHER"] = ""
    home.runtime = {"cloudUrl": address}
    settings = home.load()
    assert settings.cloud_url.value == NO_CLOUD
    assert len(settings.problems) == 1
    assert SECRET not in settings.problems[0].describe()


@pytest.mark.parametrize(
    ("address", "used"),
    [
        ("box", "http://box:11434"),
        ("box:80/", "http://box:80"),
        ("[::1]", "http://[::1]:11434"),
        ("http://box/token/", "http://box/token"),
        ("ftp://box", "http://localhost:11434"),
        ("https://a:b@box", "http://localhost:11434"),
    ],
)
def test_daemon_addresses(home: Home, address: str, used: str) -> None:
    home.environment["OLLAMA_HOST"] = address
    assert home.load().base_url.value == used


@pytest.mark.parametrize(
    ("name", "value", "usable"),
    [
        ("fast", " gpt-oss:20b ", True),
        ("fast", "gpt-\noss", False),
        ("fast", "\u202egpt", False),
        ("fast", " ", False),
        ("fast", 5, False),
        (" ", "gpt-oss:20b", False),
    ],
)
def test_a_name_of_ones_own_stands_for_a_model_that_can_be_shown(
    home: Home, name: str, value: object, usable: bool
) -> None:
    home.user(ours={"models": {"aliases": {name: value}, "fallback": {name: value}}})
    models = home.load().models
    assert models.aliases == ({name: "gpt-oss:20b"} if usable else {})
    assert models.fallback == ({name: ("gpt-oss:20b",)} if usable else {})
