"""The texts of the original's seven commands, from a snapshot. Wording is kept where it was right."""

from datetime import tzinfo

from okr_tui.domain.words import GLYPHS, sentence
from okr_tui.services.service import GatewayView, Snapshot
from okr_tui.ui.keyed import KeyOf


def active_key(snapshot: Snapshot) -> str:
    """The active key masked, or "(none)"."""
    pool = snapshot.pool
    return next((row.masked for row in pool.keys if row.index == pool.active), "(none)")


def status_text(snapshot: Snapshot, key_of: KeyOf) -> str:
    """What `ollama-status` says."""
    count = len(snapshot.pool.keys)
    return "\n".join(
        [
            "🦙 Ollama Cloud Status",
            "",
            f"Keys:       {f'✅ {count} configured' if count else '❌ none configured'}",
            f"Active key: {active_key(snapshot)}",
            f"Models:     {len(snapshot.models.rows)}",
            f"URL:        {snapshot.settings.cloud_url}",
            f"Gateway:    {_gateway(snapshot.gateway, key_of)}",
            *(f"Problem:    {problem}" for problem in snapshot.problems),
        ]
    )


def _gateway(gateway: GatewayView, key_of: KeyOf) -> str:
    if gateway.url is None:
        return gateway.error or f"not running; {key_of('switch-gateway')} starts it"
    where = "in another process" if gateway.elsewhere else "here"
    return f"{gateway.url} ({where}); `okr-tui connect CLIENT` shows how to use it"


def keys_text(snapshot: Snapshot, now: float, zone: tzinfo) -> str:
    """What `ollama-keys` says, with each key's health."""
    pool = snapshot.pool
    lines = [
        "🔑 Ollama Cloud Key Pool",
        "",
        f"Total:  {len(pool.keys)}",
        f"Active: {active_key(snapshot)}",
        "",
    ]
    for row in pool.keys:
        mark = "👉" if row.index == pool.active else "  "
        reason = sentence(row.verdict, now, zone)
        state = row.state.value if reason == row.state.value else f"{row.state.value}, {reason}"
        lines.append(f"{mark} #{row.index} {row.masked}  {GLYPHS[row.state]} {state}")
    return "\n".join([*lines, "", pool.why] if pool.why else lines)


def models_text(snapshot: Snapshot) -> str:
    """What `ollama-models` says."""
    names = [row.model.display for row in snapshot.models.rows if row.model.status == "listed"]
    if not names:
        return "No cloud models are currently available."
    header = f"☁️ Cloud ({len(names)}) — active key {active_key(snapshot)}"
    return "\n".join([header, "", *names])
