"""`okr-tui doctor`: every value, its source, problems and remedies."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from okr_tui.cli.invocation import Invocation, json_option, run, screen_problems
from okr_tui.cli.output import note, show, show_document, show_text, table
from okr_tui.domain.errors import SettingsError, StoreError

if TYPE_CHECKING:
    from okr_tui.services.configuration import Configuration
    from okr_tui.services.doctor import Finding, Report
    from okr_tui.services.pool_service import PoolService
    from okr_tui.services.service import SettingLine


MARKS = {"error": "✖", "warning": "▲", "note": "·"}
FIXED = "✔"


@click.command()
@click.option("--fix", is_flag=True, help="Apply the safe fixes: modes of private files, locks left behind.")
@click.option("--offline", is_flag=True, help="Send nothing; judge the keys by the log alone.")
@json_option
@click.pass_obj
def doctor(invocation: Invocation, *, fix: bool, offline: bool, as_json: bool) -> None:
    """Check the configuration: every value, its source, problems and remedies.

    ✖ marks what is not in effect or cannot work, and makes the exit code 1; ▲ marks what is allowed but
    unwise. It asks the cloud for its models, and for identity and quota of each key, at no cost.
    """
    import asyncio

    from okr_tui.services.configuration import configured

    report, settings_lines = asyncio.run(_examined(invocation, offline=offline))
    fixed, failures = _fixed(report) if fix else (frozenset[int](), ())
    for line in failures:
        note(f"okr-tui: {line}")
    lines = configured(settings_lines)
    if as_json:
        show_document(_document(report, lines, fixed))
    else:
        for line in (*_setting_rows(lines), "", *_file_rows(report), "", *_finding_lines(report, fixed)):
            show(line)
    left = (finding for at, finding in enumerate(report.findings) if at not in fixed)
    if any(finding.severity == "error" for finding in left):
        raise click.exceptions.Exit(1)


async def _examined(invocation: Invocation, *, offline: bool) -> "tuple[Report, tuple[SettingLine, ...]]":
    from okr_tui.services.configuration import Configuration
    from okr_tui.services.doctor import by_severity, checked, examine, examine_pool, store_finding

    try:
        state: Path | None = invocation.state_folder
    except StoreError:
        state = None
    try:
        async with invocation.open_service("cli", watching=False) as service:
            configuration = service.configuration
            more = await examine_pool(service, offline=offline)
    except StoreError as error:  # the address of the log is not valid
        configuration = await Configuration.read(invocation.sources())
        more = [store_finding(error)] if state or "home" not in str(error) else []
    report = examine(configuration, state)
    clients = checked(
        "the files of clients", lambda: _client_findings(state) if state and state.is_dir() else []
    )
    findings = by_severity((*report.findings, *_screen_findings(configuration), *clients, *more))
    return replace(report, findings=findings), configuration.lines


def _client_findings(state: Path) -> "list[Finding]":
    """Return which clients' files were changed after connect had written to them."""
    from okr_tui.cli.client_files import changed_since
    from okr_tui.services.doctor import Finding

    try:
        return [
            Finding(
                "warning",
                f"{path} was changed since connect {client} --write",
                f"check it, or run okr-tui connect {client} --undo and --write again",
            )
            for client, path in changed_since(state)
        ]
    except SettingsError as error:
        what, _, remedy = str(error).partition("; ")
        return [Finding("warning", what, remedy)]


def _screen_findings(configuration: "Configuration") -> "list[Finding]":
    """Return what the dashboard cannot use of its theme and keys."""
    from okr_tui.services.doctor import Finding, remedy_for

    return [Finding("error", line, remedy_for(line)) for line in screen_problems(configuration)]


def _fixed(report: "Report") -> tuple[frozenset[int], tuple[str, ...]]:
    """Do the safe remedies; return the indexes of the findings that are gone, and what could not be done."""
    done, failures = set(), []
    for at, finding in enumerate(report.findings):
        if finding.fix is None:
            continue
        try:
            finding.fix()
            done.add(at)
        except OSError as error:
            failures.append(f"{finding.remedy}: {error.strerror}")
    return frozenset(done), tuple(failures)


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


def _finding_lines(report: "Report", fixed: frozenset[int]) -> list[str]:
    if not report.findings:
        return ["No problems found."]
    lines = []
    for at, finding in enumerate(report.findings):
        mark = FIXED if at in fixed else MARKS[finding.severity]
        lines += [f"{mark} {finding.what}", f"  → {'done: ' if at in fixed else ''}{finding.remedy}"]
    return lines


def _document(report: "Report", lines: "tuple[SettingLine, ...]", fixed: frozenset[int]) -> dict[str, object]:
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
            {
                "severity": finding.severity,
                "what": finding.what,
                "remedy": finding.remedy,
                "fixable": finding.fix is not None,
                "fixed": at in fixed,
            }
            for at, finding in enumerate(report.findings)
        ],
    }


@click.command()
@json_option
@click.pass_obj
def paths(invocation: Invocation, *, as_json: bool) -> None:
    """Show where settings, log and state are.

    The files need not exist yet.
    """
    from okr_tui.domain.addresses import without_password
    from okr_tui.store.factory import default_address, state_folder

    global_file, project_file = invocation.files
    try:
        state: Path | None = state_folder()
    except StoreError:
        state = None
    found = {
        "settings": str(global_file),
        "project_settings": str(project_file),
        "store": without_password(invocation.store_address() or default_address()),
        "state": str(state or "-"),
        "gateway_token": str(state / "gateway-token" if state else "-"),
    }
    if as_json:
        show_document(found)
        return
    for line in table((name.replace("_", " "), path) for name, path in found.items()):
        show(line)


@click.command()
@click.option("--revoke", is_flag=True, help="Withdraw trust, or refuse it for good.")
@json_option
@click.pass_obj
def trust(invocation: Invocation, *, revoke: bool, as_json: bool) -> None:
    """Trust the project's settings file, or refuse to.

    Until its content changes, a trusted file adds its keys to the pool, and may choose where keys are sent,
    how they are found and used, and which programs the chat starts. Any other file brings only favourites,
    theme and keymap.
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
