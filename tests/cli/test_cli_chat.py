"""One answer, streamed."""

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import MakeCli
from tests.cli.harness import COUNT, MODEL, NOW, CliHarness
from tests.waiting import LIMIT

OTHER = "kimi-k2.6"
"""A model that can leave thinking out."""
PIXEL = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\nIDATx\x9cc\x00\x01\x00\x00\x05\x00\x01\r\n-\xb4\x00\x00\x00\x00IEND\xaeB`\x82"
)
HELLO = "Hello! I am doing well, thank you. What shall we look at today?\n"
SESSION = {
    "kind": "spent",
    "scope": "account",
    "window": "session",
    "status": 429,
    "text": (
        "you have reached your session usage limit, upgrade for higher limits: https://ollama.com/upgrade "
        "or add extra usage: https://ollama.com/settings"
    ),
}


def test_the_answer_alone_is_on_standard_output(cli: CliHarness) -> None:
    result = cli.run_ok("chat", MODEL, "hello")
    assert result.out == HELLO
    thinking, figures = result.err.splitlines()
    assert thinking == "The user asks: hello. Give a short, clear answer."
    assert figures.startswith(f"{MODEL} via #1 · 13 + 22 tokens · ")


@pytest.mark.parametrize("argument", [(), ("-",)])
def test_the_prompt_comes_from_standard_input(cli: CliHarness, argument: tuple[str, ...]) -> None:
    assert cli.run_ok("chat", MODEL, *argument, "--think", "off", stdin="hello\n").out == HELLO


@pytest.mark.parametrize("prompt", [(), ("-",), ("  ",)])
def test_a_prompt_is_needed(cli: CliHarness, prompt: tuple[str, ...]) -> None:
    result = cli.run("chat", MODEL, *prompt)
    assert (result.code, result.out) == (2, "")
    assert "give a prompt" in result.err


def test_the_summary_in_full(cli: CliHarness) -> None:
    *pieces, summary = cli.run_ok("chat", MODEL, "hello", "--json", "--system", "Be kind.").lines
    assert all(piece["done"] is False and piece["model"] == MODEL for piece in pieces)
    assert summary == {
        "done": True,
        "model": MODEL,
        "content": HELLO,
        "thinking": "The user asks: hello. Give a short, clear answer.",
        "tool_calls": [],
        "done_reason": "stop",
        "key": 1,
        "hops": [],
        "input_tokens": COUNT,
        "output_tokens": 22,
        "first_token_ms": COUNT,
        "duration_ms": COUNT,
    }
    assert "".join(piece["content"] for piece in pieces) == summary["content"]
    assert "".join(piece["thinking"] for piece in pieces) == summary["thinking"]


def test_thinking_can_be_left_out(cli: CliHarness) -> None:
    assert cli.run_ok("chat", OTHER, "hello", "--think", "off", "--json").lines[-1]["thinking"] == ""
    assert cli.run("chat", MODEL, "hello", "--think", "as hard as you can").code == 2


def test_a_think_level_the_model_does_not_take_is_reported_and_left_out(cli: CliHarness) -> None:
    cli.run_ok("models", "--refresh")
    result = cli.run_ok("chat", MODEL, "hello", "--think", "off")
    assert "takes think low, medium, high, not off" in result.err
    assert "The user asks" in result.err


def test_hops_are_reported_apart_from_the_answer(cli: CliHarness) -> None:
    cli.run_ok("keys", "--check")
    cli.fault("session", account="amber")
    result = cli.run_ok("chat", MODEL, "hello")
    assert result.out == HELLO
    assert result.err.startswith("#1 5h spent → #3\n")
    assert "via #3" in result.err
    cli.run_ok("reset-key", "1")
    cli.clock.now += 1
    cli.fault("session", account="amber")
    summary = cli.run_ok("chat", MODEL, "hello", "--json").lines[-1]
    assert (summary["key"], summary["hops"]) == (3, [{"key": 1, "fault": SESSION}])


def test_another_model_that_answers_is_named(cli: CliHarness) -> None:
    cli.fault("subscription", model=MODEL, times=None)
    document = json.loads(cli.settings_file.read_text())
    document["okr-tui"]["models"] = {"fallback": {"*": [OTHER]}, "aliases": {"fast": MODEL}}
    cli.settings_file.write_text(json.dumps(document))
    result = cli.run_ok("chat", "fast", "hello")
    assert f"{OTHER} answers instead: no key can take the requested model" in result.err
    summary = cli.run_ok("chat", MODEL, "hello", "--json").lines[-1]
    assert summary["answered_by"] == OTHER
    events = [event for event in cli.run_ok("events", "--json").lines if event["kind"] == "fallback"]
    assert [(event["model"], event["answered_by"]) for event in events] == [(MODEL, OTHER)] * 2


def test_every_key_blocked(make_cli: MakeCli) -> None:
    cli = make_cli("spent")
    cli.run_ok("keys", "--check")
    result = cli.run("chat", MODEL, "hello")
    assert (result.code, result.out) == (4, "")
    assert "#1 5h spent, back 16:01:00" in result.err
    assert "; the first is back " in result.err
    blocked = cli.run("chat", MODEL, "hello", "--json")
    assert blocked.code == 4
    assert len(cli.sent("/api/chat")) == 3
    (summary,) = blocked.lines
    assert (summary["done"], summary["key"], summary["content"]) == (False, None, "")
    assert summary["error"].startswith("no key can take this request")


def test_no_key(cli: CliHarness) -> None:
    cli.write_settings(keys=0)
    result = cli.run("chat", MODEL, "hello")
    assert (result.code, result.out) == (3, "")
    assert result.err.startswith("okr-tui: no key is configured")


def test_a_fault_is_confirmed_before_the_end(cli: CliHarness) -> None:
    cli.change("amber", revoke=1)
    result = cli.run_ok("chat", MODEL, "hello")
    assert result.err.startswith("#1 401 Unauthorized")
    assert cli.run_ok("keys", "--json").json["keys"][0]["reason"] == "401 invalid credentials"


def test_an_answer_that_is_cut_off_keeps_what_came(cli: CliHarness) -> None:
    cli.fault("stream-dropped", after=16)
    result = cli.run("chat", MODEL, "hello")
    assert result.code == 1
    assert HELLO.startswith(result.out.removesuffix("\n"))
    assert len(result.out) > 10
    assert result.out.endswith("\n")
    assert "okr-tui: the answer was cut off" in result.err
    cli.fault("stream-dropped", after=16)
    summary = cli.run("chat", MODEL, "hello", "--json").lines[-1]
    assert (summary["done"], summary["done_reason"], summary["key"]) == (False, None, 1)
    assert HELLO.startswith(summary["content"])
    assert summary["error"].startswith("the answer was cut off")


def test_pictures_are_sent(cli: CliHarness, tmp_path: Path) -> None:
    picture = tmp_path / "pixel.png"
    picture.write_bytes(PIXEL)
    assert cli.run_ok("chat", "gemma4:31b", "hello", "--image", str(picture), "--image", str(picture)).out
    result = cli.run("chat", MODEL, "hello", "--image", str(picture))
    assert result.code == 1
    assert "this model does not support image input" in result.err


def test_what_is_not_a_picture_is_not_sent(
    cli: CliHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("okr_tui.chat.messages.LARGEST", 40)
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "large.png").write_bytes(PIXEL)
    for name, words in (
        ("text.png", "is not a PNG, JPEG, GIF or WebP image"),
        ("large.png", "is larger than"),
        ("none.png", "does not exist"),
    ):
        result = cli.run("chat", MODEL, "hello", "--image", str(tmp_path / name))
        assert (result.code, result.out) == (2, "")
        assert words in result.err
    assert cli.sent("/api/chat") == []


@pytest.mark.slow(reason="starts the program as a process again and again")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_interrupt_keeps_what_came(make_cli: MakeCli, options: tuple[str, ...]) -> None:
    cli = make_cli(pace=0.1)
    with cli.process("chat", MODEL, "Why is the sky blue?", *options) as process:
        assert process.stdout is not None
        first = process.stdout.readline() if options else process.stdout.read(4)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    out = (first + rest).decode()
    if options:
        summary = json.loads(out.splitlines()[-1])
        assert (summary["done"], summary["error"]) == (False, "interrupted")
    else:
        assert "The sky is blue because".startswith(out[:8].rstrip())
        assert out.endswith("\n")
        assert b"interrupted" in errors
    cli.clock.now = NOW
    assert cli.run_ok("events", "--json").lines[-1]["outcome"] == "cancelled"


@pytest.mark.slow(reason="starts the program as a process again and again")
def test_a_reader_who_leaves_is_not_an_error(make_cli: MakeCli) -> None:
    cli = make_cli(pace=0.02)
    with cli.process("chat", OTHER, "hello", "--think", "off") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(4)
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(timeout=LIMIT) == 141
    assert errors == b""


def test_what_is_piped_in_follows_the_prompt(cli: CliHarness) -> None:
    result = cli.run_ok("chat", MODEL, "use web_search", "--tools", "--json", stdin="for the sky\n")
    tools = [line["tool"] for line in result.lines if "tool" in line]
    assert [(tool["name"], tool["failed"]) for tool in tools] == [("web_search", False)]
    assert len(cli.sent("/api/web_search")) == 1
    assert "The tool reports" in result.lines[-1]["content"]


def test_a_pipe_without_an_end_is_given_up(cli: CliHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("okr_tui.cli.chat.PIPED_LONGEST", 100)
    assert cli.run_ok("chat", MODEL, stdin="a" * 100).out
    result = cli.run("chat", MODEL, stdin="a" * 101)
    assert (result.code, result.out) == (2, "")
    assert "standard input is longer than" in result.err


def test_no_tools_unless_asked_for(cli: CliHarness) -> None:
    assert cli.run_ok("chat", MODEL, "search for it").out
    assert cli.sent("/api/web_search") == []
    result = cli.run_ok("chat", MODEL, "search for it", "--tools")
    assert "web_search answered" in result.err
    assert result.out.startswith("The tool reports")


def test_options_of_the_model(cli: CliHarness) -> None:
    cut = cli.run("chat", OTHER, "hello", "--think", "off", "--set", "num_predict=2", "--json")
    summary = cut.lines[-1]
    assert (summary["output_tokens"], summary["done_reason"]) == (2, "length")
    words = "the answer was cut off at the length limit: raise num_predict for more"
    assert (cut.code, cut.err, summary["lack"]) == (1, f"okr-tui: {words}\n", words)
    for setting, words in (
        ("temperature=9", "from 0 to 2"),
        ("heat=1", "there is no option"),
        ("seed", "takes NAME=VALUE"),
        ("think=off", "use --think"),
    ):
        result = cli.run("chat", MODEL, "hello", "--set", setting)
        assert (result.code, result.out) == (2, "")
        assert words in result.err


def test_a_model_known_to_see_nothing_is_sent_no_picture(cli: CliHarness, tmp_path: Path) -> None:
    cli.run_ok("refresh")
    picture = tmp_path / "pixel.png"
    picture.write_bytes(PIXEL)
    result = cli.run("chat", MODEL, "hello", "--image", str(picture))
    assert (result.code, result.out) == (1, "")
    assert f"{MODEL} takes no images" in result.err
    assert cli.sent("/api/chat") == []


def pipeline(cli: CliHarness, command: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a shell's pipeline in which `$OKR` is the program."""
    program = shlex.join([sys.executable, "-m", "okr_tui", *cli.where])
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command.replace('$OKR', program)}"], capture_output=True
    )


@pytest.mark.slow(reason="starts the program as a process again and again")
def test_a_pipeline(cli: CliHarness) -> None:
    result = pipeline(cli, f"printf hello | $OKR chat {MODEL} | tr a-z A-Z")
    assert result.stdout.decode() == HELLO.upper()
    result = pipeline(cli, f"$OKR chat {MODEL} 'Why is the sky blue?' </dev/null | head -1")
    assert result.stdout.startswith(b"The sky is blue")
    assert b"Traceback" not in result.stderr
    assert b"Exception" not in result.stderr
