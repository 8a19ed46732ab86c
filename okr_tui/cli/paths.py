"""`okr-tui paths`: where files are, without touching any."""

from pathlib import Path

import click

from okr_tui.cli.invocation import Invocation, json_option
from okr_tui.cli.output import show, show_document, table
from okr_tui.domain.errors import StoreError


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
