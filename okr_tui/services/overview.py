"""What `status`, `keys`, `models` and `explain` show, and the small file that keeps it between runs.

They leave it when they had to open the service. It counts only while nothing that it was made of has changed:
the settings files, the environment, the options, the log, and the time at which a block or a trial ends. Then
they read neither settings nor log, and load none of the modules that do.

It holds masks and fingerprints, no key.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from okr_tui import __version__
from okr_tui.domain.models import Model
from okr_tui.store.kept_files import KeptFiles

if TYPE_CHECKING:
    from okr_tui.domain.explain import Explanation, KeyExplanation
    from okr_tui.domain.health import Verdict
    from okr_tui.domain.policy import Policy
    from okr_tui.domain.quota import Balance
    from okr_tui.domain.state import Block, PoolState
    from okr_tui.domain.view import KeyView, PoolView
    from okr_tui.services.service import ModelRow, Snapshot

FILES: Final = KeptFiles("overview")
SECTIONS: Final = ("pi-ollama", "ollama", "okr-tui")
PREFERENCE: Final = "activeKeyIndex"
OURS: Final = ("OLLAMA_", "OKR_TUI_", "PI_", "XDG_", "HOME")
"""What the names of variables begin with that settings are read from."""
LONGEST: Final = 86_400.0
"""Seconds for which an overview counts at most."""
LEFT_OUT: Final = ("model_info",)
"""What these verbs do not show of a model."""
TERMINAL: Final = frozenset(
    ("_", "COLUMNS", "LINES", "OLDPWD", "PWD", "SHLVL", "TERM", "TERM_SESSION_ID", "TMUX", "TMUX_PANE")
)
"""Variables that differ between terminals; they count only where the settings name them."""


class VerdictLine(NamedTuple):
    """What a key is good for, as `domain.health.Verdict` has it; `glyph` is its state's."""

    state: str
    eligible: bool
    reason: str
    until: float | None
    window: str | None
    glyph: str
    needs_person: bool
    estimated: bool

    @classmethod
    def of(cls, verdict: "Verdict") -> Self:
        """Return the line of a verdict."""
        return cls(
            verdict.state.value,
            verdict.eligible,
            verdict.reason,
            verdict.until,
            verdict.window,
            verdict.state.traits.glyph,
            verdict.needs_person,
            verdict.estimated,
        )


class WindowLine(NamedTuple):
    """One limit of an account, in percent used."""

    name: str
    used_percent: float | None
    resets_at: float | None


class CreditsLine(NamedTuple):
    """The dollars of an account."""

    balance_usd: float
    allowance_usd: float | None
    purchased_usd: float | None
    until: float | None


class BalanceLine(NamedTuple):
    """The quota of an account."""

    windows: tuple[WindowLine, ...]
    credits: CreditsLine | None
    purchased_usd: float

    @classmethod
    def of(cls, balance: "Balance | None") -> Self | None:
        """Return the line of a balance."""
        if balance is None:
            return None
        windows = tuple(WindowLine(each.name, each.used_percent, each.resets_at) for each in balance.windows)
        line = None
        if dollars := balance.credits:
            line = CreditsLine(
                dollars.balance_usd, dollars.allowance_usd, dollars.purchased_usd, dollars.until
            )
        return cls(windows, line, balance.purchased_usd)

    @classmethod
    def read(cls, found: Any) -> Self | None:
        """Read what JSON has of it."""
        if found is None:
            return None
        windows, dollars, purchased_usd = found
        line = None if dollars is None else CreditsLine(*dollars)
        return cls(tuple(WindowLine(*each) for each in windows), line, purchased_usd)


