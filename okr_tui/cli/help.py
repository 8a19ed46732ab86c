"""`okr-tui help`, and the examples and exit codes that each verb's help and README show."""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import click

from okr_tui.cli.invocation import json_option
from okr_tui.cli.output import show_document, show_text, table

EXIT_CODES: Final[Mapping[int, str]] = {
    0: "done",
    1: "failed: one line says what failed and what to do",
    2: "usage error: an option or argument cannot be used",
    3: "no key is configured",
    4: "every key is blocked; the message says when the first is back",
    130: "interrupted",
}
VERB_CODES: Final[Mapping[str, str]] = {
    "status": "3 or 4 only with --exit-code",
    "models": "1 when no list could be read and none is known",
    "keys": "1 when --check could not read a key, or one is refused; 3 or 4 only with --exit-code",
    "explain": "3 or 4 only with --exit-code",
    "chat": "3 no key, 4 every key blocked",
    "rotate": "3 no key, 4 every key blocked",
    "add-key": "1 when it is not a key, is in the pool already, or is refused by the cloud",
    "doctor": "1 when something is not in effect or cannot work",
    "test-key": "1 when the key cannot be read or is refused",
    "serve": "1 when a port cannot be used or the server fails; 0 after SIGTERM",
}
EXAMPLES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "status": (
        ("okr-tui status --line", "one line for a status bar"),
        ("okr-tui status --json | jq .keys", "counts of keys by state"),
    ),
    "keys": (
        ("okr-tui keys --check", "read every account first"),
        ("okr-tui keys --json --exit-code >/dev/null", "whether a key is usable, by the exit code"),
    ),
    "models": (
        ("okr-tui models gpt", "models whose names contain gpt"),
        ("okr-tui models --json | jq -r '.models[].id'", "names for a script"),
    ),
    "refresh": (("okr-tui refresh", "after the cloud has new models"),),
    "info": (("okr-tui info gpt-oss:20b", "everything about one model"),),
    "chat": (
        ('git diff | okr-tui chat gpt-oss:20b "what changed?"', "standard input and a question"),
        ("okr-tui chat gpt-oss:20b --think high --json < question.txt", "lines of JSON, the summary last"),
    ),
    "conversations": (("okr-tui conversations search tides", "conversations with that word"),),
    "conversations list": (("okr-tui conversations list --limit 5", "the five used last"),),
    "conversations search": (("okr-tui conversations search moon tides", "with both words"),),
    "conversations show": (("okr-tui conversations show 3f2a", "by the beginning of its ID"),),
    "conversations export": (
        ("okr-tui conversations export 3f2a tides.md", "as Markdown"),
        ("okr-tui conversations export 3f2a tides.json --json", "to import it elsewhere"),
    ),
    "conversations import": (("okr-tui conversations import - < tides.json", "as a new conversation"),),
    "conversations delete": (("okr-tui conversations delete 3f2a", "by the beginning of its ID"),),
    "explain": (
        ("okr-tui explain gpt-oss:20b", "which key is next for this model, and why"),
        ("okr-tui explain --if-fails 1", "what would happen if key 1 were spent"),
    ),
    "events": (
        ("okr-tui events --faults --since 2h", "what went wrong in two hours"),
        ("okr-tui events --follow --json | jq -c .", "as it happens"),
    ),
    "usage": (
        ("okr-tui usage --by model --since 7d", "tokens by model"),
        ("okr-tui usage --by day --csv > usage.csv", "for a spreadsheet"),
    ),
    "rotate": (("okr-tui rotate", "prefer the next key that can be used"),),
    "use-key": (("okr-tui use-key 2", "prefer key 2, here and in every process"),),
    "add-key": (
        ("okr-tui add-key --label work", "type the key at a hidden prompt"),
        ("pass ollama/work | okr-tui add-key --label work", "pipe it in"),
        ("okr-tui add-key --no-check < key.txt", "without asking the cloud about it"),
    ),
    "remove-key": (("okr-tui remove-key 3 --yes", "without being asked"),),
    "label-key": (("okr-tui label-key 2 work", "give key 2 the label work"),),
    "import-keys": (
        ("okr-tui import-keys", "from pi's auth.json"),
        ("okr-tui import-keys .env", "from another program's file"),
        ("pass ollama/all | okr-tui import-keys -", "several keys, one per line"),
    ),
    "enable-key": (("okr-tui enable-key 2", "use key 2 again"),),
    "disable-key": (("okr-tui disable-key 2", "leave key 2 out for now"),),
    "test-key": (("okr-tui test-key 1", "read its identity and quota, at no cost"),),
    "reset-key": (("okr-tui reset-key 2", "after its quota was raised"),),
    "serve": (
        ("okr-tui serve --port 0", "on a free port"),
        ("okr-tui serve --print-unit systemd", "a unit that keeps it running"),
    ),
    "connect": (
        ("okr-tui connect", "the list of clients"),
        ("okr-tui connect codex --write", "let Codex use the gateway; --undo puts its file back"),
    ),
    "token": (("okr-tui token add laptop", "a token for one machine, printed once"),),
    "token list": (("okr-tui token list", "who has a token"),),
    "token add": (
        ("okr-tui token add laptop --tokens-per-day 2000000", "with a limit"),
        ("okr-tui token add ci --model 'gpt-oss*'", "for some models only"),
    ),
    "token rotate": (
        ("okr-tui token rotate laptop", "replace one that leaked"),
        ("okr-tui token rotate", "replace the shared one"),
    ),
    "token revoke": (("okr-tui token revoke laptop", "which ends it at once"),),
    "trust": (
        ("okr-tui trust", "the .pi/settings.json of this folder counts"),
        ("okr-tui trust --revoke", "it no longer counts"),
    ),
    "doctor": (
        ("okr-tui doctor --fix", "apply the safe fixes"),
        ("okr-tui doctor --offline --json", "for a script, sending nothing"),
    ),
    "paths": (("okr-tui paths --json | jq -r .state", "the state folder, for a script"),),
    "config": (
        ("okr-tui config set strategy drain", "write a setting where it takes effect"),
        ("okr-tui config get gateway.port", "print the value in effect"),
        ("okr-tui config schema > okr-tui.schema.json", "for an editor"),
    ),
    "config list": (("okr-tui config list", "every setting, and where it comes from"),),
    "config get": (("okr-tui config get gateway.port", "the value in effect"),),
    "config set": (
        ("okr-tui config set gateway.port 11500", "a number"),
        ("okr-tui config set hooks.spent 'notify-send spent'", "a text"),
    ),
    "config unset": (("okr-tui config unset theme", "back to the default"),),
    "config export": (("okr-tui config export > settings.json", "for another machine, without keys"),),
    "config schema": (("okr-tui config schema > okr-tui.schema.json", "for an editor"),),
    "completion": (
        ('eval "$(okr-tui completion bash)"', "in ~/.bashrc; the same for zsh in ~/.zshrc"),
        ("okr-tui completion fish > ~/.config/fish/completions/okr-tui.fish", "for fish"),
    ),
    "purge": (("okr-tui purge", "show what would be removed, and ask"),),
    "help": (
        ("okr-tui help config set", "the help of a verb"),
        ("okr-tui help settings", "the help of a topic"),
    ),
    "demo": (("okr-tui demo --scenario outage", "the dashboard while the simulated cloud is down"),),
}


