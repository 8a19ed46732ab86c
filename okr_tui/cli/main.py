"""The command line's root: options before the verb, errors mapped to one line and an exit code."""

import gc
import importlib
import io
import os
import sys
import time
import traceback
import warnings
from pathlib import Path

import click

from okr_tui import __version__
from okr_tui.cli.crash import describe_crash
from okr_tui.cli.invocation import SCRUBBER, Invocation, local_zone
from okr_tui.cli.output import (
    BROKEN_PIPE,
    RESULTS,
    give_up_output,
    guard_standard_streams,
    note,
    note_text,
    one_line,
    show_record,
)
from okr_tui.domain.errors import CloudError, OkrError, OutputError, PoolBlockedError
from okr_tui.domain.keys import mask_key_words
from okr_tui.domain.text import clean_line, variable

INTERRUPTED = 130
COLLECT_RARELY = 200_000
"""Objects after which garbage is collected: a start makes many, none of which is garbage."""
FOLDERS = (
    "HOME",
    "XDG_STATE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "PI_CODING_AGENT_DIR",
    "OKR_TUI_SETTINGS",
    "OKR_TUI_STORE",
)

# Each verb: the module with a command of that name, and its help; one without help is hidden. The help is
# here so that `--help` imports no module; it is the first line of the command's own help.
VERBS = {
    "status": ("status", "Show the cloud, the active key and the pool at a glance."),
    "keys": ("keys", "List the keys with their state, quota and account."),
    "models": ("models", "List the models of the cloud."),
    "refresh": ("models", "Read the model list again."),
    "info": ("models", "Show everything about one model."),
    "chat": ("chat", "Ask a model and stream its answer."),
    "conversations": ("conversations", "List, search, show, export or delete saved conversations."),
    "explain": ("explain", "Explain which key the next request takes, and why."),
    "events": ("events", "Show the log of requests, faults and changes."),
    "usage": ("usage", "Show what was spent: requests, faults and tokens."),
    "rotate": ("keys", "Prefer the next key that is not blocked."),
    "use-key": ("keys", "Prefer key N."),
    "add-key": ("keys", "Add a key, typed at a hidden prompt or piped in."),
    "remove-key": ("keys", "Remove key N from the settings."),
    "label-key": ("keys", "Give key N a label; without TEXT, take its label away."),
    "import-keys": ("keys", "Add the keys for Ollama that another program holds."),
    "enable-key": ("keys", "Put key N back into the pool."),
    "disable-key": ("keys", "Take key N out of the pool until it is enabled again."),
    "test-key": ("keys", "Read identity and quota of key N; this costs no quota."),
    "reset-key": ("keys", "Forget all earlier faults of key N and its account."),
    "serve": ("serve", "Run the gateway for clients of Ollama, OpenAI and Anthropic."),
    "connect": ("connect", "Show how to point a client at the gateway."),
    "token": ("token", "Show, add, rotate or revoke the tokens of the gateway."),
    "trust": ("doctor", "Trust the project's settings file, or refuse to."),
    "doctor": ("doctor", "Check the configuration: every value, its source, problems and remedies."),
    "paths": ("doctor", "Show where settings, log and state are."),
    "config": ("config", "Show and change single settings."),
    "completion": ("completion", "Print the completion script of a shell."),
    "purge": ("purge", "Remove everything okr-tui keeps: log, conversations, token, and what connect wrote."),
    "help": ("help", "Show the help of a verb or a topic."),
    "demo": ("demo", "Run the dashboard on a simulated cloud; your files stay untouched."),
    "traffic": ("demo", ""),
}


