"""What the clients ask, and what the simulated cloud answers to it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from okr_tui.demo.catalogue import FAULTS
from tests.clients.gateway_process import ACCOUNTS
from tests.harness import Harness

GREETING = "Hello! I am doing well"
QUESTION = "What is the weather in Oslo?"


IMPATIENT = {"queue_wait": 1, "slowed_wait": 0, "outage_steps": [1, 1, 1, 1]}
"""The policy of a gateway that does not wait itself, and of outages that are soon looked at again."""
PASSING = {"rate-limit": "next key free in", "unavailable": "Service Temporarily Unavailable|does not answer"}
"""Faults that pass in a moment, and what is said of them."""


def hurry(fault: str, patch: pytest.MonkeyPatch) -> None:
    """Have a fault of the cloud name a second as the time after which to ask again."""
    headers = {**FAULTS[fault].headers, "retry-after": "1"}
    patch.setitem(FAULTS, fault, replace(FAULTS[fault], headers=headers))


def weather(schema: str) -> dict[str, object]:
    """A tool; where its schema stands differs between interfaces."""
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"name": "get_weather", "description": "The weather of a city", schema: parameters}


async def spend(harness: Harness, path: str) -> None:
    """Leave no key with quota for a path."""
    for account in ACCOUNTS:
        await harness.fault("session", account=account, path=path, times=None)


async def collect(stream: AsyncIterator[Any], into: list[Any]) -> None:
    """Put what a stream brings into a list, up to its end or error."""
    async for item in stream:
        into.append(item)