def add_epilogs(verb: str, command: click.Command) -> None:
    """Let the help of a verb, and of those below it, end with examples and exit codes."""
    command.epilog = _epilog(verb)
    for name, inner in command.commands.items() if isinstance(command, click.Group) else ():
        add_epilogs(f"{verb} {name}", inner)


def _epilog(verb: str) -> str:
    lines = []
    if examples := EXAMPLES.get(verb):
        lines = ["\b", "Examples:"]
        for command, what in examples:
            lines += [f"  {command}", f"      {what}"]
        lines.append("")
    return "\n".join([*lines, "\b", "Exit codes:", *(f"  {line}" for line in _codes(verb))])


def _codes(verb: str) -> Iterator[str]:
    if own := VERB_CODES.get(verb):
        yield own
    yield "0 done, 1 failed, 2 usage, 130 interrupted"


def _settings() -> Iterator[str]:
    from okr_tui.settings.table import ANY, GROUPS, OURS, TABLE

    rows = [
        (row.name if row.section != OURS else f"{OURS}.{row.name}", row.words) for row in TABLE if row.words
    ]
    groups = [(f"{OURS}.{name}.{ANY}", words) for name, words in GROUPS.items()]
    yield "The global file is pi's settings.json; okr-tui paths shows where. okr-tui config lists the values."
    yield ""
    for name, words in sorted({**dict(groups), **dict(rows)}.items()):
        yield name
        yield f"    {words.replace('`', '')}"


