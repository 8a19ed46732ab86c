"""`okr-tui doctor`: every value, its source, problems and remedies."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from okr_tui.cli.invocation import Invocation, json_option, run
from okr_tui.cli.output import show, show_document, show_text, table
from okr_tui.domain.errors import StoreError

if TYPE_CHECKING:
    from okr_tui.services.doctor import Report
    from okr_tui.services.pool_service import PoolService
    from okr_tui.services.service import SettingLine


MARKS = {"error": "✖", "warning": "▲", "note": "·"}


@click.command()
@json_option
@click.pass_obj
def doctor(invocation: Invocation, *, as_json: bool) -> None:
    """Check the configuration: every value, its source, problems and remedies.

    It changes nothing and sends nothing.
    """
    from okr_tui.services.configuration import Configuration, configured
    from okr_tui.services.doctor import examine

    configuration = asyncio.run(Configuration.read(invocation.sources()))
    report = examine(configuration)
    lines = configured(configuration.lines)
    if as_json:
        show_document(_document(report, lines))
        return
    for line in (*_setting_rows(lines), "", *_file_rows(report), "", *_finding_lines(report)):
        show(line)


def _setting_rows(lines: "tuple[SettingLine, ...]") -> list[str]:
    return table(
        (line.name, line.value or "-", ", instead of ".join((line.origin, *line.shadowed))) for line in lines
    )


def _file_rows(report: "Report") -> list[str]:
    rows = [
        (str(file.path), "none" if file.mode is None else f"mode {file.mode:04o}") for file in report.files
    ]
    log = {None: "", True: "writable", False: "not writable"}[report.writable]
    versions = ", ".join(f"{name} {number}" for name, number in report.versions.items())
    return [*table([*rows, (report.store, log)]), versions]


def _finding_lines(report: "Report") -> list[str]:
    if not report.findings:
        return ["No problems found."]
    lines = []
    for finding in report.findings:
        lines += [f"{MARKS[finding.severity]} {finding.what}", f"  → {finding.remedy}"]
    return lines


def _document(report: "Report", lines: "tuple[SettingLine, ...]") -> dict[str, object]:
    return {
        "settings": [
            {
                "name": line.name,
                "value": line.value,
                "origin": line.origin,
                "shadowed": list(line.shadowed),
            }
            for line in lines
        ],
        "files": [
            {"path": str(file.path), "mode": None if file.mode is None else f"{file.mode:04o}"}
            for file in report.files
        ],
        "store": {"address": report.store, "writable": report.writable},
        "versions": report.versions,
        "findings": [
            {"severity": finding.severity, "what": finding.what, "remedy": finding.remedy}
            for finding in report.findings
        ],
    }


@click.command()
@json_option
@click.pass_obj
def paths(invocation: Invocation, *, as_json: bool) -> None:
    """Show where settings, log and state are.

    They need not exist.
    """
    from okr_tui.settings.checks import without_password
    from okr_tui.settings.layers import load
    from okr_tui.store.factory import default_address, state_folder

    settings = load(invocation.sources())
    try:
        state: Path | None = state_folder()
    except StoreError:
        state = None
    found = {
        "settings": str(settings.global_file),
        "project_settings": str(settings.project_file),
        "store": without_password(settings.store.value or default_address()),
        "state": str(state or "-"),
        "gateway_token": str(state / "gateway-token" if state else "-"),
    }
    if as_json:
        show_document(found)
        return
    for line in table((name.replace("_", " "), place) for name, place in found.items()):
        show(line)


@click.command()
@click.option("--revoke", is_flag=True, help="Withdraw trust, or refuse it for good.")
@json_option
@click.pass_obj
def trust(invocation: Invocation, *, revoke: bool, as_json: bool) -> None:
    """Trust the project's settings file, or refuse to.

    The keys of a trusted file join the pool, and it may choose where keys go, how they are found and used,
    and which programs the chat starts, until its content changes. Any other file brings favourites, theme
    and keymap alone.
    """

    async def work(service: "PoolService") -> None:
        settings = service.configuration.settings
        message = await service.trust_project(trusted=not revoke)
        if as_json:
            show_document(
                {
                    "message": message,
                    "project_file": str(settings.project_file),
                    "trusted": not revoke,
                    "wants": list(settings.project_wants),
                }
            )
        else:
            show_text(message)

    run(invocation, work, with_problems=False)
