"""Checks of the pool's numbers, made from their types and limits in domain/policy.py."""

from dataclasses import asdict, fields
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from okr_tui.domain.policy import Limits, Policy
from okr_tui.settings.checks import Check, UnusableError

NAMES: Final = tuple(member.name for member in fields(Policy))
WRITTEN: Final = {"spend_bought": "spendBought"}
"""How settings write a name that is a choice of a person rather than a number."""


def number(name: str) -> Check:
    """Return the check of one number of the policy; its schema is among `schemas`."""

    def parse(value: object) -> object:
        if get_origin(_hints[name]) is not Literal and not _has_numbers_alone(value):
            raise UnusableError("it must be a number, or numbers")
        try:
            return getattr(_checks.model_validate({name: value}), name)
        except ValidationError as error:
            words = error.errors()[0]["msg"]
            raise UnusableError(words.replace("Input should", "it must", 1)) from None

    return Check(parse, {})


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each number by its name."""
    found = _checks.model_json_schema()["properties"]
    unwanted = {"default", "title"}
    return {name: {key: found[name][key] for key in found[name].keys() - unwanted} for name in NAMES}


def _has_numbers_alone(value: object) -> bool:
    """Return whether there is no text and no true or false in a value, which pydantic takes for numbers."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    return not any(isinstance(item, bool | str) for item in items)


def _checked(hint: Any) -> Any:
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
        return Annotated[_checked(inner), Field(**limits)]
    if (origin := get_origin(hint)) and origin is not Literal:
        return origin[tuple(map(_checked, get_args(hint)))]
    return hint


_hints = get_type_hints(Policy, include_extras=True)
_members: dict[str, Any] = {name: (_checked(hint), None) for name, hint in _hints.items()}
_checks: type[BaseModel] = create_model(
    "Policy",
    __config__=ConfigDict(frozen=True, extra="forbid", defer_build=True, allow_inf_nan=False),
    **_members,
)
