"""The port for a local `ollama` daemon: it answers what this machine's own daemon has signed.

Started with `OLLAMA_CLOUD_BASE_URL=http://127.0.0.1:PORT`, a daemon can give no token. It signs each
request as it does for the cloud: `ts`, epoch seconds, joins the query, and `METHOD,REQUEST-URI` as sent is
signed with `~/.ollama/id_ed25519`; `Authorization` is `PUBLIC-KEY:SIGNATURE`, both base64, without a scheme.
"""

import base64
import hmac
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from starlette.types import Scope

from okr_tui.domain.errors import OkrError
from okr_tui.domain.extras import how_to_add
from okr_tui.gateway.errors import failure_error
from okr_tui.gateway.guard import OPEN_PATHS, HeadChecks
from okr_tui.gateway.headers import Head
from okr_tui.services.background import Clock
from okr_tui.settings.locations import file_content, home_folder

HOST: Final = "127.0.0.1"
"""Where this port listens, always: a signature covers no body, so it means something on this machine only."""

IDENTITY: Final = Path(".ollama", "id_ed25519.pub")
# The home of the account under which the Linux installer runs the daemon as a service.
SERVICE_HOME: Final = Path("/usr/share/ollama")
LARGEST_IDENTITY: Final = 16 * 1024
# Either way. A repeat within it cannot be refused: the daemon signs nothing unique, and when it starts it
# sends several `POST /api/show` of one second, all with the same signature. On loopback only root overhears
# others; whoever held this port while the gateway was down may spend for as long as this, not forever.
WINDOW: Final = 300.0
LONGEST_STAMP: Final = 12
UNSIGNED: Final = "this port serves only this machine's ollama daemon: other programs use the main port"
NEEDS_PACKAGE: Final = f"the port for an ollama daemon needs the extra daemon: {how_to_add('daemon')}"
SERVE: Final = "run `ollama serve` once, which makes it"

Verify = Callable[[bytes, bytes], bool]
"""Whether a signature is that of a text."""


def identity_files(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Where a daemon of this machine has its public key: the user's own first, then the service's."""
    return home_folder(environment) / IDENTITY, SERVICE_HOME / IDENTITY


class DaemonGuard:
    """Guards the daemon's port. `identities`: public keys in base64, each with its verifier."""

    def __init__(self, identities: Mapping[bytes, Verify], clock: Clock) -> None:
        self._identities = identities
        self._clock = clock
        self._head_checks = HeadChecks(HOST)

    @classmethod
    def open(cls, files: Sequence[Path], clock: Clock) -> "DaemonGuard":
        """Make a guard that accepts the identities in those of the files that can be read.

        Raises OkrError when there is none, when one is damaged, or without the cryptography package.
        """
        readable = [file for file in files if os.access(file, os.R_OK)]
        if not readable:
            raise OkrError(f"no ollama daemon's public key can be read at {files[0]}: {SERVE}")
        return cls(dict(_identity(file) for file in readable), clock)

    def admit(self, scope: Scope, head: Head) -> str:
        """Return the path to answer; raise FailureError unless a known daemon signed the request."""
        path: str = scope["path"]
        self._head_checks.check(scope, head)
        if path not in OPEN_PATHS and not self._is_signed(scope, head.by_name.get("authorization", "")):
            raise failure_error(401, UNSIGNED, "unauthorized", {"www-authenticate": "Ollama"})
        return path

    def _is_signed(self, scope: Scope, authorization: str) -> bool:
        shown, _, text = authorization.encode("latin-1").partition(b":")
        known = [verify for key, verify in self._identities.items() if hmac.compare_digest(key, shown)]
        if not known or not self._is_recent(scope["query_string"]):
            return False
        try:
            signature = base64.b64decode(text, validate=True)
        except ValueError:
            return False
        # As it came over the wire: the daemon signs what it sends, in its own order and escaping.
        signed = b"%s,%s?%s" % (scope["method"].encode(), scope["raw_path"], scope["query_string"])
        return known[0](signature, signed)

    def _is_recent(self, query: bytes) -> bool:
        stamps = [part[3:] for part in query.split(b"&") if part.startswith(b"ts=")]
        if len(stamps) != 1 or not stamps[0].isdigit() or len(stamps[0]) > LONGEST_STAMP:
            return False
        return abs(self._clock.time() - int(stamps[0])) <= WINDOW


def _identity(file: Path) -> tuple[bytes, Verify]:
    """Return the public key in an OpenSSH file, in base64, and its verifier; raise OkrError."""
    try:
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            PublicFormat,
            load_ssh_public_key,
        )
    except ModuleNotFoundError:
        raise OkrError(NEEDS_PACKAGE) from None
    try:
        key = load_ssh_public_key(file_content(file, LARGEST_IDENTITY).strip())
    except OSError as error:
        raise OkrError(f"cannot read {file}: {error.strerror}; {SERVE}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _damaged(file) from None
    if not isinstance(key, Ed25519PublicKey):
        raise _damaged(file)

    def verify(signature: bytes, text: bytes) -> bool:
        try:
            key.verify(signature, text)
        except InvalidSignature:
            return False
        return True

    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1], verify


def _damaged(file: Path) -> OkrError:
    private = file.with_suffix("")
    again = f"`ssh-keygen -y -f {private} > {file}` writes it again; without {private.name}, {SERVE}"
    return OkrError(f"{file} does not hold an ed25519 public key: {again}")
