"""What is wrong with the pool or open in the settings, a sentence each, with the key or page that helps."""

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from typing import Final

from okr_tui.domain.faults import CREDITS, ClientCause
from okr_tui.domain.health import State
from okr_tui.domain.records import Attempt
from okr_tui.domain.view import KeyView
from okr_tui.domain.words import moment, sentence, span
from okr_tui.services.service import SettingsView, Snapshot
from okr_tui.ui.keymap import KeyOf
from okr_tui.ui.lines import FAULT, WARNING, Part, one_line

KEYS_PAGE: Final = "ollama.com/settings/keys"
ACCOUNT_PAGE: Final = "ollama.com/settings"
PLANS_PAGE: Final = "ollama.com/upgrade"
RECENT: Final = 900.0
"""Seconds for which a request for a model that no plan includes is worth a line."""
LATEST: Final = 60
"""Newest lines of the log that are looked at for such a request."""


def settings_notices(settings: SettingsView, key_of: KeyOf) -> Iterator[str]:
    """Yield the decisions that are open, each with its key."""
    if settings.open_to_others:
        name, key = settings.open_to_others.name, key_of("make-file-private")
        yield f"{name} can be read by other users; {key} makes it private"
    if settings.nameless:
        key = key_of("show-settings")
        yield f"records on this shared log call you someone; set name in the settings ({key})"
    if settings.trust:
        yield f"{settings.trust.project_file} asks to be trusted; {key_of('answer-trust')} decides"


def pool_notices(snapshot: Snapshot, now: float, zone: tzinfo, key_of: KeyOf) -> Iterator[Part]:
    """Yield what keeps every request from being answered, with its style."""
    pool = snapshot.pool
    if pool.outage:
        again = f", next try in {span(pool.outage.until - now)}" if pool.outage.until else ""
        yield f"▲ {pool.outage.reason}{again}", FAULT
    elif pool.waits_for_slot:
        yield "▲ no key is free; the next request waits for the first that is", WARNING
    elif _all_refused(snapshot):
        yield from _refused(snapshot, key_of)
    elif pool.is_pinned_away:
        pinned = pool.keys[(pool.preferred or 1) - 1]
        words = f"the pool is pinned to #{pinned.index}, and it is {sentence(pinned.verdict, now, zone)}"
        yield f"▲ {words}; no other key is used", WARNING
    elif pool.is_blocked:
        back = "no recovery time is known"
        if pool.earliest is not None:
            back = f"the first is back in {span(pool.earliest - now)}, at {moment(pool.earliest, now, zone)}"
        yield f"▲ every key is blocked; {back}", WARNING
    if not pool.outage and snapshot.models.error and snapshot.models.refreshed_at is None:
        reason = one_line(snapshot.models.error).partition(": ")[2] or one_line(snapshot.models.error)
        again, shown = key_of("refresh-models"), key_of("show-settings")
        keys = f"{again} tries again, the settings ({shown}) show the address"
        yield f"▲ the model list cannot be read: {reason}; {keys}", FAULT


def key_notices(snapshot: Snapshot, now: float, key_of: KeyOf) -> Iterator[Part]:
    """Yield what is wrong with some keys while others may answer, with its style."""
    if not _all_refused(snapshot):
        yield from _refused(snapshot, key_of)
    rows = snapshot.pool.keys
    if broke := [row for row in rows if row.state is State.SPENT and row.verdict.window == CREDITS]:
        todo = f"add some at {ACCOUNT_PAGE}, then {key_of('test-key')} reads the balance"
        yield f"▲ the credits of {_names(broke)} are used up; {todo}", WARNING
    for model in _without_plan(snapshot, now):
        other = f"{key_of('choose-model')} on another line of Models chooses one that is included"
        yield f"▲ {one_line(model)}: no key of yours has a plan for it; see {PLANS_PAGE}, or {other}", WARNING


def _all_refused(snapshot: Snapshot) -> bool:
    rows = snapshot.pool.keys
    return bool(rows) and all(row.state.traits.refused for row in rows)


def _refused(snapshot: Snapshot, key_of: KeyOf) -> Iterator[Part]:
    rows = snapshot.pool.keys
    if refused := [row for row in rows if row.state is State.INVALID]:
        todo = f"{key_of('remove-key')} in Keys removes it, {key_of('add-key')} adds another"
        more = f"; keys are made at {KEYS_PAGE}" if len(refused) == len(rows) else ""
        yield f"✖ {_who(refused, rows)} refused: {_why(refused)}; {todo}{more}", FAULT
    if suspended := [row for row in rows if row.state is State.SUSPENDED]:
        todo = f"see {ACCOUNT_PAGE}, then {key_of('test-key')} reads it again"
        yield f"✖ the account of {_who(suspended, ())} refused: {_why(suspended)}; {todo}", FAULT


def _names(rows: Sequence[KeyView]) -> str:
    first, last = [f"#{row.index}" for row in rows[:-1]], f"#{rows[-1].index}"
    return f"{', '.join(first)} and {last}" if first else last


def _who(rows: Sequence[KeyView], all_rows: Sequence[KeyView]) -> str:
    if len(rows) == len(all_rows) > 1:
        return "every key is"
    return f"{_names(rows)} {'is' if len(rows) == 1 else 'are'}"


def _why(rows: Sequence[KeyView]) -> str:
    return one_line(rows[0].verdict.reason) or rows[0].state.value


def _without_plan(snapshot: Snapshot, now: float) -> list[str]:
    """Return the models that were asked for lately and that no plan of the keys includes."""
    unusable = {row.model.id for row in snapshot.models.rows if not row.keys and row.model.status == "listed"}
    found: dict[str, None] = {}
    for entry in reversed(snapshot.entries[-LATEST:]):
        record = entry.record
        if not isinstance(record, Attempt) or record.fault is None or now - entry.at > RECENT:
            continue
        if record.fault.traits.cause is ClientCause.NO_PLAN and record.model in unusable:
            found[record.model] = None
    return list(found)
