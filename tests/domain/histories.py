"""Random histories: any record, in any order, about few keys, accounts and models so that they meet."""

from typing import get_args

from hypothesis import strategies as st

from okr_tui.domain.faults import Fault, FaultKind, Scope
from okr_tui.domain.quota import Balance, Credits, Window
from okr_tui.domain.records import (
    ALERT_EVENTS,
    Alert,
    Attempt,
    BalanceRead,
    Client,
    Disabled,
    Enabled,
    FellBack,
    IdentityRead,
    ModelsRead,
    Outcome,
    Record,
    Reset,
    ResetUndone,
    SettingsRead,
    Trial,
    Use,
)
from tests.domain.facts import MODEL, NOW, OTHER_MODEL, A, B, C

FINGERPRINTS = st.sampled_from([A, B, C])
MODELS = st.sampled_from([MODEL, OTHER_MODEL])
ACCOUNTS = st.sampled_from(["amber", "birch", ""])
PLANS = st.sampled_from([None, "free", "pro", "max"])
TIMES = st.one_of(
    st.floats(NOW, NOW + 60), st.floats(NOW, NOW + 9000), st.floats(NOW, NOW + 10 * 86400), st.just(NOW)
)
GAPS = st.one_of(st.floats(0, 2), st.floats(0, 9000))
SECONDS = st.none() | st.floats(0, 100_000)
PERCENT = st.none() | st.floats(0, 100)
DOLLARS = st.floats(-5, 100)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
WINDOW_NAMES = st.sampled_from([None, "session", "hourly", "weekly", "monthly", "credits"])
KINDS = st.sampled_from(list(FaultKind))
CLIENTS = st.sampled_from(get_args(Client))
PATHS = st.sampled_from(["/api/chat", "/api/embed", "/api/me"])
COUNTS = st.none() | st.integers(1, 4)

FAULTS = st.builds(
    Fault,
    kind=KINDS,
    scope=st.sampled_from(list(Scope)),
    text=TEXTS,
    status=st.none() | st.integers(100, 599),
    window=WINDOW_NAMES,
    retry_after=SECONDS,
    max_concurrent=COUNTS,
    max_output=st.none() | st.integers(1, 70_000),
)
WINDOWS = st.builds(Window, st.sampled_from(["session", "weekly", "monthly"]), PERCENT, st.none() | TIMES)
CREDITS = st.builds(Credits, DOLLARS, st.none() | DOLLARS, st.none() | DOLLARS, st.none() | TIMES)
BALANCES = st.builds(
    Balance, st.lists(WINDOWS, max_size=2).map(tuple), st.none() | CREDITS, understood=st.booleans()
)
OUTCOMES: st.SearchStrategy[Outcome] = st.sampled_from(("ok", "fault", "fault", "fault", "cancelled"))


@st.composite
def attempts(draw: st.DrawFn) -> Attempt:
    """A request of any kind and outcome."""
    at = draw(TIMES)
    outcome = draw(OUTCOMES)
    return Attempt(
        at=at,
        started=at - draw(GAPS),
        client=draw(CLIENTS),
        caller=draw(st.none() | st.sampled_from(["laptop", "codex"])),
        fingerprint=draw(FINGERPRINTS),
        model=draw(st.none() | MODELS),
        path=draw(PATHS),
        outcome=outcome,
        fault=draw(FAULTS) if outcome == "fault" else None,
        next_fingerprint=draw(st.none() | FINGERPRINTS),
        first_byte_ms=draw(st.none() | st.integers(0, 9000)),
        duration_ms=draw(st.integers(0, 9000)),
        input_tokens=draw(st.none() | st.integers(0, 9000)),
        cached_tokens=draw(st.none() | st.integers(0, 9000)),
        output_tokens=draw(st.none() | st.integers(0, 9000)),
        in_flight=draw(st.integers(1, 5)),
    )


@st.composite
def balances(draw: st.DrawFn) -> BalanceRead:
    """A reading of any balance."""
    at = draw(TIMES)
    key = draw(FINGERPRINTS)
    return BalanceRead(at=at, started=at - draw(GAPS), fingerprint=key, balance=draw(BALANCES))


@st.composite
def identities(draw: st.DrawFn) -> IdentityRead:
    """A key that belongs to some account."""
    at = draw(TIMES)
    return IdentityRead(
        at=at,
        started=at - draw(GAPS),
        fingerprint=draw(FINGERPRINTS),
        account=draw(ACCOUNTS),
        plan=draw(PLANS),
    )


NAMES = st.lists(MODELS, max_size=2).map(tuple)
RECORDS: st.SearchStrategy[Record] = st.one_of(
    attempts(),
    attempts(),
    attempts(),
    balances(),
    identities(),
    st.builds(Trial, at=TIMES, fingerprint=FINGERPRINTS),
    st.builds(Use, at=TIMES, fingerprint=FINGERPRINTS),
    st.builds(Reset, at=TIMES, fingerprint=FINGERPRINTS),
    st.builds(ResetUndone, at=TIMES, fingerprint=FINGERPRINTS),
    st.builds(Enabled, at=TIMES, fingerprint=FINGERPRINTS),
    st.builds(Disabled, at=TIMES, fingerprint=FINGERPRINTS),
    st.builds(
        SettingsRead,
        at=TIMES,
        keys=st.integers(0, 9),
        cloud_url=TEXTS,
        problems=st.lists(st.just("line 3: no comma"), max_size=2).map(tuple),
    ),
    st.builds(
        FellBack, at=TIMES, client=CLIENTS, model=MODELS, answered_by=MODELS | st.just("local:llama3.2")
    ),
    st.builds(
        ModelsRead, at=TIMES, count=st.integers(0, 99), added=NAMES, removed=NAMES, error=st.none() | TEXTS
    ),
    st.builds(
        Alert,
        at=TIMES,
        event=st.sampled_from(ALERT_EVENTS),
        subject=ACCOUNTS | FINGERPRINTS,
        over=st.booleans(),
        fingerprint=st.none() | FINGERPRINTS,
        window=WINDOW_NAMES,
        percent=PERCENT,
        until=st.none() | TIMES,
        owner=TEXTS,
    ),
)
HISTORIES = st.lists(RECORDS, max_size=25)
