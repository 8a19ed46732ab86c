"""Every setting in force with the place it comes from, in words. No line holds a key, password or token."""

import json
from collections.abc import Mapping

from okr_tui.domain.keys import Key
from okr_tui.services.service import SettingLine, TrustQuestion
from okr_tui.settings.keys import kind
from okr_tui.settings.schema import Origin, Place, Settings, Valued
from okr_tui.settings.values import without_password, without_token
from okr_tui.store.factory import state_folder

LONGEST = 80
KEPT = {
    "literal": "",
    "variable": "in a variable",
    "command": "printed by a command",
    "keyring": "in the system keyring",
}


def trust_question(settings: Settings) -> TrustQuestion | None:
    """What is to be asked about the project's file; None when nothing is, or it was answered."""
    if settings.project_trusted or settings.project_refused or not settings.project_wants:
        return None
    return TrustQuestion(settings.project_file, settings.project_wants)


def setting_lines(settings: Settings) -> tuple[SettingLine, ...]:
    """One line per value, then one per key."""
    found = [
        _valued("cloudUrl", settings.cloud_url.value, settings.cloud_url),
        _valued("activeKeyIndex", _preferred(settings), settings.active_index),
        _valued("strategy", settings.strategy.value, settings.strategy),
        _valued("store", store_address(settings), settings.store),
        _valued("theme", settings.theme.value or "", settings.theme),
        _valued("baseUrl", without_token(settings.base_url.value), settings.base_url),
    ]
    groups = {
        "keymap": settings.keymap,
        "policy": settings.policy,
        "gateway": settings.gateway,
        "chat": _without_secrets(settings.chat),
    }
    for name, (decider, *lost) in settings.origins.items():
        group, _, member = name.partition(".")
        if member in groups[group]:
            found.append(_line(name, _json(groups[group][member], settings), decider, lost))
    pool = zip(settings.keys, settings.places, strict=True)
    return (*found, *(_key_line(at, key, place) for at, (key, place) in enumerate(pool, 1)))


def _without_secrets(chat: Mapping[str, object]) -> dict[str, object]:
    """The chat section with the names of its tool servers alone: what they are given may be secret."""
    servers = chat.get("mcpServers")
    shown = list(servers) if isinstance(servers, Mapping) else "…"
    return {name: shown if name == "mcpServers" else value for name, value in chat.items()}


def store_address(settings: Settings) -> str:
    """Where the log is, without a password."""
    return without_password(settings.store.value or f"sqlite:{state_folder() / 'log.db'}")


def _preferred(settings: Settings) -> str:
    if not settings.keys:
        return ""
    index = settings.active_index.value
    return f"{index}, key {index + 1} {settings.keys[index].masked}"


def _valued(name: str, value: str, valued: Valued[int] | Valued[str] | Valued[str | None]) -> SettingLine:
    line = _line(name, value, valued.origin, valued.shadowed)
    if not valued.note:
        return line
    return SettingLine(name, value, f"{line.origin} ({valued.note})", line.shadowed)


def _key_line(at: int, key: Key, place: Place) -> SettingLine:
    words = (key.masked, key.label or "", KEPT[kind(place.reference)])
    return _line(f"key {at}", " ".join(word for word in words if word), place.origin, place.also)


def _line(name: str, value: str, origin: Origin, lost: list[Origin] | tuple[Origin, ...]) -> SettingLine:
    return SettingLine(name, value, origin.describe(), tuple(other.describe() for other in lost))


def _json(value: object, settings: Settings) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    for key in settings.keys:
        # Nobody checks what these objects hold, so a key in the wrong place could be among it.
        text = key.hide(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
