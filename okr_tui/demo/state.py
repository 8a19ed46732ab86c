"""The whole state of the simulated cloud, moved on by the clock only when somebody looks."""

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from okr_tui.demo.accounts import PLAN_SLOTS, SHORT_CHAT_UNITS, Account, Window
from okr_tui.demo.catalogue import BEHAVIOURS, FAULTS
from okr_tui.demo.scenarios import Action, Change, Holder, Outage, Rule, Scenario


def key_text(label: str) -> str:
    """Return the key of a label: shaped like a real one, derived from the label alone, worth nothing."""
    digest = hashlib.sha256(f"okr-tui demo {label}".encode()).hexdigest()
    return f"{digest[:32]}.{digest[32:56]}"


def fingerprint(text: str) -> str:
    """Return what the request log says of a key instead of its text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Credential:
    """A key that was handed out: the `number`th of its account."""

    text: str
    label: str
    fingerprint: str
    account: Account
    number: int

    @property
    def valid(self) -> bool:
        """Whether the key is not revoked."""
        return self.number not in self.account.revoked


@dataclass(slots=True)
class Received:
    """A request as the log keeps it. `status` stays None while, or if, nothing was answered."""

    time: float
    method: str
    path: str
    key: str | None = None
    account: str | None = None
    model: str | None = None
    status: int | None = None


class State:
    """Accounts, keys, faults to come and requests seen."""

    def __init__(self, scenario: Scenario, speed: float, clock: Callable[[], float]) -> None:
        self.scenario = scenario
        self.speed = speed
        self.clock = clock
        self.started = clock()
        self.accounts = {holder.name: self._account(holder) for holder in scenario.holders}
        self.credentials = {
            credential.text: credential
            for holder in scenario.holders
            for credential in self._credentials(holder)
        }
        self.rules: list[Rule] = []
        self.outage: Rule | None = None
        self.outage_ends = 0.0
        self.requests: deque[Received] = deque(maxlen=100_000)
        self._played = 0

    def advance(self) -> float:
        """Play what the timeline holds up to now, let windows reset, and return now."""
        now = self.clock()
        while (due := self._due()) is not None and due[0] <= now:
            self._played += 1
            self.apply(due[1], due[0])
        for account in self.accounts.values():
            account.refresh(now)
        if now >= self.outage_ends:
            self.outage = None
        return now

    def apply(self, action: Action, moment: float) -> None:
        """Carry out an action as of a moment. Unknown accounts, keys and faults are a ValueError."""
        match action:
            case Change():
                self._change(action, moment)
            case Outage():
                self.outage = self._known(Rule(action.fault, times=None))
                self.outage_ends = moment + action.seconds / self.speed
            case Rule():
                self.rules.append(self._known(replace(action)))

    def take_fault(self, received: Received, credential: Credential | None) -> Rule | None:
        """Return the fault this request must meet, if any; a rule with a count is used up by one."""
        if self.outage is not None:
            return self.outage
        names = (credential.label, credential.fingerprint) if credential else ()
        for rule in self.rules:
            if (
                (rule.key is None or rule.key in names)
                and rule.account in (None, received.account)
                and rule.model in (None, received.model)
                and rule.path in (None, received.path)
            ):
                if rule.times is not None:
                    rule.times -= 1
                    if rule.times <= 0:
                        self.rules.remove(rule)
                return rule
        return None

    def _due(self) -> tuple[float, Action] | None:
        timeline = self.scenario.timeline
        if not timeline or (self.scenario.repeat is None and self._played >= len(timeline)):
            return None
        round_number, index = divmod(self._played, len(timeline))
        seconds, action = timeline[index]
        return self.started + (seconds + round_number * (self.scenario.repeat or 0)) / self.speed, action

    def _change(self, change: Change, moment: float) -> None:
        account = self.accounts.get(change.account)
        if account is None:
            raise ValueError(f"no account {change.account!r}")
        account.refresh(moment)
        used = {"session": change.session, "weekly": change.weekly, "monthly": change.monthly}
        if change.credits is not None and account.allowance:
            used["monthly"] = 100 - 100 * change.credits / account.allowance
        for name, percent in used.items():
            if percent is not None:
                if name not in account.windows:
                    raise ValueError(f"account {account.name!r} has no {name} window")
                account.windows[name].used = float(percent)
        for field in ("purchased", "suspended", "slots", "elsewhere", "plan"):
            value = getattr(change, field)
            if value is not None:
                setattr(account, field, value)
        if change.revoke is not None:
            account.revoked.add(change.revoke)
        if change.restore is not None:
            account.revoked.discard(change.restore)

    def _known(self, rule: Rule) -> Rule:
        if rule.fault not in FAULTS and rule.fault not in BEHAVIOURS:
            raise ValueError(f"no fault {rule.fault!r}")
        return rule

    def _account(self, holder: Holder) -> Account:
        windows = {
            allowance.window: Window(
                self.scenario.length(allowance.window) / self.speed,
                allowance.chats * SHORT_CHAT_UNITS,
                allowance.used,
                self.started,
            )
            for allowance in holder.allowances
        }
        return Account(
            holder.name,
            holder.plan,
            PLAN_SLOTS[holder.plan] if holder.slots is None else holder.slots,
            windows,
            allowance=holder.dollars,
            purchased=holder.purchased,
            suspended=holder.suspended,
            revoked=set(holder.revoked),
            elsewhere=holder.elsewhere,
        )

    def _credentials(self, holder: Holder) -> list[Credential]:
        account = self.accounts[holder.name]
        labels = [f"{holder.name} {number}" for number in range(1, holder.keys + 1)]
        return [
            Credential(key_text(label), label, fingerprint(key_text(label)), account, number)
            for number, label in enumerate(labels, start=1)
        ]
