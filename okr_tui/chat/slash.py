"""The slash commands of the chat: one table for help, completion and those who carry them out."""

from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, tzinfo
from typing import Final, Literal

from okr_tui.chat.options import OPTION_NAMES, THINK_LEVELS
from okr_tui.domain.errors import OkrError
from okr_tui.domain.health import State
from okr_tui.domain.models import Model, listed_model
from okr_tui.domain.text import printable
from okr_tui.domain.values import dataclass
from okr_tui.domain.view import KeyView, PoolView
from okr_tui.domain.words import sentence
from okr_tui.services.service import Service, Snapshot

Argument = Literal[
    "", "model", "models", "key", "level", "option", "switch", "form", "path", "text", "command"
]

FORMS: Final = ("markdown", "json")
SWITCH: Final = ("on", "off")
PREFIX: Final = "ollama-"


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """A command. `usage` is its argument for people; `screen` says that the screen carries it out."""

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
    SlashCommand("help", "Show what can be typed here"),
    SlashCommand("new", "Start a new conversation", screen=True),
    SlashCommand("open", "Open another conversation", "text", "[WORDS]", screen=True),
    SlashCommand("rename", "Give the conversation a title", "text", "TITLE", screen=True),
    SlashCommand("delete", "Delete the conversation", screen=True),
    SlashCommand("undo", "Bring back the last deleted conversation", screen=True),
    SlashCommand("export", "Export the conversation to a file", "form", "[FORM] [PATH]", screen=True),
    SlashCommand("model", "Switch to another model", "model", "MODEL", screen=True),
    SlashCommand("compare", "Ask two models the next question", "models", "MODEL MODEL", screen=True),
    SlashCommand("again", "Ask the last question again, or with one key", "key", "[N]", screen=True),
    SlashCommand("other", "Ask the last question again on another account's key", screen=True),
    SlashCommand("continue", "Continue an answer that was cut off", screen=True),
    SlashCommand("edit", "Rephrase the last question", screen=True),
    SlashCommand("copy", "Copy a code block of the last answer", "text", "[N]", screen=True),
    SlashCommand("image", "Attach a picture to the next question", "path", "PATH", screen=True),
    SlashCommand("system", "Set the system prompt of the conversation", "text", "[TEXT]", screen=True),
    SlashCommand("set", "Set an option, or show all", "option", "[NAME VALUE]", screen=True),
    SlashCommand("think", "Set how much the model thinks", "level", "LEVEL", screen=True),
    SlashCommand("tools", "Let the model call tools, or stop it", "switch", "[on | off]", screen=True),
    SlashCommand("ollama-status", "Show cloud connection status and active key"),
    SlashCommand("ollama-models", "List all discovered cloud models"),
    SlashCommand("ollama-refresh", "Re-fetch the live model inventory"),
    SlashCommand("ollama-info", "Show details for a specific model", "model", "MODEL"),
    SlashCommand("ollama-keys", "Show masked key-pool status"),
    SlashCommand("ollama-rotate", "Rotate to the next key and persist the change"),
    SlashCommand("ollama-use-key", "Activate a specific key by 1-based index and persist", "key", "N"),
    SlashCommand("ollama", "The same commands, as /ollama status and so on", "command", "SUB"),
)
BY_NAME: Final = {command.name: command for command in COMMANDS}


def is_command(text: str) -> bool:
    """Whether a prompt is a command: it starts with a slash and a name, and is no path or several lines."""
    word = text.strip().partition(" ")[0]
    return text.startswith("/") and "\n" not in text.strip() and "/" not in word[1:] and len(word) > 1


def question_of(text: str) -> str:
    """Return the question of a prompt that is not a command: of two leading slashes the first is left out."""
    return text[1:] if text.startswith("//") else text


def as_typed(question: str) -> str:
    """Return the prompt that asks exactly this, though it may look like a command."""
    return f"/{question}" if is_command(question) or question.startswith("//") else question


def parse(text: str) -> tuple[str, str]:
    """Return a command's name in lower case and its argument; `/ollama SUB` is that of `/ollama-SUB`."""
    name, _, argument = text.strip().removeprefix("/").partition(" ")
    name, argument = name.lower(), argument.strip()
    if name == "ollama":
        sub, _, rest = argument.partition(" ")
        if f"{PREFIX}{sub}" in BY_NAME:
            return f"{PREFIX}{sub}", rest.strip()
    return name, argument


def help_lines() -> tuple[str, ...]:
    """Return a line for each command, aligned."""
    width = max(len(command.line) for command in COMMANDS)
    return tuple(f"{command.line:<{width}}  {command.help}" for command in COMMANDS)


