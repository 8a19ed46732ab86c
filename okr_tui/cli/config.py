"""`okr-tui config`: single settings from scripts, written where they take effect, under the lock."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from okr_tui.cli.completion import complete_settings
from okr_tui.cli.invocation import NUMBERED, Invocation, ask_for_name, json_option, screen_problems
from okr_tui.cli.output import note, show, show_document, show_raw, show_text, table
from okr_tui.domain.errors import SettingsError, StoreError

if TYPE_CHECKING:
    from okr_tui.services.configuration import Configuration
    from okr_tui.services.kept_settings import SettingValue
    from okr_tui.services.service import SettingLine
    from okr_tui.settings.table import Setting

NO_ARGUMENT = (
    "keys are never arguments, where other users could see them: use add-key, remove-key or label-key"
)
ELSEWHERE = {
    "apiKeys": NO_ARGUMENT,
    "apiKey": NO_ARGUMENT,
    "trustedProjects": "use okr-tui trust, and okr-tui trust --revoke",
}
NAME = {"metavar": "NAME", "shell_complete": complete_settings}


@click.group()
def config() -> None:
    """Show and change single settings.

    NAME is as in the settings file, without the section: strategy, gateway.port, cloudUrl, hooks.spent.
    """


@config.command("list")
@json_option
@click.pass_obj
def list_(invocation: Invocation, *, as_json: bool) -> None:
    """List every setting with its value and its source."""
    values = invocation.kept_settings()
    if values is None:
        values = _values(_read(invocation))
    if as_json:
        show_document({"settings": [_document(value) for value in values]})
        return
    for row in table((value.name, value.words or "-", value.origin) for value in values):
        show(row)


@config.command()
@click.argument("name", **NAME)  # type: ignore[arg-type]
@json_option
@click.pass_obj
def get(invocation: Invocation, name: str, *, as_json: bool) -> None:
    """Print the value of a setting that is in effect, or nothing if it is not set."""
    found = next((each for each in invocation.kept_settings() or () if each.name == name), None)
    if found is None:
        found = _found(invocation, name)
    if as_json:
        show_document(
            {"name": name, "value": found.value, "origin": found.origin, "shadowed": list(found.shadowed)}
        )
    elif found.value is not None:
        show(found.value if isinstance(found.value, str) else json.dumps(found.value, ensure_ascii=False))


@config.command("set", context_settings=NUMBERED)
@click.argument("name", **NAME)  # type: ignore[arg-type]
@click.argument("value")
@json_option
@click.pass_obj
def set_(invocation: Invocation, name: str, value: str, *, as_json: bool) -> None:
    """Write a setting where it takes effect.

    VALUE is JSON, or else plain text: 11500, true, [15, 30], drain, '{"spent": "notify-send spent"}'.
    """
    row, member = _located(name)
    meant = _meant(row, member, value)
    _check(name, meant)
    _change(invocation, name, meant, as_json=as_json)
    if name == "store":
        ask_for_name(invocation)


@config.command()
@click.argument("name", **NAME)  # type: ignore[arg-type]
@json_option
@click.pass_obj
def unset(invocation: Invocation, name: str, *, as_json: bool) -> None:
    """Remove a setting from the file that decides it, so that the next source or the default applies."""
    from okr_tui.settings.sections import MISSING

    _located(name)
    _change(invocation, name, MISSING, as_json=as_json)


@config.command()
@json_option
@click.pass_obj
def export(invocation: Invocation, *, as_json: bool) -> None:
    """Print the settings of the global file without keys and secrets, to take them to another machine.

    Keys, addresses with passwords or tokens, hooks that call an address, values for tool servers, trusted
    projects, and names that are no settings are left out.
    """
    from okr_tui.settings.file import read
    from okr_tui.settings.without_secrets import without_secrets

    kept = without_secrets(read(invocation.sources().global_file).root)
    if as_json:
        show_document({"settings": kept})
    else:
        show_raw(json.dumps(kept, indent=2, ensure_ascii=False))


@config.command()
@json_option
def schema(*, as_json: bool) -> None:
    """Print the JSON Schema of a settings file, for editors.

    With --json it is the member settings_schema of a document.
    """
    from okr_tui.settings.table import json_schema

    if as_json:
        show_document({"settings_schema": json_schema()})
    else:
        show_raw(json.dumps(json_schema(), indent=2, ensure_ascii=False))


def _read(invocation: Invocation) -> "Configuration":
    """Read the settings, and keep them for the next run unless there is something to say about them."""
    import asyncio

    from okr_tui.services.configuration import Configuration
    from okr_tui.services.kept_settings import keep

    configuration = asyncio.run(Configuration.read(invocation.sources(asks=False)))
    problems = (*configuration.problems, *screen_problems(configuration))
    for problem in problems:
        note(f"okr-tui: {problem}")
    # A hook's command may hold a token, which belongs in the settings file alone.
    if (inputs := configuration.inputs) and not problems and not configuration.settings.hooks.value:
        keep(_values(configuration), inputs)
    return configuration


def _values(configuration: "Configuration") -> "tuple[SettingValue, ...]":
    lines = (line for line in configuration.lines if not line.name.startswith("key "))
    return tuple(_value_of(configuration, line) for line in lines)


def _found(invocation: Invocation, name: str) -> "SettingValue":
    """Return a setting, or a member of one, from the files. Raises UsageError for an unknown name."""
    from okr_tui.services.kept_settings import SettingValue

    row, member = _located(name)
    configuration = _read(invocation)
    line = next((each for each in configuration.lines if each.name == row.name), None)
    found = _value_of(configuration, line) if line else SettingValue(name, None, "", "default", ())
    if member:
        found = found._replace(value=found.value.get(member) if isinstance(found.value, Mapping) else None)
    return found


def _located(name: str) -> "tuple[Setting, str]":
    """Return the row of a setting and the member that is meant. Raises UsageError for an unknown name."""
    from okr_tui.services.configuration import located

    if words := ELSEWHERE.get(name.partition(".")[0]):
        raise click.UsageError(f"{name}: {words}")
    try:
        return located(name)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


def _meant(row: "Setting", member: str, text: str) -> object:
    """Return the value that a text on the command line means."""
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return text if row.check.takes_text and not member and not isinstance(value, str | None) else value


def _check(name: str, value: object) -> None:
    """Raise UsageError for a value that cannot be used, such as keys of no action or no address of a log."""
    from okr_tui.services.configuration import check_value

    try:
        check_value(name, value)
        if name.startswith("keymap."):
            from okr_tui.ui.keymap import ActiveKeymap

            ActiveKeymap().check(name.removeprefix("keymap."), str(value))
        elif name == "store" and isinstance(value, str):
            from okr_tui.store.factory import locate_store

            locate_store(value)
    except (SettingsError, StoreError) as error:
        raise click.UsageError(str(error)) from error
    if name == "theme" and value is not None:
        from textual.theme import BUILTIN_THEMES

        from okr_tui.ui.themes import theme_names

        known = theme_names(BUILTIN_THEMES)
        if value not in known:
            raise click.UsageError(f"theme: it must be one of {', '.join(known)}")


def _change(invocation: Invocation, name: str, value: object, *, as_json: bool) -> None:
    import asyncio

    from okr_tui.services.configuration import Configuration
    from okr_tui.settings.sections import MISSING

    async def changed() -> tuple[Configuration, str]:
        configuration = await Configuration.read(invocation.sources(asks=False))
        written = await configuration.write(name, value)
        if not written.kept:
            raise SettingsError(f"{written.path}: another program changed it right after; try again")
        await configuration.reload()
        if not written.changed:
            state = "is not set" if value is MISSING else "already has this value"
            return configuration, f"{name} {state} in {written.path}; nothing was written"
        what = "is no longer set" if value is MISSING else "is set"
        return configuration, f"{name} {what} in {written.path}"

    configuration, message = asyncio.run(changed())
    if as_json:
        row, _ = _located(name)
        line = next((each for each in configuration.lines if each.name == row.name), None)
        show_document({"message": message, "setting": line and _document(_value_of(configuration, line))})
    else:
        show_text(message)


def _value_of(configuration: "Configuration", line: "SettingLine") -> "SettingValue":
    from okr_tui.services.kept_settings import SettingValue
    from okr_tui.settings.table import find

    row = find(line.name)
    value = _value(configuration, row) if row else None
    return SettingValue(line.name, value, line.value, line.origin, line.shadowed)


def _document(found: "SettingValue") -> dict[str, object]:
    return {
        "name": found.name,
        "value": found.value,
        "origin": found.origin,
        "shadowed": list(found.shadowed),
    }


def _value(configuration: "Configuration", row: "Setting") -> Any:
    """Return a value as JSON holds it; one that may carry secrets as it is shown to people."""
    valued = configuration.settings.values.get(row.name)
    if valued is None or valued.value is None:
        return None
    text = row.check.shown(valued.value)
    try:
        return json.loads(text) if not isinstance(valued.value, str) else text
    except ValueError:
        return text
