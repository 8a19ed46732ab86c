"""The texts on the chat's borders, above its prompt and in its empty pane."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from okr_tui.chat.conversation import FULL_SHARE, UNTITLED, WARN_SHARE, Conversation, gauge
from okr_tui.chat.options import think_levels
from okr_tui.domain.models import Model, bare_name, short_context
from okr_tui.ui.chat.markdown import safe
from okr_tui.ui.keymap import KeyOf
from okr_tui.ui.lines import FAULT, NOTICE, QUIET, STRONG, WARNING, Line, Part, fit, one_line

TITLE_LONGEST = 32
SEPARATOR: Part = (" · ", QUIET)


@dataclass(frozen=True)
class Picture:
    """An image that goes along with the next question: its file, and base64."""

    path: Path
    data: str


def short(text: str, longest: int = TITLE_LONGEST) -> str:
    """Return outside text on one line of at most `longest` cells."""
    return fit(one_line(safe(text)), longest).rstrip()


def title_line(conversation: Conversation, via: int | None, rivals: Sequence[str]) -> Line:
    """Return model, key and title of a conversation; `rivals` are the models that are compared."""
    parts: list[Part] = [("Chat", STRONG)]
    if rivals:
        return (*parts, (f" {' against '.join(map(short, rivals))}", ""))
    if conversation.model:
        parts.append((f" {short(conversation.model)}", ""))
        if via:
            parts.append((f" · via #{via}", QUIET))
    if conversation.title != UNTITLED:
        parts.append((f" · {short(conversation.title)}", QUIET))
    return tuple(parts)


def options_line(conversation: Conversation, model: Model | None) -> Line:
    """Return the options that go along with a question, and how full the context is."""
    options = conversation.options
    shown = [
        f"{name} {value:g}" for name, value in options.sampling().items() if isinstance(value, (int, float))
    ]
    if conversation.model and think_levels(model):
        default = f"auto ({model.thinking_default})" if model and model.thinking_default else "auto"
        shown.insert(0, f"think {options.think or default}")
    if options.tools is not None:
        shown.append(f"tools {'on' if options.tools else 'off'}")
    if options.system:
        shown.append("system prompt")
    parts: list[Part] = [(word, QUIET) for word in shown]
    if filled := gauge_part(conversation, model):
        parts.append(filled)
    return tuple(each for part in parts for each in (SEPARATOR, part))[1:]


def gauge_part(conversation: Conversation, model: Model | None) -> Part | None:
    """Return how full the context is; None before the cloud has counted."""
    full = gauge(conversation, model)
    if not full.used:
        return None
    if full.share is None or full.length is None:
        return (f"ctx {short_context(full.used)}", QUIET)
    words = f"ctx {100 * full.share:.0f} % of {short_context(full.length)}"
    if full.share >= FULL_SHARE:
        return (f"✖ {words}, nearly full", FAULT)
    if full.share >= WARN_SHARE:
        return (f"▲ {words}, filling up", WARNING)
    return (words, QUIET)


def model_named(name: str | None, models: Sequence[Model]) -> Model | None:
    """Return the listed model of a name, tagged or not; None when there is none."""
    wanted = bare_name(name or "")
    return next((model for model in models if model.id == wanted), None)


def empty_text(conversation: Conversation, rivals: Sequence[str], key_of: KeyOf) -> str:
    """Return what to do while there is nothing to read; `rivals` are the models that are compared."""
    if rivals:
        first = f"Ask {' and '.join(map(short, rivals))} something."
    elif not conversation.model:
        first = f"No model chosen.\n{key_of('choose-model')} on a line of Models, then type below."
    else:
        first = f"Ask {short(conversation.model)} something."
    return f"{first}\n\n{key_of('conversations')} earlier conversations · / commands"


def editing_line(key_of: KeyOf) -> Line:
    """Return what the next question does while another one is edited."""
    words = "✎ the edited question is asked in a branch"
    return ((words, NOTICE), (f" · {key_of('back')} cancels", QUIET))


def comparison_line(key_of: KeyOf, *, begun: bool) -> Line:
    """Return what can be done before two conversations are asked, and while they are."""
    if not begun:
        return (("⇆ the next question goes to both", NOTICE), (f" · {key_of('back')} cancels", QUIET))
    keys = " or ".join(map(key_of, ("keep-first", "keep-second")))
    return (("⇆ both are asked", NOTICE), (f" · {keys} keeps one · {key_of('back')} goes back", QUIET))


def pictures_line(pictures: Sequence[Picture]) -> Line:
    """Return the pictures that go along with the next question."""
    chips: list[Part] = [
        (f" ▣ {short(picture.path.name)} ", "$text-accent on $surface") for picture in pictures
    ]
    return (*chips, ("  backspace in an empty prompt removes the last", QUIET)) if chips else ()
