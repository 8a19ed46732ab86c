"""What each kind of setting accepts: a check of one value, and the JSON Schema that says the same to editors.

A check returns the value to use, or None for "not set here"; it raises UnusableError with words for the user
that never quote the value, since it may be a key or a password in the wrong place.
"""

import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, cast, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from okr_tui.domain.addresses import is_loopback, without_password, without_token
from okr_tui.domain.keys import mask_key_words
from okr_tui.domain.policy import Limits, Policy
from okr_tui.domain.text import has_hidden
from okr_tui.domain.values import dataclass

if TYPE_CHECKING:
    from pydantic import BaseModel

ENDPOINTS: Final = re.compile(
    r"(?:/+(?:api|v1))+(?:/+(?:chat(?:/completions)?|completions|generate|tags|models|messages|responses))?$",
    re.IGNORECASE,
)
"""The endings of addresses as clients of Ollama, OpenAI and Anthropic want them."""
DAEMON_PORT: Final = 11434
LONGEST_NAME: Final = 40
LONGEST_PERSON: Final = 32


class UnusableError(Exception):
    """A value cannot be used; the text says what was expected."""


def as_text(value: object) -> str:
    """Return a value as people read it: text as it is, else JSON, whole numbers without a point."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(_plain(value), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Check:
    """What a setting accepts.

    parse: the check of a whole value.
    schema: the JSON Schema (draft 2020-12) of the same.
    member: the check of each member of a value that is an object, by name and value. An unusable member is
        left out, or replaced by `instead`; the others stay.
    remark: what to say about a usable value, "" for nothing.
    shown: a usable value as text for people, without secrets.
    """

    parse: Callable[[object], Any]
    schema: Mapping[str, object]
    member: Callable[[str, object], Any] | None = None
    remark: Callable[[object], str] = lambda _: ""
    instead: object = None
    shown: Callable[[Any], str] = as_text

    @property
    def takes_text(self) -> bool:
        """Whether what a person types is the value itself, not JSON of it."""
        return "enum" in self.schema or "string" in cast(Sequence[str], self.schema.get("type", ""))


def shown_name(name: str) -> str:
    """Return a name as a file has it, at a length that can be shown, and masked where it may be a key."""
    return mask_key_words(name)[:LONGEST_NAME]


def nearest(name: str, known: Iterable[str]) -> str:
    """Return words for the known name that comes closest to an unknown one; "" when none does."""
    from difflib import get_close_matches

    spelled = {other.lower(): other for other in known}
    found = get_close_matches(name[:LONGEST_NAME].lower(), spelled, 1, 0.7)
    return f"; did you mean {spelled[found[0]]}?" if found else ""


def text(value: object) -> str | None:
    """Return a text without surrounding blanks; null and blank mean not set."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise UnusableError("it must be text")
    if not value.strip().isprintable():
        raise UnusableError("it contains characters that cannot be printed")
    return value.strip() or None


def person(value: object) -> str | None:
    """Return a name that other people read: short, and no address that could find its owner."""
    name = text(value)
    if name is not None and (len(name) > LONGEST_PERSON or "@" in name or has_hidden(name)):
        raise UnusableError(f"it must be a name of up to {LONGEST_PERSON} letters, not an e-mail address")
    return name


def some_text(value: object) -> str:
    """Return a text without surrounding blanks, which must not be blank."""
    if found := text(value):
        return found
    raise UnusableError("it must be text")


def cloud_url(value: object) -> str | None:
    """Return where keys are sent: https, or http on this machine; no user name, no ending of ENDPOINTS."""
    address = text(value)
    if address is None:
        return None
    scheme, host = _parts(address)
    if scheme != "https" and not (scheme == "http" and is_loopback(host)):
        raise UnusableError("it must be https://HOST, or http:// on this machine")
    return _without_path(address)[0]


def cloud_url_remark(value: object) -> str:
    """Return what is left out of an address whose path is of the requests themselves, "" for nothing."""
    ending = _without_path(text(value) or "")[1]
    return f"its ending {ending} is left out: each request adds its own" if ending else ""


def _without_path(address: str) -> tuple[str, str]:
    """Return an address without the ending that other programs want, and that ending."""
    host = address[: len(address) - len(urlsplit(address).path)]
    path = address[len(host) :].rstrip("/")
    found = ENDPOINTS.search(path)
    if found is None:
        return host + path, ""
    return host + path[: found.start()], found[0]


def base_url(value: object) -> str | None:
    """Return the local daemon's address; `host` and `host:port` are completed as the daemon's tools do."""
    address = text(value)
    if address is None:
        return None
    if "://" not in address:
        host = address.partition("/")[0].rpartition("]")[2]
        address = f"http://{address}"
        if ":" not in host:
            address = f"{address.rstrip('/')}:{DAEMON_PORT}"
    if _parts(address)[0] not in {"http", "https"}:
        raise UnusableError("it must be http://HOST:PORT")
    return address.rstrip("/")


