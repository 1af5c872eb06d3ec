"""The events of an answer, as a test takes them."""

from __future__ import annotations

from collections.abc import Sequence

from actors.ports import ProviderEvents
from protocol.provider.events import ProviderEvent


async def all_of(events: ProviderEvents) -> list[ProviderEvent]:
    """All events to the end of the answer."""
    came: list[ProviderEvent] = []

    def take(batch: Sequence[ProviderEvent]) -> bool:
        came.extend(batch)
        return False

    assert not await events.each(take)
    return came


async def next_of(events: ProviderEvents) -> list[ProviderEvent]:
    """The next batch; an empty one at the end of the answer."""
    came: list[ProviderEvent] = []

    def take(batch: Sequence[ProviderEvent]) -> bool:
        came.extend(batch)
        return True

    assert await events.each(take) == bool(came)
    return came
