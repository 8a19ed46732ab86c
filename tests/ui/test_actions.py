"""The table of actions: everything that derives from it fits and is reachable."""

from typing import cast

import pytest
from rich.cells import cell_len
from textual.binding import Binding

from okr_tui.ui.actions import ACTIONS, FooterContext, Owner, bindings, offered
from okr_tui.ui.app import OkrApp
from okr_tui.ui.chat.composer import Prompt
from okr_tui.ui.chat.dialogs import SearchInput
from okr_tui.ui.chat.pane import ChatPane
from okr_tui.ui.chat.transcript import Transcript
from okr_tui.ui.keymap import SHARED
from okr_tui.ui.screens.dashboard import FOOTER_CONTEXTS, Dashboard
from okr_tui.ui.screens.dialogs import Dialog
from okr_tui.ui.screens.key_details import KeyDetails
from okr_tui.ui.screens.settings import SettingsScreen
from okr_tui.ui.screens.usage import UsageScreen
from okr_tui.ui.widgets.banner import Broken
from okr_tui.ui.widgets.footer import MOST, chosen
from okr_tui.ui.widgets.keys import KeysPane
from okr_tui.ui.widgets.live import FeedList, Filter
from okr_tui.ui.widgets.models import ModelTable
from okr_tui.ui.widgets.rows import RowList

OWNERS = {
    "app": OkrApp,
    "screen": Dashboard,
    "list": RowList,
    "pool": KeysPane,
    "keys": KeysPane,
    "prompt": Prompt,
    "filter": Filter,
    "settings": SettingsScreen,
    "dialog": Dialog,
    "models": ModelTable,
    "live": FeedList,
    "key": KeyDetails,
    "chat": ChatPane,
    "turns": Transcript,
    "saved": SearchInput,
    "broken": Broken,
    "usage": UsageScreen,
}
SOMETIMES = {"undo", "make-file-private", "answer-trust", "maximise"}
"""What the footer offers only while there is something for it."""


def test_every_action_exists_on_its_owner() -> None:
    for action in ACTIONS:
        space = action.command.partition(".")[0]
        owner = {"app": OkrApp, "screen": Dashboard}.get(space, OWNERS[action.owner])
        assert hasattr(owner, f"action_{action.name}"), action.id


def test_no_key_means_two_things_in_one_context() -> None:
    for owner in ("prompt", "filter", "settings", "dialog", "live", "key", "saved", "usage"):
        keys = [binding.key for binding in bindings(owner)]
        assert len(keys) == len(set(keys))
    for pane in ("pool", "models", "turns"):
        owners = (*SHARED, pane, *(("keys",) if pane == "pool" else ()))
        together: list[Binding] = [binding for each in owners for binding in bindings(cast(Owner, each))]
        keys = [binding.key for binding in together]
        # Without keys there is none to remove, and only then there is a demo.
        if pane == "pool":
            keys.remove("d")
        if pane in ("pool", "turns"):
            keys.remove("slash")  # elsewhere it is the models' filter
        assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    "context", sorted({*FOOTER_CONTEXTS.values(), "settings", "key", "cut", "compare", "saved"})
)
def test_the_footer_fits_and_is_never_cut(context: FooterContext) -> None:
    always = [action for action in offered(context) if action.id not in SOMETIMES]
    assert 0 < len(always) <= MOST
    assert len(chosen(always, context, 78)) == len(always)
    for actions in (always, offered(context)):
        for width in (78, 58, 40):
            fitting = chosen(actions, context, width)
            line = "  ".join(f"{key} {action.label}" for key, action in fitting)
            assert cell_len(line) <= width
            assert len(fitting) <= MOST
            assert actions[-1] in [action for _, action in fitting]


def test_the_help_fits_eighty_columns() -> None:
    for action in ACTIONS:
        assert len(action.shown) <= 10
        assert len(action.tooltip) <= 56, action.tooltip