def _environment() -> Iterator[str]:
    from okr_tui.settings.table import OURS, TABLE

    yield "Precedence: the command line, the environment, the project's file, the global file."
    yield ""
    rows = [(row.variable, f"{'okr-tui.' if row.section == OURS else ''}{row.name}") for row in TABLE]
    yield from table(
        [
            *((variable, f"the setting {name}") for variable, name in rows if variable),
            ("OKR_TUI_SETTINGS", "the global settings file, like --settings"),
            ("PI_CODING_AGENT_DIR", "the folder of pi's files, with settings.json"),
            ("XDG_STATE_HOME", "the folder that holds the state folder"),
            ("HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY", "proxies on the way to the cloud"),
            ("SSL_CERT_FILE, SSL_CERT_DIR", "trusted certificates"),
            ("NO_COLOR", "no colours in the dashboard"),
        ]
    )


def _exit_codes() -> Iterator[str]:
    yield from table((str(code), words) for code, words in EXIT_CODES.items())
    yield ""
    yield from table(VERB_CODES.items())


def _json() -> Iterator[str]:
    yield 'Every verb but demo, serve and connect takes --json: one document, with "schema": 1.'
    yield "events and chat write one document per line; the last line of chat is the summary."
    yield f"The JSON Schema of each is in {Path(__file__).parent / 'schemas'}."
    yield "Fields may be added to a document; none is changed or removed. Times are RFC 3339 in UTC."
    yield "A failure is one line on standard error, an exit code, and in place of a result one document on"
    yield 'standard output: "error", "code", "remedy", and "until" where every key is blocked.'


def _references() -> Iterator[str]:
    yield 'An entry of apiKeys is a key, or a reference to one; {"key": ..., "label": ...} gives it a label.'
    yield ""
    yield from table(
        [
            ("$NAME, ${NAME}", "an environment variable"),
            ("!command", "what a command prints, without a shell, within 10 s"),
            ("keyring:NAME", "an entry of the system's secret store (extra keyring)"),
        ]
    )
    yield ""
    yield "A reference that gives no key stays in the pool as missing, so that key numbers do not shift."


TOPICS: Final[Mapping[str, tuple[str, Callable[[], Iterator[str]]]]] = {
    "settings": ("every setting, explained", _settings),
    "environment": ("the variables that are read", _environment),
    "references": ("the ways to write a key", _references),
    "exit-codes": ("what the exit codes mean", _exit_codes),
    "json": ("what scripts may rely on", _json),
}


@click.command("help")
@click.argument("topic", nargs=-1)
@json_option
@click.pass_context
def help(context: click.Context, topic: tuple[str, ...], *, as_json: bool) -> None:  # noqa: A001 the verb's name
    """Show the help of a verb or a topic.

    Without TOPIC, list them.
    """
    parent = context.find_root()
    root = parent.command
    assert isinstance(root, click.Group)
    if not topic and as_json:
        commands = ((name, root.get_command(parent, name)) for name in root.list_commands(parent))
        verbs = {name: command.get_short_help_str(200) for name, command in commands if command}
        show_document({"verbs": verbs, "topics": {name: words for name, (words, _) in TOPICS.items()}})
    elif not topic:
        show_text(root.get_help(parent))
        show_text("\n".join(["", "Topics:", *(f"  {line}" for line in topic_lines())]))
    elif as_json:
        show_document({"topic": " ".join(topic), "text": _text(parent, topic)})
    else:
        show_text(_text(parent, topic))


def _text(parent: click.Context, words: tuple[str, ...]) -> str:
    """Return the help of a topic, or of a verb. Raises UsageError for what is neither."""
    if words[0] in TOPICS and len(words) == 1:
        return "\n".join(TOPICS[words[0]][1]())
    context = parent
    for word in words:
        group = context.command
        command = group.get_command(context, word) if isinstance(group, click.Group) else None
        if command is None:
            known = group.list_commands(context) if isinstance(group, click.Group) else []
            near = get_close_matches(word, [*known, *TOPICS], 1, 0.7)
            hint = f"did you mean {near[0]!r}?" if near else f"topics are {', '.join(TOPICS)}"
            raise click.UsageError(f"there is no verb or topic {' '.join(words)!r}; {hint}")
        context = click.Context(command, parent=context, info_name=word)
    return context.command.get_help(context)


def topic_lines() -> list[str]:
    """Return a line for each topic."""
    return table((name, words) for name, (words, _) in TOPICS.items())
