"""What a run showed: its claims, checked."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from okr_tui.domain.faults import ConnectionFailure
from okr_tui.domain.records import Attempt, Record, Trial
from tests.chaos.mishaps import CLOCKS
from tests.chaos.processes import Failure, Worker
from tests.chaos.truth import Period, Sent, Truth, meeting

REPEATED_AFTER = 0.25
"""Seconds in which the transport repeats a request whose connection was closed."""
JOINED_AFTER = 5.0
"""Seconds after the return of the log in which its processes have to catch up."""
WRITTEN_AFTER = 0.1
"""Seconds after an answer's end in which a process that is killed takes the record along."""
KEPT_AFTER = 1.0
"""The same while the log is away or the process is stopped, or was so just before: what is not written is
kept on disk instead."""
SHOWN = 12
"""Breaches of a claim that are described."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a run showed; the claims hold when `breaches` is empty."""

    requests: int
    seconds: float
    mishaps: Counter[str]
    faults: Counter[str]
    failures: int
    apart: int
    unserved: tuple[str, ...]
    sent_to_blocked: tuple[str, ...]
    received: int
    taken_along: int
    lost: tuple[str, ...]
    doubled: int
    apart_for: tuple[float, ...]
    agree_within: float
    longest: float

    @property
    def breaches(self) -> tuple[str, ...]:
        """What does not hold, a line each."""
        lines = [*self.unserved, *self.sent_to_blocked, *self.lost]
        if self.doubled:
            lines.append(f"{self.doubled} records too many in the log")
        if (longest := max(self.apart_for, default=0.0)) > self.agree_within:
            lines.append(f"processes disagreed for {longest:.2f} s")
        return tuple(lines)

    def describe(self) -> str:
        """Return the findings in a few lines."""
        lines = [
            f"{self.requests} requests in {self.seconds:.0f} s, the longest took {self.longest:.1f} s",
            "mishaps: " + ", ".join(f"{count} {kind}" for kind, count in self.mishaps.most_common()),
            "met: " + ", ".join(f"{count} {kind}" for kind, count in self.faults.most_common()),
            f"{self.failures} failed for their caller: {len(self.unserved)} while a key was good, "
            f"{self.apart} after two accounts failed",
            f"{len(self.sent_to_blocked)} sent to an account known to be blocked",
            f"{self.received} received, {len(self.lost)} lost from the log, {self.doubled} doubled, "
            f"{self.taken_along} not written since their process was killed",
        ]
        if self.apart_for:
            times = sorted(self.apart_for)
            lines.append(
                f"{len(times)} disagreements of processes: median {times[len(times) // 2]:.2f} s, "
                f"longest {times[-1]:.2f} s (at most {self.agree_within:g} s)"
            )
        for breaches in (self.unserved, self.sent_to_blocked, self.lost):
            lines += [f"  {line}" for line in breaches[:SHOWN]]
        return "\n".join(lines)


