"""`okr-tui status`: the pool at a glance."""

import time
from datetime import tzinfo
from typing import TYPE_CHECKING

import click

from okr_tui.cli.invocation import (
    Invocation,
    end_with_code,
    exit_code_option,
    json_option,
    local_zone,
    run,
    screen_problems,
)
from okr_tui.cli.output import show, show_document, table
from okr_tui.domain.errors import StoreError

if TYPE_CHECKING:
    from okr_tui.domain.status_line import Format, PoolStatus, StatusLine
    from okr_tui.domain.view import PoolView
    from okr_tui.services.gateway_registry import Presence
    from okr_tui.services.pool_service import PoolService
    from okr_tui.services.service import Snapshot

LINE_FORMATS = ("plain", "tmux", "waybar", "starship")


@click.command()
@click.option("--line", "as_line", is_flag=True, help="One line for a status bar, from the log alone.")
@click.option(
    "--format",
    "line_format",
    type=click.Choice(LINE_FORMATS),
    help="Which status bar the line is for; implies --line.",
)
@exit_code_option
@json_option
@click.pass_obj
def status(
    invocation: Invocation,
    *,
    as_line: bool,
    line_format: "Format | None",
    with_code: bool,
    as_json: bool,
) -> None:
    """Show the cloud, the active key and the pool at a glance.

    It asks the cloud nothing.
    """
    if as_line or line_format:
        line = _line(invocation)
        _show_line(line, line_format or "plain", as_json=as_json)
        if with_code:
            end_with_code(line.level != "none", usable=line.level != "blocked")
        return
    import asyncio

    from okr_tui.cli.documents import status_document

    async def work(service: "PoolService") -> "PoolView":
        snapshot, store = service.snapshot, service.pool.store.name
        problems = (*snapshot.problems, *screen_problems(service.configuration))
        gateway = await asyncio.to_thread(_running_gateway, invocation)
        if as_json:
            show_document(status_document(snapshot, store, gateway.url if gateway else None, problems))
            return snapshot.pool
        show("🦙 Ollama Cloud Status")
        for line in table(_rows(snapshot, store, gateway, local_zone(), problems)):
            show(line)
        return snapshot.pool

    pool = run(invocation, work, with_problems=False)
    if with_code:
        end_with_code(len(pool.keys), usable=pool.active is not None or pool.waits_for_slot)


def _running_gateway(invocation: Invocation) -> "Presence | None":
    from okr_tui.services.gateway_registry import running_gateway

    try:
        return running_gateway(invocation.state_folder)
    except StoreError:
        return None  # without a state folder none can run


def _line(invocation: Invocation) -> "StatusLine":
    """Make the line from what the log has; only where no process has written it yet is the log folded."""
    from okr_tui.cli.usage import look_at_log
    from okr_tui.domain.status_line import STATUS, PoolStatus, status_line
    from okr_tui.domain.usage import midnight, spent_on_day

    zone, now = local_zone(), time.time()
    seen = look_at_log(invocation, midnight(now, zone), now, "hours", STATUS)
    pool = PoolStatus.read(seen.documents.get(STATUS)) or run(invocation, _pool_status, with_problems=False)
    return status_line(pool, spent_on_day(seen.usage.usage, now, zone), now, zone)


async def _pool_status(service: "PoolService") -> "PoolStatus":
    from okr_tui.services.pool_service import pool_status

    return pool_status(service.pool, service.alerts.rules)


def _show_line(line: "StatusLine", line_format: "Format", *, as_json: bool) -> None:
    from okr_tui.domain.status_line import FORMATS

    if as_json:
        fields = {"text": line.text, "level": line.level, "tooltip": line.tooltip, "percent": line.percent}
        show_document(fields)
    else:
        show(FORMATS[line_format](line))


def _rows(
    snapshot: "Snapshot", store: str, gateway: "Presence | None", zone: tzinfo, problems: tuple[str, ...]
) -> list[tuple[str, str]]:
    from okr_tui.cli.keys import active_words
    from okr_tui.domain.words import moment

    pool, models, settings, now = snapshot.pool, snapshot.models, snapshot.settings, snapshot.at
    counts = ", ".join(f"{count} {state.value}" for state, count in pool.counts.items())
    listed = sum(row.model.status == "listed" for row in models.rows)
    read = f", read {moment(models.refreshed_at, now, zone)}" if models.refreshed_at else ", not read yet"
    rows = [
        ("Keys", f"✅ {len(pool.keys)} configured: {counts}" if pool.keys else "❌ none configured"),
        ("Active key", active_words(pool, now, zone)),
        ("Models", f"{listed}{read}"),
        ("URL", settings.cloud_url),
    ]
    if pool.empty_at:
        rows.append(("Pool empty", f"{moment(pool.empty_at, now, zone)} at this pace"))
    if pool.outage:
        rows.append(("Outage", pool.outage.reason))
    rows.append(("Gateway", f"{gateway.url} (process {gateway.pid})" if gateway else "not running"))
    if gateway and gateway.daemon_url:
        rows.append(("", f"{gateway.daemon_url} for the ollama daemon"))
    rows += [("Log", store), ("Settings", str(settings.global_file))]
    return rows + [("Problem", problem) for problem in problems]
