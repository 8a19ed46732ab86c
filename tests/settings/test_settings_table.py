"""The table of settings: one row is enough, the JSON Schema says the same, unknown names are noticed."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from okr_tui.domain.alerts import AlertRules
from okr_tui.domain.policy import Policy
from okr_tui.services.configuration import setting_lines
from okr_tui.settings.checks import UnusableError, as_it_is, as_text
from okr_tui.settings.table import (
    ANY,
    BUILT_IN,
    BY_NAME,
    GROUPS,
    OURS,
    TABLE,
    ChatSettings,
    GatewayOptions,
    Scalars,
    Setting,
    find,
    json_schema,
    tool_server,
    unknown_names,
)
from tests.settings.json_schema import accepts
from tests.settings.settings_home import Home, messages

README = Path(__file__).parent.parent.parent / "README.md"
SAMPLES: tuple[object, ...] = (
    None, True, False, -1, 0, 1, 2.0, 1.5, 50, 51, 65536, "", "text", "drain", "ask", "https://own.example",
    [], ["a"], [1, 2], [0, 0], [1, 2, 3], {}, {"a": "ask"}, {"a": 1}, {"a": {"command": "x"}}, {"a": {}},
    {"a": {"command": "x", "args": "y"}}, {"a": {"url": "https://x.example", "headers": {"h": "v"}}},
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def schema_of(row: Setting) -> dict[str, Any]:
    """The part of the JSON Schema for one setting."""
    found = json_schema()["properties"][row.section]["properties"]
    if row.group:
        found = found[row.group]
        return dict(
            found["additionalProperties"] if row.path[-1] == ANY else found["properties"][row.path[1]]
        )
    return dict(found[row.name])


def test_every_field_is_a_row_and_names_are_given_once() -> None:
    assert len(BY_NAME) == len(TABLE)
    for of, group in (
        (Scalars, ""),
        (GatewayOptions, "gateway"),
        (ChatSettings, "chat"),
        (Policy, "policy"),
        (AlertRules, "alerts"),
    ):
        assert {row.field for row in TABLE if row.group == group and row.field} == {
            member.name for member in fields(of)
        }
    assert {row.group for row in TABLE} == {"", *GROUPS}


def test_defaults_are_what_their_own_check_returns() -> None:
    for row in TABLE:
        if row.field and row.default is not None:
            written = json.loads(json.dumps(row.default))
            assert as_text(row.check.parse(written)) == as_text(row.default), row.name
            assert accepts(schema_of(row), written), row.name


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_the_schema_accepts_what_the_check_does(row: Setting) -> None:
    """A check knows more, of addresses for one, so that what it takes the schema takes, not the reverse."""
    schema = schema_of(row)
    for sample in SAMPLES:
        try:
            value = row.check.parse(sample)
            if row.check.member:
                for name, item in value.items():
                    row.check.member(name, item)
        except UnusableError:
            continue
        # Keys and trusted projects are checked where they are used.
        if value is not None and row.check.parse is not as_it_is:
            assert accepts(schema, sample), sample


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("activeKeyIndex", -1),
        ("activeKeyIndex", "1"),
        ("strategy", "guess"),
        ("theme", 1),
        ("gateway.port", 65536),
        ("gateway.host", ""),
        ("gateway.autostart", 1),
        ("gateway.daemonPort", "1"),
        ("chat.tools", "yes"),
        ("chat.confirm", {"a": "perhaps"}),
        ("chat.maxToolRounds", 0),
        ("chat.mcpServers", {"a": {"command": "x", "url": "https://x.example"}}),
        ("keymap.*", 5),
        ("policy.sends", 0),
        ("policy.sends", True),
        ("policy.shaky", "5"),
        ("policy.poll_jitter", 1),
        ("policy.spent_jitter", [1]),
        ("policy.slots", {"pro": 0}),
    ],
)
def test_the_schema_refuses_what_the_check_does(name: str, wrong: object) -> None:
    assert not accepts(schema_of(BY_NAME[name]), wrong)


def test_the_schema_takes_the_readme_and_refuses_an_unknown_name() -> None:
    examples = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", README.read_text(), re.DOTALL)]
    assert examples
    for example in examples:
        assert accepts(json_schema(), example)
    keymap = re.search(r"`okr-tui\.keymap`.*?`(\{.*?\})`", README.read_text(), re.DOTALL)
    assert keymap
    assert accepts(json_schema(), {OURS: {"keymap": json.loads(keymap[1])}})
    assert not accepts(json_schema(), {OURS: {"strateg": "drain"}})
    assert not accepts(json_schema(), {OURS: {"gateway": {"hots": "x"}}})
    assert not accepts(json_schema(), {"ollama": {"activeKeyIndex": -1}})
    assert accepts(json_schema(), {"theme": "pi's own", "ollama": {"apiKey": "x", "unheard": 1}})


def test_every_setting_has_a_line_with_its_default(home: Home) -> None:
    lines = {line.name: line for line in setting_lines(home.load())}
    assert set(lines) == {row.name for row in TABLE if row.field}
    assert {line.origin for line in lines.values()} == {"default"}
    assert lines["gateway.port"].value == "11435"
    assert lines["policy.spent_steps"].value == "[21600, 43200, 86400]"
    assert lines["store"].value.startswith("sqlite:")
    assert [name for name, line in lines.items() if not line.editable and "." not in name] == [
        "cloudUrl",
        "activeKeyIndex",
        "baseUrl",
        "store",
        "hooks",
        "budgets",
    ]


def test_rows_are_found_by_name() -> None:
    keymap = find("keymap.rotate")
    assert keymap
    assert keymap.path == ("keymap", "rotate")
    assert [find(name) for name in ("nothing", "policy.nothing", "keymap.", "chat")] == [None] * 4


@pytest.mark.parametrize(
    ("section", "values", "path", "why"),
    [
        ("pi-ollama", {"cloudURl": 1}, "cloudURl", "there is no such setting; did you mean cloudUrl?"),
        ("pi-ollama", {"zzz": 1}, "zzz", "there is no such setting"),
        ("pi-ollama", {"strategy": 1}, "strategy", "it belongs in okr-tui"),
        ("pi-ollama", {"gateway": {}}, "gateway", "it belongs in okr-tui"),
        ("ollama", {"apikey": "x"}, "apikey", "there is no such setting; did you mean apiKey?"),
        (
            "pi-ollama",
            {"apiKeys": ["a", {"key": "b", "lable": "c"}]},
            "apiKeys.1.lable",
            "an entry has no such field; did you mean label?",
        ),
        ("ollama", {"apiKey": {"key": "b", "zzz": 1}}, "apiKey.zzz", "an entry has no such field"),
        (
            "okr-tui",
            {"trustedProjects": [{"path": "/", "sha265": ""}]},
            "trustedProjects.0.sha265",
            "an entry has no such field; did you mean sha256?",
        ),
        ("okr-tui", {"stratgy": 1}, "stratgy", "there is no such setting; did you mean strategy?"),
        ("okr-tui", {"Theme": 1}, "Theme", "there is no such setting; did you mean theme?"),
        ("okr-tui", {"polcy": {}}, "polcy", "there is no such setting; did you mean policy?"),
        (
            "okr-tui",
            {"autostart": True},
            "autostart",
            "there is no such setting; did you mean gateway.autostart?",
        ),
        (
            "okr-tui",
            {"gateway": {"hots": 1}},
            "gateway.hots",
            "there is no such setting; did you mean hosts?",
        ),
        (
            "okr-tui",
            {"chat": {"sends": 1}},
            "chat.sends",
            "there is no such setting; did you mean policy.sends?",
        ),
        ("okr-tui", {"policy": {"qqq": 1}}, "policy.qqq", "there is no such setting"),
        ("okr-tui", {"gateway": 5}, "gateway", "it must be an object {...}"),
        ("okr-tui", {"apiKeys": []}, "apiKeys", "it belongs in pi-ollama"),
        ("okr-tui", {"gateway.port": 1}, "gateway.port", "there is no such setting; did you mean gateway?"),
        ("okr-tui", {"*": 1}, "*", "there is no such setting"),
    ],
)
def test_an_unknown_name_comes_with_the_nearest(
    section: str, values: dict[str, object], path: str, why: str
) -> None:
    ((names, found),) = unknown_names(section, values)
    assert (".".join(map(str, names)), found) == (path, why)


def test_settings_of_other_programs_are_not_a_mistake() -> None:
    assert not list(unknown_names("ollama", {"model": "llama", "temperature": 1}))
    home = {"cloudUrl": "", "apiKeys": [{"key": "a", "label": "b"}], "apiKey": "c", "activeKeyIndex": 0}
    assert not list(unknown_names("pi-ollama", home))


def test_names_that_appear_twice_are_reported_at_any_depth(home: Home) -> None:
    gateway = '{"port": 1,\n"port": 2}'
    servers = '{"a": {"command": "x", "env": {"B": "1",\n"B": "2"}}}'
    home.file.write_text(f'{{"okr-tui": {{"gateway": {gateway}, "chat": {{"mcpServers": {servers}}}}}}}')
    found = home.load()
    assert [(problem.line, problem.message) for problem in found.problems] == [
        (2, '"port" appears there twice in "okr-tui.gateway"; only the last one counts'),
        (3, '"B" appears there twice in "okr-tui.chat.mcpServers.a.env"; only the last one counts'),
    ]


def test_names_that_appear_twice_in_an_entry_are_reported(home: Home) -> None:
    entry = '{"key": "first-key-0123456789",\n"key": "other-key-0123456789"}'
    home.file.write_text(f'{{"pi-ollama": {{"apiKeys": ["$A", {entry}]}}}}')
    found = [(each.line, each.message) for each in home.load().problems if "twice" in each.message]
    assert found == [(2, '"key" appears there twice in "pi-ollama.apiKeys.2"; only the last one counts')]


KEY_AS_NAME = "4f2a9c1e77b002fdc3de41aa19aae007.XyzQpwErTyUiOpAsDfGhJkLz"


@pytest.mark.parametrize(
    "text",
    [
        '{"pi-ollama": {"apiKeys": {"KEY": "amber", "KEY": "birch"}}}',
        '{"pi-ollama": {"KEY": 1}}',
        '{"KEY": 1, "KEY": 2, "pi-ollama": {}}',
        '{"okr-tui": {"hooks": {"KEY": "true"}, "budgets": {"KEY": 5, "a": {"KEY": 3}}}}',
        '{"okr-tui": {"models": {"aliases": {"KEY": 5}}, "policy": {"KEY": 1}, "keymap": {"KEY": 1}}}',
        '{"okr-tui": {"chat": {"mcpServers": {"KEY": {}, "b": {"KEY": 1}}}}}',
    ],
)
def test_keys_where_a_name_belongs_are_masked(home: Home, text: str) -> None:
    home.file.write_text(text.replace("KEY", KEY_AS_NAME))
    found = [problem.describe() for problem in home.load().problems]
    assert any("4f2a…JkLz" in words for words in found)
    assert not [words for words in found if KEY_AS_NAME[:8] in words]


def test_key_of_the_pool_that_is_a_name_too_is_masked_whatever_it_looks_like(home: Home) -> None:
    key = "only-letters-and-dashes-of-a-key"
    home.file.write_text(f'{{"pi-ollama": {{"apiKeys": ["{key}"], "{key}": 1,\n"{key}": 2}}}}')
    found = [problem.describe() for problem in home.load().problems]
    assert len(found) == 2
    assert not [words for words in found if key[:12] in words]


def test_unknown_names_are_reported_with_their_location_and_no_key(home: Home) -> None:
    secret = "hidden-key-0123456789abcdef"
    home.user(
        {"apiKeys": [secret]},
        {
            "strateg": "drain",
            secret: 1,
            "chat": {"mcpServers": {"files": {"command": "x", "argz": []}}},
            "gateway": {"hots": "x"},
        },
    )
    lines = home.file.read_text().splitlines()
    found = home.load().problems
    assert [lines[problem.line - 1].split(":")[0].strip(' "') for problem in found if problem.line] == [
        "files",
        "strateg",
        secret,
        "hots",
    ]
    assert "argz is not a setting of a tool server; did you mean args?" in found[0].message
    assert secret not in "".join(problem.message for problem in found)


def test_a_flood_of_unknown_names_is_bounded(home: Home) -> None:
    home.user(ours={f"n{number}": 1 for number in range(500)})
    found = messages(home.load())
    assert len(found) == 21
    assert found[-1] == "480 more names are not settings"


def test_an_unusable_member_gives_way_to_the_next_layer(home: Home) -> None:
    home.user(ours={"gateway": {"port": 1}, "policy": {"sends": 2}, "chat": {"maxToolRounds": 3}})
    home.runtime = {"gateway": {"port": -1}, "policy": {"sends": 0}, "chat": {"maxToolRounds": 99}}
    settings = home.load()
    assert (settings.gateway.port, settings.policy.sends, settings.chat.rounds) == (1, 2, 3)
    assert settings.values["gateway.port"].origin.layer == "global"
    assert len(messages(settings)) == 3


def test_no_line_shows_a_key_in_the_wrong_setting(home: Home) -> None:
    secret = "hidden-key-0123456789abcdef"
    home.user(
        {"apiKeys": [secret]}, {"theme": secret, "gateway": {"host": secret}, "keymap": {"quit": secret}}
    )
    assert secret not in repr(setting_lines(home.load()))


def test_a_refused_value_that_holds_anyway_is_not_a_problem(home: Home) -> None:
    home.user(ours={"gateway": {"port": 5}})
    home.checkout({"cloudUrl": "https://ollama.com/"}, {"gateway": {"port": 5, "host": "127.0.0.1"}})
    assert messages(home.load()) == []


def test_an_unusable_answer_of_confirm_asks_and_has_its_own_location(home: Home) -> None:
    home.user(ours={"chat": {"confirm": {"web_search": "alwys", "web_fetch": "never"}}})
    settings = home.load()
    assert settings.chat.confirms("web_search") == "ask"
    assert settings.chat.confirms("web_fetch") == "never"
    (problem,) = settings.problems
    assert "web_search" in home.file.read_text().splitlines()[(problem.line or 0) - 1]


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ({"command": " "}, "command must be text"),
        ({"command": 5}, "command must be text"),
        ({"command": "x", "args": ["a", 5]}, "args must be a list of strings"),
        ({"command": "x", "cwd": 5}, "cwd must be text"),
        ({"command": "x", "env": ["A"]}, "env must be an object of strings"),
        ({"url": "https://x", "headers": {"A": 5}}, "headers must be an object of strings"),
        ({"url": "http://far.example"}, "its url: it must be https://HOST, or http:// on this machine"),
        ({"url": " "}, "url must be text"),
    ],
)
def test_a_tool_server_that_cannot_be_used_says_why(server: dict[str, object], message: str) -> None:
    with pytest.raises(UnusableError) as caught:
        tool_server("files", server)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "usable"), [("a" * 32, True), ("a" * 33, False), ("", False), ("a b", False)]
)
def test_the_name_of_a_tool_server_is_short_and_plain(name: str, usable: bool) -> None:
    if usable:
        assert tool_server(name, {"command": "x"}).name == name
    else:
        with pytest.raises(UnusableError, match="its name must be up to 32 letters, digits"):
            tool_server(name, {"command": "x"})


def test_calls_of_tools_are_confirmed_by_tool_by_server_and_else_by_kind() -> None:
    chat = ChatSettings(confirm={"files": "always", "files_read": "never", BUILT_IN[0]: "ask"})
    found = [chat.confirms(tool, server) for tool, server in (
        ("files_read", "files"), ("files_write", "files"), ("web_read", "web"),
        (BUILT_IN[0], None), (BUILT_IN[1], None), (BUILT_IN[1], "web"),
    )]  # fmt: skip
    assert found == ["never", "always", "ask", "ask", "always", "ask"]


def test_tools_are_offered_all_or_by_name() -> None:
    assert [ChatSettings(tools=True).offers("files"), ChatSettings(tools=("web",)).offers("files")] == [
        True,
        False,
    ]
    assert ChatSettings(tools=("files",)).offers("files")


def test_the_gateway_is_reached_at_its_host_and_port() -> None:
    assert GatewayOptions(host="0.0.0.0", port=1).url == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("name", "takes"),
    [("strategy", True), ("theme", True), ("gateway.host", True), ("gateway.port", False), ("hooks", False)],
)
def test_what_a_person_types_is_text_where_the_setting_is_text(name: str, takes: bool) -> None:
    assert BY_NAME[name].check.takes_text is takes


@pytest.mark.parametrize(
    ("name", "usable"),
    [("birch", True), ("b" * 32, True), ("b" * 33, False), ("a@b.example", False), ("b\u200bi", False)],
)
def test_a_persons_name_is_short_and_no_address(name: str, usable: bool) -> None:
    if usable:
        assert BY_NAME["name"].check.parse(f" {name} ") == name
    else:
        with pytest.raises(UnusableError):
            BY_NAME["name"].check.parse(name)