class Verbs(click.Group):
    """The verbs; the module of one is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click's signature
        """Return the names that help and completion show."""
        return [name for name, (_, words) in VERBS.items() if words]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the module of a verb and return its command."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"okr_tui.cli.{VERBS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        if VERBS[cmd_name][1]:
            from okr_tui.cli.help import add_epilogs

            add_epilogs(cmd_name, command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve as click does; an unknown verb suggests the nearest one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), 1, 0.7)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs with their help from the table, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, VERBS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=Verbs, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--settings",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="OKR_TUI_SETTINGS",
    help="The global settings file  [default: ~/.pi/agent/settings.json]",
)
@click.option(
    "--project",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="The directory with the project's .pi/settings.json  [default: the current one]",
)
@click.option("--cloud-url", metavar="URL", help="The cloud's address for this run.")
@click.option(
    "--store",
    metavar="URL",
    envvar="OKR_TUI_STORE",
    help="sqlite:PATH, redis://HOST, rediss://HOST or memory:",
)
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
@click.version_option(__version__, prog_name="okr-tui", message="%(prog)s %(version)s")
@click.pass_context
def root(
    context: click.Context,
    settings: Path | None,
    project: Path,
    cloud_url: str | None,
    store: str | None,
) -> None:
    """Manage a pool of Ollama Cloud API keys; without a command, open the dashboard."""
    if cloud_url is not None:
        _check(cloud_url)
    context.obj = Invocation(settings, project, cloud_url, store)
    if context.invoked_subcommand is None:
        from okr_tui.cli.dashboard import dashboard

        if dashboard(context.obj) == "demo":
            from okr_tui.cli.demo import run_demo

            run_demo("day", 1.0)


def _check(url: str) -> None:
    """Raise UsageError for an invalid cloud address, because a wrong one would receive the keys."""
    from okr_tui.settings.checks import UnusableError, cloud_url

    try:
        cloud_url(url)
    except UnusableError as error:
        raise click.UsageError(f"--cloud-url cannot be used: {error}") from error


def main(arguments: list[str] | None = None) -> None:
    """Run a command and end the process with its exit code."""
    gc.set_threshold(COLLECT_RARELY)
    given = sys.argv[1:] if arguments is None else arguments
    _prepare_environment(debug="--debug" in given)
    guard_standard_streams()
    RESULTS.documents = 0
    try:
        try:
            code = root.main(given, prog_name="okr-tui", standalone_mode=False)
            sys.stdout.flush()
        except (Exception, KeyboardInterrupt) as error:
            code = _report(error, given)
            sys.stdout.flush()
    except (click.exceptions.Exit, OutputError) as error:
        code = error.exit_code
        give_up_output()
    sys.exit(code if isinstance(code, int) else 0)


def _report(error: BaseException, given: list[str]) -> int:
    """Say what ended a command, to standard error and where JSON was asked for as a document.

    Return the exit code.
    """
    match error:
        case click.exceptions.Exit():
            if error.exit_code == BROKEN_PIPE:
                give_up_output()
            return error.exit_code
        case click.Abort() | KeyboardInterrupt():
            return INTERRUPTED
        case click.ClickException():
            usage = _with_place(error)
            words = io.StringIO()
            usage.show(words)
            # What was mistyped is quoted, and may be a key in the wrong place.
            note_text(mask_key_words(words.getvalue().rstrip()))
            message, code = mask_key_words(usage.format_message()), usage.exit_code
        case _:
            if "--debug" in given:
                note_text(SCRUBBER.scrub("".join(traceback.format_exception(error)).rstrip()))
            message, code = _words(error), error.exit_code if isinstance(error, OkrError) else 1
            note(f"okr-tui: {message}")
    if isinstance(error, OutputError):
        give_up_output()
    elif "--json" in given and not RESULTS.documents:
        from okr_tui.cli.documents import error_document

        show_record(error_document(error, one_line(message), code))
    return code


def _with_place(error: click.ClickException) -> click.ClickException:
    """Return the error, which says of an option of the program that stands behind a verb where it belongs."""
    if not isinstance(error, click.NoSuchOption) or error.ctx is None or error.ctx.parent is None:
        return error
    named = error.option_name.partition("=")[0]
    if not any(named in option.opts for option in error.ctx.find_root().command.params):
        return error
    verb = error.ctx.command_path.removeprefix("okr-tui ")
    message = f"{error.message.rstrip('.')}; write it before the verb: okr-tui {named} … {verb}"
    return click.UsageError(message, error.ctx)


def _prepare_environment(*, debug: bool) -> None:
    """Take quotes off the variables that name folders, and let no warning of a library end the program."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # started with that stream closed
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 as long as we live
    try:
        os.getcwd()
    except OSError:
        os.chdir("/")
        note("okr-tui: the current folder no longer exists, so no project settings are read")
    if not debug:
        warnings.simplefilter("ignore")
    for name in FOLDERS:
        if name not in os.environ:
            continue
        if value := variable(os.environ, name):
            os.environ[name] = value
        else:
            del os.environ[name]  # an empty HOME would be the root folder


def _words(error: BaseException) -> str:
    """One line: what happened, to what, what to do."""
    if isinstance(error, PoolBlockedError) and error.earliest is not None:
        from okr_tui.domain.words import moment, span

        now = time.time()
        wait = f"{moment(error.earliest, now, local_zone())}, in {span(error.earliest - now)}"
        return f"{error}; the first is back {wait}"
    if isinstance(error, CloudError) and error.fault.traits.cause == "no-model":
        return f"{error}; okr-tui models lists the known ones"
    if isinstance(error, OkrError):
        return str(error)
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{clean_line(os.fsdecode(error.filename))} cannot be used: {error.strerror.lower()}"
    return describe_crash(error)
