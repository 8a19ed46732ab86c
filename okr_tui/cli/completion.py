"""Shell completion: the scripts, and what is offered for key numbers, models and names of settings.

Nothing is asked while a person types: commands that print keys are not run, and models are those of the log.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem, get_completion_class

from okr_tui.cli.invocation import Invocation, json_option
from okr_tui.cli.output import show_document, show_raw
from okr_tui.domain.errors import OkrError

if TYPE_CHECKING:
    from okr_tui.settings.schema import Settings

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "okr-tui"
VARIABLE = "_OKR_TUI_COMPLETE"
"""What click calls the program with while a person types."""


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@json_option
@click.pass_context
def completion(context: click.Context, shell: str, *, as_json: bool) -> None:
    """Print the completion script of a shell.

    It completes verbs, options, key numbers with their labels, models, and names of settings.
    """
    found = get_completion_class(shell)
    assert found is not None
    script = found(context.find_root().command, {}, PROGRAM, VARIABLE)
    text = script.source_template % script.source_vars()
    if as_json:
        show_document({"shell": shell, "script": text})
    else:
        show_raw(text)


def complete_keys(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the numbers of the pool, with mask and label; a label that is typed finds its number."""
    settings = _settings(context)
    return [
        CompletionItem(str(number), help=f"{key.masked} {key.label or ''}".strip())
        for number, key in enumerate(settings.keys if settings else (), 1)
        if str(number).startswith(incomplete) or (key.label or "").startswith(incomplete)
    ]


def complete_models(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the models that the log knows."""
    return _offered(_models(context), incomplete)


def complete_settings(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the names of settings."""
    from okr_tui.settings.table import ANY, TABLE

    names = (row.name.replace(ANY, "") for row in TABLE if row.words or row.group)
    return _offered(names, incomplete)


def _offered(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _invocation(context: click.Context) -> Invocation:
    options = context.find_root().params
    return Invocation(
        options.get("settings"),
        options.get("project") or Path(),
        options.get("cloud_url"),
        options.get("store"),
    )


def _settings(context: click.Context) -> "Settings | None":
    from okr_tui.settings.layers import load

    try:
        return load(_invocation(context).sources(asks=False))
    except OkrError:
        return None


def _models(context: click.Context) -> list[str]:
    from okr_tui.domain.models import LIST_DOCUMENT
    from okr_tui.store.factory import read_log, sqlite_path

    try:
        path = sqlite_path(_invocation(context).store_address())
        if path is None:
            return []
        found = read_log(path, 0, 0, "series", LIST_DOCUMENT)
    except OkrError:
        return []
    with suppress(ValueError, TypeError, KeyError):
        listed = json.loads(found.documents.get(LIST_DOCUMENT, "{}")).get("models", [])
        return [str(model["id"]) for model in listed if model["status"] == "listed"]
    return []