def whole_number(least: int, most: int | None = None) -> Check:
    """Return the check of a whole number. JSON does not tell 1.0 from 1, so neither does this."""
    bounds = {"minimum": least} | ({} if most is None else {"maximum": most})
    words = f"it must be a whole number from {least}" + ("" if most is None else f" to {most}")

    def parse(value: object) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise UnusableError(words)
        if most is not None and value > most:
            raise UnusableError(words)
        return value

    return Check(parse, {"type": "integer", **bounds})


def number_from(least: float, most: float) -> Check:
    """Return the check of a number within bounds."""
    words = f"it must be a number from {least:g} to {most:g}"

    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise UnusableError(words)
        return value

    return Check(parse, {"type": "number", "minimum": least, "maximum": most})


def one_of(choices: tuple[str, ...]) -> Check:
    """Return the check of a text that is one of several, or not set."""

    def parse(value: object) -> str | None:
        name = text(value)
        if name is not None and name not in choices:
            raise UnusableError(f"it must be one of {', '.join(choices)}")
        return name

    return Check(parse, {"enum": [*choices, None]})


def or_null(check: Check) -> Check:
    """Return the check that takes null for "not set", too."""
    return Check(
        lambda value: None if value is None else check.parse(value),
        {"anyOf": [check.schema, {"type": "null"}]},
    )


def object_of(
    member: Callable[[str, object], Any],
    schema: Mapping[str, object],
    words: str,
    *,
    names: Sequence[str] = (),
    instead: object = None,
    shown: Callable[[Any], str] = as_text,
) -> Check:
    """Return the check of an object whose members are checked one by one.

    schema: of a member. words: what a member is, in the plural. names: the only ones that members may have.
    """

    def parse(value: object) -> object:
        if not isinstance(value, Mapping):
            raise UnusableError(f"it must be an object of {words}")
        return value

    whole: Mapping[str, object] = {"type": "object", "additionalProperties": schema}
    if names:
        whole = {"type": "object", "properties": dict.fromkeys(names, schema), "additionalProperties": False}
    return Check(parse, whole, member=member, instead=instead, shown=shown)


def true_or_false(value: object) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise UnusableError("it must be true or false")
    return value


def key_text(value: object) -> str:
    """Return the names of keys of the keyboard, as written."""
    if not isinstance(value, str):
        raise UnusableError('it must be text, such as "ctrl+r" or "r,f5"')
    return value


def tool_names(value: object) -> bool | tuple[str, ...]:
    """Return true or false for all tools and none, or the names of some."""
    if isinstance(value, bool):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise UnusableError("it must be true, false or a list of tools and tool servers")


def patterns(form: re.Pattern[str], words: str) -> Check:
    """Return the check of a list of texts of one form, in lower case; an asterisk matches any letters."""
    refused = f"it must be a list of {words}"

    def parse(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise UnusableError(refused)
        found = tuple(item.strip().lower() for item in value)
        if not all(form.fullmatch(item) for item in found):
            raise UnusableError(refused)
        return found

    return Check(parse, {"type": "array", "items": {"type": "string"}})


def networks(value: object) -> tuple[str, ...]:
    """Return addresses and networks in their short form, such as "127.0.0.1" and "10.0.0.0/8"."""
    refused = "it must be a list of addresses and networks, such as 127.0.0.1 and 10.0.0.0/8"
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UnusableError(refused)
    try:
        found = [ipaddress.ip_network(item.strip(), strict=False) for item in value]
    except ValueError:
        raise UnusableError(refused) from None
    return tuple(str(each).removesuffix(f"/{each.max_prefixlen}") for each in found)


def model_name(name: str, value: object) -> str:
    """Return the model that a name of the user's own stands for."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or not name.strip():
        raise UnusableError("it must be the name of a model")
    return value.strip()


def model_names(name: str, value: object) -> tuple[str, ...]:
    """Return the models that answer instead of another, one name or a list of them."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list):
        raise UnusableError("it must be a list of models")
    return tuple(model_name(name, item) for item in listed)


def local_url(value: object) -> str | None:
    """Return the address of a local Ollama, without a path; no user name, since nothing secret goes there."""
    address = base_url(value)
    return address if address is None else _without_path(address)[0]


def as_it_is(value: object) -> object:
    """Return a value that is checked where it is used."""
    return value


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _parts(address: str) -> tuple[str, str]:
    # Some parsers drop blanks or read a backslash as a slash; an address they would not agree on is refused.
    if not address.isascii() or " " in address or "\\" in address:
        raise UnusableError("it is not a plain web address")
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        usable = bool(host) and parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:
        usable = False
    if not usable:
        raise UnusableError("it is not a plain web address")
    if "@" in parts.netloc:
        raise UnusableError("it must not carry a user name or password")
    return parts.scheme, host


_TEXT: Final = {"type": ["string", "null"]}
_LABELLED: Final = {
    "type": "object",
    "properties": {"key": {"type": "string"}, "label": {"type": ["string", "null"]}},
    "required": ["key"],
}
_ENTRY: Final = {"anyOf": [{"type": "string"}, _LABELLED]}
_TRUSTED: Final = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "sha256": {"type": "string"},
        "trusted": {"type": "boolean"},
    },
    "required": ["path", "sha256"],
}