class KeyLine(NamedTuple):
    """One key of the pool, as `domain.view.KeyView` has it; one that is missing has no fingerprint."""

    number: int
    fingerprint: str | None
    masked: str
    label: str | None
    origin: str
    verdict: VerdictLine
    account: str | None
    account_keys: tuple[int, ...]
    plan: str | None
    balance: BalanceLine | None
    read_at: float | None
    requests: int
    faults: int
    blocked_models: tuple[str, ...]

    @classmethod
    def of(cls, row: "KeyView") -> Self:
        """Return the line of a key."""
        return cls(
            number=row.index,
            fingerprint=None if row.state.value == "missing" else row.fingerprint,
            masked=row.masked,
            label=row.label,
            origin=row.origin,
            verdict=VerdictLine.of(row.verdict),
            account=row.account,
            account_keys=row.account_keys,
            plan=row.plan,
            balance=BalanceLine.of(row.balance),
            read_at=row.read_at,
            requests=row.requests,
            faults=row.faults,
            blocked_models=row.blocked_models,
        )

    @classmethod
    def read(cls, found: Any) -> Self:
        """Read what JSON has of it."""
        line = cls(*found)
        return line._replace(
            verdict=VerdictLine(*line.verdict),
            account_keys=tuple(line.account_keys),
            balance=BalanceLine.read(line.balance),
            blocked_models=tuple(line.blocked_models),
        )

    @property
    def same_as(self) -> int | None:
        """The first key of the same account; None when it is that key."""
        first = self.account_keys[0]
        return None if first == self.number else first


class PoolLine(NamedTuple):
    """The pool, as `domain.view.PoolView` has it. `counts` are in the order of the states."""

    keys: tuple[KeyLine, ...]
    active: int | None
    preferred: int | None
    strategy: str
    waits_for_slot: bool
    earliest: float | None
    empty_at: float | None
    outage: str | None
    counts: Mapping[str, int]

    @property
    def usable(self) -> bool:
        """Whether a request would be served, at once or after a short wait."""
        return self.active is not None or self.waits_for_slot

    @classmethod
    def of(cls, pool: "PoolView") -> Self:
        """Return the lines of a pool."""
        return cls(
            keys=tuple(map(KeyLine.of, pool.keys)),
            active=pool.active,
            preferred=pool.preferred,
            strategy=pool.strategy,
            waits_for_slot=pool.waits_for_slot,
            earliest=pool.earliest,
            empty_at=pool.empty_at,
            outage=pool.outage.reason if pool.outage else None,
            counts=_in_order(pool.counts),
        )

    @classmethod
    def read(cls, found: Any) -> Self:
        """Read what JSON has of it."""
        line = cls(*found)
        return line._replace(keys=tuple(map(KeyLine.read, line.keys)))


class ModelLine(NamedTuple):
    """One model of the list, as `services.service.ModelRow` has it."""

    model: Model
    keys: tuple[int, ...]
    replaced_by: str | None
    favourite: bool

    @classmethod
    def of(cls, row: "ModelRow") -> Self:
        """Return the line of a model."""
        return cls(row.model, row.keys, row.replaced_by, row.favourite)

    @classmethod
    def read(cls, found: Any) -> Self:
        """Read what JSON has of it."""
        fields, keys, replaced_by, favourite = found
        listed = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
        return cls(Model(**(fields | listed)), tuple(keys), replaced_by, favourite)


class KeyChoice(NamedTuple):
    """A key's part in a choice, as `domain.explain.KeyExplanation` has it."""

    number: int
    fingerprint: str | None
    masked: str
    state: str
    glyph: str
    eligible: bool
    reason: str
    until: float | None
    waits_for_slot: bool

    @classmethod
    def of(cls, row: "KeyExplanation") -> Self:
        """Return the line of a key."""
        from okr_tui.domain.health import Wait

        return cls(
            number=row.index,
            fingerprint=None if row.key.missing else row.key.fingerprint,
            masked=row.key.masked,
            state=row.state.value,
            glyph=row.state.traits.glyph,
            eligible=row.eligible,
            reason=row.reason,
            until=row.until,
            waits_for_slot=row.state.traits.wait is Wait.SLOT,
        )


