"""The heads of the requests to the provider, as its SDK writes them, each written once.

Problem: the SDK makes a request in half a millisecond or more, mostly for headers that are always
the same. Trick: it makes one without a body for each set of headers, which is noted and not sent:
with its key, its version, the base address and what the environment adds. Limits: the key and the
environment are those of the time at which the SDK's client was made, as they are for the SDK.
"""

from __future__ import annotations

from collections.abc import Mapping

import anthropic

from gateway.anthropic.http1.head import OutgoingHead
from gateway.outbound import NotingClient

MOST_HEADS = 64
"""Sets of headers that are kept; a request has one for the features that it uses."""


class OutgoingHeads:
    """The heads of requests that `client` would send to `/v1/messages`."""

    def __init__(self, client: anthropic.AsyncAnthropic, headers: Mapping[str, str]) -> None:
        self._noting = NotingClient(headers)
        self._client = client.with_options(http_client=self._noting)
        self._heads: dict[tuple[tuple[str, str], ...], OutgoingHead] = {}

    async def head(self, headers: Mapping[str, str]) -> OutgoingHead:
        """The head of a request with these headers. Raises what the SDK raises."""
        named = tuple(headers.items())
        if (kept := self._heads.get(named)) is not None:
            return kept
        await self._client.post(
            "/v1/messages", content=b"", cast_to=object, options={"headers": dict(headers)}
        )
        if len(self._heads) >= MOST_HEADS:
            self._heads.clear()
        head = self._heads[named] = OutgoingHead(self._noting.last)
        return head