TEXT: Final = Check(text, _TEXT)
PERSON: Final = Check(person, _TEXT)
STORE: Final = Check(text, _TEXT, shown=without_password)
HOST: Final = Check(some_text, {"type": "string", "minLength": 1})
BOOLEAN: Final = Check(true_or_false, {"type": "boolean"})
PORT: Final = whole_number(0, 65535)
CLOUD_URL: Final = Check(cloud_url, _TEXT, remark=cloud_url_remark)
BASE_URL: Final = Check(base_url, _TEXT, shown=without_token)
LOCAL: Final = Check(local_url, _TEXT)
HOST_NAMES: Final = patterns(re.compile(r"[a-z0-9*._-]{1,253}"), "host names, without a scheme or a port")
ORIGINS: Final = patterns(
    re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9*._:\[\]-]{0,253}"), "origins, such as https://chat.example"
)
NETWORKS: Final = Check(networks, {"type": "array", "items": {"type": "string"}})
ALIASES: Final = object_of(model_name, {"type": "string", "minLength": 1}, "names and their models")
FALLBACK: Final = object_of(
    model_names,
    {"anyOf": [{"type": "array", "items": {"type": "string", "minLength": 1}}, {"type": "string"}]},
    "models and those that answer instead",
)
KEYS_OF_ACTION: Final = Check(key_text, {"type": "string"})
TOOL_NAMES: Final = Check(
    tool_names, {"anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}}]}
)
API_KEY: Final = Check(as_it_is, _ENTRY)
API_KEYS: Final = Check(as_it_is, {"anyOf": [{"type": "array", "items": _ENTRY}, *_ENTRY["anyOf"]]})
TRUSTED_PROJECTS: Final = Check(
    as_it_is, {"type": "array", "items": {"anyOf": [{"type": "string"}, _TRUSTED]}}
)


NAMES: Final = tuple(member.name for member in fields(Policy))
WRITTEN: Final = {"spend_bought": "spendBought"}
"""How settings write a name that is a choice of a person rather than a number."""


WORDS: Final = {
    "int_from_float": "it must be a whole number",
    "int_parsing_size": "it is too large",
    "too_short": "it must hold at least {min_length}",
    "too_long": "it must hold at most {max_length}",
    "missing": "it must hold more numbers",
    "tuple_type": "it must be a list of numbers",
    "mapping_type": "it must be an object of names and numbers",
    "dict_type": "it must be an object of names and numbers",
}
"""Our words for kinds of pydantic's errors that speak of its own types."""


def number(name: str) -> Check:
    """Return the check of one number of the policy; its schema is among `schemas`."""

    def parse(value: object) -> object:
        from pydantic import ValidationError

        if get_origin(_hints()[name]) is not Literal and not _has_numbers_alone(value):
            raise UnusableError("it must be a number, or numbers")
        try:
            return getattr(_policy().model_validate({name: value}), name)
        except ValidationError as error:
            first = error.errors()[0]
            if words := WORDS.get(first["type"]):
                raise UnusableError(words.format_map(first.get("ctx", {}))) from None
            raise UnusableError(first["msg"].replace("Input should", "it must", 1)) from None

    return Check(parse, {})


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each number by its name."""
    found = _policy().model_json_schema()["properties"]
    unwanted = {"default", "title"}
    return {name: {key: found[name][key] for key in found[name].keys() - unwanted} for name in NAMES}


def _has_numbers_alone(value: object) -> bool:
    """Return whether there is no text and no true or false in a value, which pydantic takes for numbers."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    return not any(isinstance(item, bool | str) for item in items)


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(Policy, include_extras=True)


@cache
def _policy() -> "type[BaseModel]":
    """Return the policy as pydantic checks it: made, and pydantic loaded, once a number of it is set."""
    from pydantic import ConfigDict, Field, create_model

    def checked(hint: Any) -> Any:
        """Return a type with its limits as pydantic knows them."""
        if get_origin(hint) is Annotated:
            inner, *found = get_args(hint)
            limits = {
                name: limit
                for each in found
                if isinstance(each, Limits)
                for name, limit in asdict(each).items()
                if limit is not None
            }
            return Annotated[checked(inner), Field(**limits)]
        if (origin := get_origin(hint)) and origin is not Literal:
            return origin[tuple(map(checked, get_args(hint)))]
        return hint

    members: dict[str, Any] = {name: (checked(hint), None) for name, hint in _hints().items()}
    config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    return create_model("Policy", __config__=config, **members)
