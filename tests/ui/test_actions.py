"""The table of actions: everything that derives from it fits and is reachable."""

import pytest
from rich.cells import cell_len
from textual.binding import Binding

from okr_tui.ui.actions import ACTIONS, Place, bindings, offered
from okr_tui.ui.commands import Commands
from okr_tui.ui.screens.dashboard import PLACES, Dashboard
from okr_tui.ui.widgets.footer import MOST, chosen
from okr_tui.ui.widgets.models import Filter
from okr_tui.ui.widgets.prompt import Prompt
from okr_tui.ui.widgets.rows import RowList

OWNERS = {"app": Commands, "screen": Dashboard, "list": RowList, "prompt": Prompt, "filter": Filter}


def test_every_action_exists_on_its_owner() -> None:
    for action in ACTIONS:
        name = action.command.partition("(")[0]
        assert hasattr(OWNERS[action.owner], f"action_{name}"), action.id


def test_no_key_means_two_things_in_one_place() -> None:
    for owner in ("prompt", "filter"):
        keys = [binding.key for binding in bindings(owner)]
        assert len(keys) == len(set(keys))
    together: list[Binding] = [*bindings("app"), *bindings("screen"), *bindings("list")]
    keys = [binding.key for binding in together]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("place", sorted(set(PLACES.values())))
def test_the_footer_fits_and_is_never_cut(place: Place) -> None:
    assert 0 < len(offered(place)) <= MOST
    assert len(chosen(place, 78)) == len(offered(place))
    for width in (58, 40):
        line = "  ".join(f"{key} {action.label}" for key, action in chosen(place, width))
        assert cell_len(line) <= width
        assert offered(place)[-1] in [action for _, action in chosen(place, width)]


def test_the_help_fits_eighty_columns() -> None:
    for action in ACTIONS:
        assert len(action.shown) <= 10
        assert len(action.tooltip) <= 56, action.tooltip
