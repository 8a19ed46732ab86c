"""The numbers of the policy can be changed one by one, and a wrong one never breaks the rest."""

from pathlib import Path

import pytest

from okr_tui.domain.policy import Policy
from tests.settings.settings_home import Home, messages


def override(tmp_path: Path, values: object) -> tuple[Policy, list[str]]:
    """The policy with these values, and what is wrong with them."""
    home = Home(tmp_path)
    home.runtime = {"policy": values}
    settings = home.load()
    return settings.policy, messages(settings)


def test_nothing_overridden_is_the_default(tmp_path: Path) -> None:
    assert override(tmp_path, {}) == (Policy(), [])


def test_numbers_are_overridden_by_name(tmp_path: Path) -> None:
    policy, refused = override(tmp_path, {"shaky": 5, "slots": {"pro": 7}, "slowed_steps": [1, 2]})
    assert (policy.shaky, policy.slots, policy.slowed_steps, refused) == (5, {"pro": 7}, (1, 2), [])
    assert policy.sends == Policy().sends


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shaky", -1),
        ("shaky", "soon"),
        ("shaky", "5"),
        ("sends", True),
        ("slowed_steps", [1, True]),
        ("slots", {"pro": "2"}),
        ("shaky", float("inf")),
        ("shaky", float("nan")),
        ("sends", 0),
        ("sends", 1.5),
        ("spent_steps", []),
        ("slowed_steps", [0]),
        ("spent_jitter", [20]),
        ("spent_jitter", [-1, 5]),
        ("slots", {"pro": 0}),
        ("poll_jitter", 1),
        ("shaky", None),
        # Ten readings of a balance a minute are all that the cloud allows.
        ("poll_gap", 9),
        ("poll_gap", 0.0001),
        ("poll_shown", [0.01, 0.01]),
        ("poll_shown", [60, 1]),
        ("poll_idle", [0.01, 0.01]),
        ("identity_every", 0.001),
        ("identity_every", 60),
        # Memory and time have an end.
        ("held_back", 10**15),
        ("first_byte", 1e9),
        ("longest_block", 0.001),
        ("longest_block", 1e12),
        ("slots", {"free": 10**9}),
        ("slots", {str(number): 1 for number in range(51)}),
        ("slots_unknown", 10**9),
        ("queue_longest", 10**9),
        ("slowed_steps", [1] * 51),
        ("idle", 3601),
        ("sends", 51),
        ("transient_sends", 10**6),
        ("unknown_headroom", 2),
        ("spent_free_percent", 101),
    ],
)
def test_wrong_number_is_refused_by_name_and_the_default_stays(
    tmp_path: Path, name: str, value: object
) -> None:
    policy, refused = override(tmp_path, {name: value, "no_plan": 60})
    assert policy == Policy(no_plan=60)
    assert len(refused) == 1
    assert f"policy.{name} is ignored: " in refused[0]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("sends", 1.5, "it must be a whole number"),
        ("held_back", 1e20, "it is too large"),
        ("spent_steps", [], "it must hold at least 1"),
        ("spent_steps", [1] * 99, "it must hold at most 50"),
        ("spent_steps", 5, "it must be a list of numbers"),
        ("spent_jitter", [20], "it must hold more numbers"),
        ("slots", 5, "it must be an object of names and numbers"),
    ],
)
def test_what_is_wrong_with_a_number_is_reported_in_words(
    tmp_path: Path, name: str, value: object, words: str
) -> None:
    _, refused = override(tmp_path, {name: value})
    assert [line.endswith(f"policy.{name} is ignored: {words}") for line in refused] == [True]


def test_a_number_that_no_policy_has_is_called_so(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.user(ours={"policy": {"unheard_of": 1, "send": 1}})
    assert messages(home.load()) == [
        "policy.unheard_of is ignored: there is no such setting",
        "policy.send is ignored: there is no such setting; did you mean sends?",
    ]
