"""`okr-tui explain`: the next choice in words, and what would follow if a key failed."""

from typing import TYPE_CHECKING

import click

from okr_tui.cli.completion import complete_keys, complete_models
from okr_tui.cli.documents import choice_document
from okr_tui.cli.invocation import (
    NUMBERED,
    Invocation,
    end_with_code,
    exit_code_option,
    json_option,
    key_number,
    local_zone,
    overview,
    run,
)
from okr_tui.cli.output import show, show_document, table
from okr_tui.domain.words import moment

if TYPE_CHECKING:
    from okr_tui.services.overview import Choice, KeyChoice
    from okr_tui.services.pool_service import PoolService


@click.command(context_settings=NUMBERED)
@click.argument("model", required=False, shell_complete=complete_models)
@click.option(
    "--if-fails",
    type=key_number,
    metavar="N",
    shell_complete=complete_keys,
    help="Also show what would happen if key N were spent.",
)
@exit_code_option
@json_option
@click.pass_obj
def explain(
    invocation: Invocation, model: str | None, if_fails: int | None, *, with_code: bool, as_json: bool
) -> None:
    """Explain which key the next request takes, and why.

    With MODEL: for a request to that model.
    """

    found, after, now = _choices(invocation, model, if_fails)
    if as_json:
        show_document(choice_document(found, after))
    else:
        subject = f"The next request for {found.model}" if found.model else "The next request"
        for line in _lines(found, now, f"{subject} takes", f"{subject} finds no key"):
            show(line)
        if after:
            show("")
            spent = f"If #{if_fails} were spent, it would"
            for line in _lines(after, now, f"{spent} take", f"{spent} find no key"):
                show(line)
    if with_code:
        end_with_code(len(found.keys), usable=found.chosen is not None or found.waits_for_slot)


def _choices(
    invocation: Invocation, model: str | None, if_fails: int | None
) -> "tuple[Choice, Choice | None, float]":
    """Return the choice, that after a failure, and when they hold, in epoch seconds.

    The plain one is kept between runs.
    """
    if model is None and if_fails is None:
        kept = overview(invocation)
        return kept.choice, None, kept.at

    async def work(service: "PoolService") -> "tuple[Choice, Choice | None, float]":
        from okr_tui.domain.models import bare_name

        name = bare_name(model) if model else None
        after = None if if_fails is None else service.choice_after_failure(if_fails, name)
        return service.choice(name), after, service.clock.time()

    return run(invocation, work)


def _lines(found: "Choice", now: float, takes: str, finds_none: str) -> list[str]:
    chosen = next((row for row in found.keys if row.number == found.chosen), None)
    if chosen:
        first = f"{takes} #{chosen.number} {chosen.masked}: {found.why}"
    else:
        earliest = None if found.waits_for_slot else found.earliest
        back = f", the first is back {moment(earliest, now, local_zone())}" if earliest else ""
        first = f"{finds_none}: {found.why}{back}"
    return [first, *table(_cells(row, now) for row in found.keys if row is not chosen)]


def _cells(row: "KeyChoice", now: float) -> tuple[str, ...]:
    back = f", back {moment(row.until, now, local_zone())}" if row.until else ""
    return (f"  #{row.number}", row.masked, f"{row.glyph} {row.state}", f"{row.reason}{back}")
