"""What a project's settings file may do. It comes with a checkout, so the user is asked, and the answer holds
for that file as it was read: for its project's path and the SHA-256 of its content.

The answers are in the user's own file, in `okr-tui.trustedProjects`: `{"path": ..., "sha256": ...}`, with
`"trusted": false` for a refusal. A path alone, written by the user's own hand, trusts whatever is there.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from okr_tui.domain.errors import SettingsError
from okr_tui.domain.words import printable
from okr_tui.settings.checks import UnusableError, cloud_url, without_password
from okr_tui.settings.json_edit import SURROGATE
from okr_tui.settings.key_references import COMMAND, KEYRING, SHOWN_NAME, VARIABLE
from okr_tui.settings.keys import NAMES, entries, kind, reference
from okr_tui.settings.sections import Layer
from okr_tui.settings.table import ORIGINAL, OURS, SHORT

Answer = Literal["trusted", "refused"]

SETTING = "trustedProjects"
SECTIONS = (SHORT, ORIGINAL)
LONGEST = 100
MOST = 20


def content(project: Layer) -> str:
    """Return SHA-256 of the content a project's values were read from; "" for none, or for several."""
    found = {section.document.fingerprint for section in project.sections.values() if section.document}
    return found.pop() if len(found) == 1 else ""


def answer(listed: object, project: Path, digest: str) -> Answer | None:
    """Return the answer that holds for the project with that content, None without one."""
    found: Answer | None = None
    for item in _understood(listed):
        if not _is_about(item, project):
            continue
        if isinstance(item, str):
            return "trusted"
        if digest and isinstance(item, dict) and item["sha256"] == digest:
            found = "trusted" if item.get("trusted", True) is True else "refused"
    return found


def is_understood(listed: object) -> bool:
    """Return whether the setting is a list of absolute paths, alone or with a SHA-256."""
    return isinstance(listed, list) and _understood(listed) == listed


def remembered(listed: object, project: Path, digest: str, *, trusted: bool) -> list[object]:
    """Return the setting with this answer in it, in place of the earlier ones for the project.

    Raises SettingsError when the setting is no list, which only the user can put right.
    """
    said: dict[str, object] = {"path": os.path.realpath(project), "sha256": digest}
    if not trusted:
        said["trusted"] = False
    return [*(item for item in _listed(listed) if not _is_about(item, project)), said]


def carried(listed: object, project: Path, before: str, after: str) -> list[object]:
    """Return the setting after this program changed the project's file: the answer stays."""
    return [
        {**item, "sha256": after}
        if isinstance(item, dict) and item.get("sha256") == before and _is_about(item, project)
        else item
        for item in _listed(listed)
    ]


def keeps_its_keys(project: Layer, url: str) -> bool:
    """Return whether a project's keys may go to the cloud in force: one that names a cloud means its own."""
    named = _clouds(project)
    return not named or named[0] == url


def wants(project: Layer, url: str) -> tuple[str, ...]:
    """Return what the file asks for that only a trusted one gets, in words; `url` is the cloud without it."""
    asked = [
        f"send requests, with your own keys too, to {_bounded(cloud)}"
        for cloud in _clouds(project)
        if cloud not in ("", url)
    ]
    ours = project.values(OURS)
    if isinstance(ours.get("store"), str):
        asked.append(f"keep the log in {_bounded(without_password(str(ours['store'])))}")
    if isinstance(ours.get("gateway"), Mapping):
        asked.append("change how this machine's gateway listens")
    asked += _chat_words(ours.get("chat"))
    for name in NAMES:
        for section in (ORIGINAL, SHORT):
            for _, entry in entries(name, project.values(section).get(name)):
                if words := _reference_words(entry):
                    asked.append(words)
    asked = list(dict.fromkeys(asked))
    more = len(asked) - MOST
    return (*asked[:MOST], f"and {more} more, which only the file shows") if more > 0 else tuple(asked)


def _chat_words(chat: object) -> list[str]:
    """Return what the chat section asks for: programs to start, servers to call, tools to let loose."""
    if not isinstance(chat, Mapping):
        return []
    asked = ["change which tools models may call in the chat, and which of them unasked"]
    servers = chat.get("mcpServers")
    for name, server in servers.items() if isinstance(servers, Mapping) else ():
        if not isinstance(server, Mapping):
            continue
        if isinstance(server.get("url"), str):
            place = _bounded(without_password(server["url"]))
            asked.append(f"connect the chat to the tool server {_bounded(name)} at {place}")
        else:
            listed = server.get("args")
            parts = [server.get("command"), *(listed if isinstance(listed, list) else ())]
            command = " ".join(str(part) for part in parts)
            asked.append(f"start the tool server {_bounded(name)}: `{_bounded(command)}`")
        for group in ("env", "headers"):
            values = server.get(group)
            for value in values.values() if isinstance(values, Mapping) else ():
                if words := _reference_words(value):
                    asked.append(f"{words.removesuffix(' as a key')} for the tool server {_bounded(name)}")
    return asked


def _reference_words(entry: object) -> str | None:
    found = reference(entry)
    if found is None:
        return None
    text = found.get_secret_value().strip()
    match kind(found):
        case "command":
            command = text.removeprefix(COMMAND)
            size = f" (of {len(command)} characters)" if len(command) > LONGEST else ""
            return f"run the command `{_bounded(command)}`{size}"
        case "variable":
            # What is no plain name may be a key in the wrong place.
            name = text.removeprefix(VARIABLE)
            return f"use the variable {name if SHOWN_NAME.fullmatch(name) else '…'} as a key"
        case "keyring":
            return (
                f"use the entry {_bounded(text.removeprefix(KEYRING))} of the system's secret store as a key"
            )
        case _:
            return None


def _clouds(project: Layer) -> list[str]:
    """Return the clouds the file names, the deciding one first; "" for an address that cannot be used."""
    found = []
    for section in SECTIONS:
        try:
            url = cloud_url(project.values(section).get("cloudUrl"))
        except UnusableError:
            url = ""
        if url is not None:
            found.append(url)
    return found


def _bounded(text: str) -> str:
    return printable(text, LONGEST)


def _listed(listed: object) -> list[object]:
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise SettingsError(f"{OURS}.{SETTING} must be a list; nothing was changed")
    return listed


def _understood(listed: object) -> list[object]:
    return [item for item in listed if os.path.isabs(_path(item))] if isinstance(listed, list) else []


def _is_about(item: object, project: Path) -> bool:
    path = _path(item)
    return os.path.isabs(path) and os.path.realpath(path) == os.path.realpath(project)


def _path(item: object) -> str:
    """Return the path of an item, "" for one that has none or no meaning."""
    if isinstance(item, dict) and isinstance(item.get("sha256"), str):
        item = item.get("path")
    # No file system takes these two, and asking it would raise.
    usable = isinstance(item, str) and "\0" not in item and not SURROGATE.search(item)
    return str(item) if usable else ""