def complete(
    text: str, models: Sequence[str] = (), keys: int = 0, levels: Sequence[str] = tuple(THINK_LEVELS)
) -> tuple[str, ...]:
    """Return what a prompt that starts with a slash may become, as whole prompts, the likely first.

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
    """Return what may follow the words that are complete."""
    if command.argument == "models":
        return [model for model in models if model not in done] if len(done) < 2 else ()
    if command.argument == "option" and len(done) == 1:
        return {"think": levels, "tools": SWITCH}.get(done[0], ())
    if done:
        return ()
    subs = [each.name.removeprefix(PREFIX) for each in COMMANDS if each.name.startswith(PREFIX)]
    return {
        "model": models,
        "key": [str(index) for index in range(1, keys + 1)],
        "level": levels,
        "option": OPTION_NAMES,
        "switch": SWITCH,
        "form": FORMS,
        "command": subs,
    }.get(command.argument, ())


def _matching(words: Sequence[str], start: str) -> list[str]:
    """Return the words that begin with `start`, then those that contain it."""
    start = start.lower()
    first = [word for word in words if word.lower().startswith(start)]
    return first + [word for word in words if start in word.lower() and word not in first]


Level = Literal["info", "success", "error"]

TEXT_LONGEST: Final = 20_000
ARGUMENT_LONGEST: Final = 80


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command shows: plain text of at most TEXT_LONGEST characters, never to be read as markup."""

    text: str
    level: Level = "info"


@dataclass(frozen=True, slots=True)
class ScreenRequest:
    """A command that the screen carries out; `name` is one of COMMANDS, `argument` as typed."""

    name: str
    argument: str


Outcome = CommandResult | ScreenRequest
Work = Callable[[Service, str, tzinfo], Coroutine[None, None, CommandResult]]


async def carry_out(service: Service, text: str, zone: tzinfo = UTC) -> Outcome:
    """Carry out a prompt that is a command. What cannot be done becomes an error text; nothing is raised."""
    name, argument = parse(text)
    command = BY_NAME.get(name)
    if command is not None and command.screen:
        return ScreenRequest(name, argument)
    if name == "ollama":
        return _bounded(_subcommands())
    work = WORK.get(name)
    if work is None:
        return CommandResult(f"There is no command /{_short(name)}; /help lists them", "error")
    try:
        return _bounded(await work(service, argument, zone))
    except OkrError as error:
        return _bounded(CommandResult(str(error), "error"))


def status_text(snapshot: Snapshot, zone: tzinfo, start_gateway: str = "") -> str:
    """Answer `ollama-status`; `start_gateway` says how to start a gateway that does not run."""
    pool, gateway = snapshot.pool, snapshot.gateway
    counts = ", ".join(f"{count} {state.value}" for state, count in pool.counts.items())
    if gateway.url is not None:
        where = "in another process" if gateway.elsewhere else "here"
        runs = f"{gateway.url} ({where}); `okr-tui connect CLIENT` shows how to use it"
    else:
        runs = gateway.error or "; ".join(["not running", *([start_gateway] if start_gateway else [])])
    lines = [
        "🦙 Ollama Cloud Status",
        f"Keys: ✅ {len(pool.keys)} configured ({counts})" if pool.keys else "Keys: ❌ none configured",
        f"Active key: {_active(pool, snapshot.at, zone)}",
        f"Models: {len(_listed(snapshot))}",
        f"URL: {snapshot.settings.cloud_url}",
        f"Gateway: {runs}",
        *(f"Problem: {problem}" for problem in snapshot.problems),
    ]
    return "\n".join(lines)


def models_text(snapshot: Snapshot, zone: tzinfo, words: str = "") -> str:
    """Answer `ollama-models`: the models that have all words."""
    models = [model for model in _listed(snapshot) if model.matches(words)]
    if not models:
        return "No model matches." if words else "No cloud models are currently available."
    active = _active(snapshot.pool, snapshot.at, zone)
    header = f"☁️ Cloud ({len(models)}) — active key {active}"
    return "\n".join([header, *(model.display for model in models)])


def keys_text(snapshot: Snapshot, zone: tzinfo) -> str:
    """Answer `ollama-keys`: every key with its health, and why the active one is active."""
    pool = snapshot.pool
    lines = [
        "🔑 Ollama Cloud Key Pool",
        f"Total: {len(pool.keys)}",
        f"Active: {_active(pool, snapshot.at, zone)}",
        *(_key(row, pool, snapshot.at, zone) for row in pool.keys),
        *([pool.why] if pool.why else []),
    ]
    return "\n".join(lines)


