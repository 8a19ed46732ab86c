"""`okr-tui events`: the log, oldest first."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from okr_tui.cli.documents import Document, event_document
from okr_tui.cli.invocation import Invocation, age, json_lines_option, local_zone, run, screen_problems
from okr_tui.cli.output import show_fitted, show_record, show_records
from okr_tui.domain.records import Alert, Attempt, SettingsRead, Trial

if TYPE_CHECKING:
    from okr_tui.cli.event_history import History
    from okr_tui.services.kept_events import KeptEvents
    from okr_tui.services.pool_service import PoolService
    from okr_tui.store.base import LogEntry


@click.command()
@click.option("--follow", is_flag=True, help="Keep printing new events until ctrl+c.")
@click.option("--since", type=age, metavar="AGE", help="Only events of the last 90s, 15m, 2h, 3d or 1w.")
@click.option("--faults", is_flag=True, help="Only faults and outages.")
@json_lines_option
@click.pass_obj
def events(invocation: Invocation, *, follow: bool, since: int | None, faults: bool, as_json: bool) -> None:
    """Show the log of requests, faults and changes.

    The oldest line comes first.
    """
    if as_json and not follow and _show_records(invocation, since, faults=faults):
        return

    async def work(service: "PoolService") -> None:
        from okr_tui.cli.event_history import History
        from okr_tui.store.usage import PAGE, pages

        pool = service.pool
        oldest = service.clock.time() - since if since is not None else 0.0
        history = History(pool.config, pool.policy, local_zone())

        def write(item: "LogEntry") -> None:
            for event in history.take(item):
                if event.at < oldest or (faults and not event.is_fault):
                    continue
                if as_json and event.document is not None:
                    show_record(event.document)
                elif not as_json and event.text is not None:
                    show_fitted(event.text)

        last = 0
        async for page in pages(pool.store, 0, PAGE):
            for item in page:
                if item.record.at < oldest:
                    history.pass_over(item)
                else:
                    write(item)
            last = page[-1].sequence
        if not follow:
            _keep(service, history, last)
            return
        async for logged in pool.store.tail(lambda: last):
            for item in logged:
                if isinstance(item.record, SettingsRead):
                    await service.configuration.reload()
                    history.config = service.configuration.config
                write(item)

    run(invocation, work)


def _show_records(invocation: Invocation, since: int | None, *, faults: bool) -> bool:
    """Print the events from their records and what an earlier run kept; return whether that is enough."""
    found = invocation.kept_events(since)
    if found is None:
        return False
    show_records(document for document, is_fault in recorded(*found) if is_fault or not faults)
    return True


def recorded(kept: "KeptEvents", records: Iterable[tuple[int, str]]) -> Iterator[tuple[Document, bool]]:
    """Yield the documents of encoded records, with their positions, and whether each is about a fault."""
    from okr_tui.store.base import decode

    indexes: dict[str | None, int] = {}
    for index, fingerprint in enumerate(kept.keys, 1):
        indexes.setdefault(fingerprint, index)
    for sequence, text in records:
        try:
            record = decode(text)
        except ValueError:
            continue  # it is of a later version
        if isinstance(record, Alert):
            if sequence in kept.alerts:
                yield kept.alerts[sequence], False
        elif not isinstance(record, Trial):
            is_fault = isinstance(record, Attempt) and record.fault is not None
            yield event_document(record, indexes.get), is_fault
        if sequence in kept.outages:
            yield kept.outages[sequence], True


def _keep(service: "PoolService", history: "History", last: int) -> None:
    """Keep what the fold knows for the next run, where settings and log have no problems."""
    from okr_tui.services.kept_events import keep
    from okr_tui.services.overview import Basis

    inputs, identity = service.configuration.inputs, service.pool.store.identity
    healthy = not (service.problems or screen_problems(service.configuration))
    if inputs and identity and healthy and service.pool.store.name.startswith("sqlite:"):
        found = history.kept(service.clock.time())
        keep(found, inputs, Basis(inputs.digest, repr(identity), last))
