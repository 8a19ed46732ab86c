"""Settings as they may be handed on: what is known, without keys, secrets, and what is of one machine.

What is no setting is left out as well: it may be a key under a misspelt name.
"""

from collections.abc import Mapping
from typing import Any, Final

from okr_tui.domain.addresses import without_password
from okr_tui.settings.alerts import is_address
from okr_tui.settings.key_references import COMMAND, KEYRING, VARIABLE
from okr_tui.settings.table import GROUPS, MEMBERS, ORIGINAL, OURS, SHORT, unknown_names

OF_ONE_MACHINE: Final = frozenset({"trustedProjects", "activeKeyFingerprint", "activeKeyFingerprintIndex"})


def without_secrets(root: Mapping[str, object]) -> dict[str, Any]:
    """Return the sections of this program as they may be handed on; references to secrets stay."""
    found: dict[str, Any] = {}
    for section in (ORIGINAL, SHORT):
        if isinstance(values := root.get(section), dict):
            found[section] = _addresses(values)
    if isinstance(ours := root.get(OURS), dict):
        found[OURS] = _ours(ours)
    return found


def _addresses(values: Mapping[str, object]) -> dict[str, object]:
    """Return the addresses of a section that holds these and keys; a daemon's path may be a token."""
    paths = {"cloudUrl": True, "baseUrl": False}
    return {name: values[name] for name, path in paths.items() if _is_plain(values.get(name), path=path)}


def _ours(values: Mapping[str, object]) -> dict[str, Any]:
    unknown = {path for path, _ in unknown_names(OURS, values)}
    kept: dict[str, Any] = {}
    for name, value in values.items():
        if name in OF_ONE_MACHINE or (name,) in unknown:
            continue
        if name in GROUPS and isinstance(value, Mapping):
            kept[name] = {key: item for key, item in value.items() if (name, key) not in unknown}
        else:
            kept[name] = value
    if "store" in kept and without_password(str(kept["store"])) != kept["store"]:
        del kept["store"]
    if "hooks" in kept:
        kept["hooks"] = {
            event: line
            for event, line in _members(kept["hooks"]).items()
            if isinstance(line, str) and not is_address(line.strip())
        }
    if "models" in kept and not _is_plain(kept["models"].get("local", ""), path=False):
        del kept["models"]["local"]
    if "mcpServers" in kept.get("chat", {}):
        servers = _members(kept["chat"]["mcpServers"]).items()
        kept["chat"]["mcpServers"] = {name: _server(each) for name, each in servers if isinstance(each, dict)}
    return kept


def _members(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _is_plain(address: object, *, path: bool) -> bool:
    """Return whether an address has no user and no query, and no path unless it may have one."""
    if not isinstance(address, str) or "@" in address or "?" in address:
        return False
    return path or not address.rpartition("://")[2].partition("/")[2].strip("/ ")


def _server(server: Mapping[str, object]) -> dict[str, object]:
    """Return a tool server whose variables and headers are references alone."""
    kept: dict[str, object] = {}
    for name in MEMBERS:
        value = server.get(name)
        if name in ("env", "headers") and value is not None:
            kept[name] = {key: text for key, text in _members(value).items() if _is_reference(text)}
        elif name in server and (name != "url" or _is_plain(value, path=True)):
            kept[name] = value
    return kept


def _is_reference(text: object) -> bool:
    return isinstance(text, str) and text.startswith((VARIABLE, COMMAND, KEYRING))
