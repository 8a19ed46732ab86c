"""Errors of the service as failures that a client sees."""

import math
from typing import Final

from okr_tui.domain.errors import CloudError, NoKeyError, OkrError, PoolBlockedError, StoreError
from okr_tui.domain.faults import Fault, FaultKind
from okr_tui.domain.health import State
from okr_tui.gateway.dialects import NO_KEY, NO_VALID_KEY, QUOTA, Failure

UNUSABLE: Final = frozenset({State.OFF, State.INVALID, State.SUSPENDED})
UNKNOWN_RETURN: Final = 60
OWN_ERRORS: Final = frozenset({FaultKind.REQUEST, FaultKind.GONE})
QUOTA_FAULTS: Final = frozenset({FaultKind.SPENT, FaultKind.SLOWED, FaultKind.BUSY})
NO_RETRY: Final = {"x-should-retry": "false"}

# Words that make a client repeat the whole turn ("timeout", "overloaded", a status) have no place here.
CUT_OFF: Final = {
    FaultKind.SPENT: "the key's quota ran out in the middle of this answer",
    FaultKind.NO_PLAN: "the key's plan ended this answer in the middle",
}
CUT_OFF_OTHERWISE: Final = "the cloud broke this answer off in the middle"


def failure_of(error: OkrError, now: float) -> Failure:
    """What a client is told when a request could not begin; `now` is epoch seconds."""
    if isinstance(error, PoolBlockedError):
        return _blocked(error, now)
    if isinstance(error, NoKeyError):
        return Failure(502, str(error), NO_KEY, NO_RETRY)
    if isinstance(error, CloudError):
        return _refused(error, error.fault)
    return Failure(503 if isinstance(error, StoreError) else 500, str(error))


def cut_off(fault: Fault) -> Failure:
    """What a client is told when an answer that has begun cannot go on."""
    text = CUT_OFF.get(fault.kind, CUT_OFF_OTHERWISE)
    return Failure(502, f"{text}; what has arrived is all there is of it")


def _blocked(error: PoolBlockedError, now: float) -> Failure:
    usable = error.states - {state.value for state in UNUSABLE}
    if not usable:
        return Failure(502, str(error), NO_VALID_KEY, NO_RETRY)
    if usable == {State.GONE.value}:
        return Failure(
            404, "the cloud has no such model: `okr-tui models` lists those it has", "model_not_found"
        )
    if usable == {State.NO_PLAN.value}:
        return Failure(403, str(error), "no_plan", NO_RETRY)
    wait = UNKNOWN_RETURN if error.earliest is None else max(1, math.ceil(error.earliest - now))
    headers = {"retry-after": str(wait), **NO_RETRY}
    if usable <= {State.OUTAGE.value, State.GONE.value, State.NO_PLAN.value}:
        return Failure(503, f"{error}; next try in {wait} s", "outage", headers)
    when = "next key free at an unknown time" if error.earliest is None else f"next key free in {wait} s"
    return Failure(429, f"{QUOTA}: {error}; {when}", QUOTA, headers)


def _refused(error: CloudError, fault: Fault) -> Failure:
    if fault.kind is FaultKind.ENDPOINT:
        return Failure(404, "Ollama Cloud has no embeddings and lists no processes", "not_offered", NO_RETRY)
    if fault.kind in QUOTA_FAULTS:
        wait = max(1, math.ceil(fault.retry_after or UNKNOWN_RETURN))
        headers = {"retry-after": str(wait), **NO_RETRY}
        return Failure(429, f"{QUOTA}: {error}; next key free in {wait} s", QUOTA, headers)
    if fault.kind in (FaultKind.NO_PLAN, FaultKind.FORBIDDEN):
        return Failure(403, str(error), "no_plan", NO_RETRY)
    if fault.kind in OWN_ERRORS:
        return Failure(fault.status if fault.status and fault.status >= 400 else 400, str(error))
    return Failure(503 if fault.status == 503 else 502, str(error))
