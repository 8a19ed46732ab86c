"""One answer, streamed."""

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import MakeHome
from tests.cli.home import COUNT, MODEL, NOW, Home

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


def test_the_answer_alone_is_on_standard_output(home: Home) -> None:
    ran = home.good("chat", MODEL, "hello")
    assert ran.out == HELLO
    thinking, figures = ran.err.splitlines()
    assert thinking == "The user asks: hello. Give a short, clear answer."
    assert figures.startswith(f"{MODEL} via #1 · 13 + 22 tokens · ")


@pytest.mark.parametrize("argument", [(), ("-",)])
def test_the_prompt_comes_from_standard_input(home: Home, argument: tuple[str, ...]) -> None:
    assert home.good("chat", MODEL, *argument, "--think", "off", stdin="hello\n").out == HELLO


@pytest.mark.parametrize("prompt", [(), ("-",), ("  ",)])
def test_a_prompt_is_needed(home: Home, prompt: tuple[str, ...]) -> None:
    ran = home.run("chat", MODEL, *prompt)
    assert (ran.code, ran.out) == (2, "")
    assert "a prompt is needed" in ran.err


def test_the_summary_in_full(home: Home) -> None:
    *pieces, summary = home.good("chat", MODEL, "hello", "--json", "--system", "Be kind.").lines
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


def test_thinking_can_be_left_out(home: Home) -> None:
    assert home.good("chat", OTHER, "hello", "--think", "off", "--json").lines[-1]["thinking"] == ""
    assert home.run("chat", MODEL, "hello", "--think", "hard").code == 2


def test_a_think_level_the_model_does_not_take_is_said_and_left_out(home: Home) -> None:
    home.good("models", "--refresh")
    ran = home.good("chat", MODEL, "hello", "--think", "off")
    assert "takes think low, medium, high, not off" in ran.err
    assert "The user asks" in ran.err


def test_hops_are_told_beside_the_answer(home: Home) -> None:
    home.good("keys", "--check")
    home.fault("session", account="amber")
    ran = home.good("chat", MODEL, "hello")
    assert ran.out == HELLO
    assert ran.err.startswith("#1 429 you have reached your session usage limit")
    assert "via #4" in ran.err
    home.good("reset-key", "1")
    home.moment.now += 1
    home.fault("session", account="amber")
    summary = home.good("chat", MODEL, "hello", "--json").lines[-1]
    assert (summary["key"], summary["hops"]) == (4, [{"key": 1, "fault": SESSION}])


def test_every_key_blocked(make_home: MakeHome) -> None:
    home = make_home("spent")
    home.good("keys", "--check")
    ran = home.run("chat", MODEL, "hello")
    assert (ran.code, ran.out) == (4, "")
    assert "#1 5h spent, back 16:01:00" in ran.err
    assert "; the first is back " in ran.err
    blocked = home.run("chat", MODEL, "hello", "--json")
    assert blocked.code == 4
    assert len(home.sent("/api/chat")) == 3
    (summary,) = blocked.lines
    assert (summary["done"], summary["key"], summary["content"]) == (False, None, "")
    assert summary["error"].startswith("no key can take this request")


def test_no_key(home: Home) -> None:
    home.write_settings(keys=0)
    ran = home.run("chat", MODEL, "hello")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("okr-tui: no key is configured")


def test_a_fault_is_confirmed_before_the_end(home: Home) -> None:
    home.change("amber", revoke=1)
    ran = home.good("chat", MODEL, "hello")
    assert ran.err.startswith("#1 401 Unauthorized")
    assert home.good("keys", "--json").json["keys"][0]["reason"] == "401 invalid credentials"


def test_an_answer_that_is_cut_off_keeps_what_came(home: Home) -> None:
    home.fault("stream-dropped", after=16)
    ran = home.run("chat", MODEL, "hello")
    assert ran.code == 1
    assert HELLO.startswith(ran.out.removesuffix("\n"))
    assert len(ran.out) > 10
    assert ran.out.endswith("\n")
    assert "okr-tui: the answer was cut off" in ran.err
    home.fault("stream-dropped", after=16)
    summary = home.run("chat", MODEL, "hello", "--json").lines[-1]
    assert (summary["done"], summary["done_reason"], summary["key"]) == (False, None, 1)
    assert HELLO.startswith(summary["content"])
    assert summary["error"].startswith("the answer was cut off")