class Choice(NamedTuple):
    """Which key a request takes, and why, as `domain.explain.Explanation` has it. `chosen` is a number."""

    model: str | None
    chosen: int | None
    why: str
    keys: tuple[KeyChoice, ...]
    earliest: float | None

    @property
    def waits_for_slot(self) -> bool:
        """Whether a request would be served after a short wait."""
        return any(row.waits_for_slot for row in self.keys)

    @classmethod
    def of(cls, found: "Explanation") -> Self:
        """Return the lines of an explanation."""
        chosen = found.chosen.index if found.chosen else None
        return cls(found.model, chosen, found.why, tuple(map(KeyChoice.of, found.keys)), found.earliest)

    @classmethod
    def read(cls, found: Any) -> Self:
        """Read what JSON has of it."""
        line = cls(*found)
        return line._replace(keys=tuple(KeyChoice(*each) for each in line.keys))


class Overview(NamedTuple):
    """Everything that the verbs show which ask the cloud nothing, at one moment in epoch seconds."""

    at: float
    pool: PoolLine
    models: tuple[ModelLine, ...]
    refreshed_at: float | None
    models_error: str | None
    skipped_words: str
    cloud_url: str
    global_file: str
    files: tuple[str, ...]
    problems: tuple[str, ...]
    store: str
    choice: Choice

    @property
    def listed(self) -> int:
        """How many models the cloud lists now."""
        return sum(line.model.status == "listed" for line in self.models)

    @classmethod
    def of(cls, snapshot: "Snapshot", store: str, choice: Choice) -> Self:
        """Return the overview of a snapshot.

        `store` is the address of the log for people, `choice` that for a request to any model.
        """
        models, settings = snapshot.models, snapshot.settings
        return cls(
            at=snapshot.at,
            pool=PoolLine.of(snapshot.pool),
            models=tuple(map(ModelLine.of, models.rows)),
            refreshed_at=models.refreshed_at,
            models_error=models.error,
            skipped_words=models.skipped_words,
            cloud_url=settings.cloud_url,
            global_file=str(settings.global_file),
            files=tuple(map(str, settings.files)),
            problems=snapshot.problems,
            store=store,
            choice=choice,
        )

    @classmethod
    def read(cls, found: Any) -> Self:
        """Read what JSON has of it. Raises TypeError or ValueError for anything else."""
        line = cls(*found)
        return line._replace(
            pool=PoolLine.read(line.pool),
            models=tuple(map(ModelLine.read, line.models)),
            files=tuple(line.files),
            problems=tuple(line.problems),
            choice=Choice.read(line.choice),
        )

    def later(self, now: float) -> Self:
        """Return the same as of a later moment: the forecast of an empty pool moves with the time."""
        pool = self.pool
        if pool.empty_at is not None:
            pool = pool._replace(empty_at=pool.empty_at - self.at + now)
        return self._replace(at=now, pool=pool)


def _in_order(counts: "Mapping[Any, int]") -> dict[str, int]:
    states = type(next(iter(counts))) if counts else ()
    return {state.value: counts[state] for state in states if counts.get(state)}


class Basis(NamedTuple):
    """What an overview was made of: the digest of all that settings come from, and the log with its end."""

    inputs: str
    log: str
    sequence: int


class Inputs(NamedTuple):
    """What settings are read from: the two files by absolute paths, the environment, and the options."""

    files: tuple[Path, Path]
    environment: Mapping[str, str]
    options: Mapping[str, object]
    policy: Mapping[str, object]
    named: bool = False
    """Whether the user named the global file, so that it is a mistake when there is none."""

    @property
    def name(self) -> str:
        """The name of the file that is kept for these settings files and options."""
        return sha256(repr((*map(str, self.files), sorted(self._given))).encode()).hexdigest()[:24]

    @property
    def digest(self) -> str:
        """The digest of all of it, with the version of the program."""
        texts = [_content(path) for path in self.files]
        whole = b"".join(text for text, _ in texts)
        names = sorted(name for name in self.environment if name not in TERMINAL or name.encode() in whole)
        parts = (
            __version__,
            [str(path) for path in self.files],
            [(sha256(text).hexdigest(), mode) for text, mode in texts],
            [(name, self.environment[name]) for name in names],
            sorted(self._given),
            sorted(self.policy.items()),
            self.named,
        )
        return sha256(repr(parts).encode(errors="surrogateescape")).hexdigest()

    @property
    def pool_digest(self) -> str:
        """The digest of what decides which keys the pool has and where they go, without who is preferred."""
        texts = [_content(path)[0] for path in self.files]
        whole = b"".join(texts)
        names = sorted(name for name in self.environment if name.startswith(OURS) or name.encode() in whole)
        parts = (
            __version__,
            [str(path) for path in self.files],
            [_sections(text) for text in texts],
            [(name, self.environment[name]) for name in names],
            sorted(self._given),
        )
        return sha256(repr(parts).encode(errors="surrogateescape")).hexdigest()

    @property
    def _given(self) -> list[tuple[str, object]]:
        return [(name, value) for name, value in self.options.items() if value is not None]


