"""A key may be written as a reference: the key itself, `$NAME`, `${NAME}`, `!command`, or `keyring:NAME`.

Quotes around it, or around what it gives, are taken off.

No message here quotes a reference: what looks like one may be a key in the wrong place.
"""

import os
import re
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from okr_tui.domain.extras import how_to_add
from okr_tui.domain.keys import SecretStr
from okr_tui.domain.text import unquoted, variable
from okr_tui.settings.origin import Problem

SERVICE = "okr-tui"
COMMAND = "!"
VARIABLE = "$"
KEYRING = "keyring:"
COMMAND_TIMEOUT = 10.0
POLL = 0.05
MOST_OUTPUT = 65536
"""Bytes that a command may print."""
NEEDS_EXTRA = f"the system's secret store needs the extra keyring: {how_to_add('keyring')}"
UNUSABLE = "the system's secret store cannot be used; install a backend such as GNOME Keyring or keyrings.alt"
# Only a name in capitals is shown to the user; a mistaken key after "$" hardly looks like that.
SHOWN_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")


def resolve(reference: SecretStr, environment: Mapping[str, str], trusted: bool) -> SecretStr | Problem:
    """Return the key that a reference gives, or what is wrong with it.

    trusted: whether the layer it was read from may name variables, commands and keyring entries; from
        elsewhere only a key itself is taken.
    Blocks up to 10 seconds for a command, and as long as the keyring asks the user.
    """
    text = unquoted(reference.get_secret_value())
    if not text.startswith((COMMAND, VARIABLE, KEYRING)):
        return SecretStr(text)
    if not trusted:
        return Problem("the settings of a project that is not trusted may hold only literal keys")
    if text.startswith(VARIABLE):
        return _from_variable(text.removeprefix(VARIABLE), environment)
    if text.startswith(COMMAND):
        return _from_command(text.removeprefix(COMMAND), environment)
    return _from_keyring(text.removeprefix(KEYRING))


def _from_variable(name: str, environment: Mapping[str, str]) -> SecretStr | Problem:
    if name.startswith("{") and name.endswith("}"):
        name = name[1:-1].strip()
    value = variable(environment, name)
    if value:
        return SecretStr(value)
    shown = f" {name}" if SHOWN_NAME.fullmatch(name) else ""
    return Problem(
        f"the environment variable{shown} it names is not set",
        remedy=f"set{shown or ' it'} where okr-tui runs, in cron and services too, or remove the entry",
    )


def _from_command(command: str, environment: Mapping[str, str]) -> SecretStr | Problem:
    try:
        code, output = _run(shlex.split(command), environment)
        printed = output.decode().strip()
    except TimeoutError:
        return _failed(f"its command did not end within {COMMAND_TIMEOUT:.0f} s")
    except OSError as error:
        return _failed(f"its command cannot be run: {error.strerror}")
    except UnicodeDecodeError:
        return _failed("its command printed something that is not text")
    except (ValueError, IndexError):
        return _failed("its command is not a valid command line")
    if len(output) > MOST_OUTPUT:
        return _failed("its command printed far more than a key")
    if code:
        return _failed(f"its command ended with exit code {code}")
    printed = unquoted(printed)
    return SecretStr(printed) if printed else _failed("its command printed nothing")


def _run(command: list[str], environment: Mapping[str, str]) -> tuple[int, bytes]:
    """Return the exit code of a command and what it printed; it is ended once that is too much for a key.

    What a command that ended leaves behind, such as an agent, keeps running, and may keep its output open.
    One that is given up is killed with all it started. Raises TimeoutError.
    """
    output = b""
    deadline = time.monotonic() + COMMAND_TIMEOUT
    # The settings are the user's own, and no shell reads the line.
    with subprocess.Popen(  # noqa: S603
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        process_group=0,
    ) as process:
        try:
            assert process.stdout
            while len(output) <= MOST_OUTPUT:
                ended = process.poll() is not None
                if select.select([process.stdout], [], [], 0 if ended else POLL)[0]:
                    piece = os.read(process.stdout.fileno(), MOST_OUTPUT)
                    output += piece
                    if not piece:
                        break
                elif ended:
                    break
                if time.monotonic() > deadline:
                    raise TimeoutError
            else:
                _kill(process)
            return process.wait(max(0.0, deadline - time.monotonic())), output
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        finally:
            if process.returncode is None:
                _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a command and all it started; macOS refuses where only ended ones are left."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _failed(message: str) -> Problem:
    return Problem(message, remedy="run the command by hand: it must print the key alone, within 10 s")


def _from_keyring(name: str) -> SecretStr | Problem:
    try:
        keyring = _backend()
        value = keyring.get_password(SERVICE, name)
    except ImportError:
        return Problem(NEEDS_EXTRA)
    except Exception as error:  # a backend may raise anything it likes
        return Problem(f"the system's secret store failed: {type(error).__name__}")
    if not value or not value.strip():
        return Problem(f"the system's secret store has no such entry of the service '{SERVICE}'")
    return SecretStr(unquoted(value))


def keep(secret: SecretStr, name: str) -> Problem | None:
    """Put a key into the secret store under that name; answers what prevents it. Blocks like `resolve`."""
    text = secret.get_secret_value()
    try:
        keyring = _backend()
        keyring.set_password(SERVICE, name, text)
        # Some backends take everything and keep nothing.
        kept = keyring.get_password(SERVICE, name) == text
    except ImportError:
        return Problem(NEEDS_EXTRA)
    except Exception as error:  # as above; NoKeyringError is what there being none is called
        return Problem(f"{UNUSABLE} ({type(error).__name__})")
    return None if kept else Problem(f"{UNUSABLE} (it keeps nothing)")


def forget(name: str) -> Problem | None:
    """Delete an entry of the system keyring; answers what prevents it. Blocks like `resolve`."""
    try:
        _backend().delete_password(SERVICE, name)
    except ImportError:
        return Problem(NEEDS_EXTRA)
    except Exception as error:  # as above
        return Problem(f"the system's secret store failed: {type(error).__name__}")
    return None


def _backend() -> Any:
    """Return the optional package. Raises ImportError without it."""
    return import_module("keyring")
