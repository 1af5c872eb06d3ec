"""The simulated provider, and the provider's own SDK before it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from anthropic import AsyncAnthropic

from gateway.simulator import Simulator, open_simulator
from tests.sdk import client_of


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with open_simulator(seed=1) as simulator:
        yield simulator


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[AsyncAnthropic]:
    async with client_of(simulator) as client:
        yield client
