"""Merging the layers: trust, what a mistake costs, what is told about it, what is never shown."""

import json
from pathlib import Path

import pytest

from okr_tui.domain.addresses import NO_CLOUD, NO_KEY_IS_SENT
from okr_tui.domain.policy import Policy
from okr_tui.settings import layers, sections
from okr_tui.settings.layers import Sources, load
from okr_tui.settings.locations import NO_HOME, NO_SETTINGS, default_global_file
from okr_tui.settings.origin import LayerName, Problem
from okr_tui.settings.schema import Kept
from okr_tui.settings.sections import Layer
from okr_tui.settings.table import GatewayOptions
from tests.settings.settings_home import Home, messages

SECRET = "hidden-key-0123456789abcdef"
THREE = ["aaa", "bbb", "ccc"]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_nothing_configured_is_all_defaults_and_no_problem(home: Home) -> None:
    settings = home.load()
    assert settings.keys == ()
    assert settings.cloud_url.value == "https://ollama.com"
    assert settings.base_url.value == "http://localhost:11434"
    assert settings.strategy.value == "sticky"
    assert (settings.active_index.value, settings.store.value, settings.theme.value) == (0, None, None)
    assert settings.cloud_url.origin.describe() == "default"
    assert settings.problems == ()
    assert settings.files == (home.file, home.project_file)
    assert (settings.index_target, settings.index_section, settings.index_shadow) == (
        home.file,
        "pi-ollama",
        None,
    )


def test_a_project_chooses_host_and_log_only_when_trusted(home: Home) -> None:
    home.user({"apiKeys": [SECRET]})
    home.checkout(
        {"cloudUrl": "https://thief.example"},
        {"store": "redis://thief.example", "gateway": {"host": "0.0.0.0"}},
    )
    settings = home.load()
    assert (settings.cloud_url.value, settings.store.value) == ("https://ollama.com", None)
    assert settings.gateway == GatewayOptions()
    assert not settings.project_trusted
    assert [message.split(":")[0] for message in messages(settings)] == [
        "cloudUrl is ignored",
        "store is ignored",
        "gateway.host is ignored",
    ]
    assert all(
        message.endswith(f"if you know it, run okr-tui trust in {home.project}")
        for message in messages(settings)
    )
    home.trust()
    settings = home.load()
    assert (settings.cloud_url.value, settings.store.value) == (
        "https://thief.example",
        "redis://thief.example",
    )
    assert settings.gateway == GatewayOptions(host="0.0.0.0")
    assert settings.problems == ()


def test_a_project_cannot_trust_itself_and_only_absolute_paths_count(home: Home) -> None:
    home.checkout({"cloudUrl": "https://thief.example"}, {"trustedProjects": [str(home.project)]})
    assert not home.load().project_trusted
    home.user(ours={"trustedProjects": ["project", 5, str(home.project.parent)]})
    settings = home.load()
    assert not settings.project_trusted
    assert "must be a list of absolute paths" in messages(settings)[0]
    home.user(ours={"trustedProjects": str(home.project)})
    assert not home.load().project_trusted


def test_maps_are_merged_and_their_mistakes_reported(home: Home) -> None:
    trusted = [str(home.project)]
    policy = {"sends": 3, "gone": 1}
    home.user(ours={"keymap": {"quit": "q", "help": 1}, "policy": policy, "trustedProjects": trusted})
    home.checkout(ours={"keymap": {"quit": "x"}, "policy": {"gone": 2}})
    settings = home.load()
    assert settings.keymap == {"quit": "x"}
    assert settings.policy == Policy(sends=3, gone=2)
    assert [problem.describe().partition(":")[2] for problem in settings.problems] == [
        '5:15: keymap.help is ignored: it must be text, such as "ctrl+r" or "r,f5"'
    ]
    home.user(ours={"keymap": [], "trustedProjects": trusted})
    assert messages(home.load()) == ["keymap is ignored: it must be an object {...}"]


