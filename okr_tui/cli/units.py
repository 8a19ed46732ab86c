"""Units that keep `okr-tui serve` running: systemd for the user on Linux, launchd on macOS.

Sources: systemd.service(5), systemd.exec(5), systemd.kill(5), launchd.plist(5).
"""

import plistlib
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

LABEL: Final = "okr-tui"
MARGIN: Final = 15
"""Seconds beyond the grace for answers until a supervisor kills the process."""

SYSTEMD: Final = """\
# Save as ~/.config/systemd/user/okr-tui.service, then:
#   systemctl --user daemon-reload && systemctl --user enable --now okr-tui
#   loginctl enable-linger    (to keep it running while you are not logged in)
# To read the settings again: systemctl --user reload okr-tui
[Unit]
Description=okr-tui gateway for Ollama Cloud keys
Wants=network-online.target
After=network-online.target

[Service]
Type={kind}
# The service itself cannot make these folders, as all but their content is read-only for it.
ExecStartPre=+/bin/mkdir -p -m 0700 {folders}
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=5
TimeoutStopSec={stop}
{environment}
# Everything the gateway does not need is closed. A key command (!pass ...) that writes files needs their
# folder in ReadWritePaths.
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={writable}
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
ProtectClock=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native

[Install]
WantedBy=default.target
"""


def command(options: Sequence[str]) -> list[str]:
    """Return the command line that runs this program again, by absolute paths."""
    script = shutil.which("okr-tui")
    own = Path(sys.argv[0])
    if own.name == "okr-tui" and own.exists():
        script = str(own.absolute())
    program = [script] if script else [sys.executable, "-m", "okr_tui"]
    return [*program, *options]


def systemd(
    options: Sequence[str],
    grace: int,
    writable: Sequence[Path],
    environment: Mapping[str, str],
    *,
    notifies: bool,
) -> str:
    """Return a unit for systemd's manager of the user.

    grace: seconds for answers under way at the end. writable: folders that are written to. environment:
    variables that the service has to have. notifies: whether it can tell systemd that it is ready.
    """
    return SYSTEMD.format(
        kind="notify" if notifies else "exec",
        command=" ".join(map(_argument, command(options))),
        stop=grace + MARGIN,
        folders=" ".join(_argument(str(folder)) for folder in writable),
        writable=" ".join(_quoted(str(folder)) for folder in writable),
        environment="".join(
            f"Environment={_quoted(f'{name}={text}')}\n" for name, text in environment.items()
        ),
    )


def launchd(options: Sequence[str], grace: int, log: Path, environment: Mapping[str, str]) -> str:
    """Return a property list for launchd; arguments as for `systemd`. log: where standard error goes."""
    document = {
        "Label": LABEL,
        "ProgramArguments": command(options),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 5,
        "ExitTimeOut": grace + MARGIN,
        "ProcessType": "Background",
        "Umask": 0o077,
        "StandardErrorPath": str(log),
        **({"EnvironmentVariables": dict(environment)} if environment else {}),
    }
    text = plistlib.dumps(document).decode()
    head, _, rest = text.partition("<plist")
    how = (
        "<!-- Save as ~/Library/LaunchAgents/okr-tui.plist, then:\n"
        "     launchctl bootstrap gui/$UID ~/Library/LaunchAgents/okr-tui.plist -->\n"
    )
    return f"{head}{how}<plist{rest}"


def _quoted(text: str) -> str:
    """Return a value as systemd reads it: percent signs are doubled, blanks quoted."""
    escaped = text.replace("\\", "\\\\").replace("%", "%%")
    plain = shlex.quote(text) == text
    return escaped if plain else '"{}"'.format(escaped.replace('"', '\\"'))


def _argument(text: str) -> str:
    """Return an argument of a command line, the only text in which systemd replaces variables."""
    return _quoted(text).replace("$", "$$")
