"""What stands in the prompt of a conversation and was not sent. Pure values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Draft:
    """What was typed. `place` is the question it is to replace, None for the next one.

    `held` stood in the prompt before that question was edited; `pictures` are the paths of image files.
    """

    text: str = ""
    place: int | None = None
    held: str = ""
    pictures: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to lose."""
        return bool(self.text or self.held or self.pictures)


def joined(*texts: str) -> str:
    """Texts below each other, without the empty ones and without saying the same twice."""
    return "\n".join(dict.fromkeys(text for text in texts if text))
