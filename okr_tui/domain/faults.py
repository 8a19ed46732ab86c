"""What goes wrong with a request: one row a kind, from whom it concerns to what a client gets.

FAULTS is the one list of kinds. What blocks follow from a row is worked out in `fold`, what the words for a
blocked key are in `health`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum, StrEnum
from typing import Final, Literal

from okr_tui.domain.policy import Policy
from okr_tui.domain.values import dataclass

Tone = Literal["fault", "warning", "good", "info", "quiet"]
"""How a line or a state is shown.

"fault": red, a person has to act. "warning": amber, a switch, a spent window, an outage. "good" and "info":
news. "quiet": grey, nothing to do, as it went well or heals by itself.
"""


class FaultKind(StrEnum):
    """What went wrong, as the policy distinguishes faults."""

    __hash__ = str.__hash__  # these are keys of tables; the hash of Enum is slow

    TRANSIENT = "transient"
    ENDPOINT = "endpoint"
    UNAUTHORIZED = "unauthorized"
    BUSY = "busy"
    SPENT = "spent"
    SLOWED = "slowed"
    NO_PLAN = "no-plan"
    FORBIDDEN = "forbidden"
    GONE = "gone"
    PATH = "path"
    REQUEST = "request"


class ConnectionFailure(StrEnum):
    """Why a request got no answer."""

    NAME = "name-not-found"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    CERTIFICATE = "certificate"
    TLS = "tls"
    PROXY = "proxy"
    TIMEOUT = "timeout"
    CUT = "cut"
    UNREADABLE = "unreadable"


CONNECTION_WORDS: Final[Mapping[ConnectionFailure, str]] = {
    ConnectionFailure.NAME: "name not found",
    ConnectionFailure.REFUSED: "refused",
    ConnectionFailure.UNREACHABLE: "unreachable",
    ConnectionFailure.CERTIFICATE: "not trusted",
    ConnectionFailure.TLS: "no TLS",
    ConnectionFailure.PROXY: "proxy failed",
    ConnectionFailure.TIMEOUT: "timed out",
    ConnectionFailure.CUT: "cut off",
    ConnectionFailure.UNREADABLE: "unreadable",
}
"""Why there was no answer, for a narrow column."""


class Scope(StrEnum):
    """What a fault concerns, and so what it blocks."""

    __hash__ = str.__hash__  # these are keys of tables; the hash of Enum is slow

    KEY = "key"
    ACCOUNT = "account"
    ACCOUNT_MODEL = "account-model"
    MODEL = "model"
    SERVICE = "service"
    ENDPOINT = "endpoint"
    REQUEST = "request"


class BlockCause(StrEnum):
    """Why something is blocked, strongest first: what a person reads when several apply."""

    __hash__ = str.__hash__  # these are keys of tables; the hash of Enum is slow

    INVALID = "invalid"
    SUSPENDED = "suspended"
    SPENT = "spent"
    NO_PLAN = "no-plan"
    GONE = "gone"
    OUTAGE = "outage"
    OVERLOADED = "overloaded"
    FORBIDDEN = "forbidden"
    SLOWED = "slowed"
    BUSY = "busy"
    SHAKY = "shaky"


class ClientCause(StrEnum):
    """The cause that a client of the gateway gets, whatever its dialect: what is over soonest comes first.

    `gateway/errors` gives each a status and words.
    """

    BUSY = "busy"
    SLOWED = "slowed"
    OUTAGE = "outage"
    QUOTA = "quota"
    NO_PLAN = "no-plan"
    NO_MODEL = "no-model"
    NO_VALID_KEY = "no-valid-key"
    NOT_OFFERED = "not-offered"
    REQUEST = "request"


class Retry(Enum):
    """What a request does after a fault."""

    NEXT_KEY = "go on with the next key at once"
    SAME_KEY_FIRST = "try the same key once more, then others, up to policy.transient_sends"
    SAME_KEY_ONLY = "try the same key once more: others go the same way"
    NEVER = "return the error to the caller: no other key can help"


class Rule(Enum):
    """How long what a fault blocks stays blocked; `waits` of the row has the numbers."""

    WINDOW = "until the spent window comes back, else growing waits"
    RETRY_AFTER = "as long as the cloud says, else growing waits"
    SLOTS = "as RETRY_AFTER, and the account takes fewer requests at once"
    DOUBT = "until a free reading confirms the refusal or lifts it"
    FIXED = "for a fixed time"
    BREAKER = "once several requests met it, growing waits"
    NOTHING = "nothing is blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultTraits:
    """One kind of fault.

    Attributes:
        scope: what it concerns unless the fault itself says otherwise.
        word: one word for a narrow column; `glyph` is one cell wide.
        tone: "fault", "warning" or "quiet", by who has to act.
        retry: what the request does next.
        block: why `scope` is blocked afterwards; None when nothing is.
        rule: how long it is blocked, with `waits`, the seconds of the first block, the second, and so on;
            `longest` caps what the cloud asks for; `rechecks` are the seconds between later readings of a
            key that was refused for certain.
        words: what happened, as a clause: "the key's quota ran out". No word in it may make a client repeat
            its turn ("timeout", "overloaded", a status).
        cause: what a client gets.
        blames_key: whether it counts among the key's faults.
        quoted: whether the feed quotes the cloud's own text; our words say as much where it does not.
    """

    scope: Scope
    word: str
    glyph: str
    tone: Tone
    retry: Retry
    words: str
    cause: ClientCause
    block: BlockCause | None = None
    rule: Rule = Rule.NOTHING
    waits: Callable[[Policy], tuple[float, ...]] = lambda _: ()
    longest: Callable[[Policy], float] = lambda policy: policy.longest_block
    rechecks: Callable[[Policy], tuple[float, ...]] = lambda _: ()
    blames_key: bool = True
    quoted: bool = True


FAULTS: Final[Mapping[FaultKind, FaultTraits]] = {
    FaultKind.TRANSIENT: FaultTraits(
        scope=Scope.SERVICE,
        word="failed",
        glyph="▲",
        tone="quiet",
        retry=Retry.SAME_KEY_FIRST,
        block=BlockCause.OUTAGE,
        rule=Rule.BREAKER,
        waits=lambda policy: policy.outage_steps,
        words="the cloud or the way to it failed",
        cause=ClientCause.OUTAGE,
    ),
    FaultKind.ENDPOINT: FaultTraits(
        scope=Scope.ENDPOINT,
        word="not offered",
        glyph="◇",
        tone="warning",
        retry=Retry.NEVER,
        words="Ollama Cloud has no embeddings and lists no processes",
        cause=ClientCause.NOT_OFFERED,
        blames_key=False,
    ),
    FaultKind.UNAUTHORIZED: FaultTraits(
        scope=Scope.KEY,
        word="refused",
        glyph="✖",
        tone="fault",
        retry=Retry.NEXT_KEY,
        block=BlockCause.INVALID,
        rule=Rule.DOUBT,
        waits=lambda policy: policy.invalid_steps[:1],
        rechecks=lambda policy: policy.invalid_steps,
        words="the cloud refused the key",
        cause=ClientCause.NO_VALID_KEY,
    ),
    FaultKind.BUSY: FaultTraits(
        scope=Scope.ACCOUNT,
        word="busy",
        glyph="▲",
        tone="quiet",
        retry=Retry.NEXT_KEY,
        block=BlockCause.BUSY,
        rule=Rule.SLOTS,
        waits=lambda policy: (policy.busy_rest,),
        longest=lambda policy: policy.busy_longest,
        words="all request slots of the account were taken",
        cause=ClientCause.BUSY,
        quoted=False,
    ),
    FaultKind.SPENT: FaultTraits(
        scope=Scope.ACCOUNT,
        word="spent",
        glyph="▣",
        tone="warning",
        retry=Retry.NEXT_KEY,
        block=BlockCause.SPENT,
        rule=Rule.WINDOW,
        waits=lambda policy: policy.spent_steps,
        words="the key's quota ran out",
        cause=ClientCause.QUOTA,
        quoted=False,
    ),
    FaultKind.SLOWED: FaultTraits(
        scope=Scope.ACCOUNT,
        word="slowed",
        glyph="▲",
        tone="quiet",
        retry=Retry.NEXT_KEY,
        block=BlockCause.SLOWED,
        rule=Rule.RETRY_AFTER,
        waits=lambda policy: policy.slowed_steps,
        longest=lambda policy: policy.slowed_longest,
        words="the cloud asked the key to slow down",
        cause=ClientCause.SLOWED,
        quoted=False,
    ),
    FaultKind.NO_PLAN: FaultTraits(
        scope=Scope.ACCOUNT_MODEL,
        word="no plan",
        glyph="◇",
        tone="warning",
        retry=Retry.NEXT_KEY,
        block=BlockCause.NO_PLAN,
        rule=Rule.FIXED,
        waits=lambda policy: (policy.no_plan,),
        words="the key's plan does not include this model",
        cause=ClientCause.NO_PLAN,
        quoted=False,
    ),
    FaultKind.FORBIDDEN: FaultTraits(
        scope=Scope.ACCOUNT,
        word="forbidden",
        glyph="■",
        tone="fault",
        retry=Retry.NEXT_KEY,
        block=BlockCause.SUSPENDED,
        rule=Rule.DOUBT,
        waits=lambda policy: (policy.forbidden_model,),
        rechecks=lambda policy: (policy.suspended_recheck,),
        words="the cloud refused the account",
        cause=ClientCause.NO_PLAN,
    ),
    FaultKind.GONE: FaultTraits(
        scope=Scope.MODEL,
        word="gone",
        glyph="†",
        tone="warning",
        retry=Retry.NEVER,
        block=BlockCause.GONE,
        rule=Rule.FIXED,
        waits=lambda policy: (policy.gone,),
        words="the cloud no longer has this model",
        cause=ClientCause.NO_MODEL,
        blames_key=False,
        quoted=False,
    ),
    FaultKind.PATH: FaultTraits(
        scope=Scope.SERVICE,
        word="in the way",
        glyph="▲",
        tone="warning",
        retry=Retry.SAME_KEY_ONLY,
        block=BlockCause.OUTAGE,
        rule=Rule.BREAKER,
        waits=lambda policy: policy.outage_steps,
        words="something between here and the cloud refused the request",
        cause=ClientCause.OUTAGE,
        blames_key=False,
    ),
    FaultKind.REQUEST: FaultTraits(
        scope=Scope.REQUEST,
        word="rejected",
        glyph="▲",
        tone="warning",
        retry=Retry.NEVER,
        words="the cloud rejected the request",
        cause=ClientCause.REQUEST,
        blames_key=False,
    ),
}


PAYMENT_REQUIRED: Final = 402
CREDITS: Final = "credits"
"""The window of an account that pays by the dollar."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure and its scope. `retry_after` is in seconds; `text` is bounded and names no account.

    `max_concurrent` is the account's slot count where the cloud stated it, `max_output` the model's
    longest answer in tokens where the request asked for more. `connection` says why there was no answer.
    """

    kind: FaultKind
    scope: Scope
    text: str = ""
    status: int | None = None
    window: str | None = None
    retry_after: float | None = None
    max_concurrent: int | None = None
    max_output: int | None = None
    connection: ConnectionFailure | None = None

    @property
    def traits(self) -> FaultTraits:
        """The row of its kind."""
        return FAULTS[self.kind]

    @property
    def passes(self) -> bool:
        """Whether the same send may succeed a moment later."""
        return self.traits.retry in (Retry.SAME_KEY_FIRST, Retry.SAME_KEY_ONLY)

    @property
    def on_the_way(self) -> bool:
        """Whether something between here and the cloud failed or answered, not the cloud."""
        return self.kind is FaultKind.PATH or self.connection is not None

    @property
    def may_be_empty_balance(self) -> bool:
        """Whether it is a 402 without the cloud's words: the account's balance decides what it means."""
        wordless = self.kind is FaultKind.PATH or self.text == f"HTTP {PAYMENT_REQUIRED}"
        return self.status == PAYMENT_REQUIRED and wordless

    def as_empty_balance(self) -> "Fault":
        """Return the same failure as that of an account whose dollars are all spent."""
        return replace(self, kind=FaultKind.SPENT, scope=Scope.ACCOUNT, window=CREDITS)

    @property
    def sentence(self) -> str:
        """The status and the cloud's words, the status once."""
        if self.status is None or self.status < 400 or f"HTTP {self.status}" in self.text:
            return self.text
        return f"{self.status} {self.text}"

    @property
    def word(self) -> str:
        """The fault in a word or two: its status, why there was no answer, or its kind's word."""
        if self.status and self.status >= 400:
            return str(self.status)
        return CONNECTION_WORDS[self.connection] if self.connection else self.traits.word


