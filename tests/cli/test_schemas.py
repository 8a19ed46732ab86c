"""The published schemas are those of the types, and what verbs print is as they say, no field more."""

import json
from collections.abc import Iterable

import pytest

from okr_tui.cli.document_types import DOCUMENTS, schema_of
from screenshots import schemas
from tests.cli.conftest import MakeCli
from tests.cli.harness import MODEL, CliHarness
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
        "status": [["status"]],
        "keys": [["keys"]],
        "models": [["models"]],
        "info": [["info", MODEL]],
        "explain": [["explain"], ["explain", MODEL, "--if-fails", "1"]],
        "usage": [["usage"], ["usage", "--by", "account"]],
        "doctor": [["doctor", "--offline"]],
        "paths": [["paths"]],
    }.items():
        for each in arguments:
            result = cli.run(*each, "--json")
            if result.code != 3:  # no key: there is none that could fail
                check(verb, [result.out])
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


def test_a_document_with_a_field_too_many_is_noticed(cli: CliHarness) -> None:
    document = json.loads(cli.run_ok("keys", "--json").out)
    document["keys"][0]["extra"] = 1
    with pytest.raises(AssertionError):
        check("keys", [json.dumps(document)])
