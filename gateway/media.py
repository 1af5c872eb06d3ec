"""Pictures and documents, weighed and checked; what is large leaves the event loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import trio

from gateway.pictures import check_media, media_tokens, resolution_of
from protocol.content import Block

LARGE = 64 * 1024
"""Characters of base64; from here on a thread costs less than the loop's time."""

Found = TypeVar("Found")


class PictureMedia:
    """`actors.ports.Media`."""

    async def weigh(self, model: str, blocks: Sequence[Block]) -> list[int]:
        """About the tokens that `model` makes of each."""
        resolution = resolution_of(model)
        return [await _off_loop(lambda one: media_tokens(one, resolution), one) for one in blocks]

    async def refusals(self, blocks: Sequence[Block]) -> list[str | None]:
        """Why the provider would refuse each, if it would."""
        return [await _off_loop(check_media, block) for block in blocks]


async def _off_loop(work: Callable[[Block], Found], block: Block) -> Found:
    source: Any = block.get("source")
    data = source.get("data") if isinstance(source, dict) else None
    if isinstance(data, str) and len(data) >= LARGE:
        return await trio.to_thread.run_sync(work, block)
    return work(block)
