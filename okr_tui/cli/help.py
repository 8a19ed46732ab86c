"""`okr-tui help`, and the examples and exit codes that each verb's help and README show."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import click

from okr_tui.cli.output import show_text, table

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
    "keys": "1 when --check could not read a key, or one is refused; 3 or 4 only with --exit-code",
    "explain": "3 or 4 only with --exit-code",
    "chat": "3 no key, 4 every key blocked",
    "rotate": "3 no key, 4 every key blocked",
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
    "models": (("okr-tui models gpt", "models whose names contain gpt"),),
    "info": (("okr-tui info gpt-oss:20b", "everything about one model"),),
    "chat": (
        ('git diff | okr-tui chat gpt-oss:20b "what changed?"', "standard input and a question"),
        ("okr-tui chat gpt-oss:20b --think high --json < question.txt", "lines of JSON, the summary last"),
    ),
    "conversations": (("okr-tui conversations search tides", "conversations with that word"),),
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
    "use-key": (("okr-tui use-key 2", "prefer key 2, here and in every process"),),
    "add-key": (
        ("okr-tui add-key --label work", "type the key at a hidden prompt"),
        ("pass ollama/work | okr-tui add-key --label work", "pipe it in"),
    ),
    "remove-key": (("okr-tui remove-key 3 --yes", "without the question"),),
    "label-key": (("okr-tui label-key 2 work", "give key 2 the label work"),),
    "import-keys": (
        ("okr-tui import-keys", "from pi's auth.json"),
        ("okr-tui import-keys .env", "from another program's file"),
        ("pass ollama/all | okr-tui import-keys -", "several keys, one per line"),
    ),
    "test-key": (("okr-tui test-key 1", "read its identity and quota, at no cost"),),
    "serve": (
        ("okr-tui serve --port 0", "on a free port"),
        ("okr-tui serve --print-unit systemd", "a unit that keeps it running"),
    ),
    "doctor": (
        ("okr-tui doctor --fix", "do what is safe"),
        ("okr-tui doctor --offline --json", "for a script, sending nothing"),
    ),
    "config": (
        ("okr-tui config set strategy drain", "write a setting where it takes effect"),
        ("okr-tui config get gateway.port", "print the value in force"),
        ("okr-tui config schema > okr-tui.schema.json", "for an editor"),
    ),
    "completion": (
        ('eval "$(okr-tui completion bash)"', "in ~/.bashrc; the same for zsh in ~/.zshrc"),
        ("okr-tui completion fish > ~/.config/fish/completions/okr-tui.fish", "for fish"),
    ),
    "purge": (("okr-tui purge", "show what would be removed, and ask"),),
    "demo": (("okr-tui demo --scenario outage", "the dashboard while the simulated cloud is down"),),
}


def epilog(verb: str) -> str:
    """Return the examples and exit codes of a verb, for the end of its help."""
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

    yield "The command line decides over the environment, that over the project's file, that over the global."
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
    yield 'Every verb but demo, serve, connect and completion takes --json: one document, with "schema": 1.'
    yield "events and chat write one document per line; the last line of chat is the summary."
    yield f"The JSON Schema of each is in {Path(__file__).parent / 'schemas'}."
    yield "Fields may be added to a document; none is changed or removed. Times are RFC 3339 in UTC."
    yield "Errors are one line on standard error, and the exit code."


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
    yield "A reference that gives nothing keeps its place as missing, so that key numbers stay the same."


TOPICS: Final[Mapping[str, tuple[str, Callable[[], Iterator[str]]]]] = {
    "settings": ("every setting, and what it is", _settings),
    "environment": ("the variables that are read", _environment),
    "references": ("the ways to write a key", _references),
    "exit-codes": ("what the exit codes mean", _exit_codes),
    "json": ("what scripts may rely on", _json),
}


@click.command("help")
@click.argument("topic", required=False)
@click.pass_context
def help(context: click.Context, topic: str | None) -> None:  # noqa: A001 the verb's name
    """Show the help of a verb or a topic.

    Without TOPIC, list them.
    """
    parent = context.find_root()
    root = parent.command
    assert isinstance(root, click.Group)
    if topic is None:
        show_text(root.get_help(parent))
        show_text("\n".join(["", "Topics:", *(f"  {line}" for line in topic_lines())]))
    elif topic in TOPICS:
        show_text("\n".join(TOPICS[topic][1]()))
    elif command := root.get_command(parent, topic):
        with click.Context(command, parent=parent, info_name=topic) as inner:
            show_text(command.get_help(inner))
    else:
        known = ", ".join(TOPICS)
        raise click.UsageError(f"there is no verb or topic {topic!r}; topics are {known}")


def topic_lines() -> list[str]:
    """Return a line for each topic."""
    return table((name, words) for name, (words, _) in TOPICS.items())
