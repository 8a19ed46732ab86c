"""Everything about one model, in words."""

from datetime import UTC, datetime, tzinfo

from textual.content import Content

from okr_tui.domain.health import State
from okr_tui.domain.models import Model
from okr_tui.domain.view import KeyView, PoolView
from okr_tui.domain.words import sentence
from okr_tui.services.service import ModelRow
from okr_tui.ui.lines import NOTICE, QUIET, STAR, STRONG, WARNING, Line, content, one_line

NAME = 14


def model_text(row: ModelRow, pool: PoolView, now: float, zone: tzinfo = UTC) -> Content:
    """The original's line, what the cloud says, and each key with the reason why it may not be used."""
    model = row.model
    lines: list[Line] = [((model.display, STRONG),), ()]
    lines += [_fact(name, value) for name, value in _facts(row)]
    if notice := _retirement(row):
        lines.append(_fact("Retirement", notice, WARNING))
    star = f"{STAR} yes, pi cycles through it too" if row.favourite else "no"
    lines.append(_fact("Favourite", star, NOTICE if row.favourite else ""))
    lines += [(), (("Keys", STRONG),)]
    lines += [_key_line(key, row, now, zone) for key in pool.keys]
    if not pool.keys:
        lines.append((("  none is configured", QUIET),))
    return Content("\n").join(content(line) for line in lines)


def _facts(row: ModelRow) -> list[tuple[str, str]]:
    model = row.model
    able = model.capabilities
    return [
        ("Source", f"Ollama Cloud, {model.provider_id}"),
        ("Parameters", model.parameters_text or "unknown"),
        ("Context", f"{model.context_length:,} tokens" if model.context_length else "unknown"),
        ("Vision", _vision(model)),
        ("Family", model.family or "unknown"),
        ("Quantization", model.quantization or "unknown"),
        ("Capabilities", "unknown" if able is None else ", ".join(able) or "none"),
        ("Modified", _day(model.modified_at)),
        ("Size", f"{model.size / 1e9:,.1f} GB" if model.size else "unknown"),
    ]


def _fact(name: str, value: str, style: str = "") -> Line:
    return ((f"{name:<{NAME}}", QUIET), (one_line(value), style))


def _vision(model: Model) -> str:
    if model.capabilities is None:
        return "unknown"
    return "✅" if model.can("vision") else "❌"


def _day(written: str | None) -> str:
    """A date as the cloud writes it, without its time of day; "unknown" for what is none."""
    try:
        return f"{datetime.fromisoformat(written or ''):%Y-%m-%d}"
    except ValueError:
        return "unknown"


def _retirement(row: ModelRow) -> str:
    if row.model.status == "gone":
        successor = f"use {row.replaced_by}" if row.replaced_by else "no successor is known"
        return f"the cloud does not list it any more; {successor}"
    if row.replaced_by:
        return f"Ollama names {row.replaced_by} as its successor; it may vanish"
    return ""


def _key_line(key: KeyView, row: ModelRow, now: float, zone: tzinfo) -> Line:
    name = f"  #{key.index:<3}{key.masked:<11}{one_line(key.label or ''):<10.10} "
    state = sentence(key.verdict, now, zone)
    if key.index in row.keys:
        return (
            (name, ""),
            ("may use it", "") if key.verdict.eligible else (f"may use it; now {state}", WARNING),
        )
    if row.model.id in key.blocked_models:
        reason = "refused it: its plan has no access, or it is gone"
    elif key.state in (State.OFF, State.INVALID, State.SUSPENDED):
        reason = state
    else:
        reason = "the cloud answered that the model is gone"
    return ((name, QUIET), (f"may not: {reason}", QUIET))
