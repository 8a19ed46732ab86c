"""The command line's root: options before the verb, errors mapped to one line and an exit code."""

import importlib
import io
import os
import sys
import time
import traceback
from pathlib import Path

import click

from okr_tui import __version__
from okr_tui.cli.invocation import Invocation, local_zone
from okr_tui.domain.errors import CloudError, OkrError, PoolBlockedError

INTERRUPTED = 130

# Each verb: the module with a command of that name, and what help says of it; one without help is not listed.
VERBS = {
    "status": ("status", "The cloud, the active key and the pool at a glance."),
    "keys": ("keys", "The pool: each key's state, quota and account."),
    "models": ("models", "The models of the cloud."),
    "refresh": ("models", "Read the model list again."),
    "info": ("models", "Everything about one model."),
    "chat": ("chat", "Ask a model; the answer is streamed."),
    "conversations": ("conversations", "The conversations that the chat keeps."),
    "explain": ("explain", "Which key the next request takes, and why."),
    "events": ("events", "The log of requests, faults and changes."),
    "rotate": ("keys", "Prefer the next key that is not blocked."),
    "use-key": ("keys", "Prefer a key."),
    "add-key": ("configure", "Add a key, typed at a prompt or piped in."),
    "remove-key": ("configure", "Take a key out of the settings."),
    "import-keys": ("configure", "Add the keys that pi holds for Ollama."),
    "enable-key": ("keys", "Put a key back into the pool."),
    "disable-key": ("keys", "Take a key out of the pool."),
    "test-key": ("keys", "Ask the cloud about a key, at no cost."),
    "reset-key": ("keys", "Forget the older faults of a key."),
    "serve": ("serve", "The gateway: any client of Ollama, OpenAI or Anthropic uses the pool."),
    "connect": ("connect", "How to point a client at the gateway."),
    "trust": ("configure", "Trust the project's settings, or refuse to."),
    "doctor": ("doctor", "What is configured, from where, what is wrong and what to do."),
    "paths": ("paths", "Where files are."),
    "demo": ("demo", "The dashboard on a built-in simulated cloud; touches none of your files."),
    "traffic": ("demo", ""),
}


class Verbs(click.Group):
    """The verbs; the module of one is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click's signature
        """The names that help and completion show."""
        return [name for name, (_, words) in VERBS.items() if words]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"okr_tui.cli.{VERBS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's; a verb that there is not leads to the nearest one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), 1, 0.7)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs with their words from the table, so that help imports none of them."""
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
    help="The directory whose .pi/settings.json is the project layer  [default: here]",
)
@click.option("--cloud-url", metavar="URL", help="The cloud's address for this run.")
@click.option(
    "--store",
    metavar="URL",
    envvar="OKR_TUI_STORE",
    help="sqlite:PATH, redis://HOST, rediss://HOST or memory:",
)
@click.option("--debug", is_flag=True, help="Show where an error came from.")
@click.version_option(__version__, prog_name="okr-tui", message="%(prog)s %(version)s")
@click.pass_context
def root(
    context: click.Context,
    settings: Path | None,
    project: Path,
    cloud_url: str | None,
    store: str | None,
    *,
    debug: bool,
) -> None:
    """A live dashboard for a pool of Ollama Cloud API keys. Without a command: the dashboard."""
    if cloud_url is not None:
        _check(cloud_url)
    context.obj = Invocation(settings, project, cloud_url, store, debug=debug)
    if context.invoked_subcommand is None:
        from okr_tui.cli.dashboard import dashboard

        if dashboard(context.obj) == "demo":
            from okr_tui.cli.demo import run_demo

            run_demo("day", 1.0)


def _check(url: str) -> None:
    """Raise a usage error for no address of a cloud: another one than was asked for would get the keys."""
    from okr_tui.settings.checks import UnusableError, cloud_url

    try:
        cloud_url(url)
    except UnusableError as error:
        raise click.UsageError(f"--cloud-url cannot be used: {error}") from error


def main(arguments: list[str] | None = None) -> None:
    """Run a command and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # Text from outside may hold what the terminal's encoding does not.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = root.main(arguments, prog_name="okr-tui", standalone_mode=False)
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        if "--debug" in (arguments or sys.argv):
            traceback.print_exc()
        click.echo(f"okr-tui: {_words(error)}", err=True)
        code = error.exit_code if isinstance(error, OkrError) else 1
    sys.exit(code if isinstance(code, int) else 0)


def _words(error: Exception) -> str:
    """One line: what happened, to what, what to do."""
    if isinstance(error, PoolBlockedError) and error.earliest is not None:
        from okr_tui.domain.words import moment, span

        now = time.time()
        wait = f"{moment(error.earliest, now, local_zone())}, in {span(error.earliest - now)}"
        return f"{error}; the first is back {wait}"
    if isinstance(error, CloudError) and error.fault.kind == "gone":
        return f"{error}; okr-tui models lists those there are"
    if isinstance(error, OkrError):
        return str(error)
    return f"unexpected {type(error).__name__}: {error}; okr-tui --debug shows where"
