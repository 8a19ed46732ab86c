"""Kinds of faults, causes of blocks and states have one whole row each, and there is no other list."""

import ast
from pathlib import Path

import pytest

import okr_tui
from okr_tui.domain.faults import (
    FAULTS,
    BlockCause,
    ClientCause,
    ConnectionFailure,
    Fault,
    FaultKind,
    Retry,
    Rule,
    Scope,
    Step,
    Tone,
    fault_for,
    next_step,
)
from okr_tui.domain.fold import RULES
from okr_tui.domain.health import BLOCKS, STATES, State, Wait, pool_cause
from tests.domain.facts import MODEL, NOW, POLICY, A, a_fault, after, failed, judged

PACKAGE = Path(okr_tui.__path__[0])
LISTS = {"FaultKind": {"domain/faults.py"}, "State": {"domain/health.py"}, "BlockCause": {"domain/health.py"}}
"""Where the members of an enumeration may be listed: in its one table."""


@pytest.mark.parametrize("kind", FaultKind)
def test_every_kind_has_a_whole_row(kind: FaultKind) -> None:
    row = FAULTS[kind]
    assert row.word.islower()
    assert len(row.glyph) == 1
    assert row.tone in ("fault", "warning", "quiet")
    assert row.words == row.words.strip(" .")
    assert (row.block is None) is (row.rule is Rule.NOTHING)
    assert row.retry in Retry
    assert row.cause in ClientCause
    if row.block is not None:
        assert all(wait > 0 for wait in row.waits(POLICY))
        assert row.block in BLOCKS
        assert row.scope not in (Scope.ENDPOINT, Scope.REQUEST)
    if row.rule is Rule.DOUBT:
        assert all(wait > 0 for wait in row.rechecks(POLICY))


@pytest.mark.parametrize("kind", FaultKind)
def test_what_a_kind_says_it_blocks_is_blocked(kind: FaultKind) -> None:
    """Two accounts meet it, so that an outage is one too."""
    row = FAULTS[kind]
    state = after(failed(kind, NOW - 1, key="another key"), failed(kind))
    found = judged(state, NOW, A, model=MODEL)
    assert found.eligible is (row.block is None)
    if row.block is not None:
        assert found.state is BLOCKS[row.block].state
        elsewhere = judged(state, NOW, A, model="another model")
        assert elsewhere.eligible is (row.scope in (Scope.MODEL, Scope.ACCOUNT_MODEL))
        other_key = judged(state, NOW, "a third key", model=MODEL)
        assert other_key.eligible is (row.scope not in (Scope.MODEL, Scope.SERVICE))


@pytest.mark.parametrize("kind", FaultKind)
def test_a_fault_counts_against_a_key_as_its_row_says(kind: FaultKind) -> None:
    assert after(failed(kind)).key(A).faults == FAULTS[kind].blames_key


@pytest.mark.parametrize(("status", "word"), [(429, "429"), (None, "spent"), (200, "spent")])
def test_a_status_that_says_nothing_gives_way_to_the_kinds_word(status: int | None, word: str) -> None:
    assert a_fault(FaultKind.SPENT, status=status).word == word


@pytest.mark.parametrize(
    ("status", "text", "sentence"),
    [
        (429, "slow down", "429 slow down"),
        (429, "HTTP 429: slow down", "HTTP 429: slow down"),
        (200, "cut off", "cut off"),
        (None, "connection refused", "connection refused"),
    ],
)
def test_a_fault_is_reported_with_its_status_once(status: int | None, text: str, sentence: str) -> None:
    assert a_fault(FaultKind.SLOWED, status=status, text=text).sentence == sentence


@pytest.mark.parametrize("connection", ConnectionFailure)
def test_a_fault_without_an_answer_says_why_there_was_none(connection: ConnectionFailure) -> None:
    word = a_fault(FaultKind.TRANSIENT, connection=connection).word
    assert word != "failed"
    assert len(word) <= 14


def test_every_rule_is_worked_out_and_used() -> None:
    assert set(RULES) == set(Rule) == {row.rule for row in FAULTS.values()}


def test_words_of_faults_are_distinct() -> None:
    for member in ("word", "words"):
        assert len({getattr(row, member) for row in FAULTS.values()}) == len(FaultKind)


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_whole_row(state: State) -> None:
    row = state.traits
    assert len(row.glyph) == 1
    assert row.tone in ("fault", "warning", "good", "info", "quiet")
    assert (row.tone == "fault") <= row.needs_person
    assert row.retried <= row.blocked
    assert not (row.needs_person and row.wait is not Wait.NEVER)


def test_glyphs_of_states_are_distinct() -> None:
    assert set(STATES) == set(State)
    assert len({row.glyph for row in STATES.values()}) == len(State)


