"""An `ollama` daemon that signs its requests, and the gateway's port for it."""

import base64
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from okr_tui.domain.keys import SecretStr
from okr_tui.gateway.app import Gateway
from okr_tui.gateway.daemon import HOST, DaemonGuard
from okr_tui.gateway.server import listen, serving
from tests.gateway.running_gateway import TOKEN, RunningGateway
from tests.harness import START

VERSION = "0.40.12"


@dataclass
class Daemon:
    """Signs as a daemon does."""

    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public(self) -> bytes:
        """The public key in OpenSSH's form."""
        return self.private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)

    def write(self, file: Path) -> Path:
        """Keep the public key where a daemon does."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(self.public + b"\n")
        return file

    def signature(self, text: str) -> str:
        """The value of `Authorization`."""
        signed = base64.b64encode(self.private.sign(text.encode())).decode()
        return f"{self.public.split()[1].decode()}:{signed}"

    def request(
        self,
        gateway: RunningGateway,
        method: str,
        path: str,
        document: Mapping[str, object] | None = None,
        *,
        at: float = START,
        query: str = "",
    ) -> httpx.Request:
        """A request as the daemon sends it, with a document for its body."""
        query = "&".join(sorted(filter(None, [*query.split("&"), f"ts={int(at)}"])))
        target = f"{path}?{query}"
        headers = {
            "authorization": self.signature(f"{method},{target}"),
            "x-ollama-client-version": VERSION,
        }
        url = httpx.URL(gateway.url).copy_with(raw_path=target.encode())
        return gateway.client.build_request(method, url, headers=headers, json=document)


@asynccontextmanager
async def opened(gateway: RunningGateway, files: Sequence[Path]) -> AsyncGenerator[RunningGateway, None]:
    """The daemon's port of a gateway, with a client that shows nothing by itself."""
    guard = DaemonGuard.open(files, gateway.service.clock)
    application = Gateway(
        gateway.service,
        SecretStr(TOKEN),
        HOST,
        status=lambda: {"cloud_url": gateway.service.cloud.url},
        access=gateway.access.append,
        report=gateway.reported.append,
    )
    with listen(HOST, 0) as listener:
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        async with (
            serving(application.behind(guard), listener),
            httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as client,
        ):
            yield replace(gateway, url=url, client=client)
