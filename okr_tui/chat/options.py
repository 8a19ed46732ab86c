"""What a conversation asks of its model, checked before anything is sent."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from okr_tui.domain.errors import ChatError
from okr_tui.domain.models import LEVEL, Model
from okr_tui.domain.values import dataclass

THINK_LEVELS: Final[Mapping[str, bool | str]] = {
    "off": False,
    "on": True,
    "low": "low",
    "medium": "medium",
    "high": "high",
    "max": "max",
}
"""What `think` may be where a model does not say which levels it has, and what is sent for it."""
SYSTEM_LONGEST: Final = 100_000
RESET: Final = frozenset({"", "default", "none"})


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What a conversation asks for; None leaves it to the model.

    `num_predict` is the longest answer in tokens; `think` a level of the model, as `think_levels` has them;
    `tools` whether the model may call tools, None for what the settings say.
    """

    system: str = ""
    temperature: float | None = None
    top_p: float | None = None
    num_predict: int | None = None
    seed: int | None = None
    think: str | None = None
    tools: bool | None = None

    def changed(self, name: str, text: str) -> "ChatOptions":
        """Return the options with one set from a person's text; blank, "none" or "default" clears it.

        Raises ChatError, one line, for an unknown name or a value that is out of its bounds.
        """
        name = ALIASES.get(name.strip().lower(), name.strip().lower())
        if name == "system":
            return replace(self, system=_system(text))
        if name not in READERS:
            raise ChatError(f"there is no option {name[:40]!r}; there are {', '.join(OPTION_NAMES)}")
        text = text.strip().lower()
        value = None if text in RESET else READERS[name](text)
        return replace(self, **{name: value})  # type: ignore[arg-type]

    def check(self) -> None:
        """Raise ChatError, one line, for a value that is out of its bounds."""
        for name, value in self.sampling().items():
            READERS[name](str(value))
        if self.think is not None:
            _level(self.think)
        _system(self.system)

    def sampling(self) -> dict[str, object]:
        """Return what goes into the request's `options`."""
        named = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "num_predict": self.num_predict,
            "seed": self.seed,
        }
        return {name: value for name, value in named.items() if value is not None}

    def lines(self) -> tuple[str, ...]:
        """Return what is set, a line each: "temperature 0.2"."""
        values = {**self.sampling(), "think": self.think, "tools": self.tools, "system": self.system or None}
        return tuple(f"{name} {_shown(value)}" for name, value in values.items() if value is not None)


def think_levels(model: Model | None) -> tuple[str, ...]:
    """Return the levels of thinking that a model takes, in the cloud's order: none if it does not think.

    A model that does not say which it has takes all of THINK_LEVELS.
    """
    if model is not None and model.thinking is not None:
        return model.thinking if model.thinks else ()
    if model is None or model.capabilities is None or model.thinks:
        return tuple(THINK_LEVELS)
    return ()


def think_value(level: str) -> bool | str:
    """Return what is sent as `think` for a level."""
    return THINK_LEVELS.get(level, level)


def think_refusal(model: Model | None, level: str | None) -> str | None:
    """Return why a think level does not suit a model, in one line; None when it does, or none is set."""
    levels = think_levels(model)
    if level is None or level in levels:
        return None
    if levels and (model is None or model.thinking is None):
        return None  # it may have a level of that name
    name = model.id if model else "the model"
    if not levels:
        return f"{name} does not think; no think level is sent"
    return f"{name} takes think {', '.join(levels)}, not {level}"


def _system(text: str) -> str:
    if len(text) > SYSTEM_LONGEST:
        raise ChatError(f"the system prompt is longer than {SYSTEM_LONGEST} characters")
    return text.strip()


def _number(name: str, least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise ChatError(f"{name} must be a number from {least:g} to {most:g}, not {text[:40]!r}")
        return value

    return read


def _whole(name: str, least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        digits = text.removeprefix("-")
        usable = digits.isascii() and digits.isdigit() and len(digits) < 19
        if not usable or not least <= int(text) <= most:
            raise ChatError(f"{name} must be a whole number from {least} to {most}, not {text[:40]!r}")
        return int(text)

    return read


def _level(text: str) -> str:
    if not LEVEL.fullmatch(text):
        raise ChatError(f"think must be a level like {', '.join(THINK_LEVELS)}, not {text[:40]!r}")
    return text


def _switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise ChatError(f"tools must be on or off, not {text[:40]!r}")
    return text == "on"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "temperature": _number("temperature", 0, 2),
    "top_p": _number("top_p", 0, 1),
    "num_predict": _whole("num_predict", 1, 10_000_000),
    "seed": _whole("seed", 0, 2**53),
    "think": _level,
    "tools": _switch,
}
OPTION_NAMES: Final = ("system", *READERS)
ALIASES: Final = {"temp": "temperature", "max_tokens": "num_predict", "top-p": "top_p"}
