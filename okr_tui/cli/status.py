"""`okr-tui status`: the pool at a glance."""

import time
from collections import Counter
from datetime import tzinfo
from typing import TYPE_CHECKING

import click

from okr_tui.cli.invocation import (
    Invocation,
    end_with_code,
    exit_code_option,
    json_option,
    local_zone,
    overview,
    run,
)
from okr_tui.cli.output import show, show_document, table
from okr_tui.domain.errors import StoreError

if TYPE_CHECKING:
    from okr_tui.domain.status_line import Format, PoolStatus, StatusLine
    from okr_tui.services.gateway_registry import Presence
    from okr_tui.services.overview import Overview
    from okr_tui.services.pool_service import PoolService

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

    It sends nothing to the cloud.
    """
    if as_line or line_format:
        line = _line(invocation)
        _show_line(line, line_format or "plain", as_json=as_json)
        if with_code:
            end_with_code(line.level != "none", usable=line.level != "blocked")
        return
    from okr_tui.cli.documents import status_document

    found = overview(invocation, with_problems=False)
    gateway = _running_gateway(invocation)
    if as_json:
        show_document(status_document(found, gateway.url if gateway else None))
    else:
        show("🦙 Ollama Cloud Status")
        for row in table(_rows(found, gateway, local_zone())):
            show(row)
    if with_code:
        end_with_code(len(found.pool.keys), usable=found.pool.usable)


def _running_gateway(invocation: Invocation) -> "Presence | None":
    from okr_tui.services.gateway_registry import running_gateway

    try:
        return running_gateway(invocation.state_folder)
    except StoreError:
        return None  # without a state folder none can run


def _line(invocation: Invocation) -> "StatusLine":
    """Make the line from what the log has; only where no process has written it yet is the log folded."""
    from okr_tui.cli.usage import own_status, read_from_log
    from okr_tui.domain.status_line import STATUS, status_line
    from okr_tui.domain.usage import midnight, spent_on_day

    zone, now = local_zone(), time.time()
    seen = read_from_log(invocation, midnight(now, zone), now, "hours", STATUS)
    pool = own_status(invocation, seen.documents.get(STATUS), now)
    pool = pool or run(invocation, _pool_status, with_problems=False)
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


def _rows(found: "Overview", gateway: "Presence | None", zone: tzinfo) -> list[tuple[str, str]]:
    from okr_tui.cli.keys import active_words
    from okr_tui.domain.words import moment

    pool, now = found.pool, found.at
    states = Counter(row.verdict.state for row in pool.keys)
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    read = f", read {moment(found.refreshed_at, now, zone)}" if found.refreshed_at else ", not read yet"
    rows = [
        ("Keys", f"✅ {len(pool.keys)} configured: {counts}" if pool.keys else "❌ none configured"),
        ("Active key", active_words(pool, now, zone)),
        ("Models", f"{found.listed}{read}"),
        ("URL", found.cloud_url),
    ]
    if pool.empty_at:
        rows.append(("Pool empty", f"{moment(pool.empty_at, now, zone)} at this pace"))
    if pool.outage:
        rows.append(("Outage", pool.outage))
    rows.append(("Gateway", f"{gateway.url} (process {gateway.pid})" if gateway else "not running"))
    if gateway and gateway.daemon_url:
        rows.append(("", f"{gateway.daemon_url} for the ollama daemon"))
    rows += [("Log", found.store), ("Settings", found.global_file)]
    return rows + [("Problem", problem) for problem in found.problems]
