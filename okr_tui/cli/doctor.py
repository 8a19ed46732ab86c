"""`okr-tui doctor`: every value, its source, problems and remedies."""

import asyncio
from typing import TYPE_CHECKING

import click

from okr_tui.cli.invocation import Invocation, json_option
from okr_tui.cli.output import show, show_document, table

if TYPE_CHECKING:
    from okr_tui.services.doctor import Report
    from okr_tui.services.service import SettingLine

MARKS = {"error": "✖", "warning": "▲", "note": "·"}


@click.command()
@json_option
@click.pass_obj
def doctor(invocation: Invocation, *, as_json: bool) -> None:
    """Check the configuration: every value, its source, problems and remedies.

    It changes nothing and sends nothing.
    """
    from okr_tui.services.configuration import Configuration
    from okr_tui.services.doctor import examine
    from okr_tui.services.setting_lines import configured

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
