"""Pictures: known by content, bounded, recognised in what is pasted."""

import base64
from pathlib import Path

import pytest

from okr_tui.chat import messages
from okr_tui.chat.messages import check_sight, pasted_image, read_image
from okr_tui.domain.errors import ChatError
from okr_tui.domain.models import Model


@pytest.mark.parametrize(
    "content",
    [b"\x89PNG\r\n\x1a\n.", b"\xff\xd8\xff.", b"GIF89a.", b"RIFF....WEBP."],
    ids=["png", "jpeg", "gif", "webp"],
)
def test_a_picture_is_known_by_its_content(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "any.name").write_bytes(content)
    assert base64.b64decode(read_image(tmp_path / "any.name")) == content


def test_what_is_not_a_picture_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "LARGEST", 20)
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "large.gif").write_bytes(b"GIF89a" + bytes(20))
    for name, words in (
        ("text.png", "is not a PNG"),
        ("large.gif", "is larger than"),
        ("none.png", "is not a file"),
        ("", "is not a file"),
    ):
        with pytest.raises(ChatError, match=words):
            read_image(tmp_path / name)


def test_only_a_model_that_is_known_to_see_nothing_is_refused() -> None:
    check_sight(Model("m", capabilities=None), 1)
    check_sight(None, 1)
    check_sight(Model("m", capabilities=("vision",)), 1)
    check_sight(Model("m", capabilities=()), 0)
    with pytest.raises(ChatError, match="m takes no images"):
        check_sight(Model("m", capabilities=("completion",)), 1)
    with pytest.raises(ChatError, match="too many"):
        check_sight(None, 99)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/tmp/a.png", "/tmp/a.png"),
        ("  '/tmp/a b.PNG' ", "/tmp/a b.PNG"),
        ('"/tmp/a.jpg"', "/tmp/a.jpg"),
        (r"/tmp/a\ b\(1\).jpeg", "/tmp/a b(1).jpeg"),
        ("file:///tmp/a%20b.webp", "/tmp/a b.webp"),
        ("file://localhost/tmp/a.gif", "/tmp/a.gif"),
        ("file://elsewhere/tmp/a.gif", None),
        ("./a.png", "a.png"),
        ("look at /tmp/a.png", None),
        ("/tmp/a.txt", None),
        ("/tmp/a.png\n/tmp/b.png", None),
        ("", None),
        ("'", None),
        ("~nobody-of-that-name/a.png", None),
    ],
)
def test_pasted_paths(text: str, path: str | None) -> None:
    assert pasted_image(text) == (None if path is None else Path(path))


def test_a_path_at_home(isolated_home: Path) -> None:
    assert pasted_image("~/a.png") == isolated_home / "a.png"
