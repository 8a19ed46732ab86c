"""The next choice in words."""

from okr_tui.domain.keys import fingerprint, mask
from tests.cli.harness import MODEL, CliHarness


def test_explain_as_json_in_full(cli: CliHarness) -> None:
    cli.run_ok("keys", "--check")
    prints = [fingerprint(text) for text, _ in cli.keys]
    document = cli.run_ok("explain", f"ollama-cloud/{MODEL}", "--if-fails", "1", "--json").json
    after = document.pop("if_fails")

    def standing(index: int, reason: str, state: str = "ready", until: str | None = None) -> object:
        return {
            "index": index,
            "fingerprint": prints[index - 1],
            "state": state,
            "eligible": state == "ready",
            "reason": reason,
            "until": until,
        }

    assert document == {
        "model": MODEL,
        "choice": {"key": 1, "fingerprint": prints[0], "why": "preferred"},
        "keys": [
            standing(1, "preferred"),
            standing(2, "shares the quota of #1"),
            standing(3, "#1 is preferred"),
            standing(4, "#1 is preferred"),
        ],
        "earliest": None,
    }
    back = "2026-10-08T16:10:30Z"
    why = "most quota left while the preferred key is blocked"
    assert after == {
        "model": MODEL,
        "choice": {"key": 3, "fingerprint": prints[2], "why": why},
        "keys": [
            standing(1, "week spent", "spent", back),
            standing(2, "week spent", "spent", back),
            standing(3, why),
            standing(4, "less quota left than #3"),
        ],
        "earliest": back,
    }
    assert "if_fails" not in cli.run_ok("explain", "--json").json
    assert cli.run_ok("keys", "--json").json["active"] == 1


def test_explain_for_people(cli: CliHarness) -> None:
    cli.run_ok("keys", "--check")
    masks = [mask(text) for text, _ in cli.keys]
    assert cli.run_ok("explain", "--if-fails", "3").out.splitlines() == [
        f"The next request takes #1 {masks[0]}: preferred",
        f"  #2  {masks[1]}  ● ready  shares the quota of #1",
        f"  #3  {masks[2]}  ● ready  #1 is preferred",
        f"  #4  {masks[3]}  ● ready  #1 is preferred",
        "",
        f"If #3 were spent, it would take #1 {masks[0]}: preferred",
        f"  #2  {masks[1]}  ● ready  shares the quota of #1",
        f"  #3  {masks[2]}  ▣ spent  week spent, back 16:10",
        f"  #4  {masks[3]}  ● ready  #1 is preferred",
    ]


def test_explain_without_a_choice(cli: CliHarness) -> None:
    cli.write_settings(keys=1)
    cli.run_ok("disable-key", "1")
    document = cli.run_ok("explain", "--json").json
    assert (document["choice"], document["earliest"]) == (None, None)
    assert document["keys"][0]["reason"] == "switched off by you"
    assert cli.run_ok("explain").out.startswith("The next request finds no key: no key is eligible\n")
    cli.write_settings(keys=0)
    assert cli.run_ok("explain", "--json").json == {
        "model": None,
        "choice": None,
        "keys": [],
        "earliest": None,
    }


def test_a_failure_of_no_key(cli: CliHarness) -> None:
    assert cli.run("explain", "--if-fails", "9").code == 1
    assert cli.run("explain", "--if-fails", "0").code == 2
