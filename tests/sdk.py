"""The provider's own SDK, as a client of the simulated provider."""

from __future__ import annotations

from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient

from gateway.simulator import Simulator


def client_of(simulator: Simulator) -> AsyncAnthropic:
    """A client that tries once."""
    plain = DefaultAsyncHttpxClient(verify=False)  # no certificates to load for plain HTTP
    return AsyncAnthropic(base_url=simulator.url, api_key="any", max_retries=0, http_client=plain)
