"""The README's pictures are what the program draws."""

import pytest

from screenshots.generate import PICTURES, Picture, drawn, path
from screenshots.motion import Frame, moving

pytestmark = pytest.mark.slow(reason="draws whole pictures")

README = path("walk").parent.parent / "README.md"


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
async def test_a_still_picture_is_up_to_date(picture: Picture) -> None:
    before = path(picture.name).read_text(encoding="utf-8")
    assert await drawn(picture) == before, "run python -m screenshots.generate"


def test_every_picture_is_shown_and_every_one_shown_is_there() -> None:
    text = README.read_text(encoding="utf-8")
    for name in ("walk", *(picture.name for picture in PICTURES)):
        assert f"screenshots/{name}.svg" in text
    assert {file.stem for file in path("walk").parent.glob("*.svg")} == {
        "walk",
        *(picture.name for picture in PICTURES),
    }


def test_what_frames_share_is_in_the_moving_picture_once() -> None:
    style = "<style>.terminal-1-r1 { fill: #ffffff }</style>"
    row = '<text class="terminal-1-r1" x="0" y="{y}" textLength="12.2" clip-path="url(#a)">{text}</text>'

    def frame(second: str) -> Frame:
        return Frame(
            style + row.format(y=20, text="same") + row.format(y=44.4, text=second), 2, f"<{second}>"
        )

    svg = moving([frame("16"), frame("two"), frame("two")], (10, 2), "#000000")
    assert [svg.count(f">{text}</text>") for text in ("same", "16", "two")] == [1, 1, 1]
    assert svg.count("fill: #ffffff") == 1
    assert "&lt;two&gt;" in svg
    assert "33.333% { visibility: visible }" in svg