def _content(path: Path) -> tuple[bytes, int]:
    from okr_tui.settings.locations import file_content

    try:
        return file_content(path), path.stat().st_mode
    except OSError as error:
        return b"", error.errno or 0


def _sections(text: bytes) -> object:
    """Return the settings of a file that concern the pool; its whole text where that cannot be determined."""
    try:
        document = json.loads(text)
        return [{**document.get(name, {}), PREFERENCE: None} for name in SECTIONS]
    except (ValueError, TypeError, AttributeError, RecursionError):
        return text


def kept(inputs: Inputs, end: Callable[[], tuple[str, int] | None], now: float) -> Overview | None:
    """Return the overview that an earlier run kept; None where anything has changed since.

    `end` returns the identity of the log and the position of its last record, None for one that is unknown.
    """
    try:
        *basis, at, until, found = json.loads(FILES.read(inputs.name) or "null")
        if not at <= now < until or Basis(*basis) != (inputs.digest, *(end() or ("", -1))):
            return None
        return Overview.read(found).later(now)
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError):
        return None


def keep(overview: Overview, inputs: Inputs, basis: Basis, until: float) -> None:
    """Keep an overview until a moment, for the next run."""
    document = (*basis, overview.at, until, overview._replace(models=tuple(map(_written, overview.models))))
    FILES.write(inputs.name, json.dumps(document, separators=(",", ":")))


def _written(line: ModelLine) -> Any:
    fields = {name: getattr(line.model, name) for name in Model.__slots__ if name not in LEFT_OUT}
    return (fields, *line[1:])


def unchanged_until(state: "PoolState", policy: "Policy", overview: Overview) -> float:
    """Return until when time alone changes nothing in an overview but the forecast, in epoch seconds."""
    return min((at for at in _ends(state, policy, overview) if at > overview.at), default=math.inf)


def _ends(state: "PoolState", policy: "Policy", overview: Overview) -> Iterator[float]:
    pool = overview.pool
    yield overview.at + LONGEST
    for service in state.clouds.values():
        if service.outage:
            yield from _block_ends(service.outage, policy)
    for model in state.models.values():
        if model.block:
            yield from _block_ends(model.block, policy)
    for account in state.accounts.values():
        for block in (*account.blocks.values(), *account.models.values()):
            yield from _block_ends(block, policy)
        if account.slots_until is not None:
            yield account.slots_until
    for key in state.keys.values():
        for block in key.blocks.values():
            yield from _block_ends(block, policy)
        if key.trial_at is not None:
            yield key.trial_at + policy.trial_lapses
    resets = [window.resets_at for row in pool.keys if row.balance for window in row.balance.windows]
    resets += [row.balance.credits.until for row in pool.keys if row.balance and row.balance.credits]
    ahead = 0.0 if pool.empty_at is None else pool.empty_at - overview.at
    yield from (at - ahead for at in resets if at is not None)
    yield from (row.verdict.until for row in pool.keys if row.verdict.until is not None)


def _block_ends(block: "Block", policy: "Policy") -> Iterator[float]:
    # Ended early where bought credit may stand for the quota, or where no other account could serve.
    yield block.since + policy.spent_trial
    yield block.since + policy.alone_longest
    if block.until is not None:
        yield block.until
