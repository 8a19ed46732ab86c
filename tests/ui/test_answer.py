"""What becomes of a Markdown text that arrives in pieces: its lines, colours, copies and links."""

import pytest
from textual.geometry import Offset
from textual.selection import SELECT_ALL, Selection

from okr_tui.chat.messages import Finished
from okr_tui.cloud.dialects import Delta
from okr_tui.ui.chat.answer import AnswerView
from tests.ui.transcript_driver import FENCE, run_transcript


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_chunks_in_text_out(size: int) -> None:
    table = "| a | b |\n|---|---|\n| 1 | 2 |\n"
    text = f"# Head\n\nSome **bold** and `code`.\n\n- one\n- two\n\n{FENCE}```\n\n{table}"
    async with run_transcript() as talk:
        turn = await talk.ask()
        for index in range(0, len(text), size):
            turn.show_event(Delta(text[index : index + size]), 1.0)
        turn.show_event(Finished("stop"), 2.0)
        await talk.drawn(turn)
        assert talk.lines(turn) == [
            "Head", "", "Some bold and code.", "", "• one", "• two", "", " scatter = 1", " print(scatter)",
            "", "a   │ b", "────┼────", "1   │ 2",
        ]  # fmt: skip
        assert turn.text == text


async def test_an_open_block_is_shown_as_it_stands() -> None:
    async with run_transcript() as talk:
        turn = await talk.ask()
        turn.show_event(Delta("done.\n\nstill **gro"), 1.0)
        await talk.drawn(turn)
        assert talk.lines(turn) == ["done.", "", "still **gro"]
        turn.show_event(Delta("wing**"), 1.0)
        await talk.drawn(turn)
        assert talk.lines(turn) == ["done.", "", "still **growing**"]


async def test_resize_wraps_again() -> None:
    async with run_transcript() as talk:
        turn = await talk.answered("word " * 30)
        before = len(talk.lines(turn))
        await talk.pilot.resize_terminal(30, 20)
        await talk.pilot.pause()
        assert len(talk.lines(turn)) > before
        assert " ".join(talk.lines(turn)) == ("word " * 30).strip()


async def test_a_theme_recolours_what_is_drawn() -> None:
    async with run_transcript() as talk:
        turn = await talk.answered("- item")
        answer = turn.query_one(AnswerView)
        before = answer.render_line(0)
        talk.host.theme = "okr-light"
        await talk.pilot.pause()
        assert answer.render_line(0).text == before.text
        assert [part.style for part in answer.render_line(0)] != [part.style for part in before]


async def test_a_copy_has_wrapped_lines_whole() -> None:
    async with run_transcript(size=(30, 20)) as talk:
        turn = await talk.answered("- a point of many words that wraps on the screen\n- b\n")
        answer = turn.query_one(AnswerView)
        assert answer.size.height > 2
        talk.host.screen.selections = {answer: SELECT_ALL}
        await talk.pilot.pause()
        assert talk.host.screen.get_selected_text() == "• a point of many words that wraps on the screen\n• b"
        talk.host.screen.selections = {answer: Selection(Offset(2, 0), Offset(9, 0))}
        assert talk.host.screen.get_selected_text() == "a point"


async def test_dragging_selects() -> None:
    async with run_transcript() as talk:
        turn = await talk.answered("one two three")
        answer = turn.query_one(AnswerView)
        await talk.pilot.mouse_down(answer, offset=(4, 0))
        await talk.pilot.hover(answer, offset=(7, 0))
        await talk.pilot.mouse_up(answer, offset=(7, 0))
        assert (talk.host.screen.get_selected_text() or "").startswith("two")


async def test_only_addresses_of_the_web_open() -> None:
    async with run_transcript() as talk:
        turn = await talk.answered(
            "[good](https://a.example/x) [bad](file:///etc/passwd) [worse](javascript:x)"
        )
        for index in range(1, 18, 2):
            await talk.pilot.click(turn.query_one(AnswerView), offset=(index, 0))
        assert set(talk.host.opened) == {"https://a.example/x"}


async def test_wide_characters_stay_within_the_width() -> None:
    async with run_transcript(size=(24, 20)) as talk:
        turn = await talk.answered(
            "日本語のとても長い一行の文章です。🙂🙂🙂🙂🙂🙂\n\n```\n" + "漢" * 40 + "\n```\n"
        )
        answer = turn.query_one(AnswerView)
        assert {answer.render_line(y).cell_length for y in range(answer.size.height)} == {answer.size.width}
        assert "".join(line.strip() for line in talk.lines(turn)).count("漢") == 40


async def test_a_megabyte_on_one_line_is_drawn_bit_by_bit() -> None:
    async with run_transcript() as talk:
        turn = await talk.ask()
        turn.show_event(Delta("x" * 1_000_000), 1.0)
        turn.finish()
        await talk.pilot.pause()
        assert not turn.settled
        assert len(turn.text) == 1_000_000
        await talk.transcript.show(())


async def test_nothing_ticks_once_all_is_drawn() -> None:
    async with run_transcript() as talk:
        turn = await talk.answered("some text\n\nand more")
        assert not any(widget._timers for widget in turn.walk_children(AnswerView))