def _name(one: Attempt | Sent) -> tuple[str, str]:
    """Return what a record and what the cloud received have in common: the request and the key."""
    return (one.request if isinstance(one, Sent) else one.caller) or "", one.fingerprint


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a run left behind: what the cloud knows, the processes, the log, and when that was away."""

    truth: Truth
    workers: Sequence[Worker]
    records: Sequence[Record]
    away: Sequence[Period]
    began: float
    ended: float
    agree_within: float
    """Seconds after which what one process learned has to count in all of them."""

    def true_time(self, at: float) -> float:
        """Return the time of a record by a right clock: wrong ones are so by much more than a run takes."""
        middle = (self.began + self.ended) / 2
        return min((at - wrong_by for wrong_by in CLOCKS), key=lambda time: abs(time - middle))

    def worker(self, number: int) -> Worker | None:
        """Return the process of a number; None for one that was killed before it could say it."""
        return self.workers[number - 1] if number else None

    # No request fails while a key is good.

    def apart(self, failure: Failure) -> bool:
        """Return whether the cloud failed a request on two accounts, after which it is given up."""
        return len(self._failed_on(failure)) > 1

    def unserved(self) -> Iterator[str]:
        """Yield the failures while a key was good that the request had not failed on."""
        for worker in self.workers:
            for failure in worker.failures:
                good = [
                    name
                    for name in self.truth.cloud.state.accounts
                    if self.truth.good(name, failure.since, failure.until)
                ]
                if set(good) - self._failed_on(failure) and not self.apart(failure):
                    yield (
                        f"{self._at(failure.until)} {failure.request} after "
                        f"{failure.until - failure.since:.1f} s, {', '.join(good)} good: {failure.text}"
                    )

    def _failed_on(self, failure: Failure) -> set[str]:
        sent = (sent for sent in self.truth.sent if sent.request == failure.request)
        return {each.account for each in sent if each.failed}

    # Nothing is sent to an account that is known to be blocked.

    def sent_to_blocked(self) -> Iterator[str]:
        """Yield the requests that met a block which their process had to know of."""
        trials = [record for record in self.records if isinstance(record, Trial)]
        attempts = self.attempts
        refused: dict[tuple[str, float], list[Sent]] = {}
        for sent in sorted(self.truth.sent, key=lambda each: each.at):
            block = self.truth.refusal(sent)
            if block is None or sent.process == 0:
                continue
            before = refused.setdefault((sent.account, block.since), [])
            begun = self._begun(sent, attempts)
            known = [first for first in before if self._known(first, sent, begun)]
            if known and not self._is_trial(sent, begun, trials):
                first = min(known, key=lambda each: each.ended)
                blocked, earlier = sent.at - block.since, sent.at - first.ended
                yield (
                    f"{self._at(sent.at)} {sent.request} sent to {sent.account} ({sent.status}), blocked for "
                    f"{blocked:.2f} s, {first.request} was refused {earlier:.2f} s before"
                )
            if not sent.no_slot:
                before.append(sent)

    def _begun(self, sent: Sent, attempts: Sequence[Attempt]) -> float:
        """Return when a process sent what was refused: on a busy machine long before it arrived.

        Of the attempts of that request on that key, that is the one which ended next to it.
        """
        times = [
            (abs(self.true_time(each.at) - sent.ended), self.true_time(each.started))
            for each in attempts
            if each.fault and _name(each) == _name(sent)
        ]
        return min(min(times, default=(0.0, sent.at))[1], sent.at)

    def _known(self, first: Sent, later: Sent, begun: float) -> bool:
        """Return whether the process of a later send, `begun` then, had to know of the first's refusal."""
        known = first.ended + self.agree_within
        source, process = self.worker(first.process), self.worker(later.process)
        assert source
        assert process
        if source is not process:
            if source.killed and source.ended < known:
                return False
            for pause in meeting(source.stopped, first.at, known):
                known = max(known, pause.until + self.agree_within)
            for away in meeting(self.away, first.ended - JOINED_AFTER, first.ended + self.agree_within):
                known = max(known, away.until + JOINED_AFTER)
            for away in meeting(self.away, process.started, process.joined + self.agree_within):
                known = max(known, max(away.until, process.joined) + JOINED_AFTER)
        for pause in meeting(process.stopped, first.ended, later.at):
            known = max(known, pause.until + self.agree_within)
        return begun > known

    def _is_trial(self, sent: Sent, begun: float, trials: Sequence[Trial]) -> bool:
        """Return whether a request, `begun` then, was the one that tests an account after its block."""
        process = self.worker(sent.process)
        pauses = meeting(process.stopped, begun - 1, sent.at) if process else ()
        earliest = min((begun, *(pause.since for pause in pauses))) - 1
        return any(
            trial.fingerprint == sent.fingerprint and earliest <= self.true_time(trial.at) <= sent.at + 0.1
            for trial in trials
        )

    # Every request is in the log once.

    @property
    def attempts(self) -> list[Attempt]:
        """The requests that are in the log."""
        return [each for each in self.records if isinstance(each, Attempt) and each.client != "probe"]

    def taken_along(self, sent: Sent) -> bool:
        """Return whether the process of a request was killed before it could write down its end."""
        process = self.worker(sent.process)
        if process is None:
            return True
        if not process.killed:
            return False
        away = meeting(self.away, process.ended - JOINED_AFTER, process.ended)
        kept = [period.since if period.full else process.ended - KEPT_AFTER for period in away]
        # A process reads what came meanwhile once it goes on, and then takes the log for one that is away.
        stopped = meeting(process.stopped, process.ended - KEPT_AFTER, process.ended)
        kept += [process.ended - KEPT_AFTER for _ in stopped]
        read = max((sent.ended, *(pause.until for pause in meeting(process.stopped, sent.ended, sent.ended))))
        return read > min((process.ended - WRITTEN_AFTER, *kept))

    def _sent_again(self, sent: Sent) -> bool:
        """Return whether a kept connection was closed without an answer.

        Then the transport may send the request once more by itself: it takes the connection for one that
        the cloud had closed before, and for the log both are one.
        """
        return sent.status is None and any(
            other.request == sent.request
            and other.account == sent.account
            and 0 <= other.at - sent.ended < REPEATED_AFTER
            for other in self.truth.sent
        )

    def lost(self) -> Iterator[str]:
        """Yield the requests that are missing in the log, but for those that ended with their process."""
        recorded = Counter(map(_name, self.attempts))
        for name, group in self._received().items():
            # A process writes in order: what it took along is the last.
            certain = [each for each in group if not self.taken_along(each) and not self._sent_again(each)]
            for sent in certain[recorded[name] :]:
                what = f"{sent.request} on {sent.account} ({sent.status})"
                yield f"{self._at(sent.at)} {what} is not in the log"

    def doubled(self) -> int:
        """Return how many records are in the log that should not be."""
        sends = Counter({name: len(group) for name, group in self._received().items()})
        once = {(_name(each), each.started): each for each in self.attempts}
        recorded = Counter(_name(each) for each in once.values() if not self._may_have_stayed(each))
        return len(self.attempts) - len(once) + (recorded - sends).total()

    def _received(self) -> dict[tuple[str, str], list[Sent]]:
        """Return what the cloud received, by its request and its key, the first first."""
        found: dict[tuple[str, str], list[Sent]] = {}
        for sent in sorted(self.truth.sent, key=lambda each: each.at):
            if sent.process:
                found.setdefault(_name(sent), []).append(sent)
        return found

    def _may_have_stayed(self, attempt: Attempt) -> bool:
        """Return whether a request may have run out of time before the cloud received it.

        Its process may have been stopped, and on a busy machine either end may be late.
        """
        return attempt.fault is not None and attempt.fault.connection is ConnectionFailure.TIMEOUT

    # All processes agree.

    def disagreements(self) -> list[float]:
        """Return how long processes that run saw different keys blocked, each time they did.

        What the log's absence, and the time to catch up with it, explains is left out.
        """
        changes: list[tuple[float, int, list[str] | None]] = []
        for worker in self.workers:
            changes += [(at, worker.number, states) for at, states in worker.states]
            changes.append((min(worker.ended, self.ended), worker.number, None))
            for pause in worker.stopped:
                seen = [states for at, states in worker.states if at <= pause.since]
                changes.append((pause.since, worker.number, None))
                if seen and pause.until < worker.ended:
                    changes.append((pause.until, worker.number, seen[-1]))
        shown: dict[int, list[str]] = {}
        since, found = None, []
        for at, number, states in sorted(changes, key=lambda change: change[:2]):
            if states is None:
                shown.pop(number, None)
            else:
                shown[number] = states
            agreed = all(states == other for states in shown.values() for other in shown.values())
            if agreed and since is not None:
                excused = [away.until + JOINED_AFTER for away in meeting(self.away, since - JOINED_AFTER, at)]
                found.append(max(0.0, at - max((since, *excused))))
                since = None
            elif not agreed and since is None:
                since = at
        return [seconds for seconds in found if seconds > 0]

    def _at(self, at: float) -> str:
        return f"{at - self.began:.2f} s:"

    def findings(self, mishaps: Counter[str]) -> Findings:
        """Check every claim."""
        failures = [failure for worker in self.workers for failure in worker.failures]
        lost = tuple(self.lost())
        return Findings(
            requests=sum(worker.done for worker in self.workers),
            seconds=self.ended - self.began,
            mishaps=mishaps,
            faults=Counter(each.fault.kind.value for each in self.attempts if each.fault),
            failures=len(failures),
            apart=sum(map(self.apart, failures)),
            unserved=tuple(self.unserved()),
            sent_to_blocked=tuple(self.sent_to_blocked()),
            received=len(self.truth.sent),
            taken_along=max(0, len(self.truth.sent) - len(self.attempts) - len(lost)),
            lost=lost,
            doubled=self.doubled(),
            apart_for=tuple(self.disagreements()),
            agree_within=self.agree_within,
            longest=max((worker.longest for worker in self.workers), default=0.0),
        )
