"""The cloud's JSON documents read into domain values. Nothing here raises on an odd shape."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from okr_tui.domain.models import Model

NOBODY = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose key it is. The cloud's name and e-mail are left where they were."""

    account: str
    plan: str | None


def read_identity(document: object) -> Identity | None:
    """`POST /api/me`: keys come capitalised or not; an empty user is nobody."""
    if not isinstance(document, dict):
        return None
    folded = {key.lower(): value for key, value in document.items()}
    account, plan = folded.get("id"), folded.get("plan")
    if not isinstance(account, str) or not account or account == NOBODY:
        return None
    return Identity(account[:64], (plan[:32].lower() or "free") if isinstance(plan, str) else None)


def read_models(document: object) -> tuple[Model, ...] | None:
    """`GET /api/tags`; None when it is not a model list."""
    models = document.get("models") if isinstance(document, dict) else None
    if not isinstance(models, list):
        return None
    return tuple(_listed(models))


def _listed(models: list[object]) -> Iterator[Model]:
    seen = set()
    for item in models:
        if not isinstance(item, dict):
            continue
        name = _word(item.get("model")) or _word(item.get("name"))
        if name and name not in seen:
            seen.add(name)
            size = _positive(item.get("size"))
            yield Model(name, _word(item.get("digest")), _word(item.get("modified_at")), size)


def with_details(model: Model, document: object) -> Model:
    """The model with what `POST /api/show` says of it."""
    if not isinstance(document, dict):
        return model
    details = document.get("details")
    details = details if isinstance(details, dict) else {}
    info = document.get("model_info")
    info = info if isinstance(info, dict) else {}
    capabilities = document.get("capabilities")
    if isinstance(capabilities, list):
        words = tuple(word[:32] for word in capabilities if isinstance(word, str))
        model = replace(model, capabilities=words)
    return replace(
        model,
        parameters=_positive(info.get("general.parameter_count")) or _positive(details.get("parameter_size")),
        context_length=_context(info),
        family=_word(details.get("family")),
        quantization=_word(details.get("quantization_level")),
        model_info={key[:128]: value for key, value in info.items() if isinstance(value, (str, int, float))},
    )


def _context(info: Mapping[str, object]) -> int | None:
    for key, value in info.items():
        if isinstance(key, str) and key.endswith(".context_length"):
            return _positive(value)
    return None


def _word(value: object) -> str | None:
    return value[:256] if isinstance(value, str) and value else None


def _positive(value: object) -> int | None:
    """A count above zero, also from digits in a string; zero means that the cloud keeps it to itself."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
