"""Every error a user can meet. Each message is one line: what happened, to what, what to do.

OkrError
├── SettingsError    a settings file cannot be read or changed
├── StoreError       the log or the conversations cannot be read or written
├── ChatError        a chat command, option, image or tool cannot be used as asked
├── NoKeyError       no key is configured
├── OutputError      standard output cannot be written
├── BudgetError      a client's or a model's tokens of the day are used up
├── PoolBlockedError every key is blocked; carries the earliest return
└── CloudError       the cloud refused or failed; carries the fault
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from okr_tui.domain.faults import Fault

ADD_A_KEY: Final = "okr-tui add-key, or set OLLAMA_API_KEYS"
"""What to do while the pool is empty."""
NO_KEY: Final = f"no key is configured: {ADD_A_KEY}"


class OkrError(Exception):
    """The root of the tree. `exit_code` is what a command ends with."""

    exit_code = 1


class SettingsError(OkrError):
    """A settings file cannot be read or changed; nothing was written."""

    def __init__(
        self, message: str, path: str = "", line: int | None = None, column: int | None = None
    ) -> None:
        super().__init__(message)
        self.path = path
        self.line = line
        self.column = column


class StoreError(OkrError):
    """The log or the conversations cannot be opened, read or written."""


class ChatError(OkrError):
    """A chat command, option, image or tool cannot be used as asked; nothing was sent."""


class KeyRefusedError(OkrError):
    """The cloud refuses a key that was to be added; nothing was added."""


class OutputError(OkrError):
    """Standard output cannot be written, as on a full disk; what was printed is incomplete."""


class NoKeyError(OkrError):
    """The pool is empty."""

    exit_code = 3


class BudgetError(OkrError):
    """A hard budget is used up until `resets_at` (epoch seconds)."""

    def __init__(self, message: str, resets_at: float) -> None:
        super().__init__(message)
        self.resets_at = resets_at


class PoolBlockedError(OkrError):
    """No key may be used now. `earliest` is the first known return in epoch seconds, or None.

    `states` are the words for the keys' states, each once. `on_the_way`: of an outage, whether nothing of the
    cloud's own came.
    """

    exit_code = 4

    def __init__(
        self,
        message: str,
        earliest: float | None = None,
        states: frozenset[str] = frozenset(),
        *,
        on_the_way: bool = False,
    ) -> None:
        super().__init__(message)
        self.earliest = earliest
        self.states = states
        self.on_the_way = on_the_way


class CloudError(OkrError):
    """The cloud, or the way to it, failed this request."""

    def __init__(self, message: str, fault: "Fault") -> None:
        super().__init__(message)
        self.fault = fault