def _listed(snapshot: Snapshot) -> list[Model]:
    """Return the models that the cloud lists now."""
    return [row.model for row in snapshot.models.rows if row.model.status == "listed"]


async def _status(service: Service, _: str, zone: tzinfo) -> CommandResult:
    return CommandResult(status_text(service.snapshot, zone))


async def _models(service: Service, words: str, zone: tzinfo) -> CommandResult:
    return CommandResult(models_text(service.snapshot, zone, words))


async def _refresh(service: Service, _: str, __: tzinfo) -> CommandResult:
    return CommandResult(await service.refresh_models(), "success")


async def _info(service: Service, name: str, _: tzinfo) -> CommandResult:
    if not name:
        return CommandResult("Usage: /ollama-info MODEL", "error")
    models = service.snapshot.models
    model = listed_model((row.model for row in models.rows), name)
    if model is None:
        cause = f" ({models.error})" if models.error else ""
        return CommandResult(
            f"Model not found: {_short(name)}{cause}; /ollama-refresh reads the list again", "error"
        )
    return CommandResult(
        "\n".join([model.display, *(f"{title}: {value}" for title, value in _details(model))])
    )


def _details(model: Model) -> list[tuple[str, str]]:
    known = model.capabilities is not None
    return [
        ("Source", "☁️ Ollama Cloud" if model.status == "listed" else "gone from Ollama Cloud"),
        ("Parameters", model.parameters_text or "unknown"),
        ("Context", f"{model.context_length:,} tokens" if model.context_length else "unknown"),
        ("Vision", ("✅" if model.can("vision") else "❌") if known else "unknown"),
        ("Thinking", model.thinking_text),
        ("Family", model.family or "unknown"),
        ("Capabilities", ", ".join(model.capabilities or ()) or "unknown"),
    ]


async def _keys(service: Service, _: str, zone: tzinfo) -> CommandResult:
    if not service.snapshot.pool.keys:
        return CommandResult("🔑 Ollama Cloud Key Pool\nTotal: 0; add one in the Keys pane", "error")
    return CommandResult(keys_text(service.snapshot, zone))


def _key(row: KeyView, pool: PoolView, now: float, zone: tzinfo) -> str:
    mark = "👉" if row.index == pool.active else "  "
    label = f" {row.label}" if row.label else ""
    return (
        f"{mark} #{row.index} {row.masked}{label} {row.state.traits.glyph} {sentence(row.verdict, now, zone)}"
    )


def _active(pool: PoolView, now: float, zone: tzinfo) -> str:
    if pool.active is None:
        return "(none)"
    row = pool.keys[pool.active - 1]
    health = "" if row.state is State.READY else f", {sentence(row.verdict, now, zone)}"
    return f"#{row.index} {row.masked}{health}"


async def _rotate(service: Service, _: str, __: tzinfo) -> CommandResult:
    result = await service.rotate()
    return CommandResult(result, "info" if result.startswith("nothing") else "success")


async def _use_key(service: Service, argument: str, _: tzinfo) -> CommandResult:
    digits = argument.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        return CommandResult("Usage: /ollama-use-key N", "error")
    index = int(argument) if len(digits) < 10 else 0
    if not 1 <= index <= len(service.snapshot.pool.keys):
        return CommandResult(f"Invalid key index: {_short(argument)}", "error")
    return CommandResult(await service.use_key(index), "success")


async def _help(_: Service, __: str, ___: tzinfo) -> CommandResult:
    return CommandResult("\n".join(help_lines()))


def _subcommands() -> CommandResult:
    """Return what `/ollama` shows alone, or with an unknown word."""
    lines = [
        f"/ollama {command.line.removeprefix(f'/{PREFIX}')}  {command.help}"
        for command in COMMANDS
        if command.name.startswith(PREFIX)
    ]
    return CommandResult("\n".join(lines))


WORK: Final[dict[str, Work]] = {
    "ollama-status": _status,
    "ollama-models": _models,
    "ollama-refresh": _refresh,
    "ollama-info": _info,
    "ollama-keys": _keys,
    "ollama-rotate": _rotate,
    "ollama-use-key": _use_key,
    "help": _help,
}


def _short(text: str) -> str:
    return printable(text, ARGUMENT_LONGEST)


def _bounded(result: CommandResult) -> CommandResult:
    if len(result.text) <= TEXT_LONGEST:
        return result
    return CommandResult(f"{result.text[:TEXT_LONGEST]}…", result.level)
