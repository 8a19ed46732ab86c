"""The command line's root: options before the verb, errors mapped to one line and an exit code."""

import os
import sys
import traceback
from pathlib import Path

import click

from okr_tui import __version__
from okr_tui.cli.demo import demo, traffic
from okr_tui.cli.invocation import Invocation
from okr_tui.domain.errors import OkrError

INTERRUPTED = 130
USAGE = 2


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
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
@click.option("--store", metavar="URL", envvar="OKR_TUI_STORE", help="sqlite:PATH or memory:")
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
    context.obj = Invocation(settings, project, cloud_url, store, debug=debug)
    if context.invoked_subcommand is None:
        from okr_tui.cli.dashboard import dashboard

        dashboard(context.obj)


root.add_command(demo)
root.add_command(traffic)


def main(arguments: list[str] | None = None) -> None:
    """Run a command and end the process with its exit code."""
    try:
        code = root.main(arguments, prog_name="okr-tui", standalone_mode=False)
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except OkrError as error:
        if "--debug" in (arguments or sys.argv):
            traceback.print_exc()
        click.echo(f"okr-tui: {error}", err=True)
        code = error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code if isinstance(code, int) else 0)
