"""A record of the log, field by field, in words. Pure."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo

from okr_tui.domain.feed import Entry
from okr_tui.domain.records import Attempt, Command, ModelsRead, Record, SettingsRead
from okr_tui.domain.words import span

Field = tuple[str, str]
"""A name and its value."""


def entry_fields(entry: Entry, key: Callable[[str], str], now: float, zone: tzinfo = UTC) -> list[Field]:
    """Everything that is known of a line of the feed. `key` puts a fingerprint in words, without its text."""
    fields = [("what", entry.text), ("when", f"{stamp(entry.at, zone)}, {span(now - entry.at)} ago")]
    record = entry.record
    if record is None:
        fields += [("about", entry.detail)] if entry.detail else []
        return [*fields, ("record", "none: time alone brought it")]
    place = f"{record.kind}, {entry.sequence} in the log" if entry.sequence else record.kind
    return [*fields, *_record_fields(record, key, zone), ("record", place)]


def stamp(at: float, zone: tzinfo) -> str:
    """A moment in full, with its day and zone."""
    return f"{datetime.fromtimestamp(at, zone):%a %Y-%m-%d %H:%M:%S %Z}".strip()


def _record_fields(record: Record, key: Callable[[str], str], zone: tzinfo) -> Iterator[Field]:
    if isinstance(record, Attempt):
        yield from _attempt_fields(record, key, zone)
        return
    if isinstance(record, Command) and record.client:
        yield "client", record.client
    if isinstance(record, SettingsRead):
        yield "keys", str(record.keys)
        yield "cloud", record.cloud_url or "none"
        yield from (("problem", problem) for problem in record.problems)
    elif isinstance(record, ModelsRead):
        yield "models", str(record.count)
        yield from (("added", name) for name in record.added)
        yield from (("removed", name) for name in record.removed)
        if record.error:
            yield "error", record.error
    else:
        yield "key", key(record.fingerprint)


def _attempt_fields(record: Attempt, key: Callable[[str], str], zone: tzinfo) -> Iterator[Field]:
    yield "client", record.client
    yield "key", key(record.fingerprint)
    yield "model", record.model or "none"
    yield "path", record.path
    yield "outcome", record.outcome
    if fault := record.fault:
        window = f", {fault.window} window" if fault.window else ""
        yield "fault", f"{fault.kind.value}{window}"
        yield "concerns", f"the {fault.scope.value.replace('-', ' and ')}"
        yield "status", str(fault.status) if fault.status else "no answer"
        yield "response", fault.text or "empty"
        if fault.retry_after is not None:
            yield "retry after", span(fault.retry_after)
        if fault.max_concurrent is not None:
            yield "slots", f"{fault.max_concurrent} at once"
        if fault.max_output is not None:
            yield "longest", f"{fault.max_output} tokens"
        yield "went on", key(record.next_fingerprint) if record.next_fingerprint else "with no other key"
    yield "started", stamp(record.started, zone)
    if record.first_byte_ms is not None:
        yield "first byte", f"{record.first_byte_ms / 1000:.2f} s"
    yield "took", f"{record.duration_ms / 1000:.2f} s"
    if record.input_tokens is not None or record.output_tokens is not None:
        yield "tokens", f"{record.input_tokens or 0} in, {record.output_tokens or 0} out"
    yield "under way", f"{record.in_flight} on the account, this one included"
