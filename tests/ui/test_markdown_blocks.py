"""Cutting a text into blocks while it arrives."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from okr_tui.ui.chat.markdown import LIMIT, LONG_LIMIT, Blocks, MarkdownBlock

LINES = (
    "words", "# heading", "#no heading", "- item", "  - nested", "1. first", "2. second", "   more", "",
    "```python", "```", "~~~", "````", "  ```", "| a | b |", "|---|---|", "> quote", "---", "\t", "日本 🙂",
    "x" * (LIMIT - 1), "y" * (2 * LIMIT + 3), "`" * 5, "\r",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(LINES), max_size=14).map("\n".join) | st.text(max_size=300)


def cut(*pieces: str) -> list[MarkdownBlock]:
    """The blocks of a text that came in these pieces."""
    blocks = Blocks()
    return [block for piece in pieces for block in blocks.feed(piece)] + blocks.close()


def kinds(text: str) -> list[tuple[str, str]]:
    """Kind and text of each block."""
    return [(block.kind, block.text) for block in cut(text)]


@given(TEXTS, st.lists(st.integers(0, 20_000), max_size=12))
def test_pieces_do_not_matter(text: str, indexes: list[int]) -> None:
    bounds = [0, *sorted(min(index, len(text)) for index in indexes), len(text)]
    pieces = [text[start:end] for start, end in pairwise(bounds)]
    assert cut(*pieces) == cut(text)


@given(TEXTS)
def test_single_characters_do_not_matter(text: str) -> None:
    assert cut(*text[:6000]) == cut(text[:6000])


@given(TEXTS)
def test_blocks_joined_are_the_text(text: str) -> None:
    assert "".join(block.text for block in cut(text)) == text


@given(TEXTS, st.integers(0, 20_000))
def test_finished_and_open_joined_are_what_came(text: str, index: int) -> None:
    blocks = Blocks()
    finished = blocks.feed(text[:index])
    assert "".join(block.text for block in finished) + blocks.open.text == text[:index]


@given(TEXTS)
def test_blocks_are_bounded(text: str) -> None:
    assert all(len(block.text) <= LONG_LIMIT + LIMIT for block in cut(text))


def test_a_blank_line_ends_a_paragraph() -> None:
    assert kinds("one\ntwo\n\n\nthree") == [("text", "one\ntwo\n\n"), ("text", "\nthree")]


def test_each_item_is_a_block_and_keeps_what_is_nested() -> None:
    text = "- one\n  - nested\n\n  more\n- two\n\nafter"
    assert kinds(text) == [
        ("item", "- one\n  - nested\n\n  more\n"), ("item", "- two\n\n"), ("text", "after"),
    ]  # fmt: skip


def test_a_number_within_a_sentence_is_not_an_item() -> None:
    assert kinds("born in\n1986. a good year") == [("text", "born in\n1986. a good year")]


def test_a_fence_keeps_its_blank_lines_and_says_its_language() -> None:
    (before, fence, after) = cut("see\n```python\na\n\n# b\n```\nend")
    assert (before.text, fence.language, fence.code, after.text) == ("see\n", "python", "a\n\n# b", "end")


def test_a_shorter_mark_does_not_close_a_fence() -> None:
    (fence,) = cut("````\n```\n````\n")
    assert fence.code == "```"


def test_a_fence_that_never_closes_keeps_its_code() -> None:
    (fence,) = cut("```\na\nb")
    assert fence.code == "a\nb"
    assert not fence.ends


def test_a_long_fence_comes_in_parts_that_join_to_its_code() -> None:
    code = "\n".join(f"line {number} of the code" for number in range(1000))
    blocks = cut(f"```python\n{code}\n```\nafter")
    *parts, after = blocks
    assert len(parts) > 3
    assert {part.kind for part in parts} == {"fence"}
    assert {part.language for part in parts} == {"python"}
    assert [part.begins for part in parts] == [True] + [False] * (len(parts) - 1)
    assert "\n".join(part.code for part in parts) == code
    assert after.text == "after"


def test_a_heading_stands_alone() -> None:
    assert kinds("a\n## b\nc") == [("text", "a\n"), ("text", "## b\n"), ("text", "c")]
