"""Pictures and documents, weighed and checked; what is large leaves the event loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import trio

from actors.ports import MediaWeight
from gateway.media.pictures import check_media, longest_edge, media_tokens, resolution_of
from protocol.provider.content import Block

LARGE = 64 * 1024
"""Characters of base64; from here on a thread costs less than the loop's time."""

Found = TypeVar("Found")


class PictureMedia:
    """`actors.ports.Media`."""

    async def weigh(self, model: str, blocks: Sequence[Block]) -> list[MediaWeight]:
        """See `Media`."""
        resolution = resolution_of(model)

        def weight(block: Block) -> MediaWeight:
            return MediaWeight(media_tokens(block, resolution), longest_edge(block))

        return [await _off_loop(weight, block) for block in blocks]

    async def refusals(self, blocks: Sequence[Block], most_attached: int) -> list[str | None]:
        """See `Media`."""
        return [await _off_loop(lambda one: check_media(one, most_attached), one) for one in blocks]


async def _off_loop(work: Callable[[Block], Found], block: Block) -> Found:
    source: Any = block.get("source")
    data = source.get("data") if isinstance(source, dict) else None
    if isinstance(data, str) and len(data) >= LARGE:
        return await trio.to_thread.run_sync(work, block)
    await trio.lowlevel.checkpoint()  # a hundred small ones are no less than a large one
    return work(block)
