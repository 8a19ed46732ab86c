"""`okr-tui explain`: the next choice in words, and what would follow if a key failed."""

from typing import TYPE_CHECKING

import click

from okr_tui.cli.completion import complete_keys, complete_models
from okr_tui.cli.documents import explanation_document
from okr_tui.cli.invocation import (
    NUMBERED,
    Invocation,
    end_with_code,
    exit_code_option,
    json_option,
    key_number,
    local_zone,
    run,
)
from okr_tui.cli.output import show, show_document, table
from okr_tui.domain import explain as domain
from okr_tui.domain.choice import SelectionRequest
from okr_tui.domain.explain import Explanation, KeyExplanation
from okr_tui.domain.health import Wait
from okr_tui.domain.models import bare_name
from okr_tui.domain.words import moment

if TYPE_CHECKING:
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

    async def work(service: "PoolService") -> Explanation:
        pool = service.pool
        now = service.clock.time()
        request = SelectionRequest(now, bare_name(model) if model else None, in_flight=pool.flights)
        found = domain.explain(pool.state, pool.config, request, pool.policy)
        after = None
        if if_fails is not None:
            key = service.key(if_fails)
            after = domain.explain_failure(pool.state, pool.config, request, pool.policy, key)
        if as_json:
            show_document(explanation_document(found, after))
            return found
        subject = f"The next request for {found.model}" if found.model else "The next request"
        for line in _lines(found, now, f"{subject} takes", f"{subject} finds no key"):
            show(line)
        if after:
            show("")
            spent = f"If #{if_fails} were spent, it would"
            for line in _lines(after, now, f"{spent} take", f"{spent} find no key"):
                show(line)

        return found

    found = run(invocation, work)
    if with_code:
        waiting = any(row.state.traits.wait is Wait.SLOT for row in found.keys)
        end_with_code(len(found.keys), usable=found.chosen is not None or waiting)


def _lines(found: Explanation, now: float, takes: str, finds_none: str) -> list[str]:
    if found.chosen:
        chosen = found.chosen
        first = f"{takes} #{chosen.index} {chosen.key.masked}: {found.why}"
    else:
        busy = any(row.state.traits.wait is Wait.SLOT for row in found.keys)
        earliest = None if busy else found.earliest
        back = f", the first is back {moment(earliest, now, local_zone())}" if earliest else ""
        first = f"{finds_none}: {found.why}{back}"
    return [first, *table(_cells(row, now) for row in found.keys if row is not found.chosen)]


def _cells(row: KeyExplanation, now: float) -> tuple[str, ...]:
    back = f", back {moment(row.until, now, local_zone())}" if row.until else ""
    return (
        f"  #{row.index}",
        row.key.masked,
        f"{row.state.traits.glyph} {row.state.value}",
        f"{row.reason}{back}",
    )
