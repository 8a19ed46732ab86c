"""The published schemas are those of the types, and what verbs print is as they say, no field more."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from okr_tui.chat.conversation import Conversation, Turn, to_json
from okr_tui.chat.messages import Message
from okr_tui.cli.document_types import DOCUMENTS, schema_of
from okr_tui.cli.main import root
from screenshots import schemas
from tests.cli.conftest import MakeCli
from tests.cli.harness import MODEL, CliHarness, verbs_of
from tests.settings.json_schema import accepts


def test_the_published_schemas_are_up_to_date() -> None:
    published = {path.name: path.read_text(encoding="utf-8") for path in schemas.FOLDER.glob("*.json")}
    assert published == schemas.texts(), "run python -m screenshots.schemas"


@pytest.mark.parametrize("verb", DOCUMENTS)
def test_later_fields_are_allowed_and_wrong_ones_are_not(verb: str) -> None:
    text = json.dumps(schema_of(verb))
    assert '"additionalProperties": false' not in text
    assert not accepts(schema_of(verb), {"schema": 1})
    assert not accepts(schema_of(verb), {"schema": 2})


def check(verb: str, texts: Iterable[str]) -> None:
    schema = schema_of(verb, closed=True)
    found = [json.loads(text) for text in texts]
    assert found
    for document in found:
        assert accepts(schema, document), (verb, document)


def everything_printed(cli: CliHarness) -> None:
    for verb, arguments in {
        "status": [["status"], ["status", "--line"]],
        "keys": [["keys"]],
        "models": [["models"]],
        "info": [["info", MODEL]],
        "explain": [["explain"], ["explain", MODEL, "--if-fails", "1"]],
        "usage": [["usage"], ["usage", "--by", "account"]],
        "doctor": [["doctor", "--offline"]],
        "paths": [["paths"]],
        "conversations list": [["conversations", "list"]],
    }.items():
        for each in arguments:
            result = cli.run(*each, "--json")
            failed = "error" in json.loads(result.out)
            check("VERB" if failed else verb, [result.out])
            assert not failed or result.code
    check("events", cli.run("events", "--json").out.splitlines())


@pytest.mark.parametrize("scenario", ["calm", "revoked", "outage"])
def test_what_verbs_print_is_as_the_schemas_say(make_cli: MakeCli, scenario: str) -> None:
    cli = make_cli(scenario)
    cli.run("refresh")
    cli.run("keys", "--check")
    check("chat", cli.run("chat", MODEL, "use web_search", "--tools", "--json").out.splitlines())
    cli.fault("session")
    check("chat", cli.run("chat", MODEL, "hello", "--json").out.splitlines())
    for verb in ("disable-key", "reset-key", "enable-key", "use-key"):
        cli.run(verb, "2")
    everything_printed(cli)


def test_a_home_without_keys_is_as_the_schemas_say(cli: CliHarness) -> None:
    cli.run_ok("refresh")
    cli.write_settings(keys=0)
    everything_printed(cli)


def test_every_verb_but_three_takes_json_and_has_a_schema() -> None:
    takes = {name for name, verb in verbs_of(root) if any("--json" in each.opts for each in verb.params)}
    assert takes == {name for name, _ in verbs_of(root)} - {"demo", "serve", "connect"}
    assert DOCUMENTS.keys() == takes | {"VERB"}


NEW = "f0e1d2c3b4a5968778695a4b3c2d1e0f.00112233445566778899aabb"


def test_what_changes_something_prints_is_as_the_schemas_say(cli: CliHarness, tmp_path: Path) -> None:
    conversation = tmp_path / "talk.json"
    kept = Conversation("3f2a", "Tides", turns=(Turn(1, Message("user", "why tides"), 1.0),))
    conversation.write_text(to_json(kept))
    trusted = tmp_path / "project" / ".pi" / "settings.json"
    trusted.parent.mkdir()
    trusted.write_text(json.dumps({"pi-ollama": {"apiKeys": [cli.keys[3][0]]}}))
    listed = tmp_path / "keys.txt"
    listed.write_text(NEW)

    def checked(verb: str, *arguments: str, stdin: str = "") -> str:
        result = cli.run(*verb.split(), *arguments, "--json", stdin=stdin)
        assert "error" not in json.loads(result.out), result
        check(verb, [result.out])
        return result.out

    checked("refresh")
    for verb in ("rotate", "use-key 2", "disable-key 3", "enable-key 3", "test-key 1", "reset-key 1"):
        checked(verb.partition(" ")[0], *verb.split()[1:])
    checked("label-key", "2", "plum")
    checked("remove-key", "4", "--yes")
    checked("add-key", "--no-check", stdin=NEW)
    checked("remove-key", "4", "--yes")
    checked("import-keys", str(listed), "--yes")
    checked("trust")
    checked("completion", "bash")
    checked("help")
    checked("help", "json")
    checked("token add", "laptop", "--model", "gpt*")
    checked("token list")
    checked("token rotate", "laptop")
    checked("token rotate")
    checked("token revoke", "laptop")
    checked("config list")
    checked("config get", "strategy")
    checked("config set", "strategy", "drain")
    checked("config unset", "strategy")
    checked("config export")
    checked("config schema")
    checked("conversations import", str(conversation))
    (found,) = json.loads(checked("conversations search", "tides"))["conversations"]
    checked("conversations show", found["id"])
    checked("conversations export", found["id"], str(tmp_path / "written.json"))
    checked("conversations delete", found["id"])
    checked("purge", "--yes")


@pytest.mark.parametrize(
    ("arguments", "code", "words", "remedy"),
    [
        (("info", "no-such"), 1, "Model not found: no-such", "okr-tui models lists the known ones"),
        (("use-key", "9"), 1, "9", None),
        (("keys", "--chek"), 2, "--chek", "okr-tui keys --help"),
        (("sttus",), 2, "Did you mean 'status'", "okr-tui --help"),
        (("config", "set", "stratgy", "drain"), 2, "stratgy", None),
        (("conversations", "show", "nope"), 1, "nope", None),
    ],
)
def test_a_failure_is_a_document_in_place_of_the_result(
    cli: CliHarness, arguments: tuple[str, ...], code: int, words: str, remedy: str | None
) -> None:
    result = cli.run(*arguments, "--json")
    check("VERB", [result.out])
    document = result.json
    assert (result.code, document["code"]) == (code, code)
    assert words in document["error"]
    assert remedy is None or document["remedy"] == remedy
    assert document["error"] in result.err
    assert cli.run(*arguments).out == ""


def test_no_key_and_every_key_blocked_are_documents_too(cli: CliHarness) -> None:
    for number in "1234":
        cli.run_ok("disable-key", number)
    document = cli.run("rotate", "--json").json
    assert (document["code"], document["until"]) == (4, None)
    cli.write_settings(keys=0)
    assert cli.run("rotate", "--json").json["remedy"] == "okr-tui add-key, or set OLLAMA_API_KEYS"


def test_a_result_that_was_printed_is_not_followed_by_a_failure(cli: CliHarness) -> None:
    cli.write_settings(cloudUrl="http://127.0.0.1:1")
    last = cli.run("chat", MODEL, "hello", "--json").lines[-1]
    assert {"error", "model"} <= last.keys()


def test_a_document_with_a_field_too_many_is_noticed(cli: CliHarness) -> None:
    document = json.loads(cli.run_ok("keys", "--json").out)
    document["keys"][0]["extra"] = 1
    with pytest.raises(AssertionError):
        check("keys", [json.dumps(document)])
