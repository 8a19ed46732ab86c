"""A client of a cloud on loopback with a clock that moves only when a test says so."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import httpx

from okr_tui.demo import SCENARIOS, SimulatedCloud, serve

START = 1_800_000_000.0
MODEL = "gpt-oss:20b"


class Clock:
    """Seconds that pass on request."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@dataclass
class CloudClient:
    """A client of a served cloud that names keys by their label."""

    cloud: SimulatedCloud
    clock: Clock
    client: httpx.AsyncClient

    def bearer(self, label: str) -> dict[str, str]:
        """The header that presents a key."""
        texts = {label: text for text, label in self.cloud.keys}
        return {"authorization": f"Bearer {texts.get(label, 'no-such-key')}"}

    async def get(self, path: str, label: str, /) -> httpx.Response:
        """GET with a key."""
        return await self.client.get(path, headers=self.bearer(label))

    async def post(self, path: str, label: str, /, **body: object) -> httpx.Response:
        """POST with a key."""
        return await self.client.post(path, headers=self.bearer(label), json=body)

    async def chat(self, label: str, prompt: str = "hello", /, **body: object) -> httpx.Response:
        """POST /api/chat with one user message."""
        message = {"role": "user", "content": prompt}
        return await self.post("/api/chat", label, **{"model": MODEL, "messages": [message], **body})

    async def control(self, path: str, /, **body: object) -> httpx.Response:
        """POST to the control interface."""
        return await self.client.post(f"/_demo/{path}", json=body)


ServeCloud = Callable[..., AbstractAsyncContextManager[CloudClient]]


@asynccontextmanager
async def serve_cloud(
    scenario: str = "calm", speed: float = 1.0, pace: float = 0.0
) -> AsyncIterator[CloudClient]:
    """Serve a scenario for the length of a block."""
    clock = Clock()
    cloud = SimulatedCloud(SCENARIOS[scenario], speed, clock, pace)
    async with serve(cloud) as url, httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as client:
        yield CloudClient(cloud, clock, client)
