"""What can be done in a conversation and with those that were kept."""

from typing import Final

from okr_tui.ui.action import CHAT, SAVED, Action

# Two lines for each action can be read as a table.
# fmt: off
CHAT_ACTIONS: Final[tuple[Action, ...]] = (
    Action(
        "send", ("enter",), "enter", "send", "send the prompt, or run the command that stands there",
        CHAT, owner="prompt", footer=("prompt", "cut", "compare"),
    ),
    Action(
        "new-line", ("shift+enter", "ctrl+j"), "^j", "new line", "a new line in the prompt",
        CHAT, owner="prompt", footer=("prompt",),
    ),
    Action(
        "continue-answer", ("ctrl+g",), "^g", "continue", "let an answer that was cut off go on",
        CHAT, owner="chat", footer=("cut",), run="app.continue_answer", title="chat: continue the answer",
    ),
    Action(
        "again-elsewhere", ("ctrl+r",), "^r", "other key", "ask the last question again on another key",
        CHAT, owner="chat", footer=("cut",), run="app.again_elsewhere", title="chat: on another key",
    ),
    Action(
        "keep-first", ("f2",), "F2", "keep first", "of two answers: go on with the first alone",
        CHAT, owner="chat", footer=("compare",), run="app.keep_side(0)", title="chat: go on with the first",
    ),
    Action(
        "keep-second", ("f3",), "F3", "keep second", "of two answers: go on with the second alone",
        CHAT, owner="chat", footer=("compare",), run="app.keep_side(1)", title="chat: go on with the second",
    ),
    Action(
        "edit-turn", ("w",), "enter w", "edit", "ask the selected question in other words, in a branch",
        CHAT, owner="turns", footer=("chat",), run="app.edit_turn", title="chat: edit the selected question",
    ),
    Action(
        "copy-turn", ("y",), "y", "copy", "copy the selected answer",
        CHAT, owner="turns", footer=("chat",), run="app.copy_turn", title="chat: copy the selected answer",
    ),
    Action(
        "copy-code", ("Y",), "Y", "copy code", "copy a code block of the selected answer",
        CHAT, owner="turns", footer=("chat",), run="app.copy_code", title="chat: copy a code block",
    ),
    Action(
        "branch-turn", ("b",), "b", "branch", "go on from the selected turn in a new conversation",
        CHAT, owner="turns", footer=("chat",), run="app.branch_turn",
        title="chat: branch after the selected turn",
    ),
    Action(
        "prompt", ("c",), "c", "chat", "go to the prompt",
        CHAT, owner="screen", footer=("chat",), title="chat: go to the prompt",
    ),
    Action(
        "new-chat", ("ctrl+n",), "^n", "new", "start a new conversation",
        CHAT, owner="screen", footer=("prompt",), title="chat: new conversation",
    ),
    Action(
        "conversations", ("ctrl+s",), "^s", "saved", "earlier conversations: find one, open it, change it",
        CHAT, owner="screen", footer=("prompt", "cut"), run="app.conversations",
        title="chat: earlier conversations",
    ),
    Action(
        "think-level", ("ctrl+l",), "^l", "think", "think more or less: the next level of the model",
        CHAT, owner="chat", footer=("prompt",), run="app.think_level", title="chat: next think level",
    ),
    Action(
        "thinking", ("ctrl+t",), "^t", "thoughts", "show or fold what models thought",
        CHAT, owner="screen", title="chat: show or fold thoughts",
    ),
    Action(
        "open-saved", ("enter",), "enter", "open", "open the selected conversation",
        SAVED, owner="saved", footer=("saved",),
    ),
    Action(
        "rename-saved", ("ctrl+r",), "^r", "rename", "give the selected conversation another title",
        SAVED, owner="saved", footer=("saved",),
    ),
    Action(
        "delete-saved", ("ctrl+d",), "^d", "delete", "delete the selected conversation",
        SAVED, owner="saved", footer=("saved",),
    ),
    Action(
        "undo-saved", ("ctrl+u",), "^u", "undo", "bring back the conversation that was deleted last",
        SAVED, owner="saved", footer=("saved",),
    ),
    Action(
        "export-saved", ("ctrl+e",), "^e", "export", "write the selected conversation to a file",
        SAVED, owner="saved", footer=("saved",),
    ),
    Action(
        "new-saved", ("ctrl+n",), "^n", "new", "leave the list for a new conversation",
        SAVED, owner="saved", footer=("saved",),
    ),
    Action(
        "leave-saved", ("escape",), "esc", "back", "leave the list of conversations",
        SAVED, owner="saved", footer=("saved",),
    ),
)
# fmt: on
