"""Turns: what they show of thoughts, tools and endings, and what lies above them."""

import os
import subprocess
import sys

import pytest
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widgets import Static

from okr_tui.chat.conversation import ToolRan
from okr_tui.chat.messages import Finished, ToolResult
from okr_tui.cloud.dialects import Delta, ToolCall
from okr_tui.ui.chat.transcript import LoadEarlier, Notice
from okr_tui.ui.chat.turn import ToolLine, TurnView
from tests.ui.transcript_driver import FENCE, run_transcript

pytestmark = pytest.mark.slow(reason="walks far through the dashboard by keys")


@pytest.mark.parametrize("ending", ["stop", "fail", "finish", "whole"])
async def test_the_tail_is_drawn_at_every_ending(ending: str) -> None:
    async with run_transcript() as talk:
        turn = await talk.ask()
        turn.show_event(Delta(FENCE + "tail"), 1.0)
        endings = {"stop": turn.stop, "fail": lambda: turn.fail("broke"), "finish": turn.finish}
        endings.get(ending, lambda: turn.show_event(Finished("stop"), 2.0))()
        await talk.drawn(turn)
        assert talk.lines(turn) == [" scatter = 1", " print(scatter)", " tail"]
        assert turn.state.incomplete is (ending != "whole")


async def test_turns_that_have_ended_are_styled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with run_transcript() as talk:
        turn = await talk.ask()
        turn.show_event(Delta("some text"), 1.0)
        turn.finish()
        await talk.drawn(turn)
        again: list[DOMNode] = []
        monkeypatch.setattr(talk.host, "update_styles", lambda node, **_: again.append(node))
        await talk.transcript.show([turn.state])
        await talk.arranged()
        (shown,) = talk.transcript.query(TurnView)
        assert shown.has_class("-ended")
        assert not [node for node in again if isinstance(node, TurnView)]


async def test_the_line_of_offers_is_drawn_where_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with run_transcript() as talk:
        turn = await talk.ask()
        drawn: list[str] = []
        query = TurnView.query_one

        def count(view: TurnView, selector: str, kind: type[Static]) -> Static:
            drawn.append(selector)
            return query(view, selector, kind)

        monkeypatch.setattr(TurnView, "query_one", count)
        turn.offer("")
        assert drawn == []
        for _ in range(3):
            turn.offer("^g continue")
        assert drawn == [".offers"]
        turn.offer("")
        assert drawn == [".offers"] * 2


async def test_removal_in_the_midst_is_harmless() -> None:
    async with run_transcript() as talk:
        turn = await talk.ask()
        turn.show_event(Delta("some text"), 1.0)
        await talk.transcript.show(())
        assert turn.text == "some text"
        assert not talk.transcript.query(TurnView)


async def test_the_columns_of_what_the_screen_says_hold_where_a_line_is_folded() -> None:
    async with run_transcript() as talk:
        text = "/other [N]  Ask it " + "again " * 30 + "\nno columns " + "word " * 30
        await talk.transcript.show_notice(text)
        await talk.arranged()
        aside = talk.transcript.query_one(Notice)
        lines = aside.render().plain.splitlines()
        assert len(lines) == aside.size.height
        assert max(map(len, lines)) <= aside.size.width
        second = next(line for line in lines if line.startswith("no columns"))
        folded = lines[1 : lines.index(second)]
        assert folded
        assert {len(line) - len(line.lstrip()) for line in folded} == {len("/other [N]  ")}
        assert not lines[-1].startswith(" ")


async def test_it_follows_the_end_unless_scrolled_up() -> None:
    async with run_transcript() as talk:
        turn = await talk.ask()
        turn.show_event(Delta("line\n" * 60), 1.0)
        await talk.drawn(turn)
        assert talk.at_end
        talk.transcript.focus()
        await talk.pilot.press("pageup")
        seen = talk.transcript.scroll_offset.y
        turn.show_event(Delta("more\n" * 30), 1.0)
        await talk.drawn(turn)
        assert talk.transcript.scroll_offset.y == seen
        await talk.pilot.press("end")
        turn.show_event(Delta("more\n" * 30), 1.0)
        await talk.drawn(turn)
        assert talk.at_end


async def test_growth_is_one_layout() -> None:
    async with run_transcript() as talk:
        turn = await talk.ask()
        turn.show_event(Delta("line\n" * 30), 1.0)
        await talk.drawn(turn)
        layouts: list[Screen[object]] = []
        talk.host.screen.screen_layout_refresh_signal.subscribe(talk.transcript, layouts.append)
        turn.show_event(Delta("more\n" * 3), 1.0)
        await talk.drawn(turn)
        await talk.arranged()
        assert len(layouts) == 1
        assert talk.at_end


