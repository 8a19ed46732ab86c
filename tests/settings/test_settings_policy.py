"""The numbers of the policy can be changed one by one, and a wrong one never breaks the rest."""

import pytest

from okr_tui.domain.policy import Policy
from okr_tui.settings.policy import override


def test_nothing_overridden_is_the_default() -> None:
    assert override({}) == (Policy(), ())


def test_numbers_are_overridden_by_name() -> None:
    policy, refused = override({"shaky": 5, "slots": {"pro": 7}, "slowed_steps": [1, 2]})
    assert (policy.shaky, policy.slots, policy.slowed_steps, refused) == (5, {"pro": 7}, (1, 2), ())
    assert policy.sends == Policy().sends


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shaky", -1),
        ("shaky", "soon"),
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
    ],
)
def test_wrong_number_is_refused_by_name_and_the_default_stays(name: str, value: object) -> None:
    policy, refused = override({name: value, "no_plan": 60})
    assert policy == Policy(no_plan=60)
    assert len(refused) == 1
    assert refused[0].startswith(f"okr-tui.policy.{name}: ")
    assert refused[0].endswith("; the default is used")


def test_a_number_that_no_policy_has_is_called_so() -> None:
    _, refused = override({"unheard_of": 1})
    assert refused == ("okr-tui.policy.unheard_of: there is no such setting; it is not used",)
