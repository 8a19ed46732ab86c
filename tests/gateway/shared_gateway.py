"""A gateway that lasts through many tests, before a cloud that says what it is asked."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.gateway.raw_connection import RawConnection
from tests.gateway.running_gateway import RunningGateway, ScriptedCloud
from tests.waiting import until

IDLE = 1
"""Seconds that it keeps a connection on which nothing comes."""
SHORT = 0.25
"""Seconds that it waits for the rest of a request where none comes."""


class EchoCloud(ScriptedCloud):
    """A cloud that answers with the word it is asked; with "slow" only once that is `released`."""

    def __init__(self) -> None:
        super().__init__(*[self._repeat] * 10_000)
        self.released = asyncio.Event()

    async def _repeat(self, request: Request) -> Response:
        word = (await request.json())["messages"][-1]["content"]
        if word == "slow":
            await self.released.wait()
        return JSONResponse({"message": {"role": "assistant", "content": word}, "done": True})


@dataclass
class SharedGateway:
    """The two; `crashes` is what nobody caught in the loop."""

    gateway: RunningGateway
    cloud: EchoCloud
    crashes: list[dict[str, Any]] = field(default_factory=list)
    others: set["asyncio.Task[Any]"] = field(default_factory=set)
    """Tasks that are none of the requests'."""

    async def wait_for_request(self) -> None:
        """Until the cloud is asked something."""
        await until(lambda: self.cloud.bodies)

    async def wait_idle(self) -> None:
        """Until nothing is under way that has begun since `clear`."""
        mine = {*self.others, asyncio.current_task()}
        await until(lambda: not (asyncio.all_tasks() - mine))

    def clear(self) -> None:
        """Forget what was."""
        self.others = asyncio.all_tasks()
        self.cloud.released.clear()
        for shown in (self.cloud.requests, self.cloud.bodies, self.gateway.reported, self.crashes):
            shown.clear()


async def echoed_word(connection: RawConnection) -> object:
    """The word of the next answer; None when there is none."""
    answer = await connection.response()
    return answer.json()["message"]["content"] if answer else None
