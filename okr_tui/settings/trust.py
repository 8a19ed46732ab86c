"""What a project's settings file may do. It comes with a checkout, so the user is asked, and the answer holds
for that file as it was read: for its project's path and the SHA-256 of its content.

The answers are in the user's own file, in `okr-tui.trustedProjects`: `{"path": ..., "sha256": ...}`, with
`"trusted": false` for a refusal. A path alone, written by the user's own hand, trusts whatever is there.
"""

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from okr_tui.domain.addresses import without_password
from okr_tui.domain.errors import SettingsError
from okr_tui.domain.keys import SecretStr
from okr_tui.domain.text import printable
from okr_tui.settings.alerts import hook_words, is_address
from okr_tui.settings.checks import UnusableError, cloud_url
from okr_tui.settings.json_edit import SURROGATE
from okr_tui.settings.key_references import COMMAND, KEYRING, SHOWN_NAME, VARIABLE
from okr_tui.settings.keys import NAMES, entries, kind, reference
from okr_tui.settings.sections import MISSING, Layer
from okr_tui.settings.table import ANY, ORIGINAL, OURS, SHORT, TABLE, Setting

Answer = Literal["trusted", "refused"]

SETTING = "trustedProjects"
SECTIONS = (SHORT, ORIGINAL)
LONGEST = 100
IN_FULL, HEAD, TAIL = 400, 240, 120
"""Letters of a command that are shown in full; of a longer one, how many of its beginning and its end."""
MOST = 20
SERVERS = ("chat", "mcpServers")
HOOKS = ("hooks",)
DESCRIBED = frozenset({"cloudUrl", "store", "gateway", "chat", "hooks"})
"""Settings and groups that have words of their own."""
STEERING = re.compile(
    r"PATH$|IFS$|ENV$|SHELL$|HOME$|BASH|LD_|DYLD_|PYTHON|NODE_|NPM_|PERL|RUBY|GEM_|JAVA|JDK_|GIT_|GCONV|LUA|PHP|"
    r"DOTNET|CORECLR|DENO_|BUN_|UV_|PIP_|.*_PROXY$|SSL_",
    re.IGNORECASE,
)
"""Variables that choose what code a program runs, or to whom it talks."""


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

    Raises SettingsError when the setting is no list, which only the user can correct.
    """
    entry: dict[str, object] = {"path": os.path.realpath(project), "sha256": digest}
    if not trusted:
        entry["trusted"] = False
    return [*(item for item in _listed(listed) if not _is_about(item, project)), entry]


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


def keys_words(count: int) -> str:
    """Return the beginning of a sentence about keys that the project adds, up to what they are."""
    return "the project adds a key, which is" if count == 1 else f"the project adds {count} keys, which are"


def wants(project: Layer, url: str, keys: int) -> tuple[str, ...]:
    """Return what the file asks for that only a trusted one gets, in words, programs it would start first.

    url: of the cloud in force. keys: how many it adds to the pool.
    """
    runs = [*_server_words(project.find(OURS, SERVERS)), *_hook_words(project.find(OURS, HOOKS))]
    wants = [
        f"send requests, with your own keys too, to {_bounded(cloud)}"
        for cloud in _clouds(project)
        if cloud not in ("", url)
    ]
    if keys:
        wants.append(f"add {'a key' if keys == 1 else f'{keys} keys'} of its own to the pool")
    wants += _setting_words(project)
    for name in NAMES:
        for section in (ORIGINAL, SHORT):
            for _, entry in entries(name, project.values(section).get(name)):
                if words := _reference_words(entry):
                    found = reference(entry)
                    (runs if found and kind(found) == "command" else wants).append(words)
    runs = list(dict.fromkeys(runs))
    wants = [*runs, *dict.fromkeys(wants)]
    if len(wants) <= MOST:
        return tuple(wants)
    more = f"and {len(wants) - MOST} more, which only the file shows"
    if len(runs) > MOST:
        more += f"; {len(runs) - MOST} of them start programs or call servers"
    return (*wants[:MOST], more)


def _setting_words(project: Layer) -> list[str]:
    """Return which settings it would change, one line each, one for all of a group."""
    ours = project.values(OURS)
    wants: list[str] = []
    numbers: list[str] = []
    if isinstance(ours.get("store"), str):
        wants.append(f"keep the log in {_bounded(without_password(str(ours['store'])))}")
    if isinstance(ours.get("gateway"), Mapping):
        wants.append("change how this machine's gateway listens")
    if isinstance(ours.get("chat"), Mapping):
        wants.append("change which tools models may call in the chat, and which of them without asking")
    for row in TABLE:
        if not row.needs_trust or row.name in DESCRIBED or row.group in DESCRIBED:
            continue
        for section in (SHORT, ORIGINAL) if row.section == ORIGINAL else (row.section,):
            for name, value in _values(project, section, row):
                text = f"{name} to {_ends(row.check.shown(value))}"
                if row.group == "policy":
                    numbers.append(text.removeprefix("policy."))
                else:
                    wants.append(f"set {text}")
    if numbers:
        wants.append(f"change how keys are judged and chosen: {_ends(', '.join(numbers))}")
    return wants


def _values(project: Layer, section: str, row: Setting) -> Iterator[tuple[str, object]]:
    """Yield the usable values of a row in a section, other than the default, by their whole names."""
    members = project.find(section, row.path[:1]) if row.path[-1] == ANY else None
    names = [*members] if isinstance(members, Mapping) else [row.path[-1]]
    for name in names:
        written = project.find(section, (*row.path[:-1], name))
        if written is MISSING:
            continue
        try:
            value = row.check.parse(written)
        except UnusableError:
            continue
        if value is not None and value != row.default:
            yield ".".join((*row.path[:-1], _bounded(name))), value


def _server_words(servers: object) -> list[str]:
    """Return the tool servers that it would start or call, with all that decides what they do."""
    wants: list[str] = []
    for label, server in servers.items() if isinstance(servers, Mapping) else ():
        if not isinstance(server, Mapping):
            continue
        name = _bounded(label)
        if isinstance(server.get("url"), str):
            address = _bounded(without_password(server["url"]))
            wants.append(f"connect the chat to the tool server {name} at {address}")
        else:
            listed = server.get("args")
            parts = [server.get("command"), *(listed if isinstance(listed, list) else ())]
            words = f"start the tool server {name}: {_command(shlex.join(map(str, parts)))}"
            if server.get("cwd") is not None:
                words += f", in the folder {_bounded(str(server['cwd']))}"
            wants.append(words + _environment_words(server.get("env")))
        for group in ("env", "headers"):
            values = server.get(group)
            for value in values.values() if isinstance(values, Mapping) else ():
                if words_of := _reference_words(value):
                    wants.append(f"{words_of.removesuffix(' as a key')} for the tool server {name}")
    return wants


def _hook_words(hooks: object) -> list[str]:
    """Return what it would run, and where it would send alerts, on which event."""
    wants: list[str] = []
    for event, line in hooks.items() if isinstance(hooks, Mapping) else ():
        if isinstance(line, str):
            alert = f"alert {_bounded(event)}"
            wants.append(
                f"tell {_bounded(hook_words(line))} of the {alert}"
                if is_address(line)
                else f"run the command {_command(line)} on the {alert}"
            )
    return wants


def _environment_words(env: object) -> str:
    """Return which variables a program would get, with the values of those that choose what code it runs."""
    if not isinstance(env, Mapping) or not env:
        return ""
    steering = {name: value for name, value in env.items() if STEERING.match(name)}
    shown = []
    for name in [*steering, *(name for name in env if name not in steering)]:
        value = steering.get(name)
        if isinstance(value, str) and kind(SecretStr(value)) == "literal":
            shown.append(f"{_bounded(name)}={_ends(value)}")
        else:
            shown.append(_bounded(name))
    more = f" and {len(shown) - MOST} more" if len(shown) > MOST else ""
    return f", with the environment {', '.join(shown[:MOST])}{more}"


def _reference_words(entry: object) -> str | None:
    found = reference(entry)
    if found is None:
        return None
    text = found.get_secret_value().strip()
    match kind(found):
        case "command":
            return f"run the command {_command(text.removeprefix(COMMAND))}"
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


def _command(text: str) -> str:
    """Return a command line for people: in full, or the beginning and the end of a very long one."""
    size = f" (of {len(text)} characters)" if len(text) > IN_FULL else ""
    return f"`{_ends(text)}`{size}"


def _ends(text: str) -> str:
    if len(text) > IN_FULL:
        return f"{printable(text[:HEAD])} … {printable(text[-TAIL:])}"
    return printable(text)


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