def test_pictures_are_sent(home: Home, tmp_path: Path) -> None:
    picture = tmp_path / "pixel.png"
    picture.write_bytes(PIXEL)
    assert home.good("chat", "gemma4:31b", "hello", "--image", str(picture), "--image", str(picture)).out
    ran = home.run("chat", MODEL, "hello", "--image", str(picture))
    assert ran.code == 1
    assert "this model does not support image input" in ran.err


def test_what_is_no_picture_is_not_sent(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("okr_tui.chat.images.LARGEST", 40)
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "large.png").write_bytes(PIXEL)
    for name, words in (
        ("text.png", "is not a PNG, JPEG, GIF or WebP image"),
        ("large.png", "is larger than"),
        ("none.png", "does not exist"),
    ):
        ran = home.run("chat", MODEL, "hello", "--image", str(tmp_path / name))
        assert (ran.code, ran.out) == (2, "")
        assert words in ran.err
    assert home.sent("/api/chat") == []


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_interrupt_keeps_what_came(make_home: MakeHome, options: tuple[str, ...]) -> None:
    home = make_home(pace=0.1)
    with home.process("chat", MODEL, "Why is the sky blue?", *options) as process:
        assert process.stdout is not None
        first = process.stdout.readline() if options else process.stdout.read(4)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
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
    home.moment.now = NOW
    assert home.good("events", "--json").lines[-1]["outcome"] == "cancelled"


def test_a_reader_who_leaves_is_no_error_to_speak_of(make_home: MakeHome) -> None:
    home = make_home(pace=0.02)
    with home.process("chat", OTHER, "hello", "--think", "off") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(4)
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(timeout=30) == 1
    assert errors == b""


def test_what_is_piped_in_follows_the_prompt(home: Home) -> None:
    ran = home.good("chat", MODEL, "use web_search", "--tools", "--json", stdin="for the sky\n")
    tools = [line["tool"] for line in ran.lines if "tool" in line]
    assert [(tool["name"], tool["failed"]) for tool in tools] == [("web_search", False)]
    assert len(home.sent("/api/web_search")) == 1
    assert "The tool reports" in ran.lines[-1]["content"]


def test_no_tools_unless_asked_for(home: Home) -> None:
    assert home.good("chat", MODEL, "search for it").out
    assert home.sent("/api/web_search") == []
    ran = home.good("chat", MODEL, "search for it", "--tools")
    assert "web_search answered" in ran.err
    assert ran.out.startswith("The tool reports")


def test_options_of_the_model(home: Home) -> None:
    summary = home.good("chat", OTHER, "hello", "--think", "off", "--set", "num_predict=2", "--json").lines[
        -1
    ]
    assert (summary["output_tokens"], summary["done_reason"]) == (2, "length")
    for setting, words in (
        ("temperature=9", "from 0 to 2"),
        ("heat=1", "there is no option"),
        ("seed", "takes NAME=VALUE"),
        ("think=off", "an option of its own"),
    ):
        ran = home.run("chat", MODEL, "hello", "--set", setting)
        assert (ran.code, ran.out) == (2, "")
        assert words in ran.err


def test_a_model_known_to_see_nothing_is_sent_no_picture(home: Home, tmp_path: Path) -> None:
    home.good("refresh")
    picture = tmp_path / "pixel.png"
    picture.write_bytes(PIXEL)
    ran = home.run("chat", MODEL, "hello", "--image", str(picture))
    assert (ran.code, ran.out) == (1, "")
    assert f"{MODEL} takes no images" in ran.err
    assert home.sent("/api/chat") == []


def pipeline(home: Home, command: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a shell's pipeline in which `$OKR` is the program."""
    program = shlex.join([sys.executable, "-m", "okr_tui", *home.where])
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command.replace('$OKR', program)}"], capture_output=True
    )


def test_a_pipeline(home: Home) -> None:
    ran = pipeline(home, f"printf hello | $OKR chat {MODEL} | tr a-z A-Z")
    assert ran.stdout.decode() == HELLO.upper()
    ran = pipeline(home, f"$OKR chat {MODEL} 'Why is the sky blue?' </dev/null | head -1")
    assert ran.stdout.startswith(b"The sky is blue")
    assert b"Traceback" not in ran.stderr
    assert b"Exception" not in ran.stderr