@pytest.mark.parametrize("cause", BlockCause)
def test_every_cause_of_a_block_has_a_row_and_a_kind_or_a_rule_that_makes_it(cause: BlockCause) -> None:
    assert BLOCKS[cause].words
    made_by_rule = {BlockCause.OVERLOADED, BlockCause.SHAKY, BlockCause.FORBIDDEN}
    assert (cause in {row.block for row in FAULTS.values()}) is (cause not in made_by_rule)


@pytest.mark.parametrize(
    ("states", "cause"),
    [
        ({State.OFF, State.INVALID, State.SUSPENDED}, ClientCause.NO_VALID_KEY),
        ({State.GONE, State.INVALID}, ClientCause.NO_MODEL),
        ({State.NO_PLAN, State.OFF}, ClientCause.NO_PLAN),
        ({State.OUTAGE, State.NO_PLAN}, ClientCause.OUTAGE),
        ({State.SPENT, State.OUTAGE, State.INVALID}, ClientCause.OUTAGE),
        ({State.SPENT, State.SLOWED}, ClientCause.SLOWED),
        ({State.SLOWED, State.BUSY}, ClientCause.BUSY),
    ],
)
def test_the_key_that_is_back_first_decides_the_cause_for_the_client(
    states: set[State], cause: ClientCause
) -> None:
    assert pool_cause({state.value for state in states}) is cause


def members_listed(path: Path) -> set[str]:
    """The enumerations of which a module holds two members or more in one collection."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        items = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", [])
        names = [
            item.value.id
            for item in items
            if isinstance(item, ast.Attribute) and isinstance(item.value, ast.Name) and item.value.id in LISTS
        ]
        found |= {name for name in names if names.count(name) > 1}
    return found


def test_kinds_and_states_are_listed_in_their_tables_only() -> None:
    listed = {str(path.relative_to(PACKAGE)): members_listed(path) for path in PACKAGE.rglob("*.py")}
    assert {name for name, found in listed.items() if found} == {"domain/faults.py", "domain/health.py"}
    for name, files in LISTS.items():
        assert {file for file, found in listed.items() if name in found} == files


def test_no_module_above_the_domain_asks_for_a_kind() -> None:
    """What they need to know of it stands in its row."""
    asking = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(
            isinstance(node, ast.Name) and node.id == "FaultKind"
            for node in ast.walk(ast.parse(path.read_text()))
        )
    }
    assert asking <= {
        "domain/faults.py",
        "domain/explain.py",
        "cloud/errors.py",
        "cli/demo_history.py",  # makes up faults
        "cli/document_types.py",  # names the type of a field
    }


def test_tones_are_those_that_the_screen_has() -> None:
    assert {*Tone.__args__} == {"fault", "warning", "good", "info", "quiet"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("cause", sorted({row.block for row in FAULTS.values() if row.block}))
def test_the_fault_behind_a_block_makes_that_block(cause: BlockCause) -> None:
    fault = fault_for(cause, "what the cloud said", 403)
    assert (fault.traits.block, fault.scope, fault.text) == (cause, fault.traits.scope, "what the cloud said")


@pytest.mark.parametrize(
    ("fault", "on_the_way"),
    [
        (a_fault(FaultKind.PATH, status=403), True),
        (a_fault(FaultKind.TRANSIENT, connection=ConnectionFailure.REFUSED), True),
        (a_fault(FaultKind.TRANSIENT, status=503), False),
    ],
)
def test_what_failed_on_the_way_is_distinguished_from_what_the_cloud_said(
    fault: Fault, on_the_way: bool
) -> None:
    assert fault.on_the_way is on_the_way


@pytest.mark.parametrize(
    ("fault", "passing", "step"),
    [
        (a_fault(FaultKind.PATH, status=403), 1, Step.SAME_KEY),
        (a_fault(FaultKind.PATH, status=403), 2, Step.GIVE_UP),
        (a_fault(FaultKind.PATH, status=402), 1, Step.NEXT_KEY),
        (a_fault(FaultKind.PATH, status=403, scope=Scope.REQUEST), 1, Step.GIVE_UP),
        (a_fault(FaultKind.TRANSIENT), 1, Step.SAME_KEY),
        (a_fault(FaultKind.TRANSIENT), 2, Step.NEXT_KEY),
        (a_fault(FaultKind.TRANSIENT), 3, Step.GIVE_UP),
        (a_fault(FaultKind.REQUEST, max_output=9), 0, Step.SAME_KEY),
        (a_fault(FaultKind.REQUEST), 0, Step.GIVE_UP),
    ],
)
def test_the_next_step_follows_from_the_row(fault: Fault, passing: int, step: Step) -> None:
    assert next_step(fault, passing, clamped=False, policy=POLICY) is step


def test_an_output_limit_is_lowered_once() -> None:
    fault = a_fault(FaultKind.REQUEST, max_output=9)
    assert next_step(fault, 0, clamped=True, policy=POLICY) is Step.GIVE_UP
