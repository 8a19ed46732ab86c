"""`okr-tui token`: made, shown once, listed without secrets, replaced and ended."""

from pathlib import Path

from okr_tui.domain.scrubber import Scrubber
from okr_tui.gateway.tokens import Tokens
from okr_tui.store.factory import state_folder
from tests.cli.harness import CliHarness


def test_a_token_from_its_beginning_to_its_end(cli: CliHarness) -> None:
    here = Tokens(state_folder(), Scrubber())
    made = cli.run_ok("token", "add", "laptop", "--model", "gpt-oss*", "--tokens-per-day", "2000000")
    first = made.out.strip()
    assert "laptop now; it is not shown again" in made.err
    assert (caller := here.caller(first))
    assert (caller.name, caller.models, caller.tokens_per_day) == ("laptop", ("gpt-oss*",), 2_000_000)
    listed = cli.run_ok("token", "list")
    assert first not in listed.out
    assert [line.split()[0] for line in listed.out.splitlines()] == ["name", "(shared)", "laptop"]
    assert "2,000,000" in listed.out
    document = cli.run_ok("token", "list", "--json").json
    assert document["tokens"][0]["name"] == "laptop"
    assert "sha256" not in str(document)
    second = cli.run_ok("token", "rotate", "laptop", "--json").json["token"]
    assert here.caller(first) is None
    assert here.caller(second)
    cli.run_ok("token", "revoke", "laptop")
    assert here.caller(second) is None
    again = cli.run("token", "revoke", "laptop")
    assert again.code == 1
    assert "there is no token for laptop" in again.err


def test_the_shared_token_is_replaced_in_its_file(cli: CliHarness) -> None:
    path = Path(cli.run_ok("paths", "--json").json["gateway_token"])
    cli.run_ok("token", "rotate")
    before = path.read_text()
    result = cli.run_ok("token", "rotate")
    after = path.read_text()
    assert before != after
    assert after.strip() not in result.out + result.err