@pytest.mark.parametrize("broken", ['{"pi-ollama": ', "[]", '{"pi-ollama": "text"}', "\x00\x00"])
def test_keys_from_elsewhere_wait_for_a_file_that_may_name_their_cloud(home: Home, broken: str) -> None:
    home.file.write_text(broken)
    home.environment["OLLAMA_API_KEY"] = "k" * 20
    settings = home.load()
    assert settings.cloud_url.value == NO_CLOUD
    (problem,) = settings.problems
    assert problem.message.endswith(f"; {NO_KEY_IS_SENT}")
    home.environment["OLLAMA_HOST_CLOUD"] = "https://next.example"
    settings = home.load()
    assert settings.cloud_url.value == "https://next.example"
    assert not messages(settings)[0].endswith(NO_KEY_IS_SENT)


def test_a_project_that_cannot_be_read_decides_nothing(home: Home) -> None:
    home.project_file.write_text("[]")
    assert home.load().cloud_url.value == "https://ollama.com"


@pytest.mark.parametrize("broken", ['{"pi-ollama": ', "[]", '{"pi-ollama": "text"}', "\ufeff{,}"])
def test_a_broken_file_keeps_its_last_good_content(home: Home, broken: str) -> None:
    home.user({"apiKeys": THREE, "activeKeyIndex": 1})
    good = home.load()
    home.file.write_text(broken)
    assert home.load().keys == ()
    settings = home.load(home.load(good))
    assert settings.keys == good.keys
    assert settings.active_index.value == 1
    (problem,) = settings.problems
    assert problem.severity == "error"
    assert problem.path == home.file
    assert problem.line is not None
    assert problem.message.endswith("; its last good content stays in use")
    assert problem.describe() == f"{home.file}:{problem.line}:{problem.column}: {problem.message}"
    home.file.unlink()
    assert home.load(settings).keys == ()


def test_a_section_of_the_wrong_type_leaves_the_others(home: Home) -> None:
    home.user({"apiKeys": THREE}, ours="text")
    settings = home.load()
    assert len(settings.keys) == 3
    assert messages(settings) == ['"okr-tui" must be an object {...}']


def test_the_signature_follows_content_not_layout(home: Home) -> None:
    home.user({"apiKeys": THREE})
    first = home.load()
    home.file.write_text('{"theme": "other",\n\n\n' + home.file.read_text().lstrip("{"))
    assert home.load(first).signature == first.signature
    home.user({"apiKeys": THREE, "activeKeyIndex": 0})
    assert home.load(first).signature != first.signature
    home.user({"apiKeys": THREE})
    assert home.load(first) == first
    home.environment["OLLAMA_API_KEY"] = "ddd"
    assert home.load(first).signature != first.signature


def test_no_text_form_shows_a_secret(home: Home) -> None:
    home.user(
        {"apiKeys": [SECRET, f"!echo {SECRET}x"], "apiKey": SECRET}, {"store": f"redis://user:{SECRET}@host"}
    )
    home.environment = {
        "OLLAMA_API_KEYS": SECRET,
        "OLLAMA_HOST": f"http://127.0.0.1:1/{SECRET}",
        "PATH": "/usr/bin:/bin",
    }
    home.runtime = {"apiKey": SECRET}
    home.options = {"store": f"redis://:{SECRET}@host"}
    settings = home.load()
    sources = Sources(home.file, home.project, home.environment, home.options, home.runtime)
    shown = (
        repr(settings)
        + repr(settings.kept)
        + repr(sources)
        + "".join(p.describe() for p in settings.problems)
    )
    assert len(settings.keys) == 2
    assert SECRET not in shown


def test_one_file_is_not_two_layers(tmp_path: Path) -> None:
    path = tmp_path / ".pi" / "settings.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"pi-ollama": {"apiKeys": THREE, "cloudUrl": "https://own.example"}}))
    settings = load(Sources(path, tmp_path, {}))
    assert settings.cloud_url.value == "https://own.example"
    assert settings.problems == ()