async def test_a_scrollbar_comes_and_goes() -> None:
    async with run_transcript() as talk:
        turn = await talk.answered("word " * 40)
        wide = turn.size.width
        await talk.answered("line\n\n" * 20)
        assert turn.size.width < wide
        await talk.transcript.cut(0)
        await talk.transcript.show([turn.state])
        await talk.drawn(turn)
        assert talk.transcript.query_one(TurnView).size.width == wide


def test_the_screen_is_drawn_soon_after_a_key() -> None:
    script = "import okr_tui.ui.app, textual.constants; print(textual.constants.MAX_FPS)"
    environment = {name: value for name, value in os.environ.items() if name != "TEXTUAL_FPS"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "120\n"


async def test_older_turns_leave_and_come_back() -> None:
    async with run_transcript(shown=3) as talk:
        for number in range(8):
            await talk.answered(f"answer {number}\n" * 6)
        assert [turn.text[:8] for turn in talk.transcript.query(TurnView)] == [
            "answer 5",
            "answer 6",
            "answer 7",
        ]
        assert str(talk.transcript.query_one(LoadEarlier).content) == "… 5 earlier turns, scroll up to show"
        talk.transcript.focus()
        await talk.pilot.press("home")
        await talk.arranged()
        turns = list(talk.transcript.query(TurnView))
        assert [turn.text[7] for turn in turns] == list("234567")
        assert talk.transcript.hidden == 2
        assert talk.transcript.scroll_offset.y > 0
        assert talk.lines(turns[0])[0] == "answer 2"
        await talk.pilot.press("home")
        await talk.arranged()
        assert len(talk.transcript.query(TurnView)) == 8
        assert not talk.transcript.query(LoadEarlier)
        assert len(talk.transcript.states) == 8


async def test_text_from_outside_is_data() -> None:
    async with run_transcript() as talk:
        turn = await talk.ask("[b]what[/c] \x1b[31m")
        turn.show_event(Delta(thinking="[/x]\x07"), 1.0)
        turn.show_event(Delta("[b]a[/c] \x1b[2J\u202eesrever <b>\n\n```[/x]\n[/y]\x9b\n```\n"), 1.0)
        call = ToolCall("na[/me]", {"q": "[/z]"})
        turn.show_event(Delta(tool_calls=(call,)), 1.0)
        turn.show_event(ToolRan(call, ToolResult("[/r]\x1b", failed=True)), 1.0)
        turn.fail("[/why]\x1b")
        turn.unfolded = True
        turn.query_one(ToolLine).unfolded = True
        await talk.drawn(turn)
        lines = talk.lines(turn)
        assert lines == ["[b]a[/c] \ufffd[2J\ufffdesrever <b>", "", " [/y]\ufffd"]


async def test_thoughts_are_bounded() -> None:
    async with run_transcript() as talk:
        turn = await talk.ask()
        turn.unfolded = True
        for _ in range(2000):
            turn.show_event(Delta(thinking="ponder "), 1.0)
        turn.show_event(Delta("so"), 3.1)
        await talk.drawn(turn)
        assert "▾ thought 2.1 s" in str(turn.query_one(".who").render())
        shown = str(turn.query_one(".thoughts").render())
        assert shown.startswith("… 8,000 earlier characters")
        assert len(turn.state.thinking) == 14_000


async def test_a_tool_is_between_the_texts_and_unfolds() -> None:
    async with run_transcript() as talk:
        turn = await talk.ask()
        turn.show_event(Delta("let me look"), 1.0)
        call = ToolCall("web_search", {"query": "tides"})
        turn.show_event(Delta(tool_calls=(call,)), 1.0)
        await talk.arranged()
        line = turn.query_one(ToolLine)
        assert str(line.query_one(".call").render()) == '⚙ web_search "tides" …'
        turn.show_event(ToolRan(call, ToolResult('{"results": ["first result"]}'), 1.2), 1.5)
        turn.show_event(Delta("found it"), 2.0)
        turn.finish()
        await talk.drawn(turn)
        assert str(line.query_one(".call").render()) == '▸ ⚙ web_search "tides" … 1.2 s, 1 result'
        assert talk.lines(turn) == ["let me look", "found it"]
        line.focus()
        await talk.pilot.press("enter")
        assert "first result" in str(line.query_one(".result").render())
        await talk.pilot.click(line.query_one(".call"))
        assert not line.query_one(".result").display
        assert turn.text == "let me lookfound it"
