"""Short ways to write records, keys and questions. Times are epoch seconds; NOW is a Thursday, 16:00 UTC."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from okr_tui.domain.choice import PoolConfig, Selection, SelectionRequest, choose
from okr_tui.domain.faults import FAULTS, Fault, FaultKind
from okr_tui.domain.fold import fold
from okr_tui.domain.health import Verdict, verdict
from okr_tui.domain.keys import Key
from okr_tui.domain.policy import Policy, Strategy
from okr_tui.domain.quota import Balance, Credits, Window
from okr_tui.domain.records import Attempt, BalanceRead, Client, IdentityRead, Record, Trial
from okr_tui.domain.state import PoolState

FIXTURES = Path(__file__).parents[1] / "fixtures" / "cloud"
POLICY = Policy()
KEYS = tuple(Key.of(f"synthetic.{letter * 24}", "global") for letter in "abcde")
A, B, C, D, E = (key.fingerprint for key in KEYS)
MODEL = "gpt-oss:20b"
OTHER_MODEL = "kimi-k2.6"


def utc(text: str) -> float:
    """Epoch seconds of a time of day in UTC."""
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


NOW = utc("2026-10-08T16:00:00")
SESSION_END = utc("2026-10-08T19:00:00")
MONDAY = utc("2026-10-12T00:00:00")


def fixture(name: str) -> Any:
    """A document of the cloud."""
    return json.loads((FIXTURES / name).read_text())


def a_fault(kind: FaultKind, **fields: Any) -> Fault:
    """A fault with the scope that its kind usually has."""
    return Fault(kind, **{"scope": FAULTS[kind].scope, **fields})


def failed(
    kind: FaultKind,
    at: float = NOW,
    key: str = A,
    *,
    started: float | None = None,
    client: Client = "cli",
    model: str | None = MODEL,
    path: str = "/api/chat",
    **fields: Any,
) -> Attempt:
    """A request that failed; it began a second before, unless told otherwise."""
    return Attempt(
        at=at,
        started=at - 1 if started is None else started,
        client=client,
        fingerprint=key,
        model=model,
        path=path,
        outcome="fault",
        fault=a_fault(kind, **fields),
    )


def refused_reading(kind: FaultKind, at: float, key: str = A, started: float | None = None) -> Attempt:
    """A free reading that the cloud refused."""
    return failed(kind, at, key, started=started, client="probe", model=None, path="/api/balance")


def went_well(
    at: float = NOW,
    key: str = A,
    *,
    started: float | None = None,
    model: str | None = MODEL,
    in_flight: int = 1,
    client: Client = "cli",
    path: str = "/api/chat",
) -> Attempt:
    """A request that succeeded; it began a second before, unless told otherwise."""
    return Attempt(
        at=at,
        started=at - 1 if started is None else started,
        client=client,
        fingerprint=key,
        model=model,
        path=path,
        outcome="ok",
        in_flight=in_flight,
    )


def reading(at: float, balance: Balance, key: str = A, started: float | None = None) -> BalanceRead:
    """A reading of an account's quota."""
    return BalanceRead(
        at=at, started=at - 1 if started is None else started, fingerprint=key, balance=balance
    )


def belongs(key: str, account: str, at: float = NOW - 1000, plan: str | None = None) -> IdentityRead:
    """What `POST /api/me` said of a key."""
    return IdentityRead(at=at, started=at - 1, fingerprint=key, account=account, plan=plan)


def trial(at: float, key: str = A) -> Trial:
    """One request goes out to see whether a block is over."""
    return Trial(at=at, fingerprint=key)


def windows(session: float | None = None, weekly: float | None = None, end: float | None = None) -> Balance:
    """A balance of an older plan, in percent used."""
    found = [Window("session", session, end)] if session is not None else []
    return Balance((*found, *([Window("weekly", weekly)] if weekly is not None else [])))


def dollars(
    balance: float, allowance: float | None = 60, bought: float | None = 0, until: float | None = None
) -> Balance:
    """A balance of a newer plan."""
    return Balance(credits=Credits(balance, allowance, bought, until))


def after(*records: Record, policy: Policy = POLICY) -> PoolState:
    """The state that these records make."""
    return fold(records, policy)


def judged(
    state: PoolState, now: float = NOW, key: str = A, *, model: str | None = MODEL, **more: Any
) -> Verdict:
    """A key's verdict for a request."""
    return verdict(state, key, now=now, policy=POLICY, model=model, **more)


def config(count: int = 3, *, preferred: str | None = None, strategy: Strategy = "sticky") -> PoolConfig:
    """A pool of that many keys."""
    return PoolConfig(KEYS[:count], preferred, strategy)


def chosen(state: PoolState, pool: PoolConfig, now: float = NOW, **request: Any) -> Selection:
    """The choice for a request."""
    return choose(state, pool, SelectionRequest(now, **{"model": MODEL, **request}), POLICY)


def chosen_key(state: PoolState, pool: PoolConfig, now: float = NOW, **request: Any) -> str | None:
    """The fingerprint of the chosen key."""
    key = chosen(state, pool, now, **request).key
    return key.fingerprint if key else None
