"""What a hostile checkout tries: commands in every spelling, trust by a near miss, odd addresses."""

import json
import unicodedata
from hashlib import sha256
from pathlib import Path
from typing import Literal

import pytest

from okr_tui.settings.checks import UnusableError, cloud_url
from tests.settings.settings_home import Home

OWN = "own-key-0123456789abcdef"
CLOUD_URL = "https://ollama.com"
THIEF = "https://thief.example"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found = Home(tmp_path)
    found.environment["SECRET_NAME"] = OWN
    return found


@pytest.mark.parametrize(
    "keys",
    [
        {"apiKeys": ["!{}"]},
        {"apiKeys": [" !{}", "\t!{}"]},
        {"apiKeys": [{"key": "!{}", "label": "x"}]},
        {"apiKeys": "!{}"},
        {"apiKeys": "a-key-0123456789abc,!{}"},
        {"apiKeys": " !{}"},
        {"apiKey": "!{}"},
        {"apiKey": "\t!{}"},
        {"apiKey": {"key": " !{}"}},
    ],
)
@pytest.mark.parametrize("section", ["pi-ollama", "ollama"])
def test_no_spelling_of_a_command_is_run(home: Home, keys: object, section: str) -> None:
    marker = home.project / "ran"
    home.project_file.write_text(json.dumps({section: keys}).replace("{}", f"touch {marker}"))
    found = home.load()
    assert not marker.exists()
    assert not any(key.trusted for key in found.keys)
    home.trust()
    home.load()
    assert marker.exists()


@pytest.mark.parametrize(
    "reference", ["$SECRET_NAME", "${SECRET_NAME}", " $SECRET_NAME", "keyring:work", " keyring:work"]
)
@pytest.mark.parametrize("name", ["apiKey", "apiKeys"])
def test_no_reference_is_followed(home: Home, reference: str, name: str) -> None:
    for value in (reference, {"key": reference}, [reference], f"{reference},"):
        home.checkout({name: value})
        assert OWN not in [key.secret.get_secret_value() for key in home.load().keys]


def trusted_by(home: Home, *items: object) -> bool:
    """Whether the project is trusted by these answers."""
    home.user(ours={"trustedProjects": [*items]})
    return home.load().project_trusted


def test_trust_is_for_this_path_and_this_content_alone(home: Home) -> None:
    home.checkout({"cloudUrl": THIEF})
    good = sha256(home.project_file.read_bytes()).hexdigest()
    path = str(home.project)
    assert trusted_by(home, {"path": path, "sha256": good})
    elsewhere = home.project.parent / "elsewhere"
    for near in (
        {"path": str(elsewhere), "sha256": good},
        {"path": path.upper(), "sha256": good},
        {"path": path, "sha256": good.upper()},
        {"path": "project", "sha256": good},
        {"path": "./project", "sha256": good},
        {"path": str(home.project.parent), "sha256": good},
        {"path": f"{path}/.pi", "sha256": good},
        {"path": str(home.project_file), "sha256": good},
        {"path": path, "sha256": good[:-1]},
        {"path": path, "sha256": ""},
        {"path": path, "sha256": good, "trusted": "no"},
        {"path": path, "sha256": good, "trusted": 1},
        {"path": f"{path}\0", "sha256": good},
        str(home.project.parent),
        "/",
        "project",
        path.upper(),
    ):
        assert not trusted_by(home, near), near


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_another_normal_form_of_a_path_is_another_path(tmp_path: Path, form: Literal["NFC", "NFD"]) -> None:
    root = tmp_path / unicodedata.normalize(form, "caf\u00e9")
    root.mkdir()
    home = Home(root)
    home.checkout({"cloudUrl": THIEF})
    other: Literal["NFC", "NFD"] = "NFD" if form == "NFC" else "NFC"
    assert trusted_by(home, str(home.project))
    assert not trusted_by(home, unicodedata.normalize(other, str(home.project)))


def test_a_link_to_a_trusted_file_is_not_trusted_itself(home: Home, tmp_path: Path) -> None:
    (tmp_path / "other" / "project").mkdir(parents=True)
    trusted = Home(tmp_path / "trusted")
    trusted.checkout({"cloudUrl": THIEF})
    home.project_file.symlink_to(trusted.project_file)
    digest = sha256(trusted.project_file.read_bytes()).hexdigest()
    assert not trusted_by(home, {"path": str(trusted.project), "sha256": digest})


@pytest.mark.parametrize(
    "text",
    [
        '\ufeff{"pi-ollama": {"cloudUrl": "https://thief.example"}}',
        '{"pi-ollama": {}, "pi-ollama": {"cloudUrl": "https://thief.example"}}',
        '{"okr-tui": {"trustedProjects": ["/"]}, "pi-ollama": {"cloudUrl": "https://thief.example"}}',
        '{"okr-tui": 5, "pi-ollama": {"cloudUrl": "https://thief.example"}}',
        '{"okr-tui": [], "ollama": {"cloudUrl": "https://thief.example"}}',
    ],
)
def test_no_form_of_the_file_moves_a_key(home: Home, text: str) -> None:
    home.user({"apiKeys": [OWN]})
    home.project_file.write_text(text, encoding="utf-8")
    found = home.load()
    assert (found.cloud_url.value, found.project_trusted) == (CLOUD_URL, False)
    assert [key.secret.get_secret_value() for key in found.keys] == [OWN]


@pytest.mark.parametrize(
    "address",
    [
        *(
            "http://ollama.com",
            "http://localhost.thief.example",
            "http://127.0.0.1.thief.example",
            "ftp://127.0.0.1",
        ),
        *("https://user@ollama.com", "https://user:pass@ollama.com", "https://ollama.com@thief.example"),
        *(
            "http://127.1",
            "http://2130706433",
            "http://0x7f000001",
            "http://0177.0.0.1",
            "http://0.0.0.0",
            "http://[::]",
        ),
        *("http://[::ffff:10.0.0.1]", "http://10.0.0.1", "http://localhost\\@thief.example"),
        *(
            "https://ollama.com\\.thief.example",
            "https://ollama.com#@thief.example",
            "https://ollama.com?x=1",
        ),
        *(
            "https://\u043ellama.com",
            "https://ollama\u3002com",
            "https:ollama.com",
            "//ollama.com",
            "https://",
        ),
        *("https://ollama.com:0", "https://ollama.com:99999", "https://ollama .com", "javascript:alert(1)"),
        *("http://[::1", "https://[/a.png"),
    ],
)
def test_an_address_that_keys_may_not_go_to_is_refused(address: str) -> None:
    with pytest.raises(UnusableError):
        cloud_url(address)
