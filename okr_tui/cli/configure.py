"""What is configured, by hand: `add-key`, `remove-key`, `import-keys`, `trust`."""

import sys
from typing import TYPE_CHECKING

import click

from okr_tui.cli.documents import key_document
from okr_tui.cli.invocation import NUMBERED, Invocation, json_option, key_number, run
from okr_tui.cli.text import note, show, show_document
from okr_tui.domain.errors import OkrError, SettingsError

if TYPE_CHECKING:
    from okr_tui.domain.keys import SecretStr
    from okr_tui.services.pool_service import PoolService
    from okr_tui.settings.pi import Stored

LONGEST = 65536


@click.command(context_settings=NUMBERED)
@click.option("--label", help="A name of your own for the key.")
@click.option("--keyring", "in_keyring", is_flag=True, help="Keep its text in the system's secret store.")
@click.argument("given", nargs=-1, metavar="")
@json_option
@click.pass_obj
def add_key(
    invocation: Invocation, label: str | None, given: tuple[str, ...], *, in_keyring: bool, as_json: bool
) -> None:
    """Add a key, typed at a hidden prompt or piped in, to the global settings."""
    if given:
        # Named here so that the usual message about an unexpected argument does not repeat it.
        raise click.UsageError(
            "a key is no argument, where others can see it: type it at the prompt, or pipe it in"
        )
    secret = _read_key()

    async def work(service: "PoolService") -> None:
        before = {key.fingerprint for key in service.pool.config.keys}
        said = await service.add_key(secret, label=label, keep="keyring" if in_keyring else "file")
        added = [row for row in service.snapshot.pool.keys if row.fingerprint not in before]
        if as_json:
            show_document({"message": said, "key": key_document(added[0])})
        else:
            show(said)

    run(invocation, work)


def _read_key() -> "SecretStr":
    from okr_tui.domain.keys import SecretStr

    if sys.stdin.isatty():
        return SecretStr(click.prompt("Key", hide_input=True, err=True).strip())
    return SecretStr(sys.stdin.buffer.read(LONGEST).decode(errors="replace").strip())


@click.command(context_settings=NUMBERED)
@click.argument("number", type=key_number, metavar="N")
@click.option("--forget", is_flag=True, help="Delete its text from the system's secret store too.")
@json_option
@click.pass_obj
def remove_key(invocation: Invocation, number: int, *, forget: bool, as_json: bool) -> None:
    """Take key N, counted from 1, out of the global settings."""

    async def work(service: "PoolService") -> None:
        service.key(number)
        gone = service.snapshot.pool.keys[number - 1]
        said = await service.remove_key(number, forget=forget)
        if as_json:
            show_document({"message": said, "key": key_document(gone)})
        else:
            show(said)

    run(invocation, work)


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def import_keys(invocation: Invocation, *, yes: bool, as_json: bool) -> None:
    """Add the keys that pi itself holds for Ollama, in its auth.json."""
    from okr_tui.settings.layers import agent_folder
    from okr_tui.settings.pi import auth_file, stored_keys

    environment = invocation.sources().environment
    path = auth_file(agent_folder(environment))
    found = stored_keys(path, environment)
    if not found:
        raise OkrError(f"{path} has no API key for ollama or ollama-cloud; nothing was added")
    for stored in found:
        note(f"{stored.provider}: {stored.words}")
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("there is no terminal to ask on; say --yes")
        click.confirm("Add to the pool?", abort=True, err=True)

    async def work(service: "PoolService") -> None:
        done = [await _imported(service, stored) for stored in found]
        if as_json:
            show_document(
                {"message": f"{sum(ok for ok, _ in done)} added", "keys": [said for _, said in done]}
            )
        for _, said in () if as_json else done:
            show(said)
        if not any(ok for ok, _ in done):
            raise OkrError(f"no key of {path} was added")

    run(invocation, work)


async def _imported(service: "PoolService", stored: "Stored") -> tuple[bool, str]:
    try:
        return True, f"{stored.provider}: {await service.take_key(stored.reference)}"
    except SettingsError as error:
        return False, f"{stored.provider}: {error}"


@click.command()
@click.option("--revoke", is_flag=True, help="Take it back, or refuse; it is not asked again.")
@json_option
@click.pass_obj
def trust(invocation: Invocation, *, revoke: bool, as_json: bool) -> None:
    """Let the project's settings file choose where keys go and how they are found, until it changes."""

    async def work(service: "PoolService") -> None:
        settings = service.configuration.settings
        said = await service.trust_project(trusted=not revoke)
        if as_json:
            show_document(
                {
                    "message": said,
                    "project_file": str(settings.project_file),
                    "trusted": not revoke,
                    "wants": list(settings.project_wants),
                }
            )
        else:
            show(said)

    run(invocation, work, with_problems=False)
