"""The slash commands of the chat: one table for help, completion and those who carry them out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from okr_tui.domain.chat_options import OPTION_NAMES, THINK_LEVELS

Argument = Literal[
    "", "model", "models", "key", "level", "option", "switch", "form", "path", "text", "command"
]

FORMS: Final = ("markdown", "json")
SWITCH: Final = ("on", "off")
PREFIX: Final = "ollama-"


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """A command. `usage` is its argument for people; `screen` says that the front carries it out."""

    name: str
    help: str
    argument: Argument = ""
    usage: str = ""
    screen: bool = False

    @property
    def line(self) -> str:
        """The command as it is typed: "/ollama-info MODEL"."""
        return f"/{self.name} {self.usage}".rstrip()


COMMANDS: Final = (
    SlashCommand("ollama-status", "Show cloud connection status and active key"),
    SlashCommand("ollama-models", "List all discovered cloud models"),
    SlashCommand("ollama-refresh", "Re-fetch the live model inventory"),
    SlashCommand("ollama-info", "Show details for a specific model", "model", "MODEL"),
    SlashCommand("ollama-keys", "Show masked key-pool status"),
    SlashCommand("ollama-rotate", "Rotate to the next key and persist the change"),
    SlashCommand("ollama-use-key", "Activate a specific key by 1-based index and persist", "key", "N"),
    SlashCommand("ollama", "The same commands, as /ollama status and so on", "command", "SUB"),
    SlashCommand("help", "What can be typed here"),
    SlashCommand("new", "Begin a new conversation", screen=True),
    SlashCommand("open", "Open another conversation", "text", "[WORDS]", screen=True),
    SlashCommand("rename", "Give the conversation a title", "text", "TITLE", screen=True),
    SlashCommand("delete", "Delete the conversation", screen=True),
    SlashCommand("undo", "Bring the conversation deleted last back", screen=True),
    SlashCommand("export", "Write the conversation to a file", "form", "[FORM] [PATH]", screen=True),
    SlashCommand("model", "Talk to another model from now on", "model", "MODEL", screen=True),
    SlashCommand("compare", "Ask the next question of two models", "models", "MODEL MODEL", screen=True),
    SlashCommand("again", "Ask the last question again, or with one key", "key", "[N]", screen=True),
    SlashCommand("other", "Ask the last question again with another account's key", screen=True),
    SlashCommand("continue", "Let a cut-off answer go on", screen=True),
    SlashCommand("edit", "Ask the last question in other words", screen=True),
    SlashCommand("copy", "Copy a code block of the last answer", "text", "[N]", screen=True),
    SlashCommand("image", "Send a picture along with the next question", "path", "PATH", screen=True),
    SlashCommand("system", "What the model is told before all else", "text", "[TEXT]", screen=True),
    SlashCommand("set", "Set an option; alone, show them", "option", "[NAME VALUE]", screen=True),
    SlashCommand("think", "How much the model thinks", "level", "LEVEL", screen=True),
    SlashCommand("tools", "Let the model call tools, or not", "switch", "[on | off]", screen=True),
)
BY_NAME: Final = {command.name: command for command in COMMANDS}


def is_command(text: str) -> bool:
    """Whether a prompt is a command: it starts with a slash and a name, and is no path or several lines."""
    word = text.strip().partition(" ")[0]
    return text.startswith("/") and "\n" not in text.strip() and "/" not in word[1:] and len(word) > 1


def question_of(text: str) -> str:
    """What is asked by a prompt that is no command: of two slashes at its beginning the first is left out."""
    return text[1:] if text.startswith("//") else text


def as_typed(question: str) -> str:
    """The prompt that asks exactly this, though it may look like a command."""
    return f"/{question}" if is_command(question) or question.startswith("//") else question


def parse(text: str) -> tuple[str, str]:
    """A command's name in lower case, and its argument; `/ollama SUB` is `/ollama-SUB` if there is one."""
    name, _, argument = text.strip().removeprefix("/").partition(" ")
    name, argument = name.lower(), argument.strip()
    if name == "ollama":
        sub, _, rest = argument.partition(" ")
        if f"{PREFIX}{sub}" in BY_NAME:
            return f"{PREFIX}{sub}", rest.strip()
    return name, argument


def help_lines() -> tuple[str, ...]:
    """A line for each command, aligned."""
    width = max(len(command.line) for command in COMMANDS)
    return tuple(f"{command.line:<{width}}  {command.help}" for command in COMMANDS)


def complete(
    text: str, models: Sequence[str] = (), keys: int = 0, levels: Sequence[str] = tuple(THINK_LEVELS)
) -> tuple[str, ...]:
    """What a prompt that starts with a slash may go on to, as whole prompts, the likely first.

    models: the names in the list; keys: how many there are; levels: those the present model takes.
    """
    if not text.startswith("/") or "\n" in text:
        return ()
    name, blank, argument = text[1:].partition(" ")
    if not blank:
        found = [command for command in COMMANDS if command.name.startswith(name.lower())]
        return tuple(f"/{command.name}{' ' if command.argument else ''}" for command in found)
    command = BY_NAME.get(name.lower())
    if command is None:
        return ()
    done, _, word = argument.rpartition(" ")
    head = f"/{command.name} {f'{done} ' if done else ''}"
    words = _words(command, done.split(), models, keys, levels)
    return tuple(head + candidate for candidate in _matching(words, word))


def _words(
    command: SlashCommand, done: Sequence[str], models: Sequence[str], keys: int, levels: Sequence[str]
) -> Sequence[str]:
    """What may stand behind the words that are done."""
    if command.argument == "models":
        return [model for model in models if model not in done] if len(done) < 2 else ()
    if command.argument == "option" and len(done) == 1:
        return {"think": levels, "tools": SWITCH}.get(done[0], ())
    if done:
        return ()
    subs = [each.name.removeprefix(PREFIX) for each in COMMANDS if each.name.startswith(PREFIX)]
    return {
        "model": models,
        "key": [str(place) for place in range(1, keys + 1)],
        "level": levels,
        "option": OPTION_NAMES,
        "switch": SWITCH,
        "form": FORMS,
        "command": subs,
    }.get(command.argument, ())


def _matching(words: Sequence[str], start: str) -> list[str]:
    """Those that begin with it, then those that hold it."""
    start = start.lower()
    first = [word for word in words if word.lower().startswith(start)]
    return first + [word for word in words if start in word.lower() and word not in first]
