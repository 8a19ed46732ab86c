"""The day before the demo: a log as three programs would have left it, so that nothing begins empty."""

import math
import random
from collections.abc import Sequence
from typing import Final

from okr_tui.cloud.endpoints import CHAT_COMPLETIONS
from okr_tui.domain.faults import Fault, FaultKind, Scope
from okr_tui.domain.quota import SESSION, Balance, Credits, Window
from okr_tui.domain.records import Attempt, BalanceRead, IdentityRead, Record
from okr_tui.domain.values import dataclass

DAY: Final = 86400.0
STEP: Final = 300.0
READ_EVERY: Final = 1800.0
UNREAD: Final = 9000.0
"""Seconds at the end without readings: the pace of the demo's own quota is not that of a real day."""
RESET: Final = 900.0
"""Seconds before the end at which the last session begins: nothing about it lasts into the demo."""
CALLERS: Final = (("pi", "kimi-k2.6"), ("codex", "gpt-oss:120b"), ("notes", "gpt-oss:20b"))
"""Who asks, and which model."""
HOUR_OF_MOST: Final = 15
WEIGHT: Final = 1.5
"""Percent of a session that a request takes on average."""
CREDIT_LEFT: Final = 0.28
CREDIT_OF_DAY: Final = 0.17
"""The parts of a period's dollars that are left when the demo begins, and that the day before used."""
SPENT: Final = Fault(
    FaultKind.SPENT, Scope.ACCOUNT, "you have reached your session usage limit", 429, "session"
)
PASSING: Final = (
    Fault(FaultKind.TRANSIENT, Scope.SERVICE, "Service Temporarily Unavailable", 503),
    Fault(FaultKind.SLOWED, Scope.ACCOUNT, "rate limit exceeded", 429, retry_after=27.0),
)


@dataclass(frozen=True, slots=True)
class Member:
    """A key of the demo: its fingerprint, its account's identifier and plan, and a period's dollars in it."""

    fingerprint: str
    account: str
    plan: str
    dollars: float | None = None


class _Day:
    """Lives through the day, request by request. All times are epoch seconds."""

    def __init__(self, members: Sequence[Member], until: float) -> None:
        self.members = members
        self.until = until
        self.random = random.Random(20)  # noqa: S311  the same day every time
        self.records: list[Record] = []
        self.used = {member.account: 0.0 for member in members}
        self.sessions_begun = until - RESET - math.ceil(DAY / SESSION) * SESSION
        self.session = 0
        self.at_work = 0

    def live(self) -> list[Record]:
        """Return the records of the whole day, oldest first."""
        begun = self.until - DAY
        for member in self.members:
            self.records.append(
                IdentityRead(
                    at=begun,
                    started=begun - 0.2,
                    fingerprint=member.fingerprint,
                    account=member.account,
                    plan=member.plan,
                )
            )
        moment, read_at = begun + STEP, begun
        while moment < self.until - STEP:
            if moment >= read_at and moment < self.until - UNREAD:
                self._read(moment)
                read_at += READ_EVERY
            for offset in sorted(self.random.uniform(1, STEP - 20) for _ in range(self._busy(moment))):
                self._ask(moment + offset)
            moment += STEP
        # Every key has answered since its last fault, so none begins the demo blocked.
        self.used = dict.fromkeys(self.used, 0.0)
        for index, member in enumerate(self.members, 1):
            self._answer(self.until - STEP + 20 * index, member)
        return self.records

    def _busy(self, moment: float) -> int:
        """Return how many requests come within a step: many in the afternoon, few at night."""
        hour = moment % DAY / 3600
        most = 3.2 + 2.8 * math.cos((hour - HOUR_OF_MOST) * math.pi / 12)
        return max(0, round(self.random.gauss(most, 1)))

    def _read(self, at: float) -> None:
        for account in self.used:
            member = next(member for member in self.members if member.account == account)
            week = min(100.0, 20 + (at - self.until + DAY) / DAY * 15)
            resets = self.sessions_begun + (self.session + 1) * SESSION
            windows = (
                Window("session", round(self.used[account], 1), resets),
                Window("weekly", round(week, 1)),
            )
            balance = Balance(windows)
            if member.dollars is not None:
                left = round(member.dollars * (CREDIT_LEFT - (at - self.until) / DAY * CREDIT_OF_DAY), 2)
                balance = Balance(credits=Credits(left, member.dollars))
            self.records.append(
                BalanceRead(at=at, started=at - 0.2, fingerprint=member.fingerprint, balance=balance)
            )

    def _ask(self, at: float) -> None:
        """Send one request; where a session is spent, the next account answers."""
        if (session := int((at - self.sessions_begun) // SESSION)) != self.session:
            self.session, self.at_work = session, 0
            self.used = dict.fromkeys(self.used, 0.0)
        member = self.members[self.at_work]
        if self.used[member.account] >= 100:
            others = [other for other in self.members if self.used[other.account] < 100]
            if not others:
                return
            self._fail(at, member, SPENT, others[0])
            self.at_work = self.members.index(others[0])
            member = others[0]
        elif self.random.random() < 0.012:
            self._fail(at, member, self.random.choice(PASSING), member)
        self._answer(at + 0.4, member)

    def _answer(self, at: float, member: Member) -> None:
        caller, model = self.random.choice(CALLERS)
        tokens, pace = self.random.randint(120, 1400), self.random.uniform(45, 95)
        first, seconds = self.random.uniform(0.2, 0.9), tokens / pace
        weight = WEIGHT * self.random.uniform(0.4, 1.6)
        if member.dollars is None:
            self.used[member.account] = min(100.0, self.used[member.account] + weight)
        self.records.append(
            Attempt(
                at=at + seconds,
                started=at,
                client="gateway",
                caller=caller,
                fingerprint=member.fingerprint,
                model=model,
                path=CHAT_COMPLETIONS.path,
                outcome="ok",
                first_byte_ms=round(1000 * first),
                duration_ms=round(1000 * (first + seconds)),
                input_tokens=self.random.randint(600, 9000),
                cached_tokens=0,
                output_tokens=tokens,
            )
        )

    def _fail(self, at: float, member: Member, fault: Fault, following: Member) -> None:
        caller, model = self.random.choice(CALLERS)
        self.records.append(
            Attempt(
                at=at,
                started=at - 0.2,
                client="gateway",
                caller=caller,
                fingerprint=member.fingerprint,
                model=model,
                path=CHAT_COMPLETIONS.path,
                outcome="fault",
                fault=fault,
                next_fingerprint=following.fingerprint,
                first_byte_ms=200,
                duration_ms=200,
            )
        )


def requests_of(day: Sequence[Record], member: Member) -> list[tuple[float, int, int]]:
    """Return the moment (epoch seconds) and the tokens in and out of each answer that a key gave."""
    return [
        (record.at, record.input_tokens or 0, record.output_tokens or 0)
        for record in day
        if isinstance(record, Attempt) and record.outcome == "ok" and record.fingerprint == member.fingerprint
    ]


def day_of_history(members: Sequence[Member], until: float) -> list[Record]:
    """Return the records of the day before `until` (epoch seconds), oldest first; the same ones each time."""
    return sorted(_Day(members, until).live(), key=lambda record: record.at)
