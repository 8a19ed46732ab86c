"""`okr-tui paths`: where files are, without touching any."""

import click

from okr_tui.cli.invocation import Invocation, json_option
from okr_tui.cli.output import show, show_document, table


@click.command()
@json_option
@click.pass_obj
def paths(invocation: Invocation, *, as_json: bool) -> None:
    """Show where settings, log and state are.

    They need not exist.
    """
    from okr_tui.settings.checks import without_password
    from okr_tui.settings.layers import load
    from okr_tui.store.factory import state_folder

    settings = load(invocation.sources())
    state = state_folder()
    found = {
        "settings": str(settings.global_file),
        "project_settings": str(settings.project_file),
        "store": without_password(settings.store.value or f"sqlite:{state / 'log.db'}"),
        "state": str(state),
        "gateway_token": str(state / "gateway-token"),
    }
    if as_json:
        show_document(found)
        return
    for line in table((name.replace("_", " "), place) for name, place in found.items()):
        show(line)