class Step(Enum):
    """The next move of a request that failed before anything of it reached the caller."""

    SAME_KEY = "same key"
    NEXT_KEY = "next key"
    GIVE_UP = "give up"


def next_step(fault: Fault, passing: int, *, clamped: bool, policy: Policy) -> Step:
    """Return the step after a fault.

    `passing` counts the request's transient faults, this one included; `clamped` says that its output
    limit was already lowered once.
    """
    retry = fault.traits.retry
    if retry is Retry.NEXT_KEY:
        return Step.NEXT_KEY
    if retry is Retry.SAME_KEY_FIRST and passing < policy.transient_sends:
        return Step.SAME_KEY if passing == 1 else Step.NEXT_KEY
    if retry is Retry.SAME_KEY_ONLY:
        if fault.may_be_empty_balance:
            return Step.NEXT_KEY
        if passing == 1 and fault.scope is not Scope.REQUEST:
            return Step.SAME_KEY
    if fault.max_output and not clamped:
        return Step.SAME_KEY
    return Step.GIVE_UP


@dataclass(frozen=True, slots=True)
class Hop:
    """A key that was tried before the one that answered, and its fault."""

    fingerprint: str
    index: int | None
    fault: Fault


def fault_for(cause: BlockCause, text: str, status: int | None) -> Fault:
    """Return the fault that makes a block of this cause, with the cloud's words of then. Raises StopIteration
    for a cause that no single fault makes.
    """
    kind = next(kind for kind, row in FAULTS.items() if row.block is cause)
    return Fault(kind, FAULTS[kind].scope, text, status)
