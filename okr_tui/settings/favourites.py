"""pi's own setting `enabledModels`, at the top of its files: read as pi does, changed one entry at a time."""

import json
from collections.abc import Sequence

from okr_tui.domain.errors import SettingsError
from okr_tui.domain.favourites import others, own_entries
from okr_tui.domain.models import PROVIDER
from okr_tui.settings.document import Document
from okr_tui.settings.schema import Origin, Problem, Valued
from okr_tui.settings.sections import Layer
from okr_tui.settings.splice import put_in, take_out
from okr_tui.settings.text import failure, put

NAME = "enabledModels"


def enabled_models(files: Sequence[Layer], problems: list[Problem]) -> Valued[tuple[str, ...]]:
    """The entries in force; `files` come highest first, and pi takes the list of the first that has one."""
    found: list[tuple[tuple[str, ...], Origin]] = []
    for layer in files:
        document = layer.document
        if document is None or document.root.get(NAME) is None:
            continue
        origin = Origin(layer.name, document.path, *document.position(NAME))
        listed = document.root[NAME]
        if not isinstance(listed, list):
            problems.append(Problem.at(origin, f"{NAME} is ignored: it must be a list [...]"))
            continue
        entries = tuple(entry for entry in listed if isinstance(entry, str))
        if len(entries) < len(listed):
            problems.append(Problem.at(origin, f"{NAME}: entries that are not text are ignored"))
        found.append((entries, origin))
    if not found:
        return Valued((), Origin("default"))
    return Valued(found[0][0], found[0][1], tuple(origin for _, origin in found[1:]))


def favouring(document: Document, model: str, *, wanted: bool) -> str:
    """The text with the model among the favourites, or without it; every other entry stays as it is.

    Raises SettingsError when the setting is no list, or an entry that means more than this model names it.
    """
    listed = document.root.get(NAME)
    if listed is None:
        return put(document.text, (NAME,), [f"{PROVIDER}/{model}"]) if wanted else document.text
    if not isinstance(listed, list):
        at = document.position(NAME)
        raise failure(f"{NAME} must be a list; nothing was changed", str(document.path), *at)
    entries = [entry if isinstance(entry, str) else "" for entry in listed]
    own, more = own_entries(entries, model), others(entries, model)
    if wanted:
        if own or more:
            return document.text
        return put_in(document.text, (NAME,), len(listed), json.dumps(f"{PROVIDER}/{model}"))
    if more:
        raise SettingsError(
            f"{model} stays a favourite: the entry {json.dumps(more[0], ensure_ascii=False)[:60]} in "
            f"{document.path} names it and may name others; only its editor can change that"
        )
    text = document.text
    for place in own:
        text = take_out(text, (NAME, place))
    return text
