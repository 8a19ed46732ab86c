"""The pool's numbers as the settings give them: checked one by one against the limits of the policy."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from okr_tui.domain.policy import Limits, Policy

NAMES: Final = frozenset(member.name for member in fields(Policy))


def override(values: Mapping[str, object]) -> tuple[Policy, tuple[str, ...]]:
    """Return the policy with these values in place of its defaults, and a line for each value refused.

    A refused value never costs the others: its default stays.
    """
    accepted: dict[str, Any] = {}
    refused: list[str] = []
    for name, value in values.items():
        try:
            checked = _checks.model_validate({name: value})
        except ValidationError as error:
            words = f"{error.errors()[0]['msg']}; the default is used"
            if name not in NAMES:
                words = "there is no such setting; it is not used"
            refused.append(f"okr-tui.policy.{name}: {words}")
        else:
            accepted[name] = getattr(checked, name)
    return Policy(**accepted), tuple(refused)


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
    if origin := get_origin(hint):
        return origin[tuple(map(_checked, get_args(hint)))]
    return hint


_hints = get_type_hints(Policy, include_extras=True)
_members: dict[str, Any] = {name: (_checked(hint), None) for name, hint in _hints.items()}
_checks: type[BaseModel] = create_model(
    "Policy",
    __config__=ConfigDict(frozen=True, extra="forbid", defer_build=True, allow_inf_nan=False),
    **_members,
)