def test_a_project_s_file_that_is_a_link_to_the_user_s_is_not_another_layer(home: Home) -> None:
    home.user({"apiKeys": THREE, "activeKeyIndex": 1}, {"strategy": "drain"})
    home.project_file.symlink_to(home.file)
    settings = home.load()
    assert [valued.shadowed for valued in (settings.active_index, settings.strategy)] == [(), ()]
    assert settings.active_index.origin.layer == "global"
    assert settings.problems == ()


@pytest.mark.parametrize("value", [None, "", " "])
def test_a_text_that_is_not_set_gives_way(home: Home, value: object) -> None:
    home.user(ours={"strategy": "drain", "theme": "nord"})
    home.checkout(ours={"strategy": value, "theme": value})
    settings = home.load()
    assert (settings.strategy.value, settings.theme.value) == ("drain", "nord")
    assert settings.strategy.shadowed == ()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "/home/someone/.pi/agent/settings.json"),
        ({"PI_CODING_AGENT_DIR": "~/pi"}, "/home/someone/pi/settings.json"),
        ({"PI_CODING_AGENT_DIR": "/pi"}, "/pi/settings.json"),
        ({"PI_CODING_AGENT_DIR": "/pi", "OKR_TUI_SETTINGS": "~/own.json"}, "/home/someone/own.json"),
        ({"PI_CODING_AGENT_DIR": " ", "OKR_TUI_SETTINGS": ""}, "/home/someone/.pi/agent/settings.json"),
    ],
)
def test_the_global_file(environment: dict[str, str], expected: str) -> None:
    assert default_global_file({"HOME": "/home/someone", **environment}) == Path(expected)


def test_paths_in_the_home_directory_are_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "settings.json"
    path.write_text('{"pi-ollama": {\n"cloudUrl": "https://own.example"}}')
    settings = load(Sources(path, tmp_path / "project", {}))
    assert settings.cloud_url.origin.describe() == "global ~/settings.json:2"


def test_a_problem_quotes_no_letter_that_hides_or_reorders_others(home: Home) -> None:
    home.file.write_text('{"okr-tui": {"keymap": {"\\u202e\\ud800": null}}}')
    (problem,) = home.load().problems
    assert problem.describe().isprintable()
    assert "keymap.��" in problem.describe()


def test_a_file_that_was_named_and_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    home = Home(tmp_path)
    missing = tmp_path / "none.json"
    settings = load(Sources(missing, home.project, home.environment, named=True))
    assert messages(settings) == [
        f"{missing}: there is no such file, though --settings or OKR_TUI_SETTINGS names it"
    ]
    assert messages(load(Sources(missing, home.project, home.environment))) == []


def test_without_a_home_missing_settings_are_reported(tmp_path: Path) -> None:
    settings = load(Sources(NO_HOME / "settings.json", tmp_path, {}))
    assert messages(settings) == [NO_SETTINGS]


def test_a_setting_outside_of_its_section_is_named(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.file.write_text('{"apiKeys": ["a"], "theme": "of pi"}')
    assert messages(home.load()) == ["apiKeys is ignored: it belongs in pi-ollama"]
    home.file.write_text('{"okr_tui": {"strategy": "drain"}, "okr-tuis": {"other": 1}}')
    assert messages(home.load()) == ['"okr_tui" is ignored: there is no such section; did you mean okr-tui?']


def test_a_file_that_is_gone_before_its_mode_is_read_is_not_open_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    home.user({"apiKeys": ["literal-key-0123456789abcdef"]})
    home.file.chmod(0o644)
    assert home.load().open_to_others == (home.file,)
    read = sections.file_layer

    def remove_after(name: LayerName, path: Path, kept: Kept) -> tuple[Layer, list[Problem]]:
        found = read(name, path, kept)
        path.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(layers, "file_layer", remove_after)
    assert home.load().open_to_others == ()
