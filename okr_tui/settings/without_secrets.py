"""Settings as they may be handed on: without keys, passwords, and what belongs to one machine alone."""

from collections.abc import Mapping
from typing import Any, Final

from okr_tui.settings.key_references import COMMAND, KEYRING, VARIABLE
from okr_tui.settings.locations import without_password
from okr_tui.settings.table import ORIGINAL, OURS, SHORT

OF_ONE_MACHINE: Final = frozenset({"trustedProjects", "activeKeyFingerprint", "activeKeyFingerprintIndex"})
KEYS: Final = frozenset({"apiKeys", "apiKey", "activeKeyIndex"})


def without_secrets(root: Mapping[str, object]) -> dict[str, Any]:
    """Return the sections of this program as they may be handed on; references to secrets stay."""
    found: dict[str, Any] = {}
    for section in (ORIGINAL, SHORT):
        if isinstance(values := root.get(section), dict):
            found[section] = {name: value for name, value in values.items() if name not in KEYS}
    if not isinstance(ours := root.get(OURS), dict):
        return found
    kept: dict[str, Any] = {name: value for name, value in ours.items() if name not in OF_ONE_MACHINE}
    if isinstance(store := kept.get("store"), str) and without_password(store) != store:
        del kept["store"]
    if isinstance(hooks := kept.get("hooks"), dict):
        kept["hooks"] = {event: line for event, line in hooks.items() if not _is_address(line)}
    if isinstance(chat := kept.get("chat"), dict) and isinstance(servers := chat.get("mcpServers"), dict):
        kept["chat"] = {**chat, "mcpServers": {name: _server(server) for name, server in servers.items()}}
    return {**found, OURS: kept}


def _is_address(line: object) -> bool:
    return isinstance(line, str) and line.strip().lower().startswith(("https://", "http://"))


def _server(server: object) -> object:
    """Return a tool server whose variables and headers are references alone."""
    if not isinstance(server, dict):
        return server
    return {
        name: {key: text for key, text in value.items() if _is_reference(text)}
        if name in ("env", "headers") and isinstance(value, dict)
        else value
        for name, value in server.items()
    }


def _is_reference(text: object) -> bool:
    return isinstance(text, str) and text.startswith((VARIABLE, COMMAND, KEYRING))
