"""The documents of `--json`. They are public: fields may be added, but never changed or removed."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import click

from okr_tui.cli.output import SCHEMA
from okr_tui.domain.errors import ADD_A_KEY, NoKeyError, PoolBlockedError
from okr_tui.domain.words import rfc3339

if TYPE_CHECKING:
    from okr_tui.domain.faults import Fault, Hop
    from okr_tui.domain.quota import Balance
    from okr_tui.domain.records import Record
    from okr_tui.services.overview import BalanceLine, Choice, KeyLine, ModelLine, Overview, PoolLine
    from okr_tui.services.service import ModelRow

Document = dict[str, object]


def keys_document(pool: "PoolLine") -> Document:
    """Describe the pool, for `keys`."""
    return {
        "active": pool.active,
        "preferred": pool.preferred,
        "strategy": pool.strategy,
        "keys": [key_document(row) for row in pool.keys],
    }


def key_document(row: "KeyLine") -> Document:
    """Describe one key, for `keys`."""
    return {
        "index": row.number,
        "fingerprint": row.fingerprint,
        "masked": row.masked,
        "label": row.label,
        "origin": row.origin,
        "enabled": row.verdict.state != "off",
        "state": row.verdict.state,
        "window": row.verdict.window,
        "until": rfc3339(row.verdict.until),
        "reason": row.verdict.reason,
        "account": row.account,
        "account_keys": list(row.account_keys),
        "plan": row.plan,
        **balance_document(row.balance),
        "read_at": rfc3339(row.read_at),
        "requests": row.requests,
        "faults": row.faults,
        "blocked_models": list(row.blocked_models),
    }


def balance_document(balance: "Balance | BalanceLine | None") -> Document:
    """Describe the quota of an account: windows and credits."""
    dollars = balance.credits if balance else None
    return {
        "windows": [
            {
                "name": window.name,
                "used_percent": window.used_percent,
                "resets_at": rfc3339(window.resets_at),
            }
            for window in (balance.windows if balance else ())
        ],
        "credits": dollars
        and {
            "balance_usd": dollars.balance_usd,
            "allowance_usd": dollars.allowance_usd,
            "purchased_usd": dollars.purchased_usd,
            "until": rfc3339(dollars.until),
        },
    }


def models_document(rows: "Iterable[ModelLine]", refreshed_at: float | None, *, stale: bool) -> Document:
    """Describe the models that pass the filter, for `models`."""
    return {
        "refreshed_at": rfc3339(refreshed_at),
        "stale": stale,
        "models": [model_document(row) for row in rows],
    }


def model_document(row: "ModelRow | ModelLine") -> Document:
    """Describe one model, for `models`."""
    model = row.model
    return {
        "id": model.id,
        "provider_id": model.provider_id,
        "display": model.display,
        "parameters": model.parameters_text,
        "context_length": model.context_length,
        "capabilities": None if model.capabilities is None else list(model.capabilities),
        "thinking": None
        if model.thinking is None
        else {"values": list(model.thinking), "default": model.thinking_default},
        "status": model.status,
        "keys": list(row.keys),
        "favourite": row.favourite,
        "replaced_by": row.replaced_by,
    }


def info_document(row: "ModelRow") -> Document:
    """Describe everything about a model, for `info`."""
    return {
        **model_document(row),
        "family": row.model.family,
        "quantization": row.model.quantization,
        "model_info": dict(row.model.model_info),
    }


def status_document(overview: "Overview", gateway: str | None = None) -> Document:
    """Describe the pool at a glance, for `status`; `gateway` is the URL of a running one."""
    pool = overview.pool
    return {
        "schema": SCHEMA,
        "cloud_url": overview.cloud_url,
        "active": pool.active,
        "preferred": pool.preferred,
        "keys": {"total": len(pool.keys), "ready": 0, **pool.counts},
        "models": overview.listed,
        "refreshed_at": rfc3339(overview.refreshed_at),
        "store": overview.store,
        "gateway": {"url": gateway},
        "settings": {"files": list(overview.files), "problems": list(overview.problems)},
        "forecast": {"empty_at": rfc3339(pool.empty_at)},
    }


def error_document(error: BaseException, message: str, code: int) -> Document:
    """Describe what ended a command with `--json`, in place of its result.

    `message` is the line for people, in which what to do follows the first semicolon.
    """
    remedy = message.partition("; ")[2]
    if isinstance(error, NoKeyError):
        remedy = ADD_A_KEY
    elif isinstance(error, click.UsageError) and error.ctx:
        remedy = remedy or f"{error.ctx.command_path} --help"
    earliest = error.earliest if isinstance(error, PoolBlockedError) else None
    return {"error": message, "code": code, "remedy": remedy or None, "until": rfc3339(earliest)}


def fault_document(fault: "Fault") -> Document:
    """Describe a fault, for `events` and the summary of `chat`."""
    return {
        "kind": fault.kind.value,
        "scope": fault.scope.value,
        "window": fault.window,
        "status": fault.status,
        "text": fault.text,
        **({"cause": fault.connection.value} if fault.connection else {}),
    }


def hop_document(hop: "Hop") -> Document:
    """Describe a key that a chat failed on before another one answered."""
    return {"key": hop.index, "fault": fault_document(hop.fault)}


def choice_document(choice: "Choice", if_fails: "Choice | None" = None) -> Mapping[str, object]:
    """Describe a choice and its reasons, for `explain`."""
    chosen = next((row for row in choice.keys if row.number == choice.chosen), None)
    document: Document = {
        "model": choice.model,
        "choice": chosen and {"key": chosen.number, "fingerprint": chosen.fingerprint, "why": choice.why},
        "keys": [
            {
                "index": row.number,
                "fingerprint": row.fingerprint,
                "state": row.state,
                "eligible": row.eligible,
                "reason": row.reason,
                "until": rfc3339(row.until),
            }
            for row in choice.keys
        ],
        "earliest": rfc3339(choice.earliest),
    }
    return document if if_fails is None else {**document, "if_fails": choice_document(if_fails)}


def event_document(record: "Record", index: Callable[[str | None], int | None]) -> Document:
    """Describe a record of the log, for `events`; `index` gives the index of a key by its fingerprint.

    Alerts have a document of their own: `domain.alerts.document`.
    """
    from okr_tui.domain import records

    document: Document = {"at": rfc3339(record.at), "kind": record.kind}
    if hasattr(record, "who"):
        document["who"] = record.who
    match record:
        case records.SettingsRead():
            own: Document = {"keys": record.keys, "cloud_url": record.cloud_url}
            return {**document, **own, "problems": list(record.problems)}
        case records.FellBack():
            models: Document = {"model": record.model, "answered_by": record.answered_by}
            return {**document, "client": record.client, "caller": record.caller, **models}
        case records.ModelsRead():
            changes: Document = {"added": list(record.added), "removed": list(record.removed)}
            return {**document, "count": record.count, **changes, "error": record.error}
        case records.Attempt():
            document |= {"client": record.client, "caller": record.caller}
    document |= {"key": index(record.fingerprint), "fingerprint": record.fingerprint}
    match record:
        case records.Attempt():
            document |= {
                "model": record.model,
                "path": record.path,
                "outcome": record.outcome,
                "fault": fault_document(record.fault) if record.fault else None,
                "next_key": index(record.next_fingerprint),
                "first_byte_ms": record.first_byte_ms,
                "duration_ms": record.duration_ms,
                "input_tokens": record.input_tokens,
                "cached_tokens": record.cached_tokens,
                "output_tokens": record.output_tokens,
            }
        case records.BalanceRead():
            document |= {**balance_document(record.balance), "understood": record.balance.understood}
        case records.IdentityRead():
            document |= {"account": record.account, "plan": record.plan}
    return document
