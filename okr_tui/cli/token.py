"""`okr-tui token`: who may use the gateway. A token is shown once, when it is made."""

import time

import click

from okr_tui.cli.invocation import Invocation, json_option
from okr_tui.cli.output import note, show, show_document, table
from okr_tui.domain.keys import SecretStr

SHARED_NAME = "(shared)"
SHOWN_ONCE = "okr-tui: give this token to {} now; it is not shown again"


@click.group()
def token() -> None:
    """Show, add, rotate or revoke the tokens of the gateway.

    The shared token is in a file that `okr-tui paths` shows. A named one is for one client or person,
    whose name appears in the log, `okr-tui usage` and the metrics. Changes take effect at once, in running
    gateways too.
    """


@token.command("list")
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, as_json: bool) -> None:
    """List the tokens by name."""
    from okr_tui.gateway.tokens import SHARED, named_callers

    folder = invocation.state_folder
    callers = named_callers(folder)
    if as_json:
        tokens = [
            {
                "name": caller.name,
                "models": list(caller.models),
                "tokens_per_day": caller.tokens_per_day,
                "created_at": caller.created_at,
            }
            for caller in callers
        ]
        show_document({"shared": str(folder / SHARED), "tokens": tokens})
        return
    rows = [("name", "models", "tokens a day", "since"), (SHARED_NAME, "all", "no limit", "")]
    for caller in callers:
        limit = "no limit" if caller.tokens_per_day is None else f"{caller.tokens_per_day:,}"
        rows.append((caller.name or "", " ".join(caller.models) or "all", limit, caller.created_at))
    for line in table(rows, headed=True):
        show(line)


@token.command()
@click.argument("name")
@click.option(
    "--model", "models", multiple=True, metavar="PATTERN", help="Only models that match: gpt-oss*, kimi-k?"
)
@click.option(
    "--tokens-per-day", type=click.IntRange(min=0), help="The most tokens a day, input and output added up."
)
@json_option
@click.pass_obj
def add(
    invocation: Invocation, name: str, models: tuple[str, ...], tokens_per_day: int | None, *, as_json: bool
) -> None:
    """Make a token for NAME and print it."""
    from okr_tui.gateway import tokens

    caller = tokens.Caller(name, models, tokens_per_day)
    _show(name, tokens.add(invocation.state_folder, caller, time.time()), as_json=as_json)


@token.command()
@click.argument("name", required=False)
@json_option
@click.pass_obj
def rotate(invocation: Invocation, name: str | None, *, as_json: bool) -> None:
    """Replace the token of NAME and print the new one; without NAME, replace the shared token in its file."""
    from okr_tui.gateway import tokens

    folder = invocation.state_folder
    if name is not None:
        _show(name, tokens.rotate(folder, name), as_json=as_json)
        return
    tokens.rotate_shared(folder)
    if as_json:
        show_document({"shared": str(folder / tokens.SHARED)})
    else:
        show(f"Replaced the shared token in {folder / tokens.SHARED}")
        note("okr-tui: clients that read the file need only a restart; give the token to the others again")


@token.command()
@click.argument("name")
@json_option
@click.pass_obj
def revoke(invocation: Invocation, name: str, *, as_json: bool) -> None:
    """Revoke the token of NAME."""
    from okr_tui.gateway import tokens

    tokens.revoke(invocation.state_folder, name)
    if as_json:
        show_document({"revoked": name})
    else:
        show(f"Revoked the token of {name}")


def _show(name: str, made: SecretStr, *, as_json: bool) -> None:
    if as_json:
        show_document({"name": name, "token": made.get_secret_value()})
    else:
        show(made.get_secret_value())
        note(SHOWN_ONCE.format(name))
