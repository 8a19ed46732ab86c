"""`okr-tui trust`: whether the project's settings file decides anything."""

from typing import TYPE_CHECKING

import click

from okr_tui.cli.invocation import Invocation, json_option, run
from okr_tui.cli.output import show_document, show_text

if TYPE_CHECKING:
    from okr_tui.services.pool_service import PoolService


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
